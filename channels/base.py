"""What every adapter shares: the protocol, what it is given, what it may answer, and the three ways in which a send can fail.

SendFailed                what an adapter may raise, and nothing else
├── NotSent               certainly not sent (connect, DNS, TLS, 429, 503): back to planned
├── Rejected              the provider said no for good; carries its answer
└── Ambiguous             it may have gone out: unknown, never a blind retry
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Protocol, TypeAlias, runtime_checkable
from uuid import UUID

from journeys.language.errors import SojournError


class SendFailed(SojournError):
    """A send that did not end well. `answer` is what the provider said, at most 500 characters, without addresses."""

    def __init__(self, answer: str) -> None:
        self.answer = answer[:500]
        super().__init__(self.answer)


class NotSent(SendFailed):
    """Certainly not sent. Try again after `retry_after_s`, where the provider named it, else with backoff.

    `is_throttle`: the account is used too fast, and should be used more slowly.
    """

    def __init__(self, answer: str, retry_after_s: float | None = None, *, is_throttle: bool = False) -> None:
        self.retry_after_s = retry_after_s
        self.is_throttle = is_throttle
        super().__init__(answer)


class Rejected(SendFailed):
    """The provider refused for good. `suppress` says that the address itself is bad and must not be tried again.

    `is_listed`: it is not bad, but the provider has it on a list of its own (channels/lists.py), and takes nothing for it until it is off.
    `dead_since`: an address that was confirmed later than this is alive again. `address`: the bad one, where its content named another
    than the message's own.
    """

    def __init__(
        self,
        answer: str,
        *,
        suppress: bool = False,
        is_listed: bool = False,
        dead_since: datetime | None = None,
        address: str | None = None,
    ) -> None:
        self.suppress = suppress or is_listed
        self.is_listed = is_listed
        self.dead_since = dead_since
        self.address = address
        super().__init__(answer)


class Ambiguous(SendFailed):
    """The request left and no clear answer came: it may have gone out. Without `may_repeat` the provider would never say more.

    `cost` is what it comes to if it did.
    """

    cost: "Cost | None" = None

    def __init__(self, answer: str, *, may_repeat: bool = True) -> None:
        self.may_repeat = may_repeat
        super().__init__(answer)


class NotVerifiable(SojournError):
    """The provider has no call that shows whether an account works and sends nothing."""


@dataclass(frozen=True)
class Content:
    """What was rendered for one channel: `parts` are the channel's own fields (channels/render.py names them)."""

    channel: str
    parts: dict[str, Any]


@dataclass(frozen=True)
class Outgoing:
    """One message to one address. `deadline` is on the monotonic clock: past it no byte may be written any more."""

    message_id: UUID
    app: str
    address: str
    content: Content
    message_class: str
    topic: str | None
    deadline: float
    unsubscribe_url: str | None = None
    device: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Cost:
    """What a message comes to: `units` are segments, calls or messages, `price` is for all of them; None: nobody said what one costs."""

    units: int
    price: Decimal | None = None
    currency: str | None = None


@contextmanager
def at_cost(cost: Cost) -> Iterator[None]:
    """Hand something over that costs this: what may have gone out may have cost as much."""
    try:
        yield
    except Ambiguous as error:
        error.cost = cost
        raise


@dataclass(frozen=True)
class Receipt:
    """The provider took it. `ref` is its own id, where it gives one; `moved_to` the address that it will know the device by from now on.

    `cost` only of channels that are counted. `answer`: what it said, where nobody will ask for the message by it.
    """

    ref: str | None = None
    moved_to: str | None = None
    cost: Cost | None = None
    answer: str | None = None


End: TypeAlias = Receipt | NotSent | Rejected | Ambiguous
"""What became of a message that was handed over."""


@dataclass(frozen=True)
class Sought:
    """A message of which nobody knows whether it went out. `claimed_at`: not long before the provider was called."""

    message_id: UUID
    address: str
    claimed_at: datetime


@runtime_checkable
class Findable(Protocol):
    """An adapter whose provider can be asked for a message by our id."""

    async def find(self, sought: Sought) -> "Receipt | None":
        """Look for the message; None: not found, which proves nothing while it is new. Raises NotSent where it cannot be asked now."""


@runtime_checkable
class Repeatable(Protocol):
    """An adapter whose provider keeps our id: the same message, sent again within `repeats_for` of its first try, goes out once."""

    repeats_for: timedelta


@runtime_checkable
class Rated(Protocol):
    """An adapter whose provider says how fast its account may be used."""

    async def per_second(self) -> float | None:
        """Ask it; None: it names no rate. Raises SendFailed where it cannot be asked now."""


class Watch(Protocol):
    """Sees how many messages leave, one after the other; `place` is that in their order."""

    def begins(self, place: int) -> bool:
        """Told just before a message may leave; False: neither it nor what comes after it may."""

    def ended(self, place: int, end: End) -> None:
        """Told as soon as it is known what became of it."""


@dataclass(frozen=True)
class Renumbered:
    """Some of many: their own places, told as those that they have among all."""

    places: Sequence[int]
    watch: Watch

    def begins(self, place: int) -> bool:
        return self.watch.begins(self.places[place])

    def ended(self, place: int, end: End) -> None:
        self.watch.ended(self.places[place], end)


@runtime_checkable
class TakesMany(Protocol):
    """An adapter that takes many messages at less than the cost of each by itself."""

    async def send_all(self, outgoings: Sequence[Outgoing], watch: Watch) -> list[End]:
        """Hand over messages of one deadline, and say of each what became of it. Raises nothing but for cancellation."""


class ToReceivers:
    """An adapter whose messages go to ends of many owners: what one end answers says nothing of the others, nor of the account.

    Whoever cannot be reached costs nobody else anything; each message waits by itself.
    """


class Adapter(Protocol):
    """How a message of `channel` leaves through provider `name`. Retries nothing itself; `close` frees its connections."""

    name: str
    channel: str

    async def send(self, outgoing: Outgoing) -> Receipt:
        """Hand the message over. Raises NotSent, Rejected or Ambiguous, and nothing else."""

    async def verify(self) -> None:
        """Ask the provider whether this account works, sending nothing. Raises SendFailed with why not, or NotVerifiable."""

    async def close(self) -> None: ...
