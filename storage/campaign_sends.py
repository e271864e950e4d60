"""The messages of a run as lanes meet them: planned in one statement, taken, claimed and settled in chunks.

A chunk that is taken is due again when its lease is over, so whoever dies leaves it to the next one. Only who took it last ends it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text

from storage.database import Connection
from storage.messages import TOLD, Claim, Settlement, id_bounds
from storage.standing import Person

VISIT = 1
NEVER = datetime.max.replace(tzinfo=UTC)
"""When what waits for a decision is due."""
_SHARDS = 16
_LONGEST_WAIT = timedelta(days=31)


def source_of(run_id: UUID) -> str:
    """The `source` of a run's messages."""
    return f"campaign:{run_id}"


@dataclass(frozen=True)
class Chunk:
    """Messages of one version that are ours until the lease is over; `epoch` tells us from who takes it after us."""

    app: str
    run_id: UUID
    id: int
    epoch: int
    step: str
    message_ids: Sequence[UUID]
    began_at: datetime


@dataclass(frozen=True)
class Recipient:
    """A message that is still to be sent, with the person whose row is locked now. `merged_into`: they were found to be somebody else."""

    id: UUID
    state: str
    person: Person
    planned_at: datetime
    phone: str | None
    merged_into: int | None


@dataclass(frozen=True)
class Plain:
    """A message that nothing stands against, claimed, with where it goes."""

    claim: Claim
    endpoint_id: int
    address: str
    address_hash: bytes
    device: Mapping[str, Any]


@dataclass(frozen=True)
class Later:
    """A message that stays in the run, when it is due, and what it waits for: a reason code."""

    id: UUID
    due_at: datetime
    reason: str


@dataclass(frozen=True)
class House:
    """What holds for the app. `needs_consent`: its topic asks for a yes; `template_version` None: there is no such template."""

    now: datetime
    app_name: str
    settings: Mapping[str, Any]
    template_version: int | None
    needs_consent: bool


@dataclass(frozen=True)
class Sought:
    """What stands against a message that asks for more than its state: consents on the channel, and messages since then."""

    channel: str
    claimed_since: datetime | None
    fewest: int = 0
    """So many messages since then may be too many: the strictest cap of all."""
    counts_transactional: bool = False
    allowed: Sequence[str] | None = None
    """@domains that may be written to; None: all."""


_TAKE = text("""
WITH run AS (
  SELECT r.app, r.id, r.began_at FROM campaign_runs r JOIN apps a ON a.id = r.app
  WHERE r.app = :app AND r.id = :run_id AND r.state = 'running' AND a.paused_at IS NULL
), chosen AS (
  SELECT c.id, run.began_at FROM campaign_chunks c, run
  WHERE c.app = :app AND c.run_id = :run_id AND c.due_at <= clock_timestamp() ORDER BY c.due_at, c.id LIMIT 1 FOR UPDATE OF c SKIP LOCKED
)
UPDATE campaign_chunks c SET due_at = clock_timestamp() + make_interval(secs => :lease_s), epoch = c.epoch + 1 FROM chosen
WHERE c.app = :app AND c.id = chosen.id RETURNING c.id, c.epoch, c.step, c.message_ids, chosen.began_at
""")
# With a bound on messages a second the run's own row is the queue: whoever comes too early takes nothing.
_SLOT = text("""
SELECT id FROM campaign_runs WHERE app = :app AND id = :run_id AND coalesce(next_slot_at, clock_timestamp()) <= clock_timestamp()
FOR NO KEY UPDATE
""")
_NEXT_SLOT = text("""
UPDATE campaign_runs SET next_slot_at = clock_timestamp() + make_interval(secs => :step_s) WHERE app = :app AND id = :run_id
""")
# OFFSET 0 keeps the order of joins as it is written: from the ids, each by its key. Statistics lag behind what a plan has just written.
# In order of id, as every locker of several people does.
_LOCK = text("""
SELECT m.id, m.state, m.planned_at, u.id AS person, u.user_id, u.attributes, u.timezone, u.locale, u.merged_into,
  CASE WHEN u.timezone IS NULL THEN (SELECT e.address FROM endpoints e WHERE e.app = :app AND e.user_id = u.id AND e.state = 'active'
    AND e.channel IN ('sms', 'whatsapp', 'voice') ORDER BY e.confirmed_at DESC, e.id DESC LIMIT 1) END AS phone
FROM unnest(CAST(:ids AS uuid[])) AS g (id) CROSS JOIN LATERAL (
  SELECT m.id, m.state, m.planned_at, m.user_id FROM messages m
  WHERE m.app = :app AND m.id = g.id AND m.state IN ('planned', 'deferred') OFFSET 0
) m JOIN users u ON u.app = :app AND u.id = m.user_id
ORDER BY u.id FOR NO KEY UPDATE OF u
""")
# What SQL decides is only that there is nothing to decide: whoever said anything, or was written to, is judged by activities/rules.py.
_CLAIM_PLAIN = text("""
WITH known AS MATERIALIZED (
  SELECT m.* FROM unnest(CAST(:ids AS uuid[])) AS g (id) CROSS JOIN LATERAL (
    SELECT m.id, m.user_id, m.endpoint_id FROM messages m
    WHERE m.app = :app AND m.id = g.id AND m.state = 'planned' AND m.claim_epoch = 0 AND m.address IS NULL OFFSET 0
  ) m
), quiet AS MATERIALIZED (
  SELECT k.id, e.id AS endpoint_id, e.address, e.address_hash, e.device FROM known k CROSS JOIN LATERAL (
    SELECT e.id, e.address, e.address_hash, e.device FROM endpoints e
    WHERE e.app = :app AND e.id = k.endpoint_id AND e.user_id = k.user_id AND e.state = 'active' OFFSET 0
  ) e
  WHERE (CAST(:allowed AS text[]) IS NULL OR '@' || split_part(e.address, '@', 2) = ANY(CAST(:allowed AS text[])))
    AND NOT EXISTS (SELECT FROM suppressions s WHERE s.app = :app AND s.channel = :channel
      AND s.address_hash = ANY(suppression_hashes(e.address_hash)) OFFSET 0)
    AND NOT EXISTS (SELECT FROM consents c WHERE c.app = :app AND c.user_id = k.user_id AND c.channel IN (:channel, '*') OFFSET 0)
    AND (CAST(:since AS timestamptz) IS NULL OR :fewest > (SELECT count(*) FROM (
      SELECT FROM messages o WHERE o.app = :app AND o.user_id = k.user_id
        AND o.id >= :first_id AND o.claimed_at >= :since AND o.state IN ('claimed', 'sent', 'unknown', 'given_up')
        AND (o.message_class = 'marketing' OR :counts_transactional) LIMIT :fewest) few))
    -- The ids of such a one's messages may be older than those that were looked at.
    AND (CAST(:since AS timestamptz) IS NULL OR NOT EXISTS (
      SELECT FROM enrollments e WHERE e.app = :app AND e.user_id = k.user_id AND e.started_at < CAST(:first_at AS timestamptz)
        AND (e.state <> 'closed' OR e.ended_at >= :since) OFFSET 0))
)
UPDATE messages m SET state = 'claimed', reason = NULL, claim_epoch = 1, claimed_at = clock_timestamp(),
  claim_until = clock_timestamp() + make_interval(secs => :claim_for_s), template_version = :template_version
FROM quiet q WHERE m.app = :app AND m.id = q.id AND m.state = 'planned'
RETURNING m.id, m.claimed_at, q.endpoint_id, q.address, q.address_hash, q.device
""")
_MOMENT_IN = text("SELECT clock_timestamp() + make_interval(secs => :seconds)")
# With the locks of the people held: a snapshot of its own.
_HOUSE = text("""
SELECT clock_timestamp() AS now, a.name AS app_name, a.settings,
  coalesce(CAST(:pinned AS integer), (SELECT t.live_version FROM templates t WHERE t.app = a.id AND t.name = :template))
    AS template_version,
  EXISTS (SELECT FROM topics t WHERE t.app = a.id AND t.needs_consent
    AND t.name = coalesce(CAST(:topic AS text), a.settings ->> 'topic', 'general')) AS needs_consent
FROM apps a WHERE a.id = :app
""")
_TELL = "ON CONFLICT (app, run_id, step, state, reason, shard) DO UPDATE SET messages = t.messages + excluded.messages"
_COUNT = text(f"""
INSERT INTO campaign_tallies AS t (app, run_id, step, state, reason, shard, messages)
SELECT :app, :run_id, :step, g.state, coalesce(g.reason, ''), :shard, count(*)
FROM unnest(CAST(:states AS text[]), CAST(:reasons AS text[])) AS g (state, reason) GROUP BY 4, 5 ORDER BY 4, 5 {_TELL}
""")
_SETTLED = f"CASE WHEN g.state IN ('planned', 'unknown') AND {TOLD.format('m')} IS NOT NULL THEN 'sent' ELSE g.state END"
_SETTLING = f"""
WITH given AS (
  SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:epochs AS integer[]), CAST(:states AS text[]), CAST(:reasons AS text[]),
    CAST(:answers AS text[]), CAST(:refs AS text[]), CAST(:due AS timestamptz[]), CAST(:providers AS text[]), CAST(:accounts AS text[]),
    CAST(:units AS integer[]), CAST(:prices AS numeric[]), CAST(:currencies AS text[]), CAST(:repeats AS timestamptz[]))
    AS g (id, epoch, state, reason, answer, ref, due_at, provider, account, units, price, currency, repeat_until)
), settled AS (
  UPDATE messages m SET state = {_SETTLED}, reason = CASE WHEN {_SETTLED} <> 'sent' THEN g.reason END, answer = g.answer,
    units = g.units, price = g.price, currency = g.currency, claim_until = NULL,
    settled_at = CASE WHEN {_SETTLED} <> 'planned' THEN clock_timestamp() END,
    repeat_until = CASE WHEN {_SETTLED} IN ('planned', 'unknown') THEN g.repeat_until END,
    provider = coalesce(g.provider, m.provider), account = CASE WHEN g.provider IS NULL THEN m.account ELSE g.account END
  FROM given g WHERE m.app = :app AND m.id = g.id AND m.claim_epoch = g.epoch
    AND (m.state = 'claimed' OR (m.state = 'unknown' AND g.state = ANY(CAST(:proven AS text[]))))
  RETURNING m.id, m.state, m.reason, g.ref, g.due_at, g.provider
), referred AS (
  INSERT INTO provider_refs (app, provider, ref, message_id) SELECT :app, provider, ref, id FROM settled WHERE ref IS NOT NULL
  ON CONFLICT DO NOTHING
), listed AS (
  INSERT INTO open_messages AS o (app, message_id, kind, due_at) SELECT :app, id, 'unknown', due_at FROM settled WHERE state = 'unknown'
  ON CONFLICT (message_id) DO UPDATE SET kind = excluded.kind, due_at = excluded.due_at
), gone AS (
  DELETE FROM open_messages o USING settled s WHERE o.message_id = s.id AND s.state <> 'unknown' RETURNING o.kind
), ends AS (
  SELECT state, coalesce(reason, '') AS reason, count(*) AS n FROM settled WHERE state <> 'planned' GROUP BY 1, 2
  UNION ALL SELECT 'unknown', 'unconfirmed', -count(*) FROM gone WHERE kind = 'unknown' HAVING count(*) > 0
), counted AS (
  INSERT INTO campaign_tallies AS t (app, run_id, step, state, reason, shard, messages)
  SELECT :app, :run_id, :step, state, reason, :shard, sum(n) FROM ends GROUP BY 4, 5 ORDER BY 4, 5
  {_TELL}
)"""
# What is due within the same seconds waits together: an account that is away must not make a chunk of each message.
_INTO_CHUNKS = """
INSERT INTO campaign_chunks (app, run_id, step, message_ids, due_at, waits_for)
SELECT :app, :run_id, :step, array_agg(l.id ORDER BY l.id), max(l.due_at), l.reason FROM later l"""
_TOGETHER = "GROUP BY l.reason, date_bin(interval '5 seconds', l.due_at, timestamptz '2000-01-01')"
_SETTLE = text(f"""{_SETTLING}, ended AS (
  DELETE FROM campaign_chunks WHERE app = :app AND id = :chunk_id AND epoch = :chunk_epoch RETURNING id
), later AS (
  SELECT id, due_at, reason FROM settled WHERE state = 'planned'
  UNION ALL SELECT * FROM unnest(CAST(:later_ids AS uuid[]), CAST(:later_due AS timestamptz[]), CAST(:later_reasons AS text[]))
)
{_INTO_CHUNKS} WHERE EXISTS (SELECT FROM ended) {_TOGETHER}
""")
# A claim that was rolled back is made again by the next lane, under the same epoch: only its moment tells the two apart.
_COMMITTED = text("""
SELECT m.id FROM unnest(CAST(:ids AS uuid[]), CAST(:moments AS timestamptz[])) AS g (id, claimed_at)
JOIN messages m ON m.id = g.id AND m.claimed_at = g.claimed_at WHERE m.app = :app ORDER BY m.id FOR NO KEY UPDATE OF m
""")
# Where nobody took the chunk since, what is planned again is met in it; else it would be met nowhere.
_RECOVER = text(f"""{_SETTLING}, released AS (
  UPDATE campaign_chunks SET due_at = clock_timestamp() WHERE app = :app AND id = :chunk_id AND epoch = :chunk_epoch RETURNING id
), later AS (
  SELECT id, clock_timestamp() AS due_at, reason FROM settled WHERE state = 'planned'
)
{_INTO_CHUNKS} WHERE NOT EXISTS (SELECT FROM released) {_TOGETHER}
""")
# What is claimed in a chunk comes back with the chunk, and not by the sweeper.
_UNLIST = text("DELETE FROM open_messages WHERE app = :app AND message_id = ANY(CAST(:ids AS uuid[])) AND kind = 'claimed'")
_LAPSED = f"CASE WHEN {TOLD.format('m')} IS NULL THEN 'unknown' ELSE 'sent' END"
_LAPSE = text(f"""
WITH lapsed AS (
  UPDATE messages m SET state = {_LAPSED}, reason = CASE WHEN {_LAPSED} = 'unknown' THEN 'unconfirmed' END, claim_until = NULL,
    settled_at = clock_timestamp()
  FROM unnest(CAST(:ids AS uuid[])) AS g (id)
  WHERE m.app = :app AND m.id = g.id AND m.state = 'claimed' AND m.claim_until <= clock_timestamp()
  RETURNING m.id, m.state, m.reason
), listed AS (
  INSERT INTO open_messages AS o (app, message_id, kind, due_at)
  SELECT :app, id, 'unknown', clock_timestamp() + make_interval(secs => :unknown_for_s) FROM lapsed WHERE state = 'unknown'
  ON CONFLICT (message_id) DO UPDATE SET kind = excluded.kind, due_at = excluded.due_at
), counted AS (
  INSERT INTO campaign_tallies AS t (app, run_id, step, state, reason, shard, messages)
  SELECT :app, :run_id, :step, state, coalesce(reason, ''), :shard, count(*) FROM lapsed GROUP BY 4, 5 ORDER BY 4, 5 {_TELL}
)
SELECT m.id, m.claim_until FROM unnest(CAST(:ids AS uuid[])) AS g (id) JOIN messages m ON m.id = g.id
WHERE m.app = :app AND m.state = 'claimed' AND m.claim_until > clock_timestamp()
""")
_SKIP_LEFT = text(f"""
WITH chosen AS (
  SELECT c.id, c.step, c.message_ids FROM campaign_chunks c
  WHERE c.app = :app AND c.run_id = :run_id AND (CAST(:step AS text) IS NULL OR c.step = :step) ORDER BY c.id LIMIT :most
  FOR UPDATE SKIP LOCKED
), skipped AS (
  UPDATE messages m SET state = CASE WHEN m.maybe_doubled OR m.repeat_until IS NOT NULL THEN 'given_up' ELSE 'skipped' END,
    reason = CASE WHEN m.maybe_doubled OR m.repeat_until IS NOT NULL THEN 'unconfirmed' ELSE :reason END,
    deferred_until = NULL, settled_at = clock_timestamp()
  FROM chosen c CROSS JOIN unnest(c.message_ids) AS g (id) WHERE m.app = :app AND m.id = g.id AND m.state IN ('planned', 'deferred')
  RETURNING c.step, m.state, m.reason
), counted AS (
  INSERT INTO campaign_tallies AS t (app, run_id, step, state, reason, shard, messages)
  SELECT :app, :run_id, step, state, reason, 0, count(*) FROM skipped GROUP BY 3, 4, 5 ORDER BY 3, 4, 5 {_TELL}
)
DELETE FROM campaign_chunks c USING chosen WHERE c.app = :app AND c.id = chosen.id AND NOT EXISTS (
  SELECT FROM unnest(chosen.message_ids) AS g (id) JOIN messages m ON m.id = g.id WHERE m.app = :app AND m.state = 'claimed')
RETURNING c.id
""")


async def take(connection: Connection, app: str, run_id: UUID, *, lease: timedelta, per_second: float | None = None) -> Chunk | None:
    """Take the chunk that is due first; None where none is due, the run or the app is paused, or the run's rate has no slot yet."""
    run = {"app": app, "run_id": run_id}
    if per_second is not None and (await connection.execute(_SLOT, run)).first() is None:
        return None
    row = (await connection.execute(_TAKE, {**run, "lease_s": lease.total_seconds()})).first()
    if row is None:
        return None
    if per_second is not None:
        await connection.execute(_NEXT_SLOT, {**run, "step_s": len(row.message_ids) / per_second})
    return Chunk(app, run_id, row.id, row.epoch, row.step, row.message_ids, row.began_at)


async def lock_recipients(connection: Connection, chunk: Chunk) -> list[Recipient]:
    """Lock the people of those messages that are still to be sent, and read what is known of them."""
    rows = await connection.execute(_LOCK, {"app": chunk.app, "ids": chunk.message_ids})
    return [
        Recipient(
            row.id,
            row.state,
            Person(row.person, row.user_id, row.attributes, row.timezone, row.locale),
            row.planned_at,
            row.phone,
            row.merged_into,
        )
        for row in rows
    ]


async def claim_plain(
    connection: Connection, chunk: Chunk, ids: Sequence[UUID], sought: Sought, *, claim_for: timedelta, template_version: int
) -> list[Plain]:
    """Claim those of these messages that nothing could stand against; the caller holds their people and judges the others."""
    given = {
        "app": chunk.app,
        "ids": ids,
        **_seen(sought),
        "channel": sought.channel,
        "since": sought.claimed_since,
        "fewest": sought.fewest,
        "counts_transactional": sought.counts_transactional,
        "allowed": sought.allowed,
        "claim_for_s": claim_for.total_seconds(),
        "template_version": template_version,
    }
    rows = await connection.execute(_CLAIM_PLAIN, given)
    return [
        Plain(
            Claim(row.id, 1, row.claimed_at, template_version=template_version),
            row.endpoint_id,
            row.address,
            row.address_hash,
            row.device,
        )
        for row in rows
    ]


def _seen(sought: Sought) -> Mapping[str, Any]:
    """An id tells when the enrollment or run began: what began long before is left out (storage/standing.py, _CLAIMED)."""
    if sought.claimed_since is None:
        return {"first_at": None, "first_id": UUID(int=0)}
    first_at = sought.claimed_since - _LONGEST_WAIT
    return {"first_at": first_at, "first_id": id_bounds(first_at)[0]}


async def read_house(connection: Connection, app: str, *, template: str, pinned: int | None, topic: str | None) -> House:
    """What holds for all messages of a chunk at this moment. `pinned`: the version of the template that the run is made from."""
    row = (await connection.execute(_HOUSE, {"app": app, "template": template, "pinned": pinned, "topic": topic})).one()
    return House(row.now, row.app_name, row.settings, row.template_version, row.needs_consent)


async def moment_in(connection: Connection, seconds: float) -> datetime:
    """The database's clock, so much later."""
    moment: datetime = (await connection.execute(_MOMENT_IN, {"seconds": seconds})).scalar_one()
    return moment


async def count(connection: Connection, chunk: Chunk, ended: Sequence[tuple[str, str | None]]) -> None:
    """Add to the tallies what was decided without being sent: state and reason of each."""
    if ended:
        states, reasons = zip(*ended, strict=True)
        await connection.execute(_COUNT, {**_of(chunk), "states": list(states), "reasons": list(reasons)})


async def settle(connection: Connection, chunk: Chunk, settlements: Sequence[Settlement], later: Sequence[Later] = ()) -> None:
    """Write how claimed messages ended, and end the chunk: what is planned again, and `later`, comes into new ones.

    A claim that ran out is unknown by now: then only `sent` is news.
    """
    more = {
        "later_ids": [each.id for each in later],
        "later_due": [each.due_at for each in later],
        "later_reasons": [each.reason for each in later],
    }
    await connection.execute(_SETTLE, {**_settled(chunk, settlements), **more, "proven": ["sent"]})


async def recover(connection: Connection, chunk: Chunk, claims: Sequence[Claim], settlements: Sequence[Settlement]) -> list[Settlement]:
    """Write what a lane's journal proves of the chunk that it died with: what never left is planned again, though the claim ran out.

    Returns what was written: nothing of claims that were not committed, whose messages another lane may be sending.
    """
    moments = {"ids": [each.id for each in claims], "moments": [each.claimed_at for each in claims]}
    committed = set((await connection.execute(_COMMITTED, {"app": chunk.app, **moments})).scalars())
    ours = [each for each in settlements if each.id in committed]
    if ours:
        await connection.execute(_RECOVER, {**_settled(chunk, ours), "proven": ["sent", "planned", "rejected"]})
    return ours


async def leave_to_chunk(connection: Connection, chunk: Chunk, ids: Sequence[UUID]) -> None:
    """Claims of these messages come back with the chunk."""
    await connection.execute(_UNLIST, {"app": chunk.app, "ids": ids})


def _settled(chunk: Chunk, settlements: Sequence[Settlement]) -> dict[str, Any]:
    names = ("id", "epoch", "state", "reason", "answer", "ref", "provider", "account", "unit", "price")
    given = {f"{name}s": [getattr(each, "units" if name == "unit" else name) for each in settlements] for name in names}
    return {
        **_of(chunk),
        **given,
        "due": [each.due_at for each in settlements],
        "currencies": [each.currency for each in settlements],
        "repeats": [each.repeat_until for each in settlements],
        "chunk_id": chunk.id,
        "chunk_epoch": chunk.epoch,
    }


async def let_claims_lapse(connection: Connection, chunk: Chunk, *, unknown_for: timedelta) -> list[Later]:
    """In a chunk that somebody took before: what they had claimed may have gone out. Returns what is claimed still, and until when."""
    given = {**_of(chunk), "ids": chunk.message_ids, "unknown_for_s": unknown_for.total_seconds()}
    return [Later(row.id, row.claim_until, "busy") for row in await connection.execute(_LAPSE, given)]


async def skip_left(connection: Connection, app: str, run_id: UUID, *, reason: str, most: int, step: str | None = None) -> int:
    """Skip what the next chunks of a run have still planned, and return how many chunks are gone. What is claimed is left to its lane.

    `step`: only of this version.
    """
    given = {"app": app, "run_id": run_id, "reason": reason, "most": most, "step": step}
    return len((await connection.execute(_SKIP_LEFT, given)).all())


def _of(chunk: Chunk) -> dict[str, Any]:
    return {"app": chunk.app, "run_id": chunk.run_id, "step": chunk.step, "shard": chunk.id % _SHARDS}
