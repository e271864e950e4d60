"""Segments: their immutable versions, and the lists of people that static ones are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Final, Literal, TypeAlias

from sqlalchemy import RowMapping, TextClause, text

from journeys.language.codec import condition_from_json, condition_to_json
from journeys.language.conditions import AnyCondition, InSegment
from journeys.language.segments import Mentions
from journeys.language.walk import nodes_in
from storage.database import Connection

Kind = Literal["dynamic", "static"]
LISTED: Final = "listed"
Definition: TypeAlias = AnyCondition | Literal["listed"]
"""What a segment is: its condition, or that it is a list of people."""


@dataclass(frozen=True)
class StoredSegment:
    """A segment as it is now; of a static one `version`, `hash`, `condition`, `mentions` and `published_at` are None.

    `followed_at`: since when coming in and going out is told; None: nobody listens, or everybody is just being read.
    """

    name: str
    kind: Kind
    version: int | None
    hash: str | None
    condition: str | None
    mentions: Mentions | None
    published_at: datetime | None
    frozen_from: str | None
    frozen_version: int | None
    frozen_at: datetime | None
    updated_at: datetime
    followed_at: datetime | None

    @property
    def definition(self) -> Definition:
        return LISTED if self.condition is None else read(self.condition)


@dataclass(frozen=True)
class SegmentVersion:
    """One published version; `condition` is canonical JSON."""

    version: int
    hash: str
    condition: str
    published_at: datetime


_MAKE = text("INSERT INTO segments (app, name, kind, live_version) VALUES (:app, :name, :kind, :version) ON CONFLICT DO NOTHING")
_LOCK = text("SELECT kind FROM segments WHERE app = :app AND name = :name FOR UPDATE")
_KNOWN = text("SELECT version FROM segment_versions WHERE app = :app AND segment = :name AND hash = :hash")
_ADD = text("""
    INSERT INTO segment_versions (app, segment, version, hash, condition, event_names, attribute_paths, segment_names, also_reads,
        moves_with_time)
    SELECT :app, :name, coalesce(max(version), 0) + 1, :hash, :condition, :events, :attributes, :segments, :reads, :moves_with_time
    FROM segment_versions WHERE app = :app AND segment = :name
    RETURNING version
""")
_GO_LIVE = text("UPDATE segments SET live_version = :version, updated_at = now() WHERE app = :app AND name = :name")


async def publish(connection: Connection, app: str, name: str, condition: str, content_hash: str, mentioned: Mentions) -> int:
    """Make this condition the live version of a dynamic segment and return its number. The same content gives the same number.

    Who calls this has looked that no static segment has the name.
    """
    named = {"app": app, "name": name}
    await connection.execute(_MAKE, {**named, "kind": "dynamic", "version": 1})
    await connection.execute(_LOCK, named)
    version = (await connection.execute(_KNOWN, {**named, "hash": content_hash})).scalar()
    if version is None:
        lists = {each: list(getattr(mentioned, each)) for each in ("events", "attributes", "segments", "reads")}
        row = {**named, **lists, "hash": content_hash, "condition": condition, "moves_with_time": mentioned.moves_with_time}
        version = (await connection.execute(_ADD, row)).scalar_one()
    await connection.execute(_GO_LIVE, {**named, "version": version})
    return int(version)


_MENTIONED = ("event_names", "attribute_paths", "segment_names", "also_reads", "moves_with_time")
_COLUMNS = """
    s.name, s.kind, s.live_version AS version, v.hash, v.condition, v.event_names, v.attribute_paths, v.segment_names, v.also_reads,
    v.moves_with_time, v.published_at, s.frozen_from, s.frozen_version, s.frozen_at, s.updated_at, f.followed_at
"""
_FROM = """
    FROM segments s LEFT JOIN segment_versions v ON v.app = s.app AND v.segment = s.name AND v.version = s.live_version
    LEFT JOIN segment_follows f ON f.app = s.app AND f.segment = s.name
    WHERE s.app = :app
"""
_PAGE = text(f"SELECT {_COLUMNS} {_FROM} AND (CAST(:after AS text) IS NULL OR s.name > :after) ORDER BY s.name LIMIT :most")
_ONE = text(f"SELECT {_COLUMNS} {_FROM} AND s.name = :name")
_ALL = text(f"SELECT {_COLUMNS} {_FROM} ORDER BY s.name")
_VERSIONS = text("""
    SELECT version, hash, condition, published_at FROM segment_versions
    WHERE app = :app AND segment = :name AND (CAST(:before AS integer) IS NULL OR version < :before) ORDER BY version DESC LIMIT :most
""")


async def page(connection: Connection, app: str, *, after: str | None = None, most: int = 50) -> list[StoredSegment]:
    """Segments by name; `after` is the last name of the page before."""
    return [_stored(row) for row in (await connection.execute(_PAGE, {"app": app, "after": after, "most": most})).mappings()]


async def get(connection: Connection, app: str, name: str) -> StoredSegment | None:
    """One segment as it is now, or None."""
    row = (await connection.execute(_ONE, {"app": app, "name": name})).mappings().first()
    return None if row is None else _stored(row)


async def live(connection: Connection, app: str) -> list[StoredSegment]:
    """Every segment of the app, by name."""
    return [_stored(row) for row in (await connection.execute(_ALL, {"app": app})).mappings()]


async def versions(connection: Connection, app: str, name: str, *, before: int | None = None, most: int = 50) -> list[SegmentVersion]:
    """Every version of a dynamic segment, the newest first; `before` is the last number of the page before."""
    rows = await connection.execute(_VERSIONS, {"app": app, "name": name, "before": before, "most": most})
    return [SegmentVersion(*row) for row in rows]


_VERSION = text("""
    SELECT version, hash, condition, published_at FROM segment_versions WHERE app = :app AND segment = :name AND version = :version
""")


async def version(connection: Connection, app: str, name: str, number: int) -> SegmentVersion | None:
    """One version of a dynamic segment, or None."""
    row = (await connection.execute(_VERSION, {"app": app, "name": name, "version": number})).first()
    return None if row is None else SegmentVersion(*row)


_REMOVE = text("DELETE FROM segments WHERE app = :app AND name = :name")


async def remove(connection: Connection, app: str, name: str) -> None:
    """Forget a segment, its versions and its list. Who calls this has looked that nothing uses it."""
    await connection.execute(_REMOVE, {"app": app, "name": name})


# What a condition comes to through the segments that it names: a few rows, whatever the app has besides.
_COMES_TO = text("""
    WITH RECURSIVE reached AS (
        SELECT unnest(CAST(:names AS text[])) AS name
        UNION
        SELECT unnest(v.segment_names) FROM reached r
        JOIN segments s ON s.app = :app AND s.name = r.name
        JOIN segment_versions v ON v.app = s.app AND v.segment = s.name AND v.version = s.live_version
    )
    SELECT s.name, v.condition FROM reached r
    JOIN segments s ON s.app = :app AND s.name = r.name
    LEFT JOIN segment_versions v ON v.app = s.app AND v.segment = s.name AND v.version = s.live_version
""")


async def come_to(connection: Connection, app: str, condition: AnyCondition) -> Mapping[str, Definition]:
    """The live definitions of the segments that a condition names, and of those that they name. Most conditions name none."""
    names = _names_in(condition)
    if not names:
        return {}
    rows = await connection.execute(_COMES_TO, {"app": app, "names": list(names)})
    return {name: LISTED if written is None else read(written) for name, written in rows}


def written(meant: Mapping[str, Definition]) -> dict[str, str | None]:
    """Definitions as a job keeps them, so that an edit meanwhile changes nothing for it; None is a list of people."""
    return {name: None if isinstance(each, str) else condition_to_json(each).decode() for name, each in meant.items()}


def meant_by(kept: Mapping[str, str | None]) -> dict[str, Definition]:
    """The definitions that `written` made."""
    return {name: LISTED if each is None else read(each) for name, each in kept.items()}


@lru_cache(maxsize=2048)
def _names_in(condition: AnyCondition) -> Sequence[str]:
    return sorted({each.segment for each in nodes_in(condition) if isinstance(each, InSegment)})


@lru_cache(maxsize=2048)
def read(condition: str) -> AnyCondition:
    """A stored condition."""
    return condition_from_json(condition)


_LIST = text("""
    INSERT INTO listed_people (app, segment, user_id)
    SELECT DISTINCT i.app, :name, i.user_id FROM identities i WHERE i.app = :app AND i.kind = 'u' AND i.value = ANY(:user_ids)
    ON CONFLICT DO NOTHING
""")
_UNLIST = text("""
    DELETE FROM listed_people l USING identities i
    WHERE l.app = :app AND l.segment = :name AND i.app = :app AND i.kind = 'u' AND i.value = ANY(:user_ids) AND l.user_id = i.user_id
""")
_UNKNOWN = text("""
    SELECT place FROM unnest(CAST(:user_ids AS text[])) WITH ORDINALITY AS given(value, place)
    WHERE NOT EXISTS (SELECT FROM identities i WHERE i.app = :app AND i.kind = 'u' AND i.value = given.value) ORDER BY place
""")
_TOUCH = text("UPDATE segments SET updated_at = now() WHERE app = :app AND name = :name")
_FROZEN = text("""
    UPDATE segments SET frozen_from = :origin, frozen_version = :version, frozen_at = CAST(:at AS timestamptz), updated_at = now()
    WHERE app = :app AND name = :name
""")


async def make_static(connection: Connection, app: str, name: str) -> None:
    """Make an empty list, unless there is one."""
    await connection.execute(_MAKE, {"app": app, "name": name, "kind": "static", "version": None})


async def put_on_list(connection: Connection, app: str, name: str, user_ids: Sequence[str]) -> int:
    """Put people on a list; returns how many were not on it. Ids of nobody are passed over."""
    return await _change(connection, app, name, _LIST, user_ids)


async def take_off_list(connection: Connection, app: str, name: str, user_ids: Sequence[str]) -> int:
    """Take people off a list; returns how many were on it."""
    return await _change(connection, app, name, _UNLIST, user_ids)


async def unknown_places(connection: Connection, app: str, user_ids: Sequence[str]) -> list[int]:
    """Which of these ids are of nobody: their places, from 0."""
    return [place - 1 for place in (await connection.execute(_UNKNOWN, {"app": app, "user_ids": list(user_ids)})).scalars()]


async def mark_frozen(connection: Connection, app: str, name: str, *, origin: str, version: int | None, at: datetime | None) -> None:
    """Remember whose people a list holds; `at` None: not all of them yet."""
    await connection.execute(_FROZEN, {"app": app, "name": name, "origin": origin, "version": version, "at": at})


async def _change(connection: Connection, app: str, name: str, statement: TextClause, user_ids: Sequence[str]) -> int:
    changed = await connection.execute(statement, {"app": app, "name": name, "user_ids": list(user_ids)})
    await connection.execute(_TOUCH, {"app": app, "name": name})
    return int(changed.rowcount)


def _stored(row: RowMapping) -> StoredSegment:
    values = dict(row)
    events, attributes, named, reads, moves_with_time = (values.pop(column) for column in _MENTIONED)
    if values["condition"] is None:
        return StoredSegment(**values, mentions=None)
    return StoredSegment(**values, mentions=Mentions(tuple(events), tuple(attributes), tuple(named), tuple(reads), moves_with_time))
