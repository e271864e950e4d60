"""Webhooks out over HTTP, signed as Standard Webhooks 1.0.

| until                          | what happened                    | verdict                                     |
|--------------------------------|----------------------------------|---------------------------------------------|
| the address was judged         | not public, not a URL            | Rejected                                    |
| the request's first byte       | DNS, connect, TLS, timeout       | NotSent                                     |
| an answer                      | 2xx                              | sent                                        |
| an answer                      | 429, 502, 503, 504               | NotSent, with Retry-After                   |
| an answer                      | 410                              | Rejected, suppress: the called URL is gone  |
| an answer                      | 3xx (never followed), other 4xx  | Rejected                                    |
| an answer                      | 1xx, other 5xx                   | Ambiguous                                   |
| no answer                      | cut, timeout, unreadable         | Ambiguous                                   |

Standard Webhooks 1.0 counts 502 and 504 among throttles; where the receiver had the message all the same, it knows the repeat by its
`webhook-id`. The answer's body says nothing that we use, so not one byte of it is read.
"""

import asyncio
import ssl
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Annotated

import httpx
import orjson
from pydantic import AfterValidator, BeforeValidator, Field

from channels.base import Ambiguous, NotSent, NotVerifiable, Outgoing, Receipt, Rejected, ToReceivers
from channels.deadline import FirstByte, refuse_when_late, seconds_left
from channels.egress import Destination, Egress
from channels.retry_after import retry_after_s
from channels.webhook.signing import read_secret, signature_headers
from journeys.language.errors import ConfigurationError

_CONNECT_S = 3.0
_TOTAL_S = 10.0
_BODY_LIMIT = 1_000_000
_TRY_LATER = (429, 502, 503, 504)
_GONE = 410


def _checked(secret: str) -> str:
    try:
        read_secret(secret)
    except ConfigurationError as error:
        raise ValueError("a secret is whsec_ followed by base64 of 24 to 64 random bytes") from error
    return secret


def _listed(given: object) -> object:
    """A text holds them side by side, as a command line gives them."""
    return given.split() if isinstance(given, str) else given


@dataclass(frozen=True)
class WebhookAccount:
    """What an app signs with. `secrets`: whsec_..., the newest first; while one replaces another both sign.

    `base_url` only for a stand-in: then receivers may be on loopback.
    """

    secrets: Annotated[tuple[Annotated[str, AfterValidator(_checked)], ...], BeforeValidator(_listed), Field(min_length=1, max_length=5)]
    base_url: str = ""


class Http(ToReceivers):
    """Posts the body of a webhook message to its address. `secrets`: whsec_..., the newest first; at least one."""

    name = "http"
    channel = "webhook"

    def __init__(
        self,
        secrets: tuple[str, ...],
        *,
        may_reach_loopback: bool = False,
        egress: Egress | None = None,
        verify: ssl.SSLContext | None = None,
        total_s: float = _TOTAL_S,
    ) -> None:
        if not secrets:
            raise ConfigurationError("SOJOURN_WEBHOOK_SECRET is empty: set whsec_ and base64 of 24 to 64 random bytes")
        self._secrets = tuple(read_secret(secret) for secret in secrets)
        self._egress = egress or Egress(may_reach_loopback=may_reach_loopback)
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

    @classmethod
    def of(cls, account: WebhookAccount) -> "Http":
        """What signs with an app's own secrets."""
        return cls(account.secrets, may_reach_loopback=bool(account.base_url))

    async def send(self, outgoing: Outgoing) -> Receipt:
        body = _body(outgoing)
        refuse_when_late(outgoing)
        url = str(outgoing.content.parts.get("url") or outgoing.address)
        status, retry_after = await self._post(await self._egress.judge(url), outgoing, body)
        return _verdict(status, retry_after, str(outgoing.message_id), url)

    async def verify(self) -> None:
        raise NotVerifiable("every receiver has its own URL: there is nobody to ask")

    async def close(self) -> None:
        await self._client.aclose()

    async def _post(self, destination: Destination, outgoing: Outgoing, body: bytes) -> tuple[int, str | None]:
        watch = FirstByte(outgoing)
        request = self._request(destination, outgoing, body, watch)
        try:
            async with asyncio.timeout(_within(self._total_s, outgoing)):
                response = await self._client.send(request, stream=True)
        except (httpx.HTTPError, TimeoutError, OSError) as error:
            if watch.is_past:
                raise Ambiguous(f"no answer: {type(error).__name__}") from error
            raise NotSent(f"no connection: {type(error).__name__}") from error
        await response.aclose()
        return response.status_code, response.headers.get("retry-after")

    def _request(self, destination: Destination, outgoing: Outgoing, body: bytes, watch: FirstByte) -> httpx.Request:
        signed = signature_headers(self._secrets, str(outgoing.message_id), body, at_s=int(time.time()))
        return self._client.build_request(
            "POST",
            destination.url_by_address,
            content=body,
            headers={"host": destination.host_header, "content-type": "application/json", "user-agent": "Sojourn", "accept": "*/*"}
            | signed,
            extensions={"sni_hostname": destination.host, "trace": watch.see},
        )


def _body(outgoing: Outgoing) -> bytes:
    body = str(outgoing.content.parts["body"]).encode("utf-8", "replace")
    if len(body) > _BODY_LIMIT:
        raise Rejected("the body is larger than 1 MB")
    try:
        orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Rejected("the body is not JSON: write values with | tojson") from error
    return body


def _verdict(status: int, retry_after: str | None, message_id: str, url: str) -> Receipt:
    told = f"HTTP {status}"
    if httpx.codes.is_success(status):
        return Receipt(ref=message_id)
    if status in _TRY_LATER:
        raise NotSent(told, retry_after_s(retry_after, datetime.now(UTC)))
    if httpx.codes.is_redirect(status) or httpx.codes.is_client_error(status):
        raise Rejected(told, suppress=status == _GONE, address=url)
    raise Ambiguous(told)


def _within(total_s: float, outgoing: Outgoing) -> float:
    # A little before the deadline: this code can tell whether the request had left, the caller cannot.
    return max(0.001, min(total_s, seconds_left(outgoing) - 0.05))
