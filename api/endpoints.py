"""Addresses of users: list them, add one, use one no more."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from fastapi import Response
from pydantic import BaseModel, Field

from api.strict import App, Body, Channel, Db, UserId, management
from journeys.language.errors import Invalid
from storage import endpoints, people
from storage.people import EndpointRow
from storage.standing import lock_person

router = management("Endpoints")


class EndpointView(BaseModel):
    """One address. It is written to while it is active and not suppressed."""

    id: int
    channel: str = Field(examples=["email"])
    address: str = Field(examples=["ann@example.com"])
    state: str = Field(description="active or inactive", examples=["active"])
    reason: str | None = Field(description="why it is inactive")
    suppression: str | None = Field(description="why nothing may be sent to it: bounce, complaint, manual or provider")
    device: dict[str, Any]
    confirmed_at: datetime
    created_at: datetime


class NewEndpoint(Body):
    """An address of the user."""

    channel: Channel
    address: str = Field(min_length=1, max_length=4096, description="email, phone number, token", examples=["ann@example.com"])
    device: dict[str, Any] = Field(default_factory=dict, description="for push: os, model, app_version", examples=[{"os": "android"}])


class EndpointList(BaseModel):
    """All addresses of a user."""

    items: list[EndpointView]


@router.get("/users/{user_id:path}/endpoints", summary="List a user's addresses")
async def list_endpoints(app: App, database: Db, user_id: UserId) -> EndpointList:
    """All of them, inactive ones too."""
    async with database.transaction(app) as connection:
        rows = await people.addresses(connection, app, await people.internal_id(connection, app, user_id))
    return EndpointList(items=_views(rows))


@router.post("/users/{user_id:path}/endpoints", status_code=201, summary="Add an address")
async def add_endpoint(app: App, database: Db, user_id: UserId, body: NewEndpoint) -> EndpointView:
    """Add an address, or confirm that it still holds; an inactive one is used again. A push token moves to this user."""
    address = _normalised(body)
    async with database.transaction(app) as connection:
        person = await people.internal_id(connection, app, user_id)
        await lock_person(connection, app, person)
        confirmed = endpoints.Confirmed(person, body.channel, address, datetime.now(UTC), body.device)
        await endpoints.confirm(connection, app, [confirmed])
        await people.reactivate(connection, app, person, body.channel, address)
        rows = await people.addresses(connection, app, person)
    return next(view_of(row) for row in rows if (row.channel, row.address) == (body.channel, address))


@router.delete("/users/{user_id:path}/endpoints/{endpoint_id}", status_code=204, summary="Use an address no more")
async def deactivate_endpoint(app: App, database: Db, user_id: UserId, endpoint_id: int) -> Response:
    """Nothing is sent to it from now on. It stays listed, inactive, because messages refer to it."""
    async with database.transaction(app) as connection:
        person = await people.internal_id(connection, app, user_id)
        await lock_person(connection, app, person)
        await people.deactivate(connection, app, person, endpoint_id)
    return Response(status_code=204)


def view_of(row: EndpointRow) -> EndpointView:
    """Show one address."""
    return EndpointView(**vars(row))


def _views(rows: Sequence[EndpointRow]) -> list[EndpointView]:
    return [view_of(row) for row in rows]


def _normalised(body: NewEndpoint) -> str:
    try:
        return endpoints.normalised(body.channel, body.address)
    except Invalid as error:
        raise Invalid([replace(problem, pointer="/address") for problem in error.problems]) from error
