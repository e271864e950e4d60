"""Removing a person for good: what says who they were goes, what is counted stays, and a row says that it happened and not to whom."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import text

from journeys.language.errors import NotFound
from storage import files, idempotency, people
from storage.database import Connection

EVENTS_AT_ONCE = 5000
"""How many events one transaction removes before the last: a person with a million of them must not hold locks for minutes."""


@dataclass(frozen=True)
class Erasure:
    """That somebody was removed. `workflows`: (workflow id, enrollment id) that Temporal still has to forget."""

    app: str
    id: UUID
    asked_by: str
    removed: Mapping[str, int]
    workflows: tuple[tuple[str, str], ...]
    requested_at: datetime
    finished_at: datetime | None


# A person is every row that was found to be them. Locked in the order of ids, as everybody locks people.
_LOCK = text("SELECT id FROM users WHERE app = :app AND (id = :id OR merged_into = :id) ORDER BY id FOR UPDATE")
_SOME_EVENTS = text("""
    DELETE FROM events e USING (
        SELECT received_at, seq FROM events
        WHERE app = :app AND user_id IN (SELECT id FROM users WHERE app = :app AND (id = :id OR merged_into = :id)) LIMIT :most
    ) AS part
    WHERE e.received_at = part.received_at AND e.seq = part.seq
""")
_USER_IDS = text("SELECT value FROM identities WHERE app = :app AND user_id = ANY(:ids) AND kind = 'u'")
_WORKFLOWS = text(
    "SELECT workflow_id, id FROM enrollments WHERE app = :app AND user_id = ANY(:ids) AND end_reason IS DISTINCT FROM 'holdout'"
)
# What stays of a message counts and names nobody; one that was about to leave, or may be leaving, is ended under another epoch, so that
# whoever sends it can write nothing of it any more.
_FORGET_MESSAGES = text("""
    WITH addresses AS (
        SELECT address FROM endpoints WHERE app = :app AND user_id = ANY(:ids)
    ), theirs AS MATERIALIZED (
        SELECT id FROM messages WHERE app = :app AND user_id = ANY(:ids)
        UNION ALL SELECT id FROM messages WHERE app = :app AND user_id IS NULL AND address IN (SELECT address FROM addresses)
    ), no_copies AS (
        DELETE FROM sandbox_messages s USING theirs WHERE s.app = :app AND s.id = theirs.id
    ), no_contents AS (
        DELETE FROM direct_sends d USING theirs WHERE d.app = :app AND d.message_id = theirs.id
    ), no_links AS (
        DELETE FROM message_links l USING theirs WHERE l.app = :app AND l.message_id = theirs.id
    ), no_hits AS (
        DELETE FROM tracking_hits h USING theirs WHERE h.app = :app AND h.message_id = theirs.id
    ), no_refs AS (
        DELETE FROM provider_refs p USING theirs WHERE p.app = :app AND p.message_id = theirs.id
    ), not_told AS (
        DELETE FROM provider_events p USING theirs WHERE p.app = :app AND p.message_id = theirs.id
    ), not_open AS (
        DELETE FROM open_messages o USING theirs WHERE o.app = :app AND o.message_id = theirs.id
    )
    UPDATE messages m SET user_id = NULL, endpoint_id = NULL, address = NULL, answer = NULL, target = 'erased',
        source = CASE WHEN m.source LIKE 'direct:%' THEN 'direct:erased' ELSE m.source END,
        claim_epoch = m.claim_epoch + 1,
        state = CASE m.state WHEN 'claimed' THEN 'given_up' WHEN 'unknown' THEN 'given_up'
            WHEN 'planned' THEN 'skipped' WHEN 'deferred' THEN 'skipped' ELSE m.state END,
        reason = CASE WHEN m.state IN ('claimed', 'unknown', 'planned', 'deferred') THEN 'erased' ELSE m.reason END,
        deferred_until = NULL
    FROM theirs WHERE m.app = :app AND m.id = theirs.id
""")
_BARE_OUTCOME = """coalesce((
    SELECT jsonb_object_agg(v.key, v.value) FROM jsonb_each(o.verdict) AS v
    WHERE v.key IN ('kind', 'status', 'sent', 'reasons', 'claimed_at', 'branch')), '{}')"""
# The id of an enrollment stands for the subject: a report that deals out arms by the subject's hash can leave these out.
_FORGET_ENROLLMENTS = text(f"""
    WITH bare AS (
        UPDATE step_outcomes o SET verdict = {_BARE_OUTCOME}
        FROM enrollments e WHERE o.app = :app AND e.app = :app AND e.user_id = ANY(:ids) AND o.enrollment_id = e.id
    ), by_hand AS (
        UPDATE interventions i SET detail = '{{}}'
        FROM enrollments e WHERE i.app = :app AND e.app = :app AND e.user_id = ANY(:ids) AND i.enrollment_id = e.id
    ), not_held AS (
        DELETE FROM held_sends h USING enrollments e
        WHERE h.app = :app AND e.app = :app AND e.user_id = ANY(:ids) AND h.enrollment_id = e.id
    ), converted AS (
        UPDATE report_conversions c SET event_id = 'erased'
        FROM enrollments e WHERE c.app = :app AND e.app = :app AND e.user_id = ANY(:ids) AND c.enrollment_id = e.id
    )
    UPDATE enrollments e SET user_id = 0, subject = 'erased:' || e.id, key = '', workflow_id = 'erased:' || e.id,
        entry_event_id = 'erased:' || e.id, entry_properties = '{{}}', end_event_id = NULL,
        ended_at = CASE WHEN e.state = 'closed' THEN e.ended_at ELSE clock_timestamp() END,
        end_reason = CASE WHEN e.state = 'closed' THEN e.end_reason ELSE 'erased' END, state = 'closed'
    WHERE e.app = :app AND e.user_id = ANY(:ids)
""")
# Also those whose message was never found: they hold the address as the provider wrote it.
_FORGET_PROVIDER_EVENTS = text("""
    DELETE FROM provider_events WHERE app = :app AND (user_id = ANY(:ids)
        OR address_hash IN (SELECT address_hash FROM endpoints WHERE app = :app AND user_id = ANY(:ids)))
""")
_FORGET_ANSWERS = text("DELETE FROM idempotency_keys WHERE app = :app AND about = ANY(CAST(:hashes AS bytea[]))")
_FORGET_JOBS = text("""
    UPDATE jobs SET parameters = '{}', cursor = NULL, result = NULL, error = NULL
    WHERE app = :app AND state <> 'running' AND EXISTS (
        SELECT FROM unnest(CAST(:user_ids AS text[])) AS u (user_id)
        WHERE strpos(concat_ws(' ', parameters, cursor, result, error), to_json(u.user_id)::text) > 0)
""")
# In this order: what refers to a row goes before it.
_REMOVALS = {
    "provider_events": _FORGET_PROVIDER_EVENTS,
    "messages": _FORGET_MESSAGES,
    "enrollments": _FORGET_ENROLLMENTS,
    **{
        table: text(f"DELETE FROM {table} WHERE app = :app AND user_id = ANY(:ids)")
        for table in (
            *("events", "outbox", "quarantine", "refused_entries", "unclear_replies", "consents", "one_time_codes", "endpoints"),
            *("in_app_messages", "in_app_feeds", "listed_people", "due_dates", "changed_people", "schedule_people"),
            *("segment_members", "segment_due", "segment_changes", "identities"),
        )
    },
    "users": text("DELETE FROM users WHERE app = :app AND id = ANY(:ids)"),
}


async def remove_some_events(connection: Connection, app: str, user_id: str) -> int:
    """Remove events of a person, EVENTS_AT_ONCE at most; fewer: these were the last. Returns how many. Raises NotFound."""
    person = await people.internal_id(connection, app, user_id)
    return (await connection.execute(_SOME_EVENTS, {"app": app, "id": person, "most": EVENTS_AT_ONCE})).rowcount


async def erase(connection: Connection, app: str, user_id: str, asked_by: str, *, events_before: int = 0) -> Erasure:
    """Remove a person from every table, and leave what is counted without them. Raises NotFound.

    `events_before`: how many events `remove_some_events` has removed.

    Whoever has them in hand (ingest, a claim) waits for this or has ended before it. Suppressions stay: they hold hashes.
    """
    person = await people.internal_id(connection, app, user_id)
    ids = list((await connection.execute(_LOCK, {"app": app, "id": person})).scalars())
    if person not in ids:
        raise NotFound("no such user")
    whose = {"app": app, "ids": ids}
    user_ids = list((await connection.execute(_USER_IDS, whose)).scalars())
    workflows = [[row.workflow_id, str(row.id)] for row in await connection.execute(_WORKFLOWS, whose)]
    removed = {name: (await connection.execute(statement, whose)).rowcount for name, statement in _REMOVALS.items()}
    removed["events"] += events_before
    hashes = [idempotency.about(app, known) for known in user_ids]
    removed["idempotency_keys"] = (await connection.execute(_FORGET_ANSWERS, {"app": app, "hashes": hashes})).rowcount
    await connection.execute(_FORGET_JOBS, {"app": app, "user_ids": user_ids})
    await files.forget_unread(connection, app)
    return await _write_down(connection, app, asked_by, removed, workflows)


_COLUMNS = "app, id, asked_by, removed, workflows, requested_at, finished_at"
_WRITE = text(f"""
    INSERT INTO erasures (app, id, asked_by, removed, workflows) VALUES (:app, :id, :asked_by, :removed, :workflows) RETURNING {_COLUMNS}
""")
_ONE = text(f"SELECT {_COLUMNS} FROM erasures WHERE app = :app AND id = :id")
_PAGE = text(f"""
    SELECT {_COLUMNS} FROM erasures WHERE app = :app
        AND (CAST(:at AS timestamptz) IS NULL OR (requested_at, id) < (:at, CAST(:before AS uuid)))
    ORDER BY requested_at DESC, id DESC LIMIT :most
""")
_UNFINISHED = text(f"SELECT {_COLUMNS} FROM erasures WHERE finished_at IS NULL ORDER BY requested_at LIMIT :most")
# What was in somebody's hands while the person was removed may have been written down after.
_SWEEP_OUTCOMES = text(f"""
    UPDATE step_outcomes o SET verdict = {_BARE_OUTCOME} WHERE o.app = :app AND o.enrollment_id = ANY(CAST(:enrollments AS uuid[]))
""")
_LATE_MESSAGES = """SELECT m.id FROM messages m WHERE m.app = :app AND m.target = 'erased'
    AND (m.source = ANY(CAST(:enrollments AS text[])) OR (m.source = 'direct:erased' AND m.id > time_floor(now() - interval '7 days')))"""
_SWEEP_COPIES = text(f"DELETE FROM sandbox_messages WHERE app = :app AND id IN ({_LATE_MESSAGES})")
_SWEEP_TOLD = text(f"DELETE FROM provider_events WHERE app = :app AND message_id IN ({_LATE_MESSAGES})")
_SWEEP_REFS = text(f"DELETE FROM provider_refs WHERE app = :app AND message_id IN ({_LATE_MESSAGES})")
_SWEEP_LINKS = text(f"DELETE FROM message_links WHERE app = :app AND message_id IN ({_LATE_MESSAGES})")
_FINISH = text(
    "UPDATE erasures SET finished_at = clock_timestamp(), workflows = '[]' WHERE app = :app AND id = :id AND finished_at IS NULL"
)


async def get(connection: Connection, app: str, erasure_id: UUID) -> Erasure:
    """One erasure. Raises NotFound."""
    row = (await connection.execute(_ONE, {"app": app, "id": erasure_id})).mappings().first()
    if row is None:
        raise NotFound("no such erasure")
    return _erasure(row)


async def page(connection: Connection, app: str, *, before: tuple[datetime, UUID] | None = None, most: int = 50) -> list[Erasure]:
    """The newest first; `before` is (requested_at, id) of the last one of the page before."""
    at, last = before or (None, None)
    rows = await connection.execute(_PAGE, {"app": app, "at": at, "before": last, "most": most})
    return [_erasure(row) for row in rows.mappings()]


async def unfinished(connection: Connection, most: int = 50) -> list[Erasure]:
    """Erasures of every app that are not finished, the oldest first."""
    return [_erasure(row) for row in (await connection.execute(_UNFINISHED, {"most": most})).mappings()]


async def finish(connection: Connection, erasure: Erasure) -> None:
    """Remove what was written down late, then forget the workflow ids too, which name the person: nothing of them is left."""
    whose = {"app": erasure.app, "enrollments": [enrollment_id for _, enrollment_id in erasure.workflows]}
    await connection.execute(_SWEEP_OUTCOMES, whose)
    await connection.execute(_SWEEP_COPIES, whose)
    await connection.execute(_SWEEP_REFS, whose)
    await connection.execute(_SWEEP_TOLD, whose)
    await connection.execute(_SWEEP_LINKS, whose)
    await connection.execute(_SWEEP_TOLD, whose)
    await connection.execute(_FINISH, {"app": erasure.app, "id": erasure.id})


async def _write_down(
    connection: Connection, app: str, asked_by: str, removed: Mapping[str, int], workflows: Sequence[Sequence[str]]
) -> Erasure:
    values = {"app": app, "id": uuid4(), "asked_by": asked_by, "removed": dict(removed), "workflows": [list(each) for each in workflows]}
    return _erasure((await connection.execute(_WRITE, values)).mappings().one())


def _erasure(row: Any) -> Erasure:
    workflows = tuple((str(workflow_id), str(enrollment_id)) for workflow_id, enrollment_id in row["workflows"])
    return Erasure(**{**row, "workflows": workflows})
