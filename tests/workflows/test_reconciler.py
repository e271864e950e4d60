"""Enrollments and workflows that no longer agree are mended, in both directions."""

import asyncio
from typing import Any

import pytest
from temporalio.client import Client
from temporalio.service import RPCError

from journeys.language import Journey, Wait, days, event
from tests.workflows.stage import Stage
from workflows.client import Enrollments, is_transport
from workflows.reconciler import Reconciler

WAITING = Journey("waiting", starts_on=event("signed_up"), steps=[Wait("w", days(5))])


@pytest.fixture
async def inside(scene: Stage) -> Reconciler:
    """Somebody is in the journey; the reconciler that looks after them."""
    await scene.publish(WAITING)
    await scene.person()
    await scene.track("signed_up")
    return Reconciler(scene.database, scene.client, scene.temporal, scene.entry)


async def test_a_row_that_never_got_its_workflow_is_started(scene: Stage, inside: Reconciler) -> None:
    await (await scene.workflow("waiting")).terminate("gone")
    await scene.execute("UPDATE enrollments SET state = 'starting', n = 2, workflow_id = replace(workflow_id, '#1', '#2')")
    await inside.start_the_unstarted(0)
    assert await scene.enrollments() == [("open", None)]
    assert (await (await scene.workflow("waiting", n=2)).describe()).close_time is None


async def test_a_workflow_terminated_by_hand_frees_its_place(scene: Stage, inside: Reconciler) -> None:
    await (await scene.workflow("waiting")).terminate("by hand")
    await eventually_closed(scene, inside.close_the_ended)
    assert await scene.enrollments() == [("closed", "terminated")]


async def test_what_was_planned_for_it_is_dropped_and_the_story_says_so(scene: Stage, inside: Reconciler) -> None:
    await scene.execute(
        "INSERT INTO messages (id, app, user_id, source, step, visit, target, channel, message_class, state)"
        " SELECT message_id(started_at, app, id::text, 'hello', 1, 'x'), app, user_id, id::text, 'hello', 1, 'x', 'email', 'marketing',"
        " 'planned' FROM enrollments"
    )
    await (await scene.workflow("waiting")).terminate("by hand")
    await inside.look_through(0)
    assert await scene.execute("SELECT state, reason FROM messages") == [("skipped", "workflow_gone")]
    [told] = await scene.execute("SELECT kind, done_by, detail FROM interventions")
    assert (told.kind, told.done_by, told.detail) == ("closed", "the reconciler", {"reason": "terminated", "dropped": 1})


async def test_one_that_cannot_be_started_does_not_stand_before_the_others(
    scene: Stage, inside: Reconciler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workflows.reconciler.PAGE", 1)
    await scene.person("bob")
    await scene.track("signed_up", "bob")
    await (await scene.workflow("waiting", "bob")).terminate("gone")
    await scene.execute("UPDATE enrollments SET state = 'starting' WHERE user_id = (SELECT min(user_id) FROM enrollments)")
    await scene.execute("UPDATE enrollments SET workflow_id = (SELECT max(workflow_id) FROM enrollments) || '?' WHERE state = 'starting'")
    taken = await scene.execute("SELECT workflow_id FROM enrollments WHERE state = 'starting'")
    await scene.client.start_workflow("journey", id=taken[0].workflow_id, task_queue="nobody works here")
    await scene.execute(
        "UPDATE enrollments SET state = 'starting', n = 2, workflow_id = replace(workflow_id, '#1', '#2') WHERE state = 'open'"
    )
    await inside.start_the_unstarted(0)
    assert sorted(state for state, _ in await scene.enrollments()) == ["open", "starting"]


async def test_the_backstop_finds_what_visibility_did_not_tell(scene: Stage, inside: Reconciler) -> None:
    await (await scene.workflow("waiting")).terminate("by hand")
    await inside.look_through(0)
    assert await scene.enrollments() == [("closed", "terminated")]


async def test_a_row_whose_workflow_never_was_is_closed(scene: Stage, inside: Reconciler) -> None:
    await scene.execute("UPDATE enrollments SET workflow_id = 'nowhere'")
    await inside.look_through(0)
    assert await scene.enrollments() == [("closed", "workflow_gone")]


async def test_a_missing_namespace_closes_nobody(scene: Stage, inside: Reconciler) -> None:
    there = Client(scene.client.service_client, namespace="nowhere", data_converter=scene.client.data_converter)
    lost = Reconciler(scene.database, there, Enrollments(there, "any"), scene.entry)
    with pytest.raises(RPCError) as raised:
        await lost.look_through(0)
    assert is_transport(raised.value)
    with pytest.raises(RPCError):
        await Enrollments(there, "any").leave("any", "reason", "request")
    assert await scene.enrollments() == [("open", None)]


async def test_a_running_workflow_whose_row_is_closed_is_asked_to_leave(scene: Stage, inside: Reconciler) -> None:
    await scene.execute("UPDATE enrollments SET state = 'closed', end_reason = 'by hand'")
    handle = await scene.workflow("waiting")
    for _ in range(50):
        await inside.end_the_unknown(-5)
        if (await handle.describe()).close_time is not None:
            break
        await asyncio.sleep(0.1)
    assert await scene.finished(handle) == "row_closed"


async def test_page_after_page_of_running_workflows_is_looked_at(scene: Stage, inside: Reconciler, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workflows.reconciler.PAGE", 1)
    await scene.person("bob")
    await scene.track("signed_up", "bob")
    await scene.execute("UPDATE enrollments SET state = 'closed', end_reason = 'by hand'")
    handles = [await scene.workflow("waiting"), await scene.workflow("waiting", "bob")]
    for _ in range(50):
        await inside.end_the_unknown(-5)
        if all([(await handle.describe()).close_time is not None for handle in handles]):
            break
        await asyncio.sleep(0.1)
    assert [await scene.finished(handle) for handle in handles] == ["row_closed", "row_closed"]


async def test_those_who_are_where_they_should_be_stay_there(scene: Stage, inside: Reconciler) -> None:
    await inside.mend()
    await inside.look_through(0)
    assert await scene.enrollments() == [("open", None)]


async def eventually_closed(scene: Stage, mend: Any) -> None:
    """Visibility is eventually consistent."""
    for _ in range(50):
        await mend()
        if (await scene.enrollments())[0][0] == "closed":
            return
        await asyncio.sleep(0.1)
