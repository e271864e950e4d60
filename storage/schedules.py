"""Journeys that start on schedule(...): what Temporal's schedules are made from, each time one struck, and who is still to be asked.

Who is in the segment is written down when it strikes. Asking them deletes them in the same transaction, so that a crash anywhere goes on
with those who are left.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import orjson
from pydantic import TypeAdapter
from sqlalchemy import text

from journeys.language.entries import ScheduleEntry, WayIn
from storage.database import Connection

State = Literal["struck", "running", "done", "skipped"]
_ENTRY: TypeAdapter[ScheduleEntry] = TypeAdapter(ScheduleEntry)


@dataclass(frozen=True)
class Schedule:
    """What a live journey starts by. `entry_text` is `entry` as it is stored."""

    app: str
    journey: str
    entry: ScheduleEntry
    entry_text: str
    struck_until: datetime
    made_from: str | None
    is_gone: bool
    accepts_entries: bool


@dataclass(frozen=True)
class Run:
    """One time that it struck. `zones` are where, empty: everywhere; `people` are those it is about, `asked` how many were asked so far."""

    n: int
    struck_at: datetime
    zones: Sequence[str]
    state: State
    reason: str | None
    people: int
    asked: int
    noted_at: datetime
    finished_at: datetime | None


# What is live ----------------------------------------------------------------------------------------------------------

_FOLLOW = text("""
    INSERT INTO schedules AS s (app, journey, entry) VALUES (:app, :journey, :entry)
    ON CONFLICT (app, journey) DO UPDATE SET entry = EXCLUDED.entry, is_gone = false, struck_until = EXCLUDED.struck_until,
        attended_at = EXCLUDED.attended_at
    WHERE s.entry <> EXCLUDED.entry OR s.is_gone
""")
_FORGET = text("UPDATE schedules SET is_gone = true WHERE app = :app AND journey = ANY(:journeys) AND NOT is_gone RETURNING journey")
_END_RUNS = text("""
    WITH ended AS (
        UPDATE schedule_runs SET state = 'skipped', reason = 'retired', finished_at = clock_timestamp()
        WHERE app = :app AND journey = ANY(:journeys) AND state IN ('struck', 'running') RETURNING n
    )
    DELETE FROM schedule_people p USING ended WHERE p.app = :app AND p.run = ended.n
""")


async def follow(connection: Connection, app: str, journey: str, entry: WayIn) -> None:
    """A version of a journey goes live. Another schedule than before strikes from now on; people of the last time still come in."""
    if isinstance(entry, ScheduleEntry):
        await connection.execute(_FOLLOW, {"app": app, "journey": journey, "entry": _text_of(entry)})
    else:
        await forget(connection, app, [journey])


async def forget(connection: Connection, app: str, journeys: Sequence[str]) -> None:
    """These start by no schedule any more: who has not been asked yet is not asked."""
    gone = list((await connection.execute(_FORGET, {"app": app, "journeys": list(journeys)})).scalars())
    if gone:
        await connection.execute(_END_RUNS, {"app": app, "journeys": gone})


def _text_of(entry: ScheduleEntry) -> str:
    return orjson.dumps(_ENTRY.dump_python(entry, mode="json", exclude_none=True), option=orjson.OPT_SORT_KEYS).decode()


_COLUMNS = """
    s.app, s.journey, s.entry, s.struck_until, s.made_from, s.is_gone, j.accepts_entries AND j.retired_at IS NULL AS accepts_entries
    FROM schedules s JOIN journeys j ON j.app = s.app AND j.name = s.journey
"""
_ALL = text(f"SELECT {_COLUMNS} ORDER BY s.app, s.journey")
_ONE = text(f"SELECT {_COLUMNS} WHERE s.app = :app AND s.journey = :journey")
_LOCK = text(f"SELECT {_COLUMNS} WHERE s.app = :app AND s.journey = :journey AND NOT s.is_gone FOR UPDATE OF s")
_NOW = text("SELECT clock_timestamp()")
_ATTENDED = text("""
    UPDATE schedules SET attended_at = clock_timestamp(), struck_until = greatest(struck_until, :until)
    WHERE app = :app AND journey = :journey
""")


async def every_one(connection: Connection) -> list[Schedule]:
    """Those of every app, also those that are gone."""
    return [_schedule(row) for row in await connection.execute(_ALL)]


async def get(connection: Connection, app: str, journey: str) -> Schedule | None:
    """What a journey starts by, or last started by; None where it never did."""
    row = (await connection.execute(_ONE, {"app": app, "journey": journey})).first()
    return None if row is None else _schedule(row)


async def lock(connection: Connection, app: str, journey: str) -> tuple[Schedule, datetime] | None:
    """Let nobody else note what struck until this transaction ends; also returns the time. None: it starts by no schedule."""
    row = (await connection.execute(_LOCK, {"app": app, "journey": journey})).first()
    return None if row is None else (_schedule(row), (await connection.execute(_NOW)).scalar_one())


async def attended(connection: Connection, app: str, journey: str, until: datetime) -> None:
    """What struck up to here is noted, and somebody is at it."""
    await connection.execute(_ATTENDED, {"app": app, "journey": journey, "until": until})


def _schedule(row: Any) -> Schedule:
    entry = _ENTRY.validate_json(row.entry)
    return Schedule(row.app, row.journey, entry, row.entry, row.struck_until, row.made_from, row.is_gone, row.accepts_entries)


# At Temporal -----------------------------------------------------------------------------------------------------------

_MADE = text("UPDATE schedules SET made_from = :made_from WHERE app = :app AND journey = :journey")
_UNATTENDED = text("""
    SELECT EXISTS (SELECT FROM schedule_runs r WHERE r.app = :app AND r.journey = :journey AND r.state IN ('struck', 'running'))
        AND (SELECT s.attended_at < clock_timestamp() - make_interval(secs => :seconds) FROM schedules s
             WHERE s.app = :app AND s.journey = :journey)
""")


async def mark_made(connection: Connection, app: str, journey: str, made_from: str | None) -> None:
    """Remember what Temporal's schedule was made from: "" while that is not sure, None when there is none."""
    await connection.execute(_MADE, {"app": app, "journey": journey, "made_from": made_from})


async def is_left_alone(connection: Connection, app: str, journey: str, seconds: float) -> bool:
    """Whether people are still to be asked, and nobody has been at it for so long."""
    return bool((await connection.execute(_UNATTENDED, {"app": app, "journey": journey, "seconds": seconds})).scalar())


# Each time that it struck ----------------------------------------------------------------------------------------------

_RUN = "n, struck_at, zones, state, reason, people, asked, noted_at, finished_at FROM schedule_runs WHERE app = :app AND journey = :journey"
_NOTE = text("""
    INSERT INTO schedule_runs (app, journey, struck_at, zones, state, reason, finished_at)
    VALUES (:app, :journey, :struck_at, :zones, CAST(:state AS text), :reason, CASE WHEN :state = 'skipped' THEN clock_timestamp() END)
""")
_OPEN = text(f"SELECT {_RUN} AND state IN ('struck', 'running') ORDER BY n")
_PAGE = text(f"SELECT {_RUN} AND (CAST(:before AS bigint) IS NULL OR n < :before) ORDER BY n DESC LIMIT :most")


async def note(
    connection: Connection, app: str, journey: str, struck_at: datetime, zones: Sequence[str], *, skipped: str | None = None
) -> None:
    """Write down that it struck; `skipped` says why nobody comes in."""
    state = "struck" if skipped is None else "skipped"
    values = {"app": app, "journey": journey, "struck_at": struck_at, "zones": list(zones), "state": state, "reason": skipped}
    await connection.execute(_NOTE, values)


async def open_runs(connection: Connection, app: str, journey: str) -> list[Run]:
    """Those whose people are not all asked, the oldest first."""
    return [Run(*row) for row in await connection.execute(_OPEN, {"app": app, "journey": journey})]


async def page(connection: Connection, app: str, journey: str, *, before: int | None = None, most: int = 50) -> list[Run]:
    """Each time that it struck, the newest first; `before` is the number of the last one of the page before."""
    rows = await connection.execute(_PAGE, {"app": app, "journey": journey, "before": before, "most": most})
    return [Run(*row) for row in rows]


_RUNNING = text("UPDATE schedule_runs SET state = 'running', people = :people WHERE app = :app AND n = :n AND state = 'struck'")
_SKIP = text("""
    UPDATE schedule_runs SET state = 'skipped', reason = :reason, finished_at = clock_timestamp()
    WHERE app = :app AND n = :n AND state = 'struck'
""")
_ASKED = text("""
    UPDATE schedule_runs SET asked = asked + :asked, state = CASE WHEN :is_over THEN 'done' ELSE state END,
        finished_at = CASE WHEN :is_over THEN clock_timestamp() END
    WHERE app = :app AND n = :n AND state = 'running' RETURNING n
""")
# By their places: of people who have just been written down the planner knows too little to join them well.
_TAKE = text("""
    DELETE FROM schedule_people WHERE app = :app AND ctid = ANY(ARRAY(
        SELECT ctid FROM schedule_people WHERE app = :app AND run = :n ORDER BY user_id LIMIT :most FOR UPDATE SKIP LOCKED))
    RETURNING user_id
""")


async def begin(connection: Connection, app: str, run: Run, people: int) -> None:
    """Everybody whom it is about is written down (storage/segment_people.py)."""
    await connection.execute(_RUNNING, {"app": app, "n": run.n, "people": people})


async def skip(connection: Connection, app: str, run: Run, reason: str) -> None:
    """Nobody comes in this time."""
    await connection.execute(_SKIP, {"app": app, "n": run.n, "reason": reason})


async def take(connection: Connection, app: str, run: Run, most: int) -> list[int]:
    """Take people who are still to be asked; when there are no more, the run is done."""
    taken = list((await connection.execute(_TAKE, {"app": app, "n": run.n, "most": most})).scalars())
    is_over = len(taken) < most
    await connection.execute(_ASKED, {"app": app, "n": run.n, "asked": len(taken), "is_over": is_over})
    return sorted(taken)
