"""Runs of campaigns: each with the campaign as it was, and how far it has come."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from sqlalchemy import text

from storage.database import Connection

State = Literal["planning", "running", "paused", "stopped", "finished"]


@dataclass(frozen=True)
class Run:
    """One run. `definition` is the campaign's JSON; `repeats`: the run of which it sends what failed.

    `template_versions`: of each template by its name, the one that all of its messages are made from; empty before it is planned.
    """

    app: str
    id: UUID
    campaign: str
    version: int
    definition: str
    state: State
    began_at: datetime
    repeats: UUID | None = None
    planned_at: datetime | None = None
    ended_at: datetime | None = None
    template_versions: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Tally:
    """So many messages of one version came to this. State `planned` counts all that were planned, whatever they came to since."""

    step: str
    state: str
    reason: str | None
    messages: int


@dataclass(frozen=True)
class Left:
    """What is still to be done: chunks, messages in them, and when the first is due; None: nothing is left, or nobody knows when."""

    chunks: int
    messages: int
    due_at: datetime | None


@dataclass(frozen=True)
class Wait:
    """So many messages of one version are left and wait for `reason`, a code.

    The first is due at `first_at`, the last at `last_at`; None: nobody knows when. Of those that are due already `planned` waits for a
    lane, `paused` for who resumes run or app, `run_rate` for a slot in the run's own rate; `busy` is with a lane.
    """

    step: str
    reason: str
    messages: int
    first_at: datetime | None
    last_at: datetime | None


_COLUMNS = "app, id, campaign, version, definition, state, began_at, repeats, planned_at, ended_at, template_versions"
_BEGIN = text("""
INSERT INTO campaign_runs (app, id, campaign, version, definition, state, began_at, repeats)
VALUES (:app, :id, :campaign, :version, :definition, 'planning', clock_timestamp(), CAST(:repeats AS uuid)) ON CONFLICT DO NOTHING
""")
_GET = text(f"SELECT {_COLUMNS} FROM campaign_runs WHERE app = :app AND id = :id")
_OF_CAMPAIGN = text(
    f"SELECT {_COLUMNS} FROM campaign_runs WHERE app = :app AND campaign = :campaign ORDER BY began_at DESC, id DESC LIMIT :most"
)
_CHANGE = text("""
UPDATE campaign_runs SET state = :state, ended_at = CASE WHEN :state IN ('stopped', 'finished') THEN clock_timestamp() END
WHERE app = :app AND id = :id AND state = ANY(CAST(:from_states AS text[])) RETURNING id
""")
# Not begun, or not moved although something is due, or nothing is left.
_STALLED = text("""
SELECT r.app, r.id FROM campaign_runs r CROSS JOIN LATERAL (
  SELECT min(c.due_at) AS due_at FROM campaign_chunks c WHERE c.app = r.app AND c.run_id = r.id
) c
WHERE (r.state = 'planning' AND r.began_at < clock_timestamp() - CAST(:since AS interval))
  OR (r.state IN ('running', 'stopped') AND c.due_at < clock_timestamp() - interval '1 minute')
  OR (r.state = 'running' AND c.due_at IS NULL AND r.planned_at < clock_timestamp() - interval '1 minute')
ORDER BY r.began_at LIMIT 100
""")
_MAY_SEND = text("""
SELECT r.state = 'running' AND a.paused_at IS NULL FROM campaign_runs r JOIN apps a ON a.id = r.app WHERE r.app = :app AND r.id = :id
""")
_HAS_DUE = text("SELECT EXISTS (SELECT FROM campaign_chunks WHERE app = :app AND run_id = :id AND due_at <= clock_timestamp())")
# What waits for a decision is due at infinity, for which the driver gives a moment without a zone: nobody could compare it with another.
_LEFT = text("""
SELECT count(*) AS chunks, coalesce(sum(cardinality(message_ids)), 0) AS messages,
  nullif(min(due_at), 'infinity') AS due_at
FROM campaign_chunks WHERE app = :app AND run_id = :id
""")
# By chunks, so it costs a fiftieth of what the ledger would. One that was taken is due again when its lease is over.
_WAITS = text("""
SELECT c.step, CASE
    WHEN c.due_at <= clock_timestamp() AND (r.state = 'paused' OR a.paused_at IS NOT NULL) THEN 'paused'
    WHEN c.due_at <= clock_timestamp() AND r.next_slot_at > clock_timestamp() THEN 'run_rate'
    WHEN c.due_at <= clock_timestamp() THEN 'planned'
    WHEN c.due_at = 'infinity' AND c.step = 'rest' THEN 'no_winner_yet'
    WHEN c.epoch > 0 THEN 'busy'
    ELSE coalesce(c.waits_for, 'planned') END AS reason,
  sum(cardinality(c.message_ids))::bigint AS messages,
  nullif(min(c.due_at), 'infinity') AS first_at, nullif(max(c.due_at), 'infinity') AS last_at
FROM campaign_chunks c JOIN campaign_runs r ON r.app = c.app AND r.id = c.run_id JOIN apps a ON a.id = c.app
WHERE c.app = :app AND c.run_id = :id GROUP BY 1, 2 ORDER BY 1, 2
""")
_TALLIES = text("""
SELECT step, state, nullif(reason, '') AS reason, sum(messages)::bigint AS messages FROM campaign_tallies
WHERE app = :app AND run_id = :id GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
""")
_FROM: dict[State, Sequence[State]] = {
    "paused": ("running",),
    "running": ("paused",),
    "stopped": ("planning", "running", "paused"),
    "finished": ("running",),
}


async def begin(
    connection: Connection, app: str, run_id: UUID, *, campaign: str, version: int, definition: str, repeats: UUID | None = None
) -> None:
    """Write a run down, once. The caller's transaction commits before its workflow is started."""
    given = {"campaign": campaign, "version": version, "definition": definition, "repeats": repeats}
    await connection.execute(_BEGIN, {"app": app, "id": run_id, **given})


async def get(connection: Connection, app: str, run_id: UUID) -> Run | None:
    row = (await connection.execute(_GET, {"app": app, "id": run_id})).mappings().first()
    return None if row is None else Run(**row)


async def of_campaign(connection: Connection, app: str, campaign: str, *, most: int) -> list[Run]:
    """The newest runs of a campaign, the newest first."""
    rows = (await connection.execute(_OF_CAMPAIGN, {"app": app, "campaign": campaign, "most": most})).mappings()
    return [Run(**row) for row in rows]


async def change(connection: Connection, app: str, run_id: UUID, state: State) -> bool:
    """Pause (`paused`), resume (`running`), stop or finish a run; False where it is in no state from which that can be.

    A pause is seen by the next claim of every lane. What a stopped run still had planned is skipped by its workflow.
    """
    key = {"app": app, "id": run_id}
    return (await connection.execute(_CHANGE, {**key, "state": state, "from_states": list(_FROM[state])})).first() is not None


async def may_send(connection: Connection, app: str, run_id: UUID) -> bool:
    """Neither the run nor its app is paused, and it is not over."""
    return bool((await connection.execute(_MAY_SEND, {"app": app, "id": run_id})).scalar())


async def has_due(connection: Connection, app: str, run_id: UUID) -> bool:
    """Some chunk of the run is due now."""
    return bool((await connection.execute(_HAS_DUE, {"app": app, "id": run_id})).scalar())


async def stalled(connection: Connection, since: timedelta) -> list[tuple[str, UUID]]:
    """(app, id) of runs whose workflow may be lost: to look once too often does no harm."""
    return [(row.app, row.id) for row in await connection.execute(_STALLED, {"since": since})]


async def left(connection: Connection, app: str, run_id: UUID) -> Left:
    row = (await connection.execute(_LEFT, {"app": app, "id": run_id})).one()
    return Left(row.chunks, int(row.messages), row.due_at)


async def waits(connection: Connection, app: str, run_id: UUID) -> list[Wait]:
    """What is left of a run, by version and by what it waits for; empty where nothing is left."""
    return [Wait(*row) for row in await connection.execute(_WAITS, {"app": app, "id": run_id})]


async def tallies(connection: Connection, app: str, run_id: UUID) -> list[Tally]:
    """What its messages came to when they were settled; what providers tell later stands in the ledger."""
    return [Tally(*row) for row in await connection.execute(_TALLIES, {"app": app, "id": run_id})]
