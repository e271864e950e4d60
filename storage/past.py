"""What is recorded of many people at once, for playing journeys over it: one statement of a kind for a whole page of people."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import text

from storage.database import Connection


@dataclass(frozen=True)
class PastEvent:
    """One event. What came as history counts as received when it occurred."""

    id: str
    name: str
    occurred_at: datetime
    properties: dict[str, Any]
    arrival: int
    received_at: datetime


@dataclass(frozen=True)
class PastEndpoint:
    """One address as it is now; `suppressed_at`: from when on nothing may be sent to it."""

    channel: str
    address: str
    is_active: bool
    confirmed_at: datetime
    device: dict[str, Any]
    suppressed_at: datetime | None


@dataclass(frozen=True)
class PastConsent:
    """One word on a channel and topic; a greater `order` was said later."""

    channel: str
    topic: str
    is_granted: bool
    order: int
    recorded_at: datetime


@dataclass(frozen=True)
class PastMessage:
    """One step of a journey, or a direct send, that left; `journey` None for the latter."""

    source: str
    step: str
    template: str | None
    journey: str | None
    channel: str
    message_class: str
    topic: str | None
    claimed_at: datetime
    sent_at: datetime | None
    delivered_at: datetime | None
    opened_at: datetime | None
    clicked_at: datetime | None


@dataclass(frozen=True)
class PastEnrollment:
    """The last time that somebody had entered under a key before the backtest begins; `ended_at` None: they are inside still."""

    key: str
    entered_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True)
class Past:
    """What is recorded of one person. Events and messages in order; endpoints the most recently confirmed first."""

    id: int
    subject: str
    attributes: dict[str, Any]
    timezone: str | None
    events: tuple[PastEvent, ...] = ()
    endpoints: tuple[PastEndpoint, ...] = ()
    consents: tuple[PastConsent, ...] = ()
    messages: tuple[PastMessage, ...] = ()
    enrollments: tuple[PastEnrollment, ...] = field(default=())


@dataclass(frozen=True)
class Wanted:
    """What to read: events of these names before `until`, messages where a rule asks for them, and enrollments of `journey` before `since`.

    `of_ten_thousand` people are looked at of every 10,000, the same ones each time.
    """

    app: str
    journey: str
    names: tuple[str, ...]
    since: datetime | None
    until: datetime
    with_messages: bool
    of_ten_thousand: int


_SAMPLED = "(hashint8(u.id)::bigint & 2147483647) % 10000 < :of_ten_thousand"
_COUNT = text(f"SELECT count(*) FROM users u WHERE u.app = :app AND u.merged_into IS NULL AND {_SAMPLED}")
_PEOPLE = text(f"""
    SELECT u.id, coalesce(u.user_id, (SELECT i.value FROM identities i WHERE i.app = u.app AND i.user_id = u.id AND i.kind = 'a'
        ORDER BY i.created_at, i.value LIMIT 1), u.id::text) AS subject, u.attributes, u.timezone
    FROM users u WHERE u.app = :app AND u.merged_into IS NULL AND u.id > :after AND {_SAMPLED} ORDER BY u.id LIMIT :most
""")
# An event belongs to who its person turned out to be.
_EVENTS = text("""
    SELECT p.person, e.event_id, e.name, e.occurred_at, e.properties, e.seq,
        CASE WHEN e.is_history THEN e.occurred_at ELSE e.received_at END AS received_at
    FROM (SELECT id AS person, id FROM unnest(CAST(:ids AS bigint[])) AS id
          UNION ALL SELECT u.merged_into, u.id FROM users u WHERE u.app = :app AND u.merged_into = ANY(CAST(:ids AS bigint[]))) p
    JOIN events e ON e.app = :app AND e.user_id = p.id AND e.name = ANY(CAST(:names AS text[])) AND e.occurred_at < :until
    ORDER BY received_at, e.occurred_at, e.seq
""")
_ENDPOINTS = text("""
    SELECT e.user_id, e.channel, e.address, e.state = 'active', e.confirmed_at, e.device, s.created_at
    FROM endpoints e LEFT JOIN suppressions s ON s.app = e.app AND s.channel = e.channel
        AND s.address_hash = ANY(suppression_hashes(e.address_hash))
    WHERE e.app = :app AND e.user_id = ANY(CAST(:ids AS bigint[])) ORDER BY e.confirmed_at DESC, e.id DESC
""")
_CONSENTS = text("""
    SELECT c.user_id, c.channel, c.topic, c.state = 'granted', c.id, c.recorded_at
    FROM consents c WHERE c.app = :app AND c.user_id = ANY(CAST(:ids AS bigint[])) ORDER BY c.id
""")
_MESSAGES = text("""
    SELECT m.user_id, m.source, m.step, m.template, m.journey, m.channel, m.message_class, m.topic, m.claimed_at,
        CASE WHEN m.state = 'sent' THEN m.settled_at END, m.delivered_at, m.opened_at, m.clicked_at
    FROM messages m WHERE m.app = :app AND m.user_id = ANY(CAST(:ids AS bigint[])) AND m.claimed_at < :until
        AND m.state IN ('claimed', 'sent', 'unknown', 'given_up') ORDER BY m.claimed_at
""")
_ENROLLMENTS = text("""
    SELECT DISTINCT ON (e.user_id, e.key) e.user_id, e.key, e.entered_at,
        CASE WHEN e.state = 'closed' THEN coalesce(e.ended_at, e.started_at) END
    FROM enrollments e WHERE e.app = :app AND e.user_id = ANY(CAST(:ids AS bigint[])) AND e.journey = :journey
        AND e.entered_at < :since ORDER BY e.user_id, e.key, e.started_at DESC
""")


async def count(connection: Connection, app: str, of_ten_thousand: int = 10_000) -> int:
    """How many people will be looked at."""
    return int((await connection.execute(_COUNT, {"app": app, "of_ten_thousand": of_ten_thousand})).scalar_one())


async def people(connection: Connection, wanted: Wanted, after: int, most: int) -> list[Past]:
    """The next people after this internal id, with what is recorded of them."""
    chosen = {"app": wanted.app, "of_ten_thousand": wanted.of_ten_thousand, "after": after, "most": most}
    rows = (await connection.execute(_PEOPLE, chosen)).all()
    of = _Reading(connection, wanted, [row.id for row in rows])
    events = await of(_EVENTS, PastEvent, names=list(wanted.names), until=wanted.until)
    endpoints = await of(_ENDPOINTS, PastEndpoint)
    consents = await of(_CONSENTS, PastConsent)
    messages = await of(_MESSAGES, PastMessage, until=wanted.until) if wanted.with_messages else {}
    # Without a beginning the journey is played as if it had always been there, so nobody has entered it before.
    before = await of(_ENROLLMENTS, PastEnrollment, journey=wanted.journey, since=wanted.since) if wanted.since else {}
    return [
        Past(
            row.id,
            row.subject,
            row.attributes,
            row.timezone,
            tuple(events.get(row.id, ())),
            tuple(endpoints.get(row.id, ())),
            tuple(consents.get(row.id, ())),
            tuple(messages.get(row.id, ())),
            tuple(before.get(row.id, ())),
        )
        for row in rows
    ]


@dataclass(frozen=True)
class _Reading:
    connection: Connection
    wanted: Wanted
    ids: Sequence[int]

    async def __call__(self, statement: Any, kind: Any, **values: Any) -> dict[int, list[Any]]:
        """Rows of this statement by person: the first column names the person, the others are the fields of `kind`."""
        found: defaultdict[int, list[Any]] = defaultdict(list)
        for person, *fields in await self.connection.execute(statement, {"app": self.wanted.app, "ids": self.ids, **values}):
            found[person].append(kind(*fields))
        return found
