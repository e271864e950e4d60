"""Addresses of users: list and find them, add one, say what device it is, use it no more or again, forget it."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import Path, Query, Request, Response
from pydantic import BaseModel, Field

from api import idempotency
from api.idempotency import IdempotencyKey
from api.paging import Cursor, Limit, Page, number, page_of, position
from api.strict import Addressed, App, Body, Channel, Db, UserId, Word, management
from journeys.language.errors import Invalid
from storage import endpoints, people
from storage.endpoints import normalised
from storage.ids import address_hash
from storage.people import EndpointRow, SoughtEndpoints
from storage.standing import lock_person

router = management("Endpoints")
EndpointId = Annotated[int, Path(description="the endpoint's id", ge=1, lt=2**63, examples=[4711])]
_CHANNELS = ("email", "sms", "whatsapp", "voice", "push", "in_app", "webhook")


class EndpointView(BaseModel):
    """One address. It is written to while it is active and not suppressed."""

    id: int = Field(examples=[4711])
    user_id: str | None = Field(description="whose it is; null while they are anonymous", examples=["user-4711"])
    channel: str = Field(examples=["email"])
    address: str = Field(examples=["ann@example.com"])
    state: str = Field(description="active or inactive", examples=["active"])
    reason: str | None = Field(description="why it is inactive")
    suppression: str | None = Field(description="why nothing may be sent to it: bounce, complaint, manual or provider")
    device: dict[str, Any] = Field(examples=[{"os": "android"}])
    confirmed_at: datetime
    created_at: datetime


class NewEndpoint(Body):
    """An address of the user."""

    channel: Addressed
    address: str = Field(min_length=1, max_length=4096, description="email, phone number, token", examples=["ann@example.com"])
    device: dict[str, Any] = Field(default_factory=dict, description="for push: os, model, app_version", examples=[{"os": "android"}])


class PutEndpoint(Body):
    """What is known of the device: conditions ask for it as device(...)."""

    device: dict[str, Any] = Field(examples=[{"os": "android", "app_version": "4.2"}])


class Deactivation(Body):
    """Why it is used no more."""

    reason: Word = Field("manual", examples=["asked_support"])


@router.get("/endpoints", summary="List addresses")
async def list_endpoints(
    app: App,
    database: Db,
    address: Annotated[Word | None, Query(description="only this address, whoever has it", examples=["ann@example.com"])] = None,
    user_id: Annotated[Word | None, Query(description="only this user's")] = None,
    channel: Channel | None = None,
    state: Annotated[Literal["active", "inactive"] | None, Query(description="only those in this state")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[EndpointView]:
    """Of all users, the newest first. An address may belong to several: families share mail."""
    before = position(cursor, number)
    async with database.transaction(app) as connection:
        person = await people.internal_id(connection, app, user_id) if user_id is not None else None
        sought = SoughtEndpoints(person, channel, state, hashes_of(app, address) if address is not None else None)
        rows = await people.endpoint_page(connection, app, sought=sought, before=before[0] if before else None, most=limit + 1)
    kept, following = page_of(rows, limit, lambda row: [row.id])
    return Page(items=[view_of(row) for row in kept], next=following)


@router.get("/users/{user_id:path}/endpoints", summary="List a user's addresses")
async def list_endpoints_of_user(app: App, database: Db, user_id: UserId, limit: Limit = 50, cursor: Cursor = None) -> Page[EndpointView]:
    """All of them, inactive ones too, the newest first."""
    return await list_endpoints(app, database, user_id=user_id, limit=limit, cursor=cursor)


@router.post("/users/{user_id:path}/endpoints", status_code=201, summary="Add an address", response_model=EndpointView)
async def add_endpoint(
    request: Request, app: App, database: Db, user_id: UserId, body: NewEndpoint, idempotency_key: IdempotencyKey = None
) -> Response:
    """Add an address, or confirm that it still holds; an inactive one is used again. A push token moves to this user."""
    key = idempotency.named(idempotency_key)
    address = _normalised(body)

    async def work() -> EndpointView:
        person = await people.internal_id(connection, app, user_id)
        await lock_person(connection, app, person)
        confirmed = endpoints.Confirmed(person, body.channel, address, datetime.now(UTC), body.device)
        await endpoints.confirm(connection, app, [confirmed])
        await people.reactivate(connection, app, person, body.channel, address)
        rows = await people.addresses(connection, app, person)
        return next(view_of(row) for row in rows if (row.channel, row.address) == (body.channel, address))

    async with database.transaction(app) as connection:
        return await idempotency.once(connection, app, request, key, body=body, status=201, work=work)


@router.get("/endpoints/{endpoint_id}", summary="Get an address")
async def get_endpoint(app: App, database: Db, endpoint_id: EndpointId) -> EndpointView:
    """Whose it is, and whether it may be written to."""
    async with database.transaction(app) as connection:
        return view_of(await people.endpoint(connection, app, endpoint_id))


@router.put("/endpoints/{endpoint_id}", summary="Say what device it is")
async def put_endpoint(app: App, database: Db, endpoint_id: EndpointId, body: PutEndpoint) -> EndpointView:
    """Replaces what is known of the device. Channel and address never change: add another endpoint instead."""
    async with database.transaction(app) as connection:
        row = await people.lock_endpoint(connection, app, endpoint_id)
        await people.set_endpoint(connection, app, endpoint_id, state=row.state, reason=row.reason, device=body.device)
        return view_of(await people.endpoint(connection, app, endpoint_id))


@router.post("/endpoints/{endpoint_id}/deactivate", summary="Use an address no more")
async def deactivate_endpoint(app: App, database: Db, endpoint_id: EndpointId, body: Deactivation) -> EndpointView:
    """Nothing that has not begun is sent to it. It stays listed, with the reason; the first reason stays."""
    async with database.transaction(app) as connection:
        row = await people.lock_endpoint(connection, app, endpoint_id)
        reason = row.reason if row.state == "inactive" and row.reason else body.reason
        await people.set_endpoint(connection, app, endpoint_id, state="inactive", reason=reason)
        return view_of(await people.endpoint(connection, app, endpoint_id))


@router.post("/endpoints/{endpoint_id}/activate", summary="Use an address again")
async def activate_endpoint(app: App, database: Db, endpoint_id: EndpointId) -> EndpointView:
    """Whatever made it inactive. A suppressed address stays suppressed: release it first."""
    async with database.transaction(app) as connection:
        await people.lock_endpoint(connection, app, endpoint_id)
        await people.set_endpoint(connection, app, endpoint_id, state="active", reason=None)
        return view_of(await people.endpoint(connection, app, endpoint_id))


@router.delete("/endpoints/{endpoint_id}", status_code=204, summary="Forget an address")
async def delete_endpoint(app: App, database: Db, endpoint_id: EndpointId) -> Response:
    """It is removed for good; messages to it stay, without it. What was about to leave to it is skipped."""
    async with database.transaction(app) as connection:
        await people.lock_endpoint(connection, app, endpoint_id)
        await people.remove_endpoint(connection, app, endpoint_id)
    return Response(status_code=204)


def view_of(row: EndpointRow) -> EndpointView:
    """Show one address."""
    return EndpointView(**vars(row))


def hashes_of(app: str, address: str) -> list[tuple[str, bytes]]:
    """(channel, hash) under which this address would be kept on each channel that it may belong to."""
    found = []
    for channel in _CHANNELS:
        try:
            found.append((channel, address_hash(app, channel, normalised(channel, address))))
        except Invalid:
            continue
    return found


def _normalised(body: NewEndpoint) -> str:
    try:
        return normalised(body.channel, body.address)
    except Invalid as error:
        raise Invalid([replace(problem, pointer="/address") for problem in error.problems]) from error
