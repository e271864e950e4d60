"""What happened to one person, newest first: the answer to "why did, or didn't, she get this?"."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text

from storage.database import Connection


@dataclass(frozen=True)
class Moment:
    """One line. `kind` says what `fact` holds: the columns named below. (at, kind, id) is unique and orders the whole timeline."""

    at: datetime
    kind: str
    id: str
    fact: dict[str, Any]


def _part(kind: str, rows: str, *, at: str, id_: str, fact: str) -> str:
    """Select one kind of line. Each is cut to a page before all are joined, so that a long history costs no more than its newest page."""
    members = ", ".join(f"'{name}', {column}" for name, column in (pair.split("=") for pair in fact.split()))
    return f"""
        (SELECT {at} AS at, '{kind}' COLLATE "C" AS kind, {id_} COLLATE "C" AS id, jsonb_build_object({members}) AS fact
        FROM {rows} AND ({at}, '{kind}' COLLATE "C", {id_} COLLATE "C") < (:at, :kind, :id) ORDER BY 1 DESC, 3 DESC LIMIT :most)"""


_OF_PERSON = "app = :app AND {0}.user_id IN (SELECT id FROM person)"
_OF_JOURNEY = " AND (CAST(:journey AS text) IS NULL OR {0}.journey = :journey)"
_OF_STEP = " AND (CAST(:step AS text) IS NULL OR {0}.step = :step)"
# Of one journey's story those events are a part that its versions listen to.
_HEARD = """ AND (CAST(:journey AS text) IS NULL OR ev.name IN (SELECT unnest(v.entry_names || v.listen_names) FROM journey_versions v
    WHERE v.app = :app AND v.journey = :journey))"""
_ENROLLMENTS = "enrollments e WHERE e." + _OF_PERSON.format("e") + _OF_JOURNEY.format("e")
# The answer of a Send is left out where the ledger has its rows, which say more; so are exit conditions that did not hold.
_STEPS = f"""
    enrollments e JOIN step_outcomes o ON o.app = e.app AND o.enrollment_id = e.id WHERE e.{_OF_PERSON.format("e")}
        AND NOT EXISTS (SELECT FROM messages m WHERE m.app = e.app AND m.source = e.id::text AND m.step = o.step AND m.visit = o.visit)
        AND NOT (o.step LIKE '$exit%' AND o.verdict ->> 'branch' IS NULL) {_OF_JOURNEY.format("e")} {_OF_STEP.format("o")}
"""
_PARTS = (
    _part(
        "event",
        "events ev WHERE ev." + _OF_PERSON.format("ev") + _HEARD,
        at="ev.occurred_at",
        id_="ev.event_id",
        fact="name=ev.name properties=ev.properties received_at=ev.received_at is_history=ev.is_history",
    ),
    _part(
        "entered",
        _ENROLLMENTS,
        at="e.started_at",
        id_="e.id::text",
        fact="enrollment_id=e.id journey=e.journey version=e.version key=e.key n=e.n event=e.entry_name state=e.state"
        " end_reason=e.end_reason",
    ),
    _part(
        "ended",
        _ENROLLMENTS + " AND e.ended_at IS NOT NULL AND e.end_reason <> 'holdout'",
        at="e.ended_at",
        id_="e.id::text",
        fact="enrollment_id=e.id journey=e.journey version=e.version reason=e.end_reason event_id=e.end_event_id",
    ),
    _part(
        "not_entered",
        "refused_entries r WHERE r." + _OF_PERSON.format("r") + _OF_JOURNEY.format("r"),
        at="r.refused_at",
        id_="(r.journey || '/' || r.event_id)",
        fact="journey=r.journey event_id=r.event_id reason=r.reason",
    ),
    _part(
        "step",
        _STEPS,
        at="o.began_at",
        id_="(o.enrollment_id || '/' || o.step || '/' || o.visit)",
        fact="enrollment_id=e.id journey=e.journey version=e.version step=o.step visit=o.visit verdict=o.verdict",
    ),
    _part(
        "message",
        "messages m WHERE m." + _OF_PERSON.format("m") + _OF_JOURNEY.format("m") + _OF_STEP.format("m"),
        at="m.planned_at",
        id_="m.id::text",
        fact="message_id=m.id source=m.source journey=m.journey step=m.step visit=m.visit channel=m.channel message_class=m.message_class"
        " topic=m.topic template=m.template template_version=m.template_version state=m.state reason=m.reason"
        " deferred_until=m.deferred_until tries=m.claim_epoch claimed_at=m.claimed_at settled_at=m.settled_at provider=m.provider"
        " account=m.account answer=m.answer maybe_doubled=m.maybe_doubled units=m.units price=m.price::text currency=m.currency"
        " delivered_at=m.delivered_at bounced_at=m.bounced_at complained_at=m.complained_at"
        " opened_at=m.opened_at clicked_at=m.clicked_at unsubscribed_at=m.unsubscribed_at",
    ),
    _part(
        "by_hand",
        f"enrollments e JOIN interventions i ON i.app = e.app AND i.enrollment_id = e.id WHERE e.{_OF_PERSON.format('e')}"
        + _OF_JOURNEY.format("e"),
        at="i.at",
        id_="(i.enrollment_id || '/' || i.request)",
        fact="enrollment_id=e.id journey=e.journey version=e.version kind=i.kind outcome=i.outcome detail=i.detail done_by=i.done_by",
    ),
    # What the message's own line does not say: why it bounced, was held up or refused.
    _part(
        "told",
        "provider_events p WHERE p.kind IN ('bounced', 'complained', 'refused', 'delayed', 'unsubscribed', 'resubscribed')"
        " AND CAST(:journey AS text) IS NULL AND p." + _OF_PERSON.format("p"),
        at="p.occurred_at",
        id_="lpad(p.seq::text, 20, '0')",
        fact="message_id=p.message_id channel=split_part(p.account,'/',1) provider=p.provider told=p.kind word=p.word detail=p.detail",
    ),
    _part(
        "unclear",
        "unclear_replies r WHERE CAST(:journey AS text) IS NULL AND r." + _OF_PERSON.format("r"),
        at="r.received_at",
        id_="lpad(r.id::text, 20, '0')",
        fact="id=r.id channel=r.channel text=r.body decision=r.decision decided_by=r.decided_by",
    ),
    _part(
        "consent",
        "consents c WHERE CAST(:journey AS text) IS NULL AND c." + _OF_PERSON.format("c"),
        at="c.recorded_at",
        id_="lpad(c.id::text, 20, '0')",
        fact="channel=c.channel topic=c.topic state=c.state source=c.source",
    ),
)
_TIMELINE = text(
    "WITH person AS (SELECT id FROM users WHERE app = :app AND (id = :user_id OR merged_into = :user_id)), parts AS ("
    + "\nUNION ALL".join(_PARTS)
    + ") SELECT at, kind, id, fact FROM parts ORDER BY at DESC, kind DESC, id DESC LIMIT :most"
)
_BEGINNING = (datetime(9999, 1, 1, tzinfo=UTC), "~", "~")


async def timeline(
    connection: Connection,
    app: str,
    user_id: int,
    *,
    journey: str | None = None,
    step: str | None = None,
    before: tuple[datetime, str, str] | None = None,
    most: int = 100,
) -> list[Moment]:
    """List what happened to the person with this internal id, the newest first, joined people included.

    With `journey` only what belongs to it, events that it listens to among it; with `step` only that step's. `before` is
    (at, kind, id) of the last line of the page before.
    """
    at, kind, last_id = before or _BEGINNING
    key = {"app": app, "user_id": user_id, "journey": journey, "step": step, "at": at, "kind": kind, "id": last_id, "most": most}
    return [Moment(**row) for row in (await connection.execute(_TIMELINE, key)).mappings()]


@dataclass(frozen=True)
class Inside:
    """An enrollment that is not over; `held_since` while its next message waits because sending is paused."""

    id: UUID
    journey: str
    version: int
    workflow_id: str
    state: str
    started_at: datetime
    held_since: datetime | None


_INSIDE = text("""
    SELECT e.id, e.journey, e.version, e.workflow_id, e.state, e.started_at,
        (SELECT h.held_at FROM held_sends h WHERE h.app = e.app AND h.enrollment_id = e.id) AS held_since
    FROM enrollments e WHERE e.app = :app AND e.state <> 'closed' AND (CAST(:journey AS text) IS NULL OR e.journey = :journey)
        AND e.user_id IN (SELECT id FROM users WHERE app = :app AND (id = :user_id OR merged_into = :user_id))
    ORDER BY e.started_at LIMIT :most
""")
_DEFINITIONS = text("""
    SELECT v.journey, v.version, v.definition FROM journey_versions v
    JOIN unnest(CAST(:journeys AS text[]), CAST(:versions AS integer[])) AS wanted (journey, version)
        ON wanted.journey = v.journey AND wanted.version = v.version
    WHERE v.app = :app
""")


async def inside(connection: Connection, app: str, user_id: int, *, journey: str | None = None, most: int = 20) -> list[Inside]:
    """The enrollments that the person is in now, the oldest first."""
    key = {"app": app, "user_id": user_id, "journey": journey, "most": most}
    return [Inside(**row) for row in (await connection.execute(_INSIDE, key)).mappings()]


async def definitions(connection: Connection, app: str, wanted: set[tuple[str, int]]) -> dict[tuple[str, int], str]:
    """The definitions of these versions, as canonical JSON, by (journey, version)."""
    pairs = sorted(wanted)
    key = {"app": app, "journeys": [journey for journey, _ in pairs], "versions": [version for _, version in pairs]}
    return {(row.journey, row.version): row.definition for row in await connection.execute(_DEFINITIONS, key)}
