"""Calls out of journeys over HTTP: JSON goes out, JSON comes back, and nothing is followed anywhere.

| until                          | what happened                              | verdict                                            |
|--------------------------------|--------------------------------------------|----------------------------------------------------|
| the address was judged         | not public, not a URL, not allowed here    | Rejected                                           |
| the request's first byte       | DNS, connect, TLS, timeout                 | NotSent                                            |
| an answer                      | 2xx with JSON of at most 64 KB             | its JSON; an empty or plain-text answer is {}      |
| an answer                      | 2xx with anything else                     | Rejected                                           |
| an answer                      | 408, 425, 429, 5xx                         | NotSent, with Retry-After: it is asked again       |
| an answer                      | 3xx (never followed), other 4xx            | Rejected                                           |
| no answer                      | cut, timeout, shorter than it said         | Ambiguous: it is asked again, with the same key    |
"""

import asyncio
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import httpx
import orjson

from channels.base import Ambiguous, NotSent, Rejected
from channels.egress import Destination, Egress
from channels.retry_after import retry_after_s

_CONNECT_S = 3.0
_TOTAL_S = 30.0
RESULT_LIMIT = 64 * 1024
_BODY_LIMIT = 1_000_000
_AGAIN = (408, 425, 429)
_SERVER_ERRORS = 500
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
_HEADER_VALUE = re.compile(r"[\x21-\x7e]([\x20-\x7e]{0,4000}[\x21-\x7e])?")
# Ours to say: the judged address, the length of the body, and the key of this visit.
_OURS = frozenset({"host", "content-length", "transfer-encoding", "connection", "content-type", "accept-encoding", "idempotency-key"})


@dataclass(frozen=True)
class Request:
    """One call. `body` None sends none; `idempotency_key` is the same for every try."""

    method: str
    url: str
    idempotency_key: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None


class Caller:
    """Calls addresses that journeys name. `headers_by_origin` go to their origin only: that is where secrets are kept.

    `allowed` are hosts, each as @host; None: every public one.
    """

    def __init__(
        self,
        *,
        egress: Egress,
        allowed: frozenset[str] | None = None,
        headers_by_origin: Mapping[str, Mapping[str, str]] | None = None,
        verify: ssl.SSLContext | None = None,
        total_s: float = _TOTAL_S,
    ) -> None:
        self._egress = egress
        self._allowed = allowed
        self._secrets = {
            _origin(url): {name.lower(): value for name, value in headers.items()} for url, headers in (headers_by_origin or {}).items()
        }
        self._total_s = total_s
        self._client = httpx.AsyncClient(
            verify=verify or ssl.create_default_context(),
            follow_redirects=False,
            # Neither proxy variables nor .netrc: the judged address is where the bytes go.
            trust_env=False,
            timeout=httpx.Timeout(total_s, connect=_CONNECT_S),
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            # A kept connection is known by its address only; the next request to it might be for another name.
            limits=httpx.Limits(max_keepalive_connections=0),
        )

    async def call(self, asked: Request) -> dict[str, Any]:
        """Make one request and return its JSON object; what is no object is its `value`. Raises NotSent, Ambiguous or Rejected."""
        headers = _headers(asked)
        content = _body(asked)
        destination = await self._egress.judge(asked.url)
        if self._allowed is not None and not destination.address.is_loopback and f"@{destination.host}" not in self._allowed:
            raise Rejected("not_allowed_here")
        return await self._ask(destination, asked, headers, content)

    async def close(self) -> None:
        await self._client.aclose()

    async def _ask(self, destination: Destination, asked: Request, headers: Mapping[str, str], content: bytes | None) -> dict[str, Any]:
        has_left = False

        async def see(event: str, _details: dict[str, Any]) -> None:
            nonlocal has_left
            has_left = has_left or event == "http11.send_request_headers.started"

        request = self._client.build_request(
            asked.method,
            destination.url_by_address,
            content=content,
            headers={**headers, **self._secrets.get(_origin(asked.url), {}), **_our_headers(destination, asked, content)},
            extensions={"sni_hostname": destination.host, "trace": see},
        )
        try:
            async with asyncio.timeout(self._total_s):
                response = await self._client.send(request, stream=True)
                try:
                    return await _result(response)
                finally:
                    await response.aclose()
        except (httpx.HTTPError, TimeoutError, OSError) as error:
            if has_left:
                raise Ambiguous(f"no answer: {type(error).__name__}") from error
            raise NotSent(f"no connection: {type(error).__name__}") from error


def _headers(asked: Request) -> dict[str, str]:
    for name, value in asked.headers.items():
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            raise Rejected("a header cannot be sent: names are words, values printable ASCII")
    return {name.lower(): value for name, value in asked.headers.items() if name.lower() not in _OURS}


def _our_headers(destination: Destination, asked: Request, content: bytes | None) -> dict[str, str]:
    said = {
        "host": destination.host_header,
        "user-agent": "Sojourn",
        "accept": "application/json",
        # What is unpacked here could be a thousand times as large.
        "accept-encoding": "identity",
        "idempotency-key": asked.idempotency_key,
    }
    return said if content is None else {**said, "content-type": "application/json"}


def _body(asked: Request) -> bytes | None:
    if asked.body is None:
        return None
    content = orjson.dumps(asked.body)
    if len(content) > _BODY_LIMIT:
        raise Rejected("the body is larger than 1 MB")
    return content


async def _result(response: httpx.Response) -> dict[str, Any]:
    told = f"HTTP {response.status_code}"
    if response.status_code in _AGAIN or response.status_code >= _SERVER_ERRORS:
        raise NotSent(told, retry_after_s(response.headers.get("retry-after"), datetime.now(UTC)))
    if not httpx.codes.is_success(response.status_code):
        raise Rejected(told)
    if response.headers.get("content-encoding", "identity") != "identity":
        raise Rejected(f"{told}: the answer is packed, which nobody asked for")
    content = b""
    async for piece in response.aiter_raw():
        content += piece
        if len(content) > RESULT_LIMIT:
            raise Rejected(f"{told}: the answer is larger than 64 KB")
    return _object(content, response.headers.get("content-type", ""), told)


def _object(content: bytes, content_type: str, told: str) -> dict[str, Any]:
    kind = content_type.partition(";")[0].strip().lower()
    is_json = kind == "application/json" or kind.endswith("+json")
    if not content.strip() or kind == "text/plain":
        return {}
    if not is_json:
        raise Rejected(f"{told}: the answer is no JSON")
    try:
        return as_object(orjson.loads(content))
    except orjson.JSONDecodeError as error:
        raise Rejected(f"{told}: the answer is no JSON") from error


def as_object(found: Any) -> dict[str, Any]:
    """A result as it is kept. Raises Rejected for what Postgres or the size of a history cannot hold."""
    result = found if isinstance(found, dict) else {"value": found}
    try:
        written = orjson.dumps(result)
    except TypeError as error:
        raise Rejected("the result is no JSON") from error
    if len(written) > RESULT_LIMIT:
        raise Rejected("the result is larger than 64 KB")
    if b"\\u0000" in written:
        raise Rejected("the result holds a NUL character")
    return dict(orjson.loads(written))


def _origin(url: str) -> str:
    """Scheme, host and port, as one text; the port that a scheme has anyway is left out."""
    parts = urlsplit(url)
    port = {"http": 80, "https": 443}.get(parts.scheme)
    named = parts.port if parts.port is not None and parts.port != port else None
    return f"{parts.scheme}://{(parts.hostname or '').lower()}{'' if named is None else f':{named}'}"
