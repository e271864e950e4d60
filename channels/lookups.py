"""Looking a key up at a service over HTTP: GET, JSON comes back, and nothing is followed anywhere.

| what happened                                                | what it comes to                               |
|--------------------------------------------------------------|------------------------------------------------|
| 200 with JSON of at most 64 KB: an object or a list          | the row                                        |
| 204, 404, 410                                                | None: the service has nothing for this key     |
| another status, redirects among them                         | CannotBeLookedUp                               |
| no JSON, packed, too large, cut, too slow, no connection     | CannotBeLookedUp                               |
| the address is not a public one                              | CannotBeLookedUp                               |
"""

import asyncio
import ssl
from collections.abc import Mapping
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import orjson

from channels.base import SendFailed
from channels.egress import Destination, Egress
from journeys.language.errors import SojournError
from journeys.language.sources import KEY_MARK

ANSWER_LIMIT = 64 * 1024
_CONNECT_S = 2.0
_NOTHING = (204, 404, 410)
# So many requests of this process to one service at a time; the others wait for their turn within their own timeout.
_AT_ONCE = 20
_MOST_CLIENTS = 100


class CannotBeLookedUp(SojournError):
    """The service did not answer as it must. `is_away`: it is the service and not this key, so that others need not try at once.

    The message says what happened, without the key, the address or what came back.
    """

    def __init__(self, why: str, *, is_away: bool = True) -> None:
        self.is_away = is_away
        super().__init__(why)


class Lookups:
    """Asks services. One for a process; connections of one service are kept, because they never serve another name."""

    def __init__(self, egress: Egress, verify: ssl.SSLContext | None = None) -> None:
        self._egress = egress
        self._verify = verify or ssl.create_default_context()
        self._clients: dict[str, tuple[httpx.AsyncClient, asyncio.Semaphore]] = {}

    async def look(self, url: str, key: str, headers: Mapping[str, str], timeout_s: float) -> Any:
        """What the service has for a key: an object or a list, or None. `url` holds {key}. Raises CannotBeLookedUp."""
        asked = url.replace(KEY_MARK, quote(key, safe=""))
        try:
            async with asyncio.timeout(timeout_s):
                destination = await self._egress.judge(asked)
                client, turn = self._client_of(f"{destination.url.scheme}://{destination.host_header}")
                async with turn:
                    return await self._ask(client, destination, headers, timeout_s)
        except SendFailed as error:
            raise CannotBeLookedUp(error.answer) from error
        except (httpx.HTTPError, TimeoutError, OSError) as error:
            raise CannotBeLookedUp(f"no answer: {type(error).__name__}") from error

    async def close(self) -> None:
        for client, _ in self._clients.values():
            await client.aclose()
        self._clients.clear()

    def _client_of(self, origin: str) -> tuple[httpx.AsyncClient, asyncio.Semaphore]:
        known = self._clients.get(origin)
        if known is None:
            # Beyond that many services each connection is closed after its request.
            kept = _AT_ONCE if len(self._clients) < _MOST_CLIENTS else 0
            client = httpx.AsyncClient(
                verify=self._verify,
                follow_redirects=False,
                # Neither proxy variables nor .netrc: the judged address is where the bytes go.
                trust_env=False,
                cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
                limits=httpx.Limits(max_connections=_AT_ONCE, max_keepalive_connections=kept, keepalive_expiry=15.0),
            )
            known = self._clients[origin] = (client, asyncio.Semaphore(_AT_ONCE))
        return known

    async def _ask(self, client: httpx.AsyncClient, destination: Destination, headers: Mapping[str, str], timeout_s: float) -> Any:
        said = {
            "host": destination.host_header,
            "user-agent": "Sojourn",
            "accept": "application/json",
            # What is unpacked here could be a thousand times as large.
            "accept-encoding": "identity",
        }
        request = client.build_request(
            "GET",
            destination.url_by_address,
            headers={**{name.lower(): value for name, value in headers.items()}, **said},
            extensions={"sni_hostname": destination.host},
            timeout=httpx.Timeout(timeout_s, connect=min(timeout_s, _CONNECT_S)),
        )
        response = await client.send(request, stream=True)
        try:
            return await _row(response)
        finally:
            await response.aclose()


def origin_of(url: str) -> str:
    """Scheme, host and port of a source's URL."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.lower()}"


async def _row(response: httpx.Response) -> Any:
    told = f"HTTP {response.status_code}"
    if response.status_code in _NOTHING:
        return None
    if response.status_code != httpx.codes.OK:
        raise CannotBeLookedUp(told)
    if response.headers.get("content-encoding", "identity") != "identity":
        raise CannotBeLookedUp(f"{told}: the answer is packed, which nobody asked for")
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        raise CannotBeLookedUp(f"{told}: the answer is no JSON")
    content = b""
    async for piece in response.aiter_raw():
        content += piece
        if len(content) > ANSWER_LIMIT:
            raise CannotBeLookedUp(f"{told}: the answer is larger than 64 KB", is_away=False)
    try:
        row = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise CannotBeLookedUp(f"{told}: the answer is no JSON", is_away=False) from error
    if not isinstance(row, dict | list):
        raise CannotBeLookedUp(f"{told}: the answer is neither an object nor a list", is_away=False)
    return row
