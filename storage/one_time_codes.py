"""Codes that a person types in: what was asked for, what was sent, and how often something was typed in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text

from storage import direct_sends, unconfirmed
from storage.database import Connection

MOST_TRIES = 5


@dataclass(frozen=True)
class NewCode:
    """A code that is asked for. `ways` are [channel, address] in their order; none: the user is not known.

    `counted_by`: hashes of everybody whose limits it counts against.
    """

    id: UUID
    whom: bytes
    counted_by: Sequence[bytes]
    user_id: int | None
    ways: Sequence[tuple[str, str]]
    length: int
    template: str | None
    data: Mapping[str, Any]
    lives: timedelta


@dataclass(frozen=True)
class OpenCode:
    """A code whose message is being looked after. `state` is that of its message, None before the first is planned."""

    app: str
    id: UUID
    user_id: int | None
    ways: Sequence[tuple[str, str]]
    sends: int
    length: int
    template: str | None
    data: Mapping[str, Any]
    message_id: UUID | None
    state: str | None
    has_bounced: bool
    since_send: timedelta
    left: timedelta


@dataclass(frozen=True)
class Counted:
    """How many codes were asked for within a span, and when the oldest of them leaves it."""

    n: int
    oldest_at: datetime | None = None
    now: datetime | None = None


@dataclass(frozen=True)
class Typed:
    """What a try is compared with: at most five tries reach this."""

    code_hash: bytes | None = field(repr=False)
    is_last: bool


_LOCK = text("""
SELECT pg_advisory_xact_lock(hashtextextended(h.name, 7305204))
FROM (SELECT DISTINCT encode(g, 'hex') AS name FROM unnest(CAST(:keys AS bytea[])) AS g ORDER BY 1 OFFSET 0) h
""")
_INSERT = text("""
INSERT INTO one_time_codes (app, id, whom, counted_by, user_id, ways, length, template, data, expires_at)
VALUES (:app, :id, :whom, :counted_by, :user_id, :ways, :length, :template, :data, clock_timestamp() + CAST(:lives AS interval))
RETURNING expires_at
""")
# A code that is over tells nobody where it went.
_REVOKE = text("""
UPDATE one_time_codes SET expires_at = clock_timestamp(), due_at = NULL, ways = '[]', data = '{}'
WHERE app = :app AND whom = :whom AND id <> :id AND verified_at IS NULL AND expires_at > clock_timestamp() RETURNING message_id
""")
# Of several the one that has reached it, and of those the one that takes the longest to leave the span.
_COUNT = text("""
SELECT c.n, c.oldest_at, clock_timestamp() AS now FROM unnest(CAST(:keys AS bytea[])) AS k (key) CROSS JOIN LATERAL (
  SELECT count(*) AS n, min(o.created_at) AS oldest_at FROM (SELECT created_at FROM one_time_codes
    WHERE app = :app AND counted_by @> ARRAY[k.key] AND created_at > clock_timestamp() - CAST(:span AS interval)
    ORDER BY created_at DESC LIMIT :most) o
) c ORDER BY c.n DESC, c.oldest_at DESC LIMIT 1
""")
_COUNT_OF_APP = text("""
SELECT count(*) AS n, min(created_at) AS oldest_at, clock_timestamp() AS now FROM (SELECT created_at FROM one_time_codes
WHERE app = :app AND created_at > clock_timestamp() - CAST(:span AS interval) ORDER BY created_at DESC LIMIT :most) c
""")
_SENT = text("""
UPDATE one_time_codes SET code_hash = :code_hash, message_id = :message_id, sends = sends + 1, sent_at = clock_timestamp(),
  due_at = clock_timestamp() + CAST(:look_after AS interval)
WHERE app = :app AND id = :id
""")
_OPEN = """
SELECT c.app, c.id, c.user_id, c.ways, c.sends, c.length, c.template, c.data, c.message_id, m.state,
  m.bounced_at IS NOT NULL AS has_bounced, clock_timestamp() - c.sent_at AS since_send, c.expires_at - clock_timestamp() AS "left"
FROM one_time_codes c LEFT JOIN messages m ON m.app = c.app AND m.id = c.message_id
"""
_DUE = text("SELECT app, id FROM one_time_codes WHERE due_at <= clock_timestamp() ORDER BY due_at LIMIT :most")
# What became of the message is read when the lock is held: who noted a bounce just before has committed it then, and who does so later
# waits for us, and makes the code due again.
_TAKE = text("SELECT id FROM one_time_codes WHERE app = :app AND id = :id AND due_at <= clock_timestamp() FOR UPDATE SKIP LOCKED")
_TAKEN = text(_OPEN + "WHERE c.app = :app AND c.id = :id")
# An Idempotency-Key that only looks like ours finds no code with its message.
_BOUNCED = text("""
WITH ours AS MATERIALIZED (
  SELECT id, CAST(split_part(source, ':', 3) AS uuid) AS number FROM messages
  WHERE app = :app AND id = ANY(CAST(:ids AS uuid[])) AND source ~ '^direct:otp:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}:[0-9]+$'
), locked AS MATERIALIZED (
  SELECT c.id FROM one_time_codes c JOIN ours o ON c.id = o.number WHERE c.app = :app ORDER BY c.id FOR UPDATE OF c
)
UPDATE one_time_codes c SET due_at = clock_timestamp() FROM locked l, ours o
WHERE c.app = :app AND c.id = l.id AND o.number = c.id AND c.message_id = o.id AND c.due_at IS NOT NULL
""")
_LOOK_AGAIN = text("UPDATE one_time_codes SET due_at = clock_timestamp() + CAST(:wait AS interval) WHERE app = :app AND id = :id")
_CLOSE = text("UPDATE one_time_codes SET due_at = NULL, ways = '[]', data = '{}' WHERE app = :app AND id = :id RETURNING message_id")
_TYPED = text("""
UPDATE one_time_codes SET tries = tries + 1
WHERE app = :app AND id = :id AND tries < :most AND verified_at IS NULL AND expires_at > clock_timestamp()
RETURNING code_hash, tries >= :most AS is_last
""")
_VERIFIED = text("UPDATE one_time_codes SET verified_at = clock_timestamp() WHERE app = :app AND id = :id RETURNING message_id")
_FORGET = text("DELETE FROM one_time_codes WHERE created_at < clock_timestamp() - CAST(:age AS interval)")


async def lock(connection: Connection, keys: Sequence[bytes]) -> None:
    """Let requests for the same person or neighbourhood of numbers count one after another."""
    await connection.execute(_LOCK, {"keys": keys})


async def count_of(connection: Connection, app: str, keys: Sequence[bytes], span: timedelta, most: int) -> Counted:
    """How many within the span are counted by one of these keys, by whichever has the most; counting ends at `most`."""
    row = (await connection.execute(_COUNT, {"app": app, "keys": keys, "span": span, "most": most})).first()
    return Counted(row.n, row.oldest_at, row.now) if row else Counted(0)


async def count_of_app(connection: Connection, app: str, span: timedelta, most: int) -> Counted:
    row = (await connection.execute(_COUNT_OF_APP, {"app": app, "span": span, "most": most})).one()
    return Counted(row.n, row.oldest_at, row.now)


async def insert(connection: Connection, app: str, code: NewCode) -> datetime:
    """Write a code that is asked for, and end the one before it; return when it expires."""
    revoked = (await connection.execute(_REVOKE, {"app": app, "whom": code.whom, "id": code.id})).scalars().all()
    await direct_sends.drop(connection, app, [each for each in revoked if each is not None], reason="superseded")
    values = {name: getattr(code, name) for name in ("id", "whom", "counted_by", "user_id", "length", "template", "data", "lives")}
    ways = [list(way) for way in code.ways]
    expires_at: datetime = (await connection.execute(_INSERT, {"app": app, "ways": ways, **values})).scalar_one()
    return expires_at


async def sent(connection: Connection, app: str, number: UUID, *, code_hash: bytes, message_id: UUID, look_after: timedelta) -> None:
    """A new code was planned to be sent: from now on only this one is right."""
    values = {"app": app, "id": number, "code_hash": code_hash, "message_id": message_id, "look_after": look_after}
    await connection.execute(_SENT, values)


async def due(connection: Connection, *, most: int = 100) -> list[tuple[str, UUID]]:
    """The codes to look at now, as (app, id)."""
    return [(row.app, row.id) for row in await connection.execute(_DUE, {"most": most})]


async def take(connection: Connection, app: str, number: UUID) -> OpenCode | None:
    """Lock one that is due; None when another process has it, or has had it."""
    keys = {"app": app, "id": number}
    if (await connection.execute(_TAKE, keys)).first() is None:
        return None
    return OpenCode(**(await connection.execute(_TAKEN, keys)).mappings().one())


async def bounced(connection: Connection, app: str, messages: Sequence[UUID]) -> None:
    """Look now at the codes whose newest message is one of these. Before the bounce is noted: a code is locked before its message."""
    await connection.execute(_BOUNCED, {"app": app, "ids": messages})


async def look_again(connection: Connection, app: str, number: UUID, wait: timedelta) -> None:
    await connection.execute(_LOOK_AGAIN, {"app": app, "id": number, "wait": wait})


async def close(connection: Connection, app: str, number: UUID) -> None:
    """Nothing more is sent for it, a message that still waits included; what went out can be typed in until it expires."""
    message_id = (await connection.execute(_CLOSE, {"app": app, "id": number})).scalar()
    await direct_sends.drop(connection, app, [message_id] if message_id else [], reason="expired")


async def typed(connection: Connection, app: str, number: UUID) -> Typed | None:
    """Count one try and return what to compare with; None when it is unknown, expired, used, or was tried five times."""
    row = (await connection.execute(_TYPED, {"app": app, "id": number, "most": MOST_TRIES})).first()
    return Typed(row.code_hash, row.is_last) if row else None


async def verified(connection: Connection, app: str, number: UUID) -> None:
    """It was right: it is used up, in the transaction that counted the try, and its message has arrived."""
    message_id = (await connection.execute(_VERIFIED, {"app": app, "id": number})).scalar_one()
    await unconfirmed.confirm(connection, app, message_id)
    await close(connection, app, number)


async def forget(connection: Connection, age: timedelta) -> int:
    """Forget what is older, of every app; return how many."""
    return int((await connection.execute(_FORGET, {"age": age})).rowcount)
