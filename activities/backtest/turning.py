"""When a condition may begin or cease to hold for somebody, so that it need not be read at every moment of the past."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import product

from journeys.language.conditions import AnyCondition, Did, LastDid, Shifted, Trait
from journeys.language.durations import Ahead, Day, Duration, Instant
from journeys.language.facts import Facts
from journeys.language.moments import instant_as_of
from journeys.language.walk import nodes_in
from journeys.language.zones import shifted

# A window is closed at both ends, so what ceases does so just after.
JUST_AFTER = timedelta(microseconds=1)
BEFORE_ALL = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Turning:
    """What a condition asks about: events, times, and how long after them something may change (before them, for `ahead`)."""

    names: frozenset[str]
    times: tuple[Instant | Day | Trait, ...]
    shifts: frozenset[timedelta]

    @classmethod
    def of(cls, condition: AnyCondition) -> "Turning":
        """A duration counts alone, or after one by which a time is shifted: `last_did(...) + days(7)` against `ago(days(2))`."""
        nodes = list(nodes_in(condition))
        ahead = {-node.duration.timedelta for node in nodes if isinstance(node, Ahead)}
        alone = {timedelta(0), *ahead, *(node.timedelta for node in nodes if isinstance(node, Duration))}
        first = {timedelta(0), *(node.by.timedelta for node in nodes if isinstance(node, Shifted))}
        return cls(
            frozenset(name for node in nodes if isinstance(node, (Did, LastDid)) for name in _names(node)),
            tuple(node for node in nodes if isinstance(node, (Instant, Day, Trait))),
            frozenset(one + other for one, other in product(first, alone)),
        )

    def moments(self, facts: Facts) -> list[datetime]:
        """Every such moment of this person, in order."""
        points = {event.occurred_at for event in facts.events if event.name in self.names}
        points |= {found for time in self.times if (found := instant_as_of(time, facts, BEFORE_ALL)) is not None}
        exact = {shifted(point, shift) for point in points for shift in self.shifts}
        return sorted(exact | {shifted(moment, JUST_AFTER) for moment in exact})


def _names(asked: Did | LastDid) -> tuple[str, ...]:
    return asked.names if isinstance(asked, Did) else (asked.event,)
