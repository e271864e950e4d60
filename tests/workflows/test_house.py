"""The house's own journeys in every branch: on Temporal under virtual time, and in rehearsal; the same goes out."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Worker

from activities.functions.call import Failed, FunctionCall
from journeys.catalogue import JOURNEYS
from journeys.language import Journey, rehearse
from journeys.language.assign import arm, in_holdout
from journeys.language.rehearsal import Person, Rehearsal
from journeys.language.steps import Split
from storage import outbox, people
from storage.database import Database
from storage.outbox import EntryRequest
from tests.journeys.briefs import untaken, watched
from tests.workflows import stage as staging
from tests.workflows.house_runs import RUNS, Run
from tests.workflows.logical_time import with_logical_clock
from tests.workflows.stage import APP, Stage
from tests.workflows.virtual_clock import clocked
from workflows.worker import temporal_worker

TEMPLATES = Path(__file__).parents[2] / "journeys" / "templates"


@pytest.fixture
async def scene(database: Database, temporal: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    """A stage on which the database lives by the time of the workflow."""

    def worker(client: Client, *given: Any, **named: Any) -> Worker:
        return temporal_worker(clocked(client), *given, **named)

    monkeypatch.setattr(staging, "temporal_worker", worker)
    virtual = await with_logical_clock(database)
    async with staging.stage(virtual, temporal) as opened:
        yield opened
    await virtual.close()


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.name)
async def test_the_same_goes_out_on_temporal_and_in_rehearsal(scene: Stage, run: Run) -> None:
    user = _somebody(scene, run)
    await _publish(scene, run)
    await scene.person(user, addresses=run.addresses, traits=run.attributes)
    await _enter(scene, user, run)
    row = (await scene.execute("SELECT workflow_id, entered_at, entry_properties FROM enrollments"))[0]
    handle = scene.client.get_workflow_handle(row.workflow_id)
    await _live(scene, user, run, handle, row.entered_at)
    assert await scene.finished(handle) == run.ended
    assert await scene.sent() == list(run.sent)
    assert await _called(scene) == list(run.called)
    rehearsed = _rehearsed(run, row.entered_at, row.entry_properties)
    assert (rehearsed.sent, rehearsed.called, rehearsed.ended) == (list(run.sent), list(run.called), run.ended)


@pytest.mark.parametrize("journey", JOURNEYS, ids=lambda journey: journey.name)
def test_every_way_on_of_a_journey_is_taken_by_some_run(journey: Journey) -> None:
    start = datetime.now(UTC)
    with watched() as players:
        for run in RUNS:
            if run.journey is journey:
                _rehearsed(run, start, run.entry(start))
    assert untaken(journey, players) == []


def _somebody(scene: Stage, run: Run) -> str:
    """A user who is not held out and, where the run asks for an arm, is of that arm."""
    split = next((step for step in run.journey.steps if isinstance(step, Split)), None)
    for user in (f"p{number}" for number in range(200)):
        subject = scene.name(user)
        is_of_arm = run.split is None or (split is not None and arm(split, APP, run.journey.name, subject).name == run.split)
        if is_of_arm and not in_holdout(run.journey, APP, subject):
            return user
    raise AssertionError("nobody is of that arm")


async def _publish(scene: Stage, run: Run) -> None:
    await scene.publish(run.journey)
    for folder in TEMPLATES.iterdir():
        await scene.publish_template(folder.name, files={file.name: file.read_text() for file in folder.iterdir()})
    await scene.execute("""UPDATE apps SET settings = '{"from": "Demo <demo@example.com>", "postal_address": "1 Road, Town"}'""")
    for name, function in list(scene.functions.items()):

        async def answering(call: FunctionCall, function: Any = function) -> Any:
            if call.step in run.refused:
                raise Failed("refused")
            return await function(call)

        scene.functions[name] = answering


async def _enter(scene: Stage, user: str, run: Run) -> None:
    """By the entry event; by hand where a segment starts it."""
    events = run.journey.entry_events
    entry = run.entry(datetime.now(UTC))
    if events is not None:
        await scene.track(run.entered_by or events.any_of[0].name, user, entry)
        return
    async with scene.database.transaction() as connection:
        person = await people.internal_id(connection, APP, scene.name(user))
        await outbox.ask(connection, APP, person, EntryRequest(run.journey.name, "by hand", datetime.now(UTC), entry))
    await scene.relay_all()


async def _live(scene: Stage, user: str, run: Run, handle: WorkflowHandle[Any, Any], start: datetime) -> None:
    """Let everything happen at its time, and then time pass until nothing can be left."""
    await _settled(handle)
    passed = timedelta(0)
    for after, name, *properties in run.events(start):
        await scene.pass_time(handle, after.timedelta - passed)
        passed = after.timedelta
        now = await scene.skipper.get_current_time(handle)
        await scene.track(name, user, properties[0] if properties else {}, occurred_at=now)
    for _ in range(20):
        if (await handle.describe()).close_time is None:
            await scene.pass_time(handle, timedelta(days=10))


async def _settled(handle: WorkflowHandle[Any, Any]) -> None:
    """Wait until the first workflow task is done: time can only be moved for a workflow that waits."""
    for _ in range(100):
        history = await handle.fetch_history()
        if any(each.HasField("workflow_task_completed_event_attributes") for each in history.events):
            return
        await asyncio.sleep(0.02)


async def _called(scene: Stage) -> list[str]:
    """Step ids of Calls, in order."""
    rows = await scene.execute("SELECT step FROM step_outcomes WHERE verdict ->> 'kind' = 'called' ORDER BY began_at")
    return [row.step for row in rows]


def _rehearsed(run: Run, start: datetime, entry: Any) -> Rehearsal:
    return rehearse(
        run.journey,
        run.events(start),
        entry=entry,
        entered_by=run.entered_by,
        arms={"offer": run.split} if run.split else None,
        user=Person(attributes=run.attributes, channels=tuple(address.channel for address in run.addresses)),
        refused=run.refused,
        starts_at=start,
    )
