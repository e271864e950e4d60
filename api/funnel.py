"""From what was counted to a report: the steps of the live definition in order, each with what people came to there. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from journeys.language.describe import condition_words, events_words
from journeys.language.journey import Journey
from journeys.language.steps import AnyStep, If, Repeat, Split, Switch, Wait, WaitFor
from journeys.language.walk import all_steps
from journeys.language.whereabouts import UNTIL, Halts, whereabouts
from storage.reports import Counted

TOLD = ("delivered", "opened", "clicked", "bounced", "complained", "unsubscribed")


@dataclass(frozen=True)
class Line:
    """One step. `depth` 0 is the trunk; `branch` says in words which way leads here from the step above it that branches."""

    step: AnyStep
    depth: int
    branch: str | None


@dataclass(frozen=True)
class Tally:
    """Counts of one group of people, by what they say."""

    by: Mapping[tuple[str, str, str], int]

    def n(self, what: str, step: str = "", detail: str = "") -> int:
        return self.by.get((what, step, detail), 0)

    def details(self, what: str, step: str = "") -> dict[str, int]:
        """Detail -> n, the most frequent first."""
        found = {detail: n for (kind, of, detail), n in self.by.items() if (kind, of) == (what, step)}
        return dict(sorted(found.items(), key=lambda each: (-each[1], each[0])))

    @property
    def steps(self) -> set[str]:
        return {step for what, step, _ in self.by if what in {"came", "message"}}


def tally(rows: Iterable[Counted], split: str = "", arm: str = "") -> Tally:
    """Everybody's counts, or those of one arm, over all versions."""
    by: Counter[tuple[str, str, str]] = Counter()
    for row in rows:
        if (row.split, row.arm) == (split, arm):
            by[row.what, row.step, row.detail] += row.n
    return Tally(by)


def lines(journey: Journey) -> list[Line]:
    """The steps as they are written, with the branch that leads to the first of each."""
    return list(_lines(journey.steps, 0, None))


def _lines(steps: Sequence[AnyStep], depth: int, branch: str | None) -> Iterable[Line]:
    for place, step in enumerate(steps):
        yield Line(step, depth, branch if place == 0 else None)
        for words, inner in _branches(step):
            yield from _lines(inner, depth + 1, words)


def _branches(step: AnyStep) -> Iterable[tuple[str, Sequence[AnyStep]]]:  # noqa: PLR0911 - a case a kind
    match step:
        case Wait():
            return (("then", step.then), ("if it is past", step.if_past))
        case WaitFor():
            cases = [(f"on {events_words(case.events)}", case.steps) for case in step.cases]
            return (*cases, ("then", step.then), ("on timeout", step.otherwise))
        case If():
            return (("yes", step.then), ("no", step.otherwise))
        case Switch():
            return (*((condition_words(case.condition), case.steps) for case in step.cases), ("otherwise", step.otherwise))
        case Split():
            return tuple((arm.name, arm.steps) for arm in step.arms)
        case Repeat():
            return (("each time", step.steps),)
        case _:
            return (("otherwise", getattr(step, "otherwise", ())),)


def way_words(step: AnyStep | None, way: str) -> str:
    """The way out of a step as people say it."""
    match step:
        case If():
            return {"0": "yes", "otherwise": "no"}.get(way, way)
        case Switch() if way.isdigit() and int(way) < len(step.cases):
            return condition_words(step.cases[int(way)].condition)
        case _:
            return way.replace("_", " ")


def here_now(rows: Iterable[Counted], definitions: Mapping[int, Journey]) -> tuple[dict[str, int], list[dict[str, Any]]]:
    """(step -> people there now, every place with its candidates). Who may be in one of several waits counts for the first of them."""
    places: Counter[tuple[str, str, tuple[str, ...]]] = Counter()
    ways = {version: whereabouts(journey.steps) for version, journey in definitions.items()}
    for row in rows:
        if row.what == "inside" and not row.split:
            halts = ways.get(row.version, {}).get((row.step, row.detail), Halts())
            places[row.step, row.detail, halts.steps] += row.n
    here: Counter[str] = Counter()
    for (_, _, steps), n in places.items():
        if steps:
            here[steps[0]] += n
    told = [
        {"after": after or None, "way": way or None, "at": list(steps), "people": n}
        for (after, way, steps), n in sorted(places.items(), key=lambda place: -place[1])
    ]
    return dict(here), told


def gone_steps(counts: Tally, journey: Journey) -> list[str]:
    """Steps that people came through and the live definition no longer has, by name."""
    known = {step.id for step in all_steps(journey.steps)}
    return sorted(step for step in counts.steps if step.removesuffix(UNTIL) not in known)
