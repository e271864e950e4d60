"""Who reached the goal: the first event that meets it within its window from entry, for people in the holdout as for all others.

Events count by when they occurred, however late they came and whether they came as history. The goal is the live version's: who
changes it has everybody measured by it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import text

from journeys.language.codec import from_json
from journeys.language.events import Goal
from journeys.language.facts import EventFact, Facts
from journeys.language.journey import Journey
from journeys.language.keys import counts
from storage.database import Connection
from storage.report_marks import Window, mark_these

PIECE = 1000
# Without `.where` and key the first event of the name is the one; else as many are read as anybody has.
_MOST_CANDIDATES = 10_000

_LIVE = text(
    "SELECT j.app, j.name, v.definition FROM journeys j"
    " JOIN journey_versions v ON v.app = j.app AND v.journey = j.name AND v.version = j.live_version ORDER BY 1, 2"
)
# An event belongs to who its person turned out to be; what occurred after entry was received after it, clocks aside.
_CANDIDATES = text("""
SELECT e.id, e.journey, e.entry_event_id, e.entry_name, e.entered_at, e.entry_properties,
    c.event_id, c.name, c.occurred_at, c.properties, c.seq, c.received_at
FROM enrollments e
JOIN jsonb_to_recordset(CAST(:goals AS jsonb)) AS g (journey text, names text[], seconds double precision, most integer)
    ON g.journey = e.journey
JOIN LATERAL (
    SELECT ev.event_id, ev.name, ev.occurred_at, ev.properties, ev.seq, ev.received_at FROM events ev
    WHERE ev.app = :app AND ev.name = ANY(g.names) AND ev.event_id <> e.entry_event_id
        AND ev.user_id = ANY(ARRAY(SELECT u.id FROM users u WHERE u.app = :app AND (u.id = e.user_id OR u.merged_into = e.user_id)))
        AND ev.occurred_at >= e.entered_at AND ev.occurred_at <= e.entered_at + make_interval(secs => g.seconds)
        AND ev.received_at >= e.entered_at - interval '1 hour'
    ORDER BY ev.occurred_at, ev.seq LIMIT g.most
) c ON true
WHERE e.app = :app AND e.id = ANY(CAST(:ids AS uuid[])) ORDER BY e.id, c.occurred_at, c.seq
""")
_WRITE = text("""
WITH found AS (
    SELECT * FROM unnest(CAST(:found AS uuid[]), CAST(:events AS text[]), CAST(:moments AS timestamptz[])) AS f (id, event_id, converted_at)
), gone AS (
    DELETE FROM report_conversions c WHERE c.app = :app AND c.enrollment_id = ANY(CAST(:ids AS uuid[]))
        AND NOT EXISTS (SELECT FROM found f WHERE f.id = c.enrollment_id) RETURNING c.enrollment_id
), written AS (
    INSERT INTO report_conversions AS c (app, enrollment_id, event_id, converted_at)
    SELECT :app, id, event_id, converted_at FROM found ORDER BY id
    ON CONFLICT (app, enrollment_id) DO UPDATE SET event_id = excluded.event_id, converted_at = excluded.converted_at
        WHERE (c.event_id, c.converted_at) <> (excluded.event_id, excluded.converted_at) RETURNING c.enrollment_id
)
SELECT enrollment_id FROM gone UNION ALL SELECT enrollment_id FROM written
""")
# Enrollments that these events may concern, and those that are new: their goal may have been reached before they were written.
_CONCERNED = text("""
WITH came AS (
    SELECT DISTINCT ev.user_id FROM events ev
    WHERE ev.app = :app AND ev.seq > :events_since AND ev.seq <= :events_until AND ev.name = ANY(:names)
), people AS (
    SELECT DISTINCT coalesce(u.merged_into, u.id) AS id FROM came JOIN users u ON u.app = :app AND u.id = came.user_id
)
SELECT e.id FROM people p JOIN enrollments e ON e.app = :app AND e.user_id = p.id AND e.journey = ANY(:journeys)
UNION
SELECT e.id FROM enrollments e
WHERE e.app = :app AND e.id >= time_floor(:since) AND e.id < time_floor(:until) AND e.journey = ANY(:journeys)
""")


@dataclass(frozen=True)
class Goals:
    """The journeys of one app that have a goal, by name."""

    journeys: Mapping[str, Journey]

    @property
    def names(self) -> list[str]:
        return sorted({name for journey in self.journeys.values() for name in _goal(journey).events.names})

    def as_json(self) -> list[dict[str, Any]]:
        return [
            {"journey": name, "names": list(goal.events.names), "seconds": goal.within.seconds, "most": _most(journey, goal)}
            for name, journey in self.journeys.items()
            for goal in [_goal(journey)]
        ]


async def goals(connection: Connection) -> dict[str, Goals]:
    """What counts as a conversion now, by app; an app without goals is not among them."""
    found: dict[str, dict[str, Journey]] = {}
    for row in await connection.execute(_LIVE):
        journey = _parsed(row.definition)
        if journey.goal is not None:
            found.setdefault(row.app, {})[row.name] = journey
    return {app: Goals(journeys) for app, journeys in found.items()}


async def look(connection: Connection, window: Window) -> None:
    """Look whether what came in this window makes a conversion, takes one back or gives it another event, and mark those hours."""
    for app, wanted in (await goals(connection)).items():
        names = {"names": wanted.names, "journeys": list(wanted.journeys)}
        concerned = (await connection.execute(_CONCERNED, {"app": app, **names, **vars(window)})).scalars().all()
        changed = await look_again(connection, app, wanted, concerned)
        if changed:
            await mark_these(connection, app, changed)


async def look_again(connection: Connection, app: str, wanted: Goals, enrollment_ids: Sequence[UUID]) -> list[UUID]:
    """Find the first goal event of each of these enrollments and write it down; returns those for which that is news."""
    changed: list[UUID] = []
    for start in range(0, len(enrollment_ids), PIECE):
        piece = list(enrollment_ids[start : start + PIECE])
        rows = await connection.execute(_CANDIDATES, {"app": app, "ids": piece, "goals": wanted.as_json()})
        first = _first_that_count(wanted, rows)
        found = {"found": list(first), "events": [event.id for event in first.values()]}
        moments = [event.occurred_at for event in first.values()]
        changed += (await connection.execute(_WRITE, {"app": app, "ids": piece, **found, "moments": moments})).scalars()
    return changed


def _first_that_count(wanted: Goals, rows: Iterable[Any]) -> dict[UUID, EventFact]:
    """The first candidate of each enrollment that meets the goal; candidates come in order."""
    first: dict[UUID, EventFact] = {}
    for row in rows:
        if row.id in first:
            continue
        journey = wanted.journeys[row.journey]
        entry = EventFact(row.entry_event_id, row.entry_name, row.entered_at, row.entry_properties)
        event = EventFact(row.event_id, row.name, row.occurred_at, row.properties, row.seq, row.received_at)
        if counts(journey.key, _goal(journey).events, event, Facts(entry=entry, entered_at=row.entered_at)):
            first[row.id] = event
    return first


def _most(journey: Journey, goal: Goal) -> int:
    is_plain = all(event.where is None and (journey.key is None or event.any_key) for event in goal.events.any_of)
    return 1 if is_plain else _MOST_CANDIDATES


def _goal(journey: Journey) -> Goal:
    assert journey.goal is not None
    return journey.goal


@lru_cache(maxsize=2048)
def _parsed(definition: str) -> Journey:
    return from_json(definition)
