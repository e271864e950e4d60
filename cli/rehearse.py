"""`sojourn rehearse`: plays a journey on a fake clock, for somebody described by a file or by options, and says what would be sent."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo, available_timezones

import orjson
import typer
from rich.markup import escape

from cli import backtest, house
from cli.console import out
from cli.house import ROOM, House
from cli.scenarios import PLAIN, Scenario, differences, duration, scenario, scenarios
from cli.timeline import outcome, timeline, who
from journeys.language.errors import Invalid, NotFound, Problem
from journeys.language.journey import Journey
from journeys.language.rehearsal import Happening
from settings import Settings

_EVENT = re.compile(r"(-?[\d.]+[wdhms](?: ?[\d.]+[wdhms])*) (\S+)(?: (\{.*\}))?")
_AN_EVENT = "write it as '2d product_viewed' or '3h paid {\"total\": 20}' (w, d, h, m, s)"


def rehearse(
    journey: Annotated[str | None, typer.Argument(help="the journey's name, or its file's; left out with --all: every journey")] = None,
    name: Annotated[str, typer.Argument(metavar="[REHEARSAL]", help="a file of journeys/rehearsals/<journey>/")] = PLAIN,
    event: Annotated[list[str] | None, typer.Option(help="after entry: '2d product_viewed' or '3h paid {\"total\": 20}'")] = None,
    entry: Annotated[str, typer.Option(help="the entry event's properties as JSON")] = "{}",
    attributes: Annotated[str, typer.Option(help="the user's attributes as JSON")] = "{}",
    timezone: Annotated[str | None, typer.Option(help="the user's zone: Europe/Berlin")] = None,
    channel: Annotated[list[str] | None, typer.Option(help="a channel by which the user can be reached, instead of all")] = None,
    starts_at: Annotated[datetime | None, typer.Option(help="when they enter, on their own clock")] = None,
    arm: Annotated[list[str] | None, typer.Option(help="forces an arm: offer=discount")] = None,
    refused: Annotated[list[str] | None, typer.Option(help="a Send that the provider rejects, or a Call that fails")] = None,
    every: Annotated[bool, typer.Option("--all", help="play every rehearsal; fail when one comes out otherwise than expected")] = False,
    over_history: Annotated[bool, typer.Option(help="play it over recorded events of real people, on the server")] = False,
    since: Annotated[datetime | None, typer.Option(help="over history: entries from then on, UTC; else from the first event on")] = None,
    until: Annotated[datetime | None, typer.Option(help="over history: nothing later is looked at; else until now")] = None,
    sample: Annotated[float, typer.Option(min=0.01, max=100, help="over history: percent of the people that are looked at")] = 100.0,
    entering: Annotated[str | None, typer.Option(help="over history: people enter when this condition begins to hold")] = None,
    reachable: Annotated[bool, typer.Option(help="over history: as if everybody had every channel and had agreed")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="over history: what was counted, as JSON")] = False,
) -> None:
    """Play a journey. Nothing leaves, and nothing needs to run. Without a REHEARSAL, for somebody with every channel and every consent.

    With --over-history the running Sojourn plays it over what is recorded, and counts what would have happened.
    """
    found = house.load(Settings().house)
    if over_history and journey is not None:
        backtest.rehearse(found.journey(journey), backtest.Past(since, until, sample, entering, reachable), as_json=as_json)
        return
    if every:
        _play_all(found, [found.journey(journey)] if journey else list(found.journeys.values()))
        return
    if journey is None:
        raise NotFound(f"name a journey, or --all; there are {', '.join(sorted(each.name for each in found.journeys.values())) or 'none'}")
    told = _with_options(
        scenario(found.folder / ROOM, found.journey(journey), name),
        attributes=read_json(attributes, "attributes"),
        timezone=timezone,
        channels=channel,
        entry=read_json(entry, "entry"),
        events=[_happening(words) for words in event or ()],
        arms=dict(each.partition("=")[::2] for each in arm or ()),
        refused=refused or (),
        starts_at=starts_at,
    )
    is_as_expected = _play(found.journey(journey), told)
    _list_others(found, found.journey(journey), name)
    if not is_as_expected:
        raise typer.Exit(1)


def _with_options(
    described: Scenario,
    *,
    attributes: Mapping[str, Any],
    timezone: str | None,
    channels: Sequence[str] | None,
    entry: Mapping[str, Any],
    events: Sequence[Happening],
    arms: Mapping[str, str],
    refused: Sequence[str],
    starts_at: datetime | None,
) -> Scenario:
    """What the command line says comes on top of what the file says."""
    before = described.user
    user = replace(
        before,
        attributes={**before.attributes, **attributes},
        timezone=_zone(timezone) if timezone else before.timezone,
        channels=before.channels if channels is None else tuple(channels),
    )
    is_changed = any((attributes, timezone, channels, entry, events, arms, refused, starts_at))
    return replace(
        described,
        description="" if is_changed else described.description,
        user=user,
        entry={**described.entry, **entry},
        events=[*described.events, *events],
        arms={**described.arms, **arms},
        refused=[*described.refused, *refused],
        starts_at=starts_at.replace(tzinfo=ZoneInfo(user.timezone)) if starts_at else described.starts_at,
    )


def _play(journey: Journey, told: Scenario) -> bool:
    """Play one, show it, and tell whether it came out as it expects."""
    played = told.play(journey)
    title = f"[bold]{escape(journey.name)}[/] {escape(told.name)}"
    out.print(title + (f": {escape(told.description)}" if told.description else ""))
    out.print(f"[dim]{who(told.user, played)}[/]\n")
    out.print(timeline(played) + "\n")
    out.print(outcome(played))
    if told.expected is None:
        return True
    wrong = differences(played, told.expected)
    for words in wrong:
        out.print(f"[bold red]Not as expected:[/] {escape(words)}")
    if not wrong:
        out.print("[green]As expected.[/]")
    return not wrong


def _play_all(found: House, journeys: Sequence[Journey]) -> None:
    """Play every rehearsal that there is; what is wrong with one does not hide the others."""
    told = [(journey, name) for journey in journeys for name in scenarios(found.folder / ROOM, journey)]
    failed, expecting = 0, 0
    for journey, name in told:
        try:
            described = scenario(found.folder / ROOM, journey, name)
        except Invalid as invalid:
            out.print(f"[bold red]{escape(str(invalid))}[/]\n")
            failed += 1
            continue
        expecting += described.expected is not None
        failed += not _play(journey, described)
        out.print()
    if failed:
        out.print(f"[bold red]{failed} of {_count(len(told))} did not come out as expected.[/]")
    if found.unread:
        out.print(f"[bold red]Not played: {', '.join(found.unread)} cannot be read.[/] `sojourn check` says why.")
    if failed or found.unread:
        raise typer.Exit(1)
    more = len(told) - expecting
    out.print(f"{_count(expecting)} came out as expected." + (f" {_count(more)} expected nothing: add \\[expect] to them." if more else ""))


def _list_others(found: House, journey: Journey, played: str) -> None:
    others = [name for name in scenarios(found.folder / ROOM, journey) if name != played]
    if not others:
        return
    out.print("\n[dim]Other rehearsals of it, to be played with[/] " + escape(f"sojourn rehearse {journey.name} NAME:"))
    width = max(map(len, others)) + 2
    for name in others:
        out.print(f"  {escape(name):<{width}}[dim]{escape(_description(found, journey, name))}[/]")


def _description(found: House, journey: Journey, name: str) -> str:
    try:
        return scenario(found.folder / ROOM, journey, name).description
    except Invalid:
        return "cannot be read: play it to see why"


def _count(number: int) -> str:
    return f"{number} rehearsal{'' if number == 1 else 's'}"


def _zone(name: str) -> str:
    if name not in available_timezones():
        raise Invalid([Problem("--timezone", "bad_timezone", "write an IANA zone, such as Europe/Berlin")])
    return name


def _happening(words: str) -> Happening:
    match = _EVENT.fullmatch(words.strip())
    if match is None:
        raise Invalid([Problem("--event", "bad_event", _AN_EVENT)])
    return duration(match[1]), match[2], read_json(match[3] or "{}", "event")


def read_json(text: str, option: str) -> dict[str, Any]:
    """Read an option that is a JSON object. Raises Invalid."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise Invalid([Problem(f"--{option}", "bad_json", "properties are a JSON object")]) from error
    if not isinstance(value, dict):
        raise Invalid([Problem(f"--{option}", "bad_json", "properties are a JSON object")])
    return value
