"""What the rows of one step come to, taken together: pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from activities.judging import cannot_double
from activities.orders import SendVerdict
from storage.messages import MessageRow

_LEFT = frozenset({"sent", "unknown"})
_LONGEST_REPEAT_WAIT = timedelta(minutes=10)


@dataclass(frozen=True)
class Waits:
    """How long a planned row and an unknown transactional one are left alone; `repeat`: an unknown one that cannot double, at first."""

    planned: timedelta
    unknown: timedelta
    repeat: timedelta


def verdict_of(rows: Sequence[MessageRow], message_class: str, now: datetime, waits: Waits) -> SendVerdict:
    """Settled once nothing is left to do; while one row waits, the step waits, until the earliest moment at which that can change."""
    sent, reasons, claimed_at = _sent(rows), _reasons(rows), _claimed_at(rows)
    pending = [(until, why) for row in rows if (until := _pending_until(row, message_class, now, waits)) for why in [_why(row)]]
    if pending:
        until = min(moment for moment, _ in pending)
        return SendVerdict("again", sent, tuple(sorted({why for _, why in pending})), until, claimed_at)
    deferred = [row.deferred_until for row in rows if row.state == "deferred" and row.deferred_until]
    if deferred:
        return SendVerdict("deferred", sent, reasons, min(deferred), claimed_at)
    return SendVerdict("settled", sent, reasons, claimed_at=claimed_at)


def exited(rows: Sequence[MessageRow]) -> SendVerdict:
    """The enrollment is over; what had left before stays sent."""
    return SendVerdict("exited", _sent(rows), ("exited",), claimed_at=_claimed_at(rows))


def given_up(rows: Sequence[MessageRow]) -> SendVerdict:
    """No more tries: what is claimed by now may still go out, so it counts as sent."""
    sent = _sent(rows) or any(row.state == "claimed" for row in rows)
    return SendVerdict("settled", sent, _reasons(rows) or ("gave_up",), claimed_at=_claimed_at(rows))


def repeated_at(row: MessageRow, message_class: str, now: datetime, waits: Waits) -> datetime | None:
    """When an unconfirmed message is sent again: while it cannot double, whatever it is; else a transactional one once. None: never."""
    if row.state != "unknown":
        return None
    if cannot_double(row, now):
        return (row.settled_at or now) + repeat_wait(waits.repeat, row.claim_epoch)
    may_double = message_class == "transactional" and not row.maybe_doubled
    return (row.settled_at or now) + waits.unknown if may_double else None


def repeat_wait(first: timedelta, tries: int) -> timedelta:
    """It doubles with each try, up to ten minutes."""
    return min(first * 2.0 ** min(max(tries - 1, 0), 10), _LONGEST_REPEAT_WAIT)


def has_slot_to_come(row: MessageRow, now: datetime) -> bool:
    """An account's rate gave it a slot: before that there is nothing to ask."""
    return row.state == "planned" and row.deferred_until is not None and row.deferred_until > now


def to_json(verdict: SendVerdict) -> dict[str, Any]:
    """The form in step_outcomes."""
    claimed_at = verdict.claimed_at.isoformat() if verdict.claimed_at else None
    return {"kind": "send", "status": verdict.status, "sent": verdict.sent, "reasons": list(verdict.reasons), "claimed_at": claimed_at}


def from_json(stored: Mapping[str, Any]) -> SendVerdict:
    claimed_at = datetime.fromisoformat(stored["claimed_at"]) if stored["claimed_at"] else None
    return SendVerdict(stored["status"], stored["sent"], tuple(stored["reasons"]), claimed_at=claimed_at)


def _pending_until(row: MessageRow, message_class: str, now: datetime, waits: Waits) -> datetime | None:
    if row.state == "claimed":
        return row.claim_until or now
    if has_slot_to_come(row, now):
        return row.deferred_until
    if row.state == "planned":
        return now + waits.planned
    return repeated_at(row, message_class, now, waits)


def _why(row: MessageRow) -> str:
    return "busy" if row.state == "claimed" else row.reason or "planned"


def _sent(rows: Sequence[MessageRow]) -> bool:
    return any(row.state in _LEFT or (row.state == "given_up" and row.reason == "unconfirmed") for row in rows)


def _reasons(rows: Sequence[MessageRow]) -> tuple[str, ...]:
    return tuple(sorted({row.reason for row in rows if row.reason and row.state not in _LEFT}))


def _claimed_at(rows: Sequence[MessageRow]) -> datetime | None:
    return min((row.claimed_at for row in rows if row.claimed_at), default=None)
