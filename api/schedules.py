"""What a journey that starts on a schedule does by it: when it strikes next, and how far each time came."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from api.journeys import JourneyName
from api.paging import Cursor, Limit, Page, number, page_of, position
from api.strict import App, Db, management
from journeys.language.describe import schedule_words
from journeys.language.entries import ScheduleEntry
from journeys.language.errors import NotFound
from journeys.language.schedules import next_strike
from journeys.language.zones import all_zones, zone_of
from storage import enrollments, schedules
from storage.database import Connection
from storage.schedules import Run, Schedule

router = management("Journeys")
FEW = 10


class ScheduleRunView(BaseModel):
    """One time that it struck. In each zone that is one of its own."""

    number: int = Field(examples=[17])
    struck_at: datetime
    zones: list[str] = Field(description="where it struck, ten of them at most; empty: everywhere", examples=[["Europe/Berlin"]])
    zones_count: int = Field(examples=[1])
    state: Literal["struck", "running", "done", "skipped"] = Field(examples=["running"])
    reason: str | None = Field(
        description="why nobody was asked, or nobody any more: overlap, too_late, entries_closed, retired, segment_too_slow or"
        " segment_sql_failed",
        examples=[None],
    )
    people: int = Field(description="who were in the segment when it struck", examples=[1280])
    asked: int = Field(description="how many of them have been asked to enter so far", examples=[640])
    noted_at: datetime
    finished_at: datetime | None


class ScheduleView(BaseModel):
    """By what a journey starts, and whether it still does."""

    words: str = Field(examples=["every day at 09:00 in the zone of each, for segment vip"])
    is_live: bool = Field(description="false: the journey is retired, or starts by something else now")
    is_at_temporal: bool = Field(description="Temporal's schedule has been made from it")
    next_at: datetime | None = Field(description="when it strikes next, in the zone that comes first; null: never again")


@router.get("/journeys/{name}/schedule", summary="When does a schedule strike next?")
async def get_schedule(app: App, database: Db, name: JourneyName) -> ScheduleView:
    """What a journey starts by, or last started by. 404 where it never started on a schedule."""
    async with database.transaction(app) as connection:
        found = await _existing(connection, app, name)
        now = await enrollments.database_now(connection)
    return ScheduleView(
        words=schedule_words(found.entry),
        is_live=not found.is_gone,
        is_at_temporal=found.made_from == found.entry_text,
        next_at=None if found.is_gone else _next(found.entry, now),
    )


@router.get("/journeys/{name}/schedule/runs", summary="List each time that a schedule struck")
async def list_schedule_runs(app: App, database: Db, name: JourneyName, limit: Limit = 50, cursor: Cursor = None) -> Page[ScheduleRunView]:
    """The newest first, with how many people it was about and how many have been asked to enter."""
    before = position(cursor, number)
    async with database.transaction(app) as connection:
        await _existing(connection, app, name)
        found = await schedules.page(connection, app, name, before=before[0] if before else None, most=limit + 1)
    kept, following = page_of(found, limit, lambda run: [run.n])
    return Page(items=[_view(run) for run in kept], next=following)


async def _existing(connection: Connection, app: str, name: str) -> Schedule:
    found = await schedules.get(connection, app, name)
    if found is None:
        raise NotFound("this journey never started on a schedule")
    return found


def _next(entry: ScheduleEntry, now: datetime) -> datetime | None:
    zones: Sequence[str | None] = [entry.zone] if entry.zone else sorted(all_zones())
    return min((found for zone in zones if (found := next_strike(entry.when, zone_of(zone), now))), default=None)


def _view(run: Run) -> ScheduleRunView:
    return ScheduleRunView(
        number=run.n,
        struck_at=run.struck_at,
        zones=list(run.zones[:FEW]),
        zones_count=len(run.zones),
        state=run.state,
        reason=run.reason,
        people=run.people,
        asked=run.asked,
        noted_at=run.noted_at,
        finished_at=run.finished_at,
    )
