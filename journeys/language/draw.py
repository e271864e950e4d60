"""A journey as a drawing: boxes and arrows with a sentence above. The console shows the same structure; `mermaid` writes it as text."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from journeys.language.describe import (
    condition_words,
    duration_words,
    events_words,
    moment_words,
    schedule_words,
    step_words,
    ways_out_words,
)
from journeys.language.durations import Always
from journeys.language.entries import DateEntry, Requested, ScheduleEntry, SegmentEntry
from journeys.language.events import Events
from journeys.language.steps import AnyStep, Arm, Call, Exit, If, Repeat, Send, Split, Switch, Wait, WaitFor

if TYPE_CHECKING:
    from journeys.language.journey import Journey

Shape = Literal["end", "action", "question"]


@dataclass(frozen=True)
class Box:
    """One step, or the start or the end. `id` is the step's, `words` say what it does."""

    id: str
    words: str
    shape: Shape


@dataclass(frozen=True)
class Arrow:
    """From one box to the next; `words` say when this way is taken, "" always."""

    origin: str
    target: str
    words: str


@dataclass
class Drawing:
    """Boxes in the order in which the journey is written, and the arrows between them."""

    sentence: str
    boxes: list[Box] = field(default_factory=list)
    arrows: list[Arrow] = field(default_factory=list)


Loose = tuple[str, str]
"""An arrow that has no end yet: the box it leaves, and its words."""


def drawing(journey: "Journey") -> Drawing:
    drawn = Drawing(sentence(journey))
    drawn.boxes.append(Box("$start", _start(journey), "end"))
    loose = _draw(journey.steps, [("$start", "")], drawn)
    drawn.boxes.append(Box("$end", "completed", "end"))
    _tie(loose, "$end", drawn)
    return drawn


def mermaid(journey: "Journey") -> str:
    """Mermaid's flowchart; the sentence stands above the first box, so that who sees only the picture reads it too."""
    drawn = drawing(journey)
    numbers = {box.id: f"n{place}" for place, box in enumerate(drawn.boxes)}
    above = "<br/>".join(map(_escaped, drawn.sentence.splitlines()))
    lines = ["flowchart TD", f'    above["{above}"]:::above', "    classDef above fill:none,stroke:none", "    above ~~~ n0"]
    lines += [f"    {numbers[box.id]}{_boxed(box)}" for box in drawn.boxes]
    lines += [f"    {numbers[arrow.origin]} -->{_labelled(arrow.words)} {numbers[arrow.target]}" for arrow in drawn.arrows]
    return "\n".join(lines) + "\n"


def sentence(journey: "Journey") -> str:
    """Who enters, how often, what ends it and what counts: one line each."""
    lines = [f"{journey.name}: starts on {_start(journey)}; {_again(journey)}."]
    if journey.key is not None:
        lines.append(f"One at a time for each {journey.key.path} of a user.")
    end = f"{duration_words(journey.ends_after)} after it began"
    lines.append(f"Ends on {ways_out_words(journey.exits_on)}, or {end}." if journey.exits_on is not None else f"Ends at the latest {end}.")
    if journey.goal is not None:
        lines.append(f"Its goal is {events_words(journey.goal.events)} within {duration_words(journey.goal.within)} of entry.")
    if journey.holdout:
        lines.append(f"{journey.holdout:g} percent get nothing and are only measured.")
    return "\n".join(lines)


def _again(journey: "Journey") -> str:
    each = "each user" if journey.key is None else "each user and key"
    match journey.again_after:
        case None:
            return f"{each} once in a lifetime"
        case Always():
            return f"{each} whenever none is open"
        case duration:
            return f"{each} again {duration_words(duration)} after the last start"


def _start(journey: "Journey") -> str:
    match journey.starts_on:
        case Events() as events:
            return events_words(events)
        case SegmentEntry(name):
            return f"entering segment {name}"
        case ScheduleEntry() as entry:
            return schedule_words(entry)
        case DateEntry(moment):
            return f"{moment_words(moment)}{' every year' if journey.starts_on.every else ''}"
        case Requested():
            return "request by the API"


def _draw(steps: Sequence[AnyStep], loose: list[Loose], drawn: Drawing) -> list[Loose]:
    for step in steps:
        drawn.boxes.append(Box(step.id, step_words(step), _shape(step)))
        _tie(loose, step.id, drawn)
        loose = _ways_on(step, drawn)
    return loose


def _tie(loose: list[Loose], target: str, drawn: Drawing) -> None:
    """Lead the loose arrows to a box; several from one box become one, with the words of all."""
    words: dict[str, list[str]] = {}
    for origin, said in loose:
        words.setdefault(origin, []).append(said)
    drawn.arrows += [Arrow(origin, target, " or ".join(filter(None, said))) for origin, said in words.items()]


def _ways_on(step: AnyStep, drawn: Drawing) -> list[Loose]:
    if isinstance(step, Exit):
        return []
    if isinstance(step, Repeat):
        _tie(_draw(step.steps, [(step.id, "again")], drawn), step.id, drawn)
        return [(step.id, "done")]
    return [way for words, inner in _branches(step) for way in _draw(inner, [(step.id, words)], drawn)]


def _branches(step: AnyStep) -> Sequence[tuple[str, Sequence[AnyStep]]]:
    match step:
        case Send() | Call():
            return (("", ()), ("nothing sent" if isinstance(step, Send) else "failed", step.otherwise)) if step.otherwise else (("", ()),)
        case Wait():
            may_be_past = step.until is not None and (step.then or step.if_past)
            return [("waited", step.then), ("already past", step.if_past)] if may_be_past else [("", step.then)]
        case WaitFor():
            caught = [(events_words(case.events), case.steps) for case in step.cases] or [("came", step.then)]
            return [*caught, ("timeout", step.otherwise)]
        case If():
            return [("yes", step.then), ("no", step.otherwise)]
        case Switch():
            return [*((condition_words(case.condition), case.steps) for case in step.cases), ("otherwise", step.otherwise)]
        case Split():
            return [(_share(arm), arm.steps) for arm in step.arms]
        case _:
            return [("", ())]


def _share(arm: Arm) -> str:
    return f"{arm.name} {arm.weight:g}%"


def _shape(step: AnyStep) -> Shape:
    if isinstance(step, Exit):
        return "end"
    return "question" if isinstance(step, (If, Switch, Split, Repeat)) else "action"


def _boxed(box: Box) -> str:
    text = _quoted(box.words if box.id.startswith("$") else f"<b>{box.id}</b><br/>{_escaped(box.words)}", escape=box.id.startswith("$"))
    match box.shape:
        case "end":
            return f"([{text}])"
        case "question":
            return f"{{{{{text}}}}}"
        case "action":
            return f"[{text}]"


def _labelled(words: str) -> str:
    return f"|{_quoted(words, escape=True)}|" if words else ""


def _quoted(text: str, *, escape: bool) -> str:
    return f'"{_escaped(text) if escape else text}"'


def _escaped(text: str) -> str:
    """Mermaid reads quotes, angle brackets and hashes as its own: write them as character codes."""
    codes = {"#": "#35;", '"': "#quot;", "<": "#lt;", ">": "#gt;", "|": "#124;"}
    return "".join(codes.get(character, character if character.isprintable() else " ") for character in text)
