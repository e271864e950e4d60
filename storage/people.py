"""How management reads people, by the caller's id or page by page, and mends their addresses."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text

from journeys.language.errors import NotFound
from storage.database import Connection


@dataclass(frozen=True)
class PersonRow:
    """One person. `id` is internal; `user_id` is the caller's, absent while the person is anonymous."""

    id: int
    user_id: str | None
    anonymous_ids: list[str]
    attributes: Mapping[str, Any]
    timezone: str | None
    locale: str | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True)
class EndpointRow:
    """One address of a person. `suppression` is why it must not be written to, or None; `user_id` is the caller's, if there is one."""

    id: int
    user_id: str | None
    channel: str
    address: str
    state: str
    reason: str | None
    device: Mapping[str, Any]
    suppression: str | None
    confirmed_at: datetime
    created_at: datetime


_ANONYMOUS = """coalesce((SELECT jsonb_agg(i.value ORDER BY i.created_at, i.value) FROM identities i
    WHERE i.app = u.app AND i.user_id = u.id AND i.kind = 'a'), '[]') AS anonymous_ids"""
_COLUMNS = f"u.id, u.user_id, {_ANONYMOUS}, u.attributes, u.timezone, u.locale, u.created_at, u.updated_at"
_INTERNAL_ID = text("SELECT user_id FROM identities WHERE app = :app AND kind = 'u' AND value = :user_id")
_ONE = text(f"SELECT {_COLUMNS} FROM users u WHERE u.app = :app AND u.id = :id")
# A filter that is not given is null. Attributes are compared as JSON, so a number does not equal its text.
_PAGE = text(f"""
    SELECT {_COLUMNS} FROM users u
    WHERE u.app = :app AND u.merged_into IS NULL AND u.id < coalesce(CAST(:before AS bigint), 9223372036854775807)
        AND (CAST(:prefix AS text) IS NULL OR starts_with(u.user_id, :prefix))
        AND (CAST(:updated_since AS timestamptz) IS NULL OR u.updated_at >= :updated_since)
        AND NOT EXISTS (SELECT FROM jsonb_array_elements(CAST(:attributes AS jsonb)) AS w
            WHERE u.attributes #> ARRAY(SELECT jsonb_array_elements_text(w -> 'path')) IS DISTINCT FROM w -> 'value')
        AND (CAST(:hashes AS bytea[]) IS NULL OR u.id IN (
            SELECT e.user_id FROM endpoints e WHERE e.app = :app AND (e.channel, e.address_hash) IN (
                SELECT * FROM unnest(CAST(:channels AS text[]), CAST(:hashes AS bytea[])))))
    ORDER BY u.id DESC LIMIT :most
""")
_ENDPOINT_ROWS = """
    SELECT e.id, u.user_id, e.channel, e.address, e.state, e.reason, e.device, s.reason AS suppression, e.confirmed_at, e.created_at
    FROM endpoints e JOIN users u ON u.app = e.app AND u.id = e.user_id
    LEFT JOIN suppressions s ON s.app = e.app AND s.channel = e.channel AND s.address_hash = ANY(suppression_hashes(e.address_hash))
"""
_ENDPOINTS = text(f"{_ENDPOINT_ROWS} WHERE e.app = :app AND e.user_id = :user_id ORDER BY e.channel, e.confirmed_at DESC, e.id")
_ENDPOINT = text(f"{_ENDPOINT_ROWS} WHERE e.app = :app AND e.id = :id")
_ENDPOINT_PAGE = text(f"""
    {_ENDPOINT_ROWS}
    WHERE e.app = :app AND (CAST(:before AS bigint) IS NULL OR e.id < :before)
        AND (CAST(:user_id AS bigint) IS NULL OR e.user_id = :user_id)
        AND (CAST(:channel AS text) IS NULL OR e.channel = :channel) AND (CAST(:state AS text) IS NULL OR e.state = :state)
        AND (CAST(:hashes AS bytea[]) IS NULL OR (e.channel, e.address_hash) IN (
            SELECT * FROM unnest(CAST(:channels AS text[]), CAST(:hashes AS bytea[]))))
    ORDER BY e.id DESC LIMIT :most
""")


async def internal_id(connection: Connection, app: str, user_id: str) -> int:
    """The internal id of whom the caller knows by `user_id`. Raises NotFound."""
    found = (await connection.execute(_INTERNAL_ID, {"app": app, "user_id": user_id})).scalar()
    if found is None:
        raise NotFound("no such user")
    return int(found)


async def person(connection: Connection, app: str, user_id: str) -> PersonRow:
    """One person by the caller's id. Raises NotFound."""
    key = {"app": app, "id": await internal_id(connection, app, user_id)}
    return PersonRow(**(await connection.execute(_ONE, key)).mappings().one())


@dataclass(frozen=True)
class Sought:
    """Which people to list; what is left out is not asked. `attributes`: (path, value) that must be equal as JSON.

    `addresses`: (channel, address hash); one of them must be theirs.
    """

    prefix: str | None = None
    attributes: Sequence[tuple[Sequence[str], Any]] = ()
    addresses: Sequence[tuple[str, bytes]] | None = None
    updated_since: datetime | None = None


async def page(connection: Connection, app: str, *, sought: Sought, before: int | None, most: int) -> list[PersonRow]:
    """The newest people first; `before` is the internal id of the last one of the page before."""
    values = {
        "app": app,
        "before": before,
        "most": most,
        "prefix": sought.prefix,
        "updated_since": sought.updated_since,
        "attributes": [{"path": list(path), "value": value} for path, value in sought.attributes],
        "channels": None if sought.addresses is None else [channel for channel, _ in sought.addresses],
        "hashes": None if sought.addresses is None else [digest for _, digest in sought.addresses],
    }
    return [PersonRow(**row) for row in (await connection.execute(_PAGE, values)).mappings()]


async def addresses(connection: Connection, app: str, user_id: int) -> list[EndpointRow]:
    """Every endpoint of the person with this internal id, inactive ones too."""
    rows = await connection.execute(_ENDPOINTS, {"app": app, "user_id": user_id})
    return [EndpointRow(**row) for row in rows.mappings()]


@dataclass(frozen=True)
class SoughtEndpoints:
    """Which addresses to list; what is left out is not asked. `user_id` is internal, `addresses` (channel, address hash)."""

    user_id: int | None = None
    channel: str | None = None
    state: str | None = None
    addresses: Sequence[tuple[str, bytes]] | None = None


async def endpoint_page(connection: Connection, app: str, *, sought: SoughtEndpoints, before: int | None, most: int) -> list[EndpointRow]:
    """Addresses of anybody, the newest first; `before` is the id of the last one of the page before."""
    values = {
        **vars(sought),
        "app": app,
        "before": before,
        "most": most,
        "channels": None if sought.addresses is None else [channel for channel, _ in sought.addresses],
        "hashes": None if sought.addresses is None else [digest for _, digest in sought.addresses],
    }
    del values["addresses"]
    return [EndpointRow(**row) for row in (await connection.execute(_ENDPOINT_PAGE, values)).mappings()]


async def endpoint(connection: Connection, app: str, endpoint_id: int) -> EndpointRow:
    """One address. Raises NotFound."""
    row = (await connection.execute(_ENDPOINT, {"app": app, "id": endpoint_id})).mappings().first()
    if row is None:
        raise NotFound("no such endpoint")
    return EndpointRow(**row)


# Confirming does not bring back what a provider said is dead; a person with a secret key who names the address again does.
_REACTIVATE = text("""
    UPDATE endpoints SET state = 'active', reason = NULL, updated_at = now()
    WHERE app = :app AND user_id = :user_id AND channel = :channel AND address = :address AND state = 'inactive'
""")
_SET = text("""
    UPDATE endpoints SET state = :state, reason = :reason, device = coalesce(CAST(:device AS jsonb), device), updated_at = now()
    WHERE app = :app AND id = :id
""")
_REMOVE = text("DELETE FROM endpoints WHERE app = :app AND id = :id")
# Whose it is may change between looking and locking: a device moves, people are joined.
_LOCK_OWNER = text("""
    SELECT u.id FROM users u JOIN endpoints e ON e.app = u.app AND e.user_id = u.id WHERE e.app = :app AND e.id = :id
    FOR NO KEY UPDATE OF u
""")


async def reactivate(connection: Connection, app: str, user_id: int, channel: str, address: str) -> None:
    """Let this address of the person be used again. The person's row must be locked."""
    await connection.execute(_REACTIVATE, {"app": app, "user_id": user_id, "channel": channel, "address": address})


async def lock_endpoint(connection: Connection, app: str, endpoint_id: int) -> EndpointRow:
    """Lock the row of whose address this is, and read the address. Raises NotFound."""
    await connection.execute(_LOCK_OWNER, {"app": app, "id": endpoint_id})
    return await endpoint(connection, app, endpoint_id)


async def set_endpoint(
    connection: Connection, app: str, endpoint_id: int, *, state: str, reason: str | None, device: Mapping[str, Any] | None = None
) -> None:
    """Use an address, or use it no more, with the reason; and say what device it is, where that is given. Lock it before."""
    values = {"app": app, "id": endpoint_id, "state": state, "reason": reason, "device": device}
    await connection.execute(_SET, values)


async def remove_endpoint(connection: Connection, app: str, endpoint_id: int) -> None:
    """Forget an address. Messages to it stay, without it. Lock it before."""
    await connection.execute(_REMOVE, {"app": app, "id": endpoint_id})


_READER = text(
    "SELECT s.id, s.locale FROM users u JOIN users s ON s.app = u.app AND s.id = coalesce(u.merged_into, u.id)"
    " WHERE u.app = :app AND u.id = :id"
)
_CHANNEL = text("SELECT channel FROM endpoints WHERE app = :app AND id = :id")


@dataclass(frozen=True)
class Reader:
    """Somebody who opens a page of ours: who they are by now, and the language that they read."""

    id: int
    locale: str | None


async def reader(connection: Connection, app: str, internal: int) -> Reader | None:
    """Who this internal id is by now: the survivor where two people were found to be one. None when nobody is left."""
    row = (await connection.execute(_READER, {"app": app, "id": internal})).first()
    return Reader(row.id, row.locale) if row else None


async def channel_of(connection: Connection, app: str, endpoint_id: int) -> str | None:
    """The channel of an endpoint, or None when it is gone."""
    channel: str | None = (await connection.execute(_CHANNEL, {"app": app, "id": endpoint_id})).scalar()
    return channel


async def find(connection: Connection, app: str, user_id: str) -> int | None:
    """The internal id of whom the caller knows by `user_id`, or None."""
    found: int | None = (await connection.execute(_INTERNAL_ID, {"app": app, "user_id": user_id})).scalar()
    return found
