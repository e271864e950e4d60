"""Playing over what is recorded: as a rehearsal where both know the same; the rules of entry, consent, caps and quiet hours."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activities.backtest.play import play_people, play_person
from activities.backtest.setting import Asked, Setting, written
from activities.backtest.tally import bounded, busiest, merge
from activities.backtest.turning import Turning
from activities.backtest.world import Passage, Person, said_by
from journeys.language import (
    ALWAYS,
    Arm,
    Cap,
    If,
    Journey,
    QuietHours,
    Send,
    Split,
    Update,
    Wait,
    WaitFor,
    assign,
    days,
    did,
    did_not,
    email,
    event,
    hours,
    in_segment,
    prop,
    push,
    segment,
    sms,
    trait,
)
from journeys.language.codec import from_json, plain, to_json
from journeys.language.evaluate import holds
from journeys.language.facts import EventFact, Facts
from journeys.language.rehearsal import ENTRY as OWN_APP
from journeys.language.rehearsal import MONDAY_NOON, rehearse
from journeys.language.rehearsal import Person as Rehearsed
from journeys.language.walk import all_steps
from storage.past import Past, PastConsent, PastEndpoint, PastEnrollment, PastEvent, PastMessage
from tests.journeys.journey_strategies import journeys
from tests.journeys.strategies import EVENTS, conditions, dids

UNTIL = MONDAY_NOON + timedelta(days=3650)
ENTRY = "signed_up"
HELLO = Send("hello", email("hello"))
MAIL = PastEndpoint("email", "ann@example.com", is_active=True, confirmed_at=MONDAY_NOON, device={}, suppressed_at=None)


def happened(name: str, after: timedelta = timedelta(0), *, received_after: timedelta | None = None, **properties: Any) -> PastEvent:
    at = MONDAY_NOON + after
    received_at = at if received_after is None else MONDAY_NOON + received_after
    return PastEvent(f"{name} {after}", name, at, properties, int(after.total_seconds()), received_at)


def past(*events: PastEvent, **known: Any) -> Past:
    fields = {"attributes": {}, "timezone": None, "endpoints": (MAIL,), **known}
    return Past(1, "ann", events=tuple(sorted(events, key=lambda each: (each.received_at, each.arrival))), **fields)


def played(journey: Journey, person: Past, **asked: Any) -> list[Passage | str]:
    setting = Setting.of(written(Asked(**{"app": "demo", "definition": to_json(journey).decode(), "until": UNTIL, **asked})))
    return list(play_person(setting, Person.of(person, journey.name)))


def one(journey: Journey, person: Past, **asked: Any) -> Passage:
    [passage] = played(journey, person, **asked)
    assert isinstance(passage, Passage)
    return passage


def sent(passage: Passage) -> list[str]:
    return [step for _, step in passage.sent]


def welcome(*steps: Any, **fields: Any) -> Journey:
    return Journey("welcome", **{"starts_on": event(ENTRY), "steps": list(steps), **fields})


# The same as a rehearsal ----------------------------------------------------------------------------------------------------------------

HAPPENINGS = st.lists(st.tuples(st.integers(1, 40 * 24), st.sampled_from(EVENTS)), max_size=8, unique_by=lambda each: each[0])


@settings(max_examples=40)
@given(journeys(), HAPPENINGS)
def test_any_journey_comes_out_as_in_a_rehearsal(drawn: Journey, happenings: Sequence[tuple[int, str]]) -> None:
    """Who enters is another rule, so the way in is one event without a key. Samples are drawn by the app, and a rehearsal has its own."""
    entry = plain(welcome(HELLO))["starts_on"]
    journey = from_json(json.dumps({**plain(drawn), "starts_on": entry, "key": None, "again_after": None, "holdout": 0}))
    arms = {step.id: assign.arm(step, OWN_APP, journey.name, "ann").name for step in all_steps(journey.steps) if isinstance(step, Split)}
    told = rehearse(journey, [(hours(after), name) for after, name in happenings], user=Rehearsed(user_id="ann"), arms=arms)
    events = [happened(ENTRY), *(happened(name, timedelta(hours=after)) for after, name in happenings)]
    passage = one(journey, past(*events), as_if_reachable=True, app=OWN_APP)
    assert (sent(passage), passage.ended) == (told.sent, told.ended)


# Who enters -----------------------------------------------------------------------------------------------------------------------------


def test_entries_follow_the_rules_of_re_entry() -> None:
    events = [happened(ENTRY, timedelta(days=day)) for day in (0, 1, 3, 9)]
    journey = welcome(Wait("two_days", days(2)), again_after=days(7))
    came = played(journey, past(*events))
    assert [each if isinstance(each, str) else each.ended for each in came] == ["completed", "already_in", "not_again_yet", "completed"]
    assert played(welcome(HELLO), past(*events))[1:] == ["not_again"] * 3


def test_each_key_has_its_own_enrollment_and_an_event_without_it_starts_nothing() -> None:
    keyed_by: list[dict[str, Any]] = [{"id": "a"}, {"id": "b"}, {}]
    events = [happened("order_placed", timedelta(days=day), **keyed) for day, keyed in enumerate(keyed_by)]
    journey = Journey("order", starts_on=event("order_placed"), key=prop("id"), steps=[HELLO])
    assert [each if isinstance(each, str) else each.ended for each in played(journey, past(*events))] == [
        "completed",
        "completed",
        "no_key",
    ]


def test_an_event_that_ends_and_starts_ends_first() -> None:
    journey = welcome(Wait("week", days(7)), HELLO, exits_on=event(ENTRY), again_after=ALWAYS)
    came = played(journey, past(happened(ENTRY), happened(ENTRY, timedelta(days=3))))
    assert [each if isinstance(each, str) else each.ended for each in came] == [f"exited: {ENTRY}", "completed"]


def test_an_event_that_came_too_late_starts_nothing_and_one_that_came_late_starts_then() -> None:
    assert played(welcome(HELLO), past(happened(ENTRY, received_after=timedelta(hours=25)))) == ["too_late"]
    passage = one(welcome(HELLO), past(happened(ENTRY, received_after=timedelta(hours=3))))
    assert passage.sent == [(MONDAY_NOON + timedelta(hours=3), "hello")]


def test_who_had_entered_before_the_time_that_is_played_counts_as_such() -> None:
    before = (PastEnrollment("", MONDAY_NOON - timedelta(days=1), None),)
    assert played(welcome(HELLO, again_after=ALWAYS), past(happened(ENTRY), enrollments=before), since=MONDAY_NOON) == ["already_in"]


def test_only_the_given_time_is_played_and_who_is_inside_at_its_end_is_told() -> None:
    journey = welcome(HELLO, Wait("week", days(7)), Send("more", email("more")), again_after=ALWAYS)
    events = [happened(ENTRY, timedelta(days=day)) for day in (0, 10, 20)]
    passage = one(journey, past(*events), since=MONDAY_NOON + timedelta(days=5), until=MONDAY_NOON + timedelta(days=12))
    assert (sent(passage), passage.ended) == (["hello"], None)


def test_the_holdout_enters_and_gets_nothing() -> None:
    passage = one(welcome(HELLO, holdout=99.99), past(happened(ENTRY)))
    assert (passage.is_held_out, passage.sent) == (True, [])


def test_who_is_held_out_of_the_app_enters_no_marketing_journey() -> None:
    settings = {"holdout": {"percent": 99.99}}
    assert played(welcome(HELLO), past(happened(ENTRY)), settings=settings) == ["app_holdout"]
    assert sent(one(welcome(HELLO, message_class="transactional"), past(happened(ENTRY)), settings=settings)) == ["hello"]
    assert sent(one(welcome(HELLO), past(happened(ENTRY)), settings={"holdout": {"percent": 0.01}})) == ["hello"]


# Entering a condition -------------------------------------------------------------------------------------------------------------------

LAPSED = Journey("lapsed", starts_on=segment("gone"), again_after=ALWAYS, steps=[HELLO])


def test_people_enter_each_time_the_condition_begins_to_hold() -> None:
    orders = [happened("order_placed", timedelta(days=day)) for day in (0, 5, 30)]
    came = played(LAPSED, past(*orders), entering=did("order_placed") & did_not("order_placed", last=days(10)))
    tick = timedelta(microseconds=1)
    assert [each.entry.occurred_at - MONDAY_NOON for each in came if isinstance(each, Passage)] == [
        timedelta(days=15) + tick,
        timedelta(days=40) + tick,
    ]
    assert [each.entry.name for each in came if isinstance(each, Passage)] == ["segment_entered"] * 2


def test_who_meets_the_condition_already_does_not_enter() -> None:
    assert played(LAPSED, past(happened("order_placed")), entering=did("order_placed"), since=MONDAY_NOON + timedelta(days=1)) == []


@settings(max_examples=100)
@given(dids() | conditions(), st.lists(st.tuples(st.integers(0, 200), st.sampled_from(EVENTS)), min_size=1, max_size=4), st.data())
def test_between_its_turning_moments_no_condition_changes(condition: Any, came: list[tuple[int, str]], data: st.DataObject) -> None:
    events = tuple(EventFact(f"e{n}", name, MONDAY_NOON + timedelta(hours=after)) for n, (after, name) in enumerate(came))
    facts = Facts(events=events, attributes={"renews_on": "2026-03-09"})
    moments = Turning.of(condition).moments(facts)
    at = data.draw(st.sampled_from([MONDAY_NOON, *moments])) + timedelta(seconds=30)
    earlier = [moment for moment in moments if moment <= at]
    assert holds(condition, facts, at) == holds(condition, facts, max(earlier, default=datetime.min.replace(tzinfo=UTC)))


# What is sent ---------------------------------------------------------------------------------------------------------------------------


def test_who_has_no_address_gets_nothing_and_otherwise_runs() -> None:
    passage = one(welcome(Send("app", push("hello"), otherwise=[HELLO])), past(happened(ENTRY)))
    assert (sent(passage), passage.skipped) == (["hello"], [("app", "no_endpoint")])


def test_a_suppressed_address_counts_from_when_it_was() -> None:
    bounced = PastEndpoint("email", "a@example.com", True, MONDAY_NOON, {}, MONDAY_NOON + timedelta(days=1))
    passage = one(welcome(HELLO, Wait("two", days(2)), Send("more", email("x"))), past(happened(ENTRY), endpoints=(bounced,)))
    assert (sent(passage), passage.skipped) == (["hello"], [("more", "suppressed")])


def consent(state: bool, after: float, *, channel: str = "email", topic: str = "general", order: int = 1) -> PastConsent:
    return PastConsent(channel, topic, state, order, MONDAY_NOON + timedelta(days=after))


def test_consent_is_that_of_the_moment() -> None:
    said = (consent(True, 0), consent(False, 1, order=2))
    passage = one(welcome(HELLO, Wait("two", days(2)), Send("more", email("x"))), past(happened(ENTRY), consents=said))
    assert (sent(passage), passage.skipped) == (["hello"], [("more", "unsubscribed")])


def test_before_the_first_word_that_is_recorded_the_first_one_holds() -> None:
    assert [each.is_granted for each in said_by((consent(True, 5),), MONDAY_NOON)] == [True]
    sms_agreed = (consent(True, 5, channel="sms", topic="*"),)
    phone = PastEndpoint("sms", "+4915112345678", True, MONDAY_NOON, {}, None)
    assert sent(one(welcome(Send("text", sms("hello"))), past(happened(ENTRY), endpoints=(phone,), consents=sms_agreed))) == ["text"]


def test_everybody_is_reachable_where_that_is_asked_for() -> None:
    refused = (consent(False, 0, channel="*", topic="*"),)
    passage = one(welcome(Send("text", sms("hello"))), past(happened(ENTRY), endpoints=(), consents=refused), as_if_reachable=True)
    assert sent(passage) == ["text"]


def test_quiet_hours_put_off_on_the_persons_own_clock() -> None:
    journey = welcome(HELLO, quiet_hours=QuietHours("12:00", "15:00", then="wait"))
    berlin = one(journey, past(happened(ENTRY), timezone="Europe/Berlin"))
    assert (berlin.sent, berlin.deferred) == ([(MONDAY_NOON + timedelta(hours=2), "hello")], ["hello"])


def test_caps_count_what_would_have_been_sent_and_what_others_sent_then() -> None:
    journey = welcome(HELLO, Wait("day", days(1)), Send("more", email("x")), caps=[Cap(1, per=days(7))])
    assert one(journey, past(happened(ENTRY))).skipped == [("more", "capped")]

    def message(of: str) -> PastMessage:
        at = MONDAY_NOON - timedelta(days=1)
        return PastMessage("s", "x", None, of, "email", "marketing", "general", at, at, None, None, None)

    assert one(journey, past(happened(ENTRY), messages=(message("other"),))).skipped == [("hello", "capped"), ("more", "capped")]
    # What this journey itself sent then is what is being played.
    assert sent(one(journey, past(happened(ENTRY), messages=(message("welcome"),)))) == ["hello"]


def test_the_apps_own_defaults_hold_where_the_journey_has_none() -> None:
    quiet = {"quiet_hours": {"start": "11:00", "end": "13:00", "then": "skip"}}
    assert one(welcome(HELLO), past(happened(ENTRY)), settings=quiet).skipped == [("hello", "quiet_hours")]


def test_an_update_counts_for_what_follows() -> None:
    journey = welcome(Update("set", {"plan": "pro"}), If("pro", trait("plan") == "pro", then=[HELLO]))
    assert sent(one(journey, past(happened(ENTRY)))) == ["hello"]


# Counting -------------------------------------------------------------------------------------------------------------------------------


def test_people_are_counted_by_day_step_arm_and_goal() -> None:
    split = Split("offer", arms=[Arm("a", 100, [HELLO]), Arm("b", 0, [])])
    journey = welcome(split, goal=event("order_placed").within(days(14)))
    asked = written(Asked(app="demo", definition=to_json(journey).decode(), until=UNTIL))
    buyer = past(happened(ENTRY), happened("order_placed", timedelta(days=14)))
    late = past(happened(ENTRY), happened("order_placed", timedelta(days=14, seconds=1)))
    tally = play_people(asked, [buyer, late, past()])
    assert tally == {
        "people": 3,
        "events": 4,
        "people_entered": 2,
        "entered": 2,
        "entered_on": {"2026-03-02": 2},
        "ended": {"completed": 2},
        "sent": 2,
        "sent_on": {"2026-03-02": {"hello": 2}},
        "steps": {"hello": {"sent": 2}},
        "minutes": {"2026-03-02T12:00": 2},
        "arms": {"offer": {"a": {"entered": 2, "sent": 2, "converted": 1, "not_converted": 1}}},
        "goal": {"treated": {"converted": 1, "not_converted": 1}},
    }


def test_tallies_are_added_up() -> None:
    assert merge({"a": 1, "b": {"x": 1}}, {"a": 2, "b": {"y": 1}, "c": 3}) == {"a": 3, "b": {"x": 1, "y": 1}, "c": 3}


def test_the_busiest_minute_is_the_earliest_of_the_fullest() -> None:
    assert busiest({"2026-01-02T00:00": 2, "2026-01-01T00:00": 2, "2026-01-03T00:00": 1}) == {
        "at": "2026-01-01T00:00:00Z",
        "sent": 2,
        "is_exact": True,
    }
    assert busiest({}) is None


def test_minutes_are_bounded_by_dropping_those_with_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("activities.backtest.tally.MINUTES_KEPT", 2)
    assert bounded({"a": 1, "b": 3, "c": 2}) == {"b": 3, "c": 2}


def test_what_is_taken_for_granted_is_said() -> None:
    def assumed(journey: Journey, **asked: Any) -> list[str]:
        return Setting.of(written(Asked(app="demo", definition=to_json(journey).decode(), until=UNTIL, **asked))).assumed()

    asking = If("any", (trait("plan") == "pro") | in_segment("vip"), then=[HELLO])
    assert assumed(welcome(asking)) == [
        "addresses are those of today; consents are those of then",
        "attributes are those of today",
        "nobody is in a segment",
    ]
    assert assumed(welcome(WaitFor("bought", event("order_placed"), within=days(1)))) == []
