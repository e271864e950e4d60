"""A user's own client, in a browser or an app: its token, and operations that any page may call (CORS).

A token names one user of one app and ends; whoever holds it reads and marks what this user is shown, and nothing else. A public key, which
everybody can read, opens none of it.
"""

import hmac
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from hashlib import sha256
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from itsdangerous import BadSignature, URLSafeSerializer

from api import limits
from api.errors import Unauthenticated
from api.strict import ERRORS, StrictRoute
from settings import Settings

PREFIX = "sj_client_"
_TOKEN_LIMIT = 2_000
_CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "ETag, Retry-After, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, X-Request-Id",
}
_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, If-None-Match, Last-Event-ID, Cache-Control",
    "Access-Control-Max-Age": "86400",
}


@dataclass(frozen=True)
class Client:
    """Whose client asks. `user_id` is the caller's own; `expires_at` in seconds since 1970."""

    app: str
    user_id: str
    expires_at: float


def client_token(settings: Settings, client: Client) -> str:
    """A token that speaks for this user until it expires."""
    signed = _signer(settings).dumps([client.app, client.user_id, int(client.expires_at)])
    return PREFIX + (signed if isinstance(signed, str) else signed.decode())


def read_client_token(settings: Settings, token: str, now: float) -> Client | None:
    """Whom a token speaks for, or None when we did not sign it or it has expired."""
    if not token.startswith(PREFIX) or len(token) > _TOKEN_LIMIT or not token.isascii():
        return None
    try:
        app, user_id, expires_at = _signer(settings).loads(token.removeprefix(PREFIX))
    except (BadSignature, ValueError, TypeError):
        return None
    return Client(app, user_id, expires_at) if now < expires_at else None


def _signer(settings: Settings) -> URLSafeSerializer:
    # A key of its own: what is signed for another purpose is no token, and a token is nothing else.
    secret = hmac.new(settings.secret.get_secret_value().encode(), b"client tokens", sha256).digest()
    return URLSafeSerializer(secret, salt="sojourn.client", signer_kwargs={"digest_method": sha256, "key_derivation": "hmac"})


async def _client(request: Request) -> Client:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return _known(request, token.strip() if scheme.lower() == "bearer" else "")


async def _client_of_stream(
    request: Request, token: Annotated[str, Query(description="the client token, for EventSource, which sends no headers")] = ""
) -> Client:
    return _known(request, token) if token else await _client(request)


def _known(request: Request, token: str) -> Client:
    client = read_client_token(request.app.state.settings, token, time.time())
    if client is None:
        raise Unauthenticated("this needs a client token that has not expired")
    limits.take(request, f"{client.app}/{client.user_id}", "client")
    return client


Reader = Annotated[Client, Depends(_client)]
StreamReader = Annotated[Client, Depends(_client_of_stream)]


class ClientRoute(StrictRoute):
    """Any page may call it, and read its errors too."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        answer = super().get_route_handler()

        async def answer_any_page(request: Request) -> Response:
            request.state.headers = {**_CORS, "Cache-Control": "private, no-cache", "Vary": "Authorization"}
            return await answer(request)

        return answer_any_page


async def _preflight() -> Response:
    return Response(status_code=HTTPStatus.NO_CONTENT, headers=_PREFLIGHT)


def client_router(*paths: str) -> APIRouter:
    """Make a router for clients; browsers ask beforehand (OPTIONS) about each of its `paths`."""
    told: dict[int | str, dict[str, Any]] = {status: ERRORS[status] for status in (400, 404, 422, 429, 503)}
    told[401] = {**ERRORS[401], "description": "No client token, or one that has expired"}
    router = APIRouter(prefix="/v1", tags=["In-app"], route_class=ClientRoute, responses=told)
    for path in paths:
        router.add_api_route(path, _preflight, methods=["OPTIONS"], include_in_schema=False)
    return router
