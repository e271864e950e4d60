"""Counting one hour of entries: what its people came to, from enrollments, outcomes, ledger and conversions as they stand.

Ids begin with the moment of entry, so an hour is one range of each table, read in the order in which it lies. It replaces what was
counted before: doing it twice, or dying in the middle, changes nothing.
"""

from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import text

from journeys.language.assign import ends
from journeys.language.codec import from_json
from journeys.language.steps import Split
from journeys.language.walk import all_steps
from storage.conversions import Goals, look_again
from storage.database import Connection

HOUR = timedelta(hours=1)

_TAKE = text("SELECT goals_due FROM report_hours WHERE app = :app AND hour = :hour AND is_due FOR UPDATE SKIP LOCKED")
_IDS = text(
    "SELECT id FROM enrollments WHERE app = :app AND id >= time_floor(:hour) AND id < time_floor(:behind) AND journey = ANY(:journeys)"
)
_FORGET = text("""
DELETE FROM report_conversions WHERE app = :app AND enrollment_id >= time_floor(:hour) AND enrollment_id < time_floor(:behind)
    AND NOT EXISTS (SELECT FROM enrollments e WHERE e.app = :app AND e.id = enrollment_id AND e.journey = ANY(:journeys))
""")
_SPLITS = text("SELECT journey, version, definition FROM journey_versions WHERE app = :app AND strpos(definition, '\"split\"') > 0")
# An hour's people are read once each, so the planner, which guesses one of them, must neither loop over them nor sort them.
_PLAN = text(
    "SELECT set_config('enable_nestloop', 'off', true), set_config('enable_sort', 'off', true), set_config('work_mem', '64MB', true)"
)
_COUNT = text("""
WITH people AS MATERIALIZED (
    SELECT e.id, e.journey, e.version, e.subject, e.state <> 'closed' AS is_inside, coalesce(e.end_reason, '') AS end_reason,
        coalesce(e.end_reason = 'holdout', false) AS is_held_out
    FROM enrollments e WHERE e.app = :app AND e.id >= time_floor(:hour) AND e.id < time_floor(:behind)
), outcomes AS MATERIALIZED (
    SELECT o.enrollment_id AS id, o.step, o.visit, o.began_at, CASE o.verdict ->> 'kind'
            WHEN 'decided' THEN coalesce(o.verdict ->> 'branch', 'otherwise')
            ELSE CASE WHEN o.verdict ->> 'status' = 'settled' AND o.verdict ? 'sent'
                THEN CASE WHEN CAST(o.verdict ->> 'sent' AS boolean) THEN 'sent' ELSE 'not_sent' END
                ELSE coalesce(o.verdict ->> 'status', o.verdict ->> 'kind', '') END END AS way
    FROM step_outcomes o WHERE o.app = :app AND o.enrollment_id >= time_floor(:hour) AND o.enrollment_id < time_floor(:behind)
        AND o.step NOT LIKE '$%'
), ledger AS MATERIALIZED (
    SELECT CAST(m.source AS uuid) AS id, m.step, m.visit, m.state, m.reason, m.delivered_at, m.bounced_at, m.complained_at, m.opened_at,
        m.clicked_at, m.unsubscribed_at, m.units, m.price, m.currency
    FROM messages m WHERE m.app = :app AND m.id >= time_floor(:hour) AND m.id < time_floor(:behind) AND m.journey IS NOT NULL
        AND m.state IN ('sent', 'rejected', 'unknown', 'skipped', 'given_up')
), arms AS MATERIALIZED (
    SELECT p.id, s.split, arm(bucket(:app, p.journey, s.split, p.subject), s.names, s.ends) AS arm
    FROM people p
    JOIN jsonb_to_recordset(CAST(:splits AS jsonb)) AS s (journey text, version integer, split text, names text[], ends integer[])
        ON s.journey = p.journey AND s.version = p.version
    WHERE NOT p.is_held_out
), groups AS MATERIALIZED (
    SELECT p.id, p.journey, p.version, coalesce(a.arms, '') AS arms FROM people p LEFT JOIN
        (SELECT id, string_agg(split || '=' || arm, ' ' ORDER BY split) AS arms FROM arms GROUP BY id) a ON a.id = p.id
), settled AS (
    SELECT l.* FROM ledger l JOIN people p ON p.id = l.id
    WHERE NOT p.is_inside OR EXISTS (SELECT FROM outcomes o WHERE o.id = l.id AND o.step = l.step AND o.visit = l.visit)
), facts AS (
    SELECT id, CASE WHEN is_held_out THEN 'held_out' ELSE 'entered' END AS what, '' AS step, '' AS detail, 1 AS n FROM people
    UNION ALL SELECT id, 'ended', '', end_reason, 1 FROM people WHERE NOT is_inside AND NOT is_held_out
    UNION ALL SELECT p.id, 'inside', coalesce(l.step, ''), coalesce(l.way, ''), 1 FROM people p LEFT JOIN
        (SELECT DISTINCT ON (id) id, step, way FROM outcomes ORDER BY id, began_at DESC, visit DESC, step) l ON l.id = p.id
        WHERE p.is_inside
    UNION ALL SELECT DISTINCT id, 'came', step, '', 1 FROM outcomes
    UNION ALL SELECT DISTINCT id, 'went', step, way, 1 FROM outcomes
    UNION ALL SELECT id, 'message', step,
        state || CASE WHEN state IN ('skipped', 'given_up') THEN ':' || coalesce(reason, '') ELSE '' END, 1 FROM settled
    UNION ALL SELECT id, 'units', step, '', units FROM settled WHERE state = 'sent' AND units IS NOT NULL
    UNION ALL SELECT id, 'cost', step, currency, CAST(round(price * 1000000) AS bigint) FROM settled
        WHERE state = 'sent' AND price IS NOT NULL
    UNION ALL SELECT s.id, told.what, s.step, '', 1 FROM settled s CROSS JOIN LATERAL (VALUES ('delivered', s.delivered_at),
        ('bounced', s.bounced_at), ('complained', s.complained_at), ('opened', s.opened_at), ('clicked', s.clicked_at),
        ('unsubscribed', s.unsubscribed_at)) AS told (what, at) WHERE told.at IS NOT NULL
    UNION ALL SELECT p.id, CASE WHEN p.is_held_out THEN 'held_out_converted' ELSE 'converted' END, '', '', 1
        FROM people p JOIN report_conversions c ON c.app = :app AND c.enrollment_id = p.id
), tallied AS MATERIALIZED (
    SELECT g.journey, g.version, g.arms, f.what, f.step, f.detail, sum(f.n) AS n
    FROM facts f JOIN groups g ON g.id = f.id GROUP BY 1, 2, 3, 4, 5, 6
), shown_as AS (
    SELECT DISTINCT journey, version, arms, '' AS split, '' AS arm FROM groups
    UNION ALL SELECT DISTINCT g.journey, g.version, g.arms, a.split, a.arm FROM groups g JOIN arms a ON a.id = g.id
), counted AS MATERIALIZED (
    SELECT t.journey, t.version, s.split, s.arm, t.what, t.step, t.detail, sum(t.n) AS n
    FROM tallied t JOIN shown_as s ON s.journey = t.journey AND s.version = t.version AND s.arms = t.arms GROUP BY 1, 2, 3, 4, 5, 6, 7
    UNION ALL
    SELECT r.journey, 0, '', '', 'refused', '', r.reason, count(*) FROM refused_entries r
    WHERE r.app = :app AND r.refused_at >= :hour AND r.refused_at < :behind GROUP BY r.journey, r.reason
), gone AS (
    DELETE FROM report_counts r WHERE r.app = :app AND r.hour = :hour AND r.journey IN (SELECT j.name FROM journeys j WHERE j.app = :app)
        AND NOT EXISTS (SELECT FROM counted c WHERE (c.journey, c.version, c.split, c.arm, c.what, c.step, c.detail)
            = (r.journey, r.version, r.split, r.arm, r.what, r.step, r.detail))
), written AS (
    INSERT INTO report_counts AS r (app, journey, hour, version, split, arm, what, step, detail, n)
    SELECT :app, journey, :hour, version, split, arm, what, step, detail, n FROM counted ORDER BY 2, 4, 5, 6, 7, 8, 9
    ON CONFLICT (app, journey, hour, version, split, arm, what, step, detail) DO UPDATE SET n = excluded.n WHERE r.n <> excluded.n
)
UPDATE report_hours SET is_due = false, goals_due = false, counted_at = clock_timestamp(),
    inside = (SELECT count(*) FROM people WHERE is_inside),
    unknowns = (SELECT count(*) FROM messages m WHERE m.app = :app AND m.id >= time_floor(:hour) AND m.id < time_floor(:behind)
        AND m.state = 'unknown')
WHERE app = :app AND hour = :hour
""")


async def count(connection: Connection, app: str, hour: datetime, wanted: Goals) -> bool:
    """Count this hour if it is due; False when another process is at it.

    The row's lock comes first, so who marks the hour meanwhile does it behind this count.
    """
    goals_due = (await connection.execute(_TAKE, {"app": app, "hour": hour})).scalar()
    if goals_due is None:
        return False
    bounds = {"app": app, "hour": hour, "behind": hour + HOUR}
    if goals_due:
        journeys = list(wanted.journeys)
        await connection.execute(_FORGET, {**bounds, "journeys": journeys})
        ids = (await connection.execute(_IDS, {**bounds, "journeys": journeys})).scalars().all()
        await look_again(connection, app, wanted, ids)
    splits = await _splits(connection, app)
    await connection.execute(_PLAN)
    await connection.execute(_COUNT, {**bounds, "splits": splits})
    return True


async def _splits(connection: Connection, app: str) -> list[dict[str, Any]]:
    rows = await connection.execute(_SPLITS, {"app": app})
    return [
        {"journey": row.journey, "version": row.version, "split": split, "names": list(names), "ends": list(behind)}
        for row in rows
        for split, names, behind in _arms(row.definition)
    ]


@lru_cache(maxsize=2048)
def _arms(definition: str) -> tuple[tuple[str, tuple[str, ...], tuple[int, ...]], ...]:
    splits = [step for step in all_steps(from_json(definition).steps) if isinstance(step, Split)]
    return tuple((split.id, tuple(arm.name for arm in split.arms), ends(split)) for split in splits)
