"""Moving people to another version: where they are put down and what they take along, or why they stay. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise

from journeys.language import assign
from journeys.language.durations import Duration
from journeys.language.facts import EventFact
from journeys.language.journey import Journey
from journeys.language.nodes import shape
from journeys.language.steps import AnyStep, Call, Repeat, Send, Split, Wait, WaitFor
from journeys.language.walk import all_steps, branches
from journeys.language.world import Footing, Pass, Progress, Record

MOVED = "moved"

REASONS: Mapping[str, str] = {
    "leaving": "they are leaving the journey",
    "other_key": "the other version has another key, so it would mean somebody else's events",
    "no_such_step": "the other version has no such step: say where to with --map old=new",
    "already_began": "they have begun that step before, and nothing is sent twice: map to a later step",
    "other_arm": "that step stands in another arm than theirs: map to a step of their own arm",
    "other_kind": "the step of this name is another thing in the other version: map to another step",
    "elsewhere": "they stand at another step",
    "sending": "a message is being sent: they can be moved as soon as they wait",
    "starting": "they are only entering",
    "same_version": "they are in that version",
    "no_answer": "their workflow does not answer",
    "ended": "they have left",
}


@dataclass(frozen=True)
class Moved:
    """Where somebody is put down, and everything that they remember."""

    step: str
    progress: Progress


@dataclass(frozen=True)
class Stays:
    """Somebody cannot be moved. `reason` is a key of REASONS; `step` is where they would have been put down."""

    reason: str
    step: str


def target_of(standing: str, steps: Mapping[str, str]) -> str:
    """The step of the other version that somebody who stands at `standing` goes to: what the map says, else the same id."""
    return steps.get(standing, standing)


def moved(
    old: Journey, new: Journey, progress: Progress, standing: Record, steps: Mapping[str, str], *, app: str, subject: str
) -> Moved | Stays:
    """Put somebody who waits at `standing` down in `new`. Nothing that has begun begins again; `progress` is left as it is.

    `steps` maps steps of `old` to steps of `new`; what it does not name keeps its id. Entries for steps that are behind say that a step
    was renamed: the new name counts as done, and what the step captured is found under both.
    """
    to = target_of(standing.step, steps)
    way = _way(new.steps, to)
    if progress.ending is not None:
        return Stays("leaving", to)
    if shape(old.key) != shape(new.key):
        return Stays("other_key", to)
    if way is None:
        return Stays("no_such_step", to)
    return _put_down(old, new, _renamed(progress, standing, steps), standing, way, _arms(new, app, subject))


def with_events(new: Journey, progress: Progress, came: Sequence[EventFact]) -> tuple[Progress, list[EventFact]]:
    """Let the other version see what it listens to: events since entry as Postgres has them, those that came by signal since, each once.

    Returns the progress without them, and those that have to arrive again; what a step has captured is not among them.
    """
    meant = [event for event in came if event.id not in progress.applied]
    ids = {event.id for event in meant}
    names = set(new.signal_names)
    meant += [event for event in progress.known if event.id not in ids and event.name in names]
    meant.sort(key=lambda event: (event.occurred_at, event.arrival))
    arriving = {event.id for event in meant}
    return replace(progress, known=[], overflowed=[], seen=[each for each in progress.seen if each not in arriving]), meant


def _put_down(
    old: Journey, new: Journey, progress: Progress, standing: Record, way: Sequence[AnyStep], arms: Mapping[str, str]
) -> Moved | Stays:
    to = way[-1]
    was = next(step for step in all_steps(old.steps) if step.id == standing.step)
    visits = _visits(progress)
    passes = _passes(old, progress, standing, way, visits)
    begun = _begun(new, way, passes, visits)
    if not _is_own_arm(way, arms):
        return Stays("other_arm", to.id)
    if to.id == standing.step and not _goes_on(was, to):
        return Stays("other_kind", to.id)
    if to.id != standing.step and to.id in begun:
        return Stays("already_began", to.id)
    records = [replace(record) for record in progress.records]
    visits = _take_along(was, to, standing, records, visits)
    for step in way[:-1]:
        if isinstance(step, Repeat) and _is_going_on(old, standing, step.id):
            visits[step.id] -= 1
    path = [step.id for step in way]
    footing = Footing(path, visits, [step for step in begun if step not in path], passes)
    return Moved(to.id, replace(progress, records=records, passes={**progress.passes, **passes}, footing=footing))


def _way(steps: Sequence[AnyStep], step_id: str) -> list[AnyStep] | None:
    """The steps from the outermost to this one, each inside the one before."""
    for step in steps:
        if step.id == step_id:
            return [step]
        for branch in branches(step):
            inner = _way(branch, step_id)
            if inner is not None:
                return [step, *inner]
    return None


def _visits(progress: Progress) -> dict[str, int]:
    visits: dict[str, int] = {}
    for record in progress.records:
        visits[record.step] = max(visits.get(record.step, 0), record.visit)
    return visits


def _is_going_on(old: Journey, standing: Record, repeat: str) -> bool:
    return any(step.id == repeat for step in _way(old.steps, standing.step) or ())


def _passes(old: Journey, progress: Progress, standing: Record, way: Sequence[AnyStep], visits: Mapping[str, int]) -> dict[str, Pass]:
    """The pass of each Repeat on the way: the one that goes on, else a new one, in which nothing has begun yet."""
    passes = {}
    for step in way[:-1]:
        if isinstance(step, Repeat):
            known = progress.passes.get(step.id, Pass(0, {}))
            passes[step.id] = known if _is_going_on(old, standing, step.id) else Pass(known.done, dict(visits))
    return passes


def _begun(new: Journey, way: Sequence[AnyStep], passes: Mapping[str, Pass], visits: Mapping[str, int]) -> list[str]:
    """Steps that have begun: since entry or, inside a Repeat on the way, in its present pass."""
    before: dict[str, Mapping[str, int]] = {}
    for step in way[:-1]:
        if isinstance(step, Repeat):
            before |= {inner.id: passes[step.id].visits for inner in all_steps(step.steps)}
    return [step.id for step in all_steps(new.steps) if visits.get(step.id, 0) > before.get(step.id, {}).get(step.id, 0)]


def _arms(new: Journey, app: str, subject: str) -> Mapping[str, str]:
    return {step.id: assign.arm(step, app, new.name, subject).name for step in all_steps(new.steps) if isinstance(step, Split)}


def _is_own_arm(way: Sequence[AnyStep], arms: Mapping[str, str]) -> bool:
    for step, inner in pairwise(way):
        if isinstance(step, Split):
            own = next(arm for arm in step.arms if arm.name == arms[step.id])
            if all(each.id != inner.id for each in own.steps):
                return False
    return True


def _goes_on(was: AnyStep, to: AnyStep) -> bool:
    """Whether what has begun can go on as the step of the same name in the other version."""
    match was, to:
        case (Wait(), Wait()) | (WaitFor(), WaitFor()):
            return True
        case Send(), Send():
            # Its messages are planned, and may be claimed, for the endpoints of a channel.
            return was.message.channel == to.message.channel and shape(was.to) == shape(to.to)
        case Call(), Call():
            return was.action == to.action
        case _:
            return False


def _take_along(was: AnyStep, to: AnyStep, standing: Record, records: list[Record], visits: Mapping[str, int]) -> dict[str, int]:
    """End the old visit, or let it go on, under the new name where a wait stays a wait. Returns the visits before the target is taken."""
    own = next(record for record in records if (record.step, record.visit) == (standing.step, standing.visit))
    counted = dict(visits)
    if to.id == was.id:
        own.until = _until(was, to, own.until)
        counted[to.id] = own.visit - 1
        return counted
    own.outcome = MOVED
    until = _until(was, to, own.until)
    if until is not None:
        records.append(Record(to.id, counted.get(to.id, 0) + 1, own.began_at, until))
    return counted


def _until(was: AnyStep, to: AnyStep, until: datetime | None) -> datetime | None:
    """The moment of a wait that goes on: the same, or as much later or earlier as its duration changed. None: it is computed anew."""
    if until is None or not isinstance(to, (Wait, WaitFor)) or type(was) is not type(to):
        return until if was.id == to.id and not isinstance(to, (Wait, WaitFor)) else None
    assert isinstance(was, (Wait, WaitFor))
    before, after = _length(was), _length(to)
    if before is not None and after is not None:
        return until - before.timedelta + after.timedelta
    return until if before is after is None and shape(was.until) == shape(to.until) else None


def _length(step: Wait | WaitFor) -> Duration | None:
    return step.duration if isinstance(step, Wait) else step.within


def _renamed(progress: Progress, standing: Record, steps: Mapping[str, str]) -> Progress:
    """Steps behind that the map gives another name are behind under that name too."""
    names = {record.step for record in progress.records}
    renames = {old: new for old, new in steps.items() if new not in names}
    known = [replace(each, step=renames[each.step]) for each in progress.records if each.step in renames and each.step != standing.step]
    captured = {new: progress.captured[old] for old, new in renames.items() if old in progress.captured and new not in progress.captured}
    return replace(progress, records=[*progress.records, *known], captured={**progress.captured, **captured})
