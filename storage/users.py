"""People: their rows, the lock that everything about a person is done under, and joining two of them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import text

from storage import identities
from storage.attributes import LOCALE, TIMEZONE, Profile
from storage.database import Connection, Contended

# One index probe a person, in the order of the array: the order of the locks is ours and not the planner's. Told are only those
# whose attributes are asked for, and those who are not any more who the caller thinks: joined, known by now, or erased.
_LOCK = text(
    """
    WITH locked AS MATERIALIZED (
        SELECT k.is_read, k.is_known, u.* FROM unnest(CAST(:ids AS bigint[]), CAST(:is_read AS boolean[]), CAST(:is_known AS boolean[]))
            AS k (id, is_read, is_known)
        LEFT JOIN LATERAL (
            SELECT id, user_id, merged_into, timezone, locale,
                CASE WHEN k.is_read THEN attributes END AS attributes, CASE WHEN k.is_read THEN attribute_clock END AS clock
            FROM users WHERE app = :app AND id = k.id FOR NO KEY UPDATE
        ) AS u ON true
    )
    SELECT * FROM locked WHERE is_read OR id IS NULL OR merged_into IS NOT NULL OR (user_id IS NOT NULL) <> is_known
    """
)
_STORE = text(
    """
    UPDATE users u SET attributes = CAST(n.attributes AS jsonb), attribute_clock = CAST(n.clock AS jsonb),
        timezone = n.timezone, locale = n.locale, user_id = coalesce(u.user_id, n.user_id), updated_at = now()
    FROM unnest(CAST(:ids AS bigint[]), CAST(:user_ids AS text[]), CAST(:attributes AS text[]), CAST(:clocks AS text[]),
        CAST(:timezones AS text[]), CAST(:locales AS text[])) AS n (id, user_id, attributes, clock, timezone, locale)
    WHERE u.app = :app AND u.id = n.id
    """
)


async def lock_users(
    connection: Connection, app: str, people: Mapping[int, bool], *, profiles_of: Collection[int] = ()
) -> dict[int, Profile]:
    """Lock people's rows in the order of their internal ids, so that two batches never wait for each other in a ring.

    Take them all at once, before endpoints, enrollments and messages. `people`: internal id -> is their user id known. Returns the
    profiles that were asked for. Raises Contended when somebody was joined with another, became known, or was erased, since the caller
    looked.
    """
    ids = sorted(people)
    parameters = {"ids": ids, "is_read": [id_ in profiles_of for id_ in ids], "is_known": [people[id_] for id_ in ids]}
    rows = (await connection.execute(_LOCK, {"app": app, **parameters})).all()
    if any(row.id is None or row.merged_into is not None or (row.user_id is not None) != row.is_known for row in rows):
        raise Contended("a person was joined with another, or erased, meanwhile")
    return {row.id: _profile(row) for row in rows}


async def resolve(connection: Connection, app: str, *, user_id: str | None = None, anonymous_id: str | None = None) -> int | None:
    """The internal id of a person as they are now, or None. The user id counts where both are given."""
    key = (identities.KNOWN, user_id) if user_id is not None else (identities.ANONYMOUS, anonymous_id or "")
    found = await identities.read(connection, app, [key])
    return found[key][0] if key in found else None


@dataclass(frozen=True)
class Change:
    """What a person's row becomes; `user_id` is written only where the row has none."""

    profile: Profile
    user_id: str | None = None


async def store(connection: Connection, app: str, changes: Mapping[int, Change]) -> None:
    """Write profiles by internal id. The rows must be locked and read before (`lock_users`)."""
    if not changes:
        return
    ids = sorted(changes)
    profiles = [changes[id_].profile for id_ in ids]
    await connection.execute(
        _STORE,
        {
            "app": app,
            "ids": ids,
            "user_ids": [changes[id_].user_id for id_ in ids],
            "attributes": [_json({k: v for k, v in p.attributes.items() if k not in (TIMEZONE, LOCALE)}) for p in profiles],
            "clocks": [_json(p.clock) for p in profiles],
            "timezones": [p.attributes.get(TIMEZONE) for p in profiles],
            "locales": [p.attributes.get(LOCALE) for p in profiles],
        },
    )


def _profile(row: Any) -> Profile:
    columns = {TIMEZONE: row.timezone, LOCALE: row.locale}
    return Profile({**row.attributes, **{key: value for key, value in columns.items() if value is not None}}, row.clock)


def _json(value: Mapping[str, object]) -> str:
    return orjson.dumps(value).decode()
