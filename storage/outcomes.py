"""What each step of an enrollment came to, written once.

A local activity may run again after its first result was lost; the row written first is what counts.
"""

from typing import Any

from sqlalchemy import text

from storage.database import Connection

_STORED = text("SELECT verdict FROM step_outcomes WHERE enrollment_id = :enrollment_id AND step = :step AND visit = :visit AND app = :app")
_WRITE = text(
    "INSERT INTO step_outcomes (app, enrollment_id, step, visit, verdict) VALUES (:app, :enrollment_id, :step, :visit, :verdict)"
    " ON CONFLICT (enrollment_id, step, visit) DO NOTHING RETURNING verdict"
)


async def stored(connection: Connection, app: str, enrollment_id: str, step: str, visit: int) -> dict[str, Any] | None:
    """Return the verdict of this step and visit, or None while there is none."""
    key = {"app": app, "enrollment_id": enrollment_id, "step": step, "visit": visit}
    verdict: dict[str, Any] | None = (await connection.execute(_STORED, key)).scalar()
    return verdict


async def write(connection: Connection, app: str, enrollment_id: str, step: str, visit: int, verdict: dict[str, Any]) -> dict[str, Any]:
    """Write the verdict unless there is one; return the one that stands."""
    key = {"app": app, "enrollment_id": enrollment_id, "step": step, "visit": visit}
    written: dict[str, Any] | None = (await connection.execute(_WRITE, {**key, "verdict": verdict})).scalar()
    if written is not None:
        return written
    # The other writer has committed: the insert waited for it.
    found: dict[str, Any] = (await connection.execute(_STORED, key)).scalar_one()
    return found
