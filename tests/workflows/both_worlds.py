"""One life in both Worlds: on Temporal with the real ledger, by logical time, and in rehearsal. What they tell must be the same."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text
from temporalio.client import Client, WorkflowHandle
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RPCError
from temporalio.testing import TimeSkipper, TimeSkippingConfig
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.breaker import Bounds, Gates
from activities.calling import Calls
from activities.changing import Changes
from activities.functions.call import Failed, FunctionCall, NotNow
from activities.messages import Delivery, Messages
from activities.sending import Timing
from activities.steps import Steps, deliveries
from channels.base import Ambiguous, NotSent, Outgoing, Receipt, Rejected
from channels.registry import CHANNELS
from journeys.language import reading
from journeys.language.assign import arm
from journeys.language.codec import content_hash, to_json
from journeys.language.facts import EventFact
from journeys.language.rehearsal import Rehearsal, Stage
from journeys.language.steps import Send, Split
from journeys.language.walk import all_steps
from storage import journeys, templates
from storage.consents import ConsentRecord
from storage.database import Database
from storage.events import Address, Incoming, accept
from tests.activities.provider import PlainRenderer
from tests.workflows.logical_time import Board, LogicalDatabase, LogicalTime, at, install, with_logical_clock
from tests.workflows.tree_cases import Case, Happening, fact
from workflows.client import Enrollments
from workflows.definitions import Definitions
from workflows.entry import Entry
from workflows.hands import exit_conditions_hold
from workflows.journey import JourneyWorkflow

ENTRY = "entry"
# Whoever takes a message delivers it at once, as in a rehearsal.
_DELIVERED = (
    "CREATE FUNCTION delivered() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.delivered_at := NEW.settled_at; RETURN NEW; END $$"
)
_AT_ONCE = (
    "CREATE TRIGGER delivered BEFORE UPDATE ON messages FOR EACH ROW WHEN (NEW.state = 'sent' AND OLD.state <> 'sent')"
    " EXECUTE FUNCTION delivered()"
)
_APP = text("SELECT app FROM enrollments WHERE id = :id")
_ROW = text("SELECT app, step, visit FROM messages WHERE id = :id")


@dataclass(frozen=True)
class Told:
    """What became of somebody: where they went and when, what was sent and what was not and why, and what was captured at the end."""

    ended: str
    path: list[tuple[str, int, str | None, timedelta]]
    sent: list[str]
    skipped: list[tuple[str, str]]
    captured: Mapping[str, tuple[str, str, Mapping[str, Any]]]
    entered: Sequence[tuple[str, Any]] = ()
    attributes: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        steps = "\n".join(f"  {step} ({visit}) +{after}: {outcome}" for step, visit, outcome, after in self.path)
        told = {name: getattr(self, name) for name in ("sent", "skipped", "captured", "entered", "attributes")}
        return f"ended {self.ended!r}\n{steps}\n" + "\n".join(f"  {name} {value}" for name, value in told.items())


def rehearsed(case: Case, app: str, user: str) -> tuple[Told, Rehearsal]:
    """The case in rehearsal, with the arms that this user has on Temporal."""
    splits = [step for step in all_steps(case.journey.steps) if isinstance(step, Split)]
    arms = {split.id: arm(split, app, case.journey.name, user).name for split in splits}
    stage = Stage(
        case.journey,
        replace(case.person, user_id=user),
        EventFact("entry", case.journey.entry_names[0], case.starts_at, case.entry, 0, case.starts_at),
        refused=frozenset(step for step, word in case.behaviours.items() if word == "rejected"),
        dead=frozenset(step for step, word in case.behaviours.items() if word == "dead"),
        calls=case.results,
        app=app,
    )
    for number, happening in _in_order(case):
        moment = case.starts_at + happening.after
        match happening.by:
            case "event":
                stage.expect_event(fact(case, number, happening), moment)
            case "advance" | "exit":
                stage.expect_hand(happening.by, moment)
            case "opened" | "clicked":
                seen = EventFact(f"event {number}", f"message_{happening.by}", moment, {"step": _first_send(case)}, number, moment)
                stage.expect_event(seen, moment)
    played = stage.run(arms)
    told = _told(case, stage.progress, played.ended, played.sent, played.skipped)
    entered = [(name, _exact(given)) for name, given in played.entered]
    return replace(told, entered=entered, attributes=_exact(played.attributes)), played


def _told(case: Case, progress: Any, ended: str, sent: list[str], skipped: list[tuple[str, str]]) -> Told:
    reduced = {
        step: (
            event.id if event.name not in case.journey.entry_names else ENTRY,
            event if _is_result(event) else case.journey.reduced(event),
        )
        for step, event in progress.captured.items()
    }
    return Told(
        ended,
        [(record.step, record.visit, record.outcome, record.began_at - case.starts_at) for record in progress.records],
        sent,
        sorted(skipped),
        {step: (name, event.name, _exact(event.properties) if name != ENTRY else {}) for step, (name, event) in sorted(reduced.items())},
    )


def _is_result(event: EventFact) -> bool:
    """What a Call gave, not an event that came."""
    return "/" in event.id


def _exact(value: Any) -> Any:
    """Numbers as the language reads them: Postgres gives 1e22 back as a whole number."""
    match value:
        case Mapping():
            return {key: _exact(each) for key, each in value.items()}
        case list() | tuple():
            return [_exact(each) for each in value]
        case _:
            exact = reading.number(value)
            return value if exact is None else exact.normalize()


def _in_order(case: Case) -> list[tuple[int, Happening]]:
    return list(enumerate(sorted(case.happenings, key=lambda each: each.after), 1))


def _first_send(case: Case) -> str:
    return next((step.id for step in all_steps(case.journey.steps) if isinstance(step, Send)), "none")


@dataclass
class Providers:
    """The far end of every channel, which behaves as each case says; it knows a message by its row in the ledger."""

    database: Database
    cases: dict[str, Case] = field(default_factory=dict)
    tries: dict[Any, int] = field(default_factory=dict)

    async def answer(self, outgoing: Outgoing) -> Receipt:
        async with self.database.transaction() as connection:
            row = (await connection.execute(_ROW, {"id": outgoing.message_id})).one()
        word = self.cases[row.app].behaviours.get(row.step, "ok")
        tried = self.tries[outgoing.message_id] = self.tries.get(outgoing.message_id, 0) + 1
        match word:
            case "rejected" | "dead":
                raise Rejected("550", suppress=word == "dead")
            case "flaky" if tried <= 2:
                raise NotSent("refused the connection")
            case "ambiguous" if tried == 1:
                raise Ambiguous("reset after the request left")
            case _:
                return Receipt(ref=f"{outgoing.message_id}")

    async def called(self, key: str) -> Mapping[str, Any]:
        """The result of a Call, by its idempotency key."""
        enrollment, rest = key.removeprefix("sj_").split("_", 1)
        step, visit = rest.rsplit("_", 1)
        async with self.database.transaction() as connection:
            case = self.cases[(await connection.execute(_APP, {"id": enrollment})).scalar_one()]
        tried = self.tries[key] = self.tries.get(key, 0) + 1
        match case.behaviours.get(step, "ok"):
            case "rejected":
                raise Failed("declined")
            case "flaky" if tried <= 2:
                raise NotNow("busy")
            case _:
                results = case.results.get(step) or [{}]
                return dict(results[min(int(visit), len(results)) - 1])


@dataclass
class Caller:
    """The far end of Calls over HTTP."""

    providers: Providers

    async def call(self, request: Any) -> Mapping[str, Any]:
        return await self.providers.called(request.idempotency_key)


@dataclass
class FarEnd:
    """One channel's adapter."""

    channel: str
    providers: Providers
    name: str = "scripted"

    async def send(self, outgoing: Outgoing) -> Receipt:
        return await self.providers.answer(outgoing)

    async def verify(self) -> None: ...

    async def close(self) -> None: ...


@dataclass
class Worlds:
    """A place where many lives are lived at once, each in an app of its own."""

    database: LogicalDatabase
    client: Client
    skipper: TimeSkipper
    board: Board
    providers: Providers
    entry: Entry
    temporal: Enrollments
    disturbed: set[Any] = field(default_factory=set)

    async def told_on_temporal(self, case: Case, app: str, user: str) -> Told:
        life = _Life(self, case, app, user)
        return await life.lived()

    async def disturb(self, order: Any) -> None:
        """A signal that comes while a local activity runs fails its workflow task: what it did is done again."""
        step, visit = getattr(order, "step", None), getattr(order, "visit", 0)
        case = self.providers.cases[order.app]
        key = (order.app, step, visit)
        if step is None or step.removeprefix("$exit:") not in case.disturbed or key in self.disturbed:
            return
        self.disturbed.add(key)
        await self.handle(order.app).signal("noise", 1)

    def handle(self, app: str) -> WorkflowHandle[Any, Any]:
        return self.client.get_workflow_handle(self.workflows[app])

    workflows: dict[str, str] = field(default_factory=dict)


@dataclass
class _Life:
    worlds: Worlds
    case: Case
    app: str
    user: str

    async def lived(self) -> Told:
        await self._prepare()
        before = [(number, each) for number, each in _in_order(self.case) if each.after <= timedelta(0)]
        for number, happening in before:
            await self._happen(number, happening)
        if not await self._enter():
            raise AssertionError("nobody entered")
        for number, happening in _in_order(self.case)[len(before) :]:
            if await self._pass_until(self.case.starts_at + happening.after):
                break
            await self._happen(number, happening)
        await self._pass_until(None)
        return await self._tell()

    async def _prepare(self) -> None:
        case, person = self.case, self.case.person
        self.worlds.providers.cases[self.app] = case
        async with at(case.starts_at - timedelta(days=60)), self.worlds.database.transaction() as connection:
            run = connection.execute
            await run(text("INSERT INTO apps (id, name) VALUES (:app, :app)"), {"app": self.app})
            for name in ("welcome", "nps"):
                await templates.publish(connection, self.app, name, {"body.txt": "Hello"}, name)
            await journeys.publish(
                connection,
                self.app,
                name=case.journey.name,
                definition=to_json(case.journey).decode(),
                content_hash=content_hash(case.journey),
                entry_names=case.journey.entry_names,
                listen_names=case.journey.signal_names,
            )
            said = [ConsentRecord("sms", "*", "granted", "test")]
            said += [ConsentRecord(channel, "*", "withdrawn", "test") for channel in person.refuses]
            said += [ConsentRecord("*", topic, "withdrawn", "test") for topic in person.unsubscribed_topics]
            known = Incoming(
                "identified",
                case.starts_at - timedelta(days=60),
                name="identified",
                user_id=self.user,
                traits=person.attributes,
                timezone=person.timezone,
                addresses=list(self._addresses()),
                consents=said,
            )
            await accept(connection, self.app, [known], received_at=case.starts_at - timedelta(days=60))

    def _addresses(self) -> list[Address]:
        number = f"+4915{abs(hash(self.app)) % 10**9:09}"
        of = {"email": [f"{self.app}@example.com"], "sms": [number], "push": [f"{self.app}-{n}" for n in range(self.case.devices)]}
        return [Address(channel, address) for channel in self.case.person.channels for address in of.get(channel, [])]

    async def _happen(self, number: int, happening: Happening) -> None:
        moment = self.case.starts_at + happening.after
        match happening.by:
            case "event":
                await self._event(fact(self.case, number, happening), moment)
                if happening.again:
                    await self._event(fact(self.case, number, happening), moment)
            case "advance" | "exit":
                await self._by_hand(happening.by, moment)
            case "opened" | "clicked":
                statement = f"UPDATE messages SET {happening.by}_at = :at WHERE app = :app AND step = :step AND state = 'sent'"
                await self._run(statement, at=moment, app=self.app, step=_first_send(self.case))

    async def _by_hand(self, word: str, moment: datetime) -> None:
        workflow_id = self.worlds.workflows.get(self.app)
        if workflow_id is None:
            return
        self.worlds.board.hands.setdefault(workflow_id, []).append(moment)
        await self._signalled(word, *(["by hand"] if word == "exit" else []))

    async def _signalled(self, *signal: Any) -> None:
        handle = self.worlds.handle(self.app)
        try:
            await handle.signal(*signal)
        except RPCError as error:
            if "already completed" not in str(error):
                raise
        await self._heard()

    async def _heard(self) -> None:
        """A query is answered after every signal before it."""
        if self.app in self.worlds.workflows:
            await asyncio.wait_for(self.worlds.handle(self.app).query("standing"), 30)

    async def _event(self, event: EventFact, moment: datetime) -> None:
        item = Incoming(event.id, event.occurred_at, name=event.name, user_id=self.user, properties=event.properties)
        async with at(moment), self.worlds.database.transaction() as connection:
            await accept(connection, self.app, [item], received_at=moment)
        await self._relay(moment)

    async def _relay(self, moment: datetime) -> None:
        """What the relay does with this app's rows, at this moment."""
        events = (
            "SELECT o.user_id, e.event_id, e.name, e.occurred_at, e.properties, e.seq, e.received_at FROM outbox o JOIN events e"
            " ON e.received_at = o.event_received_at AND e.seq = o.event_seq WHERE o.app = :app ORDER BY o.seq"
        )
        rows = await self._run(events, app=self.app)
        await self._run("DELETE FROM outbox WHERE app = :app AND kind = 'event'", app=self.app)
        for row in rows:
            event = EventFact(row.event_id, row.name, row.occurred_at, row.properties, row.seq, row.received_at)
            async with at(moment), self.worlds.database.transaction() as connection:
                decided = await self.worlds.entry.decide(connection, self.app, row.user_id, event)
            for telling in (*decided.ends, *decided.tells):
                await self.worlds.temporal.tell(telling.enrollment.workflow_id, telling.event)
            for start in decided.starts:
                self.worlds.workflows[self.app] = start.enrollment.workflow_id
                await self.worlds.temporal.start(start)
                await self._run("UPDATE enrollments SET state = 'open' WHERE app = :app AND state = 'starting'", app=self.app)
        await self._heard()

    async def _enter(self) -> bool:
        case = self.case
        await self._event(EventFact(ENTRY, case.journey.entry_names[0], case.starts_at, case.entry), case.starts_at)
        return self.app in self.worlds.workflows

    async def _pass_until(self, moment: datetime | None) -> bool:
        """Let waits end that end before this moment. Returns whether the enrollment is over."""
        name = self.worlds.workflows[self.app]
        handle = self.worlds.handle(self.app)
        while (waiting := await self.worlds.board.settled(name)) is not None:
            if moment is not None and waiting.until >= moment:
                return False
            virtual = await self.worlds.skipper.get_current_time(handle)
            left = max(waiting.fires_at - virtual, timedelta(0)) + timedelta(milliseconds=1)
            try:
                await asyncio.wait_for(self.worlds.skipper.fast_forward(handle, left), 30)
            except RPCError as error:
                if "already completed" not in str(error):
                    raise
            for _ in range(100):
                if self.worlds.board.waiting.get(name) is not waiting:
                    break
                await asyncio.sleep(0.01)
        return True

    async def _run(self, statement: str, **values: Any) -> list[Any]:
        async with self.worlds.database.transaction() as connection:
            done = await connection.execute(text(statement), values)
            return list(done.all()) if done.returns_rows else []

    async def _tell(self) -> Told:
        name = self.worlds.workflows[self.app]
        ended = await asyncio.wait_for(self.worlds.handle(self.app).result(), 30)
        progress = self.worlds.board.players[name].progress
        verdicts = await self._run(
            "SELECT step, visit, verdict FROM step_outcomes WHERE app = :app AND verdict ->> 'kind' = 'send'", app=self.app
        )
        of = {(row.step, row.visit): row.verdict for row in verdicts}
        sends = [of[record.step, record.visit] | {"step": record.step} for record in progress.records if (record.step, record.visit) in of]
        settled = [verdict for verdict in sends if verdict["status"] == "settled"]
        asked = await self._run("SELECT request FROM outbox WHERE app = :app AND kind = 'request' ORDER BY seq", app=self.app)
        people = await self._run("SELECT attributes FROM users WHERE app = :app AND user_id = :user", app=self.app, user=self.user)
        told = _told(
            self.case,
            progress,
            str(ended),
            [verdict["step"] for verdict in settled if verdict["sent"]],
            [(verdict["step"], ", ".join(verdict["reasons"])) for verdict in settled if not verdict["sent"]],
        )
        entered = [(row.request["journey"], _exact(row.request["properties"])) for row in asked]
        return replace(told, entered=entered, attributes=_exact(people[0].attributes))


@asynccontextmanager
async def worlds(database: Database, address: str, patch: pytest.MonkeyPatch, *, cached: int = 20) -> AsyncIterator[Worlds]:
    """Open a place on this database and server. `cached` workflows stay in memory; the others are replayed each time."""
    clocked = await with_logical_clock(database)
    async with clocked.transaction() as connection:
        await connection.exec_driver_sql(_DELIVERED)
        await connection.exec_driver_sql(_AT_ONCE)
    board, providers = Board(), Providers(clocked)
    install(patch, board)
    for module in ("steps", "calling"):
        patch.setattr(f"activities.{module}.FIRST_RETRY", timedelta(milliseconds=20))
    queue = f"worlds-{uuid4().hex[:12]}"
    client = await Client.connect(address, data_converter=pydantic_data_converter)
    skipper = TimeSkipper(client, config=TimeSkippingConfig(enabled=False, max_session_skip_count=5000))
    delivery = Delivery(
        adapters={channel: FarEnd(channel, providers, f"scripted-{channel}") for channel in CHANNELS},
        renderer=PlainRenderer(),
        unsubscribe_url=lambda *_: "https://example.com/leave",
        allowed_recipients=None,
        timing=Timing(endpoint_wait=timedelta(0), unknown_wait=timedelta(0), local_s=8.0),
        gates=Gates(Bounds(failures=10**9, local_slots=200)),
    )
    temporal, entry = Enrollments(skipper.client, queue), Entry(Definitions())
    made = Worlds(clocked, client, skipper, board, providers, entry, temporal)
    messages = Messages(clocked, delivery, exit_conditions_hold)

    async def function(call: FunctionCall) -> Mapping[str, Any]:
        return await providers.called(call.idempotency_key)

    calls = Calls(clocked, Caller(providers), {"open_support_ticket": function}, exit_conditions_hold)  # type: ignore[arg-type]
    worker = Worker(
        client,
        task_queue=queue,
        workflows=[JourneyWorkflow],
        activities=[*Steps(clocked).activities(), *Changes(clocked).activities(), *calls.activities(), *deliveries(messages)],
        workflow_runner=UnsandboxedWorkflowRunner(),
        max_cached_workflows=cached,
        interceptors=[LogicalTime(made.disturb)],
        max_concurrent_workflow_tasks=50,
    )
    try:
        async with worker:
            yield made
    finally:
        await messages.drain()
        await clocked.close()
