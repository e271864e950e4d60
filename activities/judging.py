"""From rulings to moves of ledger rows, and from moves to the rows as they then stand: pure."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from activities.rules import Defer, Go, Ruling, Skip
from journeys.language.messages import MessageClass
from storage.messages import Claim, MessageRow, Move


def move_for(row: MessageRow, verdict: Ruling, now: datetime, *, waits_for: str | None = None) -> Move:
    """Where a row goes by its ruling, or why (`waits_for`) it is not claimed. One that may have gone out is given up, never skipped."""
    was_unknown = row.state == "unknown"
    match verdict:
        case Skip(reason):
            state, why = ("given_up", "unconfirmed") if row.may_have_left else ("skipped", reason)
            return _move(row, state, why)
        case Defer(until, reason):
            return _move(row, row.state, row.reason, row.deferred_until) if was_unknown else _move(row, "deferred", reason, until)
        case Go():
            if waits_for is None:
                may_double = row.maybe_doubled or (row.may_have_left and not cannot_double(row, now))
                return _move(row, "claimed", None, maybe_doubled=may_double)
            return _move(row, row.state, row.reason, row.deferred_until) if was_unknown else _move(row, "planned", waits_for)


def _move(
    row: MessageRow, state: str, reason: str | None, deferred_until: datetime | None = None, *, maybe_doubled: bool | None = None
) -> Move:
    doubled = row.maybe_doubled if maybe_doubled is None else maybe_doubled
    return Move(row.id, row.target, state, reason, row.endpoint_id, row.address, row.claim_epoch, deferred_until, doubled)


def cannot_double(row: MessageRow, now: datetime) -> bool:
    """Its provider would still take a repeat for the message that it may have had."""
    return row.repeat_until is not None and row.repeat_until > now


def is_too_late(row: MessageRow, message_class: MessageClass, now: datetime) -> bool:
    """A marketing message that may have gone out waited until a repeat could double: it never does."""
    return message_class == "marketing" and row.repeat_until is not None and row.repeat_until <= now


def is_change(move: Move, row: MessageRow) -> bool:
    """Spare the ledger an update that says nothing new."""
    return (move.state, move.reason, move.deferred_until) != (row.state, row.reason, row.deferred_until)


def after(
    rows: Sequence[MessageRow], moves: Mapping[UUID, Move], claims: Sequence[Claim], now: datetime, claim_for: timedelta
) -> list[MessageRow]:
    """The rows once the moves are made. A claim that somebody else was given instead is seen as busy."""
    ours = {claim.id: claim for claim in claims}
    return [_moved(row, moves[row.id], ours.get(row.id), now, claim_for) if row.id in moves else row for row in rows]


def _moved(row: MessageRow, move: Move, claim: Claim | None, now: datetime, claim_for: timedelta) -> MessageRow:
    moved = replace(row, state=move.state, reason=move.reason, deferred_until=move.deferred_until, maybe_doubled=move.maybe_doubled)
    if move.state == "claimed":
        return replace(
            moved,
            claim_epoch=claim.epoch if claim else row.claim_epoch,
            claimed_at=claim.claimed_at if claim else row.claimed_at,
            claim_until=now + claim_for,
        )
    return replace(moved, settled_at=now) if move.state in {"unknown", "given_up"} and row.state != move.state else moved
