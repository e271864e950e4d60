"""A plan as people read it: each line with its colour."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from cli.amounts import of_people
from journeys.language.moving import REASONS

AS_LIVE = "Nothing differs from what is live."
MOST_LINES = 60
SIGNS = {"new": "+", "changed": "~", "retired": "-", "back": "+", "same": "="}
COLOURS = {"new": "green", "changed": "yellow", "retired": "red", "back": "green", "same": ""}
_STEP_SIGNS = {"added": "+", "removed": "-", "changed": "~", "moved": ">", "renamed": "="}
_STEP_COLOURS = {"added": "green", "removed": "red", "changed": "yellow", "moved": "cyan", "renamed": "cyan"}
Line = tuple[str, str]


def differs(answer: Any) -> bool:
    kinds = ("journeys", "templates", "segments", "sources", "campaigns")
    return any(each["change"] != "same" for kind in kinds for each in answer[kind])


def shown(answer: Any, weeks: Mapping[str, str]) -> Iterator[Line]:
    """(line, style) of everything that differs; `weeks` says of a journey what it would have sent last week."""
    if not differs(answer):
        yield AS_LIVE, ""
    for each in answer["journeys"]:
        if each["change"] != "same":
            yield from _journey(each, weeks.get(each["name"]))
    for kind, told in (("segments", _segment), ("sources", _source), ("campaigns", _campaign), ("templates", _template)):
        for each in answer[kind]:
            if each["change"] != "same":
                yield from told(each)


def _journey(change: Any, week: str | None) -> Iterator[Line]:
    yield f"{SIGNS[change['change']]} {change['name']}: {_what(change)}", f"bold {COLOURS[change['change']]}"
    if change["change"] != "retired":
        yield f"    may enter: {change['entry']}", ""
    if change["renamed_from"]:
        other = change["renamed_from"]
        words = f"it looks like {other} under another name: a new journey, which everybody may enter, whoever was in {other} too"
        yield f"    {words}", "yellow"
    for each in change["differences"]:
        yield f"    {_STEP_SIGNS[each['kind']]} {_difference(each)}", _STEP_COLOURS[each["kind"]]
    yield from ((f"    {words}", "") for words in change["arms"])
    yield from ((f"    {words}", "") for words in _inside(change))
    if week:
        yield f"    last week: {week}", ""


def _what(change: Any) -> str:
    match change["change"]:
        case "new":
            return "a new journey"
        case "retired":
            return "retired: nobody enters any more"
        case "back":
            return "back from retirement: people enter again"
        case _:
            return f"changed: a new version, which people enter from now on (now live: version {change['version']})"


def _difference(each: Any) -> str:
    name = each["step"] or "the journey"
    return f"{name}: {each['words']}" if each["kind"] in {"changed", "added"} else f"{name} {each['kind']}: {each['words']}"


def _inside(change: Any) -> Iterator[str]:
    """People inside, by version and by step, and whether they could be moved."""
    people = sum(change["inside"].values())
    if not people:
        return
    versions = ", ".join(f"{count:,} in version {number}" for number, count in sorted(change["inside"].items()))
    yield f"{of_people(people)} inside ({versions}) {'finishes' if people == 1 else 'finish'} the version they entered"
    if not change["at_steps"]:
        return
    at: Counter[str] = Counter()
    stays: Counter[tuple[str, str]] = Counter()
    for each in change["at_steps"]:
        at[each["step"]] += each["people"]
        if each["stays"]:
            stays[each["stays"], each["step"]] += each["people"]
    yield "they stand at " + ", ".join(f"{step} ({count:,})" for step, count in at.most_common())
    counted = at.total()
    yield f"{counted - stays.total():,} of {counted:,} could be moved to the new version: `sojourn enrollments move --help`"
    for (reason, step), count in stays.most_common():
        yield f"  {count:,} at {step} could not: {REASONS.get(reason, reason)}"


def _segment(change: Any) -> Iterator[Line]:
    words = "new" if change["change"] == "new" else f"changed (now live: version {change['version']})"
    yield f"{SIGNS[change['change']]} segment {change['name']}: {words}", f"bold {COLOURS[change['change']]}"
    if change["before"]:
        yield f"    - {change['before']}", "red"
    yield f"    + {change['after']}", "green"
    yield from ((f"    slow: {words}", "yellow") for words in change["warnings"])


def _source(change: Any) -> Iterator[Line]:
    words = "new" if change["change"] == "new" else f"changed (now live: version {change['version']})"
    yield f"{SIGNS[change['change']]} source {change['name']}: {words}", f"bold {COLOURS[change['change']]}"
    yield f"    {change['words']}", ""


def _campaign(change: Any) -> Iterator[Line]:
    words = "new, a draft" if change["change"] == "new" else f"changed (published last: version {change['version']})"
    yield f"{SIGNS[change['change']]} campaign {change['name']}: {words}", f"bold {COLOURS[change['change']]}"
    yield from ((f"    ~ {each}", "yellow") for each in change["differences"])


def _template(change: Any) -> Iterator[Line]:
    words = "new" if change["change"] == "new" else f"changed (now live: version {change['version']})"
    yield f"{SIGNS[change['change']]} template {change['name']}: {words}", f"bold {COLOURS[change['change']]}"
    for line in change["diff"][:MOST_LINES]:
        yield f"    {line}", "green" if line.startswith("+") else "red" if line.startswith("-") else "cyan" if line.startswith("@") else ""
    if len(change["diff"]) > MOST_LINES:
        yield f"    ... and {len(change['diff']) - MOST_LINES} more lines", ""
