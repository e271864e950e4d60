"""Rendering and handing over what is claimed: shared by journeys and direct sends. Knows the ledger's states, not its statements."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from activities.breaker import Gate, Outcome
from channels.base import Adapter, Ambiguous, Content, NotSent, Outgoing, Receipt, Rejected
from channels.render import RenderFailed
from journeys.language.errors import Unavailable
from storage.messages import Claim, Settlement


@dataclass(frozen=True)
class Timing:
    """How long a try may take. A send is shorter than its claim, and the claim shorter than the activity's timeout.

    A local try is waited for only `local_s`; what it has begun goes on in the process, because cutting it would leave it unconfirmed.
    """

    local_s: float = 1.5
    send_s: float = 20.0
    claim_s: float = 30.0
    endpoint_wait: timedelta = timedelta(minutes=1)
    unknown_wait: timedelta = timedelta(minutes=2)
    patience: timedelta = timedelta(hours=72)
    held_for: timedelta = timedelta(hours=6)
    """Of a journey's message while sending is paused: resuming wakes it, so this is only for the case that it does not."""
    direct_held_for: timedelta = timedelta(minutes=5)

    def unknown_for(self, message_class: str) -> timedelta:
        """How long an unconfirmed message stays so: transactional goes out once more, marketing is given up."""
        return self.unknown_wait if message_class == "transactional" else self.patience

    @property
    def claim_for(self) -> timedelta:
        return timedelta(seconds=self.claim_s)


class Renders(Protocol):
    """What is asked of channels.render.Renderer."""

    async def render(
        self, template_name: str, version: int, files: Mapping[str, str], channel: str, variables: Mapping[str, Any], /
    ) -> Content: ...


Compose = Callable[[], Awaitable[Content]]


@dataclass(frozen=True)
class Parcel:
    """One claimed row with all that its send needs. `began` and `deadline` are on the monotonic clock, taken before the claim."""

    claim: Claim
    app: str
    address: str
    message_class: str
    topic: str | None
    compose: Compose
    began: float
    deadline: float
    unknown_until: timedelta
    unsubscribe_url: str | None = None
    device: Mapping[str, Any] | None = None

    def moment(self) -> datetime:
        """The database's clock, as far as we can tell without asking."""
        return self.claim.claimed_at + timedelta(seconds=time.monotonic() - self.began)


@dataclass(frozen=True)
class Ended:
    """How one parcel's try ended: what to settle, and what it says about the provider and about the address.

    `suppress`: the address is dead, to a provider that says so since `dead_since`. `moved_to`: it has another one.
    """

    settlement: Settlement
    outcome: Outcome
    retry_after_s: float | None = None
    suppress: bool = False
    dead_since: datetime | None = None
    moved_to: str | None = None


async def send(adapter: Adapter, parcel: Parcel) -> Ended:
    """Render and hand over one parcel. Never raises but for cancellation: every end is a settlement."""
    try:
        content = await parcel.compose()
    except RenderFailed as failed:
        return _ended(parcel, "skipped", Outcome.UNUSED, reason=failed.code)
    except Unavailable as away:
        return _again(parcel, Outcome.UNUSED, str(away))
    left_s = parcel.deadline - time.monotonic()
    if left_s <= 0:
        return _again(parcel, Outcome.UNUSED, "the claim's time was over before anything was sent")
    return await _hand_over(adapter, parcel, content, left_s)


async def _hand_over(adapter: Adapter, parcel: Parcel, content: Content, left_s: float) -> Ended:
    try:
        async with asyncio.timeout(left_s):
            receipt = await adapter.send(_outgoing(parcel, content))
    except NotSent as error:
        return _again(parcel, Outcome.FAILED, error.answer, error.retry_after_s)
    except Rejected as error:
        rejected = _ended(parcel, "rejected", Outcome.ANSWERED, reason="rejected", answer=error.answer, suppress=error.suppress)
        return replace(rejected, dead_since=error.dead_since or parcel.claim.claimed_at)
    except Ambiguous as error:
        return _unknown(parcel, error.answer)
    except TimeoutError:
        return _unknown(parcel, "no answer in time")
    except Exception as error:  # noqa: BLE001 - an adapter with a bug may have sent: the row says so, and the other rows go on
        return _unknown(parcel, f"the adapter failed: {type(error).__name__}")
    return _sent(parcel, receipt)


def _outgoing(parcel: Parcel, content: Content) -> Outgoing:
    return Outgoing(
        message_id=parcel.claim.id,
        app=parcel.app,
        address=parcel.address,
        content=content,
        message_class=parcel.message_class,
        topic=parcel.topic,
        deadline=parcel.deadline,
        unsubscribe_url=parcel.unsubscribe_url,
        device=dict(parcel.device or {}),
    )


def _sent(parcel: Parcel, receipt: Receipt) -> Ended:
    settlement = Settlement(parcel.claim.id, parcel.claim.epoch, "sent", ref=receipt.ref)
    return Ended(settlement, Outcome.ANSWERED, moved_to=receipt.moved_to)


def _unknown(parcel: Parcel, answer: str) -> Ended:
    due_at = parcel.moment() + parcel.unknown_until
    settlement = Settlement(parcel.claim.id, parcel.claim.epoch, "unknown", "unconfirmed", answer, due_at=due_at)
    return Ended(settlement, Outcome.FAILED)


def _again(parcel: Parcel, outcome: Outcome, answer: str, retry_after_s: float | None = None) -> Ended:
    due_at = parcel.moment() + backoff(parcel.claim.epoch, retry_after_s)
    settlement = Settlement(parcel.claim.id, parcel.claim.epoch, "planned", "not_sent", answer, due_at=due_at)
    return Ended(settlement, outcome, retry_after_s)


def _ended(parcel: Parcel, state: str, outcome: Outcome, *, reason: str, answer: str | None = None, suppress: bool = False) -> Ended:
    return Ended(Settlement(parcel.claim.id, parcel.claim.epoch, state, reason, answer), outcome, suppress=suppress)


def backoff(tries: int, retry_after_s: float | None = None) -> timedelta:
    """2, 4, 8 seconds ... to 10 minutes, with a fifth of jitter; a time that the provider names counts, up to an hour."""
    wait_s = min(2.0 ** min(tries, 10), 600.0) if retry_after_s is None else min(max(retry_after_s, 1.0), 3600.0)
    return timedelta(seconds=wait_s * random.uniform(1.0, 1.2))  # noqa: S311 - spreads load, guards nothing


def tell(gate: Gate, endings: list[Ended]) -> None:
    """Leave the gate with the worst news of the parcels: one failure among several devices is a failure."""
    worst = next((each for each in endings if each.outcome is Outcome.FAILED), None)
    answered = any(each.outcome is Outcome.ANSWERED for each in endings)
    if worst is not None:
        gate.leave(Outcome.FAILED, retry_after_s=worst.retry_after_s)
    else:
        gate.leave(Outcome.ANSWERED if answered else Outcome.UNUSED)
