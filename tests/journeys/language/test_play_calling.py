"""Update, Call, Enter and what a Repeat remembers, over the rehearsal's World."""

from typing import Any

from journeys.language import (
    Call,
    Case,
    Enter,
    Exit,
    If,
    Journey,
    Repeat,
    Send,
    Update,
    Wait,
    WaitFor,
    captured,
    days,
    email,
    entry,
    event,
    failed,
    function,
    hours,
    last_did,
    minutes,
    prop,
    rehearse,
    request,
    requested,
    trait,
)
from journeys.language.rehearsal import Person
from journeys.language.steps import AnyStep


def journey(*steps: AnyStep, **fields: Any) -> Journey:
    return Journey("tried", **{"starts_on": event("started"), "steps": list(steps), **fields})


class TestUpdate:
    def test_what_is_set_is_seen_by_later_conditions(self) -> None:
        steps: list[AnyStep] = [
            Update("mark", {"plan": "gold", "seen": entry("total")}),
            If("gold", (trait("plan") == "gold") & (trait("seen") == 7), then=[Send("hello", email("hello"))]),
        ]
        played = rehearse(journey(*steps), entry={"total": 7}, user=Person(attributes={"name": "Ada"}))
        assert played.sent == ["hello"]
        assert played.attributes == {"name": "Ada", "plan": "gold", "seen": 7}

    def test_none_removes_an_attribute_and_an_expression_without_a_value_changes_nothing(self) -> None:
        played = rehearse(journey(Update("clean", {"old": None, "kept": entry("missing")})), user=Person(attributes={"old": 1, "kept": 2}))
        assert played.attributes == {"kept": 2}

    def test_values_are_json_with_expressions_at_any_depth(self) -> None:
        played = rehearse(
            journey(Update("deep", {"last": {"order": entry("id"), "items": [entry("sku"), 2]}})), entry={"id": 9, "sku": "a"}
        )
        assert played.attributes == {"last": {"order": 9, "items": ["a", 2]}}

    def test_an_instant_is_written_as_text(self) -> None:
        played = rehearse(journey(Update("when", {"began": last_did("started")})))
        assert played.attributes == {"began": "2026-03-02T12:00:00+00:00"}


ASK = Call("charge", function("charge_card"), otherwise=[Send("sorry", email("sorry"))])
PAID = If("paid", captured("charge", "status") == "paid", then=[Send("thanks", email("thanks"))])


class TestCall:
    def test_its_result_is_captured(self) -> None:
        assert rehearse(journey(ASK, PAID), calls={"charge": {"status": "paid"}}).sent == ["thanks"]
        assert rehearse(journey(ASK, PAID), calls={"charge": {"status": "declined"}}).sent == []

    def test_without_a_given_result_it_succeeds_and_captures_an_empty_object(self) -> None:
        played = rehearse(journey(ASK, PAID, If("came", captured("charge", "$event").exists(), then=[Exit("out", "called")])))
        assert (played.sent, played.called, played.ended) == ([], ["charge"], "called")

    def test_a_result_that_is_no_object_is_its_value(self) -> None:
        five = If("five", captured("charge", "value") == 5, then=[Send("thanks", email("thanks"))])
        assert rehearse(journey(ASK, five), calls={"charge": 5}).sent == ["thanks"]

    def test_otherwise_runs_when_it_fails_and_nothing_is_captured(self) -> None:
        played = rehearse(journey(ASK, PAID), calls={"charge": failed("declined")})
        assert (played.sent, played.called) == (["sorry"], ["charge"])
        assert "call failed: declined" in played.timeline
        assert rehearse(journey(ASK, PAID), refused=["charge"]).sent == ["sorry"]

    def test_the_name_of_what_was_called_is_its_event(self) -> None:
        asked = Call("ask", request("GET", "https://example.com"))
        named = If("a", (captured("charge", "$event") == "charge_card") & (captured("ask", "$event") == "request"), then=[Exit("x", "yes")])
        assert rehearse(journey(ASK, asked, named)).ended == "yes"

    def test_a_list_of_results_gives_one_to_each_visit_and_the_last_stays(self) -> None:
        tries = Repeat("tries", times=4, until=captured("charge", "status") == "paid", steps=[ASK, Wait("pause", days(1))])
        played = rehearse(journey(tries), calls={"charge": [failed("declined"), {"status": "open"}, {"status": "paid"}]})
        assert played.called == ["charge"] * 3
        assert played.sent == ["sorry"]
        assert rehearse(journey(tries), calls={"charge": [{"status": "open"}]}).called == ["charge"] * 4

    def test_since_a_call_counts_from_where_the_step_began(self) -> None:
        waiting = WaitFor("outcome", event("paid"), since="charge", within=hours(1), otherwise=[Send("late", email("late"))])
        tried = journey(Wait("first", hours(1)), ASK, Wait("then", minutes(10)), Send("told", email("told")), waiting)
        assert rehearse(tried, [(hours(1), "paid")]).sent == ["told"]
        assert rehearse(tried, [(minutes(59), "paid")]).sent == ["told", "late"]


class TestEnter:
    def test_another_journey_is_asked_for_with_its_properties(self) -> None:
        played = rehearse(journey(Enter("go_on", "win-back", {"from": "tried", "total": entry("total")})), entry={"total": 3})
        assert played.entered == [("win-back", {"from": "tried", "total": 3})]
        assert played.ended == "completed"
        assert "asked to enter win-back" in played.timeline

    def test_who_is_asked_for_by_hand_enters_with_properties(self) -> None:
        greeting = If("big", entry("total") > 5, then=[Send("hello", email("hello"))])
        played = rehearse(journey(greeting, starts_on=requested()), entry={"total": 9})
        assert played.sent == ["hello"]
        assert played.lines[0].words == "requested"


class TestWhatARepeatRemembers:
    def test_until_reads_what_the_last_pass_captured(self) -> None:
        """The first pass caught an answer of 3; the second caught nothing, so it is not still 3."""
        asked = Repeat(
            "ask",
            times=3,
            until=(captured("answer", "score") == 3) & (captured("more", "$event") == "more"),
            steps=[
                WaitFor("answer", event("answered"), since="now", within=days(1)),
                WaitFor("more", event("more"), since="now", within=days(1)),
                Send("again", email("again")),
            ],
        )
        played = rehearse(journey(asked), [(hours(1), "answered", {"score": 3}), (days(3), "more")])
        assert played.sent == ["again"] * 3

    def test_a_step_that_the_last_pass_did_not_come_to_has_captured_nothing(self) -> None:
        first_only = If(
            "odd", ~captured("done", "$event").exists(), then=[WaitFor("answer", event("answered"), since="now", within=days(1))]
        )
        asked = Repeat("ask", times=2, steps=[first_only, Call("done", function("note")), Wait("pause", days(1))])
        after = If("answered", captured("answer", "$event").exists(), then=[Exit("x", "remembered")])
        assert rehearse(journey(asked, after), [(hours(1), "answered")]).ended == "completed"

    def test_within_a_pass_the_one_before_can_still_be_read(self) -> None:
        again = If("known", captured("answer", "score") == 3, then=[Send("same", email("same"))])
        asked = Repeat("ask", times=2, steps=[again, WaitFor("answer", event("answered"), since="now", within=days(1))])
        assert rehearse(journey(asked), [(hours(1), "answered", {"score": 3})]).sent == ["same"]

    def test_a_call_that_fails_in_a_later_pass_leaves_no_earlier_result(self) -> None:
        tries = Repeat("tries", times=2, steps=[Call("charge", function("charge_card")), Wait("pause", days(1))])
        played = rehearse(journey(tries, PAID), calls={"charge": [{"status": "paid"}, failed()]})
        assert played.sent == []

    def test_dunning_charges_until_it_is_paid(self) -> None:
        dunning = Repeat(
            "dunning",
            times=4,
            until=captured("outcome", "$event") == "payment_succeeded",
            steps=[
                Call("charge", function("charge_card")),
                WaitFor(
                    "outcome",
                    cases=[
                        Case(event("payment_succeeded"), [Send("paid", email("receipt"))]),
                        Case(event("payment_failed"), [Send("failed", email("payment-failed")), Wait("retry_in", days(3))]),
                    ],
                    within=hours(6),
                    since="charge",
                ),
            ],
        )
        unpaid = If(
            "unpaid",
            ~(captured("outcome", "$event") == "payment_succeeded"),
            then=[Call("suspend", function("suspend_subscription")), Send("suspended", email("suspended"))],
        )
        tried = journey(dunning, unpaid, key=prop("subscription_id"))
        mine = {"subscription_id": "s1"}
        twice = [(hours(1), "payment_failed", mine), (days(3) + hours(2), "payment_succeeded", mine)]
        assert rehearse(tried, twice, entry=mine).sent == ["failed", "paid"]
        never = rehearse(tried, entry=mine)
        assert (never.sent, never.called) == (["suspended"], ["charge"] * 4 + ["suspend"])
