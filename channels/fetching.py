"""What we fetch because a verified call names it: certificates of SNS, and the address that confirms a subscription. Both are AWS's own."""

import asyncio

import httpx
from cryptography import x509

from channels.base import NotSent
from channels.egress import Egress

_TOTAL_S = 5.0
_LARGEST = 100_000
_MOST_REMEMBERED = 100


class Fetching:
    """Fetches public addresses, follows nothing, and remembers certificates: an address of SNS always has the same one."""

    def __init__(self, egress: Egress | None = None, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._egress = egress or Egress()
        self._client = httpx.AsyncClient(
            transport=transport, follow_redirects=False, trust_env=False, timeout=_TOTAL_S, limits=httpx.Limits(max_keepalive_connections=0)
        )
        self._certificates: dict[str, bytes] = {}

    async def certificate(self, url: str) -> bytes:
        """Raises NotSent where it cannot be had now, Rejected where the address is not a public one."""
        if url not in self._certificates:
            self.remember(url, await self._certificate(url))
        return self._certificates[url]

    def remember(self, url: str, certificate: bytes) -> None:
        """Know a certificate without fetching it."""
        if len(self._certificates) >= _MOST_REMEMBERED:
            self._certificates.clear()
        self._certificates[url] = certificate

    async def get(self, url: str) -> bytes:
        """Fetch one address. Raises NotSent, Rejected."""
        destination = await self._egress.judge(url)
        headers = {"host": destination.host_header, "user-agent": "Sojourn", "accept-encoding": "identity"}
        request = self._client.build_request(
            "GET", destination.url_by_address, headers=headers, extensions={"sni_hostname": destination.host}
        )
        try:
            async with asyncio.timeout(_TOTAL_S):
                return await self._read(request)
        except (httpx.HTTPError, TimeoutError, OSError) as error:
            raise NotSent(f"no answer: {type(error).__name__}") from error

    async def _certificate(self, url: str) -> bytes:
        """What is no certificate, as the page of a proxy in between, must not be remembered as one."""
        pem = await self.get(url)
        try:
            x509.load_pem_x509_certificate(pem)
        except ValueError as error:
            raise NotSent("what was fetched is no certificate") from error
        return pem

    async def close(self) -> None:
        await self._client.aclose()

    async def _read(self, request: httpx.Request) -> bytes:
        response = await self._client.send(request, stream=True)
        try:
            if response.status_code != httpx.codes.OK:
                raise NotSent(f"HTTP {response.status_code}")
            content = b""
            async for piece in response.aiter_raw():
                content += piece
                if len(content) > _LARGEST:
                    raise NotSent("an answer of more than 100 KB")
            return content
        finally:
            await response.aclose()
