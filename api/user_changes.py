"""Changing users: create or replace, change, and join two of them. Attributes named email and phone are addresses, as with identify."""

import zoneinfo
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Annotated, Any
from uuid import uuid4

from fastapi import Request, Response
from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from api import idempotency
from api.idempotency import IdempotencyKey
from api.strict import App, Body, Db, UserId, Word, management
from api.users import UserWithEndpoints, user_of
from journeys.language.errors import Conflict, Invalid, Problem
from storage import endpoints, events, people
from storage.attributes import COLUMN_KEYS, LOCALE, TIMEZONE
from storage.database import Connection
from storage.events import Address, Incoming
from storage.standing import lock_person

router = management("Users")
_ADDRESSES = {"email": "email", "phone": "sms"}


@cache
def _zones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())


def _a_zone(zone: str) -> str:
    if zone not in _zones():
        raise PydanticCustomError("invalid_timezone", "an IANA zone such as Europe/Berlin")
    return zone


def _not_reserved(attributes: dict[str, Any]) -> dict[str, Any]:
    if not COLUMN_KEYS.isdisjoint(attributes):
        raise PydanticCustomError("reserved_trait_name", "timezone and locale stand beside the attributes")
    return attributes


Zone = Annotated[Word, AfterValidator(_a_zone)]
Attributes = Annotated[dict[Word, Any], AfterValidator(_not_reserved)]


class PutUser(Body):
    """Everything that is known of a user: what is not named here is removed."""

    attributes: Attributes = Field(default_factory=dict, examples=[{"plan": "pro", "email": "ann@example.com"}])
    timezone: Zone | None = Field(None, description="an IANA zone", examples=["Europe/Berlin"])
    locale: Word | None = Field(None, examples=["de-DE"])


class PatchUser(Body):
    """What changes. What is not named stays, null removes it, and objects are merged member by member (RFC 7396)."""

    attributes: Attributes = Field(default_factory=dict, examples=[{"plan": "pro", "nickname": None}])
    timezone: Zone | None = Field(None, description="an IANA zone; null removes it", examples=["Europe/Berlin"])
    locale: Word | None = Field(None, description="null removes it", examples=["de-DE"])


class MergeUsers(Body):
    """Who turned out to be the same person."""

    from_user_id: Word = Field(description="this one becomes a part of the user in the path", examples=["user-0815"])


@router.put("/users/{user_id:path}", summary="Create or replace a user")
async def put_user(app: App, database: Db, user_id: UserId, body: PutUser) -> UserWithEndpoints:
    """What is known of the user afterwards is what stands here: attributes that are not named are removed.

    An `email` or `phone` (with country code) is an address too, as with `identify`. Addresses that are not named stay: deactivate them.
    """

    def changes(known: Mapping[str, Any]) -> dict[str, Any]:
        return {**dict.fromkeys(known), **body.attributes, TIMEZONE: body.timezone, LOCALE: body.locale}

    return await _change(database, app, user_id, changes, body.attributes)


@router.patch("/users/{user_id:path}", summary="Change a user")
async def patch_user(app: App, database: Db, user_id: UserId, body: PatchUser) -> UserWithEndpoints:
    """Set what is named, leave the rest; null removes. A user who is not known yet is made.

    An `email` or `phone` (with country code) is an address too, as with `identify`.
    """
    beside = {
        key: value for key, value in ((TIMEZONE, body.timezone), (LOCALE, body.locale)) if key.removeprefix("$") in body.model_fields_set
    }

    def changes(known: Mapping[str, Any]) -> dict[str, Any]:
        return {**{key: _merged(known.get(key), value) for key, value in body.attributes.items()}, **beside}

    return await _change(database, app, user_id, changes, body.attributes)


@router.post("/users/{user_id:path}/merge", summary="Two users are one person", response_model=UserWithEndpoints)
async def merge_users(
    request: Request, app: App, database: Db, user_id: UserId, body: MergeUsers, idempotency_key: IdempotencyKey = None
) -> Response:
    """The other user becomes a part of this one, for good, and both ids name the one person from now on.

    Attributes (the later change of each wins), events, addresses, consents, enrollments and messages come along. Of two open enrollments
    in one journey the older stays.
    """
    key = idempotency.named(idempotency_key)

    async def merge(connection: Connection) -> Response:
        async def work() -> UserWithEndpoints:
            await _merge(connection, app, user_id, body.from_user_id)
            return await user_of(connection, app, user_id)

        return await idempotency.once(connection, app, request, key, body=body, work=work)

    answer = await database.run(merge, app)
    request.app.state.notify()
    return answer


async def _change(
    database: Db, app: str, user_id: str, changes: Callable[[Mapping[str, Any]], Mapping[str, Any]], named: Mapping[str, Any]
) -> UserWithEndpoints:
    """Make the change that `changes` names for what is known of the user, under their lock."""
    addresses = _addresses(named)

    async def write(connection: Connection) -> UserWithEndpoints:
        known = await _locked_attributes(connection, app, user_id)
        now = datetime.now(UTC)
        change = Incoming(f"change-user-{uuid4()}", now, user_id=user_id, traits=changes(known), addresses=addresses)
        await events.accept(connection, app, [change], received_at=now)
        return await user_of(connection, app, user_id)

    return await database.run(write, app)


async def _locked_attributes(connection: Connection, app: str, user_id: str) -> Mapping[str, Any]:
    internal = await people.find(connection, app, user_id)
    person = await lock_person(connection, app, internal) if internal is not None else None
    return person.attributes if person is not None else {}


async def _merge(connection: Connection, app: str, survivor: str, loser: str) -> None:
    """Join two known users, as an alias with a server's key does. Raises NotFound, or Conflict when they are one already."""
    one, other = await people.internal_id(connection, app, survivor), await people.find(connection, app, loser)
    if other is None:
        raise Invalid([Problem("/from_user_id", "no_such_user", "no user has this id")])
    if one == other:
        raise Conflict("these two ids name one person already")
    now = datetime.now(UTC)
    said = Incoming(f"merge-users-{uuid4()}", now, user_id=survivor, previous_id=loser, joins=True)
    await events.accept(connection, app, [said], received_at=now)
    if await people.find(connection, app, loser) != await people.find(connection, app, survivor):
        raise Conflict("an anonymous id has the name of that user: the two cannot be told apart")


def _merged(known: Any, change: Any) -> Any:
    """What a member becomes under RFC 7396; null removes it."""
    if not isinstance(change, dict):
        return change
    members = dict(known) if isinstance(known, dict) else {}
    for name, value in change.items():
        if value is None:
            members.pop(name, None)
        else:
            members[name] = _merged(members.get(name), value)
    return members


def _addresses(attributes: Mapping[str, Any]) -> list[Address]:
    """The addresses that the attributes name. Raises Invalid."""
    found, broken = [], []
    for name, channel in _ADDRESSES.items():
        value = attributes.get(name)
        if value is None:
            continue
        try:
            found.append(Address(channel, endpoints.normalised(channel, value if isinstance(value, str) else "")))
        except Invalid as error:
            broken += [Problem(f"/attributes/{name}", problem.code, problem.message) for problem in error.problems]
    if broken:
        raise Invalid(broken)
    return found
