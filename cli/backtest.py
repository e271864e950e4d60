"""`sojourn rehearse JOURNEY --over-history`: a journey of this folder played by the server against what is recorded of real people."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import orjson
from pydantic import TypeAdapter, ValidationError
from rich.markup import escape
from rich.table import Table

from cli.amounts import minute
from cli.client import Client, client
from cli.console import out
from cli.progress import watch
from journeys.language import authoring
from journeys.language.codec import to_json
from journeys.language.conditions import Condition
from journeys.language.errors import Invalid, Problem
from journeys.language.journey import Journey

MOST_BARS = 31
BAR_WIDTH = 40
EVERYBODY = 100
_CONDITION: TypeAdapter[Any] = TypeAdapter(Condition)


@dataclass(frozen=True)
class Past:
    """Which people and which time. `entering` is a condition as in a journey's file; times without a zone are UTC."""

    since: datetime | None = None
    until: datetime | None = None
    sample: float = 100.0
    entering: str | None = None
    as_if_reachable: bool = False


def rehearse(journey: Journey, past: Past, *, as_json: bool) -> None:
    """Play and print."""
    with client() as sojourn:
        show(play_over(sojourn, journey, past), as_json=as_json)


def play_over(sojourn: Client, journey: Journey, past: Past) -> Any:
    """Let the server play, with a progress bar, and give what it counted."""
    body = {
        "definition": orjson.loads(to_json(journey)),
        "since": _instant(past.since),
        "until": _instant(past.until),
        "sample_percent": past.sample,
        "entering": None if past.entering is None else _condition(past.entering),
        "as_if_reachable": past.as_if_reachable,
    }
    return watch(sojourn, sojourn.post("/v1/backtests", body)["id"])


def show(result: Any, *, as_json: bool) -> None:
    """Print what was counted, for people or as JSON."""
    if as_json:
        out.print(json.dumps(result, indent=2), markup=False)
        return
    counts = result["counts"]
    for line in (*_head(result, counts), *_chart(counts.get("sent_on", {}))):
        out.print(escape(line))
    if counts.get("steps"):
        out.print(_steps(counts["steps"]))
    for line in (*_arms(counts.get("arms", {})), *_goal(counts.get("goal", {})), *_ends(counts), *_foot(result)):
        out.print(escape(line))


def _instant(moment: datetime | None) -> str | None:
    return None if moment is None else (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat()


def _condition(words: str) -> Any:
    """Read a condition as a journey's file would: the words are those of whoever runs the command, as their files are."""
    try:
        written = eval(words, {"__builtins__": {}}, dict(vars(authoring)))  # noqa: S307
        return _CONDITION.dump_python(_CONDITION.validate_python(written), mode="json", exclude_none=True)
    except (SyntaxError, NameError, TypeError, ValueError, ValidationError) as error:
        remedy = f'{type(error).__name__}: write a condition as in a journey, such as did_not("order_placed", last=days(90))'
        raise Invalid([Problem("--entering", "bad_condition", remedy)]) from error


def _head(result: Any, counts: Mapping[str, Any]) -> list[str]:
    since = f"from {minute(result['since'])}" if result["since"] else "from the first event"
    until = minute(result["until"])
    sampled = "" if result["sample_percent"] >= EVERYBODY else f", a sample of {result['sample_percent']:g} %"
    held_out = f", {counts['held_out']:,} of them in the holdout" if counts.get("held_out") else ""
    people = _many(counts.get("people", 0), "person", "people")
    return [
        f"{result['journey']} over {people} {since} until {until} UTC{sampled}. Nothing was sent.",
        "",
        f"entered   {counts.get('entered', 0):,} times, by {_many(counts.get('people_entered', 0), 'person', 'people')}{held_out}",
        f"sent      {counts.get('sent', 0):,} messages" + (f", {counts['skipped']:,} skipped" if counts.get("skipped") else ""),
    ]


def _chart(sent_on: Mapping[str, Mapping[str, int]]) -> list[str]:
    """A bar for each day, or for as many days together as make a screen."""
    if not sent_on:
        return []
    days = {date.fromisoformat(day): sum(steps.values()) for day, steps in sent_on.items()}
    first = min(days)
    width = ((max(days) - first).days // MOST_BARS) + 1
    bars: dict[int, int] = {}
    for day, sent in days.items():
        bars[(day - first).days // width] = bars.get((day - first).days // width, 0) + sent
    most = max(bars.values())
    each = "each day" if width == 1 else f"every {width} days"
    lines = ["", f"sent {each} (UTC)"]
    for place in range(max(bars) + 1):
        sent = bars.get(place, 0)
        began = date.fromordinal(first.toordinal() + place * width)
        lines.append(f"  {began}  {'█' * round(sent / most * BAR_WIDTH) or ('▏' if sent else '')} {sent:,}")
    return [*lines, ""]


def _steps(steps: Mapping[str, Mapping[str, Any]]) -> Table:
    """A row for each step; a column in which nothing stands is left out."""
    rows = [
        {
            "step": step,
            "sent": _number(counted.get("sent")),
            "not sent": ", ".join(f"{count:,} {reason}" for reason, count in sorted(counted.get("skipped", {}).items())),
            "put off by quiet hours": _number(counted.get("deferred")),
            "called": _number(counted.get("called")),
        }
        for step, counted in steps.items()
    ]
    columns = [name for name in rows[0] if any(row[name] for row in rows)]
    table = Table(*columns, box=None)
    for row in rows:
        table.add_row(*(escape(row[name]) for name in columns))
    return table


def _number(count: int | None) -> str:
    return f"{count:,}" if count else ""


def _arms(arms: Mapping[str, Mapping[str, Mapping[str, int]]]) -> list[str]:
    lines = []
    for split, inside in sorted(arms.items()):
        lines += ["", f"arms of {split}"]
        for arm, counted in sorted(inside.items()):
            converted = f", {_share(counted)} reached the goal" if "converted" in counted or "not_converted" in counted else ""
            lines.append(f"  {arm}: {counted.get('entered', 0):,} entered, {counted.get('sent', 0):,} messages{converted}")
    return lines


def _goal(goal: Mapping[str, Mapping[str, int]]) -> list[str]:
    """What happened then happened without these messages, so both lines tell what happens anyway."""
    if not goal:
        return []
    lines = ["", "reached the goal anyway, without these messages"]
    for who, words in (("treated", "would get messages"), ("held_out", "holdout")):
        counted = goal.get(who)
        if counted:
            lines.append(f"  {words}: {', '.join(_known_and_open(counted))}")
    return lines


def _known_and_open(counted: Mapping[str, int]) -> Iterator[str]:
    if counted.get("converted") or counted.get("not_converted"):
        yield _share(counted)
    if counted.get("open"):
        yield f"{counted['open']:,} not known yet, their time was not over"


def _share(counted: Mapping[str, int]) -> str:
    known = counted.get("converted", 0) + counted.get("not_converted", 0)
    return f"{counted.get('converted', 0):,} of {known:,}" + (f" ({counted.get('converted', 0) / known:.1%})" if known else "")


def _ends(counts: Mapping[str, Any]) -> list[str]:
    ended = [f"{count:,} {reason}" for reason, count in sorted(counts.get("ended", {}).items(), key=lambda each: -each[1])]
    if counts.get("still_inside"):
        ended.append(f"{counts['still_inside']:,} still inside at the end")
    refused = [f"{count:,} {reason}" for reason, count in sorted(counts.get("refused", {}).items(), key=lambda each: -each[1])]
    lines = ["", f"ended     {', '.join(ended)}"] if ended else []
    return lines + ([f"refused   {', '.join(refused)} (entries that started nothing)"] if refused else [])


def _foot(result: Any) -> list[str]:
    busiest = result["busiest_minute"]
    lines = []
    if busiest is not None:
        about = "" if busiest["is_exact"] else " (about: the messages are spread over too many minutes to keep them all)"
        lines.append(f"busiest   {busiest['sent']:,} messages in the minute of {minute(busiest['at'])} UTC{about}")
    return [*lines, *(["", "Taken for granted: " + "; ".join(result["assumed"]) + "."] if result["assumed"] else [])]


def _many(count: int, one: str, several: str) -> str:
    return f"{count:,} {one if count == 1 else several}"
