"""Journeys that start on a schedule, on a real Postgres and with the schedules of a real Temporal server."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from temporalio.client import Client, ScheduleDescription, ScheduleHandle
from temporalio.service import RPCError
from temporalio.testing import ActivityEnvironment
from temporalio.worker import Worker

from activities import schedules as activity
from activities.schedule_order import ScheduleOrder
from activities.schedules import Schedules, Struck, strikes
from journeys.language import Journey, Wait, at, cron, days, every, minutes, on, once, schedule, trait
from journeys.language.codec import condition_hash, condition_to_json, from_json, to_json
from journeys.language.entries import ScheduleEntry
from journeys.language.segments import mentions
from storage import journeys, segment_people, segments
from storage import schedules as stored
from storage.schedules import Run
from tests.workflows.stage import Stage
from workflows.schedule import ScheduleWorkflow
from workflows.schedule_keeper import ScheduleKeeper, schedule_id
from workflows.schedule_specs import spec_of
from workflows.worker import sandbox

HOUR = timedelta(hours=1)
ROOT = Path(__file__).parents[2]


@dataclass
class House:
    """An app with a segment of gold members, and whatever keeps schedules."""

    scene: Stage
    queue: str = field(default_factory=lambda: f"test-{uuid4().hex[:12]}")
    journey: str = field(default_factory=lambda: f"news-{uuid4().hex[:8]}")
    """Tests share a Temporal server, and schedules are named for the journey."""

    @property
    def client(self) -> Client:
        return self.scene.client

    @property
    def keeper(self) -> ScheduleKeeper:
        keeper = ScheduleKeeper(self.scene.database, self.client, self.queue)
        keeper._compared_at = float("inf")
        return keeper

    @property
    def handle(self) -> ScheduleHandle:
        return self.client.get_schedule_handle(schedule_id("demo", self.journey))

    async def described(self) -> ScheduleDescription | None:
        try:
            return await self.handle.describe()
        except RPCError:
            return None

    async def publish(self, entry: ScheduleEntry, **more: Any) -> None:
        await self.scene.publish(Journey(self.journey, starts_on=entry, steps=[Wait("a_while", days(1))], **more))

    async def people(self, *names: str, zone: str | None = None) -> None:
        for name in names:
            item = self.scene.item("identified", name, traits={"plan": "gold"}, timezone=zone)
            await self.scene.accept(item)

    async def back(self, by: timedelta) -> None:
        """The schedule has not been looked after for so long."""
        await self.scene.execute(
            "UPDATE schedules SET struck_until = struck_until - CAST(:by AS interval), attended_at = attended_at - CAST(:by AS interval)",
            by=by,
        )

    async def run_out(self, **how: Any) -> None:
        """What the workflow has done, without it."""
        hands = Schedules(self.scene.database, **how)
        while await hands.one_round(ScheduleOrder("demo", self.journey)):
            continue
        await self.scene.relay_all()

    async def runs(self) -> list[Run]:
        async with self.scene.database.transaction("demo") as connection:
            return list(reversed(await stored.page(connection, "demo", self.journey)))

    async def entered(self) -> list[str]:
        rows = await self.scene.execute("SELECT subject FROM enrollments WHERE journey = :name ORDER BY subject", name=self.journey)
        return [row.subject.rpartition("-")[0] for row in rows]

    async def until(self, holds: Any, within_s: float = 30) -> None:
        async with asyncio.timeout(within_s):
            while not await holds():  # noqa: ASYNC110 - another process may move it
                await asyncio.sleep(0.1)

    @asynccontextmanager
    async def worker(self, **how: Any) -> AsyncIterator[None]:
        hands = Schedules(self.scene.database, **how).activities()
        async with Worker(self.client, task_queue=self.queue, workflows=[ScheduleWorkflow], activities=hands, workflow_runner=sandbox()):
            yield


@pytest.fixture
async def house(scene: Stage) -> AsyncIterator[House]:
    made = House(scene)
    condition = trait("plan") == "gold"
    async with scene.database.transaction("demo") as connection:
        written = condition_to_json(condition).decode()
        await segments.publish(connection, "demo", "gold", written, condition_hash(condition), mentions(condition))
    yield made
    if await made.described() is not None:
        await made.handle.delete()


def soon(entry: ScheduleEntry, seconds: int) -> ScheduleEntry:
    """The same every few seconds, which an author may not write."""
    stored_entry = {"kind": "interval", "every": {"kind": "duration", "seconds": seconds}}
    written = json.loads(to_json(Journey("x", starts_on=entry, steps=[Wait("w", days(1))])))
    written["starts_on"]["when"] = stored_entry
    found = from_json(json.dumps(written)).starts_on
    assert isinstance(found, ScheduleEntry)
    return found


async def publish_unchecked(house: House, entry: ScheduleEntry) -> None:
    journey = Journey(house.journey, starts_on=schedule(every(minutes(1)), segment="gold"), steps=[Wait("a_while", days(1))])
    definition = json.loads(to_json(journey))
    definition["starts_on"]["when"] = {"kind": "interval", "every": {"kind": "duration", "seconds": entry.when.every.seconds}}  # type: ignore[union-attr]
    async with house.scene.database.transaction("demo") as connection:
        await journeys.publish(
            connection, "demo", name=house.journey, definition=json.dumps(definition), content_hash="h", entry_names=(), listen_names=()
        )


# Through Temporal ------------------------------------------------------------------------------------------------------


async def test_temporal_strikes_and_everybody_of_the_segment_enters_once(house: House) -> None:
    await house.people("ann", "ben")
    await house.scene.accept(house.scene.item("identified", "cem", traits={"plan": "silver"}))
    await publish_unchecked(house, soon(schedule(every(minutes(1)), segment="gold"), 2))
    await house.keeper.look()
    async with house.worker():

        async def two_are_done() -> bool:
            return [run.state for run in await house.runs()].count("done") >= 2

        await house.until(two_are_done)
    await house.scene.relay_all()
    assert await house.entered() == ["ann", "ben"]
    done = [run for run in await house.runs() if run.state == "done"]
    assert {(run.people, run.asked) for run in done} == {(2, 2)}


async def test_publishing_makes_changes_and_retiring_deletes_the_schedule(house: House) -> None:
    await house.publish(schedule(at("09:00"), segment="gold", zone="Europe/Berlin"))
    assert await house.described() is None
    await house.keeper.look()
    made = await house.described()
    assert made is not None
    assert made.schedule.spec.time_zone_name == "Europe/Berlin"
    assert [each.astimezone(UTC).minute for each in made.info.next_action_times[:2]] == [0, 0]
    await house.publish(schedule(on("monday", "10:30"), segment="gold", zone="Europe/Berlin"))
    await house.keeper.look()
    changed = await house.described()
    assert changed is not None
    assert changed.info.next_action_times[0].strftime("%a %M") == "Mon 30"
    async with house.scene.database.transaction("demo") as connection:
        await journeys.retire(connection, "demo", [house.journey])
    await house.keeper.look()
    assert await house.described() is None
    await house.publish(schedule(on("monday", "10:30"), segment="gold", zone="Europe/Berlin"))
    await house.keeper.look()
    assert await house.described() is not None


async def test_a_keeper_that_dies_between_temporal_and_postgres_leaves_nothing_behind(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.publish(schedule(at("09:00"), segment="gold"))
    whole = stored.mark_made

    async def dying(connection: Any, app: str, journey: str, made_from: str | None) -> None:
        if made_from:
            raise RuntimeError("killed")
        await whole(connection, app, journey, made_from)

    monkeypatch.setattr(stored, "mark_made", dying)
    with pytest.raises(RuntimeError):
        await house.keeper.look()
    monkeypatch.setattr(stored, "mark_made", whole)
    assert await house.described() is not None
    async with house.scene.database.transaction("demo") as connection:
        await journeys.retire(connection, "demo", [house.journey])
    await house.keeper.look()
    assert await house.described() is None


async def test_what_temporal_has_lost_is_made_again_and_what_is_of_no_journey_is_deleted(house: House) -> None:
    await house.publish(schedule(at("09:00"), segment="gold"))
    await house.keeper.look()

    async def is_listed(there: bool = True) -> bool:
        return (schedule_id("demo", house.journey) in await house.keeper._at_temporal()) is there

    await house.until(is_listed)
    await house.handle.delete()
    await house.until(lambda: is_listed(there=False))
    await house.keeper.compare()
    await house.keeper.look()
    assert await house.described() is not None
    await house.until(is_listed)
    await house.scene.execute("DELETE FROM schedules")
    await house.keeper.compare()
    assert await house.described() is None


async def test_a_strike_that_temporal_did_not_make_is_made_up_for(house: House) -> None:
    await house.people("ann")
    await house.publish(schedule(at("09:00"), segment="gold", zone="UTC"))
    await house.keeper.look()
    await house.back(timedelta(hours=23))
    await house.scene.execute("UPDATE schedules SET struck_until = date_trunc('day', now()) + interval '8 hours' - interval '1 day'")
    async with house.worker():
        await house.keeper.look()

        async def is_done() -> bool:
            return [run.state for run in await house.runs()] == ["done"]

        await house.until(is_done)
    await house.scene.relay_all()
    assert await house.entered() == ["ann"]


async def test_one_that_somebody_paused_at_temporal_is_not_woken(house: House) -> None:
    await house.publish(schedule(at("09:00"), segment="gold", zone="UTC"))
    await house.keeper.look()
    await house.handle.pause()
    await house.scene.execute("UPDATE schedules SET struck_until = date_trunc('day', now()) + interval '8 hours' - interval '1 day'")
    async with house.worker():
        await house.keeper.look()
        await asyncio.sleep(1)
    assert await house.runs() == []


@pytest.mark.crash
async def test_a_worker_that_is_killed_while_people_come_in_loses_nobody(house: House, database_url: str, temporal: str) -> None:
    """A SIGKILL between asking some and the commit of it; Temporal notices the silence, and another worker goes on."""
    names = [f"user {number}" for number in range(6)]
    await house.people(*names)
    await house.publish(schedule(every(minutes(1)), segment="gold", per_second=2))
    await house.keeper.look()
    await house.back(timedelta(minutes=2))
    victim = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.workflows.schedule_victim",
        database_url,
        temporal,
        house.queue,
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        await house.handle.trigger()
        assert victim.stdout is not None
        assert await asyncio.wait_for(victim.stdout.readline(), 60) == b"here\n"
    finally:
        victim.kill()
        await victim.communicate()
    assert [run.asked for run in await house.runs()] == [2], "of the second round nothing is committed"
    async with house.worker():
        await everybody_came_in_once(house, names)


async def everybody_came_in_once(house: House, names: list[str]) -> None:
    async def is_over() -> bool:
        return (await house.runs())[0].state == "done"

    await house.until(is_over, 120)
    await house.scene.relay_all()
    assert await house.entered() == names
    assert (await house.runs())[0].asked == len(names)


async def test_a_worker_that_stops_while_people_come_in_leaves_the_rest_to_the_next(house: House) -> None:
    names = [f"user {number}" for number in range(6)]
    await house.people(*names)
    await house.publish(schedule(every(minutes(1)), segment="gold", per_second=2))
    await house.keeper.look()
    await house.back(timedelta(minutes=2))
    async with house.worker():
        await house.handle.trigger()

        async def has_begun() -> bool:
            return any(run.asked for run in await house.runs())

        await house.until(has_begun)
    async with house.worker():
        await house.scene.execute("UPDATE schedules SET attended_at = now() - interval '10 minutes'")
        await house.keeper.look()
        await everybody_came_in_once(house, names)


# What strikes, and who is asked ----------------------------------------------------------------------------------------


async def test_each_zone_strikes_at_its_own_time_and_who_has_no_zone_is_in_that_of_the_app(house: House) -> None:
    now = datetime.now(UTC)
    await house.people("london", zone="Etc/UTC")
    await house.people("tokyo", zone="Asia/Tokyo")
    await house.people("nowhere")
    await house.scene.execute("UPDATE apps SET settings = CAST(:settings AS jsonb)", settings={"timezone": "Asia/Tokyo"})
    clock = (now + timedelta(hours=9) - timedelta(minutes=2)).strftime("%H:%M")
    await house.publish(schedule(at(clock), segment="gold"))
    await house.back(timedelta(minutes=5))
    await house.run_out()
    assert await house.entered() == ["nowhere", "tokyo"]
    [run] = await house.runs()
    assert (run.people, run.state, "Asia/Tokyo" in run.zones, "Europe/London" in run.zones) == (2, "done", True, False)


async def test_of_several_times_that_were_missed_the_last_counts_unless_it_is_too_late(house: House) -> None:
    await house.people("ann")
    await house.publish(schedule(every(minutes(60)), segment="gold"))
    await house.back(timedelta(hours=5))
    await house.run_out()
    [run] = await house.runs()
    assert (run.state, datetime.now(UTC) - run.struck_at < HOUR) == ("done", True)
    await house.publish(schedule(on((datetime.now(UTC) - timedelta(days=2)).strftime("%A").lower(), "00:00"), segment="gold", zone="UTC"))  # type: ignore[arg-type]
    await house.back(timedelta(days=3))
    await house.run_out()
    assert [(run.state, run.reason) for run in (await house.runs())[1:]] == [("skipped", "too_late")]


async def test_no_more_people_a_second_are_asked_than_it_says(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a clock that moves only while the activity rests between two rounds."""
    await house.people(*(f"user {number}" for number in range(5)))
    await house.publish(schedule(every(minutes(60)), segment="gold", per_second=2))
    await house.back(timedelta(hours=1))
    clock = Clock(house)
    monkeypatch.setattr(activity, "time", clock)
    monkeypatch.setattr(activity, "asyncio", clock)
    hands = Schedules(house.scene.database)
    assert not await ActivityEnvironment().run(hands.let_in, ScheduleOrder("demo", house.journey))
    assert clock.asked == [(1.0, 0), (2.0, 2), (3.0, 4), (4.0, 5)], "by each second so many in all"


@dataclass
class Clock:
    """Time and sleep as the activity knows them; it notes how many people were asked by when."""

    house: House
    now: float = 0.0
    asked: list[tuple[float, int]] = field(default_factory=list)

    def monotonic(self) -> float:
        return self.now

    def create_task(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """The heart, which is not what is looked at here."""
        work.close()
        return asyncio.create_task(asyncio.sleep(0))

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.asked.append((self.now, (await self.house.runs())[0].asked))


@pytest.mark.parametrize(("overlap", "second"), [(None, ("skipped", "overlap")), ("wait", ("struck", None))])
async def test_while_people_of_the_time_before_come_in_the_next_is_passed_over_or_waits(
    house: House, overlap: Any, second: tuple[str, str | None]
) -> None:
    await house.people("ann", "ben")
    await house.publish(schedule(every(minutes(60)), segment="gold", per_second=1, overlap=overlap))
    await house.back(timedelta(hours=1))
    hands = Schedules(house.scene.database)
    for _ in range(2):
        await hands.one_round(ScheduleOrder("demo", house.journey))
    await house.back(timedelta(hours=1))
    await hands.one_round(ScheduleOrder("demo", house.journey))
    assert [(run.state, run.reason) for run in await house.runs()][1:] == [second]


async def test_in_other_zones_the_next_time_is_not_passed_over(house: House) -> None:
    await house.publish(schedule(at("09:00"), segment="gold"))
    async with house.scene.database.transaction() as connection:
        live = await stored.get(connection, "demo", house.journey)
    assert live is not None
    morning = datetime(2026, 11, 26, 8, 0, 30, tzinfo=UTC)
    busy = Run(1, morning, ["Europe/Berlin"], "running", None, 9, 1, morning, None)
    found = activity.strikes(replace(live, struck_until=morning - timedelta(minutes=1)), [busy], morning)
    assert {(each.skipped, "Europe/Berlin" in each.zones, "Europe/Paris" in each.zones) for each in found} == {
        (None, False, True),
        ("overlap", True, False),
    }


async def test_who_is_in_is_decided_when_it_strikes(house: House) -> None:
    await house.people("ann", "ben")
    await house.publish(schedule(every(minutes(60)), segment="gold", per_second=1))
    await house.back(timedelta(hours=1))
    hands = Schedules(house.scene.database)
    await hands.one_round(ScheduleOrder("demo", house.journey))
    await house.scene.accept(house.scene.item("identified", "ben", traits={"plan": "silver"}))
    await house.people("cem")
    await house.run_out()
    assert await house.entered() == ["ann", "ben"]


async def test_a_journey_that_takes_nobody_in_passes_over_what_strikes(house: House) -> None:
    await house.people("ann")
    await house.publish(schedule(every(minutes(60)), segment="gold"))
    await house.scene.execute("UPDATE journeys SET accepts_entries = false")
    await house.back(timedelta(hours=1))
    await house.run_out()
    assert [(run.state, run.reason) for run in await house.runs()] == [("skipped", "entries_closed")]
    assert await house.entered() == []


async def test_a_journey_that_is_retired_asks_nobody_of_those_who_are_left(house: House) -> None:
    await house.people("ann", "ben", "cem")
    await house.publish(schedule(every(minutes(60)), segment="gold", per_second=1))
    await house.back(timedelta(hours=1))
    hands = Schedules(house.scene.database)
    for _ in range(2):
        await hands.one_round(ScheduleOrder("demo", house.journey))
    async with house.scene.database.transaction("demo") as connection:
        await journeys.retire(connection, "demo", [house.journey])
    assert not await hands.one_round(ScheduleOrder("demo", house.journey))
    assert [(run.state, run.reason, run.asked) for run in await house.runs()] == [("skipped", "retired", 1)]
    assert await house.scene.execute("SELECT FROM schedule_people") == []


async def test_publishing_the_same_again_changes_nothing_and_another_time_strikes_from_now_on(house: House) -> None:
    await house.publish(schedule(at("09:00"), segment="gold"))
    await house.back(timedelta(days=2))
    before = await house.scene.execute("SELECT struck_until FROM schedules")
    await house.publish(schedule(at("09:00"), segment="gold"), again_after=days(3))
    assert await house.scene.execute("SELECT struck_until FROM schedules") == before
    await house.publish(schedule(at("10:00"), segment="gold"))
    assert (await house.scene.execute("SELECT struck_until > now() - interval '1 minute' AS is_new FROM schedules"))[0].is_new


async def test_a_segment_that_cannot_be_read_lets_nobody_in_and_says_so(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    await house.publish(schedule(every(minutes(60)), segment="gold"))
    await house.back(timedelta(hours=1))

    async def slow(*_: Any) -> int:
        raise segment_people.TooSlow

    monkeypatch.setattr(segment_people, "gather", slow)
    await house.run_out()
    assert [(run.state, run.reason) for run in await house.runs()] == [("skipped", "segment_too_slow")]


@pytest.mark.parametrize(
    ("entry", "times"),
    [
        (schedule(cron("15 9 13 * fri"), segment="gold", zone="UTC"), {"09:15"}),
        (schedule(cron("15 9 L * *"), segment="gold", zone="UTC"), {"09:15"}),
        (schedule(once("2031-12-01T09:00"), segment="gold", zone="Asia/Tokyo"), {"00:00"}),
        (schedule(at("09:10"), segment="gold"), {f"{hour:02}:{minute}" for hour in range(24) for minute in (10, 25, 40, 55)}),
        (schedule(once("2031-12-01T09:00"), segment="gold"), None),
        (schedule(every(minutes(90)), segment="gold"), None),
    ],
)
async def test_temporal_takes_each_kind_of_schedule(house: House, entry: ScheduleEntry, times: set[str] | None) -> None:
    await house.publish(entry)
    await house.keeper.look()
    made = await house.described()
    assert made is not None
    coming: Sequence[datetime] = made.info.next_action_times
    assert coming
    assert times is None or {f"{each.astimezone(UTC):%H:%M}" for each in coming} <= times


@pytest.mark.parametrize(("days", "woken"), [("L", {28, 29, 30, 31}), ("15,L", {15, 28, 29, 30, 31}), ("31", {31})])
def test_temporal_wakes_on_every_day_that_may_be_the_last(days: str, woken: set[int]) -> None:
    [calendar] = spec_of(schedule(cron(f"15 9 {days} * *"), segment="gold", zone="UTC")).calendars
    assert {each.start for each in calendar.day_of_month} == woken


def test_of_the_days_on_which_it_wakes_only_the_last_one_strikes() -> None:
    entry = schedule(cron("15 9 L * *"), segment="gold", zone="UTC")
    nights = [datetime(2027, 1, day, tzinfo=UTC) for day in range(28, 32)]
    rows = [stored.Schedule("demo", "news", entry, "", night, None, is_gone=False, accepts_entries=True) for night in nights]
    struck = [strikes(row, [], row.struck_until + 10 * HOUR) for row in rows]
    assert struck == [[], [], [], [Struck(datetime(2027, 1, 31, 9, 15, tzinfo=UTC), ())]]
