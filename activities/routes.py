"""Through which accounts a message may leave, in the order in which they are tried: pure.

Places are tried in order. Among accounts of one place the weight decides, by a hash of the message's id: so a message that comes back
meets the same order, whoever tries it, and a change of weights or an account more moves no more messages than it must.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from journeys.language.messages import MessageClass


@dataclass(frozen=True)
class Route:
    """Where an account stands. Empty `countries` and `classes` mean all; of weight 0 nothing comes but what no other one takes."""

    name: str
    provider: str
    place: int = 1
    weight: int = 1
    countries: frozenset[str] = frozenset()
    classes: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Wanted:
    """What is to leave. `key` makes the choice stick; `country` is None where nobody knows it; `provider` is what the journey names.

    `reached_by`: the providers that reach a device, the best first; empty where any does.
    """

    key: str
    message_class: MessageClass
    country: str | None = None
    provider: str | None = None
    reached_by: tuple[str, ...] = ()


R = TypeVar("R", bound=Route)


def route(routes: Sequence[R], wanted: Wanted) -> tuple[R, ...]:
    """Every account that serves the message, the first to be tried first. Empty where none does."""
    asked = [each for each in routes if serves(each, wanted.message_class, wanted.provider) and _reaches(each, wanted.country)]
    serving = _reaching(asked, wanted.reached_by)
    if len(serving) == 1:
        return tuple(serving)
    return tuple(sorted(serving, key=lambda each: (each.place, -_share(each, wanted.key), each.name)))


def serves(each: Route, message_class: MessageClass, provider: str | None) -> bool:
    """Whether messages of this class leave through it; a provider is named by its own name or by the account's."""
    return (not each.classes or message_class in each.classes) and provider in {None, each.name, each.provider}


def _reaching(routes: Sequence[R], reached_by: tuple[str, ...]) -> Sequence[R]:
    """Only the best provider that there is: to another one a device's token would look dead. A sandbox keeps what is for any device."""
    best = next((provider for provider in reached_by if any(each.provider == provider for each in routes)), None)
    return [each for each in routes if not reached_by or each.provider in {best, "sandbox"}]


def _reaches(each: Route, country: str | None) -> bool:
    return not each.countries or country in each.countries


def _share(each: Route, key: str) -> float:
    """Weighted rendezvous hashing (Thaler and Ravishankar, 1998; weights by -w / ln u): the greatest comes first."""
    if each.weight <= 0:
        return 0.0
    digest = hashlib.sha256(f"{each.name}/{key}".encode()).digest()
    # 53 bits are what a float holds exactly; the half keeps the number off 0 and 1, whose logarithms are of no use.
    uniform = ((int.from_bytes(digest[:8], "big") >> 11) + 0.5) / 2.0**53
    return -each.weight / math.log(uniform)
