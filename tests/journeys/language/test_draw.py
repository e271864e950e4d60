"""The drawing: every step once, every way on, and a sentence above."""

import re

import pytest
from hypothesis import given, settings

from journeys import cart_recovery, onboarding, order_status
from journeys.catalogue import JOURNEYS
from journeys.language import ALWAYS, Exit, If, Journey, Send, Wait, days, email, entry, event, has, prop
from journeys.language.draw import drawing
from journeys.language.walk import all_steps
from tests.journeys.journey_strategies import journeys


def test_the_sentence_says_entry_exits_goal_and_re_entry() -> None:
    assert drawing(onboarding.journey).sentence.splitlines() == [
        "onboarding: starts on signed_up; each user once in a lifetime.",
        "Ends on account_closed, or 540 days after it began.",
        "Its goal is order_placed within 2 weeks of entry.",
    ]
    assert drawing(cart_recovery.journey).sentence.splitlines() == [
        "cart-recovery: starts on cart_updated (total is at least 20); each user again 7 days after the last start.",
        "Ends on order_placed or cart_updated (total is below 20), or 540 days after it began.",
        "10 percent get nothing and are only measured.",
    ]
    assert "One at a time for each order_id of a user." in drawing(order_status.journey).sentence


def test_the_mermaid_text_of_onboarding() -> None:
    text = onboarding.journey.draw()
    assert text.startswith(
        'flowchart TD\n    above["onboarding: starts on signed_up; each user once in a lifetime.<br/>Ends on account_closed, or '
    )
    assert "    above ~~~ n0\n" in text
    assert '    n3["<b>guide</b><br/>push: app-guide"]\n' in text
    assert '    n3 -->|"nothing sent"| n4\n' in text
    assert '    n6 -->|"timeout"| n7\n' in text


def test_words_cannot_break_out_of_their_box() -> None:
    hostile = 'a"]; click n0 "javascript:1" <b>#|'
    journey = Journey("drawn", starts_on=event(hostile).where(prop("n") == hostile), steps=[Exit("out", hostile)])
    assert all(line.count('"') in (0, 2) for line in journey.draw().splitlines())
    assert 'click n0 "' not in journey.draw()


def test_after_an_exit_no_arrow_leads_on() -> None:
    journey = Journey("ends", starts_on=event("x"), again_after=ALWAYS, steps=[If("i", has("push"), then=[Exit("out", "done")])])
    assert [(arrow.origin, arrow.target) for arrow in drawing(journey).arrows] == [("$start", "i"), ("i", "out"), ("i", "$end")]


def test_a_moment_that_is_past_skips_what_follows_the_wait() -> None:
    journey = Journey(
        "waits",
        starts_on=event("x"),
        steps=[Wait("w", until=entry("starts_at") - days(1), then=[Send("tomorrow", email("tomorrow"))])],
    )
    assert ("w", "$end", "already past") in [(arrow.origin, arrow.target, arrow.words) for arrow in drawing(journey).arrows]


@pytest.mark.parametrize("journey", JOURNEYS, ids=lambda journey: journey.name)
def test_every_real_journey_is_drawn_with_each_step_once(journey: Journey) -> None:
    ids = [box.id for box in drawing(journey).boxes]
    assert ids == ["$start", *(step.id for step in all_steps(journey.steps)), "$end"]


@settings(max_examples=50)
@given(journeys())
def test_every_box_of_any_journey_is_reached_and_every_line_is_mermaid(journey: Journey) -> None:
    drawn = drawing(journey)
    targets = {arrow.target for arrow in drawn.arrows}
    assert {box.id for box in drawn.boxes} - targets <= {"$start", "$end"}
    box = r'    n\d+(\(\["[^"]*"\]\)|\["[^"]*"\]|\{\{"[^"]*"\}\})'
    arrow = r'    n\d+ -->(\|"[^"]*"\|)? n\d+'
    above = r'flowchart TD|    above\["[^"]*"\]:::above|    classDef above fill:none,stroke:none|    above ~~~ n0'
    for line in journey.draw().splitlines():
        assert re.fullmatch(f"{above}|{box}|{arrow}", line), line
