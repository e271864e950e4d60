"""Messages that the API was asked for, each a ledger row with an entry in the side table, from which a lane takes it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text

from journeys.language.messages import MessageClass
from storage.database import Connection
from storage.endpoints import THE_USER, WITHOUT_ADDRESS
from storage.ids import address_hash, message_id

STEP = "direct"
VISIT = 1


@dataclass(frozen=True)
class DirectSend:
    """What the caller asks for: to a user (all of their devices for push) or to one address, already normalised.

    `content` is {"template": name, "data": {...}} (data stands where a journey has the entry event's properties) or {"parts": {...}},
    the fields of the channel as channels/render.py names them; beside them "tracking", where the caller wants it otherwise than the app,
    and "attachments", the files of a mail; of a campaign on an event its name as "campaign", and "version".
    `request` names the request: its Idempotency-Key, else a fresh id.
    `holds_for`: so long what it says is right. Later it does not leave, and it is never sent once more.
    `answers_keyword`: it answers a STOP, START or HELP just heard from this address, and is not held back by what a STOP has closed.
    """

    app: str
    request: str
    channel: str
    message_class: str
    content: Mapping[str, Any]
    user_id: int | None = None
    address: str | None = None
    topic: str | None = None
    holds_for: timedelta | None = None
    answers_keyword: bool = False

    @property
    def source(self) -> str:
        return f"direct:{self.request}"

    @property
    def template(self) -> str | None:
        return self.content.get("template")


@dataclass(frozen=True)
class Planned:
    """The messages of one request. `is_new` is False when the request had come before; then nothing was written."""

    ids: tuple[UUID, ...]
    is_new: bool


@dataclass(frozen=True)
class Waiting:
    """One direct message as the lane meets it."""

    app: str
    id: UUID
    user_id: int | None
    source: str
    channel: str
    message_class: MessageClass
    topic: str | None
    template: str | None
    address: str | None
    planned_at: datetime
    content: Mapping[str, Any] = field(default_factory=dict)
    holds_until: datetime | None = None
    answers_keyword: bool = False
    has_attachments: bool = False
    """They are megabytes, and read one message at a time."""

    @property
    def began_at(self) -> datetime:
        """The time in its id."""
        return datetime.fromtimestamp((self.id.int >> 80) / 1000, tz=UTC)


_LOCK_SOURCE = text(
    "SELECT pg_advisory_xact_lock(hashtextextended(CAST(:app AS text) || '/' || :source, 7305203)), clock_timestamp() AS now"
)
_KNOWN = text("SELECT id FROM messages WHERE app = :app AND source = :source AND step = :step AND visit = :visit ORDER BY id")
_ENDPOINTS = text(
    "SELECT id FROM endpoints WHERE app = :app AND user_id = :user_id AND channel = :channel AND state = 'active'"
    " ORDER BY confirmed_at DESC, id DESC"
)
_PLAN = text("""
WITH given AS (
  SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:targets AS text[]), CAST(:endpoint_ids AS bigint[])) AS g (id, target, endpoint_id)
), written AS (
  INSERT INTO messages (id, app, user_id, endpoint_id, address, source, step, visit, target, channel, message_class, topic, template, state)
  SELECT g.id, :app, CAST(:user_id AS bigint), g.endpoint_id, CAST(:address AS text), :source, :step, :visit, g.target, :channel,
    :message_class, CAST(:topic AS text), CAST(:template AS text), 'planned' FROM given g RETURNING id
), kept AS (
  INSERT INTO direct_sends (app, message_id, content, holds_until, answers_keyword)
  SELECT :app, id, CAST(:content AS jsonb), CAST(:holds_until AS timestamptz), :answers_keyword FROM written
)
INSERT INTO open_messages (app, message_id, kind, due_at, is_bulk)
SELECT :app, id, 'direct', clock_timestamp(), :message_class = 'marketing' FROM written
""")
# Taken by a lease: who dies before it claims leaves the message due again.
_TAKE = text("""
WITH urgent AS (
  SELECT message_id FROM open_messages WHERE kind = 'direct' AND NOT is_bulk AND due_at <= clock_timestamp() ORDER BY due_at LIMIT :most
  FOR UPDATE SKIP LOCKED
), bulk AS (
  SELECT message_id FROM open_messages WHERE kind = 'direct' AND is_bulk AND due_at <= clock_timestamp() ORDER BY due_at
  LIMIT CASE WHEN :with_bulk THEN CAST(:most AS integer) - (SELECT count(*) FROM urgent) ELSE 0 END FOR UPDATE SKIP LOCKED
), due AS (
  SELECT message_id FROM urgent UNION ALL SELECT message_id FROM bulk
), taken AS (
  UPDATE open_messages o SET due_at = clock_timestamp() + make_interval(secs => :lease_s) FROM due
  WHERE o.message_id = due.message_id RETURNING o.app, o.message_id
)
SELECT m.app, m.id, m.user_id, m.source, m.channel, m.message_class, m.topic, m.template, m.address, m.planned_at,
  d.content - 'attachments' AS content, d.content -> 'attachments' IS NOT NULL AS has_attachments,
  d.holds_until, d.answers_keyword
FROM taken t JOIN messages m ON m.id = t.message_id AND m.app = t.app JOIN direct_sends d ON d.message_id = m.id AND d.app = m.app
""")
_POSTPONE = text("""
UPDATE open_messages o SET due_at = clock_timestamp() + make_interval(secs => g.wait_s)
FROM unnest(CAST(:ids AS uuid[]), CAST(:waits AS float8[])) AS g (id, wait_s)
WHERE o.app = :app AND o.message_id = g.id AND o.kind = 'direct'
""")
# What says so already is left alone: it is met again and again while nobody takes it.
_EXPLAIN = text("""
UPDATE messages m SET reason = g.reason FROM unnest(CAST(:ids AS uuid[]), CAST(:reasons AS text[])) AS g (id, reason)
WHERE m.app = :app AND m.id = ANY(CAST(:ids AS uuid[])) AND m.id = g.id AND m.state = 'planned' AND m.reason IS DISTINCT FROM g.reason
""")
# Spread over ten seconds; what is put off for longer than a pause is looked at is put off for another reason.
_RELEASE = text("""
UPDATE open_messages SET due_at = clock_timestamp() + random() * interval '10 seconds'
WHERE app = :app AND kind = 'direct'
  AND due_at BETWEEN clock_timestamp() + interval '10 seconds' AND clock_timestamp() + interval '5 minutes'
""")
# Whoever settles one that is claimed waits for this and finds that it holds no more: it cannot be called back, but is not tried again.
_HOLDS_NO_MORE = text("""
WITH held AS (SELECT app, id FROM messages WHERE app = :app AND id = ANY(CAST(:ids AS uuid[])) ORDER BY id FOR UPDATE)
UPDATE direct_sends d SET holds_until = clock_timestamp() FROM held WHERE d.app = held.app AND d.message_id = held.id
""")
_DROP = text("""
WITH dropped AS (
  UPDATE messages SET state = CASE WHEN state = 'unknown' OR maybe_doubled OR repeat_until IS NOT NULL THEN 'given_up' ELSE 'skipped' END,
    reason = CASE WHEN state = 'unknown' OR maybe_doubled OR repeat_until IS NOT NULL THEN 'unconfirmed' ELSE :reason END,
    deferred_until = NULL, settled_at = clock_timestamp()
  WHERE app = :app AND id = ANY(CAST(:ids AS uuid[])) AND state IN ('planned', 'deferred', 'unknown') RETURNING id
), gone AS (
  DELETE FROM open_messages o USING dropped d WHERE o.app = :app AND o.message_id = d.id
)
DELETE FROM direct_sends s USING dropped d WHERE s.app = :app AND s.message_id = d.id
""")
_FORGET = text("""
DELETE FROM direct_sends d USING messages m WHERE d.app = :app AND d.message_id = ANY(CAST(:ids AS uuid[]))
  AND m.app = d.app AND m.id = ANY(CAST(:ids AS uuid[])) AND d.message_id = m.id
  AND m.state IN ('sent', 'rejected', 'skipped', 'given_up')
""")
# A message that is not over is always listed: both rows come in one statement.
_FORGET_OVER = text(
    "DELETE FROM direct_sends d WHERE NOT EXISTS (SELECT FROM open_messages o WHERE o.app = d.app AND o.message_id = d.message_id)"
)
_ATTACHMENTS = text("SELECT content -> 'attachments' FROM direct_sends WHERE app = :app AND message_id = :id")


async def plan_direct(connection: Connection, send: DirectSend) -> Planned:
    """Write the ledger rows of a request, once: the same request again finds them, however many come at the same time.

    The caller's transaction commits before it answers, and wakes the lane after that.
    """
    keys = {"app": send.app, "source": send.source, "step": STEP, "visit": VISIT}
    began_at = (await connection.execute(_LOCK_SOURCE, {"app": send.app, "source": send.source})).one().now
    known = (await connection.execute(_KNOWN, keys)).scalars().all()
    if known:
        return Planned(tuple(known), is_new=False)
    endpoint_ids = await _endpoint_ids(connection, send)
    targets = [_target(send, endpoint_id) for endpoint_id in endpoint_ids]
    ids = [message_id(began_at, send.app, send.source, STEP, VISIT, target) for target in targets]
    names = ("user_id", "address", "channel", "message_class", "topic", "template", "content", "answers_keyword")
    values = {name: getattr(send, name) for name in names}
    holds_until = began_at + send.holds_for if send.holds_for is not None else None
    targeted = {"ids": ids, "targets": targets, "endpoint_ids": endpoint_ids}
    await connection.execute(_PLAN, {**keys, **values, **targeted, "holds_until": holds_until})
    return Planned(tuple(ids), is_new=True)


async def _endpoint_ids(connection: Connection, send: DirectSend) -> Sequence[int | None]:
    if send.address is not None or send.channel in WITHOUT_ADDRESS:
        return [None]
    found = (await connection.execute(_ENDPOINTS, {"app": send.app, "user_id": send.user_id, "channel": send.channel})).scalars().all()
    return (found if send.channel == "push" else found[:1]) or [None]


def _target(send: DirectSend, endpoint_id: int | None) -> str:
    if send.address is not None:
        return f"address:{address_hash(send.app, send.channel, send.address).hex()[:16]}"
    if send.channel in WITHOUT_ADDRESS:
        return THE_USER
    return "none" if endpoint_id is None else str(endpoint_id)


async def take_due(connection: Connection, *, most: int, lease: timedelta, with_bulk: bool = True) -> list[Waiting]:
    """Take direct messages that are due, of any app, transactional ones first; `with_bulk` False: nothing else.

    Whoever takes them must claim or postpone them within the lease.
    """
    rows = await connection.execute(_TAKE, {"most": most, "lease_s": lease.total_seconds(), "with_bulk": with_bulk})
    return [Waiting(**row) for row in rows.mappings()]


async def attachments(connection: Connection, app: str, number: UUID) -> list[dict[str, str]]:
    """The files of a mail: name, type and content in base64. Raises NoResultFound where they are forgotten: it must not go without."""
    found: list[dict[str, str]] = (await connection.execute(_ATTACHMENTS, {"app": app, "id": number})).scalar_one()
    return found


async def postpone(connection: Connection, app: str, waits: Mapping[UUID, timedelta]) -> None:
    """Leave planned messages for later, each for so long."""
    given = {"app": app, "ids": list(waits), "waits": [wait.total_seconds() for wait in waits.values()]}
    await connection.execute(_POSTPONE, given)


async def explain(connection: Connection, app: str, reasons: Mapping[UUID, str]) -> None:
    """Write down why planned messages are not claimed."""
    await connection.execute(_EXPLAIN, {"app": app, "ids": list(reasons), "reasons": list(reasons.values())})


async def release(connection: Connection, app: str) -> None:
    """Sending was resumed: what was left for later because of the pause is due within ten seconds."""
    await connection.execute(_RELEASE, {"app": app})


async def forget_contents(connection: Connection, app: str, numbers: Sequence[UUID]) -> None:
    """Delete what the caller gave for those messages that are done: it may hold a one-time code."""
    await connection.execute(_FORGET, {"app": app, "ids": numbers})


async def forget_over(connection: Connection) -> int:
    """The same in every app for all that ended without a lane: confirmed, given up, or told of by its provider. Returns how many."""
    return (await connection.execute(_FORGET_OVER)).rowcount


async def drop(connection: Connection, app: str, ids: Sequence[UUID], *, reason: str) -> None:
    """End messages that hold no more: what waits is skipped, what may have gone out is given up, what is claimed is not tried again."""
    if ids:
        await connection.execute(_HOLDS_NO_MORE, {"app": app, "ids": ids})
        await connection.execute(_DROP, {"app": app, "ids": ids, "reason": reason})
