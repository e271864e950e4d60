"""What happened to one person, newest first: the answer to "why did, or didn't, she get this?"."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

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
_ENROLLMENTS = "enrollments e WHERE e." + _OF_PERSON.format("e")
# The answer of a Send is left out where the ledger has its rows, which say more; so are exit conditions that did not hold.
_STEPS = f"""
    enrollments e JOIN step_outcomes o ON o.app = e.app AND o.enrollment_id = e.id WHERE e.{_OF_PERSON.format("e")}
        AND NOT EXISTS (SELECT FROM messages m WHERE m.app = e.app AND m.source = e.id::text AND m.step = o.step AND m.visit = o.visit)
        AND NOT (o.step LIKE '$exit%' AND o.verdict ->> 'branch' IS NULL)
"""
_PARTS = (
    _part(
        "event",
        "events ev WHERE ev." + _OF_PERSON.format("ev"),
        at="ev.occurred_at",
        id_="ev.event_id",
        fact="name=ev.name properties=ev.properties received_at=ev.received_at is_history=ev.is_history",
    ),
    _part(
        "entered",
        _ENROLLMENTS,
        at="e.started_at",
        id_="e.id::text",
        fact="enrollment_id=e.id journey=e.journey version=e.version key=e.key event=e.entry_name state=e.state",
    ),
    _part(
        "ended",
        _ENROLLMENTS + " AND e.ended_at IS NOT NULL",
        at="e.ended_at",
        id_="e.id::text",
        fact="enrollment_id=e.id journey=e.journey version=e.version reason=e.end_reason event_id=e.end_event_id",
    ),
    _part(
        "not_entered",
        "refused_entries r WHERE r." + _OF_PERSON.format("r"),
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
        "messages m WHERE m." + _OF_PERSON.format("m"),
        at="m.planned_at",
        id_="m.id::text",
        fact="message_id=m.id source=m.source journey=m.journey step=m.step visit=m.visit channel=m.channel message_class=m.message_class"
        " topic=m.topic template=m.template template_version=m.template_version state=m.state reason=m.reason"
        " deferred_until=m.deferred_until claimed_at=m.claimed_at settled_at=m.settled_at provider=m.provider answer=m.answer"
        " maybe_doubled=m.maybe_doubled delivered_at=m.delivered_at bounced_at=m.bounced_at complained_at=m.complained_at"
        " opened_at=m.opened_at clicked_at=m.clicked_at unsubscribed_at=m.unsubscribed_at",
    ),
    _part(
        "by_hand",
        "enrollments e JOIN interventions i ON i.app = e.app AND i.enrollment_id = e.id WHERE e." + _OF_PERSON.format("e"),
        at="i.at",
        id_="(i.enrollment_id || '/' || i.request)",
        fact="enrollment_id=e.id journey=e.journey version=e.version kind=i.kind outcome=i.outcome detail=i.detail done_by=i.done_by",
    ),
    _part(
        "consent",
        "consents c WHERE c." + _OF_PERSON.format("c"),
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
    connection: Connection, app: str, user_id: int, *, before: tuple[datetime, str, str] | None = None, most: int = 100
) -> list[Moment]:
    """List what happened to the person with this internal id, the newest first, joined people included.

    `before` is (at, kind, id) of the last line of the page before.
    """
    at, kind, last_id = before or _BEGINNING
    key = {"app": app, "user_id": user_id, "at": at, "kind": kind, "id": last_id, "most": most}
    return [Moment(**row) for row in (await connection.execute(_TIMELINE, key)).mappings()]
