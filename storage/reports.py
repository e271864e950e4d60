"""Reading what was counted of a journey: sums over hours of entries, never over people."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from storage.database import Connection


@dataclass(frozen=True)
class Counted:
    """So many of the people who entered in the range; `split` and `arm` are empty for everybody."""

    version: int
    split: str
    arm: str
    what: str
    step: str
    detail: str
    n: int


@dataclass(frozen=True)
class Reading:
    """As of when the counts are; None before the first count. `hours_due`: hours that changed since, or are being counted anew."""

    as_of: datetime | None
    hours_due: int


_COUNTS = text("""
    SELECT version, split, arm, what, step, detail, CAST(sum(n) AS bigint) AS n FROM report_counts
    WHERE app = :app AND journey = :journey AND hour >= CAST(:since AS timestamptz) AND hour < CAST(:until AS timestamptz)
        AND (CAST(:version AS integer) IS NULL OR version IN (0, :version))
    GROUP BY 1, 2, 3, 4, 5, 6 HAVING sum(n) <> 0 ORDER BY 1, 2, 3, 4, 5, 6
""")
_READING = text(
    "SELECT (SELECT as_of FROM report_reading) AS as_of, (SELECT count(*) FROM report_hours WHERE app = :app AND is_due) AS due"
)


async def counted(
    connection: Connection, app: str, journey: str, *, since: datetime, until: datetime, version: int | None = None
) -> list[Counted]:
    """What the people came to who entered from `since` to before `until` (both at a full hour)."""
    key = {"app": app, "journey": journey, "since": since, "until": until, "version": version}
    return [Counted(*row) for row in await connection.execute(_COUNTS, key)]


async def reading(connection: Connection, app: str) -> Reading:
    """How fresh the counts of this app are."""
    row = (await connection.execute(_READING, {"app": app})).one()
    return Reading(row.as_of, row.due)
