"""The powers that the interpreter has, and what it remembers: the same for Temporal, where they are durable, and for a rehearsal."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, Protocol, TypeVar

from journeys.language.events import Events
from journeys.language.facts import EventFact
from journeys.language.steps import Call, Condition, Enter, Moment, Send, Update
from journeys.language.verdict import CallVerdict, SendVerdict

S = TypeVar("S", Update, Call, Enter)


@dataclass
class Record:
    """One visit of one step. `until` is absolute; `outcome` names the way it ended and is None while the step lasts."""

    step: str
    visit: int
    began_at: datetime
    until: datetime | None = None
    outcome: str | None = None


@dataclass
class Pass:
    """One pass of a Repeat: how many came before it, and how often each step inside had been visited when it began."""

    done: int
    visits: dict[str, int] = field(default_factory=dict)


@dataclass
class Footing:
    """Where a move to another version put somebody down (moving.py). The walk begins there; what is before it is not looked at."""

    path: list[str]
    """From the outermost step to the one they stand at, each inside the one before."""
    visits: dict[str, int]
    """How often each step had been visited."""
    passed: list[str]
    """Steps that had begun: not taken again, but for a later pass of a Repeat on the path."""
    passes: dict[str, Pass] = field(default_factory=dict)
    """The pass of each Repeat on the path."""


@dataclass
class Progress:
    """Where an enrollment stands. Everything that a fresh run needs to go on, so it is what continue-as-new carries over."""

    records: list[Record] = field(default_factory=list)
    captured: dict[str, EventFact] = field(default_factory=dict)
    known: list[EventFact] = field(default_factory=list)
    """Events that came and were not applied yet, in the order in which they would be."""
    overflowed: list[str] = field(default_factory=list)
    """Event names of which more came than is kept: Postgres has the rest."""
    seen: list[str] = field(default_factory=list)
    applied: list[str] = field(default_factory=list)
    last_send_at: datetime | None = None
    """When the last Send began: what the next WaitFor counts from."""
    ending: str | None = None
    passes: dict[str, Pass] = field(default_factory=dict)
    """The latest pass of each Repeat."""
    footing: Footing | None = None


@dataclass(frozen=True)
class Order:
    """One visit of a Send: the step, and what is known where it stands. `is_last` means that nothing can follow."""

    step: Send
    visit: int
    captured: Mapping[str, EventFact]
    is_last: bool


@dataclass(frozen=True)
class Errand(Generic[S]):
    """One visit of an Update, a Call or an Enter: the step, and what is known where it stands."""

    step: S
    visit: int
    captured: Mapping[str, EventFact]


@dataclass(frozen=True)
class Question:
    """Conditions to be read at one visit of a step; the answer is the place of the first that holds, or None."""

    step: str
    visit: int
    conditions: Sequence[Condition]
    captured: Mapping[str, EventFact]


@dataclass(frozen=True)
class Recall:
    """The earliest events that count, from `since` on, when more came than an enrollment keeps."""

    events: Events
    since: datetime
    most: int
    captured: Mapping[str, EventFact]


class World(Protocol):
    """What the interpreter cannot do itself. Every wait ends early when `woken` says so."""

    def now(self) -> datetime: ...

    async def wait(self, until: datetime, woken: Callable[[], bool], words: str) -> bool:
        """Wait until that moment (False) or until `woken` (True). `words` tell people what is waited for."""

    async def send(self, order: Order, woken: Callable[[], bool]) -> SendVerdict:
        """Deliver; comes back settled, exited, deferred or held, or with `again` when `woken` cut it short."""

    async def update(self, errand: Errand[Update]) -> None:
        """Set the person's attributes, once."""

    async def call(self, errand: Errand[Call], woken: Callable[[], bool]) -> CallVerdict:
        """Call out; comes back done, failed, exited or held, or with `again` when `woken` cut it short."""

    async def enter(self, errand: Errand[Enter]) -> None:
        """Ask, once, that the person enters another journey."""

    async def first_that_holds(self, question: Question) -> int | None: ...

    async def instant(self, step: str, moment: Moment, captured: Mapping[str, EventFact]) -> datetime | None:
        """The moment as an instant; None when it is missing or no time."""

    async def recall(self, recalled: Recall) -> list[EventFact]: ...

    async def end(self, reason: str, *, is_told: bool) -> None:
        """The enrollment is over. `is_told`: its last Send has already said so."""
