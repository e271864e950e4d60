"""`sojourn check`: everything that is wrong with the house, all at once, for people, editors and CI."""

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Annotated

import orjson
import typer
from rich.markup import escape

from cli import house
from cli.console import out
from cli.findings import Finding
from cli.house import House
from settings import Settings


class Format(StrEnum):
    TEXT = "text"
    GITHUB = "github"
    JSON = "json"


def check(
    form: Annotated[Format, typer.Option("--format", help="text, github (annotations of a pull request) or json")] = Format.TEXT,
) -> None:
    """Check the journeys, segments, sources, campaigns, templates and functions in this folder.

    Nothing needs to run. Exits with 1 when something is wrong.
    """
    found = house.load(Settings().house)
    findings = sorted(found.findings, key=lambda each: (str(each.file), each.line))
    _WRITERS[form](found, findings)
    if found.problems:
        raise typer.Exit(1)


def _text(found: House, findings: Sequence[Finding]) -> None:
    """A line for each, which begins as compilers' do: editors jump to it."""
    for each in findings:
        place, colour = _place(each), "red" if each.severity == "error" else "yellow"
        out.print(
            f"[bold]{escape(each.shown_file)}:{each.line}:[/] [{colour}]{each.severity}:[/] {escape(place)}{escape(each.problem.message)}"
        )
    out.print(_summary(found))


def _github(found: House, findings: Sequence[Finding]) -> None:
    for each in findings:
        title = _property(f"{_place(each).removesuffix(': ') or each.file.name} ({each.problem.code})")
        place = f"file={_property(each.shown_file)},line={each.line},title={title}"
        print(f"::{each.severity} {place}::{_data(each.problem.message)}")  # noqa: T201 - a protocol, not words for a person
    out.print(_summary(found))


def _json(found: House, findings: Sequence[Finding]) -> None:
    report = {
        "ok": not found.problems,
        "journeys": sorted(journey.name for journey in found.journeys.values()),
        "segments": sorted(segment.name for segment in found.segments.values()),
        "sources": sorted(source.name for source in found.sources.values()),
        "campaigns": sorted(campaign.name for campaign in found.campaigns.values()),
        "templates": sorted(found.templates),
        "functions": sorted(found.functions or ()),
        "findings": [_row(each) for each in findings],
    }
    print(orjson.dumps(report, option=orjson.OPT_INDENT_2).decode())  # noqa: T201 - for programs


def _row(finding: Finding) -> Mapping[str, object]:
    return {
        "severity": finding.severity,
        "file": finding.shown_file,
        "line": finding.line,
        "journey": finding.journey,
        "step": finding.step,
        "code": finding.problem.code,
        "message": finding.problem.message,
    }


def _summary(found: House) -> str:
    kinds = ((found.segments, "segment"), (found.sources, "source"), (found.campaigns, "campaign"))
    counted = [_count(len(found.journeys), "journey"), *(_count(len(each), noun) for each, noun in kinds if each)]
    things = f"{', '.join(counted)} and {_count(len(found.templates), 'template')}"
    warned = _count(len(found.warnings), "warning")
    if found.problems:
        errors = f"[bold red]{_count(len(found.problems), 'error')}[/], {warned}"
        return f"{errors}; {things} could be read. Nothing is published until the errors are mended."
    return f"{things} are in order." + (f" {warned}." if found.warnings else "")


def _place(finding: Finding) -> str:
    return f"{finding.problem.pointer}: " if finding.journey is not None else ""


def _data(text: str) -> str:
    """What GitHub reads as a command's message."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


_WRITERS: Mapping[Format, Callable[[House, Sequence[Finding]], None]] = {
    Format.TEXT: _text,
    Format.GITHUB: _github,
    Format.JSON: _json,
}
