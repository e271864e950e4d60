"""Rehearsals kept as files: journeys/rehearsals/<journey>/<scenario>.toml says who, what happens to them, and what must come of it."""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import reduce
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from journeys.language import hours, minutes, seconds
from journeys.language.conditions import Channel
from journeys.language.durations import Duration, days, weeks
from journeys.language.errors import Invalid, NotFound, Problem
from journeys.language.journey import Journey
from journeys.language.rehearsal import ANYBODY, MONDAY_NOON, Happening, Person, Rehearsal, failed, rehearse
from journeys.language.steps import AnyStep, Call, Send, Split
from journeys.language.walk import all_steps

FOLDER = "rehearsals"
PLAIN = "plain"
FAILED = "$failed"
HOW_LONG = "a number with w, d, h, m or s, such as 2d, 1d 12h or 90m; -1h is an hour before entry"
_PART = re.compile(r"(\d+(?:\.\d+)?)([wdhms])")
_WHOLE = re.compile(r"-?(?:\d+(?:\.\d+)?[wdhms] ?)+")
_UNITS = {"w": weeks, "d": days, "h": hours, "m": minutes, "s": seconds}


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Happens(_Table):
    after: str
    name: str = Field(min_length=1)
    properties: dict[str, Any] = {}

    @field_validator("after")
    @classmethod
    def _is_a_length(cls, text: str) -> str:
        duration(text)
        return text


class _Who(_Table):
    """As Person of the language; what is left out is as ANYBODY has it."""

    user_id: str | None = None
    attributes: dict[str, Any] | None = None
    timezone: str | None = None
    channels: tuple[Channel, ...] | None = None
    refuses: tuple[Channel, ...] | None = None
    unsubscribed_topics: tuple[str, ...] | None = None
    segments: tuple[str, ...] | None = None

    @field_validator("timezone")
    @classmethod
    def _is_a_zone(cls, name: str | None) -> str | None:
        if name is not None and name not in available_timezones():
            raise ValueError("write an IANA zone, such as Europe/Berlin")
        return name


class Expected(_Table):
    """What must come of a rehearsal; only what is named is compared."""

    sent: list[str] | None = None
    skipped: dict[str, str] | None = None
    called: list[str] | None = None
    entered: list[str] | None = None
    attributes: dict[str, Any] | None = None
    ended: str | None = None


class _File(_Table):
    description: str = ""
    starts_at: datetime | None = None
    user: _Who = _Who()
    entered_by: str | None = None
    entry: dict[str, Any] = {}
    events: list[_Happens] = []
    arms: dict[str, str] = {}
    calls: dict[str, Any] = {}
    refused: list[str] = []
    dead: list[str] = []
    expect: Expected | None = None


@dataclass(frozen=True)
class Scenario:
    """One rehearsal of a journey, ready to be played."""

    name: str = PLAIN
    description: str = "nothing happens but the entry"
    user: Person = ANYBODY
    entered_by: str | None = None
    entry: Mapping[str, Any] = field(default_factory=dict)
    events: Sequence[Happening] = ()
    arms: Mapping[str, str] = field(default_factory=dict)
    calls: Mapping[str, Any] = field(default_factory=dict)
    refused: Sequence[str] = ()
    dead: Sequence[str] = ()
    starts_at: datetime = MONDAY_NOON
    expected: Expected | None = None

    def play(self, journey: Journey) -> Rehearsal:
        return rehearse(
            journey,
            self.events,
            user=self.user,
            entry=self.entry,
            arms=self.arms,
            calls=self.calls,
            refused=self.refused,
            dead=self.dead,
            entered_by=self.entered_by,
            starts_at=self.starts_at,
        )


def scenarios(room: Path, journey: Journey) -> Mapping[str, Path]:
    """The files of a journey's rehearsals by name, sorted; the plain one is first, where there is one."""
    files = {file.stem: file for file in sorted((room / FOLDER / journey.name).glob("*.toml"))}
    return {name: files[name] for name in sorted(files, key=lambda name: (name != PLAIN, name))}


def scenario(room: Path, journey: Journey, name: str) -> Scenario:
    """One rehearsal by its name; the plain one is there without a file too. Raises NotFound, Invalid with everything that is wrong."""
    known = scenarios(room, journey)
    if name in known:
        return read(known[name], journey)
    if name == PLAIN:
        return Scenario()
    there_are = ", ".join([PLAIN, *(each for each in known if each != PLAIN)])
    raise NotFound(f"{journey.name} has no rehearsal {name}; there are {there_are}. Add journeys/{FOLDER}/{journey.name}/{name}.toml")


def read(file: Path, journey: Journey) -> Scenario:
    """Read a rehearsal and hold it against its journey. Raises Invalid with everything that is wrong; pointers are file: key."""
    place = f"{FOLDER}/{file.parent.name}/{file.name}"
    try:
        table = _File.model_validate(tomllib.loads(file.read_text()))
    except tomllib.TOMLDecodeError as error:
        raise Invalid([Problem(place, "bad_toml", f"this is no TOML: {error}")]) from error
    except ValidationError as error:
        raise Invalid([_problem(place, each) for each in error.errors(include_url=False)]) from error
    if wrong := list(_unknown(place, table, journey)):
        raise Invalid(wrong)
    return _scenario(file.stem, table)


def duration(text: str) -> Duration:
    """Read `1d 12h`. Raises ValueError with the way to write it."""
    if not _WHOLE.fullmatch(text):
        raise ValueError(f"write {HOW_LONG}")
    total = reduce(Duration.__add__, (_UNITS[unit](float(count)) for count, unit in _PART.findall(text)))
    return -total if text.startswith("-") else total


def differences(played: Rehearsal, expected: Expected) -> list[str]:
    """Say in words where a rehearsal came out otherwise than expected."""
    came: Mapping[str, Any] = {
        "sent": played.sent,
        "skipped": dict(played.skipped),
        "called": played.called,
        "entered": [name for name, _ in played.entered],
        "attributes": played.attributes,
        "ended": played.ended,
    }
    return [
        f"{name}: expected {_shown(wanted)}, came {_shown(came[name])}"
        for name in came
        if (wanted := getattr(expected, name)) is not None and wanted != came[name]
    ]


def _scenario(name: str, table: _File) -> Scenario:
    who = {key: value for key, value in table.user if value is not None}
    user = Person(**who)
    at = table.starts_at or MONDAY_NOON
    return Scenario(
        name=name,
        description=table.description,
        user=user,
        entered_by=table.entered_by,
        entry=table.entry,
        events=[(duration(each.after), each.name, each.properties) for each in table.events],
        arms=table.arms,
        calls={step: _results(given) for step, given in table.calls.items()},
        refused=table.refused,
        dead=table.dead,
        starts_at=at if at.tzinfo else at.replace(tzinfo=ZoneInfo(user.timezone)),
        expected=table.expect,
    )


def _results(given: Any) -> Any:
    if isinstance(given, list):
        return [_results(each) for each in given]
    return failed(str(given[FAILED])) if isinstance(given, dict) and FAILED in given else given


def _unknown(place: str, table: _File, journey: Journey) -> Iterator[Problem]:
    """Find names that the journey does not have: a rehearsal that forces an arm of nothing would prove nothing."""
    steps = list(all_steps(journey.steps))
    arms = {step.id: [arm.name for arm in step.arms] for step in steps if isinstance(step, Split)}
    entries = journey.entry_events.names if journey.entry_events else ()
    expected = table.expect or Expected()
    yield from _strangers(place, "refused", table.refused, _ids(steps, (Send, Call)))
    yield from _strangers(place, "dead", table.dead, _ids(steps, (Send,)))
    yield from _strangers(place, "calls", table.calls, _ids(steps, (Call,)))
    yield from _strangers(place, "arms", table.arms, list(arms))
    for step, arm in table.arms.items():
        yield from _strangers(place, f"arms.{step}", [arm], arms.get(step, [arm]))
    yield from _strangers(place, "entered_by", [table.entered_by] if table.entered_by else [], entries)
    yield from _strangers(place, "expect.sent", expected.sent or (), _ids(steps, (Send,)))
    yield from _strangers(place, "expect.skipped", expected.skipped or (), _ids(steps, (Send,)))
    yield from _strangers(place, "expect.called", expected.called or (), _ids(steps, (Call,)))


def _strangers(place: str, key: str, named: Sequence[str] | Mapping[str, Any], known: Sequence[str]) -> Iterator[Problem]:
    for name in named:
        if name not in known:
            there_are = f"there are {', '.join(known)}" if known else "it has none"
            yield Problem(f"{place}: {key}", "not_in_journey", f"the journey has no {name} that could stand here: {there_are}")


def _ids(steps: Sequence[AnyStep], kinds: tuple[type, ...]) -> list[str]:
    return [step.id for step in steps if isinstance(step, kinds)]


def _problem(place: str, error: Any) -> Problem:
    where = f"{place}: {'.'.join(str(part) for part in error['loc'])}"
    match error["type"]:
        case "extra_forbidden":
            table = str(error["loc"][0]) if len(error["loc"]) > 1 else ""
            return Problem(where, "unknown_key", f"there is no such key here: known are {', '.join(KEYS[table])}")
        case "missing":
            return Problem(where, "missing_key", f"it is missing: {_HELP.get(error['loc'][-1], 'add it')}")
        case _:
            words = str(error["msg"]).removeprefix("Value error, ").replace("Input should be", "it must be")
            return Problem(where, "wrong_value", words)


_HELP: Mapping[Any, str] = {"after": f"write after = {HOW_LONG}", "name": 'write name = "product_viewed", the event that happens'}
KEYS: Mapping[str, Sequence[str]] = {
    "": list(_File.model_fields),
    "user": list(_Who.model_fields),
    "events": list(_Happens.model_fields),
    "expect": list(Expected.model_fields),
}
"""The keys of a file and of the tables in it."""


def _shown(value: Any) -> str:
    match value:
        case dict():
            return ", ".join(f"{key} ({each})" for key, each in value.items()) or "nothing"
        case list():
            return ", ".join(value) or "nothing"
        case _:
            return str(value)
