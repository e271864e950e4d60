"""The ledger: one row for one send to one endpoint, moved along the states of docs/explanation/delivery.md and never back.

Whoever plans or claims holds the user's row; settling needs no lock, because it names the claim's epoch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import text

from storage.database import Connection


@dataclass(frozen=True)
class MessageRow:
    """A row of the step at hand."""

    id: UUID
    target: str
    state: str
    reason: str | None = None
    endpoint_id: int | None = None
    address: str | None = None
    claim_epoch: int = 0
    claim_until: datetime | None = None
    claimed_at: datetime | None = None
    settled_at: datetime | None = None
    deferred_until: datetime | None = None
    planned_at: datetime | None = None
    repeat_until: datetime | None = None
    """It may have gone out, through a provider that until then takes a repeat for the same message."""
    maybe_doubled: bool = False

    @property
    def may_have_left(self) -> bool:
        """Claimed now or not, an earlier try may have gone out."""
        return self.state == "unknown" or self.maybe_doubled or self.repeat_until is not None


@dataclass(frozen=True)
class Plan:
    """What the rows of one step share. `began_at` is the time in their ids."""

    app: str
    user_id: int | None
    source: str
    step: str
    visit: int
    channel: str
    message_class: str
    topic: str | None = None
    template: str | None = None
    journey: str | None = None


@dataclass(frozen=True)
class Move:
    """Where a row goes under the lock: planned, deferred, skipped, unknown, given_up, or claimed (for `claim_for`)."""

    id: UUID
    target: str
    state: str
    reason: str | None = None
    endpoint_id: int | None = None
    address: str | None = None
    epoch: int = 0
    deferred_until: datetime | None = None
    maybe_doubled: bool = False


@dataclass(frozen=True)
class Claim:
    """A row that is ours until `claim_until`; settling names the epoch."""

    id: UUID
    epoch: int
    claimed_at: datetime
    slot_at: datetime | None = None
    """The slot that it was given by an account's rate."""
    maybe_doubled: bool = False
    repeat_until: datetime | None = None
    """Of a repeat, as the row has it; None on a first try."""
    account: str | None = None
    """Only where it may have gone out before: the account through which."""
    template_version: int | None = None
    """Of a repeat: it says what it said before."""

    @property
    def may_have_left(self) -> bool:
        return self.maybe_doubled or self.repeat_until is not None


@dataclass(frozen=True)
class Note:
    """Through which account a claimed message goes. `repeats_for`: how long after its first claim the provider knows a repeat."""

    id: UUID
    epoch: int
    account: str
    repeats_for: timedelta | None = None


@dataclass(frozen=True)
class Settlement:
    """How a claimed row ended. `due_at` with state planned or unknown: when somebody must look at it again.

    `provider` and `account` had the last word (account None: the installation's); `slot_at` is the slot of a row that waits for its turn;
    `price` is for all `units`.
    """

    id: UUID
    epoch: int
    state: str
    reason: str | None = None
    answer: str | None = None
    ref: str | None = None
    due_at: datetime | None = None
    provider: str | None = None
    account: str | None = None
    slot_at: datetime | None = None
    units: int | None = None
    price: Decimal | None = None
    currency: str | None = None
    repeat_until: datetime | None = None


def message_row(parts: Sequence[Any]) -> MessageRow:
    """Read a row as the statements here write it into JSON."""
    number, target, state, reason, endpoint_id, address, epoch, *times, maybe_doubled = parts
    claim_until, claimed_at, settled_at, deferred_until, planned_at, repeat_until = (
        datetime.fromisoformat(time) if time else None for time in times
    )
    return MessageRow(
        UUID(number), target, state, reason, endpoint_id, address, epoch,
        claim_until, claimed_at, settled_at, deferred_until, planned_at, repeat_until, maybe_doubled,
    )  # fmt: skip


def id_bounds(began_at: datetime) -> tuple[UUID, UUID]:
    """The least and the greatest id with this time in it: they tell Postgres which partition to look in."""
    milliseconds = round(began_at.timestamp() * 1_000_000) // 1000
    return UUID(int=milliseconds << 80), UUID(int=((milliseconds + 1) << 80) - 1)


# The row and its entry in the side table come and go in one statement.
_INSERT = text("""
WITH given AS (
  SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:targets AS text[]), CAST(:states AS text[]), CAST(:reasons AS text[]),
    CAST(:endpoint_ids AS bigint[]), CAST(:addresses AS text[]), CAST(:deferred AS timestamptz[]))
    AS g (id, target, state, reason, endpoint_id, address, deferred_until)
), written AS (
  INSERT INTO messages (id, app, user_id, endpoint_id, address, source, step, visit, target, journey, channel, message_class, topic,
    template, template_version, state, reason, deferred_until, claim_epoch, claimed_at, claim_until, settled_at)
  SELECT g.id, :app, CAST(:user_id AS bigint), g.endpoint_id, g.address, :source, :step, :visit, g.target, CAST(:journey AS text), :channel,
    :message_class, CAST(:topic AS text), CAST(:template AS text), CAST(:template_version AS integer), g.state, g.reason, g.deferred_until,
    CASE WHEN g.state = 'claimed' THEN 1 ELSE 0 END,
    CASE WHEN g.state = 'claimed' THEN clock_timestamp() END,
    CASE WHEN g.state = 'claimed' THEN clock_timestamp() + make_interval(secs => :claim_for_s) END,
    CASE WHEN g.state = 'skipped' THEN clock_timestamp() END
  FROM given g RETURNING id, claim_epoch, claimed_at, claim_until, state
), listed AS (
  INSERT INTO open_messages (app, message_id, kind, due_at) SELECT :app, id, 'claimed', claim_until FROM written WHERE state = 'claimed'
)
SELECT id, claim_epoch, claimed_at FROM written WHERE state = 'claimed'
""")
# A provider may tell before our own call has returned: what it told shows that the message went out, whatever our call came to.
TOLD = "coalesce({0}.accepted_at, {0}.delivered_at, {0}.bounced_at, {0}.complained_at, {0}.opened_at, {0}.clicked_at, {0}.unsubscribed_at)"
# Compare and set: a row whose epoch moved on is somebody else's.
_MOVED = f"CASE WHEN g.state = 'unknown' AND {TOLD.format('m')} IS NOT NULL THEN 'sent' ELSE g.state END"
_MOVE = text(f"""
WITH given AS (
  SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:epochs AS integer[]), CAST(:states AS text[]), CAST(:reasons AS text[]),
    CAST(:deferred AS timestamptz[]), CAST(:doubled AS boolean[])) AS g (id, epoch, state, reason, deferred_until, maybe_doubled)
), moved AS (
  UPDATE messages m SET state = {_MOVED}, reason = CASE WHEN {_MOVED} <> 'sent' THEN g.reason END, maybe_doubled = g.maybe_doubled,
    deferred_until = CASE WHEN g.state = 'claimed' AND m.reason = 'rate_limited' THEN m.deferred_until ELSE g.deferred_until END,
    account = CASE WHEN g.state <> 'claimed' OR g.maybe_doubled OR m.repeat_until IS NOT NULL THEN m.account END,
    claim_epoch = m.claim_epoch + CASE WHEN g.state = 'claimed' THEN 1 ELSE 0 END,
    claimed_at = CASE WHEN g.state = 'claimed' THEN clock_timestamp() ELSE m.claimed_at END,
    claim_until = CASE WHEN g.state = 'claimed' THEN clock_timestamp() + make_interval(secs => :claim_for_s) END,
    template_version = CASE WHEN m.repeat_until IS NOT NULL THEN m.template_version
      ELSE coalesce(CAST(:template_version AS integer), m.template_version) END,
    settled_at = CASE WHEN g.state IN ('skipped', 'unknown', 'given_up') THEN clock_timestamp() END
  FROM given g WHERE m.id = g.id AND m.app = :app AND m.claim_epoch = g.epoch AND m.state NOT IN ('sent', 'rejected', 'skipped', 'given_up')
  RETURNING m.id, m.claim_epoch, m.claimed_at, m.claim_until, m.state, m.deferred_until, m.maybe_doubled, m.repeat_until, m.account,
    m.template_version
), listed AS (
  INSERT INTO open_messages AS o (app, message_id, kind, due_at)
  SELECT :app, id, state, CASE WHEN state = 'claimed' THEN claim_until ELSE clock_timestamp() + make_interval(secs => :unknown_for_s) END
  FROM moved WHERE state IN ('claimed', 'unknown')
  ON CONFLICT (message_id) DO UPDATE SET kind = excluded.kind, due_at = excluded.due_at
), gone AS (
  DELETE FROM open_messages o USING moved w
  WHERE o.message_id = w.id AND w.state NOT IN ('claimed', 'unknown') AND (o.kind <> 'direct' OR w.state IN ('skipped', 'given_up', 'sent'))
)
SELECT id, claim_epoch, claimed_at, state, deferred_until, maybe_doubled, repeat_until,
  CASE WHEN maybe_doubled OR repeat_until IS NOT NULL THEN account END AS account,
  CASE WHEN repeat_until IS NOT NULL THEN template_version END AS template_version
FROM moved
""")
_SETTLED = f"CASE WHEN g.state IN ('planned', 'unknown') AND {TOLD.format('m')} IS NOT NULL THEN 'sent' ELSE g.state END"
_SETTLE = text(f"""
WITH given AS (
  SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:epochs AS integer[]), CAST(:states AS text[]), CAST(:reasons AS text[]),
    CAST(:answers AS text[]), CAST(:refs AS text[]), CAST(:due AS timestamptz[]), CAST(:providers AS text[]), CAST(:accounts AS text[]),
    CAST(:slots AS timestamptz[]), CAST(:units AS integer[]), CAST(:prices AS numeric[]), CAST(:currencies AS text[]),
    CAST(:repeats AS timestamptz[]))
    AS g (id, epoch, state, reason, answer, ref, due_at, provider, account, slot_at, units, price, currency, repeat_until)
), settled AS (
  UPDATE messages m SET state = {_SETTLED}, reason = CASE WHEN {_SETTLED} <> 'sent' THEN g.reason END, answer = g.answer,
    units = coalesce(g.units, m.units), price = CASE WHEN g.units IS NULL THEN m.price ELSE g.price END,
    currency = CASE WHEN g.units IS NULL THEN m.currency ELSE g.currency END,
    claim_until = NULL, settled_at = CASE WHEN {_SETTLED} <> 'planned' THEN clock_timestamp() END,
    deferred_until = CASE WHEN {_SETTLED} = 'planned' THEN g.slot_at END,
    repeat_until = CASE WHEN {_SETTLED} IN ('planned', 'unknown') THEN g.repeat_until END,
    provider = coalesce(g.provider, m.provider), account = CASE WHEN g.provider IS NULL THEN m.account ELSE g.account END
  FROM given g WHERE m.id = g.id AND m.app = :app AND m.claim_epoch = g.epoch
    AND (m.state = 'claimed' OR (m.state = 'unknown' AND g.state = 'sent'))
  RETURNING m.id, m.state, m.journey, g.ref, g.due_at, g.provider
), referred AS (
  INSERT INTO provider_refs (app, provider, ref, message_id) SELECT :app, provider, ref, id FROM settled WHERE ref IS NOT NULL
  ON CONFLICT DO NOTHING
), listed AS (
  UPDATE open_messages o SET kind = CASE s.state WHEN 'unknown' THEN 'unknown' ELSE 'direct' END, due_at = s.due_at
  FROM settled s WHERE o.message_id = s.id AND (s.state = 'unknown' OR (s.state = 'planned' AND s.journey IS NULL))
), gone AS (
  DELETE FROM open_messages o USING settled s
  WHERE o.message_id = s.id AND NOT (s.state = 'unknown' OR (s.state = 'planned' AND s.journey IS NULL))
), forgotten AS (
  DELETE FROM direct_sends d USING settled s
  WHERE d.app = :app AND d.message_id = s.id AND s.state IN ('sent', 'rejected', 'skipped', 'given_up')
)
SELECT id FROM settled
""")
_NOTE = text("""
UPDATE messages m SET account = g.account, repeat_until = CASE WHEN g.repeats_s IS NOT NULL
    THEN coalesce(m.repeat_until, m.claimed_at + make_interval(secs => g.repeats_s)) END
FROM unnest(CAST(:ids AS uuid[]), CAST(:epochs AS integer[]), CAST(:accounts AS text[]), CAST(:repeats AS float8[]))
  AS g (id, epoch, account, repeats_s)
WHERE m.app = :app AND m.id = g.id AND m.claim_epoch = g.epoch AND m.state = 'claimed' RETURNING m.id
""")
_FORGET = text("DELETE FROM messages WHERE app = :app AND id = :id AND state = 'planned' AND claim_epoch = 0")
_DROP = text("""
UPDATE messages SET state = CASE WHEN maybe_doubled OR repeat_until IS NOT NULL THEN 'given_up' ELSE 'skipped' END,
  reason = CASE WHEN maybe_doubled OR repeat_until IS NOT NULL THEN 'unconfirmed' ELSE :reason END,
  settled_at = clock_timestamp(), deferred_until = NULL
WHERE app = :app AND source = :source AND state IN ('planned', 'deferred') RETURNING id
""")


async def insert_rows(
    connection: Connection, plan: Plan, moves: Sequence[Move], *, claim_for: timedelta, template_version: int | None
) -> list[Claim]:
    """Plan rows and put them where the rules say at once; return those that are claimed. The caller holds the user's row."""
    if not moves:
        return []
    rows = await connection.execute(
        _INSERT,
        {
            **vars(plan),
            "template_version": template_version,
            "claim_for_s": claim_for.total_seconds(),
            "ids": [move.id for move in moves],
            "targets": [move.target for move in moves],
            "states": [move.state for move in moves],
            "reasons": [move.reason for move in moves],
            "endpoint_ids": [move.endpoint_id for move in moves],
            "addresses": [move.address for move in moves],
            "deferred": [move.deferred_until for move in moves],
        },
    )
    return [Claim(row.id, row.claim_epoch, row.claimed_at) for row in rows]


async def move_rows(
    connection: Connection, app: str, moves: Sequence[Move], *, claim_for: timedelta, unknown_for: timedelta, template_version: int | None
) -> list[Claim]:
    """Move rows that exist; return those that are now claimed. A row whose epoch is no longer `move.epoch` stays as it is."""
    if not moves:
        return []
    rows = await connection.execute(
        _MOVE,
        {
            "app": app,
            "template_version": template_version,
            "claim_for_s": claim_for.total_seconds(),
            "unknown_for_s": unknown_for.total_seconds(),
            "ids": [move.id for move in moves],
            "epochs": [move.epoch for move in moves],
            "states": [move.state for move in moves],
            "reasons": [move.reason for move in moves],
            "deferred": [move.deferred_until for move in moves],
            "doubled": [move.maybe_doubled for move in moves],
        },
    )
    return [
        Claim(
            row.id,
            row.claim_epoch,
            row.claimed_at,
            row.deferred_until,
            row.maybe_doubled,
            row.repeat_until,
            row.account,
            row.template_version,
        )
        for row in rows
        if row.state == "claimed"
    ]


async def settle(connection: Connection, app: str, settlements: Sequence[Settlement]) -> frozenset[UUID]:
    """Write how claimed rows ended, and return the ids for which our claim still held; the others were left as they are.

    What a caller gave for a direct message that is done is forgotten with it: it may hold a one-time code.

    A claim that ran out is unknown by now: then only `sent` is news, because the provider has told us. And what an event of the
    provider has shown to be out stays out, even where our own call came to nothing.
    """
    rows = await connection.execute(
        _SETTLE,
        {
            "app": app,
            "ids": [settlement.id for settlement in settlements],
            "epochs": [settlement.epoch for settlement in settlements],
            "states": [settlement.state for settlement in settlements],
            "reasons": [settlement.reason for settlement in settlements],
            "answers": [settlement.answer for settlement in settlements],
            "refs": [settlement.ref for settlement in settlements],
            "due": [settlement.due_at for settlement in settlements],
            "providers": [settlement.provider for settlement in settlements],
            "accounts": [settlement.account for settlement in settlements],
            "slots": [settlement.slot_at for settlement in settlements],
            "units": [settlement.units for settlement in settlements],
            "prices": [settlement.price for settlement in settlements],
            "currencies": [settlement.currency for settlement in settlements],
            "repeats": [settlement.repeat_until for settlement in settlements],
        },
    )
    return frozenset(row.id for row in rows)


async def note_accounts(connection: Connection, app: str, notes: Sequence[Note]) -> frozenset[UUID]:
    """Write down, before they are sent there, which accounts claimed messages go through; return those of which the claim is still ours."""
    in_order = sorted(notes, key=lambda note: note.id)
    values = {
        "app": app,
        "ids": [note.id for note in in_order],
        "epochs": [note.epoch for note in in_order],
        "accounts": [note.account for note in in_order],
        "repeats": [note.repeats_for.total_seconds() if note.repeats_for is not None else None for note in in_order],
    }
    return frozenset((await connection.execute(_NOTE, values)).scalars())


async def forget_planned(connection: Connection, app: str, message_id: UUID) -> None:
    """Take back a plan that had no endpoint, because one has come within the minute; only a row never claimed can go."""
    await connection.execute(_FORGET, {"app": app, "id": message_id})


async def drop_planned(connection: Connection, app: str, source: str, reason: str) -> int:
    """Skip what an ended enrollment had still planned; return how many rows."""
    return len((await connection.execute(_DROP, {"app": app, "source": source, "reason": reason})).all())
