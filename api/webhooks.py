"""Where providers call us. The address finds app and account; nothing of a call is read before it is proved to be the provider's.

What is told is taken in within the call, in one transaction. An inbox that is worked off later would answer sooner, and would be a second
place in which events wait, get lost or poison what stands behind them; here a provider without an answer sends again, and an event that
cannot be taken in is set aside alone.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Path, Request, Response
from sqlalchemy.exc import DBAPIError

from activities.coming_back import Source, set_aside, take_in
from api.body import read_bytes
from api.errors import Malformed, Unauthenticated
from api.strict import ERRORS
from channels.base import SendFailed
from channels.fetching import Fetching
from channels.inbound import Call, CertificateNeeded, Forged, Heard, Reader, Told, Unfitting
from channels.readers import READERS
from journeys.language.errors import ConfigurationError, Unavailable
from settings import Settings
from storage import providers
from storage.database import Database
from storage.notify import DIRECT, OUTBOX
from storage.providers import Account
from storage.sealing import Seal

router = APIRouter(tags=["Provider webhooks"])
# The largest is a mail that somebody sent us; SNS ends at 256 KB, an event batch of SendGrid rarely has 1 MB.
MOST_BYTES = 10_000_000

Provider = Annotated[str, Path(description="as in your account", examples=["ses"])]
Key = Annotated[str, Path(max_length=64, description="the account's own; `sojourn providers webhooks` shows the whole address")]

_HEARD: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "All of it is kept; the body is what the provider expects to read, mostly nothing",
        "content": {"text/plain": {"schema": {"type": "string"}, "example": ""}},
    },
    **{status: ERRORS[status] for status in (400, 401, 503)},
    413: {**ERRORS[400], "description": "More than 10 MB"},
}

_log = structlog.get_logger()


@router.get(
    "/v1/webhooks/{provider}/{key}",
    summary="Answer a provider that tries the address",
    response_class=Response,
    responses=_HEARD,
)
async def try_webhook(request: Request, provider: Provider, key: Key) -> Response:
    """Meta asks once, with the verify token of the account, when the address is set."""
    return await _hear(request, provider, key)


@router.post("/v1/webhooks/{provider}/{key}", summary="Take in what a provider tells", response_class=Response, responses=_HEARD)
async def take_webhook(request: Request, provider: Provider, key: Key) -> Response:
    """Only for providers. 401: the call is not proved to be the provider's, and nothing of it was kept; else 200, also for a repeat."""
    return await _hear(request, provider, key)


async def _hear(request: Request, provider: str, key: str) -> Response:
    source, reader, account = await _called(request, provider, key)
    # Only now: who does not know the address is not listened to.
    body = await read_bytes(request, most_bytes=MOST_BYTES)
    try:
        heard = await _read(request, reader, account, body)
    except Forged as forged:
        _log.warning("forged_webhook", app=source.app, provider=provider, reason=str(forged))
        raise Unauthenticated(str(forged)) from forged
    except Unfitting as unfitting:
        raise Malformed(str(unfitting)) from unfitting
    if heard.confirm:
        await _confirm(request, heard.confirm)
    if heard.told:
        await _take_in(request, source, heard.told)
    return Response(heard.answer, media_type="text/xml" if heard.answer.startswith("<?xml") else "text/plain")


async def _called(request: Request, provider: str, key: str) -> tuple[Source, Reader, dict[str, object]]:
    """The account, its reader and its opened settings. An unknown key answers as a wrong signature does."""
    database: Database = request.app.state.database
    settings: Settings = request.app.state.settings
    async with database.transaction() as connection:
        # Postgres cannot even be asked for a NUL.
        found = await providers.called(connection, key) if key.isalnum() else None
    reader = READERS.get((found[1].channel, found[1].provider)) if found else None
    if found is None or reader is None or found[1].provider != provider:
        raise Unauthenticated("nobody is called by this address")
    app, account = found
    return Source(app, account.channel, account.name, account.provider), reader, _opened(settings, app, account)


def _opened(settings: Settings, app: str, account: Account) -> dict[str, object]:
    try:
        return providers.opened(account, app, Seal(settings.plain_credential_keys))
    except ConfigurationError as error:
        raise Unavailable("the secrets of this account do not open") from error


async def _read(request: Request, reader: Reader, account: dict[str, object], body: bytes) -> Heard:
    settings: Settings = request.app.state.settings
    headers = {name.lower(): value for name, value in request.headers.items()}
    call = Call(settings.public_url.rstrip("/") + _path(request), headers, body, datetime.now(UTC), request.method)
    try:
        return reader(call, account)
    except CertificateNeeded as needed:
        certificates = {needed.url: await _certificate(request, needed.url)}
        return reader(Call(call.url, headers, body, call.at, call.method, certificates), account)


def _path(request: Request) -> str:
    """The path and query as they came: a proxy may have changed scheme and host, and these not."""
    path: bytes = request.scope.get("raw_path") or request.url.path.encode()
    query: bytes = request.scope["query_string"]
    return path.partition(b"?")[0].decode("latin-1") + (f"?{query.decode('latin-1')}" if query else "")


async def _certificate(request: Request, url: str) -> bytes:
    try:
        return await _fetching(request).certificate(url)
    except SendFailed as error:
        raise Unavailable("the certificate cannot be fetched now") from error


async def _confirm(request: Request, url: str) -> None:
    """Say to SNS that its topic may call here; it repeats the request while this fails."""
    try:
        await _fetching(request).get(url)
    except SendFailed as error:
        raise Unavailable("the subscription cannot be confirmed now") from error


def _fetching(request: Request) -> Fetching:
    fetching: Fetching = request.app.state.fetching
    return fetching


async def _take_in(request: Request, source: Source, told: Sequence[Told]) -> None:
    database: Database = request.app.state.database
    try:
        await database.run(partial(take_in, source=source, told=told), source.app)
    except DBAPIError:
        # Not transport, which is Unavailable: one of them cannot be written, and must not keep the others from being heard.
        for each in told:
            await _take_one(database, source, each)
    for channel in (OUTBOX, DIRECT):
        request.app.state.notify(channel)


async def _take_one(database: Database, source: Source, told: Told) -> None:
    try:
        await database.run(partial(take_in, source=source, told=[told]), source.app)
    except DBAPIError as error:
        failure = type(error.orig).__name__
        _log.exception("webhook_event_set_aside", app=source.app, provider=source.provider, reason=failure)
        await database.run(partial(set_aside, source=source, told=told, failure=failure), source.app)
