"""Ways through a journey's tree that more than one module needs."""

from collections.abc import Iterator, Sequence
from typing import Any, assert_never

from journeys.language.nodes import Node, fields_of
from journeys.language.steps import AnyStep, Call, Enter, Exit, If, Repeat, Send, Split, Switch, Update, Wait, WaitFor


def branches(step: AnyStep) -> Sequence[Sequence[AnyStep]]:
    """Every way on from a step, in the order in which it is written; empty ones included."""
    match step:
        case Send() | Call():
            return (step.otherwise,)
        case Wait():
            return (step.then, step.if_past)
        case WaitFor():
            return (*(case.steps for case in step.cases), step.then, step.otherwise)
        case If():
            return (step.then, step.otherwise)
        case Switch():
            return (*(case.steps for case in step.cases), step.otherwise)
        case Split():
            return tuple(arm.steps for arm in step.arms)
        case Repeat():
            return (step.steps,)
        case Update() | Enter() | Exit():
            return ()
        case _:
            assert_never(step)


def always_leaves(step: AnyStep) -> bool:
    """Whether every way through a step ends the journey, so that nothing behind it can be reached."""
    match step:
        case Exit():
            return True
        case Wait(duration=None) | Send() | Call() | Update() | Enter():
            return False
        case Wait():
            return _leaves(step.then)
        case WaitFor(cases=()):
            return _leaves(step.then) and _leaves(step.otherwise)
        case WaitFor() | Switch():
            return all(_leaves(case.steps) for case in step.cases) and _leaves(step.otherwise)
        case If() | Split():
            return all(map(_leaves, branches(step)))
        case Repeat():
            return step.until is None and _leaves(step.steps)
        case _:
            assert_never(step)


def _leaves(steps: Sequence[AnyStep]) -> bool:
    return any(map(always_leaves, steps))


def all_steps(steps: Sequence[AnyStep]) -> Iterator[AnyStep]:
    """Each step with all inside it, in the order in which they are written."""
    for step in steps:
        yield step
        for inner in branches(step):
            yield from all_steps(inner)


def nodes_in(value: Any) -> Iterator[Node]:
    """Each value inside a value, itself included."""
    if isinstance(value, Node):
        yield value
        for _, inner in fields_of(value):
            yield from nodes_in(inner)
    elif isinstance(value, tuple):
        for inner in value:
            yield from nodes_in(inner)
