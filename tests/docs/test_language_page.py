"""The page of the language names all that authors can write."""

from dataclasses import fields
from pathlib import Path

import pytest

import journeys.language
from journeys.language import Journey

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "reference" / "language.md").read_text()


@pytest.mark.parametrize("name", journeys.language.__all__)
def test_every_word_of_an_author_is_documented(name: str) -> None:
    assert f"`{name}" in PAGE or f"{name}(" in PAGE or f"={name}" in PAGE, f"docs/reference/language.md does not mention {name}"


@pytest.mark.parametrize("field", [each.name for each in fields(Journey) if each.name not in ("kind", "steps")])
def test_every_field_of_a_journey_is_documented(field: str) -> None:
    assert f"`{field}`" in PAGE
