"""Which segments are followed: their members are kept, so that coming and going is told. What is published decides it."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import text

from journeys.language.codec import condition_hash, from_json
from journeys.language.conditions import InSegment, Or
from journeys.language.segments import asks_sql, listened_to, reached, subjects
from storage import campaigns, journeys, segments
from storage.database import Connection
from storage.ids import length_prefixed
from storage.segments import Definition


@dataclass(frozen=True)
class Follow:
    """A followed segment. `read_to`: its census has come to this internal id; None: it is done. `is_busy`: somebody is at it now."""

    segment: str
    fingerprint: str
    read_to: int | None
    is_busy: bool = False

    def has_read(self, user_id: int) -> bool:
        return self.read_to is None or user_id <= self.read_to


_TAKE = text("DELETE FROM segment_changes WHERE seq IN (SELECT seq FROM segment_changes WHERE user_id IS NULL LIMIT 1000) RETURNING app")
_DROP = text("DELETE FROM segment_follows WHERE app = :app AND segment <> ALL (CAST(:names AS text[]))")
_KEEP = text("""
    INSERT INTO segment_follows AS f (app, segment, fingerprint)
    SELECT :app, n.segment, n.fingerprint FROM unnest(CAST(:names AS text[]), CAST(:fingerprints AS text[])) AS n (segment, fingerprint)
    -- A census holds the row of its segment for seconds.
    WHERE NOT EXISTS (SELECT FROM segment_follows f WHERE f.app = :app AND f.segment = n.segment AND f.fingerprint = n.fingerprint)
    ON CONFLICT (app, segment) DO UPDATE SET fingerprint = EXCLUDED.fingerprint, waits_for = NULL, read_to = 0, followed_at = NULL
        WHERE f.fingerprint <> EXCLUDED.fingerprint
""")
_FORGET_WATCHES = text("DELETE FROM segment_watches WHERE app = :app")
_WATCH = text("""
    INSERT INTO segment_watches (app, about, segment)
    SELECT :app, w.about, w.segment FROM unnest(CAST(:abouts AS text[]), CAST(:names AS text[])) AS w (about, segment)
""")


async def take_published(connection: Connection) -> Sequence[str]:
    """The apps in which something was published since the last time; taken with the transaction."""
    return sorted(set((await connection.execute(_TAKE)).scalars()))


async def settle(connection: Connection, app: str) -> None:
    """Follow what journeys that people may enter or are inside listen to, and campaigns that go on or are paused, and nothing else.

    A segment that is new here, or comes to other definitions than before, is read again from the start.
    """
    await journeys.lock_publishing(connection, app)
    written = [from_json(each.definition) for each in await journeys.in_use(connection, app)]
    triggers = await campaigns.triggers(connection, app)
    names = listened_to(written, [each.name for each in await segments.live(connection, app)], triggers)
    meant = {name: found for name, found in (await definitions(connection, app, names)).items() if not asks_sql(found)}
    kept = {"app": app, "names": list(meant), "fingerprints": [fingerprint(each) for each in meant.values()]}
    await connection.execute(_DROP, kept)
    await connection.execute(_KEEP, kept)
    watches = [(about, name) for name, each in meant.items() for about in subjects(each)]
    await connection.execute(_FORGET_WATCHES, {"app": app})
    await connection.execute(_WATCH, {"app": app, "abouts": [about for about, _ in watches], "names": [name for _, name in watches]})


async def definitions(connection: Connection, app: str, names: Collection[str]) -> dict[str, Mapping[str, Definition]]:
    """For each of these segments all definitions that it comes to, its own among them; what is not there is not in it."""
    found = await segments.come_to(connection, app, Or([InSegment(name) for name in sorted(names)])) if names else {}
    return {name: reached(name, found) for name in sorted(names) if name in found}


def fingerprint(meant: Mapping[str, Definition]) -> str:
    """Of everything that a segment comes to."""
    parts = [part for name, each in meant.items() for part in (name, each if isinstance(each, str) else condition_hash(each))]
    return hashlib.sha256(length_prefixed(*parts)).hexdigest()


_FOLLOWED = text("SELECT segment, fingerprint, read_to FROM segment_follows WHERE app = :app ORDER BY segment")
_HOLD = text("""
    SELECT segment, fingerprint, read_to FROM segment_follows WHERE app = :app AND read_to IS NULL ORDER BY segment FOR NO KEY UPDATE
""")
_HOLD_UNREAD = text("""
    SELECT segment, fingerprint, read_to FROM segment_follows WHERE app = :app AND read_to IS NOT NULL ORDER BY segment
    FOR NO KEY UPDATE SKIP LOCKED
""")


async def followed(connection: Connection, app: str) -> Sequence[Follow]:
    """What is followed. Until this transaction ends nobody else reads for this app: of two readings the older must not win.

    What a census is at is not waited for: it is busy. Of the others it is told how they stand under their lock.
    """
    given = {"app": app}
    found = [Follow(*row) for row in await connection.execute(_FOLLOWED, given)]
    held = [Follow(*row) for row in await connection.execute(_HOLD, given)]
    if any(each.read_to is not None for each in found):
        held += [Follow(*row) for row in await connection.execute(_HOLD_UNREAD, given)]
    by_name = {each.segment: each for each in held}
    return [by_name.get(each.segment, replace(each, is_busy=True)) for each in found]


# Triggers look for watches after their statement has written, so a transaction that missed the new ones has an id by now.
_MARK = text(
    "UPDATE segment_follows SET waits_for = pg_snapshot_xmax(pg_current_snapshot()) WHERE read_to IS NOT NULL AND waits_for IS NULL"
)
_NEXT = text("""
    SELECT app, segment, fingerprint, read_to FROM segment_follows
    WHERE read_to IS NOT NULL AND waits_for <= pg_snapshot_xmin(pg_current_snapshot()) ORDER BY app, segment LIMIT 1
    FOR NO KEY UPDATE SKIP LOCKED
""")
_ADVANCE = text("""
    UPDATE segment_follows SET read_to = :read_to, followed_at = CASE WHEN CAST(:read_to AS bigint) IS NULL THEN clock_timestamp() END
    WHERE app = :app AND segment = :segment
""")


async def mark_unread(connection: Connection) -> None:
    """Begin to wait for the transactions that did not know of new segments; commit before `next_unread`."""
    await connection.execute(_MARK)


async def next_unread(connection: Connection) -> tuple[str, Follow] | None:
    """An app and one of its segments whose census is not done and that nobody is at; held until the transaction ends."""
    row = (await connection.execute(_NEXT)).first()
    return None if row is None else (row.app, Follow(row.segment, row.fingerprint, row.read_to))


async def advance(connection: Connection, app: str, segment: str, read_to: int | None) -> None:
    """The census has come so far; None: it is done."""
    await connection.execute(_ADVANCE, {"app": app, "segment": segment, "read_to": read_to})
