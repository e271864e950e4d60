"""Which of a text and a template is sent, and until when a text may be."""

from datetime import UTC, datetime, timedelta

import pytest

from channels.base import Content
from channels.whatsapp.letter import fitting, window_is_open

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
BOTH: dict[str, object] = {"text": "Hello", "template": {"name": "a"}}


@pytest.mark.parametrize(
    ("ago", "expected"),
    [
        (timedelta(0), True),
        (timedelta(hours=23, minutes=58), True),
        (timedelta(hours=23, minutes=59), False),  # a minute is kept for the way
        (timedelta(hours=24), False),
        (timedelta(days=30), False),
    ],
)
def test_the_window_is_open_for_a_day(ago: timedelta, *, expected: bool) -> None:
    assert window_is_open(NOW - ago, NOW) is expected


def test_who_never_wrote_has_no_window() -> None:
    assert not window_is_open(None, NOW)


def left(parts: dict[str, object], *, is_open: bool, channel: str = "whatsapp") -> dict[str, object]:
    return fitting(Content(channel, parts), is_open=is_open).parts


def test_the_text_answers_and_the_template_begins() -> None:
    assert left(BOTH, is_open=True) == {"text": "Hello"}
    assert left(BOTH, is_open=False) == {"template": {"name": "a"}}


@pytest.mark.parametrize("parts", [{"text": "Hello"}, {"template": {"name": "a"}}])
@pytest.mark.parametrize("is_open", [True, False])
def test_what_there_is_alone_stays(parts: dict[str, object], *, is_open: bool) -> None:
    assert left(parts, is_open=is_open) == parts


def test_other_channels_know_no_window() -> None:
    assert left(BOTH, is_open=False, channel="webhook") == BOTH
