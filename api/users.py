"""Users: who they are, what is known of them, and what happened to them."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from pydantic import BaseModel, Field

from api.endpoints import EndpointView, view_of
from api.paging import Cursor, Limit, Page, moment, number, page_of, position, text
from api.strict import App, Body, Db, UserId, Word, management
from api.words import moment_words
from storage import events, people, timeline
from storage.database import Connection
from storage.people import PersonRow
from storage.timeline import Moment

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


class PutUser(Body):
    """What to set. Attributes that are not named stay; null removes one."""

    attributes: dict[Word, Any] = Field(default_factory=dict, examples=[{"plan": "pro", "nickname": None}])
    timezone: Word | None = Field(None, description="an IANA zone", examples=["Europe/Berlin"])
    locale: Word | None = Field(None, examples=["de-DE"])


class TimelineItem(BaseModel):
    """One line. `words` is for people; `kind` says what `fact` holds."""

    at: datetime
    kind: str = Field(description="event, entered, not_entered, step, message, ended or consent", examples=["message"])
    id: str
    words: str = Field(examples=['email "welcome": sent, opened (onboarding: welcome)'])
    fact: dict[str, Any] = Field(examples=[{"channel": "email", "state": "sent", "journey": "onboarding", "step": "welcome"}])


@router.get("/users", summary="List users")
async def list_users(app: App, database: Db, limit: Limit = 50, cursor: Cursor = None) -> Page[UserView]:
    """The newest first, anonymous ones too."""
    before = position(cursor, number)
    async with database.transaction(app) as connection:
        rows = await people.page(connection, app, before=before[0] if before else None, most=limit + 1)
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
        return await _user(connection, app, user_id)


@router.put("/users/{user_id:path}", summary="Create or change a user")
async def put_user(app: App, database: Db, user_id: UserId, body: PutUser) -> UserWithEndpoints:
    """Set attributes, as `identify` does: attributes that are not named stay, null removes one, the latest change wins.

    An `email` or `phone` here is an attribute and no address: add addresses as endpoints.
    """
    now = datetime.now(UTC)
    change = events.Incoming(
        event_id=f"put-user-{uuid4()}",
        occurred_at=now,
        user_id=user_id,
        traits=body.attributes,
        timezone=body.timezone,
        locale=body.locale,
    )

    async def write(connection: Connection) -> UserWithEndpoints:
        await events.accept(connection, app, [change], received_at=now)
        return await _user(connection, app, user_id)

    return await database.run(write, app)


async def _user(connection: Connection, app: str, user_id: str) -> UserWithEndpoints:
    row = await people.person(connection, app, user_id)
    addresses = await people.addresses(connection, app, row.id)
    return UserWithEndpoints(**_members(row), endpoints=[view_of(address) for address in addresses])


def _members(row: PersonRow) -> dict[str, Any]:
    return {name: value for name, value in vars(row).items() if name != "id"}


def _item(line: Moment) -> TimelineItem:
    return TimelineItem(at=line.at, kind=line.kind, id=line.id, words=moment_words(line.kind, line.fact), fact=line.fact)
