"""What the rest of a run's people get, once versions were tested on a share of them: when to look, and what was decided."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text

from journeys.language.campaigns import REST
from storage.database import Connection


@dataclass(frozen=True)
class ToDecide:
    """A run whose tested people have all been written to at `tested_at`, and whose rest waits."""

    app: str
    run_id: UUID
    definition: str
    tested_at: datetime
    now: datetime


@dataclass(frozen=True)
class Verdict:
    """How it stands. `variant` None with a `decided_at`: the rest get nothing. `look_at` None without: a person must decide."""

    tested_at: datetime
    look_at: datetime | None
    variant: str | None
    because: str
    decided_at: datetime | None


_NOTE_TESTED = text("""
    INSERT INTO campaign_winners (app, run_id, tested_at, look_at, because)
    SELECT r.app, r.id, clock_timestamp(), clock_timestamp(), 'too_early' FROM campaign_runs r
    WHERE r.state = 'running' AND r.planned_at IS NOT NULL
        AND EXISTS (SELECT FROM campaign_chunks c WHERE c.app = r.app AND c.run_id = r.id AND c.step = :rest)
        AND NOT EXISTS (SELECT FROM campaign_chunks c WHERE c.app = r.app AND c.run_id = r.id AND c.step <> :rest)
    ON CONFLICT DO NOTHING
""")
_DUE = text("""
    SELECT w.app, w.run_id, r.definition, w.tested_at, clock_timestamp() AS now
    FROM campaign_winners w JOIN campaign_runs r ON r.app = w.app AND r.id = w.run_id
    WHERE w.decided_at IS NULL AND w.look_at <= clock_timestamp() AND r.state = 'running' ORDER BY w.look_at LIMIT :most
""")
_LOOK_AGAIN = text("""
    UPDATE campaign_winners SET look_at = CAST(:look_at AS timestamptz), because = :because
    WHERE app = :app AND run_id = :run_id AND decided_at IS NULL
""")
# Who decides first has decided.
_DECIDE = text("""
    INSERT INTO campaign_winners AS w (app, run_id, tested_at, variant, because, decided_at)
    VALUES (:app, :run_id, clock_timestamp(), CAST(:variant AS text), :because, clock_timestamp())
    ON CONFLICT (app, run_id) DO UPDATE SET variant = excluded.variant, because = excluded.because, decided_at = excluded.decided_at,
        look_at = NULL
    WHERE w.decided_at IS NULL
    RETURNING run_id
""")
_LET_GO = text("""
    UPDATE campaign_chunks SET due_at = clock_timestamp() WHERE app = :app AND run_id = :run_id AND step = :rest AND due_at = 'infinity'
""")
# Neither a plan nor a decision sees what the other has not committed: whoever looks after both does.
_STILL_WAITING = text("""
    SELECT w.app, w.run_id FROM campaign_winners w JOIN campaign_runs r ON r.app = w.app AND r.id = w.run_id
    WHERE w.variant IS NOT NULL AND w.decided_at IS NOT NULL AND r.state IN ('running', 'paused') AND EXISTS (
        SELECT FROM campaign_chunks c WHERE c.app = r.app AND c.run_id = r.id AND c.step = :rest AND c.due_at = 'infinity')
    ORDER BY w.decided_at LIMIT :most FOR NO KEY UPDATE OF w SKIP LOCKED
""")
_WITHOUT = text("""
    SELECT r.app, r.id FROM campaign_winners w JOIN campaign_runs r ON r.app = w.app AND r.id = w.run_id
    WHERE w.decided_at IS NOT NULL AND w.variant IS NULL AND r.state IN ('running', 'paused')
        AND EXISTS (SELECT FROM campaign_chunks c WHERE c.app = r.app AND c.run_id = r.id AND c.step = :rest)
    ORDER BY w.decided_at LIMIT :most
""")
_VERDICT = text("SELECT tested_at, look_at, variant, because, decided_at FROM campaign_winners WHERE app = :app AND run_id = :run_id")
_WINNER = text("SELECT variant FROM campaign_winners WHERE app = :app AND run_id = :run_id AND decided_at IS NOT NULL")


async def to_look_at(connection: Connection, *, most: int) -> Sequence[ToDecide]:
    """Runs, in any app, of which it is time to ask whether a version has won; first those are noted whose test has just ended."""
    await connection.execute(_NOTE_TESTED, {"rest": REST})
    return [ToDecide(*row) for row in await connection.execute(_DUE, {"most": most})]


async def look_again(connection: Connection, app: str, run_id: UUID, look_at: datetime | None, because: str) -> None:
    """Nothing is decided yet. `look_at` None: a person must decide."""
    await connection.execute(_LOOK_AGAIN, {"app": app, "run_id": run_id, "look_at": look_at, "because": because})


async def decide(connection: Connection, app: str, run_id: UUID, variant: str | None, because: str = "by_hand") -> bool:
    """Let the rest be written to with this version from now on; None: they get nothing, and are skipped soon (`without`).

    False: it was decided before, and stays so.
    """
    key = {"app": app, "run_id": run_id}
    is_first = (await connection.execute(_DECIDE, {**key, "variant": variant, "because": because})).first() is not None
    if is_first and variant is not None:
        await connection.execute(_LET_GO, {**key, "rest": REST})
    return is_first


async def let_go(connection: Connection, *, most: int) -> list[tuple[str, UUID]]:
    """Let the rest of those runs be written to, in any app, that were planned while their winner was decided; (app, run) of each."""
    found = [(row.app, row.run_id) for row in await connection.execute(_STILL_WAITING, {"rest": REST, "most": most})]
    for app, run_id in found:
        await connection.execute(_LET_GO, {"app": app, "run_id": run_id, "rest": REST})
    return found


async def of_run(connection: Connection, app: str, run_id: UUID) -> str | None:
    """The version that the rest get. None: nothing, or nothing is decided; chunks of the rest are due only once it is."""
    found: str | None = (await connection.execute(_WINNER, {"app": app, "run_id": run_id})).scalar()
    return found


async def without(connection: Connection, *, most: int) -> list[tuple[str, UUID]]:
    """(app, run) of runs whose rest gets nothing and is not skipped yet, in any app."""
    return [(row.app, row.id) for row in await connection.execute(_WITHOUT, {"rest": REST, "most": most})]


async def verdict(connection: Connection, app: str, run_id: UUID) -> Verdict | None:
    """How it stands; None while tested people are being written to, and where nothing is tested."""
    row = (await connection.execute(_VERDICT, {"app": app, "run_id": run_id})).first()
    return None if row is None else Verdict(*row)
