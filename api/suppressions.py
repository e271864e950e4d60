"""Suppressions: addresses that nothing may be sent to, whoever they belong to."""

from dataclasses import replace
from datetime import datetime

from fastapi import Request, Response
from pydantic import BaseModel, Field

from api import idempotency
from api.idempotency import IdempotencyKey
from api.paging import Cursor, Limit, Page, moment, page_of, position
from api.strict import App, Body, Channel, Db, Word, management
from channels.lists import taken_off
from journeys.language.errors import Invalid, NotFound, Problem
from storage import suppressions
from storage.endpoints import WITHOUT_ADDRESS, normalised
from storage.ids import address_hash
from storage.suppressions import Suppression

router = management("Suppressions")


class SuppressionView(BaseModel):
    """One suppressed address. Only its hash is kept, so an erased person stays suppressed without being known."""

    id: str = Field(description="a keyed hash of app, channel and address", examples=["9f86d081884c7d65"])
    channel: str = Field(examples=["email"])
    reason: str = Field(description="bounce, complaint, manual or provider", examples=["manual"])
    source: str = Field(examples=["support"])
    created_at: datetime
    at_provider: str | None = Field(
        None, description="what must be done at the provider, which keeps the address on a list of its own: reason `provider`"
    )


class ReleasedView(BaseModel):
    """It is released here, and the provider still takes nothing for it."""

    at_provider: str = Field(description="what must be done there", examples=["its owner must write START to your number"])


class RekeyedView(BaseModel):
    """How many were moved, and how many still need an older key."""

    rekeyed: int
    left: int = Field(description="their keys must stay in the setting")


class NewSuppression(Body):
    """Which address, and who says so."""

    channel: Channel
    address: str = Field(min_length=1, max_length=4096, examples=["ann@example.com"])
    source: Word = Field("api", examples=["support"])


@router.get("/suppressions", summary="List suppressed addresses")
async def list_suppressions(
    app: App, database: Db, channel: Channel | None = None, limit: Limit = 50, cursor: Cursor = None
) -> Page[SuppressionView]:
    """The newest first."""
    before = position(cursor, moment, bytes.fromhex)
    async with database.transaction(app) as connection:
        rows = await suppressions.page(connection, app, channel=channel, before=(before[0], before[1]) if before else None, most=limit + 1)
    kept, following = page_of(rows, limit, lambda row: [row.created_at, row.id.hex()])
    return Page(items=[_view(row) for row in kept], next=following)


@router.post("/suppressions", status_code=201, summary="Suppress an address", response_model=SuppressionView)
async def suppress_address(
    request: Request, app: App, database: Db, body: NewSuppression, idempotency_key: IdempotencyKey = None
) -> Response:
    """Nothing that has not begun is sent to it any more, transactional messages included.

    It takes the place of what a provider said of the address, and of its own STOP, so that no START lifts it; an earlier block and a
    complaint stay.
    """
    key = idempotency.named(idempotency_key)
    digest = _hash(app, body)

    async def work() -> SuppressionView:
        await suppressions.suppress(connection, app, body.channel, digest, reason="manual", source=body.source)
        row = await suppressions.get(connection, app, body.channel, digest)
        if row is None:
            raise NotFound("no such suppression")
        return _view(row)

    async with database.transaction(app) as connection:
        return await idempotency.once(connection, app, request, key, body=body, status=201, work=work)


@router.post("/suppressions/rekey", summary="Hide suppressions under the newest key")
async def rekey_suppressions(app: App, database: Db) -> RekeyedView:
    """After a change of SOJOURN_SUPPRESSION_KEYS. A suppression can be moved to the newest key while somebody has its address."""
    async with database.transaction(app) as connection:
        done = await suppressions.rekey(connection, app)
    return RekeyedView(rekeyed=done.rekeyed, left=done.left)


@router.delete(
    "/suppressions/{channel}/{suppression_id}",
    status_code=204,
    summary="Let an address be written to again",
    responses={200: {"model": ReleasedView, "description": "Released here; something must be done at the provider too"}},
)
async def release_address(app: App, database: Db, channel: Channel, suppression_id: Word) -> Response:
    """Only for an address whose owner asked for it, or that was suppressed by mistake.

    200 where the provider keeps it on a list of its own: it refuses the next message too, until what the answer says is done there.
    """
    async with database.transaction(app) as connection:
        released = await suppressions.release(connection, app, channel, _from_hex(suppression_id))
    if released is None:
        raise NotFound("no such suppression")
    at_provider = _at_provider(released)
    if at_provider is None:
        return Response(status_code=204)
    return Response(ReleasedView(at_provider=at_provider).model_dump_json(), media_type="application/json")


def _view(row: Suppression) -> SuppressionView:
    return SuppressionView(
        id=row.id.hex(),
        channel=row.channel,
        reason=row.reason,
        source=row.source,
        created_at=row.created_at,
        at_provider=_at_provider(row),
    )


def _at_provider(row: Suppression) -> str | None:
    return taken_off(row.source) if row.reason == "provider" else None


def _hash(app: str, body: NewSuppression) -> bytes:
    if body.channel in WITHOUT_ADDRESS:
        raise Invalid([Problem("/channel", "no_addresses", "it needs none: record that they withdraw their consent")])
    try:
        return address_hash(app, body.channel, normalised(body.channel, body.address))
    except Invalid as error:
        raise Invalid([replace(problem, pointer="/address") for problem in error.problems]) from error


def _from_hex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise NotFound("no such suppression") from None
