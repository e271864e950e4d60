"""What the language promises of keys, entries, moments and branches, sentence by sentence."""

from typing import Any

import pytest

from journeys.language import (
    ALWAYS,
    Case,
    Exit,
    If,
    Journey,
    Repeat,
    Send,
    Wait,
    WaitFor,
    at,
    best_time,
    captured,
    days,
    did,
    email,
    entry,
    event,
    hours,
    last_did,
    minutes,
    prop,
    rehearse,
    trait,
)
from journeys.language.rehearsal import MONDAY_NOON, Person
from journeys.language.steps import AnyStep

HELLO, THEN, PAST, OTHER = (Send(name, email(name)) for name in ("hello", "then", "past", "other"))


def journey(*steps: AnyStep, **fields: Any) -> Journey:
    return Journey("tried", **{"starts_on": event("started"), "steps": list(steps), **fields})


class TestKeys:
    MINE, OTHERS = {"order": "a"}, {"order": "b"}

    def test_only_events_of_the_same_key_complete_a_wait_unless_it_says_any_key(self) -> None:
        own = WaitFor("w", event("paid"), within=days(1), otherwise=[OTHER])
        anybodys = WaitFor("w", event("paid").any_key(), within=days(1), otherwise=[OTHER])
        coming = [(hours(1), "paid", self.OTHERS)]
        assert rehearse(journey(own, key=prop("order")), coming, entry=self.MINE).sent == ["other"]
        assert rehearse(journey(anybodys, key=prop("order")), coming, entry=self.MINE).sent == []

    def test_any_key_ends_it_and_needs_no_key_at_all(self) -> None:
        tried = journey(Wait("long", days(3)), HELLO, key=prop("order"), exits_on=event("blocked").any_key())
        assert rehearse(tried, [(days(1), "blocked")], entry=self.MINE).ended == "exited: blocked"
        strict = journey(Wait("long", days(3)), HELLO, key=prop("order"), exits_on=event("blocked"))
        assert rehearse(strict, [(days(1), "blocked")], entry=self.MINE).sent == ["hello"]

    def test_a_number_and_its_text_are_different_keys(self) -> None:
        tried = journey(Wait("long", days(3)), HELLO, key=prop("order"), exits_on=event("closed"))
        assert rehearse(tried, [(days(1), "closed", {"order": "7"})], entry={"order": 7}).sent == ["hello"]
        assert rehearse(tried, [(days(1), "closed", {"order": 7.0})], entry={"order": 7}).sent == []

    def test_only_events_of_the_same_key_start_a_wait_over(self) -> None:
        quiet = Wait("quiet", hours(1), reset_by=event("updated"))
        tried = journey(quiet, HELLO, key=prop("order"))
        assert rehearse(tried, [(minutes(30), "updated", self.OTHERS)], entry=self.MINE).lines[-1].at == MONDAY_NOON + hours(1).timedelta
        assert rehearse(tried, [(minutes(30), "updated", self.MINE)], entry=self.MINE).lines[-1].at == MONDAY_NOON + minutes(90).timedelta


class TestEntries:
    def test_the_name_of_the_event_that_let_them_in_can_be_read(self) -> None:
        named = If("moved", entry("$event") == "appointment_moved", then=[Send("moved_mail", email("m"))], otherwise=[HELLO])
        either = event("appointment_booked") | event("appointment_moved")
        assert rehearse(journey(named, starts_on=either)).sent == ["hello"]

    def test_the_entry_event_itself_neither_ends_nor_completes_anything(self) -> None:
        waits = WaitFor("again", event("started"), since="entry", within=days(1), otherwise=[OTHER])
        tried = journey(waits, exits_on=event("started").where(prop("x") == 1), again_after=ALWAYS)
        assert rehearse(tried, entry={"x": 1}).sent == ["other"]

    def test_an_event_that_also_starts_it_ends_the_one_before(self) -> None:
        tried = journey(Wait("long", days(3)), HELLO, starts_on=event("booked") | event("moved"), exits_on=event("moved"))
        assert rehearse(tried, [(days(1), "moved")]).ended == "exited: moved"


class TestMoments:
    SOON, PASSED = "2026-03-09T12:00:00Z", "2026-03-01T12:00:00Z"

    @pytest.mark.parametrize(
        ("starts_at", "sent"), [(SOON, ["then", "hello"]), (PASSED, ["past", "hello"]), ("soon", ["hello"]), (None, ["hello"])]
    )
    def test_a_wait_goes_on_with_then_if_past_or_neither(self, starts_at: str | None, sent: list[str]) -> None:
        waiting = Wait("w", until=entry("starts_at"), then=[THEN], if_past=[PAST])
        assert rehearse(journey(waiting, HELLO), entry={"starts_at": starts_at}).sent == sent

    @pytest.mark.parametrize("starts_at", [PASSED, "soon"])
    def test_a_wait_for_until_a_moment_that_has_passed_or_is_missing_takes_otherwise(self, starts_at: str) -> None:
        waiting = WaitFor("w", event("seen"), until=entry("starts_at"), then=[THEN], otherwise=[OTHER])
        assert rehearse(journey(waiting), entry={"starts_at": starts_at}).sent == ["other"]

    def test_a_wait_for_whose_moment_has_passed_still_counts_what_is_known(self) -> None:
        waiting = WaitFor("w", event("seen"), since="entry", until=entry("starts_at"), then=[THEN], otherwise=[OTHER])
        tried = journey(Wait("first", days(1)), waiting)
        assert rehearse(tried, [(hours(1), "seen")], entry={"starts_at": self.PASSED}).sent == ["then"]

    def test_nothing_happens_for_a_missing_moment_even_in_if_past(self) -> None:
        played = rehearse(journey(Wait("w", until=trait("renews_on") - days(7), then=[THEN], if_past=[PAST])))
        assert (played.sent, played.ended) == ([], "completed")

    def test_the_best_time_is_now_until_it_is_known_and_that_is_not_past(self) -> None:
        played = rehearse(journey(Wait("best", until=best_time(within=hours(24)), then=[THEN], if_past=[PAST])))
        assert played.sent == ["then"]
        assert played.lines[-1].at == MONDAY_NOON

    def test_a_wait_until_nine_is_never_past(self) -> None:
        noon_in_utc = Person(timezone="UTC")
        played = rehearse(journey(Wait("w", until=at("12:00"), then=[THEN], if_past=[PAST])), user=noon_in_utc)
        assert (played.sent, played.lines[-1].at) == (["then"], MONDAY_NOON + days(1).timedelta)

    def test_a_moment_may_be_what_somebody_did_last(self) -> None:
        waiting = Wait("w", until=last_did("started") + days(2), then=[THEN])
        assert rehearse(journey(waiting)).lines[-1].at == MONDAY_NOON + days(2).timedelta

    def test_a_moment_is_computed_again_when_the_wait_starts_over(self) -> None:
        waiting = Wait("w", until=captured("w", "at"), reset_by=event("moved"), then=[THEN])
        played = rehearse(journey(waiting), [(hours(1), "moved", {"at": "2026-03-05T12:00:00Z"})], entry={"at": "2026-03-03T12:00:00Z"})
        assert played.lines[-1].at == MONDAY_NOON + days(3).timedelta


class TestWhatIsCaptured:
    def test_a_wait_has_captured_the_last_event_that_reset_it_else_the_entry_event(self) -> None:
        quiet = Wait("quiet", hours(1), reset_by=event("updated"))
        told = [
            If(name, captured("quiet", "total") == total, then=[Exit(f"x{total}", name)])
            for name, total in (("one", 1), ("two", 2), ("nine", 9))
        ]
        updates = [(minutes(10), "updated", {"total": 1}), (minutes(20), "updated", {"total": 2})]
        assert rehearse(journey(quiet, *told), updates, entry={"total": 9}).ended == "two"
        assert rehearse(journey(quiet, *told), entry={"total": 9}).ended == "nine"

    def test_in_a_later_pass_a_wait_that_nothing_reset_has_captured_the_entry_event_again(self) -> None:
        quiet = Wait("quiet", hours(1), reset_by=event("updated"))
        twice = Repeat("twice", [quiet, Send("told", email("told")), Wait("pause", days(1))], times=2)
        entered = If("entered", captured("quiet", "total") == 9, then=[Exit("x", "the entry event")])
        assert rehearse(journey(twice, entered), [(minutes(10), "updated", {"total": 1})], entry={"total": 9}).ended == "the entry event"

    def test_of_two_cases_that_fit_the_first_in_the_journey_runs(self) -> None:
        cases = [Case(event("paid").where(prop("total") > 5), [THEN]), Case(event("paid"), [OTHER])]
        waiting = WaitFor("w", cases=cases, within=days(1))
        assert rehearse(journey(waiting), [(hours(1), "paid", {"total": 9})]).sent == ["then"]
        assert rehearse(journey(waiting), [(hours(1), "paid", {"total": 1})]).sent == ["other"]

    def test_of_two_events_known_already_the_one_that_occurred_first_counts(self) -> None:
        waiting = WaitFor("w", cases=[Case(event("b"), [OTHER]), Case(event("a"), [THEN])], since="entry", within=days(1))
        assert rehearse(journey(Wait("first", days(1)), waiting), [(hours(2), "b"), (hours(1), "a")]).sent == ["then"]


class TestRepeat:
    def test_until_is_read_before_the_first_pass(self) -> None:
        assert rehearse(journey(Wait("first", days(1)), Repeat("r", [HELLO], times=3, until=did("done"))), [(hours(1), "done")]).sent == []

    def test_exit_inside_a_pass_leaves_the_journey(self) -> None:
        played = rehearse(
            journey(Repeat("r", [HELLO, If("known", trait("plan").exists(), then=[Exit("x", "enough")])], times=3), OTHER),
            user=Person(attributes={"plan": 1}),
        )
        assert (played.sent, played.ended) == (["hello"], "enough")

    def test_a_repeat_in_a_repeat_counts_its_own_passes(self) -> None:
        inner = Repeat("inner", [HELLO], times=2)
        assert rehearse(journey(Repeat("outer", [inner, OTHER], times=2))).sent == ["hello", "hello", "other"] * 2
