"""`sojourn rehearse`: plays a journey on a fake clock and says what would be sent."""

import re
from typing import Annotated, Any

import orjson
import typer
from rich.markup import escape

from cli import house
from cli.console import out
from journeys.language import days, hours, minutes, seconds, weeks
from journeys.language.durations import Duration
from journeys.language.errors import Invalid, Problem
from journeys.language.rehearse import rehearse as play
from settings import Settings

_EVENT = re.compile(r"(\d+(?:\.\d+)?)(w|d|h|m|s) (\S+)(?: (\{.*\}))?")
_UNITS = {"w": weeks, "d": days, "h": hours, "m": minutes, "s": seconds}


def rehearse(
    journey: Annotated[str, typer.Argument(help="the journey's name, or its file's")],
    event: Annotated[list[str] | None, typer.Option(help="after entry: '2d product_viewed' or '3h paid {\"total\": 20}'")] = None,
    entry: Annotated[str, typer.Option(help="the entry event's properties as JSON")] = "{}",
    arm: Annotated[list[str] | None, typer.Option(help="forces an arm: offer=discount")] = None,
    refused: Annotated[list[str] | None, typer.Option(help="a Send that the provider rejects")] = None,
) -> None:
    """Play a journey for somebody with every channel and every consent. Nothing leaves, and nothing needs to run."""
    arms = dict(each.partition("=")[::2] for each in arm or ())
    happenings = [_happening(words) for words in event or ()]
    played = play(
        house.load(Settings().house).journey(journey), happenings, entry=read_json(entry, "entry"), arms=arms, refused=refused or ()
    )
    out.print(escape(played.timeline))
    out.print(escape(f"Sent: {', '.join(played.sent) or 'nothing'}. Ended: {played.ended}."))
    for step, reason in played.skipped:
        out.print(escape(f"Not sent: {step} ({reason})."))


def _happening(words: str) -> tuple[Duration, str, dict[str, Any]]:
    match = _EVENT.fullmatch(words.strip())
    if match is None:
        raise Invalid([Problem("--event", "bad_event", "write it as '2d product_viewed' or '3h paid {\"total\": 20}' (w, d, h, m, s)")])
    return _UNITS[match[2]](float(match[1])), match[3], read_json(match[4] or "{}", "event")


def read_json(text: str, option: str) -> dict[str, Any]:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise Invalid([Problem(f"--{option}", "bad_json", "properties are a JSON object")]) from error
    if not isinstance(value, dict):
        raise Invalid([Problem(f"--{option}", "bad_json", "properties are a JSON object")])
    return value
