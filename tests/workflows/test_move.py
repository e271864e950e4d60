"""People inside a journey are moved to another version: where they wait, once, whatever happens meanwhile."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from temporalio.client import WorkflowContinuedAsNewError, WorkflowHandle

from activities.move_orders import MOVABLE, MOVE, Movable, MoveOrder, MoveWanted
from activities.moves import Moves
from journeys.language import Journey, Send, Wait, WaitFor, days, email, event, push, sms
from journeys.language.facts import EventFact
from journeys.language.steps import AnyStep
from tests.workflows.stage import Stage

WELCOME, GUIDE, COUPON = Send("welcome", email("welcome")), Send("guide", push("guide")), Send("coupon", sms("coupon"))


def version(*steps: AnyStep, **fields: Any) -> Journey:
    return Journey("tour", **{"starts_on": event("signed_up"), "steps": list(steps), "message_class": "transactional", **fields})


FIRST = version(WELCOME, Wait("settle_in", days(1)), GUIDE)
SECOND = version(Send("new", email("welcome")), Wait("settle_in", days(1)), COUPON, GUIDE)
LISTENING = version(WELCOME, WaitFor("bought", event("order_placed"), within=days(3), otherwise=[COUPON]))


async def begin(scene: Stage, *later: Journey, first: Journey = FIRST) -> WorkflowHandle[Any, Any]:
    """Ann waits in version 1; the others are published after it."""
    await scene.publish(first)
    await scene.publish_template("welcome", "guide", "coupon")
    await scene.person()
    await scene.track("signed_up")
    for each in later:
        await scene.publish(each)
    handle = await scene.workflow("tour")
    await until(scene, ["welcome"])
    return handle


def order(journey: Journey, number: int = 2, **fields: Any) -> MoveOrder:
    return MoveOrder(request=str(uuid4()), journey=journey, version=number, done_by="test", **fields)


async def until(scene: Stage, sent: list[str]) -> None:
    async with asyncio.timeout(20):
        while await scene.sent() != sent:  # noqa: ASYNC110 - the workflow is elsewhere
            await asyncio.sleep(0.05)


async def story(scene: Stage, least: int = 1) -> list[tuple[str, str | None, str | None]]:
    """(outcome, step they were put on, reason) of what was written down."""
    async with asyncio.timeout(20):
        while True:
            rows = await scene.execute("SELECT outcome, detail FROM interventions ORDER BY at")
            if len(rows) >= least:
                return [(row.outcome, row.detail["to_step"], row.detail["reason"]) for row in rows]
            await asyncio.sleep(0.05)


async def versions(scene: Stage) -> list[int]:
    return [row.version for row in await scene.execute("SELECT version FROM enrollments ORDER BY started_at")]


async def test_who_is_moved_goes_on_in_the_new_version_and_nothing_comes_twice(scene: Stage) -> None:
    handle = await begin(scene, SECOND)
    before = scene.client.get_workflow_handle(handle.id, run_id=(await handle.describe()).run_id)
    await handle.signal(MOVE, order(SECOND))
    assert await story(scene) == [("done", "settle_in", None)]
    assert await versions(scene) == [2]
    with pytest.raises(WorkflowContinuedAsNewError):
        await before.result(follow_runs=False)
    await scene.keep(before, "-until-the-move")
    await scene.pass_time(handle, timedelta(days=1, minutes=1))
    assert await scene.finished(handle) == "completed"
    assert await scene.sent() == ["welcome", "coupon", "guide"]
    assert await scene.enrollments() == [("closed", "completed")]


async def test_asking_whether_somebody_can_be_moved_changes_nothing(scene: Stage) -> None:
    handle = await begin(scene, SECOND)
    asked = await handle.query(MOVABLE, order(SECOND), result_type=Movable)
    assert asked == Movable(1, "settle_in", "settle_in", None)
    asked = await handle.query(MOVABLE, order(SECOND, steps={"settle_in": "nowhere"}), result_type=Movable)
    assert asked == Movable(1, "settle_in", "nowhere", "no_such_step")
    assert await versions(scene) == [1]


async def test_who_cannot_be_moved_stays_and_the_reason_is_written_down(scene: Stage) -> None:
    handle = await begin(scene, LISTENING)
    await handle.signal(MOVE, order(LISTENING))
    assert await story(scene) == [("refused", "settle_in", "no_such_step")]
    await scene.pass_time(handle, timedelta(days=1, minutes=1))
    assert await scene.finished(handle) == "completed"
    assert await scene.sent() == ["welcome", "guide"]


async def test_only_those_at_the_named_step_are_moved(scene: Stage) -> None:
    handle = await begin(scene, SECOND)
    await handle.signal(MOVE, order(SECOND, only_at="guide"))
    assert await story(scene) == [("refused", "settle_in", "elsewhere")]
    assert await versions(scene) == [1]


async def test_the_new_version_hears_what_it_listens_to_and_what_had_come_before(scene: Stage) -> None:
    handle = await begin(scene, LISTENING)
    await scene.track("order_placed")
    await handle.signal(MOVE, order(LISTENING, steps={"settle_in": "bought"}))
    assert await scene.finished(handle) == "completed"
    assert await scene.sent() == ["welcome"]


async def test_after_the_move_the_relay_tells_by_the_names_of_the_new_version(scene: Stage) -> None:
    handle = await begin(scene, LISTENING)
    await handle.signal(MOVE, order(LISTENING, steps={"settle_in": "bought"}))
    await story(scene)
    await scene.track("order_placed")
    assert await scene.finished(handle) == "completed"
    assert await scene.sent() == ["welcome"]


async def test_an_event_that_comes_with_the_move_counts_once_and_in_the_new_version(scene: Stage) -> None:
    old = version(WELCOME, WaitFor("bought", event("order_placed"), within=days(3), then=[GUIDE]))
    new = version(WELCOME, WaitFor("bought", event("order_placed"), within=days(3), then=[COUPON]))
    handle = await begin(scene, new, first=old)
    await asyncio.gather(handle.signal(MOVE, order(new)), scene.track("order_placed"))
    assert await scene.finished(handle) == "completed"
    assert await scene.sent() in (["welcome", "coupon"], ["welcome", "guide"]), "whichever came first"


async def test_a_way_out_of_the_new_version_that_was_taken_before_ends_it(scene: Stage) -> None:
    new = version(*FIRST.steps, exits_on=event("order_placed"))
    handle = await begin(scene, new)
    await scene.track("order_placed")
    await handle.signal(MOVE, order(new))
    assert await scene.finished(handle) == "exited: order_placed"
    assert await scene.sent() == ["welcome"]


async def test_a_move_that_comes_twice_is_one_move(scene: Stage) -> None:
    handle = await begin(scene, SECOND)
    wanted = order(SECOND)
    await handle.signal(MOVE, wanted)
    await story(scene)
    await handle.signal(MOVE, wanted)
    await handle.signal(MOVE, order(SECOND))
    assert await story(scene, 2) == [("done", "settle_in", None), ("refused", "settle_in", "same_version")]


async def test_two_moves_at_once_are_carried_out_one_after_the_other(scene: Stage) -> None:
    third = version(WELCOME, Wait("settle_in", days(1)))
    handle = await begin(scene, SECOND, third)
    await asyncio.gather(handle.signal(MOVE, order(SECOND)), handle.signal(MOVE, order(third, 3)))
    assert [outcome for outcome, _, _ in await story(scene, 2)] == ["done", "done"]


async def test_who_has_left_is_not_moved(scene: Stage) -> None:
    handle = await begin(scene, SECOND)
    await scene.execute("UPDATE enrollments SET state = 'closed', end_reason = 'asked support'")
    await handle.signal(MOVE, order(SECOND))
    assert await scene.finished(handle) == "asked support"
    assert await versions(scene) == [1]
    assert await scene.execute("SELECT request FROM interventions") == []


async def test_a_result_that_was_lost_is_the_same_when_it_is_asked_again(scene: Stage) -> None:
    """SIGKILL after the row said the new version and before the workflow knew: the activity runs again."""
    handle = await begin(scene, LISTENING)
    await scene.track("order_placed")
    [row] = await scene.execute("SELECT id FROM enrollments")
    wanted = MoveWanted("demo", str(row.id), order(LISTENING, steps={"settle_in": "bought"}), 1, "settle_in", "bought", None)
    moves = Moves(scene.database)
    first, again = await moves.move(wanted), await moves.move(wanted)
    assert first == again
    assert [each.name for each in first.events] == ["order_placed"]
    assert await versions(scene) == [2]
    assert len(await scene.execute("SELECT request FROM interventions")) == 1
    await handle.signal(MOVE, wanted.order)
    assert await scene.finished(handle) == "completed"
    assert await scene.sent() == ["welcome"]


async def test_an_event_during_the_move_fails_its_task_and_the_move_is_made_again_before_the_event_is_looked_at(scene: Stage) -> None:
    old = version(WELCOME, WaitFor("bought", event("order_placed"), within=days(3), then=[GUIDE]))
    new = version(WELCOME, WaitFor("bought", event("order_placed"), within=days(3), then=[COUPON]))
    handle = await begin(scene, new, first=old)
    async with scene.database.transaction() as connection:
        await connection.exec_driver_sql("SELECT id FROM users FOR UPDATE")
        await handle.signal(MOVE, order(new))
        await somebody_waits(scene)
        await handle.signal("event", EventFact("placed", "order_placed", datetime.now(UTC)))
    assert await scene.finished(handle) == "completed"
    assert await scene.sent() == ["welcome", "coupon"]
    assert await story(scene) == [("done", "bought", None)]


async def somebody_waits(scene: Stage) -> None:
    """Until a transaction waits for a row that another has locked."""
    async with asyncio.timeout(20):
        while not await scene.execute("SELECT pid FROM pg_locks WHERE NOT granted"):  # noqa: ASYNC110 - the worker is elsewhere
            await asyncio.sleep(0.02)


async def test_in_the_middle_of_a_send_the_move_waits(scene: Stage) -> None:
    scene.answers("push", "not_sent", "not_sent", "ok")
    old = version(WELCOME, GUIDE, Wait("settle_in", days(1)), COUPON)
    new = version(Wait("settle_in", days(1)))
    handle = await begin(scene, new, first=old)
    await handle.signal(MOVE, order(new))
    assert await story(scene) == [("done", "settle_in", None)]
    assert await scene.sent() == ["welcome", "guide"]
    await scene.pass_time(handle, timedelta(days=1, minutes=1))
    assert await scene.finished(handle) == "completed"
    assert await scene.sent() == ["welcome", "guide"]


async def test_a_put_off_message_that_is_left_behind_is_not_sent(scene: Stage) -> None:
    handle = await begin(scene, SECOND)
    await scene.execute(
        "INSERT INTO messages (id, app, source, step, visit, target, channel, message_class, state)"
        " SELECT gen_random_uuid(), 'demo', id::text, 'settle_in', 1, 'x', 'push', 'marketing', 'deferred' FROM enrollments"
    )
    await handle.signal(MOVE, order(SECOND, steps={"settle_in": "guide"}))
    assert await scene.finished(handle) == "completed"
    rows = await scene.execute("SELECT state, reason FROM messages WHERE step = 'settle_in'")
    assert [(each.state, each.reason) for each in rows] == [("skipped", "moved")]
