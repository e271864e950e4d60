"""An enrollment on a real Temporal server under virtual time, with the real ledger."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHandle
from temporalio.service import RPCError

from activities.messages import Messages
from activities.orders import SendOrder, SendVerdict
from activities.questions import Decision
from activities.steps import Steps
from journeys.language import (
    If,
    Journey,
    QuietHours,
    Send,
    Wait,
    WaitFor,
    days,
    email,
    event,
    has,
    hours,
    in_segment,
    prop,
    push,
    seconds,
    sms,
)
from journeys.language.codec import condition_hash, condition_to_json, to_json
from journeys.language.errors import Unavailable
from journeys.language.facts import EventFact
from journeys.language.segments import mentions
from storage import segments
from tests.workflows.stage import Stage
from workflows.inputs import Standing

ONBOARDING = Journey(
    "onboarding",
    starts_on=event("signed_up"),
    exits_on=event("account_closed"),
    message_class="transactional",
    steps=[
        Send("welcome", email("welcome")),
        Wait("settle_in", days(1)),
        Send("guide", push("guide")),
        WaitFor("bought", event("order_placed"), within=days(7), otherwise=[Send("coupon", sms("coupon"))]),
    ],
)


async def begin(scene: Stage) -> None:
    await scene.publish(ONBOARDING)
    await scene.publish_template("welcome", "guide", "coupon")
    await scene.person()
    await scene.track("signed_up")


async def test_somebody_who_does_nothing_gets_everything(scene: Stage) -> None:
    await begin(scene)
    handle = await scene.workflow("onboarding")
    await scene.pass_time(handle, timedelta(days=2))
    assert await scene.sent() == ["welcome", "guide"]
    await scene.pass_time(handle, timedelta(days=8))
    assert await scene.finished(handle) == "completed"
    assert await scene.sent() == ["welcome", "guide", "coupon"]
    assert await scene.enrollments() == [("closed", "completed")]


async def test_a_purchase_within_the_week_saves_the_coupon(scene: Stage) -> None:
    await begin(scene)
    handle = await scene.workflow("onboarding")
    now = await scene.pass_time(handle, timedelta(days=3))
    await scene.track("order_placed", occurred_at=now)
    assert await scene.finished(handle) == "completed"
    assert await scene.sent() == ["welcome", "guide"]


async def test_an_exit_event_ends_the_wait_and_frees_the_place(scene: Stage) -> None:
    await begin(scene)
    handle = await scene.workflow("onboarding")
    await eventually(scene, ["welcome"])
    await scene.track("account_closed")
    assert await scene.finished(handle) == "exited: account_closed"
    assert await scene.enrollments() == [("closed", "exited: account_closed")]


async def test_an_exit_that_is_committed_but_not_yet_signalled_stops_the_next_send(scene: Stage) -> None:
    await begin(scene)
    handle = await scene.workflow("onboarding")
    await eventually(scene, ["welcome"])
    await scene.accept(scene.item("account_closed"))
    await scene.pass_time(handle, timedelta(days=2))
    assert await scene.finished(handle) == "exited"
    assert await scene.sent() == ["welcome"]


async def test_a_wait_can_be_cut_short_by_hand(scene: Stage) -> None:
    await begin(scene)
    handle = await scene.workflow("onboarding")
    await eventually(scene, ["welcome"])
    await handle.signal("advance")
    await eventually(scene, ["welcome", "guide"])
    await handle.signal("advance")
    assert await scene.finished(handle) == "completed"
    assert await scene.sent() == ["welcome", "guide", "coupon"]


async def test_where_somebody_stands_can_be_asked(scene: Stage) -> None:
    await begin(scene)
    handle = await scene.workflow("onboarding")
    await eventually(scene, ["welcome"])
    standing = await handle.query("standing", result_type=Standing)
    assert standing.step == "settle_in"
    assert standing.words.startswith("wait 1 day: settle_in (until ")


async def test_a_provider_that_is_down_is_waited_for_and_seen_to_be(scene: Stage) -> None:
    mail = scene.answers("email", "not_sent", "not_sent", "ok")
    await begin(scene)
    handle = await scene.workflow("onboarding")
    pending = await pending_activity(handle)
    assert pending.activity_type.name == "email"
    await eventually(scene, ["welcome"])
    assert len(mail.taken) == 1
    await scene.pass_time(handle, timedelta(days=9))
    assert await scene.finished(handle) == "completed"
    assert await scene.sent() == ["welcome", "guide", "coupon"]


async def test_an_exit_cancels_a_send_that_waits_for_its_provider(scene: Stage) -> None:
    scene.answers("email", "not_sent")
    await begin(scene)
    handle = await scene.workflow("onboarding")
    await pending_activity(handle)
    await scene.track("account_closed")
    assert await scene.finished(handle) == "exited: account_closed"
    assert await scene.sent() == []
    assert await scene.execute("SELECT state, reason FROM messages") == [("skipped", "exited")]


async def test_after_72_hours_a_send_is_given_up_and_the_journey_goes_on(scene: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("activities.steps.FIRST_RETRY", timedelta(hours=5))
    scene.answers("email", "not_sent")
    journey = Journey("patient", starts_on=event("signed_up"), steps=[Send("welcome", email("welcome"), otherwise=[Send("p", push("p"))])])
    await scene.publish(journey)
    await scene.publish_template("welcome", "p")
    await scene.person()
    await scene.track("signed_up")
    handle = await scene.workflow("patient")
    await pending_activity(handle)
    await scene.pass_time(handle, timedelta(hours=80))
    assert await scene.finished(handle) == "completed"
    assert await scene.sent() == ["p"]
    assert await scene.execute("SELECT state, reason FROM messages WHERE step = 'welcome'") == [("skipped", "gave_up")]


async def test_quiet_hours_are_a_timer_and_an_exit_wins_over_it(scene: Stage) -> None:
    now = datetime.now(UTC)
    quiet = QuietHours(f"{now - timedelta(hours=1):%H:%M}", f"{now + timedelta(hours=2):%H:%M}")
    fields: Any = {"starts_on": event("signed_up"), "exits_on": event("account_closed"), "quiet_hours": quiet}
    await scene.publish(Journey("quiet", steps=[Send("hello", email("hello"))], **fields))
    await scene.publish_template("hello")
    await scene.person()
    await scene.track("signed_up")
    handle = await scene.workflow("quiet")
    await standing_at(handle, "put off: hello, because it was inside the quiet hours")
    assert await scene.execute("SELECT state, reason FROM messages") == [("deferred", "quiet_hours")]
    await scene.track("account_closed")
    assert await scene.finished(handle) == "exited: account_closed"
    assert await scene.sent() == []


async def test_a_paused_journey_holds_its_people_and_lets_them_go_on(scene: Stage) -> None:
    await scene.execute("UPDATE apps SET paused_at = now()")
    await begin(scene)
    handle = await scene.workflow("onboarding")
    await standing_at(handle, "held: welcome, because sending is paused")
    await scene.execute("UPDATE apps SET paused_at = NULL")
    await scene.pass_time(handle, timedelta(hours=10))
    await eventually(scene, ["welcome"])


async def test_an_event_during_the_last_send_loses_its_result_but_the_message_goes_out_once(scene: Stage) -> None:
    mail = scene.answers("email", "hang")
    journey = Journey(
        "hasty",
        starts_on=event("signed_up"),
        exits_on=event("closed").where(prop("really") == "yes"),
        steps=[Send("hello", email("hello"))],
    )
    await scene.publish(journey)
    await scene.publish_template("hello")
    await scene.person()
    await scene.track("signed_up")
    handle = await scene.workflow("hasty")
    await mail.called.wait()
    await handle.signal("event", EventFact("late", "closed", datetime.now(UTC), {"really": "no"}))
    mail.released.set()
    assert await scene.finished(handle) == "completed"
    history = await handle.fetch_history()
    failed = [each for each in history.events if each.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED]
    assert len(failed) == 1, "the signal should have cost the first task its markers"
    assert len(mail.taken) == 1
    assert await scene.enrollments() == [("closed", "completed")]


async def test_a_verdict_is_written_once_whatever_changes_afterwards(scene: Stage) -> None:
    journey = Journey(
        "branch", starts_on=event("signed_up"), steps=[If("app", has("push"), then=[Send("a", push("a"))], otherwise=[Wait("b", days(1))])]
    )
    await scene.publish(journey)
    await scene.publish_template("a")
    await scene.person()
    await scene.track("signed_up")
    handle = await scene.workflow("branch")
    assert await scene.finished(handle) == "completed"
    enrollment = (await scene.execute("SELECT id FROM enrollments"))[0].id
    await scene.execute("UPDATE endpoints SET state = 'inactive'")
    decision = Decision("demo", str(enrollment), "app", 1, (has("push"),))
    assert await Steps(scene.database).decide(decision) == 0


async def test_a_journey_asks_for_a_segment_as_it_is_live_at_that_moment(scene: Stage) -> None:
    asked = If("golden", in_segment("golden"), then=[Send("a", push("a"))])
    await scene.publish(Journey("asks", starts_on=event("signed_up"), exits_on=~in_segment("golden"), steps=[asked]))
    await scene.publish_template("a")
    await scene.person()
    async with scene.database.transaction() as connection:
        condition = has("push")
        written = condition_to_json(condition).decode()
        await segments.publish(connection, "demo", "golden", written, condition_hash(condition), mentions(condition))
    await scene.track("signed_up")
    assert await scene.finished(await scene.workflow("asks")) == "completed"
    assert await scene.sent() == ["a"]
    enrollment = (await scene.execute("SELECT id FROM enrollments"))[0].id
    async with scene.database.transaction() as connection:
        await segments.publish(connection, "demo", "golden", condition_to_json(~condition).decode(), "other", mentions(~condition))
    assert await Steps(scene.database).decide(Decision("demo", str(enrollment), "later", 1, (in_segment("golden"), has("push")))) == 1


async def test_a_long_history_is_continued_as_new_with_its_deadline_and_what_it_has_seen(
    scene: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workflows.inputs.LONG_HISTORY", 30)
    journey = Journey(
        "long",
        starts_on=event("started"),
        steps=[
            Wait("quiet", hours(1)),
            WaitFor("bought", event("paid").where(prop("total") > 5), within=days(2), otherwise=[Send("sorry", email("sorry"))]),
            Send("thanks", email("thanks")),
        ],
    )
    await scene.publish(journey)
    await scene.publish_template("thanks", "sorry")
    await scene.person()
    await scene.track("started")
    handle = await scene.workflow("long")
    await standing_at(handle, "wait 1 hour")
    began = (await handle.query("standing", result_type=Standing)).until
    first_run = (await handle.describe()).run_id
    now = await scene.pass_time(handle, timedelta(minutes=30))
    await handle.signal("event", EventFact("enough", "paid", now, {"total": 9}))
    for number in range(40):
        await handle.signal("event", EventFact(f"small {number}", "paid", now + timedelta(seconds=number), {"total": 1}))
    await standing_at(handle, "wait 1 hour")
    assert (await handle.describe()).run_id != first_run
    assert (await asked(handle)).until == began, "the deadline is absolute"
    await scene.pass_time(handle, timedelta(hours=2))
    assert await scene.finished(handle) == "completed"
    assert await scene.sent() == ["thanks"], "an event from before counts after"


async def test_an_event_that_is_signalled_twice_is_applied_once(scene: Stage) -> None:
    twice = [
        WaitFor("first", event("seen"), since="entry", within=days(1)),
        WaitFor("second", event("seen"), since="entry", within=days(1), otherwise=[Send("hello", email("hello"))]),
    ]
    await scene.publish(Journey("twice", starts_on=event("started"), steps=twice))
    await scene.publish_template("hello")
    await scene.person()
    await scene.track("started")
    handle = await scene.workflow("twice")
    seen = EventFact("the same", "seen", datetime.now(UTC))
    for _ in range(3):
        await handle.signal("event", seen)
    await standing_at(handle, "wait for seen, 1 day at most: second")
    await scene.pass_time(handle, timedelta(days=2))
    assert await scene.finished(handle) == "completed"
    assert await scene.sent() == ["hello"]


SHORT = Journey(
    "reference",
    starts_on=event("signed_up"),
    message_class="transactional",
    steps=[
        Send("welcome", email("welcome")),
        Wait("settle_in", seconds(1)),
        Send("guide", push("guide")),
        WaitFor("bought", event("order_placed"), within=seconds(1), otherwise=[Send("coupon", sms("coupon"))]),
    ],
)


async def test_the_reference_journey_costs_at_most_20_events_3_tasks_and_no_ordinary_activity(scene: Stage) -> None:
    await scene.publish(SHORT)
    await scene.publish_template("welcome", "guide", "coupon")
    await scene.person()
    await scene.track("signed_up")
    handle = await scene.workflow("reference")
    assert await scene.finished(handle) == "completed"
    history = await handle.fetch_history()
    types = [EventType.Name(each.event_type) for each in history.events]
    counted = {
        "events": len(types),
        "tasks": types.count("EVENT_TYPE_WORKFLOW_TASK_COMPLETED"),
        "activities": types.count("EVENT_TYPE_ACTIVITY_TASK_SCHEDULED"),
        "bytes": sum(each.ByteSize() for each in history.events) - len(to_json(SHORT)),
    }
    assert counted["events"] <= 20, types
    assert (counted["tasks"], counted["activities"]) == (3, 0)
    assert counted["bytes"] <= 4096, counted
    assert await scene.sent() == ["welcome", "guide", "coupon"]


async def eventually(scene: Stage, sent: list[str]) -> None:
    for _ in range(200):
        if await scene.sent() == sent:
            return
        await asyncio.sleep(0.05)
    assert await scene.sent() == sent


async def until(holds: Any) -> None:
    for _ in range(200):
        if holds():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it did not come to that")


async def asked(handle: WorkflowHandle[Any, Any]) -> Standing:
    """Ask where somebody stands; a run that has just begun cannot be asked yet."""
    for _ in range(200):
        with suppress(RPCError):
            standing: Standing = await handle.query("standing", result_type=Standing)
            return standing
        await asyncio.sleep(0.05)
    raise AssertionError("the workflow does not answer")


async def standing_at(handle: WorkflowHandle[Any, Any], words: str) -> None:
    found = ""
    for _ in range(100):
        found = (await asked(handle)).words
        if found.startswith(words):
            return
        await asyncio.sleep(0.05)
    assert found == words


async def pending_activity(handle: WorkflowHandle[Any, Any]) -> Any:
    for _ in range(100):
        found = (await handle.describe()).raw_description.pending_activities
        if found and found[0].last_failure.message:
            return found[0]
        await asyncio.sleep(0.05)
    raise AssertionError("no activity is pending")


async def test_a_database_that_is_away_during_the_local_try_is_waited_for(scene: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seen in a kill run: what a local activity raises comes to the workflow bare, and the workflow failed of it."""
    deliver, away = Messages.deliver, [Unavailable("the database does not answer")]

    async def deliver_later(messages: Messages, order: SendOrder) -> SendVerdict:
        if away:
            raise away.pop()
        return await deliver(messages, order)

    monkeypatch.setattr(Messages, "deliver", deliver_later)
    await scene.publish(Journey("one-mail", starts_on=event("signed_up"), message_class="transactional", steps=[Send("hi", email("hi"))]))
    await scene.publish_template("hi")
    await scene.person()
    await scene.track("signed_up")
    assert await scene.finished(await scene.workflow("one-mail")) == "completed"
    assert await scene.sent() == ["hi"]
