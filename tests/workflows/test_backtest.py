"""Backtests as jobs, over what stands in Postgres: the purchases of 23,570 real customers, and a few made-up people."""

import os
import resource
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import TypeAdapter
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from activities.jobs.catalogue import KINDS
from journeys.language import (
    If,
    Journey,
    Send,
    Wait,
    days,
    did,
    did_not,
    email,
    event,
    prop,
    segment,
)
from journeys.language.codec import to_json
from journeys.language.conditions import Condition
from storage import jobs
from storage.database import Database
from storage.events import Incoming, accept
from tests.api.test_history_import import DATA, purchases
from tests.workflows.cdnow_by_hand import counts
from tests.workflows.test_job import Bench

UNTIL = datetime(1998, 7, 1, tzinfo=UTC)
LAPSED = did("order_placed") & did_not("order_placed", last=days(90))
WIN_BACK = Journey(
    "win-back",
    starts_on=segment("lapsed"),
    exits_on=event("order_placed"),
    goal=event("order_placed").within(days(30)),
    again_after=days(180),
    holdout=10,
    steps=[
        Send("missed", email("we-miss-you")),
        Wait("think", days(5)),
        If(
            "valuable",
            did("order_placed", at_least=200, total=prop("total")),
            then=[Send("offer", email("win-back-20"))],
            otherwise=[Send("news", email("whats-new"))],
        ),
    ],
)


@pytest.fixture
async def bench(database: Database, temporal: str) -> AsyncIterator[Bench]:
    made = Bench(database, await Client.connect(temporal, data_converter=pydantic_data_converter), temporal)
    yield made
    made.cores.close(wait=True)


async def backtest(bench: Bench, journey: Journey, **parameters: Any) -> jobs.Job:
    async with bench.database.transaction("demo") as connection:
        job = await jobs.create(connection, "demo", "backtest", {"definition": to_json(journey).decode(), **parameters})
    async with bench.worker(KINDS):
        await bench.starter.start("demo", job.id)
        return await bench.until(job.id, lambda job: job.state != "running", within_s=120)


async def import_purchases(database: Database) -> None:
    rows = list(purchases())
    for start in range(0, len(rows), 5_000):
        items = [
            Incoming(
                name="order_placed",
                user_id=row.customer,
                event_id=f"{row.customer}-{row.day}-{row.ordinal}",
                occurred_at=datetime.combine(row.day, datetime.min.time(), UTC),
                properties={"total": float(row.dollars)},
            )
            for row in rows[start : start + 5_000]
        ]
        async with database.transaction() as connection:
            await accept(connection, "demo", items, received_at=datetime.now(UTC), is_history=True)


async def test_a_win_back_over_all_customers_counts_what_a_script_by_hand_counts(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    await import_purchases(bench.database)
    began, cpu = time.monotonic(), cpu_s()
    job = await backtest(bench, WIN_BACK, until=UNTIL.isoformat(), entering=as_json(LAPSED), as_if_reachable=True)
    took = time.monotonic() - began
    bench.cores.close(wait=True)
    burned = cpu_s() - cpu
    with capsys.disabled():
        print(f"\nbacktest: 23,570 people in {took:.1f} s, {burned:.1f} s of CPU, load {os.getloadavg()[0]:.1f}")  # noqa: T201
    assert (job.state, job.done, job.total) == ("done", 23_570, 23_570)
    assert as_by_hand(job.result["counts"]) == counts(DATA / "cdnow_master.txt.gz", "demo")
    # Far above what it takes on a busy machine: a bound on how it grows, not a measure.
    assert took < 120


def as_json(condition: Any) -> Any:
    return TypeAdapter(Condition).dump_python(condition, mode="json", exclude_none=True)


def as_by_hand(tally: Any) -> Any:
    """The job's counts under the script's names."""
    goal = {f"{who} {outcome}": count for who, counted in tally["goal"].items() for outcome, count in counted.items()}
    refused = {"refused": sum(tally["refused"].values())}
    return {
        "total": {"entered": tally["entered"], "held_out": tally["held_out"], **refused, **goal},
        "by_day": {(day, step): count for day, steps in tally["sent_on"].items() for step, count in steps.items()},
        "ended": {**tally["ended"], "still inside": tally["still_inside"]},
    }


def cpu_s() -> float:
    """CPU seconds of this process and its children that have ended; Postgres and Temporal are not among them."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)
