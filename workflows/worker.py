"""A worker process: Temporal's worker, and beside it relay, reconciler, schedules, lanes, sweeper, reports and the monthly partitions."""

import asyncio
import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import uuid4

import structlog
from prometheus_client import start_http_server
from temporalio.client import Client
from temporalio.worker import PollerBehaviorSimpleMaximum, UnsandboxedWorkflowRunner, Worker, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from activities.campaigns.journal import Journal
from activities.campaigns.lanes import CampaignLanes
from activities.campaigns.lanes import House as Campaigns
from activities.campaigns.planning import CampaignRuns
from activities.campaigns.recovering import JournalLane
from activities.dates import DateLane
from activities.direct import DirectLane
from activities.entering import EnteringLane
from activities.hits import HitLane
from activities.imports.places import Places
from activities.jobs.catalogue import KINDS
from activities.jobs.runner import Jobs
from activities.jobs.work import Work
from activities.one_time_codes import CodeLane, Pepper
from activities.reputation import ReputationLane
from activities.schedules import Schedules
from activities.steps import Steps, deliveries
from activities.unknowns import Sweeper
from settings import Settings
from storage.database import Database
from storage.listen import listen
from storage.notify import DIRECT, OUTBOX
from workflows import housekeeping
from workflows.campaign_clock import CampaignClock
from workflows.campaign_run import CampaignRunWorkflow
from workflows.campaign_starter import CampaignStarter, attend_campaigns
from workflows.client import Enrollments, connect
from workflows.definitions import Definitions
from workflows.entry import Entry
from workflows.erasures import Erasures
from workflows.errands import Errands, errands
from workflows.hands import Hands, asking, hands
from workflows.job import JobWorkflow
from workflows.job_starter import JobStarter, attend
from workflows.journey import JourneyWorkflow
from workflows.reconciler import Reconciler
from workflows.relay import Relay
from workflows.reports import ReportLane
from workflows.schedule import ScheduleWorkflow
from workflows.schedule_keeper import ScheduleKeeper

log = structlog.get_logger()

PASSED_THROUGH = (
    "journeys",
    "activities.campaigns.order",
    "activities.jobs.order",
    "activities.errands",
    "activities.move_orders",
    "activities.orders",
    "activities.questions",
    "activities.schedule_order",
    "workflows.inputs",
    "pydantic",
    "pydantic_core",
    "structlog",
    "orjson",
)
DRAIN = timedelta(seconds=25)
# Temporal's library now and then does not let go of a worker that has nothing left to do.
LONGEST_STOP = DRAIN + timedelta(seconds=10)
RECONNECT_S = 1.0
# Campaigns are sent from a queue of their own.
BULK = "-bulk"
BULK_HANDS = 2
POOL = 24
# Lanes wait for Postgres only a part of their time.
LANES_POOL = 12
PATIENT_POOL = 4
LONGEST_STATEMENT_S = 14 * 60.0
# Many sends at once queue for a connection; only a database that is away makes them wait this long.
POOL_WAIT_S = 5.0


def temporal_worker(
    client: Client,
    task_queue: str,
    activities: list[Callable[..., Any]],
    *,
    max_cached_workflows: int = 5000,
    runner: WorkflowRunner | None = None,
) -> Worker:
    """The Temporal worker of one process, set for many short workflow tasks that hold a Send each.

    It runs without the sandbox, which costs a millisecond a task; tests and replays pass `sandbox()`, which finds what must not be.
    """
    return Worker(
        client,
        task_queue=task_queue,
        workflows=[JourneyWorkflow, JobWorkflow, CampaignRunWorkflow, ScheduleWorkflow],
        activities=activities,
        workflow_runner=runner or UnsandboxedWorkflowRunner(),
        max_cached_workflows=max_cached_workflows,
        max_concurrent_workflow_tasks=200,
        max_concurrent_local_activities=400,
        max_concurrent_activities=200,
        workflow_task_poller_behavior=PollerBehaviorSimpleMaximum(40 if max_cached_workflows else 10),
        activity_task_poller_behavior=PollerBehaviorSimpleMaximum(40),
        workflow_task_executor=ThreadPoolExecutor(4),
        # A cancellation is heard of with a heartbeat; the usual throttle would let a call run on for 12 seconds.
        max_heartbeat_throttle_interval=timedelta(seconds=2),
        graceful_shutdown_timeout=DRAIN,
    )


def bulk_worker(client: Client, task_queue: str, lanes: CampaignLanes) -> Worker:
    """Beside it: few hands, so that processes share a campaign evenly and what is urgent finds others free."""
    return Worker(
        client,
        task_queue=f"{task_queue}{BULK}",
        activities=lanes.activities(),
        max_concurrent_activities=BULK_HANDS,
        activity_task_poller_behavior=PollerBehaviorSimpleMaximum(2),
        max_heartbeat_throttle_interval=timedelta(seconds=2),
        graceful_shutdown_timeout=DRAIN,
    )


def sandbox() -> SandboxedWorkflowRunner:
    """The sandbox of tests and replays: the language passes through, so it is loaded once."""
    return SandboxedWorkflowRunner(restrictions=SandboxRestrictions.default.with_passthrough_modules(*PASSED_THROUGH))


async def run(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT, then finish what is being sent. A server that is away at the start is waited for.

    What has not ended LONGEST_STOP later ends the process: whatever it held is met again by others.
    """
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    if settings.worker_metrics_port:
        start_http_server(settings.worker_metrics_port, addr="0.0.0.0")  # noqa: S104 - scraped from another container
    client = await _connected(settings, stopping)
    if client is None:
        return
    pools = _Pools.of(settings)
    try:
        await _work(settings, client, pools, stopping)
    finally:
        await pools.close()


@dataclass(frozen=True)
class _Pools:
    """`planned_once` is for lanes: of the statements of a chunk the planning alone took a quarter of Postgres's time.

    `patient` is for what is done with a million people in one statement.
    """

    usual: Database
    planned_once: Database
    patient: Database

    @classmethod
    def of(cls, settings: Settings) -> "_Pools":
        pool = partial(Database, settings.database_url, wait_s=POOL_WAIT_S, suppression_keys=settings.plain_suppression_keys)
        planned_once = pool(pool_size=LANES_POOL, keeps_plans=True)
        return cls(pool(pool_size=POOL), planned_once, pool(pool_size=PATIENT_POOL, statement_s=LONGEST_STATEMENT_S))

    async def close(self) -> None:
        for each in (self.usual, self.planned_once, self.patient):
            await each.close()


async def _work(settings: Settings, client: Client, pools: _Pools, stopping: asyncio.Event) -> None:
    out = errands(settings, pools.usual)
    made = hands(settings, pools.usual, out.functions)
    try:
        await _with_hands(settings, client, pools, stopping, made, out)
    finally:
        await made.close()
        await out.close()


async def _with_hands(settings: Settings, client: Client, pools: _Pools, stopping: asyncio.Event, made: Hands, out: Errands) -> None:
    database = pools.usual
    process_id = uuid4()
    temporal = Enrollments(client, settings.temporal_task_queue)
    entry = Entry(Definitions(), wait_scale=settings.wait_scale, hash_user_ids=settings.hash_user_ids)
    relay = Relay(database, temporal, entry, process_id, functions=sorted(out.functions))
    places = Places(settings.file_places)
    jobs = Jobs(Work(database, client, settings.temporal_task_queue, places=places, file_limit=settings.file_limit), KINDS)
    let_in = Schedules(pools.patient, per_second=settings.entries_per_second)
    activities = [
        *Steps(database).activities(),
        *out.activities(),
        *deliveries(made.messages),
        *jobs.activities(),
        *CampaignRuns(pools.patient).activities(),
        *let_in.activities(),
    ]
    journals = settings.journals
    Journal(journals).close()  # a folder that cannot be written to is told now, and not in the middle of a campaign
    lanes_of_campaigns = CampaignLanes(Campaigns(pools.planned_once, made.delivery, journals))
    worker = temporal_worker(client, settings.temporal_task_queue, activities)
    woken = asyncio.Event()
    bulk = bulk_worker(client, settings.temporal_task_queue, lanes_of_campaigns)
    async with worker, bulk, asyncio.TaskGroup() as group:
        log.info("worker ready", process=str(process_id))
        group.create_task(listen(settings.database_url, OUTBOX, relay.wake.set, stopping))
        group.create_task(listen(settings.database_url, DIRECT, woken.set, stopping))
        group.create_task(relay.run(stopping))
        group.create_task(Reconciler(database, client, temporal, entry).run(stopping))
        group.create_task(Erasures(database, client).run(stopping))
        group.create_task(housekeeping.run(database, stopping))
        group.create_task(ReportLane(database).run(stopping))
        group.create_task(CampaignClock(database, CampaignStarter(client, settings.temporal_task_queue)).run(stopping))
        group.create_task(attend_campaigns(database, CampaignStarter(client, settings.temporal_task_queue), stopping))
        group.create_task(ScheduleKeeper(database, client, settings.temporal_task_queue).run(stopping))
        group.create_task(attend(database, JobStarter(client, settings.temporal_task_queue), stopping))
        lanes = [
            group.create_task(DirectLane(database, made.delivery, woken).run()),
            group.create_task(Sweeper(database, made.delivery.timing, asking(settings, database)).run()),
            group.create_task(CodeLane(database, Pepper(settings.secret.get_secret_value()), woken).run()),
            group.create_task(HitLane(database, made.notify).run()),
            group.create_task(ReputationLane(database).run()),
            group.create_task(JournalLane(database, journals, made.delivery.timing).run()),
            group.create_task(DateLane(database, per_second=settings.entries_per_second).run()),
            group.create_task(EnteringLane(pools.planned_once, made.notify).run()),
        ]
        await stopping.wait()
        asyncio.get_running_loop().call_later(LONGEST_STOP.total_seconds(), _end_now)
        for lane in lanes:
            lane.cancel()
        log.info("worker stops", process=str(process_id))
        # Both at once: one after the other each would take DRAIN for itself.
        await asyncio.gather(worker.shutdown(), bulk.shutdown())


def _end_now() -> None:
    log.error("worker ends without waiting longer", reason="it was told to stop, and something in it does not end")
    os._exit(1)


async def _connected(settings: Settings, stopping: asyncio.Event) -> Client | None:
    while not stopping.is_set():
        try:
            return await connect(settings.plain_payload_keys)
        except RuntimeError as error:
            log.warning("waiting for Temporal", reason=str(error)[:200])
            await _pause(stopping, RECONNECT_S)
    return None


async def _pause(stopping: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(stopping.wait(), seconds)
    except TimeoutError:
        return
