"""What is played in a backtest, and under which assumptions: made from the job's parameters once in each process."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from pydantic import TypeAdapter
from pydantic.dataclasses import dataclass as parsed_dataclass

from activities.app_settings import holdout_of, limits_of
from activities.backtest.turning import Turning
from activities.rules import Terms
from activities.terms import terms_of, topic_of
from activities.zones import Located
from journeys.language.assign import AppHoldout
from journeys.language.codec import from_json
from journeys.language.conditions import AnyCondition, Condition, Device, Did, Has, InSegment, LastDid, MessageWas, Near, Trait
from journeys.language.durations import BestTime
from journeys.language.events import Event
from journeys.language.journey import Journey
from journeys.language.nodes import Node
from journeys.language.steps import Call, Send, Split
from journeys.language.walk import all_steps, nodes_in


@parsed_dataclass(frozen=True)
class Asked:
    """A backtest as it was asked for; `definition` and `entering` are JSON of the language, `until` is fixed when it begins."""

    app: str
    definition: str
    until: datetime
    since: datetime | None = None
    entering: Condition | None = None
    as_if_reachable: bool = False
    of_ten_thousand: int = 10_000
    settings: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Setting:
    """The journey and what it is played with."""

    asked: Asked
    journey: Journey
    terms: dict[tuple[str, Located], Terms]

    @classmethod
    def of(cls, text: str) -> "Setting":
        """Read what the job's process wrote with `written`."""
        asked = _ASKED.validate_json(text)
        return cls(asked, from_json(asked.definition), {})

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Every event that matters: ways in and out, what steps wait for, the goal, and what conditions ask about."""
        found = set(self.journey.signal_names)
        for each in (*nodes_in(self.journey), *nodes_in(self.asked.entering)):
            match each:
                case Event(name) | LastDid(name):
                    found.add(name)
                case Did():
                    found.update(each.names)
        return tuple(sorted(found))

    @cached_property
    def signal_names(self) -> frozenset[str]:
        return frozenset(self.journey.signal_names)

    @cached_property
    def turning(self) -> Turning | None:
        return Turning.of(self.asked.entering) if self.asked.entering is not None else None

    @cached_property
    def splits(self) -> frozenset[str]:
        return frozenset(step.id for step in all_steps(self.journey.steps) if isinstance(step, Split))

    @cached_property
    def app_holdout(self) -> AppHoldout | None:
        """Who enters no journey of this class; a transactional one takes everybody."""
        return None if self.journey.message_class == "transactional" else holdout_of(self.asked.settings or {})

    @cached_property
    def exit_condition(self) -> AnyCondition | None:
        return self.journey.exit_condition

    @cached_property
    def with_messages(self) -> bool:
        """Whether some rule or condition asks for messages of then."""
        caps = (*(self.journey.caps or ()), *limits_of(self.asked.settings or {}).caps)
        return bool(caps) or any(isinstance(each, MessageWas) for each in nodes_in(self.journey))

    def terms_of(self, step: Send, located: Located) -> Terms:
        """The rules of a Send for people of this zone and country."""
        known = self.terms.get((step.id, located))
        if known is None:
            known = self.terms[step.id, located] = self._terms(step, located)
        return known

    def _terms(self, step: Send, located: Located) -> Terms:
        settings = self.asked.settings or {}
        message_class = step.message_class or self.journey.message_class
        return terms_of(
            channel=step.message.channel,
            message_class=message_class,
            topic=topic_of(step.topic or self.journey.topic, message_class, settings),
            located=located,
            settings=settings,
            quiet_hours=step.quiet_hours or self.journey.quiet_hours,
            send_window=step.send_window or self.journey.send_window,
            caps=None if self.journey.caps is None else tuple(self.journey.caps),
            allowed_recipients=None,
        )

    def assumed(self) -> list[str]:
        """What is not known of the past and how it is taken, in words; only what this journey asks about."""
        inside = [*nodes_in(self.journey), *nodes_in(self.asked.entering)]
        sends = any(isinstance(step, Send) for step in all_steps(self.journey.steps))
        return [
            *(["everybody can be reached on every channel and has agreed to everything"] if self.asked.as_if_reachable else []),
            *(["addresses are those of today; consents are those of then"] if sends and not self.asked.as_if_reachable else []),
            *(["attributes are those of today"] if _has(inside, Trait, Near) else []),
            *(["addresses and devices that conditions ask about are those of today"] if _has(inside, Has, Device) else []),
            *(["nobody is in a segment"] if _has(inside, InSegment) else []),
            *(["nothing is known of the hours at which people read: a best time is now"] if _has(inside, BestTime) else []),
            *(["every call succeeds and gives nothing back"] if _has(inside, Call) else []),
            *(["messages of this journey are delivered at once, and nobody opens or clicks them"] if _has(inside, MessageWas) else []),
        ]


_ASKED: TypeAdapter[Asked] = TypeAdapter(Asked)


def written(asked: Asked) -> str:
    """As JSON, to be handed to another process."""
    return _ASKED.dump_json(asked).decode()


def _has(nodes: list[Node], *kinds: type[Node]) -> bool:
    return any(isinstance(node, kinds) for node in nodes)
