"""The interpreter, over the rehearsal's World: which events count, what ends, what comes next."""

from datetime import UTC, datetime
from typing import Any

from journeys.language import (
    ALWAYS,
    Arm,
    Cap,
    Case,
    Exit,
    If,
    Journey,
    QuietHours,
    Repeat,
    Send,
    Split,
    Switch,
    Wait,
    WaitFor,
    at,
    captured,
    days,
    did,
    email,
    entry,
    event,
    has,
    hours,
    minutes,
    prop,
    push,
    rehearse,
    trait,
)
from journeys.language.rehearsal import ANYBODY, MONDAY_NOON, Person
from journeys.language.steps import AnyStep


def journey(*steps: AnyStep, **fields: Any) -> Journey:
    return Journey("tried", **{"starts_on": event("started"), "steps": list(steps), **fields})


BOUGHT = WaitFor(
    "bought", event("order_placed"), within=days(3), then=[Send("thanks", email("thanks"))], otherwise=[Send("offer", email("offer"))]
)


class TestWaitFor:
    def test_a_purchase_during_the_wait_completes_it(self) -> None:
        assert rehearse(journey(BOUGHT), [(days(1), "order_placed")]).sent == ["thanks"]

    def test_a_purchase_before_the_wait_completes_it_at_once(self) -> None:
        played = rehearse(journey(Wait("first", days(2)), BOUGHT), [(days(1), "order_placed")])
        assert played.sent == ["thanks"]
        assert played.lines[-1].at == MONDAY_NOON + days(2).timedelta

    def test_a_purchase_after_the_wait_comes_too_late(self) -> None:
        assert rehearse(journey(BOUGHT), [(days(4), "order_placed")]).sent == ["offer"]

    def test_events_count_from_the_last_send_unless_told_otherwise(self) -> None:
        steps: list[AnyStep] = [Wait("first", days(2)), Send("welcome", email("welcome")), BOUGHT]
        assert rehearse(journey(*steps), [(days(1), "order_placed")]).sent == ["welcome", "offer"]

    def test_since_entry_counts_what_came_before_the_last_send(self) -> None:
        waiting = WaitFor("bought", event("order_placed"), within=days(3), since="entry", otherwise=[Send("offer", email("offer"))])
        assert rehearse(journey(Wait("first", days(2)), Send("welcome", email("welcome")), waiting), [(days(1), "order_placed")]).sent == [
            "welcome"
        ]

    def test_since_now_counts_only_what_comes_from_then_on(self) -> None:
        waiting = WaitFor("bought", event("order_placed"), within=days(3), since="now", otherwise=[Send("offer", email("offer"))])
        assert rehearse(journey(Wait("first", days(2)), waiting), [(days(1), "order_placed")]).sent == ["offer"]

    def test_since_a_step_counts_from_the_event_that_it_caught(self) -> None:
        first = WaitFor("browsed", event("product_viewed"), within=days(5))
        second = WaitFor("bought", event("order_placed"), since="browsed", within=hours(1), otherwise=[Send("offer", email("offer"))])
        late = [(hours(1), "order_placed"), (hours(2), "product_viewed")]
        assert rehearse(journey(first, second), late).sent == ["offer"]
        assert rehearse(journey(first, second), [*late, (hours(2.5), "order_placed")]).sent == []

    def test_an_event_is_applied_once(self) -> None:
        again = WaitFor("again", event("order_placed"), since="entry", within=days(1), otherwise=[Send("offer", email("offer"))])
        first = WaitFor("bought", event("order_placed"), since="entry", within=days(1))
        assert rehearse(journey(first, again), [(hours(1), "order_placed")]).sent == ["offer"]
        assert rehearse(journey(first, again), [(hours(1), "order_placed"), (hours(1), "order_placed")]).sent == []

    def test_each_case_has_its_branch_and_the_name_is_captured(self) -> None:
        waiting = WaitFor(
            "outcome",
            cases=[Case(event("paid"), [Send("receipt", email("r"))]), Case(event("failed"), [Send("sorry", email("s"))])],
            within=days(1),
        )
        ending = If("failed", captured("outcome", "$event") == "failed", then=[Exit("done", "failed")])
        assert rehearse(journey(waiting, ending), [(hours(1), "failed")]).ended == "failed"
        assert rehearse(journey(waiting, ending), [(hours(1), "paid")]).sent == ["receipt"]
        assert rehearse(journey(waiting, ending)).sent == []

    def test_until_a_missing_moment_takes_otherwise_at_once(self) -> None:
        waiting = WaitFor("seen", event("seen"), until=entry("starts_at"), otherwise=[Send("offer", email("offer"))])
        played = rehearse(journey(waiting))
        assert played.sent == ["offer"]
        assert played.lines[-1].at == MONDAY_NOON

    def test_many_events_of_a_name_do_not_hide_the_one_that_counts(self) -> None:
        steps: list[AnyStep] = [
            Wait("first", days(1)),
            WaitFor("big", event("paid").where(prop("total") > 100), since="entry", within=days(1), otherwise=[Send("no", email("no"))]),
        ]
        small = [(minutes(n), "paid", {"total": 1}) for n in range(1, 60)]
        assert rehearse(journey(*steps), [*small, (hours(2), "paid", {"total": 500})]).sent == []


class TestWait:
    def test_an_event_starts_it_over_and_is_captured(self) -> None:
        steps: list[AnyStep] = [
            Wait("quiet", hours(1), reset_by=event("cart_updated")),
            If("big", captured("quiet", "total") > 50, then=[Send("nudge", email("nudge"))]),
        ]
        played = rehearse(
            journey(*steps),
            [(minutes(30), "cart_updated", {"total": 10}), (minutes(80), "cart_updated", {"total": 60})],
            entry={"total": 1},
        )
        assert played.sent == ["nudge"]
        assert played.lines[-1].at == MONDAY_NOON + minutes(140).timedelta

    def test_without_a_reset_the_entry_event_is_captured(self) -> None:
        steps: list[AnyStep] = [
            Wait("quiet", hours(1), reset_by=event("cart_updated")),
            If("big", captured("quiet", "total") > 50, then=[Send("nudge", email("nudge"))]),
        ]
        assert rehearse(journey(*steps), entry={"total": 60}).sent == ["nudge"]

    def test_a_moment_that_has_passed_takes_if_past(self) -> None:
        waiting = Wait(
            "before", until=entry("starts_at") - hours(24), then=[Send("tomorrow", email("t"))], if_past=[Send("today", email("t"))]
        )
        assert rehearse(journey(waiting), entry={"starts_at": "2026-03-02T18:00:00Z"}).sent == ["today"]
        assert rehearse(journey(waiting), entry={"starts_at": "2026-03-09T18:00:00Z"}).sent == ["tomorrow"]
        assert rehearse(journey(waiting), entry={"starts_at": "soon"}).sent == []

    def test_nine_in_the_morning_is_the_persons_morning(self) -> None:
        played = rehearse(journey(Wait("morning", until=at("09:00")), Send("hello", email("h"))), user=Person(timezone="America/New_York"))
        assert played.lines[-1].at == datetime(2026, 3, 2, 14, 0, tzinfo=UTC)


class TestEnding:
    def test_an_exit_event_ends_a_wait(self) -> None:
        played = rehearse(journey(Wait("long", days(9)), Send("late", email("l")), exits_on=event("closed")), [(days(1), "closed")])
        assert (played.sent, played.ended) == ([], "exited: closed")

    def test_an_exit_condition_is_read_before_each_step(self) -> None:
        steps: list[AnyStep] = [Wait("long", days(9)), Send("late", email("l"))]
        played = rehearse(journey(*steps, exits_on=did("order_placed")), [(days(1), "order_placed")])
        assert (played.sent, played.ended) == ([], "exited: condition")

    def test_only_events_of_the_same_key_end_it(self) -> None:
        tried = journey(Wait("long", days(9)), Send("late", email("l")), key=prop("order_id"), exits_on=event("cancelled"))
        assert rehearse(tried, [(days(1), "cancelled", {"order_id": "b"})], entry={"order_id": "a"}).sent == ["late"]
        assert rehearse(tried, [(days(1), "cancelled", {"order_id": "a"})], entry={"order_id": "a"}).sent == []

    def test_nobody_stays_longer_than_ends_after(self) -> None:
        long = Repeat("long", times=5, steps=[Wait("some", days(2))])
        played = rehearse(journey(long, Send("late", email("l")), ends_after=days(5)))
        assert (played.sent, played.ended, played.lines[-1].at) == ([], "ends_after", MONDAY_NOON + days(5).timedelta)

    def test_exit_leaves_from_inside_a_branch(self) -> None:
        played = rehearse(journey(If("app", has("push"), then=[Exit("enough", "has the app")]), Send("late", email("l"))))
        assert (played.sent, played.ended) == ([], "has the app")


class TestBranches:
    def test_after_a_branch_the_next_line_of_the_parent_runs(self) -> None:
        steps: list[AnyStep] = [
            If("app", has("push"), then=[Send("p", push("p"))], otherwise=[Send("m", email("m"))]),
            Send("end", email("e")),
        ]
        assert rehearse(journey(*steps)).sent == ["p", "end"]
        assert rehearse(journey(*steps), user=Person(channels=("email",))).sent == ["m", "end"]

    def test_a_switch_takes_the_first_case_that_holds(self) -> None:
        step = Switch(
            "plan",
            cases=[Case(trait("plan") == "gold", [Send("g", email("g"))]), Case(trait("plan").exists(), [Send("o", email("o"))])],
            otherwise=[Send("n", email("n"))],
        )
        assert rehearse(journey(step), user=Person(attributes={"plan": "gold"})).sent == ["g"]
        assert rehearse(journey(step), user=Person(attributes={"plan": "free"})).sent == ["o"]
        assert rehearse(journey(step)).sent == ["n"]

    def test_an_arm_can_be_forced_and_is_sticky_otherwise(self) -> None:
        split = Split("offer", arms=[Arm("a", 50, [Send("a", email("a"))]), Arm("b", 50, [Send("b", email("b"))])])
        assert rehearse(journey(split), arms={"offer": "a"}).sent == ["a"]
        assert rehearse(journey(split), arms={"offer": "b"}).sent == ["b"]
        assert rehearse(journey(split)).sent == rehearse(journey(split)).sent

    def test_a_repeat_ends_with_its_condition_or_its_count(self) -> None:
        ask = Repeat("ask", times=3, until=did("answered"), steps=[Send("question", email("q")), Wait("think", days(2))])
        assert rehearse(journey(ask)).sent == ["question"] * 3
        assert rehearse(journey(ask), [(days(1), "answered")]).sent == ["question"]


class TestSending:
    def test_otherwise_runs_when_nothing_went_out(self) -> None:
        step = Send("guide", push("guide"), otherwise=[Send("guide_mail", email("guide"))])
        assert rehearse(journey(step)).sent == ["guide"]
        assert rehearse(journey(step), user=Person(channels=("email",))).sent == ["guide_mail"]
        assert rehearse(journey(step), refused=["guide"]).skipped == [("guide", "rejected")]

    def test_quiet_hours_defer_and_an_exit_meanwhile_wins(self) -> None:
        tried = journey(Send("hello", email("h")), quiet_hours=QuietHours("11:00", "14:00"), exits_on=event("closed"))
        assert rehearse(tried).lines[-1].at == MONDAY_NOON + hours(2).timedelta
        assert rehearse(tried).sent == ["hello"]
        assert rehearse(tried, [(hours(1), "closed")]).sent == []

    def test_quiet_hours_can_skip_and_caps_do(self) -> None:
        assert rehearse(journey(Send("hello", email("h")), quiet_hours=QuietHours("11:00", "14:00", then="skip"))).skipped == [
            ("hello", "quiet_hours")
        ]
        capped = journey(Send("one", email("a")), Send("two", email("b")), caps=[Cap(1, per=days(1))])
        assert (rehearse(capped).sent, rehearse(capped).skipped) == (["one"], [("two", "capped")])

    def test_a_transactional_message_goes_out_in_quiet_hours(self) -> None:
        tried = journey(Send("code", email("c")), quiet_hours=QuietHours("11:00", "14:00"), message_class="transactional")
        assert rehearse(tried).lines[-1].at == MONDAY_NOON

    def test_the_timeline_reads_in_local_time(self) -> None:
        told = rehearse(journey(Send("hello", email("hello")), again_after=ALWAYS), user=Person(timezone="Asia/Tokyo"))
        assert "Mon 2026-03-02 21:00  hello: email hello sent" in told.timeline
        assert rehearse(journey(Send("hello", email("hello"))), user=ANYBODY).sent == ["hello"]


class TestEntering:
    BY_EITHER = journey(
        If("moved", entry("$event") == "moved", then=[Send("new_time", email("n"))], otherwise=[Send("time", email("t"))]),
        starts_on=event("booked") | event("moved"),
    )

    def test_the_first_way_in_is_taken_unless_another_is_named(self) -> None:
        assert rehearse(self.BY_EITHER).sent == ["time"]
        assert rehearse(self.BY_EITHER, entered_by="moved").sent == ["new_time"]
