"""Events of providers: each kept once as it came, and matched with the message that it speaks of, now or within a day."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import text

from storage.database import Connection
from storage.events import claim_ids
from storage.ids import address_hash, length_prefixed

PARKED_FOR = timedelta(hours=24)
KEPT_FOR = timedelta(days=30)


@dataclass(frozen=True)
class ProviderEvent:
    """One event. `kind` is our word; `account` is channel/name. `message_id` and `user_id` are known once it is matched."""

    account: str
    provider: str
    event_id: str
    kind: str
    word: str
    occurred_at: datetime
    message_id: UUID | None = None
    ref: str | None = None
    user_id: int | None = None
    address_hash: bytes | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)
    raw: str = "{}"
    failure: str | None = None
    is_parked: bool = False
    seq: int = 0


@dataclass(frozen=True)
class Spoken:
    """A message that an event speaks of; `address_hash` of where it went, None where that is gone."""

    id: UUID
    user_id: int | None
    channel: str
    address_hash: bytes | None
    message_class: str


_MESSAGES = text("""
    SELECT m.id, m.user_id, m.channel, m.address, e.address_hash, m.message_class FROM messages m
    LEFT JOIN endpoints e ON e.app = m.app AND e.id = m.endpoint_id WHERE m.app = :app AND m.id = ANY(CAST(:ids AS uuid[]))
""")
_BY_REF = text("""
    SELECT ref, message_id FROM provider_refs WHERE app = :app AND provider = ANY(CAST(:providers AS text[]))
        AND ref = ANY(CAST(:refs AS text[]))
""")
_KEEP = text("""
    INSERT INTO provider_events (app, account, provider, event_id, kind, word, message_id, ref, user_id, address_hash, detail, occurred_at,
        failure, parked_until, raw)
    SELECT :app, e.account, e.provider, e.event_id, e.kind, e.word, e.message_id, e.ref, e.user_id, e.address_hash, CAST(e.detail AS jsonb),
        e.occurred_at, e.failure, CASE WHEN e.is_parked THEN clock_timestamp() + make_interval(secs => :parked_s) END, e.raw
    FROM unnest(CAST(:accounts AS text[]), CAST(:providers AS text[]), CAST(:event_ids AS text[]), CAST(:kinds AS text[]),
        CAST(:words AS text[]), CAST(:message_ids AS uuid[]), CAST(:refs AS text[]), CAST(:user_ids AS bigint[]), CAST(:hashes AS bytea[]),
        CAST(:details AS text[]), CAST(:occurred AS timestamptz[]), CAST(:failures AS text[]), CAST(:are_parked AS boolean[]),
        CAST(:raws AS text[]))
        AS e (account, provider, event_id, kind, word, message_id, ref, user_id, address_hash, detail, occurred_at, failure, is_parked, raw)
""")
_OWNERS = text("""
    SELECT e.address_hash, e.user_id FROM endpoints e WHERE e.app = :app AND e.channel = :channel
        AND e.address_hash = ANY(CAST(:hashes AS bytea[])) ORDER BY e.confirmed_at DESC, e.id DESC
""")
_LAST_TO = text("""
    SELECT m.id, m.user_id FROM endpoints e JOIN messages m ON m.app = e.app AND m.user_id = e.user_id AND m.endpoint_id = e.id
    WHERE e.app = :app AND e.channel = :channel AND e.address_hash = :address_hash AND m.id > time_floor(now() - interval '30 days')
        AND m.state IN ('sent', 'claimed', 'unknown')
    ORDER BY m.claimed_at DESC NULLS LAST LIMIT 1
""")
_SOFT = text("""
    SELECT p.address_hash, count(DISTINCT p.message_id) AS messages FROM provider_events p
    WHERE p.app = :app AND p.address_hash = ANY(CAST(:hashes AS bytea[])) AND p.kind = 'bounced' AND p.detail ->> 'hard' = 'false'
        AND p.occurred_at > clock_timestamp() - make_interval(secs => :within_s) GROUP BY p.address_hash
""")
_ASKED_BEFORE = text("""
    SELECT count(*) FROM provider_events p WHERE p.app = :app AND p.address_hash = :address_hash AND p.kind = 'replied'
        AND p.detail ->> 'meaning' = :meaning AND p.received_at > clock_timestamp() - interval '24 hours'
""")
_STOPPED_AFTER = text("""
    SELECT EXISTS (SELECT FROM provider_events p WHERE p.app = :app AND p.address_hash = :address_hash AND p.kind = 'replied'
        AND p.detail ->> 'meaning' = 'stop' AND p.occurred_at > CAST(:at AS timestamptz))
""")
# The oldest first, each by whoever comes first; what waits too long is left as what nobody's message it was.
_FOUND = text("""
    SELECT p.app, p.seq, p.account, p.provider, p.event_id, p.kind, p.word, p.occurred_at, p.ref, p.detail, p.address_hash,
        r.message_id FROM provider_events p
    JOIN provider_refs r ON r.app = p.app AND r.provider = p.provider AND r.ref = p.ref
    WHERE p.parked_until > clock_timestamp() ORDER BY p.parked_until LIMIT :most FOR UPDATE OF p SKIP LOCKED
""")
_MATCH = text("""
    UPDATE provider_events p SET parked_until = NULL, message_id = m.message_id, user_id = m.user_id,
        address_hash = coalesce(m.address_hash, p.address_hash)
    FROM unnest(CAST(:seqs AS bigint[]), CAST(:message_ids AS uuid[]), CAST(:user_ids AS bigint[]), CAST(:hashes AS bytea[]))
        AS m (seq, message_id, user_id, address_hash)
    WHERE p.app = :app AND p.seq = m.seq
""")
_LET_GO = text("UPDATE provider_events SET parked_until = NULL WHERE parked_until <= clock_timestamp()")
_FORGET = text("DELETE FROM provider_events WHERE received_at < clock_timestamp() - make_interval(secs => :kept_s)")


async def claim(connection: Connection, app: str, numbering: str, event_ids: Sequence[str]) -> frozenset[str]:
    """Take events by their provider's ids, unique within `numbering`; return those that had not come before within 30 days."""
    hashes = {_hash(app, numbering, event_id): event_id for event_id in event_ids}
    return frozenset(hashes[hash_] for hash_ in await claim_ids(connection, list(hashes)))


def _hash(app: str, numbering: str, event_id: str) -> bytes:
    return hashlib.sha256(length_prefixed("provider event", app, numbering, event_id)).digest()[:16]


async def spoken_of(
    connection: Connection, app: str, providers: Collection[str], ids: set[UUID], refs: set[str]
) -> tuple[dict[UUID, Spoken], dict[str, UUID]]:
    """The app's messages by our ids and by those of providers: (message by id, id by ref)."""
    by_ref: dict[str, UUID] = {}
    if refs:
        found = await connection.execute(_BY_REF, {"app": app, "providers": list(providers), "refs": list(refs)})
        by_ref = {row.ref: row.message_id for row in found}
    wanted = ids | set(by_ref.values())
    if not wanted:
        return {}, by_ref
    rows = await connection.execute(_MESSAGES, {"app": app, "ids": list(wanted)})
    return {row.id: Spoken(row.id, row.user_id, row.channel, _digest(app, row), row.message_class) for row in rows}, by_ref


def _digest(app: str, row: Any) -> bytes | None:
    if row.address_hash is not None:
        return bytes(row.address_hash)
    return None if row.address is None else address_hash(app, row.channel, row.address)


async def keep(connection: Connection, app: str, events: Sequence[ProviderEvent]) -> None:
    """Write events down as they came."""
    values = {
        "app": app,
        "parked_s": PARKED_FOR.total_seconds(),
        "accounts": [event.account for event in events],
        "providers": [event.provider for event in events],
        "event_ids": [event.event_id for event in events],
        "kinds": [event.kind for event in events],
        "words": [event.word for event in events],
        "message_ids": [event.message_id for event in events],
        "refs": [event.ref for event in events],
        "user_ids": [event.user_id for event in events],
        "hashes": [event.address_hash for event in events],
        "details": [orjson.dumps(event.detail).decode() for event in events],
        "occurred": [event.occurred_at for event in events],
        "failures": [event.failure for event in events],
        "are_parked": [event.is_parked for event in events],
        "raws": [event.raw for event in events],
    }
    await connection.execute(_KEEP, values)


async def owners(connection: Connection, app: str, channel: str, hashes: set[bytes]) -> dict[bytes, list[int]]:
    """Everybody who has these addresses on the channel, who confirmed it last first."""
    found: dict[bytes, list[int]] = {}
    if hashes:
        for row in await connection.execute(_OWNERS, {"app": app, "channel": channel, "hashes": list(hashes)}):
            found.setdefault(bytes(row.address_hash), []).append(row.user_id)
    return found


async def last_to(connection: Connection, app: str, channel: str, address_hash: bytes) -> tuple[UUID, int | None] | None:
    """The message, and its user, that last went to this address within 30 days: what somebody who writes back most likely answers."""
    row = (await connection.execute(_LAST_TO, {"app": app, "channel": channel, "address_hash": address_hash})).first()
    return (row.id, row.user_id) if row else None


async def soft_bounces(connection: Connection, app: str, hashes: set[bytes], within: timedelta) -> dict[bytes, int]:
    """How many messages to each address bounced softly of late."""
    rows = await connection.execute(_SOFT, {"app": app, "hashes": list(hashes), "within_s": within.total_seconds()})
    return {bytes(row.address_hash): row.messages for row in rows}


async def asked_before(connection: Connection, app: str, address_hash: bytes, meaning: str) -> int:
    """How often this address has written a keyword of this meaning within 24 hours."""
    key = {"app": app, "address_hash": address_hash, "meaning": meaning}
    return int((await connection.execute(_ASKED_BEFORE, key)).scalar_one())


async def stopped_after(connection: Connection, app: str, address_hash: bytes, at: datetime) -> bool:
    """Whether this address has written a STOP later than `at`, within the 30 days that events are kept."""
    key = {"app": app, "address_hash": address_hash, "at": at}
    return bool((await connection.execute(_STOPPED_AFTER, key)).scalar_one())


async def found_since(connection: Connection, most: int) -> list[tuple[str, ProviderEvent]]:
    """Parked events of every app whose message is known by now, locked, with that message's id."""
    rows = (await connection.execute(_FOUND, {"most": most})).mappings()
    return [(row["app"], ProviderEvent(**{name: value for name, value in row.items() if name != "app"})) for row in rows]


async def match(connection: Connection, app: str, events: Sequence[ProviderEvent]) -> None:
    """Write down whose messages parked events speak of; they are parked no more."""
    values = {
        "app": app,
        "seqs": [event.seq for event in events],
        "message_ids": [event.message_id for event in events],
        "user_ids": [event.user_id for event in events],
        "hashes": [event.address_hash for event in events],
    }
    await connection.execute(_MATCH, values)


async def let_go(connection: Connection) -> int:
    """Stop looking for messages that have not come within a day, in every app; return how many events."""
    return (await connection.execute(_LET_GO)).rowcount


async def forget(connection: Connection) -> int:
    """Delete events of every app after 30 days; return how many."""
    return (await connection.execute(_FORGET, {"kept_s": KEPT_FOR.total_seconds()})).rowcount
