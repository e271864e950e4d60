"""A rehearsal as people read it: days, local times, what each step did, and what was not sent and why. With rich's markup."""

import textwrap
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from itertools import groupby
from shutil import get_terminal_size

from rich.markup import escape

from cli.console import out
from journeys.language import reasons
from journeys.language.rehearsal import Line, LineKind, Person, Rehearsal
from journeys.language.zones import zone_of

_COLOURS: Mapping[LineKind, str] = {
    "entry": "bold cyan",
    "event": "cyan",
    "wait": "dim",
    "sent": "green",
    "skipped": "yellow",
    "done": "default",
    "end": "bold",
}
_CLOCK_WIDTH = len("  12:00  ")
_NARROWEST = 20
_NOT_SENT = " not sent: "


def timeline(played: Rehearsal) -> str:
    """Every line under the day on which it happened. In a terminal long lines are folded under their own column."""
    step_width = max(len(line.step) for line in played.lines) + 2
    room = max(get_terminal_size().columns - _CLOCK_WIDTH - step_width, _NARROWEST) if out.is_terminal else 0
    zone = zone_of(played.timezone)
    local = [(line.at.astimezone(zone), line) for line in played.lines]
    first = local[0][0].date()
    blocks = []
    for day, lines in groupby(local, key=lambda each: each[0].date()):
        blocks.append(f"[bold]{_day(day, first)}[/]\n" + "\n".join(_line(at, line, step_width, room) for at, line in lines))
    return "\n".join(blocks)


def who(person: Person, played: Rehearsal) -> str:
    """Say in a line who was rehearsed; only what is not as with anybody."""
    told = [person.user_id, played.timezone]
    told += [", ".join(f"{name}={value}" for name, value in person.attributes.items())] if person.attributes else []
    told += [f"reached by {', '.join(person.channels) or 'nothing'}"] if person.channels != Person().channels else []
    told += [f"opted out of {', '.join(person.refuses)}"] if person.refuses else []
    told += [f"unsubscribed from {', '.join(person.unsubscribed_topics)}"] if person.unsubscribed_topics else []
    told += [f"in {', '.join(person.segments)}"] if person.segments else []
    return escape("; ".join(told))


def outcome(played: Rehearsal) -> str:
    """Say in a few lines what came of it."""
    return "\n".join(_outcome(played))


def _outcome(played: Rehearsal) -> Iterator[str]:
    yield escape(f"Sent: {', '.join(played.sent) or 'nothing'}.")
    for line in played.lines:
        if line.kind == "skipped":
            yield escape(f"Not sent: {line.step}, because {_because(line)}.")
    if played.arms:
        yield escape(f"Arms: {', '.join(f'{step}: {arm}' for step, arm in played.arms.items())}.")
    if played.called:
        yield escape(f"Called: {', '.join(played.called)}.")
    if played.entered:
        yield escape(f"Entered: {', '.join(name for name, _ in played.entered)}.")
    yield escape(f"Ended: {played.ended}.")


def _day(day: date, first: date) -> str:
    ordinal = (day - first).days + 1
    return f"{day:%A} {day.day} {day:%B %Y}" + (f", day {ordinal}" if ordinal > 1 else "")


def _line(at: datetime, line: Line, step_width: int, room: int) -> str:
    words = _words(line)
    folded = textwrap.wrap(words, room, break_long_words=False) if room else [words]
    indent = "\n" + " " * (_CLOCK_WIDTH + step_width)
    colour = _COLOURS[line.kind]
    return f"  [dim]{at:%H:%M}[/]  [{colour}]{escape(line.step):<{step_width}}{indent.join(escape(part) for part in folded)}[/]"


def _words(line: Line) -> str:
    if line.kind != "skipped":
        return line.words
    return f"{line.words.partition(_NOT_SENT)[0]}{_NOT_SENT}{_because(line)}"


def _because(line: Line) -> str:
    """Each reason in words, with its code, which is what reports show. The line begins with the channel."""
    what, _, codes = line.words.partition(_NOT_SENT)
    return ", ".join(f"{reasons.words(code, channel=what.partition(' ')[0])} ({code})" for code in codes.split(", ") if code)
