"""One request to a provider's HTTP API, and what an answer means where the provider's own page does not say otherwise.

| until                    | what happened                    | verdict                                          |
|--------------------------|----------------------------------|--------------------------------------------------|
| the request's first byte | DNS, connect, TLS, timeout       | NotSent                                          |
| an answer                | 2xx                              | sent, once the adapter has read its id           |
| an answer                | 401, 403                         | NotSent: our credentials; nothing is lost by it  |
| an answer                | 429, 503                         | NotSent, with Retry-After                        |
| an answer                | 3xx (never followed), other 4xx  | Rejected                                         |
| an answer                | 1xx, other 5xx                   | Ambiguous                                        |
| no answer                | cut, timeout, unreadable 2xx     | Ambiguous                                        |
"""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpx
import orjson

from channels.base import Ambiguous, NotSent, Outgoing, Rejected, SendFailed
from channels.deadline import FirstByte, seconds_left
from channels.retry_after import retry_after_s

_CONNECT_S = 3.0
_TOTAL_S = 10.0
_MOST_AT_ONCE = 50
_ANSWER_LIMIT = 1_000_000
# Shorter than any provider keeps an idle connection: one that the provider closes under a request makes that request ambiguous.
_IDLE_S = 4.0
# HTTP/2 tells of its end (GOAWAY) before a request is lost by it, and Apple asks for few connections that live long.
_IDLE_HTTP2_S = 300.0
_OUR_CREDENTIALS = (401, 403)
_TRY_LATER = (429, 503)
_CODE = re.compile(r"[A-Za-z0-9_.:\- ]{1,80}")


@dataclass(frozen=True)
class Answer:
    """What the provider said; header names are in small letters."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_success(self) -> bool:
        return httpx.codes.is_success(self.status)

    def members(self) -> dict[str, Any]:
        """The body as a JSON object; empty where it is none."""
        try:
            found = orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return {}
        return found if isinstance(found, dict) else {}

    @property
    def retry_after_s(self) -> float | None:
        """How long it asks us to wait (Retry-After); None where it does not say."""
        return retry_after_s(self.headers.get("retry-after"), datetime.now(UTC))

    def reference(self, *path: str) -> str:
        """The provider's own id in a success, of lists in the first item. Raises Ambiguous without one: who knows what was accepted."""
        found: Any = self.members()
        for name in path:
            first = found[0] if isinstance(found, list) and found else found
            found = first.get(name) if isinstance(first, dict) else None
        if not isinstance(found, str | int) or not str(found):
            raise Ambiguous(f"HTTP {self.status} without the id of the message")
        return str(found)[:200]


def refusal(answer: Answer, code: object = None, *, suppress: bool = False, is_listed: bool = False) -> SendFailed:
    """The error for an answer that is no success. `code` is the provider's word for it; a text with anything personal in it is left out."""
    told = f"HTTP {answer.status}" + (f" {code}" if isinstance(code, str | int) and _CODE.fullmatch(str(code)) else "")
    if answer.status in _OUR_CREDENTIALS:
        return NotSent(f"{told}: the provider refuses our credentials")
    if answer.status in _TRY_LATER:
        return NotSent(told, answer.retry_after_s, is_throttle=answer.status == httpx.codes.TOO_MANY_REQUESTS)
    if httpx.codes.is_redirect(answer.status) or httpx.codes.is_client_error(answer.status):
        return Rejected(told, suppress=suppress, is_listed=is_listed)
    return Ambiguous(told)


def _success(answer: Answer) -> Answer:
    if not answer.is_success:
        raise refusal(answer)
    return answer


class ProviderApi:
    """The connections to one provider. `base_url` is its own or a stand-in's; redirects, proxies and cookies are not followed.

    Without `keeps_connections` each request makes its own.
    """

    def __init__(
        self,
        base_url: str,
        *,
        http2: bool = False,
        verify: ssl.SSLContext | None = None,
        total_s: float = _TOTAL_S,
        keeps_connections: bool = True,
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._total_s = total_s
        self._http2 = http2
        self._keeps_connections = keeps_connections
        self._verify = verify or ssl.create_default_context()
        self._turns = asyncio.Semaphore(_MOST_AT_ONCE)
        self._clients: list[httpx.AsyncClient] = []
        self._idle: list[httpx.AsyncClient] = []

    def url(self, path: str) -> str:
        return f"{self._base_url}{path}"

    async def post(
        self, path: str, outgoing: Outgoing, *, content: bytes, headers: Mapping[str, str], tls_name: str | None = None
    ) -> Answer:
        """Post exactly these bytes before the message's deadline. Raises NotSent or Ambiguous where no answer came.

        `tls_name` is whose certificate is asked for, where the URL is by address.
        """
        watch = FirstByte(outgoing)
        named = {"user-agent": "Sojourn", "accept": "application/json", **headers}
        extensions: dict[str, Any] = {"trace": watch.see} | ({"sni_hostname": tls_name} if tls_name else {})
        try:
            async with asyncio.timeout(max(0.001, min(self._total_s, seconds_left(outgoing) - 0.05))), self._turn() as client:
                request = client.build_request("POST", self.url(path), content=content, headers=named, extensions=extensions)
                return await _answer(client, request)
        except (httpx.HTTPError, TimeoutError, OSError) as error:
            if watch.is_past:
                raise Ambiguous(f"no answer: {type(error).__name__}") from error
            raise NotSent(f"no connection: {type(error).__name__}") from error

    async def get(self, path: str, headers: Mapping[str, str]) -> Answer:
        """Read something, which sends nothing. Raises NotSent where no answer came, and what `refusal` says of one that is no success."""
        return _success(await self.look(path, headers))

    async def look(self, path: str, headers: Mapping[str, str]) -> Answer:
        """The same with any answer. Raises NotSent where none came."""
        return await self._look("GET", path, b"", headers)

    async def ask(self, path: str, content: bytes, headers: Mapping[str, str]) -> Answer:
        """As `get`, for an API that is asked by POST."""
        return _success(await self._look("POST", path, content, headers))

    async def _look(self, method: str, path: str, content: bytes, headers: Mapping[str, str]) -> Answer:
        named = {"user-agent": "Sojourn", "accept": "application/json", **headers}
        try:
            async with asyncio.timeout(self._total_s), self._turn() as client:
                return await _answer(client, client.build_request(method, self.url(path), content=content, headers=named))
        except (httpx.HTTPError, TimeoutError, OSError, Ambiguous) as error:
            raise NotSent(f"no answer: {type(error).__name__}") from error

    async def close(self) -> None:
        for client in self._clients:
            await client.aclose()

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[httpx.AsyncClient]:
        """A client of one's own for a request: over HTTP/2 all share the one that is there.

        httpx looks through its whole pool at every request, so fifty connections in one pool cost four times what fifty pools do.
        """
        async with self._turns:
            client = self._idle.pop() if self._idle else self._another()
            if self._http2:
                self._idle.append(client)
            try:
                yield client
            finally:
                if not self._http2:
                    self._idle.append(client)

    def _another(self) -> httpx.AsyncClient:
        client = httpx.AsyncClient(
            http1=not self._http2,
            http2=self._http2,
            verify=self._verify,
            follow_redirects=False,
            trust_env=False,
            timeout=httpx.Timeout(self._total_s, connect=_CONNECT_S),
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            limits=httpx.Limits(
                max_connections=_MOST_AT_ONCE if self._http2 else 1,
                max_keepalive_connections=None if self._keeps_connections else 0,
                keepalive_expiry=_IDLE_HTTP2_S if self._http2 else _IDLE_S,
            ),
        )
        self._clients.append(client)
        return client


async def _answer(client: httpx.AsyncClient, request: httpx.Request) -> Answer:
    response = await client.send(request, stream=True)
    try:
        body = b""
        async for piece in response.aiter_bytes():
            body += piece
            if len(body) > _ANSWER_LIMIT:
                raise Ambiguous(f"HTTP {response.status_code} with more than 1 MB")
        return Answer(response.status_code, {name.lower(): value for name, value in response.headers.items()}, body)
    finally:
        await response.aclose()
