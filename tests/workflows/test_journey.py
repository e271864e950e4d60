"""An enrollment on a real Temporal server under virtual time, with the real ledger."""

from datetime import timedelta

from temporalio.api.enums.v1 import EventType

from journeys.language import Journey, Send, Wait, WaitFor, days, email, event, push, seconds, sms
from journeys.language.codec import to_json
from tests.workflows.stage import Stage

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
