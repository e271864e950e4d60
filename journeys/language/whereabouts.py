"""Where people can be who came out of a step and have not come to the next one that is written down: pure reading of the tree.

A Wait and a WaitFor write nothing when they begin, so who stands in one is known by the step before it. From there the way is followed
to the next step that writes what it came to.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from journeys.language.describe import events_words
from journeys.language.steps import AnyStep, Call, Enter, Exit, If, Repeat, Send, Split, Switch, Update, Wait, WaitFor
from journeys.language.walk import branches

UNTIL = ":until"
START = ("", "")
Rest = tuple[AnyStep, ...]


@dataclass(frozen=True)
class Halts:
    """Where somebody may stand, in the order in which it comes: in one of `waits`, else on the way through one of `hands`."""

    waits: tuple[str, ...] = ()
    hands: tuple[str, ...] = ()

    @property
    def steps(self) -> tuple[str, ...]:
        return self.waits or self.hands


def whereabouts(steps: Sequence[AnyStep]) -> Mapping[tuple[str, str], Halts]:
    """For each (step, way it went) the steps where people are then; START stands for those who have come through no step yet."""
    found = {START: _halts(tuple(steps))}
    for step, rest in _with_rest(tuple(steps), ()):
        for way, following in _ways(step, rest):
            found[(f"{step.id}{UNTIL}" if isinstance(step, Repeat) else step.id), way] = _halts(following)
    return found


def _with_rest(steps: Rest, after: Rest) -> Iterator[tuple[AnyStep, Rest]]:
    """Each step with what comes after it, up to the journey's end."""
    for place, step in enumerate(steps):
        rest = steps[place + 1 :] + after
        yield step, rest
        inner = (step, *rest) if isinstance(step, Repeat) else rest
        for branch in branches(step):
            yield from _with_rest(tuple(branch), inner)


def _ways(step: AnyStep, rest: Rest) -> Iterator[tuple[str, Rest]]:
    """The ways that are written down for a step, each with what comes then."""
    match step:
        case Send():
            yield from (("sent", rest), ("not_sent", tuple(step.otherwise) + rest))
        case Call():
            yield from (("done", rest), ("failed", tuple(step.otherwise) + rest))
        case If():
            yield from (("0", tuple(step.then) + rest), ("otherwise", tuple(step.otherwise) + rest))
        case Switch():
            yield from ((str(place), tuple(case.steps) + rest) for place, case in enumerate(step.cases))
            yield ("otherwise", tuple(step.otherwise) + rest)
        case Repeat():
            yield from (("0", rest), ("otherwise", (*step.steps, step, *rest)))
        case Update():
            yield ("updated", rest)
        case Enter():
            yield ("asked_to_enter", rest)
        case Wait() | WaitFor() | Split() | Exit():
            return


def _halts(steps: Rest) -> Halts:
    waits: dict[str, None] = {}
    hands: dict[str, None] = {}
    _follow(steps, waits, hands, set())
    return Halts(tuple(waits), tuple(hands))


def _follow(steps: Rest, waits: dict[str, None], hands: dict[str, None], seen: set[tuple[str, int]]) -> None:
    """Go on until something that writes stops every way. What was seen with as much behind it leads nowhere new."""
    if not steps:
        return
    step, rest = steps[0], steps[1:]
    if (step.id, len(rest)) in seen:
        return
    seen.add((step.id, len(rest)))
    match step:
        case Send() | Call():
            hands[step.id] = None
        case Wait() | WaitFor():
            waits[step.id] = None
            for branch in branches(step) or ((),):
                _follow(tuple(branch) + rest, waits, hands, seen)
        case Split():
            for arm in step.arms:
                _follow(tuple(arm.steps) + rest, waits, hands, seen)
        case Repeat() if step.until is None:
            _follow((*step.steps, step, *rest), waits, hands, seen)
            _follow(rest, waits, hands, seen)
        case If() | Switch() | Update() | Enter() | Repeat() | Exit():
            return


def ways_on(steps: Sequence[AnyStep], standing: str) -> list[tuple[str, AnyStep | None]]:
    """Each way on from the step where somebody stands, in words, with the step that it leads to; None is the journey's end."""
    for step, rest in _with_rest(tuple(steps), ()):
        if step.id == standing:
            return [(words, (tuple(branch) + rest or (None,))[0]) for words, branch in _branches_on(step)]
    return []


def _branches_on(step: AnyStep) -> Sequence[tuple[str, Sequence[AnyStep]]]:
    match step:
        case WaitFor():
            cases = [(f"on {events_words(case.events)}", case.steps) for case in step.cases]
            events = [] if step.events is None else [(f"on {events_words(step.events)}", step.then)]
            return (*cases, *events, ("otherwise", step.otherwise))
        case Wait() if step.if_past:
            return (("", step.then), ("if it is past", step.if_past))
        case Wait():
            return (("", step.then),)
        case Send() | Call() if step.otherwise:
            return (("", ()), ("if it cannot be done", step.otherwise))
        case Send() | Call():
            return (("", ()),)
        case _:
            return ()
