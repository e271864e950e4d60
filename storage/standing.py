"""What a claim must know, read after the user's row is locked: consent, suppression, caps, pause, exits, and the rows of the step.

One statement, because it runs for every Send, and takes any number of Sends of one app at once; a new snapshot, because it comes
after the locks.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import text

from storage.database import Connection
from storage.messages import MessageRow, id_bounds, message_row


@dataclass(frozen=True)
class Person:
    """A locked user row. `user_id` is the caller's id."""

    id: int
    user_id: str | None
    attributes: Mapping[str, Any]
    timezone: str | None
    locale: str | None = None


@dataclass(frozen=True)
class Endpoint:
    """One address of the person on the channel, inactive ones too."""

    id: int
    address: str
    address_hash: bytes
    is_active: bool
    confirmed_at: datetime
    device: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Consent:
    """The newest record of one (channel, topic); * stands for every channel or topic. A greater `order` was said later.

    `stands`: `said` by the person, `pending` until they confirm it, or `needed`: nothing was said, and the topic asks for a yes.
    """

    channel: str
    topic: str
    is_granted: bool
    order: int
    stands: Literal["said", "pending", "needed"] = "said"


@dataclass(frozen=True)
class Claimed:
    """A message to this person that was claimed and has left, or may have."""

    channel: str
    at: datetime
    topic: str | None = None
    message_class: str = "marketing"


@dataclass(frozen=True)
class Asked:
    """What to read. `source`, `step` and `visit` name the rows, `began_at` is the time in their ids.

    `message_id`: only this one of them, where they are those of very many people. `template_version`: None is the live one.
    """

    app: str
    user_id: int | None
    source: str
    step: str
    visit: int
    began_at: datetime
    channel: str
    topic: str | None = None
    template: str | None = None
    journey: str | None = None
    enrollment_id: str | None = None
    address_hash: bytes | None = None
    message_id: UUID | None = None
    template_version: int | None = None


@dataclass(frozen=True)
class Count:
    """What to count against the caps of one Send."""

    asked: Asked
    since: datetime
    with_transactional: bool = False


@dataclass(frozen=True)
class Standing:
    """The answer. `now` is the database's clock while the lock is held; `suppressed` holds address hashes.

    `phone` is the number that the person confirmed last, whatever the channel.
    """

    now: datetime
    app_name: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    app_is_paused: bool = False
    journey_is_paused: bool = False
    template_version: int | None = None
    enrollment_state: str | None = None
    verdict: Mapping[str, Any] | None = None
    rows: tuple[MessageRow, ...] = ()
    endpoints: tuple[Endpoint, ...] = ()
    consents: tuple[Consent, ...] = ()
    suppressed: frozenset[bytes] = frozenset()
    user_id: str | None = None
    """The caller's id of the person."""
    phone: str | None = None
    replied: Mapping[bytes, datetime] = field(default_factory=dict)
    """WhatsApp only: address hash -> when it last wrote to us."""
    only_answers: bool = False
    """The template has a free text for WhatsApp and nothing that may begin a conversation."""


_ROWS = """jsonb_agg(jsonb_build_array(m.id, m.target, m.state, m.reason, m.endpoint_id, m.address, m.claim_epoch, m.claim_until,
    m.claimed_at, m.settled_at, m.deferred_until, m.planned_at, m.repeat_until, m.maybe_doubled) ORDER BY m.id)"""
_STANDING = text(f"""
WITH asked AS (
  SELECT * FROM unnest(CAST(:channels AS text[]), CAST(:user_ids AS bigint[]), CAST(:sources AS text[]), CAST(:steps AS text[]),
    CAST(:visits AS integer[]), CAST(:first_ids AS uuid[]), CAST(:last_ids AS uuid[]), CAST(:topics AS text[]), CAST(:templates AS text[]),
    CAST(:journeys AS text[]), CAST(:enrollment_ids AS uuid[]), CAST(:address_hashes AS bytea[]), CAST(:message_ids AS uuid[]),
    CAST(:template_versions AS integer[]))
    WITH ORDINALITY AS w (channel, user_id, source, step, visit, first_id, last_id, topic, template, journey, enrollment_id, address_hash,
      message_id, template_version, place)
)
SELECT clock_timestamp() AS now, a.name AS app_name, a.settings, a.paused_at IS NOT NULL AS app_is_paused,
  EXISTS (SELECT FROM journeys j WHERE j.app = a.id AND j.name = w.journey AND j.paused_at IS NOT NULL) AS journey_is_paused,
  coalesce(w.template_version, (SELECT t.live_version FROM templates t WHERE t.app = a.id AND t.name = w.template)) AS template_version,
  (SELECT e.state FROM enrollments e WHERE e.app = a.id AND e.id = w.enrollment_id) AS enrollment_state,
  (SELECT u.user_id FROM users u WHERE u.app = a.id AND u.id = w.user_id) AS user_id,
  (SELECT o.verdict FROM step_outcomes o
    WHERE o.app = a.id AND o.enrollment_id = w.enrollment_id AND o.step = w.step AND o.visit = w.visit) AS verdict,
  CASE WHEN w.message_id IS NULL THEN (SELECT {_ROWS} FROM messages m
      WHERE m.app = a.id AND m.source = w.source AND m.step = w.step AND m.visit = w.visit AND m.id >= w.first_id AND m.id <= w.last_id)
    ELSE (SELECT {_ROWS} FROM messages m WHERE m.app = a.id AND m.id = w.message_id) END AS rows,
  (SELECT jsonb_agg(jsonb_build_array(e.id, e.address, encode(e.address_hash, 'hex'), e.state = 'active', e.confirmed_at, e.device)
                    ORDER BY e.confirmed_at DESC, e.id DESC)
     FROM endpoints e WHERE e.app = a.id AND e.user_id = w.user_id AND e.channel = w.channel) AS endpoints,
  (SELECT e.address FROM endpoints e WHERE e.app = a.id AND e.user_id = w.user_id AND e.state = 'active'
      AND e.channel IN ('sms', 'whatsapp', 'voice') ORDER BY e.confirmed_at DESC, e.id DESC LIMIT 1) AS phone,
  (SELECT jsonb_agg(jsonb_build_array(c.channel, c.topic, c.state = 'granted', c.id,
                                      CASE c.state WHEN 'pending' THEN 'pending' WHEN 'needed' THEN 'needed' ELSE 'said' END))
     FROM ((SELECT DISTINCT ON (c.channel, c.topic) c.channel, c.topic, c.state, c.id FROM consents c
            WHERE c.app = a.id AND c.user_id = w.user_id AND c.channel IN (w.channel, '*')
              AND c.topic IN (coalesce(w.topic, a.settings ->> 'topic', 'general'), '*', '*marketing')
            ORDER BY c.channel, c.topic, c.id DESC)
           UNION ALL
           -- Of an address that goes by itself: whether some owner wants nothing there. A yes of theirs is no yes to this.
           SELECT o.channel, '*', 'withdrawn', max(o.id) FROM endpoints e CROSS JOIN LATERAL
             (SELECT c.channel, c.state, c.id FROM consents c
              WHERE c.app = a.id AND c.user_id = e.user_id AND c.channel IN (w.channel, '*') AND c.topic = '*'
              ORDER BY c.id DESC LIMIT 1) o
           WHERE w.user_id IS NULL AND e.app = a.id AND e.channel = w.channel AND e.address_hash = w.address_hash AND e.state = 'active'
             AND o.state = 'withdrawn' GROUP BY o.channel
           UNION ALL SELECT '*', t.name, 'needed', 0 FROM topics t
            WHERE t.app = a.id AND t.needs_consent AND t.name = coalesce(w.topic, a.settings ->> 'topic', 'general')) c) AS consents,
  (SELECT array_agg(known.hash) FROM
     (SELECT e.address_hash FROM endpoints e WHERE e.app = a.id AND e.user_id = w.user_id AND e.channel = w.channel
      UNION ALL SELECT w.address_hash) AS known (hash)
     WHERE EXISTS (SELECT FROM suppressions s WHERE s.app = a.id AND s.channel = w.channel
       AND s.address_hash = ANY(suppression_hashes(known.hash)))) AS suppressed,
  (SELECT jsonb_object_agg(r.name, r.replied_at) FROM (
     SELECT encode(e.address_hash, 'hex') AS name, max(e.replied_at) AS replied_at FROM endpoints e
      WHERE w.channel = 'whatsapp' AND e.app = a.id AND e.channel = w.channel AND e.replied_at IS NOT NULL AND e.address_hash IN
     (SELECT o.address_hash FROM endpoints o WHERE o.app = a.id AND o.user_id = w.user_id AND o.channel = w.channel
      UNION ALL SELECT w.address_hash) GROUP BY 1) r) AS replied,
  (SELECT v.files ? 'whatsapp.txt' AND NOT v.files ? 'whatsapp.toml' FROM templates t
     JOIN template_versions v ON v.app = t.app AND v.template = t.name AND v.version = coalesce(w.template_version, t.live_version)
    WHERE w.channel = 'whatsapp' AND t.app = a.id AND t.name = w.template) AS only_answers
FROM apps a, asked w WHERE a.id = :app ORDER BY w.place
""")
# One step to several devices is one message to a person, and the step at hand does not count against itself. An id tells when the
# enrollment or request began, so older months are left out where nothing that began then can have been claimed since: no enrollment
# that was still open, and no direct send, which waits for 72 hours at most, held and put off included for a month.
_CLAIMED = text("""
SELECT w.place, c.channel, c.topic, c.message_class, c.at
FROM unnest(CAST(:user_ids AS bigint[]), CAST(:sources AS text[]), CAST(:steps AS text[]), CAST(:visits AS integer[]),
  CAST(:sinces AS timestamptz[]), CAST(:with_transactionals AS boolean[])) WITH ORDINALITY
  AS w (user_id, source, step, visit, since, with_transactional, place)
CROSS JOIN LATERAL (
  SELECT time_floor(least(w.since - interval '31 days', min(e.started_at))) AS first_id FROM enrollments e
  WHERE e.app = :app AND e.user_id = w.user_id AND (e.state <> 'closed' OR e.ended_at >= w.since)
) f
CROSS JOIN LATERAL (
  SELECT m.channel, m.topic, m.message_class, min(m.claimed_at) AS at FROM messages m
  WHERE m.app = :app AND m.user_id = w.user_id AND (m.message_class = 'marketing' OR w.with_transactional) AND m.id >= f.first_id
    AND m.state IN ('claimed', 'sent', 'unknown', 'given_up') AND m.claimed_at >= w.since
    AND NOT (m.source = w.source AND m.step = w.step AND m.visit = w.visit)
  GROUP BY m.source, m.step, m.visit, m.channel, m.topic, m.message_class
) c
""")
_PLANNED_ADDRESS = text("""
SELECT m.address FROM messages m WHERE m.app = :app AND m.source = :source AND m.step = :step AND m.visit = :visit
  AND m.id >= CAST(:first_id AS uuid) AND m.id <= CAST(:last_id AS uuid) AND m.address IS NOT NULL LIMIT 1
""")
_LOCK_ENROLLED = text("""
SELECT u.id, u.user_id, u.attributes, u.timezone, u.locale, u.merged_into, e.started_at, e.entered_at, e.entry_event_id, e.entry_properties
FROM enrollments e JOIN users u ON u.app = e.app AND u.id = e.user_id
WHERE e.app = :app AND e.id = CAST(:enrollment_id AS uuid) FOR NO KEY UPDATE OF u
""")
_LOCK_PERSON = text("""
SELECT u.id, u.user_id, u.attributes, u.timezone, u.locale, u.merged_into FROM users u
WHERE u.app = :app AND u.id = :user_id FOR NO KEY UPDATE
""")
# In order of id, as every locker of several people does.
_LOCK_PEOPLE = text("""
SELECT u.id, u.user_id, u.attributes, u.timezone, u.locale, u.merged_into FROM users u
WHERE u.app = :app AND u.id = ANY(CAST(:user_ids AS bigint[]))
ORDER BY u.id FOR NO KEY UPDATE
""")
# Each once, and in one order whoever asks.
_LOCK_ADDRESSES = text("""
SELECT pg_advisory_xact_lock(hashtextextended(h.name, 7305202))
FROM (SELECT DISTINCT encode(g, 'hex') AS name FROM unnest(CAST(:address_hashes AS bytea[])) AS g ORDER BY 1 OFFSET 0) h
""")


@dataclass(frozen=True)
class Enrolled:
    """An enrollment whose person is locked."""

    person: Person
    started_at: datetime
    entered_at: datetime
    entry_event_id: str
    entry_properties: Mapping[str, Any] = field(default_factory=dict)


async def lock_enrolled(connection: Connection, app: str, enrollment_id: str) -> Enrolled | None:
    """Lock the row of whoever the enrollment belongs to now; None when there is no such enrollment.

    A join of two people that commits while we wait has moved the enrollment: then the survivor's row is the one to lock.
    """
    while True:
        row = (await connection.execute(_LOCK_ENROLLED, {"app": app, "enrollment_id": enrollment_id})).first()
        if row is None:
            return None
        if row.merged_into is None:
            person = Person(row.id, row.user_id, row.attributes, row.timezone, row.locale)
            return Enrolled(person, row.started_at, row.entered_at, row.entry_event_id, row.entry_properties)


async def lock_person(connection: Connection, app: str, user_id: int) -> Person | None:
    """Lock a user's row, or the survivor's where the user was found to be somebody else."""
    while True:
        row = (await connection.execute(_LOCK_PERSON, {"app": app, "user_id": user_id})).first()
        if row is None:
            return None
        if row.merged_into is None:
            return Person(row.id, row.user_id, row.attributes, row.timezone, row.locale)
        user_id = row.merged_into


async def lock_people(connection: Connection, app: str, user_ids: Iterable[int]) -> tuple[dict[int, Person], dict[int, int]]:
    """Lock the rows of several users. Returns the people by id, and for those who were found to be somebody else the survivor's id.

    A survivor is not locked here, because that would break the order in which rows are locked.
    """
    rows = (await connection.execute(_LOCK_PEOPLE, {"app": app, "user_ids": sorted(set(user_ids))})).all()
    people = {row.id: Person(row.id, row.user_id, row.attributes, row.timezone, row.locale) for row in rows if row.merged_into is None}
    return people, {row.id: row.merged_into for row in rows if row.merged_into is not None}


async def lock_address(connection: Connection, address_hash: bytes) -> None:
    """Stand in for the user row where a message goes to an address that is nobody's endpoint; suppressing takes the same lock."""
    await lock_addresses(connection, [address_hash])


async def lock_addresses(connection: Connection, address_hashes: Sequence[bytes]) -> None:
    """The same for several addresses, after the rows of users."""
    await connection.execute(_LOCK_ADDRESSES, {"address_hashes": address_hashes})


async def read_standing(connection: Connection, asked: Asked) -> Standing:
    """Read what the rules ask for, with a snapshot taken after the lock that the caller holds."""
    return (await read_standings(connection, asked.app, [asked]))[0]


async def read_standings(connection: Connection, app: str, asked: Sequence[Asked]) -> list[Standing]:
    """The same for several Sends of one app, in their order. The caller holds the locks of all their people and addresses."""
    bounds = [id_bounds(each.began_at) for each in asked]
    given = {
        "app": app,
        "first_ids": [first for first, _ in bounds],
        "last_ids": [last for _, last in bounds],
        **{f"{name}s": [getattr(each, name) for each in asked] for name in ("channel", "user_id", "source", "step", "visit", "topic")},
        **{f"{name}s": [getattr(each, name) for each in asked] for name in ("template", "template_version", "journey", "enrollment_id")},
        "address_hashes": [each.address_hash for each in asked],
        "message_ids": [each.message_id for each in asked],
    }
    return [_standing(row) for row in await connection.execute(_STANDING, given)]


def _standing(row: Any) -> Standing:
    return Standing(
        now=row.now,
        app_name=row.app_name,
        settings=row.settings,
        app_is_paused=row.app_is_paused,
        journey_is_paused=row.journey_is_paused,
        template_version=row.template_version,
        enrollment_state=row.enrollment_state,
        verdict=row.verdict,
        rows=tuple(message_row(parts) for parts in row.rows or ()),
        endpoints=tuple(_endpoint(parts) for parts in row.endpoints or ()),
        consents=tuple(Consent(*parts) for parts in row.consents or ()),
        suppressed=frozenset(row.suppressed or ()),
        user_id=row.user_id,
        phone=row.phone,
        replied={bytes.fromhex(name): datetime.fromisoformat(at) for name, at in (row.replied or {}).items()},
        only_answers=bool(row.only_answers),
    )


def _endpoint(parts: Sequence[Any]) -> Endpoint:
    number, address, digest, is_active, confirmed_at, device = parts
    return Endpoint(number, address, bytes.fromhex(digest), is_active, datetime.fromisoformat(confirmed_at), device)


async def claimed_since(connection: Connection, app: str, counts: Sequence[Count]) -> list[tuple[Claimed, ...]]:
    """For each: the messages that count for caps, its own step left out; one for each step, however many devices it went to."""
    given = {
        "app": app,
        **{f"{name}s": [getattr(each.asked, name) for each in counts] for name in ("user_id", "source", "step", "visit")},
        **{f"{name}s": [getattr(each, name) for each in counts] for name in ("since", "with_transactional")},
    }
    found: list[list[Claimed]] = [[] for _ in counts]
    for row in await connection.execute(_CLAIMED, given):
        found[row.place - 1].append(Claimed(row.channel, row.at, row.topic, row.message_class))
    return [tuple(each) for each in found]


async def planned_address(connection: Connection, asked: Asked) -> str | None:
    """The address that the first plan of this step fixed, where it is no endpoint."""
    first_id, last_id = id_bounds(asked.began_at)
    keys = {name: getattr(asked, name) for name in ("app", "source", "step", "visit")}
    address: str | None = (await connection.execute(_PLANNED_ADDRESS, {**keys, "first_id": first_id, "last_id": last_id})).scalar()
    return address


def source_of(enrollment_id: str | UUID) -> str:
    """The `source` of an enrollment's messages: its id in the canonical form, which is part of their ids."""
    return str(UUID(str(enrollment_id)))
