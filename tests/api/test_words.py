from typing import Any

import pytest

from api.words import moment_words, reason_words

MESSAGE: dict[str, Any] = {
    "channel": "email", "template": "welcome", "state": "sent", "reason": None, "deferred_until": None, "maybe_doubled": False,
    "journey": "onboarding", "step": "welcome",
}  # fmt: skip

LINES: list[tuple[str, dict[str, Any], str]] = [
    ("event", {"name": "signed_up", "is_history": False}, "did signed_up"),
    ("event", {"name": "order_placed", "is_history": True}, "did order_placed (imported history: it starts nothing)"),
    ("entered", {"journey": "onboarding", "version": 2, "event": "signed_up"}, "entered onboarding (version 2) by signed_up"),
    ("ended", {"journey": "onboarding", "reason": "exited: account_closed"},
     "left onboarding because of account_closed"),
    ("ended", {"journey": "onboarding", "reason": "completed"}, "left onboarding: they came to its end"),
    ("not_entered", {"journey": "onboarding", "reason": "no_key"},
     "did not enter onboarding: the event lacked the property that keys this journey"),
    ("step", {"journey": "cart", "step": "has_app", "verdict": {"kind": "decided", "branch": None}},
     "cart: has_app took the otherwise branch"),
    ("step", {"journey": "cart", "step": "has_app", "verdict": {"kind": "decided", "branch": 0}}, "cart: has_app took branch 1"),
    ("message", MESSAGE, 'email "welcome": sent (onboarding: welcome)'),
    ("message", MESSAGE | {"opened_at": "x", "delivered_at": "x"}, 'email "welcome": sent, opened (onboarding: welcome)'),
    ("message", MESSAGE | {"state": "skipped", "reason": "suppressed", "journey": None},
     'email "welcome": not sent, because the address is suppressed: it bounced, complained, or somebody blocked it'),
    ("message", MESSAGE | {"state": "deferred", "reason": "quiet_hours", "deferred_until": "8 o'clock", "journey": None, "template": None},
     "email message: put off, because it was inside the quiet hours, until 8 o'clock"),
    ("message", MESSAGE | {"maybe_doubled": True, "journey": None}, 'email "welcome": sent (it may have come twice)'),
    ("consent", {"channel": "*", "topic": "general", "state": "withdrawn", "source": "unsubscribe"},
     "consent withdrawn for every channel, topic general, by unsubscribe"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "fact", "words"), LINES)
def test_a_line_reads_as_a_sentence(kind: str, fact: dict[str, Any], words: str) -> None:
    assert moment_words(kind, fact) == words


def test_a_reason_that_has_no_sentence_is_still_readable() -> None:
    assert reason_words("left_by_hand") == "left by hand"
