"""Files behind addresses that somebody else wrote: fetched from public places as a stream, and put there."""

from collections.abc import AsyncIterator

import httpx

from channels.base import NotSent, Rejected
from channels.egress import Egress

_SILENT_FOR_S = 30.0


class Downloads:
    """Fetches over HTTP from where `egress` lets us go, and follows nothing."""

    def __init__(self, egress: Egress | None = None, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._egress = egress or Egress()
        self._transport = transport

    async def fetch(self, url: str) -> AsyncIterator[bytes]:
        """The bytes of a file, as they come. Raises Rejected where it must not or will never be had, NotSent where not now."""
        async with self._client() as client:
            response = await self._ask(client, "GET", url)
            try:
                async for piece in _pieces(response):
                    yield piece
            finally:
                await response.aclose()

    async def put(self, url: str, content: AsyncIterator[bytes], size_bytes: int) -> None:
        """Put a file where an address such as a presigned one takes it. Raises Rejected, NotSent."""
        async with self._client() as client:
            response = await self._ask(client, "PUT", url, content=content, headers={"content-length": str(size_bytes)})
            _must_be_good(response)
            await response.aclose()

    def _client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=self._transport, follow_redirects=False, trust_env=False, timeout=_SILENT_FOR_S)

    async def _ask(
        self,
        client: httpx.AsyncClient,
        method: str,
        url: str,
        *,
        content: AsyncIterator[bytes] | None = None,
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:
        destination = await self._egress.judge(url)
        known = {"host": destination.host_header, "user-agent": "Sojourn", "accept-encoding": "identity", **(headers or {})}
        request = client.build_request(
            method, destination.url_by_address, headers=known, content=content, extensions={"sni_hostname": destination.host}
        )
        try:
            return await client.send(request, stream=True)
        except (httpx.HTTPError, OSError) as error:
            raise NotSent(f"no answer: {type(error).__name__}") from error


async def _pieces(response: httpx.Response) -> AsyncIterator[bytes]:
    _must_be_good(response)
    try:
        async for piece in response.aiter_raw():
            yield piece
    except (httpx.HTTPError, OSError) as error:
        raise NotSent(f"the connection was cut: {type(error).__name__}") from error


def _must_be_good(response: httpx.Response) -> None:
    if response.is_success:
        return
    words = f"HTTP {response.status_code}"
    if response.is_redirect:
        raise Rejected(f"{words}: name the address to which this one leads")
    if response.status_code >= httpx.codes.INTERNAL_SERVER_ERROR or response.status_code == httpx.codes.TOO_MANY_REQUESTS:
        raise NotSent(words)
    raise Rejected(words)
