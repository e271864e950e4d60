"""Update, Call and Enter on a real Temporal server: done once whatever is lost, called at least once, and never after the end."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHandle
from temporalio.testing import ActivityEnvironment

from activities import changing
from activities.calling import Calls
from activities.changing import Changes
from activities.errands import CallOrder, EnterOrder, UpdateOrder
from activities.functions.call import Failed, FunctionCall, NotNow
from journeys.language import (
    Call,
    Enter,
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
    function,
    hours,
    last_did,
    prop,
    request,
    requested,
    seconds,
    trait,
)
from journeys.language.facts import EventFact
from journeys.language.steps import AnyStep
from storage.database import Connection
from tests.channels.test_calls import answer, far
from tests.workflows.stage import Stage
from workflows.inputs import Standing


async def begin(scene: Stage, *steps: AnyStep, properties: Mapping[str, Any] | None = None, **fields: Any) -> WorkflowHandle[Any, Any]:
    """Publish a journey of these steps and let somebody in."""
    tried = Journey("tried", **{"starts_on": event("started"), "message_class": "transactional", "steps": list(steps), **fields})
    await scene.publish(tried)
    await scene.publish_template("hello", "sorry")
    await scene.person()
    await scene.track("started", properties=properties)
    return await scene.workflow("tried")


def answers(scene: Stage, name: str, *script: Any) -> list[FunctionCall]:
    """Register a function that answers by a script, the last word for ever; returns the calls that it hears."""
    heard: list[FunctionCall] = []

    async def scripted(call: FunctionCall) -> Any:
        heard.append(call)
        said = script[min(len(heard), len(script)) - 1]
        if isinstance(said, Exception):
            raise said
        return said

    scene.functions[name] = scripted
    return heard


def hangs(scene: Stage, name: str) -> list[str]:
    """Register a function that never comes back; returns what happens to its calls."""
    happened: list[str] = []

    async def hanging(_call: FunctionCall) -> Mapping[str, Any]:
        happened.append("began")
        try:
            await asyncio.sleep(300)
        except asyncio.CancelledError:
            happened.append("cancelled")
            raise
        return {}

    scene.functions[name] = hanging
    return happened


CHARGE = Call("charge", function("charge", {"amount": entry("total"), "who": trait("user_id")}), otherwise=[Send("sorry", email("sorry"))])
PAID = If("paid", captured("charge", "status") == "paid", then=[Send("hello", email("hello"))])


# Update ------------------------------------------------------------------------------------------------------------------------------


async def test_an_update_is_seen_by_the_next_condition(scene: Stage) -> None:
    handle = await begin(
        scene,
        Update("mark", {"plan": "gold", "total": entry("total"), "who": trait("user_id")}),
        If("gold", (trait("plan") == "gold") & (trait("total") == 7), then=[Send("hello", email("hello"))]),
        properties={"total": 7},
    )
    assert await scene.finished(handle) == "completed"
    assert await scene.sent() == ["hello"]
    assert await attributes(scene) == {"plan": "gold", "total": 7, "who": scene.name("ann")}
    assert (await scene.outcomes())["mark"] == {"kind": "updated", "attributes": ["plan", "total", "who"]}


async def test_an_update_that_is_done_again_changes_nothing(scene: Stage) -> None:
    """A local activity whose result was lost runs again; what the person said meanwhile stays."""
    handle = await begin(scene, Update("mark", {"plan": "gold"}), Wait("long", days(1)))
    await comes_to(scene, "mark")
    await scene.accept(scene.item("identified", traits={"plan": "silver"}))
    order = UpdateOrder("demo", await enrollment(scene), "mark", 1, Update("mark", {"plan": "gold"}).attributes)  # type: ignore[arg-type]
    await Changes(scene.database).update(order)
    assert await attributes(scene) == {"plan": "silver"}
    await handle.terminate()


async def test_two_tries_of_an_update_at_once_are_one(scene: Stage) -> None:
    handle = await begin(scene, Wait("long", days(1)))
    step = Update("count", {"seen": last_did("started")})
    order = UpdateOrder("demo", await enrollment(scene), "count", 1, step.attributes)  # type: ignore[arg-type]
    await asyncio.gather(*(Changes(scene.database).update(order) for _ in range(5)))
    clock = (await scene.execute("SELECT attribute_clock -> 'seen' ->> 1 AS by FROM users"))[0].by
    assert clock == f"{await enrollment(scene)}/count/1"
    await handle.terminate()


async def test_none_removes_and_what_reads_nothing_leaves_alone(scene: Stage) -> None:
    await scene.accept(scene.item("identified", traits={"old": 1, "kept": 2}))
    handle = await begin(scene, Update("clean", {"old": None, "kept": entry("missing")}))
    await scene.finished(handle)
    assert await attributes(scene) == {"kept": 2}


async def test_an_event_during_an_update_loses_its_result_and_it_is_done_once(scene: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The signal fails the workflow task, and the markers of its local activities are gone with it."""
    real, tries = changing._update, []

    async def slow(order: UpdateOrder, connection: Connection) -> None:
        await real(order, connection)
        tries.append((await connection.execute(text("SELECT attribute_clock -> 'plan' AS clock FROM users"))).scalar_one())
        if len(tries) == 1:
            await asyncio.sleep(0.7)

    monkeypatch.setattr(changing, "_update", slow)
    handle = await begin(scene, Update("mark", {"plan": "gold"}), exits_on=event("closed").where(prop("really") == "yes"))
    await until(lambda: bool(tries))
    await handle.signal("event", EventFact("late", "closed", datetime.now(UTC), {"really": "no"}))
    assert await scene.finished(handle) == "completed"
    history = await handle.fetch_history()
    failed = [each for each in history.events if each.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED]
    assert len(failed) == 1, "the signal should have cost the first task its markers"
    assert len(tries) == 2
    assert tries[0] == tries[1]


# Enter -------------------------------------------------------------------------------------------------------------------------------

OTHER = Journey("other", starts_on=requested(), steps=[Send("hello", email("hello"))])


async def test_an_enter_starts_the_other_journey_with_its_properties(scene: Stage) -> None:
    await scene.publish(OTHER)
    handle = await begin(scene, Enter("go_on", "other", {"total": entry("total"), "who": trait("user_id")}), properties={"total": 3})
    assert await scene.finished(handle) == "completed"
    await scene.relay_all()
    row = (await scene.execute("SELECT entry_event_id, entry_properties FROM enrollments WHERE journey = 'other'"))[0]
    assert row.entry_properties == {"total": 3, "who": scene.name("ann")}
    assert row.entry_event_id.endswith("/go_on/1")
    assert await asyncio.wait_for((await scene.workflow("other")).result(), 30) == "completed"
    assert await scene.sent() == ["hello"]


async def test_an_enter_that_is_done_again_asks_once(scene: Stage) -> None:
    handle = await begin(scene, Wait("long", days(1)))
    step = Enter("go_on", "other", {})
    order = EnterOrder("demo", await enrollment(scene), "go_on", 1, "other", step.properties)  # type: ignore[arg-type]
    await asyncio.gather(*(Changes(scene.database).enter(order) for _ in range(5)))
    assert (await scene.execute("SELECT count(*) AS n FROM outbox WHERE kind = 'request'"))[0].n == 1
    await handle.terminate()


async def test_who_has_left_is_neither_changed_nor_sent_on(scene: Stage) -> None:
    """The row is closed and the signal on its way."""
    handle = await begin(scene, Wait("long", days(1)))
    await scene.execute("UPDATE enrollments SET state = 'closed'")
    who = await enrollment(scene)
    await Changes(scene.database).update(UpdateOrder("demo", who, "mark", 1, Update("mark", {"plan": "gold"}).attributes))  # type: ignore[arg-type]
    await Changes(scene.database).enter(EnterOrder("demo", who, "go", 1, "other", Enter("go", "other").properties))  # type: ignore[arg-type]
    assert await attributes(scene) == {}
    assert await scene.execute("SELECT 1 FROM outbox") == []
    await handle.terminate()


# Call --------------------------------------------------------------------------------------------------------------------------------


async def test_a_function_gets_what_is_known_and_its_result_is_captured(scene: Stage) -> None:
    heard = answers(scene, "charge", {"status": "paid"})
    handle = await begin(scene, CHARGE, PAID, properties={"total": 7})
    assert await scene.finished(handle) == "completed"
    assert await scene.sent() == ["hello"]
    who = await enrollment(scene)
    assert heard[0].idempotency_key == f"sj_{who}_charge_1"
    assert (heard[0].user_id, heard[0].arguments, heard[0].entry) == (
        scene.name("ann"),
        {"amount": 7, "who": scene.name("ann")},
        {"total": 7},
    )


async def test_a_request_goes_out_filled_in_and_its_json_comes_back(scene: Stage) -> None:
    async with far(answer(b'{"status": "paid"}')) as crm:
        asked = request(
            "POST",
            f"http://127.0.0.1:{crm.port}/orders/{{order}}",
            fill={"order": entry("order id")},
            headers={"X-Plan": trait("plan"), "X-None": trait("none")},
            json={"total": entry("total"), "user": trait("user_id"), "none": trait("none")},
        )
        await scene.accept(scene.item("identified", traits={"plan": "gold"}))
        handle = await begin(scene, Call("charge", asked), PAID, properties={"total": 7, "order id": "A/1 ü"})
        assert await scene.finished(handle) == "completed"
    first, headers, body = crm.asked[0]
    assert first == "POST /orders/A%2F1%20%C3%BC HTTP/1.1"
    assert (headers["x-plan"], "x-none" in headers) == ("gold", False)
    assert body == f'{{"none":null,"total":7,"user":"{scene.name("ann")}"}}'.encode()
    assert headers["idempotency-key"] == f"sj_{await enrollment(scene)}_charge_1"
    assert await scene.sent() == ["hello"]


@pytest.mark.parametrize("said", [Failed("declined"), {"a": {1}}, {"a": "b" * 70_000}], ids=["failed", "no JSON", "too large"])
async def test_a_call_that_fails_takes_otherwise_and_captures_nothing(scene: Stage, said: Any) -> None:
    heard = answers(scene, "charge", said)
    handle = await begin(scene, CHARGE, PAID)
    assert await scene.finished(handle) == "completed"
    assert (await scene.sent(), len(heard)) == (["sorry"], 1)


async def test_a_url_without_its_value_fails(scene: Stage) -> None:
    asked = request("GET", "http://127.0.0.1:9/{order}", fill={"order": entry("order")})
    handle = await begin(scene, Call("charge", asked, otherwise=[Send("sorry", email("sorry"))]))
    assert await scene.finished(handle) == "completed"
    assert (await scene.outcomes())["charge"]["reason"] == "no_value_for_url"
    assert await scene.sent() == ["sorry"]


async def test_a_server_that_is_down_for_hours_is_asked_until_it_is_back(scene: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("activities.calling.FIRST_RETRY", timedelta(hours=1))
    heard = answers(scene, "charge", NotNow("away"), KeyError("a bug"), {"status": "paid"})
    handle = await begin(scene, CHARGE, PAID)
    pending = await pending_call(handle)
    assert (pending.activity_type.name, pending.last_failure.message) == ("call", "away")
    await scene.pass_time(handle, timedelta(hours=8))
    assert await scene.finished(handle) == "completed"
    assert await scene.sent() == ["hello"]
    assert len({call.idempotency_key for call in heard}) == 1
    assert len(heard) == 3


async def test_after_72_hours_a_call_is_given_up(scene: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("activities.calling.FIRST_RETRY", timedelta(hours=5))
    answers(scene, "charge", NotNow("away"))
    handle = await begin(scene, CHARGE, PAID)
    await pending_call(handle)
    await scene.pass_time(handle, timedelta(hours=80))
    assert await scene.finished(handle) == "completed"
    assert (await scene.outcomes())["charge"]["reason"] == "gave_up"
    assert await scene.sent() == ["sorry"]


async def test_a_time_that_the_far_end_names_is_kept(scene: Stage) -> None:
    answers(scene, "charge", NotNow("busy", timedelta(hours=3)), {"status": "paid"})
    handle = await begin(scene, CHARGE, PAID)
    pending = await pending_call(handle)
    waits = pending.next_attempt_schedule_time.ToDatetime() - pending.last_attempt_complete_time.ToDatetime()
    assert timedelta(hours=3) <= waits < timedelta(hours=4)
    await scene.pass_time(handle, timedelta(hours=4))
    assert await scene.finished(handle) == "completed"


async def test_an_exit_cancels_a_call_that_hangs(scene: Stage) -> None:
    happened = hangs(scene, "charge")
    handle = await begin(scene, CHARGE, exits_on=event("closed"))
    await until(lambda: happened == ["began"])
    await scene.track("closed")
    assert await scene.finished(handle) == "exited: closed"
    await until(lambda: happened == ["began", "cancelled"])


async def test_an_exit_that_is_committed_but_not_yet_signalled_stops_the_call(scene: Stage) -> None:
    """A card must not be charged for a subscription that is cancelled."""
    heard = answers(scene, "charge", {"status": "paid"})
    handle = await begin(scene, Wait("first", hours(1)), CHARGE, exits_on=event("closed"))
    await standing_at(handle, "wait 1 hour")
    await scene.accept(scene.item("closed"))
    await scene.pass_time(handle, timedelta(hours=2))
    assert await scene.finished(handle) == "exited"
    assert heard == []


async def test_a_paused_journey_calls_nobody_until_it_goes_on(scene: Stage) -> None:
    heard = answers(scene, "charge", {"status": "paid"})
    await scene.execute("UPDATE apps SET paused_at = now()")
    handle = await begin(scene, CHARGE, Wait("after", days(1)))
    await standing_at(handle, "held: charge (paused)")
    assert heard == []
    assert [row.step for row in await scene.execute("SELECT step FROM held_sends")] == ["charge"], "a resume has to find it"
    await scene.execute("UPDATE apps SET paused_at = NULL")
    await handle.signal("release")
    await until(lambda: len(heard) == 1)
    await handle.terminate()


async def test_what_a_call_came_to_is_written_once(scene: Stage) -> None:
    """The worker dies after the far end has answered and before Temporal has heard: the next try gives what is written."""
    heard = answers(scene, "charge", {"status": "paid"}, {"status": "declined"})
    handle = await begin(scene, CHARGE, PAID)
    await scene.finished(handle)
    order = CallOrder("demo", await enrollment(scene), "tried", "charge", 1, function("charge"))
    calls = Calls(scene.database, None, scene.functions, None)  # type: ignore[arg-type]
    assert (await ActivityEnvironment().run(calls.call, order)).result == {"status": "paid"}
    assert len(heard) == 1


async def test_a_second_visit_is_a_call_of_its_own(scene: Stage) -> None:
    heard = answers(scene, "charge", {"status": "open"}, {"status": "paid"})
    tries = Repeat("tries", times=3, until=captured("charge", "status") == "paid", steps=[CHARGE, Wait("pause", seconds(1))])
    handle = await begin(scene, tries, PAID)
    assert await scene.finished(handle) == "completed"
    assert [call.idempotency_key.rsplit("_", 1)[1] for call in heard] == ["1", "2"]
    assert await scene.sent() == ["hello"]


async def test_an_event_while_the_call_runs_counts_since_it(scene: Stage) -> None:
    release = asyncio.Event()

    async def slow(_call: FunctionCall) -> Mapping[str, Any]:
        await release.wait()
        return {}

    scene.functions["charge"] = slow
    outcome = WaitFor("outcome", event("paid"), since="charge", within=hours(1), then=[Send("hello", email("hello"))])
    handle = await begin(scene, CHARGE, outcome)
    await standing_at(handle, "call charge")
    await scene.track("paid")
    release.set()
    assert await scene.finished(handle) == "completed"
    assert await scene.sent() == ["hello"]


async def test_a_destination_that_hangs_leaves_room_for_others(scene: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("activities.calling.TURNS", 2)
    happened = hangs(scene, "charge")
    heard = answers(scene, "ticket", {"number": 1})
    await scene.publish(
        Journey("stuck", starts_on=event("started"), steps=[CHARGE]),
        Journey("free", starts_on=event("asked"), message_class="transactional", steps=[Call("ticket", function("ticket"))]),
    )
    for user in ("a", "b", "c", "d"):
        await scene.person(user)
        await scene.track("started", user)
    await until(lambda: len(happened) == 2)
    await scene.track("asked", "a")
    assert await scene.finished(await scene.workflow("free", "a")) == "completed"
    assert (len(heard), happened) == (1, ["began", "began"])
    for user in ("a", "b", "c", "d"):
        await (await scene.workflow("stuck", user)).terminate()


async def test_a_moment_reads_what_somebody_did_last(scene: Stage) -> None:
    handle = await begin(scene, Wait("later", until=last_did("started") + days(3)), Send("hello", email("hello")))
    await standing_at(handle, "wait: later (until ")
    await handle.terminate()


# ------------------------------------------------------------------------------------------------------------------------------------


async def enrollment(scene: Stage) -> str:
    return str((await scene.execute("SELECT id FROM enrollments WHERE journey = 'tried'"))[0].id)


async def attributes(scene: Stage) -> Any:
    return (await scene.execute("SELECT attributes FROM users WHERE user_id = :user", user=scene.name("ann")))[0].attributes


async def comes_to(scene: Stage, step: str) -> None:
    for _ in range(100):
        if step in await scene.outcomes():
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"{step} came to nothing")


async def until(holds: Any) -> None:
    for _ in range(200):
        if holds():
            return
        await asyncio.sleep(0.05)
    raise AssertionError("it did not come to that")


async def standing_at(handle: WorkflowHandle[Any, Any], words: str) -> None:
    found = ""
    for _ in range(100):
        standing: Standing = await handle.query("standing", result_type=Standing)
        found = standing.words
        if found.startswith(words):
            return
        await asyncio.sleep(0.05)
    assert found == words


async def pending_call(handle: WorkflowHandle[Any, Any]) -> Any:
    for _ in range(100):
        found = (await handle.describe()).raw_description.pending_activities
        if found and found[0].last_failure.message:
            return found[0]
        await asyncio.sleep(0.05)
    raise AssertionError("no call is pending")
