"""What was done by hand to enrollments, by whom: each request leaves one row, which becomes part of the person's story."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID, uuid4

from sqlalchemy import text

from storage.database import Connection

Kind = Literal["advance", "exit", "move", "release", "closed"]
Outcome = Literal["done", "refused"]


@dataclass(frozen=True)
class Act:
    """Something that is done to an enrollment, and who does it: the name of a key. The same `request` again is the same act."""

    kind: Kind
    done_by: str
    request: str = field(default_factory=lambda: str(uuid4()))
    job_id: str | None = None


@dataclass(frozen=True)
class Intervention:
    """One row, as it is shown."""

    kind: Kind
    outcome: Outcome
    detail: dict[str, Any]
    done_by: str
    at: datetime


_WRITE = text(
    "INSERT INTO interventions (app, enrollment_id, request, kind, outcome, detail, done_by, job_id)"
    " VALUES (:app, :enrollment_id, :request, :kind, :outcome, :detail, :done_by, :job_id) ON CONFLICT DO NOTHING"
)
_OF = text(
    "SELECT kind, outcome, detail, done_by, at FROM interventions WHERE app = :app AND enrollment_id = :enrollment_id ORDER BY at, request"
)
_OF_JOB = text("""
    SELECT outcome, detail ->> 'step' AS step, detail ->> 'to_step' AS to_step, detail ->> 'reason' AS reason, count(*) AS people
    FROM interventions WHERE app = :app AND job_id = :job_id GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
""")


async def write(
    connection: Connection,
    app: str,
    enrollment_id: str | UUID,
    act: Act,
    *,
    outcome: Outcome = "done",
    detail: dict[str, Any] | None = None,
) -> None:
    """Write down what was done; the first row of a request stays."""
    values = {**vars(act), "app": app, "enrollment_id": enrollment_id, "outcome": outcome, "detail": detail or {}}
    await connection.execute(_WRITE, values)


async def of_enrollment(connection: Connection, app: str, enrollment_id: UUID) -> list[Intervention]:
    """Everything that was done by hand to one enrollment, the earliest first."""
    return [Intervention(**row) for row in (await connection.execute(_OF, {"app": app, "enrollment_id": enrollment_id})).mappings()]


@dataclass(frozen=True)
class Done:
    """How many people a job did the same to."""

    outcome: Outcome
    step: str | None
    to_step: str | None
    reason: str | None
    people: int


async def of_job(connection: Connection, app: str, job_id: UUID) -> list[Done]:
    """What a job came to so far, counted by outcome and step."""
    return [Done(**row) for row in (await connection.execute(_OF_JOB, {"app": app, "job_id": job_id})).mappings()]
