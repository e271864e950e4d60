"""Lets in everybody of a segment when a schedule strikes: notes where it struck, writes down who is in, and asks some each second.

What struck is decided here, from the row and the database's clock, and not by the workflow that was started: a start that is lost, late or
done twice changes nothing.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from temporalio import activity

from activities.dates import PER_SECOND
from activities.schedule_order import ScheduleOrder
from journeys.language.conditions import InSegment
from journeys.language.durations import Interval
from journeys.language.entries import ScheduleEntry
from journeys.language.schedules import last_strike, struck_zones
from journeys.language.zones import zone_of
from storage import apps, outbox, schedules, segment_people, segments
from storage.database import Database
from storage.outbox import EntryRequest
from storage.schedules import Run, Schedule
from storage.segment_people import Asked, SqlFailed, TooSlow

log = structlog.get_logger()

SLICE_S = 20.0
HEARTBEAT_S = 4.0
ONE_ROUND_S = 1.0
SCHEDULE = "schedule"
LATEST = timedelta(hours=24)
"""What struck longer ago than this when somebody looks lets nobody in."""
MISSED = timedelta(days=31)
"""Nobody looks further back for what struck while nobody worked."""


class Schedules:
    """The activity behind every schedule. `per_second` is for those that say nothing themselves."""

    def __init__(self, database: Database, *, per_second: int = PER_SECOND) -> None:
        self._database = database
        self._per_second = per_second

    @activity.defn(name="let in by schedule")
    async def let_in(self, order: ScheduleOrder) -> bool:
        """Let people in for a while; return whether there are more. A worker that shuts down ends after the present second."""
        until = time.monotonic() + SLICE_S
        beating = asyncio.create_task(_beat())
        try:
            while await self.one_round(order):
                if time.monotonic() > until or activity.is_worker_shutdown():
                    return True
                await asyncio.sleep(ONE_ROUND_S)
        finally:
            beating.cancel()
        return False

    async def one_round(self, order: ScheduleOrder) -> bool:
        """Note what struck, and ask as many people as a second lets in; returns whether some are left."""
        async with self._database.transaction() as connection:
            found = await schedules.lock(connection, order.app, order.journey)
            if found is None:
                return False
            schedule, now = found
            open_runs = await schedules.open_runs(connection, order.app, order.journey)
            for struck in strikes(schedule, open_runs, now):
                await schedules.note(connection, order.app, order.journey, struck.at, struck.zones, skipped=struck.skipped)
            await schedules.attended(connection, order.app, order.journey, now)
            open_runs = await schedules.open_runs(connection, order.app, order.journey)
        if open_runs and open_runs[0].state == "struck":
            await self._gather(schedule, open_runs[0])
        elif open_runs:
            await self._ask(schedule, open_runs[0])
        return bool(open_runs)

    async def _gather(self, schedule: Schedule, run: Run) -> None:
        try:
            async with self._database.transaction() as connection:
                condition = InSegment(schedule.entry.segment)
                asked = Asked(schedule.app, condition, await segments.come_to(connection, schedule.app, condition), run.struck_at)
                zone = (await apps.settings(connection, schedule.app)).get("timezone")
                people = await segment_people.gather(connection, asked, run.n, run.zones, zone)
                await schedules.begin(connection, schedule.app, run, people)
        except (TooSlow, SqlFailed) as why:
            reason = "segment_too_slow" if isinstance(why, TooSlow) else "segment_sql_failed"
            log.warning("a schedule lets nobody in", app=schedule.app, journey=schedule.journey, reason=reason)
            async with self._database.transaction() as connection:
                await schedules.skip(connection, schedule.app, run, reason)

    async def _ask(self, schedule: Schedule, run: Run) -> None:
        most = max(1, round((schedule.entry.per_second or self._per_second) * ONE_ROUND_S))
        async with self._database.transaction() as connection:
            people = await schedules.take(connection, schedule.app, run, most)
            await outbox.ask_all(connection, schedule.app, [(each, _request(schedule, run, each)) for each in people])

    def activities(self) -> list[Callable[..., Any]]:
        return [self.let_in]


@dataclass(frozen=True)
class Struck:
    """One time that it struck. `zones`: where, empty: everywhere; `skipped`: why nobody comes in."""

    at: datetime
    zones: Sequence[str]
    skipped: str | None = None


def strikes(schedule: Schedule, open_runs: Sequence[Run], now: datetime) -> list[Struck]:
    """What is to be noted now. Of several times that were missed the last counts, in each zone."""
    since = max(schedule.struck_until, now - MISSED)
    found = []
    for moment, zones in _struck(schedule.entry, since, now).items():
        if not schedule.accepts_entries:
            found.append(Struck(moment, zones, "entries_closed"))
        elif now - moment > LATEST:
            found.append(Struck(moment, zones, "too_late"))
        else:
            found += _without_overlap(schedule.entry, open_runs, moment, zones)
    return found


def _struck(entry: ScheduleEntry, since: datetime, now: datetime) -> Mapping[datetime, Sequence[str]]:
    if entry.zone is None and not isinstance(entry.when, Interval):
        return struck_zones(entry.when, since, now)
    found = last_strike(entry.when, zone_of(entry.zone), since, now)
    return {} if found is None else {found: ()}


def _without_overlap(entry: ScheduleEntry, open_runs: Sequence[Run], moment: datetime, zones: Sequence[str]) -> list[Struck]:
    """Where people of the time before are still coming in, it is passed over, unless they may wait for each other."""
    if entry.overlap == "wait" or not open_runs:
        return [Struck(moment, zones)]
    if not zones or any(not run.zones for run in open_runs):
        return [Struck(moment, zones, "overlap")]
    busy = {zone for run in open_runs for zone in run.zones}
    still, free = [each for each in zones if each in busy], [each for each in zones if each not in busy]
    return [Struck(moment, each, why) for each, why in ((free, None), (still, "overlap")) if each]


def _request(schedule: Schedule, run: Run, person: int) -> EntryRequest:
    """One person and one time that it struck are one id: asked again it changes nothing."""
    moment = run.struck_at.isoformat()
    properties = {"segment": schedule.entry.segment, "moment": moment}
    return EntryRequest(schedule.journey, f"${SCHEDULE}/{schedule.journey}/{person}/{moment}", run.struck_at, properties, SCHEDULE)


async def _beat() -> None:
    while True:
        activity.heartbeat()
        await asyncio.sleep(HEARTBEAT_S)
