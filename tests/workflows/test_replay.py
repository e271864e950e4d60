"""Every recorded history still replays: people inside go on whatever the code of today is.

Record anew with SOJOURN_RECORD=1 pytest tests/workflows, into tests/histories; keep those of earlier generations.
"""

import json
from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer
from temporalio.workflow import NondeterminismError

from workflows.journey import JourneyWorkflow
from workflows.worker import sandbox

HISTORIES = sorted((Path(__file__).parents[1] / "histories").glob("*.json"))
BEFORE = next(path.read_text() for path in HISTORIES if "does-nothing" in path.stem)


def replayer() -> Replayer:
    return Replayer(workflows=[JourneyWorkflow], data_converter=pydantic_data_converter, workflow_runner=sandbox())


def test_there_are_histories_of_every_activity_of_the_house() -> None:
    seen = {name for path in HISTORIES for name in _activities(WorkflowHistory.from_json(path.stem, path.read_text()))}
    assert seen >= {"email", "push", "sms", "decide", "compute moment", "end", "give up", "update", "enter", "call", "give up call"}


def _activities(history: WorkflowHistory) -> set[str]:
    scheduled = {each.activity_task_scheduled_event_attributes.activity_type.name for each in history.events}
    markers = [
        each.marker_recorded_event_attributes.details["data"].payloads
        for each in history.events
        if each.HasField("marker_recorded_event_attributes")
    ]
    return scheduled | {json.loads(payload.data)["activity_type"] for payloads in markers for payload in payloads}


@pytest.mark.parametrize("recorded", [path.read_text() for path in HISTORIES], ids=[path.stem for path in HISTORIES])
async def test_a_recorded_history_replays(recorded: str) -> None:
    await replayer().replay_workflow(WorkflowHistory.from_json("recorded", recorded))


async def test_a_step_put_in_front_of_recorded_ones_is_found_out() -> None:
    """The replay can fail: the definition in this history is changed as no published version can be."""
    history = WorkflowHistory.from_json("changed", BEFORE)
    payload = history.events[0].workflow_execution_started_event_attributes.input.payloads[0]
    enrollment = json.loads(payload.data)
    first = {"kind": "wait", "id": "first", "duration": {"kind": "duration", "seconds": 60}}
    enrollment["journey"]["steps"] = [first, *enrollment["journey"]["steps"]]
    payload.data = json.dumps(enrollment).encode()
    with pytest.raises(NondeterminismError):
        await replayer().replay_workflow(history)
