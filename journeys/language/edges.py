"""What makes time alone change a condition's answer: events that leave a window, times that go by, and what is not past yet.

Not more than the kinds of such moments; storage/edges.py finds the next one of each person. It may come too early, never too late.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeAlias

from journeys.language.conditions import After, AnyCondition, Before, Did, LastDid, MessageWas, When
from journeys.language.durations import Ago, Ahead
from journeys.language.nodes import Node
from journeys.language.walk import nodes_in


@dataclass(frozen=True)
class Leaves:
    """An event of this name matters until so long after it. `only_last`: while a later one is there, an earlier one does not."""

    event: str
    after: timedelta
    only_last: bool = False


@dataclass(frozen=True)
class GoesBy:
    """A time that is read of somebody (the left side) matters until so long after it (before it, where negative)."""

    asked: Before | After
    after: timedelta


@dataclass(frozen=True)
class IsToCome:
    """An event of this name does not count before it occurred: clocks of clients may run ahead."""

    event: str


@dataclass(frozen=True)
class IsToBeTold:
    """What became of a message does not count before it did."""

    asked: MessageWas


Edge: TypeAlias = Leaves | GoesBy | IsToCome | IsToBeTold


def edges(conditions: Iterable[AnyCondition]) -> tuple[Edge, ...]:
    """Every edge of these conditions once: give a segment's with those of all segments that it comes to."""
    return tuple(dict.fromkeys(edge for condition in conditions for each in nodes_in(condition) for edge in _edges(each)))


def _edges(each: Node) -> Iterator[Edge]:
    match each:
        case Did():
            yield from _of_did(each)
        case LastDid(event):
            yield IsToCome(event)
        case Before() | After() if (after := _moved(each.right)) is not None:
            yield GoesBy(each, after)
        case MessageWas():
            yield IsToBeTold(each)
        case _:
            return


def _of_did(asked: Did) -> Iterator[Edge]:
    yield from (IsToCome(name) for name in asked.names)
    if asked.last is not None:
        is_plain = asked.at_least is None and asked.at_most is None and asked.where is None and asked.then is None
        yield Leaves(asked.event, asked.last.timedelta, only_last=is_plain)
    for limit in asked.between or ():
        if (after := _moved(limit)) is not None:
            yield Leaves(asked.event, after)


def _moved(moment: When) -> timedelta | None:
    """How long after a point this moment passes it; None: it stands still."""
    match moment:
        case Ago(duration):
            return duration.timedelta
        case Ahead(duration):
            return -duration.timedelta
        case _:
            return None
