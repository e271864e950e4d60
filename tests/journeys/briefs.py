"""Reading rehearsals: when something was sent, and which ways on of a journey a brief has not rehearsed."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, assert_never
from unittest.mock import patch

from journeys.language import Journey
from journeys.language.play import Player
from journeys.language.rehearsal import Rehearsal
from journeys.language.steps import AnyStep, Call, Enter, Exit, If, Repeat, Send, Split, Switch, Update, Wait, WaitFor
from journeys.language.walk import all_steps

# The package has a function of the module's name.
rehearsing = sys.modules[Rehearsal.__module__]


def sent_at(shown: Rehearsal, step: str) -> str:
    """When a step sent something first: `Mon 2026-03-02 12:00`, UTC."""
    return next(f"{line.at:%a %Y-%m-%d %H:%M}" for line in shown.lines if line.step == step and line.words.endswith(" sent"))


@contextmanager
def watched() -> Iterator[list[Player]]:
    """Every enrollment that is rehearsed inside."""
    players: list[Player] = []

    class Watched(Player):
        def __init__(self, *given: Any, **named: Any) -> None:
            super().__init__(*given, **named)
            players.append(self)

    with patch.object(rehearsing, "Player", Watched):
        yield players


def unrehearsed(journey: Journey, brief: ModuleType) -> list[str]:
    """Play every test of a brief once more, and name each step, and each way on from it, that none of them came by."""
    with watched() as players:
        for name, test in vars(brief).items():
            if name.startswith("test_"):
                test()
    return untaken(journey, players)


def untaken(journey: Journey, players: list[Player]) -> list[str]:
    """Each step, and each way on from it, that none of these enrollments came by."""
    taken = {(record.step, record.outcome) for player in players for record in player.progress.records}
    begun = {step for step, _ in taken}
    steps = list(all_steps(journey.steps))
    missed = [f"{step.id}: {way}" for step in steps for way in _ways_on(step) if (step.id, way) not in taken]
    return [step.id for step in steps if step.id not in begun] + missed


def _ways_on(step: AnyStep) -> Iterator[str]:
    """Outcomes, as the interpreter names them, that lead different ways."""
    match step:
        case Send():
            yield from ("sent", "not_sent") if step.otherwise else ("sent",)
        case Call():
            yield from ("called", "failed") if step.otherwise else ("called",)
        case Wait():
            yield from ("waited", "past") if step.then or step.if_past else ("waited",)
        case WaitFor():
            yield from (*map(str, range(len(step.cases) or 1)), "timeout")
        case If():
            yield from ("0", "otherwise")
        case Switch():
            yield from (*map(str, range(len(step.cases))), "otherwise")
        case Split():
            yield from (arm.name for arm in step.arms)
        case Update() | Repeat() | Enter() | Exit():
            return
        case _:
            assert_never(step)
