"""Reading what was counted of a journey: sums over hours of entries, never over people."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from journeys.language.codec import from_json
from journeys.language.errors import NotFound
from journeys.language.journey import Journey
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


_DEFINITIONS = text("""
    SELECT j.live_version, v.version, v.definition FROM journeys j JOIN journey_versions v ON v.app = j.app AND v.journey = j.name
    WHERE j.app = :app AND j.name = :journey AND (v.version = j.live_version OR v.version = ANY(:versions))
""")


async def definitions(connection: Connection, app: str, journey: str, versions: Sequence[int]) -> tuple[int, dict[int, Journey]]:
    """The live version's number, and the definitions of it and of these versions. Raises NotFound for an unknown journey."""
    key = {"app": app, "journey": journey, "versions": list(versions)}
    rows = (await connection.execute(_DEFINITIONS, key)).all()
    if not rows:
        raise NotFound("no such journey")
    return rows[0].live_version, {row.version: from_json(row.definition) for row in rows}
