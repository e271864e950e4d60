"""Addresses that must not be written to, by (app, channel, keyed hash), whoever they belong to.

Callers name an address by its plain hash (storage.ids.address_hash). What is stored is that under a key which is not in the database, so
the table alone tells nothing of erased people, and whoever has the key and the address finds it again (decision 0057).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import text

from storage.database import Connection
from storage.standing import lock_address

Reason = Literal["bounce", "complaint", "manual", "provider"]
STOP = "stop_word"
"""Source of what a text asked for that came from an address which nobody has."""


@dataclass(frozen=True)
class Suppression:
    """One suppressed address. `source` says who asked: a provider, a person, an import. `id` is the hash as it is stored."""

    channel: str
    id: bytes
    reason: Reason
    source: str
    created_at: datetime


# In order of id, as every locker of several people does.
_LOCK_OWNERS = text(
    "SELECT u.id FROM users u WHERE u.app = :app AND u.id IN"
    " (SELECT e.user_id FROM endpoints e WHERE e.app = :app AND e.channel = :channel AND e.address_hash = :address_hash)"
    " ORDER BY u.id FOR NO KEY UPDATE"
)
_LOCK_ALL_OWNERS = text(
    "SELECT u.id FROM users u WHERE u.app = :app AND u.id IN"
    " (SELECT e.user_id FROM endpoints e WHERE e.app = :app AND e.channel = :channel AND e.address_hash = ANY(CAST(:hashes AS bytea[])))"
    " ORDER BY u.id FOR NO KEY UPDATE"
)
# What providers said of it, and its own STOP: its owner's START lifts that, and a person's block or a complaint takes its place.
_TOLD = "(reason IN ('bounce', 'provider') OR source = :stop)"
_RELEASE_TOLD = text(f"""
    DELETE FROM suppressions WHERE app = :app AND channel = :channel AND address_hash = ANY(suppression_hashes(:plain))
        AND {_TOLD} RETURNING 1
""")
_TAKE_BACK = text("""
    DELETE FROM suppressions WHERE app = :app AND channel = :channel AND address_hash = ANY(suppression_hashes(:plain))
        AND reason IN ('bounce', 'provider') AND source = :source AND created_at < CAST(:before AS timestamptz) RETURNING 1
""")
_SUPPRESS = text(f"""
    WITH stronger AS (
      UPDATE suppressions SET reason = :reason, source = :source, created_at = clock_timestamp()
      WHERE app = :app AND channel = :channel AND address_hash = ANY(suppression_hashes(:plain)) AND {_TOLD}
        AND CAST(:reason AS text) IN ('manual', 'complaint') AND CAST(:source AS text) <> :stop
    )
    INSERT INTO suppressions (app, channel, address_hash, key_id, reason, source, created_at)
    SELECT :app, :channel, suppression_hash(:plain), suppression_key_id(), :reason, :source, clock_timestamp()
    WHERE NOT EXISTS (SELECT FROM suppressions s WHERE s.app = :app AND s.channel = :channel
        AND s.address_hash = ANY(suppression_hashes(:plain)))
    ON CONFLICT (app, channel, address_hash) DO NOTHING
""")
_RELEASE = text("""
    DELETE FROM suppressions WHERE app = :app AND channel = :channel AND address_hash = ANY(suppression_hashes(:plain))
    RETURNING channel, address_hash AS id, reason, source, created_at
""")
_GET = text("""
    SELECT channel, address_hash AS id, reason, source, created_at FROM suppressions
    WHERE app = :app AND channel = :channel AND address_hash = ANY(suppression_hashes(:plain))
""")


async def suppress(connection: Connection, app: str, channel: str, address_hash: bytes, *, reason: Reason, source: str) -> None:
    """Suppress an address under the locks of everybody who has it. The first reason stays, but for a person's block and a complaint.

    Those count more than what a provider says of the address, and than its own STOP, whichever came first.
    The lock on the address itself covers messages to it that belong to no user, and comes after the rows of users, as in a claim.
    """
    await connection.execute(_LOCK_OWNERS, {"app": app, "channel": channel, "address_hash": address_hash})
    await lock_address(connection, address_hash)
    await connection.execute(_SUPPRESS, _values(app, channel, address_hash, reason, source))


async def suppress_all(connection: Connection, app: str, channel: str, reasons: Mapping[bytes, Reason], *, source: str) -> None:
    """Suppress several addresses, each with its reason, under the locks of everybody who has one of them, taken at once and in order."""
    hashes = sorted(reasons)
    await connection.execute(_LOCK_ALL_OWNERS, {"app": app, "channel": channel, "hashes": hashes})
    for address_hash in hashes:
        await lock_address(connection, address_hash)
        await connection.execute(_SUPPRESS, _values(app, channel, address_hash, reasons[address_hash], source))


def _values(app: str, channel: str, address_hash: bytes, reason: Reason, source: str) -> dict[str, object]:
    return {"app": app, "channel": channel, "plain": address_hash, "reason": reason, "source": source, "stop": STOP}


async def release_told(connection: Connection, app: str, channel: str, address_hash: bytes) -> bool:
    """The address has shown that it lives: lift what providers said of it, and its own STOP. What people decided and complaints stay."""
    await lock_address(connection, address_hash)
    keys = {"app": app, "channel": channel, "plain": address_hash, "stop": STOP}
    return (await connection.execute(_RELEASE_TOLD, keys)).first() is not None


async def take_back(connection: Connection, app: str, channel: str, address_hash: bytes, *, source: str, before: datetime) -> bool:
    """Lift what this provider had said of the address before that moment, and nothing that others, its owner or the team said."""
    await lock_address(connection, address_hash)
    keys = {"app": app, "channel": channel, "plain": address_hash, "source": source, "before": before}
    return (await connection.execute(_TAKE_BACK, keys)).first() is not None


async def release(connection: Connection, app: str, channel: str, address_hash: bytes) -> Suppression | None:
    """Let an address be written to again, named by its plain hash or by its id; return what it was, None when it was not suppressed."""
    row = (await connection.execute(_RELEASE, {"app": app, "channel": channel, "plain": address_hash})).first()
    return Suppression(row.channel, row.id, row.reason, row.source, row.created_at) if row else None


async def get(connection: Connection, app: str, channel: str, address_hash: bytes) -> Suppression | None:
    row = (await connection.execute(_GET, {"app": app, "channel": channel, "plain": address_hash})).first()
    return Suppression(row.channel, row.id, row.reason, row.source, row.created_at) if row else None


_PAGE = text("""
    SELECT s.channel, s.address_hash AS id, s.reason, s.source, s.created_at FROM suppressions s
    WHERE s.app = :app AND (CAST(:channel AS text) IS NULL OR s.channel = :channel)
        AND (CAST(:at AS timestamptz) IS NULL OR (s.created_at, s.address_hash) < (:at, CAST(:hash AS bytea)))
    ORDER BY s.created_at DESC, s.address_hash DESC LIMIT :most
""")


async def page(
    connection: Connection, app: str, *, channel: str | None = None, before: tuple[datetime, bytes] | None = None, most: int = 50
) -> list[Suppression]:
    """The newest first; `before` is (created_at, id) of the last one of the page before."""
    at, address_hash = before or (None, None)
    key = {"app": app, "channel": channel, "at": at, "hash": address_hash, "most": most}
    return [Suppression(**row) for row in (await connection.execute(_PAGE, key)).mappings()]


_LEFT = text("SELECT count(*) FROM suppressions WHERE app = :app AND key_id IS DISTINCT FROM suppression_key_id()")
# Where both forms are there, the one under the newest key stays.
_FORGET_PLAIN_DOUBLES = text("""
    DELETE FROM suppressions s WHERE s.app = :app AND s.key_id IS NULL AND EXISTS (SELECT FROM suppressions k
        WHERE k.app = s.app AND k.channel = s.channel AND k.key_id IS NOT NULL AND k.address_hash = ANY(suppression_hashes(s.address_hash)))
""")
_KEY_PLAIN = text("""
    UPDATE suppressions SET address_hash = suppression_hash(address_hash), key_id = suppression_key_id()
    WHERE app = :app AND key_id IS NULL
""")
# Of a hash under an older key the address is not known any more, unless somebody has it.
_KEY_KNOWN = text("""
    UPDATE suppressions s SET address_hash = suppression_hash(e.plain), key_id = suppression_key_id()
    FROM (SELECT DISTINCT channel, address_hash AS plain FROM endpoints WHERE app = :app) AS e
    WHERE s.app = :app AND s.channel = e.channel AND s.key_id <> suppression_key_id() AND s.address_hash = ANY(suppression_hashes(e.plain))
""")


@dataclass(frozen=True)
class Rekeyed:
    """`left` still stand under an older key, which must stay in the settings for as long as there are any."""

    rekeyed: int
    left: int


async def rekey(connection: Connection, app: str) -> Rekeyed:
    """Put suppressions under the newest key: plain ones, and those of addresses that somebody has."""
    key = {"app": app}
    await connection.execute(_FORGET_PLAIN_DOUBLES, key)
    rekeyed = sum([(await connection.execute(statement, key)).rowcount for statement in (_KEY_PLAIN, _KEY_KNOWN)])
    return Rekeyed(rekeyed, int((await connection.execute(_LEFT, key)).scalar_one()))
