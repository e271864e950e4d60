"""Journeys and their immutable versions."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from journeys.language.codec import from_json
from journeys.language.errors import NotFound
from storage import due_dates, schedules
from storage.database import Connection


@dataclass(frozen=True)
class StoredVersion:
    """One published version; `definition` is canonical JSON."""

    app: str
    journey: str
    version: int
    hash: str
    definition: str


@dataclass(frozen=True)
class JourneyState:
    """A journey as people ask for it: its live version, whether it takes entries, and how many are inside each version."""

    name: str
    live_version: int
    live_hash: str
    accepts_entries: bool
    paused_at: datetime | None
    retired_at: datetime | None
    inside: dict[int, int]


_LOCK = text("SELECT live_version FROM journeys WHERE app = :app AND name = :name FOR UPDATE")
_KNOWN = text("SELECT version FROM journey_versions WHERE app = :app AND journey = :name AND hash = :hash")
_NEXT = text("SELECT coalesce(max(version), 0) + 1 FROM journey_versions WHERE app = :app AND journey = :name")
_MAKE = text(
    "INSERT INTO journeys (app, name, live_version, accepts_entries) VALUES (:app, :name, 0, :accepts_entries) ON CONFLICT DO NOTHING"
)
_ADD = text(
    "INSERT INTO journey_versions (app, journey, version, hash, definition, entry_names, listen_names)"
    " VALUES (:app, :name, :version, :hash, :definition, :entry_names, :listen_names)"
)
_GO_LIVE = text(
    "UPDATE journeys SET live_version = :version, accepts_entries = :accepts_entries, retired_at = NULL, updated_at = now()"
    " WHERE app = :app AND name = :name"
)


async def publish(
    connection: Connection,
    app: str,
    *,
    name: str,
    definition: str,
    content_hash: str,
    entry_names: tuple[str, ...],
    listen_names: tuple[str, ...],
    accepts_entries: bool = True,
) -> int:
    """Make this definition the live version of its journey and return its number. The same content gives the same number."""
    key = {"app": app, "name": name}
    await connection.execute(_MAKE, {**key, "accepts_entries": accepts_entries})
    await connection.execute(_LOCK, key)
    version = (await connection.execute(_KNOWN, {**key, "hash": content_hash})).scalar()
    if version is None:
        version = (await connection.execute(_NEXT, key)).scalar_one()
        names = {"entry_names": list(entry_names), "listen_names": list(listen_names)}
        await connection.execute(_ADD, {**key, **names, "version": version, "hash": content_hash, "definition": definition})
    await connection.execute(_GO_LIVE, {**key, "version": version, "accepts_entries": accepts_entries})
    entry = from_json(definition).starts_on
    await due_dates.follow(connection, app, name, version, entry)
    await schedules.follow(connection, app, name, entry)
    return int(version)


_RETIRE = text(
    "UPDATE journeys SET retired_at = now(), updated_at = now() WHERE app = :app AND name = ANY(:names)"
    " AND retired_at IS NULL RETURNING name"
)


async def retire(connection: Connection, app: str, names: list[str]) -> list[str]:
    """Close these journeys for entries; people inside finish. Returns those that were not retired before."""
    retired = sorted((await connection.execute(_RETIRE, {"app": app, "names": names})).scalars())
    await due_dates.forget(connection, app, retired)
    await schedules.forget(connection, app, retired)
    return retired


_PAUSE = text(
    "UPDATE journeys SET paused_at = CASE WHEN :paused THEN coalesce(paused_at, now()) END, updated_at = now()"
    " WHERE app = :app AND name = :name RETURNING name"
)
_PAUSE_APP = text("UPDATE apps SET paused_at = CASE WHEN :paused THEN coalesce(paused_at, now()) END WHERE id = :app")


async def set_paused(connection: Connection, app: str, name: str | None, *, paused: bool) -> None:
    """Hold, or let go, every send of one journey, or with no name of the whole app. Raises NotFound for an unknown journey."""
    if name is None:
        await connection.execute(_PAUSE_APP, {"app": app, "paused": paused})
    elif (await connection.execute(_PAUSE, {"app": app, "name": name, "paused": paused})).first() is None:
        raise NotFound("no such journey")


_ENTERED_BY = text(
    "SELECT v.app, v.journey, v.version, v.hash, v.definition FROM journeys j"
    " JOIN journey_versions v ON v.app = j.app AND v.journey = j.name AND v.version = j.live_version"
    " WHERE j.app = :app AND j.accepts_entries AND j.retired_at IS NULL AND :name = ANY(v.entry_names) ORDER BY v.journey"
)
_VERSION = text(
    "SELECT app, journey, version, hash, definition FROM journey_versions WHERE app = :app AND journey = :name AND version = :version"
)
_LIVE = text(
    "SELECT v.app, v.journey, v.version, v.hash, v.definition FROM journeys j"
    " JOIN journey_versions v ON v.app = j.app AND v.journey = j.name AND v.version = j.live_version"
    " WHERE j.app = :app AND j.retired_at IS NULL ORDER BY v.journey"
)


async def entered_by(connection: Connection, app: str, event_name: str) -> list[StoredVersion]:
    """The live versions that an event of this name may start, by journey name."""
    return [StoredVersion(*row) for row in await connection.execute(_ENTERED_BY, {"app": app, "name": event_name})]


_OPEN = text(
    "SELECT v.app, v.journey, v.version, v.hash, v.definition, j.accepts_entries, j.retired_at IS NOT NULL AS is_retired FROM journeys j"
    " JOIN journey_versions v ON v.app = j.app AND v.journey = j.name AND v.version = j.live_version WHERE j.app = :app AND j.name = :name"
)


async def open_to_entries(connection: Connection, app: str, name: str) -> StoredVersion | str:
    """The live version that people enter now, or the reason why nobody does: no_such_journey, retired or entries_closed."""
    row = (await connection.execute(_OPEN, {"app": app, "name": name})).first()
    if row is None:
        return "no_such_journey"
    if row.is_retired or not row.accepts_entries:
        return "retired" if row.is_retired else "entries_closed"
    return StoredVersion(row.app, row.journey, row.version, row.hash, row.definition)


async def version(connection: Connection, app: str, name: str, number: int) -> StoredVersion:
    """One version. Raises NotFound."""
    row = (await connection.execute(_VERSION, {"app": app, "name": name, "version": number})).first()
    if row is None:
        raise NotFound("no such version of this journey")
    return StoredVersion(*row)


_LATEST = text(
    "SELECT v.app, v.journey, v.version, v.hash, v.definition FROM journeys j"
    " JOIN journey_versions v ON v.app = j.app AND v.journey = j.name AND v.version = j.live_version WHERE j.app = :app ORDER BY v.journey"
)
_LOCK_PUBLISHING = text("SELECT id FROM apps WHERE id = :app FOR NO KEY UPDATE")
_IS_PAUSED = text("SELECT paused_at IS NOT NULL FROM apps WHERE id = :app")


async def is_app_paused(connection: Connection, app: str) -> bool:
    """Whether nothing of the whole app leaves."""
    return bool((await connection.execute(_IS_PAUSED, {"app": app})).scalar_one())


async def lock_publishing(connection: Connection, app: str) -> None:
    """Let no other publish until this transaction ends."""
    await connection.execute(_LOCK_PUBLISHING, {"app": app})


async def latest(connection: Connection, app: str) -> list[StoredVersion]:
    """The live version of every journey, retired ones too, by name."""
    return [StoredVersion(*row) for row in await connection.execute(_LATEST, {"app": app})]


async def live(connection: Connection, app: str) -> list[StoredVersion]:
    """The live version of every journey that is not retired, by name."""
    return [StoredVersion(*row) for row in await connection.execute(_LIVE, {"app": app})]


_STATES = text(
    "SELECT j.name, j.live_version, v.hash, j.accepts_entries, j.paused_at, j.retired_at,"
    " coalesce((SELECT jsonb_object_agg(i.version, i.people) FROM (SELECT e.version, count(*) AS people FROM enrollments e"
    " WHERE e.app = j.app AND e.journey = j.name AND e.state <> 'closed' GROUP BY e.version) i), '{}') AS inside"
    " FROM journeys j JOIN journey_versions v ON v.app = j.app AND v.journey = j.name AND v.version = j.live_version"
    " WHERE j.app = :app ORDER BY j.name"
)


async def states(connection: Connection, app: str) -> list[JourneyState]:
    """Every journey of the app, retired ones too, by name."""
    rows = await connection.execute(_STATES, {"app": app})
    return [
        JourneyState(
            name=row.name,
            live_version=row.live_version,
            live_hash=row.hash,
            accepts_entries=row.accepts_entries,
            paused_at=row.paused_at,
            retired_at=row.retired_at,
            inside={int(number): people for number, people in row.inside.items()},
        )
        for row in rows
    ]


@dataclass(frozen=True)
class PublishedVersion:
    """One line of a journey's history."""

    version: int
    hash: str
    published_at: datetime


_VERSIONS = text("SELECT version, hash, published_at FROM journey_versions WHERE app = :app AND journey = :name ORDER BY version DESC")


async def versions(connection: Connection, app: str, name: str) -> list[PublishedVersion]:
    """Every version of a journey, the newest first."""
    return [PublishedVersion(*row) for row in await connection.execute(_VERSIONS, {"app": app, "name": name})]


_IN_USE = text("""
    SELECT v.app, v.journey, v.version, v.hash, v.definition
    FROM journey_versions v JOIN journeys j ON j.app = v.app AND j.name = v.journey
    WHERE v.app = :app AND ((v.version = j.live_version AND j.retired_at IS NULL) OR EXISTS (
        SELECT FROM enrollments e WHERE e.app = v.app AND e.journey = v.journey AND e.version = v.version AND e.state <> 'closed'))
    ORDER BY v.journey, v.version
""")


async def in_use(connection: Connection, app: str) -> list[StoredVersion]:
    """Every version that people may enter or are inside."""
    return [StoredVersion(*row) for row in await connection.execute(_IN_USE, {"app": app})]
