"""Users: who they are, what is known of them, and what happened to them."""

from datetime import datetime
from typing import Annotated, Any

import orjson
from fastapi import Query
from pydantic import AwareDatetime, BaseModel, Field

from api.endpoints import EndpointView, view_of
from api.paging import Cursor, Limit, Page, moment, number, page_of, position, text
from api.strict import App, Db, UserId, Word, management
from api.words import moment_words
from journeys.language.errors import Invalid, Problem
from storage import endpoints, people, timeline
from storage.database import Connection
from storage.ids import address_hash
from storage.people import PersonRow, Sought
from storage.timeline import Moment

router = management("Users")
_ADDRESS_CHANNELS = ("email", "sms", "whatsapp", "voice", "push", "in_app", "webhook")


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


class TimelineItem(BaseModel):
    """One line. `words` is for people; `kind` says what `fact` holds."""

    at: datetime
    kind: str = Field(description="event, entered, not_entered, step, message, ended or consent", examples=["message"])
    id: str
    words: str = Field(examples=['email "welcome": sent, opened (onboarding: welcome)'])
    fact: dict[str, Any] = Field(examples=[{"channel": "email", "state": "sent", "journey": "onboarding", "step": "welcome"}])


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
    sought = Sought(prefix, wanted, _hashes(app, address) if address is not None else None, updated_since)
    async with database.transaction(app) as connection:
        rows = await people.page(connection, app, sought=sought, before=before[0] if before else None, most=limit + 1)
    kept, following = page_of(rows, limit, lambda row: [row.id])
    return Page(items=[UserView(**_members(row)) for row in kept], next=following)


@router.get("/users/{user_id:path}/timeline", summary="Why did, or didn't, they get this?")
async def get_timeline(app: App, database: Db, user_id: UserId, limit: Limit = 50, cursor: Cursor = None) -> Page[TimelineItem]:
    """Everything that happened to a user, the newest first.

    Events, journeys entered and left (or not entered, and why), what steps decided, messages with their state and reason, consents.
    What they did while anonymous is in it.
    """
    found = position(cursor, moment, text, text)
    before = (found[0], found[1], found[2]) if found else None
    async with database.transaction(app) as connection:
        person = await people.internal_id(connection, app, user_id)
        lines = await timeline.timeline(connection, app, person, before=before, most=limit + 1)
    kept, following = page_of(lines, limit, lambda line: [line.at, line.kind, line.id])
    return Page(items=[_item(line) for line in kept], next=following)


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


def _hashes(app: str, address: str) -> list[tuple[str, bytes]]:
    """What the address would be kept under on each channel that it may belong to."""
    found = []
    for channel in _ADDRESS_CHANNELS:
        try:
            found.append((channel, address_hash(app, channel, endpoints.normalised(channel, address))))
        except Invalid:
            continue
    return found


async def user_of(connection: Connection, app: str, user_id: str) -> UserWithEndpoints:
    """Show one user by the caller's id. Raises NotFound."""
    row = await people.person(connection, app, user_id)
    addresses = await people.addresses(connection, app, row.id)
    return UserWithEndpoints(**_members(row), endpoints=[view_of(address) for address in addresses])


def _members(row: PersonRow) -> dict[str, Any]:
    return {name: value for name, value in vars(row).items() if name != "id"}


def _item(line: Moment) -> TimelineItem:
    return TimelineItem(at=line.at, kind=line.kind, id=line.id, words=moment_words(line.kind, line.fact), fact=line.fact)
