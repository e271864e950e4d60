"""Users: who they are, what is known of them, and what happened to them."""

from datetime import datetime
from typing import Annotated, Any

import orjson
from fastapi import Query
from pydantic import AwareDatetime, BaseModel, Field

from api.endpoints import EndpointView, hashes_of, view_of
from api.paging import Cursor, Limit, Page, number, page_of, position
from api.strict import App, Db, UserId, Word, management
from journeys.language.errors import Invalid, Problem
from storage import people
from storage.database import Connection
from storage.people import PersonRow, Sought

router = management("Users")


class UserView(BaseModel):
    """A person. An anonymous one has no `user_id` yet."""

    user_id: str | None = Field(examples=["user-4711"])
    anonymous_ids: list[str] = Field(examples=[["a1b2"]])
    attributes: dict[str, Any] = Field(examples=[{"plan": "pro", "first_name": "Ann"}])
    timezone: str | None = Field(examples=["Europe/Berlin"])
    locale: str | None = Field(examples=["de-DE"])
    created_at: datetime
    updated_at: datetime


class UserWithEndpoints(UserView):
    """A person with their addresses."""

    endpoints: list[EndpointView]


@router.get("/users", summary="List users")
async def list_users(
    app: App,
    database: Db,
    prefix: Annotated[Word | None, Query(description="only those whose user_id begins so", examples=["user-47"])] = None,
    attribute: Annotated[
        list[Word] | None,
        Query(
            description="only those with this attribute, as path=value; may be repeated. The value is read as JSON, else it is text",
            examples=[["plan=pro"]],
            max_length=10,
        ),
    ] = None,
    address: Annotated[Word | None, Query(description="only those who have this address", examples=["ann@example.com"])] = None,
    updated_since: Annotated[
        AwareDatetime | None, Query(description="only those who changed since", examples=["2026-11-01T00:00:00Z"])
    ] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[UserView]:
    """The newest first, anonymous ones too. Filters hold together; all but `address` read through the users one by one."""
    before = position(cursor, number)
    wanted = [_wanted(each) for each in attribute or ()]
    sought = Sought(prefix, wanted, hashes_of(app, address) if address is not None else None, updated_since)
    async with database.transaction(app) as connection:
        rows = await people.page(connection, app, sought=sought, before=before[0] if before else None, most=limit + 1)
    kept, following = page_of(rows, limit, lambda row: [row.id])
    return Page(items=[UserView(**_members(row)) for row in kept], next=following)


@router.get("/users/{user_id:path}", summary="Get a user")
async def get_user(app: App, database: Db, user_id: UserId) -> UserWithEndpoints:
    """One user with attributes and addresses."""
    async with database.transaction(app) as connection:
        return await user_of(connection, app, user_id)


def _wanted(written: str) -> tuple[list[str], Any]:
    """Read path=value. Raises Invalid."""
    path, equals, value = written.partition("=")
    if not equals or not path:
        raise Invalid([Problem("/attribute", "no_path_and_value", "write it as plan=pro, or address.city=Berlin")])
    try:
        return path.split("."), orjson.loads(value)
    except orjson.JSONDecodeError:
        return path.split("."), value


async def user_of(connection: Connection, app: str, user_id: str) -> UserWithEndpoints:
    """Show one user by the caller's id. Raises NotFound."""
    row = await people.person(connection, app, user_id)
    addresses = await people.addresses(connection, app, row.id)
    return UserWithEndpoints(**_members(row), endpoints=[view_of(address) for address in addresses])


def _members(row: PersonRow) -> dict[str, Any]:
    return {name: value for name, value in vars(row).items() if name != "id"}
