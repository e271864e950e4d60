"""Jobs: long work done piece by piece. A row remembers where the next piece begins, so that any process can go on with it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID, uuid4

from sqlalchemy import text

from journeys.language.errors import Conflict, NotFound
from storage.database import Connection
from storage.ids import time_ordered_id

State = Literal["running", "stopped", "done", "failed"]


@dataclass(frozen=True)
class Job:
    """One job as it is stored. `done` of `total` counts what the kind counts; `total` None: not known yet."""

    app: str
    id: UUID
    kind: str
    parameters: dict[str, Any]
    state: State
    done: int
    total: int | None
    cursor: Any
    pieces: int
    failures: int
    result: Any
    error: str | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True)
class Progress:
    """How far a job is after one more piece. `done` is the whole count so far; `total` and `result` None leave what is stored."""

    cursor: Any
    done: int
    total: int | None = None
    result: Any = None
    is_finished: bool = False


@dataclass(frozen=True)
class Failure:
    """How often a piece has failed in a row; final when nobody is to try again."""

    count: int
    is_final: bool


_COLUMNS = "app, id, kind, parameters, state, done, total, cursor, pieces, failures, result, error, created_at, updated_at"
_NOW = text("SELECT clock_timestamp()")
_CREATE = text(
    f"INSERT INTO jobs (app, id, kind, parameters, state) VALUES (:app, :id, :kind, :parameters, 'running') RETURNING {_COLUMNS}"
)
_ONE = text(f"SELECT {_COLUMNS} FROM jobs WHERE app = :app AND id = :id")
_PAGE = text(f"""
    SELECT {_COLUMNS} FROM jobs
    WHERE app = :app AND (CAST(:state AS text) IS NULL OR state = :state) AND (CAST(:kind AS text) IS NULL OR kind = :kind)
        AND (CAST(:before AS uuid) IS NULL OR id < CAST(:before AS uuid))
    ORDER BY id DESC LIMIT :most
""")


async def create(connection: Connection, app: str, kind: str, parameters: dict[str, Any]) -> Job:
    """Write down a job that is to run. Whoever commits this starts its workflow; a worker does so where that failed."""
    now: datetime = (await connection.execute(_NOW)).scalar_one()
    values = {"app": app, "id": time_ordered_id(now, app, kind, uuid4().hex), "kind": kind, "parameters": parameters}
    return Job(**(await connection.execute(_CREATE, values)).mappings().one())


async def get(connection: Connection, app: str, job_id: UUID) -> Job:
    """One job. Raises NotFound."""
    row = (await connection.execute(_ONE, {"app": app, "id": job_id})).mappings().first()
    if row is None:
        raise NotFound("no such job")
    return Job(**row)


async def page(
    connection: Connection, app: str, *, state: str | None = None, kind: str | None = None, before: UUID | None = None, most: int = 50
) -> list[Job]:
    """The newest jobs first; `before` is the last id of the page before."""
    values = {"app": app, "state": state, "kind": kind, "before": before, "most": most}
    return [Job(**row) for row in (await connection.execute(_PAGE, values)).mappings()]


_ADVANCE = text("""
    UPDATE jobs SET cursor = :cursor, done = :done, total = coalesce(:total, total), result = coalesce(:result, result),
        pieces = pieces + 1, failures = 0, error = NULL, updated_at = clock_timestamp(),
        state = CASE WHEN :is_finished THEN 'done' ELSE state END
    WHERE app = :app AND id = :id AND pieces = :pieces RETURNING state
""")
_FAIL = text("""
    UPDATE jobs SET failures = failures + 1, error = :error, updated_at = clock_timestamp(),
        state = CASE WHEN state = 'running' AND failures + 1 >= :most THEN 'failed' ELSE state END
    WHERE app = :app AND id = :id AND pieces = :pieces RETURNING state, failures
""")


async def advance(connection: Connection, job: Job, progress: Progress) -> State:
    """Write down that the next piece of `job`, as it was read, is done, and tell its state: somebody may have stopped it.

    Raises Conflict when another worker has done that piece.
    """
    values = {"app": job.app, "id": job.id, "pieces": job.pieces, **vars(progress)}
    state: State | None = (await connection.execute(_ADVANCE, values)).scalar()
    if state is None:
        raise Conflict("another worker has done this piece")
    return state


async def count_failure(connection: Connection, job: Job, error: str, most: int) -> Failure | None:
    """Write down that the next piece of `job`, as it was read, failed; the `most`-th time in a row fails the job.

    None: another worker has done that piece meanwhile, so nothing failed.
    """
    values = {"app": job.app, "id": job.id, "pieces": job.pieces, "error": error[:1000], "most": most}
    row = (await connection.execute(_FAIL, values)).first()
    return None if row is None else Failure(row.failures, is_final=row.state != "running")


_SET_STATE = text(f"""
    UPDATE jobs SET state = :state, updated_at = clock_timestamp(), failures = 0
    WHERE app = :app AND id = :id AND state = ANY(:from_states) RETURNING {_COLUMNS}
""")


async def stop(connection: Connection, app: str, job_id: UUID) -> Job:
    """Let no further piece begin. A stopped job stays as it is; raises NotFound, and Conflict when it has ended."""
    return await _set_state(connection, app, job_id, "stopped", ("running", "stopped"))


async def resume(connection: Connection, app: str, job_id: UUID) -> Job:
    """Let a stopped or failed job go on where it was. A running one stays as it is; raises NotFound, and Conflict when it is done."""
    return await _set_state(connection, app, job_id, "running", ("stopped", "failed", "running"))


async def _set_state(connection: Connection, app: str, job_id: UUID, state: State, from_states: tuple[State, ...]) -> Job:
    values = {"app": app, "id": job_id, "state": state, "from_states": list(from_states)}
    row = (await connection.execute(_SET_STATE, values)).mappings().first()
    if row is None:
        job = await get(connection, app, job_id)
        raise Conflict(f"this job is {job.state} already")
    return Job(**row)


_UNTOUCHED = text("""
    SELECT app, id FROM jobs WHERE state = 'running' AND updated_at < clock_timestamp() - CAST(:since AS interval)
    ORDER BY updated_at LIMIT :most
""")


async def untouched(connection: Connection, since: timedelta, most: int = 100) -> list[tuple[str, UUID]]:
    """(app, id) of running jobs that nobody has moved for a while: their workflow may never have started."""
    return [(row.app, row.id) for row in await connection.execute(_UNTOUCHED, {"since": since, "most": most})]


_FORGET = text("DELETE FROM jobs WHERE state <> 'running' AND updated_at < clock_timestamp() - CAST(:older AS interval)")


async def forget(connection: Connection, older: timedelta) -> int:
    """Delete jobs of every app that have been over, or stopped, for so long; returns how many."""
    return (await connection.execute(_FORGET, {"older": older})).rowcount
