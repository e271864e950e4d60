"""`sojourn check`: everything that is wrong with the house's journeys and templates, with the remedy."""

from cli import house
from cli.console import notes, out
from journeys.language.errors import Invalid
from settings import Settings


def check() -> None:
    """Check the journeys and templates in this folder. Nothing needs to run."""
    found = house.load(Settings().house)
    for warning in found.warnings:
        notes.print(f"[yellow]warning:[/] {warning.pointer}: {warning.message}", soft_wrap=True)
    if found.problems:
        raise Invalid(found.problems)
    out.print(f"{_count(len(found.journeys), 'journey')} and {_count(len(found.templates), 'template')} are in order.")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
