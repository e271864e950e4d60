"""A real Postgres, a real Temporal server with virtual time and the real hands, for tests of enrollments."""

import asyncio
import os
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

from sqlalchemy import text
from temporalio.client import Client, WorkflowHandle
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RPCError
from temporalio.testing import TimeSkipper, TimeSkippingConfig
from temporalio.worker import WorkflowRunner

from activities.breaker import Bounds, Gates
from activities.calling import Calls
from activities.functions.call import Function
from activities.jobs.catalogue import KINDS
from activities.jobs.runner import Jobs
from activities.jobs.work import Work
from activities.messages import Messages
from activities.sending import Timing
from activities.steps import Steps, deliveries
from journeys.language.codec import content_hash, to_json
from journeys.language.journey import Journey
from settings import Settings
from storage import journeys, templates
from storage.database import Database
from storage.events import Accepted, Address, Incoming, accept
from tests.activities.provider import Provider
from workflows.client import Enrollments
from workflows.definitions import Definitions
from workflows.entry import Entry
from workflows.errands import errands
from workflows.hands import exit_conditions_hold, hands
from workflows.relay import Relay
from workflows.worker import sandbox, temporal_worker

APP = "demo"
HISTORIES = Path(__file__).parents[1] / "histories"
ADDRESSES = (Address("email", "ann@example.com"), Address("sms", "+4915112345678"), Address("push", "device-token-1"))
FILES = {
    "template.toml": 'from = "Demo <demo@example.com>"\n',
    "subject.txt": "About {{ entry.what | default('it') }}",
    "body.txt": "Hello {{ user.name | default('you') }}",
    "sms.txt": "Hello {{ user.name | default('you') }}",
    "push.toml": 'title = "Hello"\nbody = "Look"\n',
}


@dataclass
class Stage:
    """One app with people, journeys and their workflows; a test moves its time."""

    database: Database
    client: Client
    skipper: TimeSkipper
    temporal: Enrollments
    entry: Entry
    relay: Relay
    adapters: dict[str, Any]
    functions: dict[str, Function]
    """The registered functions; a test may put its own in."""
    numbers: Any = field(default_factory=lambda: count(1))
    mark: str = field(default_factory=lambda: uuid4().hex[:8])
    """Tests share a Temporal server, and workflow ids hold the user: so each test has its own people."""

    async def publish(self, *published: Journey) -> None:
        async with self.database.transaction() as connection:
            for journey in published:
                await journeys.publish(
                    connection,
                    APP,
                    name=journey.name,
                    definition=to_json(journey).decode(),
                    content_hash=content_hash(journey),
                    entry_names=journey.entry_names,
                    listen_names=journey.signal_names,
                )

    async def publish_template(self, *names: str, files: Mapping[str, str] | None = None) -> None:
        async with self.database.transaction() as connection:
            for name in names:
                await templates.publish(connection, APP, name, dict(files or FILES), f"hash of {name} {sorted((files or FILES).items())}")

    async def accept(self, *items: Incoming, is_history: bool = False, received_at: datetime | None = None) -> list[Accepted]:
        async with self.database.transaction() as connection:
            return await accept(connection, APP, items, received_at=received_at or datetime.now(UTC), is_history=is_history)

    async def person(
        self,
        user: str = "ann",
        *,
        addresses: Sequence[Address] = ADDRESSES,
        traits: Mapping[str, Any] | None = None,
        consents: Sequence[Any] = (),
    ) -> None:
        """Make somebody known, with addresses and consent for SMS."""
        await self.accept(self.item("identified", user, addresses=addresses, traits=traits or {}, consents=consents))
        name = self.name(user)
        await self.execute(
            "INSERT INTO consents (app, user_id, channel, topic, state, source)"
            f" SELECT '{APP}', user_id, 'sms', '*', 'granted', 'test' FROM identities WHERE value = '{name}'"
        )

    def item(self, name: str, user: str = "ann", properties: Mapping[str, Any] | None = None, **fields: Any) -> Incoming:
        """An event that comes in; its time is now unless `occurred_at` says otherwise."""
        given = {"user_id": self.name(user), "occurred_at": datetime.now(UTC), "event_id": f"event {next(self.numbers)}", **fields}
        return Incoming(name=name, properties=properties or {}, **given)

    async def track(self, name: str, user: str = "ann", properties: Mapping[str, Any] | None = None, **fields: Any) -> None:
        """Accept an event and relay it at once."""
        await self.accept(self.item(name, user, properties, **fields))
        await self.relay_all()

    async def relay_all(self) -> None:
        """Relay until nothing is due."""
        while (await self.relay.pass_once())[0]:
            continue

    async def execute(self, statement: str, **values: Any) -> list[Any]:
        async with self.database.transaction() as connection:
            result = await connection.execute(text(statement), values)
            return list(result.all()) if result.returns_rows else []

    def name(self, user: str) -> str:
        return f"{user}-{self.mark}"

    async def workflow(self, journey: str, user: str = "ann", n: int = 1) -> WorkflowHandle[Any, Any]:
        return self.client.get_workflow_handle(f"{APP}/{journey}/{self.name(user)}#{n}")

    async def pass_time(self, handle: WorkflowHandle[Any, Any], duration: timedelta) -> datetime:
        """Let the workflow's time pass; returns what its clock shows then."""
        try:
            await asyncio.wait_for(self.skipper.fast_forward(handle, duration), 30)
        except RPCError as error:
            if "already completed" not in str(error):
                raise
        return await self.skipper.get_current_time(handle)

    async def finished(self, handle: WorkflowHandle[Any, Any]) -> str:
        """Wait for the end and return its reason."""
        reason = str(await asyncio.wait_for(handle.result(), 30))
        await self.keep(handle)
        return reason

    async def keep(self, handle: WorkflowHandle[Any, Any], what: str = "") -> None:
        """With SOJOURN_RECORD set, keep the history for the replay test."""
        if os.environ.get("SOJOURN_RECORD"):
            test = os.environ["PYTEST_CURRENT_TEST"].partition("::test_")[2].partition(" (")[0]
            name = re.sub(r"[^a-z0-9]+", "-", test.lower()).strip("-")[:90]
            (HISTORIES / f"{name}{what}.json").write_text(_without_this_machine((await handle.fetch_history()).to_json()))

    async def sent(self) -> list[str]:
        """Step ids of what left, in order."""
        rows = await self.execute("SELECT step FROM messages WHERE state = 'sent' ORDER BY settled_at")
        return [row.step for row in rows]

    async def outcomes(self) -> dict[str, Any]:
        rows = await self.execute("SELECT step, verdict FROM step_outcomes ORDER BY began_at")
        return {row.step: row.verdict for row in rows}

    async def enrollments(self) -> list[tuple[str, str | None]]:
        """(state, end reason) of every enrollment, the oldest first."""
        rows = await self.execute("SELECT state, end_reason FROM enrollments ORDER BY started_at")
        return [(row.state, row.end_reason) for row in rows]

    def answers(self, channel: str, *script: str) -> Provider:
        """Let this channel's provider answer by a script (tests/activities/provider.py), the last word for ever."""
        provider = Provider(list(script), name=f"scripted-{channel}", channel=channel)
        self.adapters[channel] = provider
        return provider


def _without_this_machine(history: str) -> str:
    """Take out what a replay does not need and what names the machine it was recorded on."""
    without_traces = re.sub(r'"stackTrace": "(?:[^"\\]|\\.)*"', '"stackTrace": ""', history)
    return re.sub(r'"[0-9]+@[^"]*"', '"worker"', without_traces)


@asynccontextmanager
async def stage(
    database: Database,
    address: str,
    *,
    with_virtual_time: bool = True,
    runner: WorkflowRunner | None = None,
    bounds: Bounds | None = None,
    **settings: Any,
) -> AsyncIterator[Stage]:
    """Open a stage on this database and server; `settings` are those of the worker, `bounds` those of its breakers."""
    queue = f"test-{uuid4().hex[:12]}"
    configured = Settings(database_url=database.engine.url.render_as_string(hide_password=False), temporal_task_queue=queue, **settings)
    client = await Client.connect(address, data_converter=pydantic_data_converter)
    skipper = TimeSkipper(client, config=TimeSkippingConfig(enabled=False, max_session_skip_count=5000))
    made = hands(configured, database)
    adapters = dict(made.delivery.adapters)
    timing = Timing(endpoint_wait=timedelta(0))
    delivery = replace(made.delivery, adapters=adapters, allowed_recipients=None, timing=timing, gates=Gates(bounds))
    messages = Messages(database, delivery, exit_conditions_hold)
    temporal = Enrollments(skipper.client if with_virtual_time else client, queue)
    entry = Entry(Definitions())
    out = errands(configured, database)
    functions = dict(out.functions)
    calls = Calls(database, out.caller, functions, exit_conditions_hold)
    relay = Relay(database, temporal, entry, uuid4(), functions=sorted(functions))
    cached = int(os.environ.get("SOJOURN_TEST_MAX_CACHED", "1000"))
    jobs = Jobs(Work(database, client, queue), KINDS)
    activities = [*Steps(database).activities(), *out.changes.activities(), *calls.activities(), *deliveries(messages), *jobs.activities()]
    worker = temporal_worker(client, queue, activities, max_cached_workflows=cached, runner=runner or sandbox())
    try:
        async with worker:
            yield Stage(database, client, skipper, temporal, entry, relay, adapters, functions)
    finally:
        await made.close()
        await out.close()
