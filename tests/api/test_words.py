from typing import Any

import pytest

from api.words import moment_words, reason_words, remedy_words
from journeys.language import Case, If, Switch, trait

MESSAGE: dict[str, Any] = {
    "channel": "email", "template": "welcome", "state": "sent", "reason": None, "deferred_until": None, "maybe_doubled": False,
    "journey": "onboarding", "step": "welcome",
}  # fmt: skip

LINES: list[tuple[str, dict[str, Any], str]] = [
    ("event", {"name": "signed_up", "is_history": False}, "did signed_up"),
    ("event", {"name": "identified", "is_history": False}, "was identified"),
    ("event", {"name": "order_placed", "is_history": True}, "did order_placed (imported history: it starts nothing)"),
    ("event", {"name": "segment_left", "is_history": False, "properties": {"segment": "lapsed"}}, "went out of the segment lapsed"),
    ("entered", {"journey": "onboarding", "version": 2, "event": "signed_up"}, "entered onboarding (version 2) by signed_up"),
    ("entered", {"journey": "cart", "version": 2, "event": "cart_updated", "end_reason": "holdout"},
     "held out of cart (entry by cart_updated): some get nothing and are measured, and this is one of them"),
    ("ended", {"journey": "onboarding", "reason": "exited: account_closed"},
     "left onboarding because of account_closed"),
    ("ended", {"journey": "onboarding", "reason": "exited: condition"}, "left onboarding: a condition that ends it came to hold"),
    ("step", {"journey": "cart", "step": "charge", "verdict": {"kind": "called", "status": "failed", "reason": "gave_up"}},
     "cart: charge: called, failed: it could not be done for 72 hours"),
    ("step", {"journey": "cart", "step": "mark", "verdict": {"kind": "updated", "attributes": ["plan", "vip"]}},
     "cart: mark: set plan, vip"),
    ("step", {"journey": "cart", "step": "next", "verdict": {"kind": "asked_to_enter", "journey": "win-back"}},
     "cart: next: asked that they enter win-back"),
    ("by_hand", {"journey": "cart", "kind": "advance", "outcome": "done", "detail": {}, "done_by": "support"},
     "cart: let go on before its time (by support)"),
    ("ended", {"journey": "onboarding", "reason": "completed"}, "left onboarding: they came to its end"),
    ("not_entered", {"journey": "onboarding", "reason": "no_key"},
     "did not enter onboarding: the event lacked the property that keys this journey"),
    ("step", {"journey": "cart", "step": "has_app", "verdict": {"kind": "decided", "branch": None}},
     "cart: has_app: took the otherwise branch"),
    ("step", {"journey": "cart", "step": "has_app", "verdict": {"kind": "decided", "branch": 0}}, "cart: has_app: took branch 1"),
    ("message", MESSAGE, 'email "welcome": sent (onboarding: welcome)'),
    ("message", MESSAGE | {"opened_at": "x", "delivered_at": "x"}, 'email "welcome": sent, opened (onboarding: welcome)'),
    ("message", MESSAGE | {"state": "skipped", "reason": "suppressed", "journey": None},
     'email "welcome": not sent, because the address is suppressed: it bounced, complained, or somebody blocked it'),
    ("message", MESSAGE | {"state": "planned", "reason": "not_sent", "tries": 3, "provider": "smtp", "answer": "421 busy", "journey": None},
     'email "welcome": tried 3 times, and will be again, because the provider did not take it; smtp said: 421 busy'),
    ("message", MESSAGE | {"state": "deferred", "reason": "quiet_hours", "journey": None, "template": None,
                          "deferred_until": "2026-11-24T07:00:00+00:00"},
     "email message: put off, because it was inside the quiet hours, until Tue 24 Nov 07:00 (UTC)"),
    ("message", MESSAGE | {"maybe_doubled": True, "journey": None}, 'email "welcome": sent (it may have come twice)'),
    ("message", MESSAGE | {"channel": "sms", "units": 2, "price": "0.1450", "currency": "EUR", "journey": None},
     'sms "welcome": sent (2 segments, 0.145 EUR)'),
    ("message", MESSAGE | {"channel": "sms", "units": 1, "price": None, "currency": None, "journey": None}, 'sms "welcome": sent'),
    ("message", MESSAGE | {"channel": "voice", "units": 1, "price": "10", "currency": "JPY", "journey": None},
     'voice "welcome": sent (10 JPY)'),
    ("message", MESSAGE | {"channel": "whatsapp", "state": "skipped", "reason": "window_closed", "journey": None},
     'whatsapp "welcome": not sent, because they did not write on WhatsApp within the last 24 hours, and a free text only answers'),
    ("consent", {"channel": "*", "topic": "general", "state": "withdrawn", "source": "unsubscribe"},
     "consent withdrawn for every channel, topic general, by unsubscribe"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "fact", "words"), LINES)
def test_a_line_reads_as_a_sentence(kind: str, fact: dict[str, Any], words: str) -> None:
    assert moment_words(kind, fact) == words


def test_a_reason_that_has_no_sentence_is_still_readable() -> None:
    assert reason_words("left_by_hand") == "left by hand"


def test_a_decision_is_told_with_its_question() -> None:
    fact = {"journey": "cart", "step": "ask", "verdict": {"kind": "decided", "branch": 0}}
    gold = trait("plan") == "gold"
    assert moment_words("step", fact, step=If("ask", gold)) == "cart: ask: the user's plan is gold? yes"
    other = {**fact, "verdict": {"kind": "decided", "branch": None}}
    assert moment_words("step", other, step=If("ask", gold)) == "cart: ask: the user's plan is gold? no"
    assert moment_words("step", fact, step=Switch("ask", cases=[Case(gold, [])])).endswith(
        "the user's plan is gold: yes, the first of its cases"
    )
    assert moment_words("step", other, step=Switch("ask", cases=[Case(gold, [])])) == "cart: ask: none of its cases holds: otherwise"


def test_what_is_put_off_is_told_in_local_time() -> None:
    fact = MESSAGE | {"state": "deferred", "reason": "quiet_hours", "deferred_until": "2026-11-24T07:00:00+00:00"}
    assert "until Tue 24 Nov 08:00" in moment_words("message", fact, timezone="Europe/Berlin")


def test_a_remedy_names_what_it_is_about() -> None:
    skipped = MESSAGE | {"state": "skipped", "reason": "no_endpoint", "channel": "push"}
    assert remedy_words("message", skipped, "ann") == "add one with POST /v1/users/ann/endpoints, or give the Send an `otherwise`"
    assert remedy_words("message", MESSAGE, "ann") == ""
    refused = {"journey": "cart", "reason": "not_again"}
    assert remedy_words("not_entered", refused, "ann") == "set `again_after` of cart to let people enter again"
