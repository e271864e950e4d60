"""in_app.toml: what its author is told, and that check and sending read the same rules."""

from typing import Any

import pytest
from pydantic import ValidationError

from channels.in_app.content import assembled, length_of, sources
from channels.in_app.parts import InAppParts

FULL: dict[str, Any] = {
    "title": "Hi {{ user.name }}",
    "body": "Look",
    "url": "app://orders",
    "image": "https://cdn.example/a.png",
    "buttons": [{"text": "Go", "url": "https://shop.example/"}, {"text": "Not now"}],
    "data": {"colour": "red"},
    "placement": "banner",
    "inbox": True,
    "priority": 3,
    "expires": "1d 12h",
    "caps": {"daily": 1, "session": 1, "total": 3},
    "display": {"event": "cart_viewed", "screen": "cart", "attributes": {"plan": ["free"], "age": [18, 19], "is_new": [True]}},
}
# Each wrong for the author of a template, and for a direct send.
WRONG: list[dict[str, Any]] = [
    {"body": None},
    {"body": 1},
    {"title": ["a"]},
    {"colour": "red"},
    {"buttons": [{"text": "a"}] * 3},
    {"buttons": [{"url": "https://shop.example/"}]},
    {"buttons": [{"text": "a", "colour": "red"}]},
    {"data": {"a": 1}},
    {"data": {str(n): "x" for n in range(21)}},
    {"placement": "hologram"},
    {"inbox": "yes"},
    {"priority": 0},
    {"priority": 101},
    {"priority": "1"},
    {"priority": True},
    {"expires": "0d"},
    {"expires": "367d"},
    {"expires": "soon"},
    {"expires": 5},
    {"caps": {"total": 0}},
    {"caps": {"daily": 101}},
    {"caps": {"hourly": 1}},
    {"display": {"event": ""}},
    {"display": {"attributes": {"plan": "free"}}},
    {"display": {"attributes": {"plan": []}}},
    {"display": {"weather": "sun"}},
]


def test_what_is_taken_apart_comes_together_again() -> None:
    assert assembled(dict(sources(FULL))) == FULL
    assert assembled(dict(sources({"body": "x"}))) == {"body": "x"}
    assert InAppParts.model_validate(FULL).model_dump(exclude_none=True) == FULL


@pytest.mark.parametrize("change", WRONG, ids=str)
def test_check_and_sending_refuse_the_same(change: dict[str, Any]) -> None:
    table = {name: value for name, value in {"body": "x", **change}.items() if value is not None}
    with pytest.raises(ValueError, match=next(iter(change))):
        list(sources(table))
    with pytest.raises(ValidationError):
        InAppParts.model_validate(table, strict=True)


def test_conditions_hold_no_expressions() -> None:
    for setting in ({"display": {"event": "{{ user.event }}"}}, {"display": {"attributes": {"plan": ["{% if 1 %}"]}}}):
        with pytest.raises(ValueError, match="hold no expressions"):
            list(sources({"body": "x", **setting}))


@pytest.mark.parametrize(
    "link", ["javascript:alert(1)", "JAVASCRIPT:x", "data:text/html,x", "vbscript:x", "/here", "shop.example", "https://a b", "a:\nb"]
)
def test_a_link_that_a_page_would_run_is_none(link: str) -> None:
    for content in ({"body": "x", "url": link}, {"body": "x", "buttons": [{"text": "a", "url": link}]}):
        with pytest.raises(ValidationError):
            InAppParts.model_validate(content)


def test_a_link_that_was_filled_in_as_nothing_is_left_out() -> None:
    parts = {"body": "x", "url": "", "buttons.0.text": "Go", "buttons.0.url": ""}
    assert assembled(parts) == {"body": "x", "buttons": [{"text": "Go"}]}


@pytest.mark.parametrize(("text", "seconds"), [("30d", 2_592_000), ("1d 12h", 129_600), ("2w", 1_209_600), ("5m", 300)])
def test_lengths_of_time_are_written_as_in_rehearsals(text: str, seconds: int) -> None:
    assert length_of(text).total_seconds() == seconds
