"""`sojourn why`: the story of one person, the newest last, in their local time, with what would have to be different."""

import textwrap
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from itertools import groupby
from typing import Annotated, Any

import orjson
import typer
from rich.markup import escape

from cli.client import Client, client
from cli.console import out
from cli.options import Most, segment
from journeys.language.zones import zone_of

WIDTH = 79
INDENT = 9
_COLOURS = {
    "event": "cyan",
    "entered": "bold",
    "not_entered": "yellow",
    "ended": "bold",
    "by_hand": "magenta",
    "consent": "cyan",
    "unclear": "yellow",
}
# How the zone is known, where it is not the person's own.
_KNOWN_BY = {
    "attribute": "",
    "phone": ", as their number tells",
    "location": ", as their country tells",
    "app": ", the app's, for theirs is not known",
    "nothing": ", for no zone is known",
}
_STATES = {"sent": "green", "skipped": "yellow", "rejected": "red", "given_up": "red", "unknown": "red"}


def why(
    user_id: Annotated[str, typer.Argument(help="your own id of the user")],
    journey: Annotated[str | None, typer.Option(help="only what belongs to this journey")] = None,
    step: Annotated[str | None, typer.Option(help="only messages and decisions of this step")] = None,
    most: Most = 50,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="the answer of the API, the newest first")] = False,
) -> None:
    """Tell what happened to a user, why they did, or didn't, get something, and what would have to be different."""
    with client() as sojourn:
        story = _story(sojourn, user_id, most, {"journey": journey, "step": step})
    if as_json:
        out.print_json(orjson.dumps(story).decode())
        return
    for line in lines(story, user_id):
        out.print(line)


def _story(sojourn: Client, user_id: str, most: int, query: dict[str, str | None]) -> Any:
    """The newest `most` items over as many pages as they need; `next` stays set where there are more."""
    path = f"/v1/users/{segment(user_id)}/timeline"
    story = sojourn.get(path, limit=min(most, 200), **query)
    while story["next"] and len(story["items"]) < most:
        page = sojourn.get(path, limit=min(most - len(story["items"]), 200), cursor=story["next"], **query)
        story = {**story, "items": story["items"] + page["items"], "next": page["next"]}
    return story


def lines(story: Any, user_id: str) -> Iterator[str]:
    """The story by days, the oldest first, and what goes on now."""
    zone = zone_of(story["timezone"])
    times = f"times in {story['timezone'] or 'UTC'}{_KNOWN_BY[story['timezone_by']]}"
    yield f"[bold]{escape(story['user_id'] or user_id)}[/]  [dim]{escape(times)}[/]"
    if story["next"]:
        yield "[dim](what was before is left out: --most shows more)[/]"
    told = [(datetime.fromisoformat(item["at"]).astimezone(zone), item) for item in reversed(story["items"])]
    for day, items in groupby(told, key=lambda each: each[0].date()):
        yield from _day(day, list(items))
    if not told:
        yield "nothing has happened to them here: look without --journey and --step"
    for now in story["now"]:
        yield from _now(now, zone)


def _day(day: date, items: Sequence[tuple[datetime, Any]]) -> Iterator[str]:
    yield ""
    yield f"[bold]{day:%A %d %B %Y}[/]"
    for at, item in items:
        fact = item["fact"]
        colour = _COLOURS.get(item["kind"]) or _STATES.get(fact.get("state", ""), "default")
        code = (fact.get("reason") or "").partition(":")[0] if item["kind"] in ("message", "not_entered") else ""
        words = item["words"] + (f" [{code}]" if code and fact.get("state") != "sent" else "")
        yield from _line(f"{at:%H:%M}", words, colour)
        yield from _line("", item["remedy"], "dim", "→ ")


def _now(now: Any, zone: Any) -> Iterator[str]:
    yield ""
    yield f"[bold]Now, in {escape(now['journey'])} (version {now['version']})[/]"
    yield from _line("", now["words"], "green")
    yield from _line("", now["trouble"] or "", "yellow")
    if now["until"] and not now["held_since"]:
        until = datetime.fromisoformat(now["until"]).astimezone(zone)
        yield from _line("", f"until {until:%A %d %B %H:%M}", "default")
    if now["held_since"]:
        held = datetime.fromisoformat(now["held_since"]).astimezone(zone)
        yield from _line("", f"held since {held:%A %d %B %H:%M}, because sending is paused", "yellow")
    yield from _line("", now["remedy"], "dim", "→ ")


def _line(time: str, words: str, colour: str, mark: str = "") -> Iterator[str]:
    """One sentence beside its time, over as many lines as it needs."""
    if not words:
        return
    parts = textwrap.wrap(words, WIDTH - INDENT - len(mark), break_long_words=False, break_on_hyphens=False)
    for place, part in enumerate(parts):
        left = f"  {time:<{INDENT - 2}}" if place == 0 else " " * INDENT
        lead = mark if place == 0 else " " * len(mark)
        yield f"{left}[{colour}]{escape(lead + part)}[/]"
