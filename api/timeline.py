"""The story of one user: what happened, what goes on now, and what would have to be different."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Query
from pydantic import BaseModel, Field

from activities.knowledge import located_in
from api.paging import Cursor, Limit, moment, page_of, position, text
from api.strict import App, Db, UserId, Word, management
from api.temporal import Trying, Workflows, WorkflowsIfThere
from api.words import moment_words, reason_words, remedy_words
from journeys.language import reasons
from journeys.language.codec import from_json
from journeys.language.journey import Journey
from journeys.language.steps import AnyStep
from journeys.language.walk import all_steps
from journeys.language.whereabouts import UNTIL
from storage import people, timeline
from storage.standing import Person
from storage.timeline import Inside, Moment

router = management("Users")


class TimelineItem(BaseModel):
    """One line. `words` and `remedy` are for people; `kind` says what `fact` holds."""

    at: datetime
    kind: str = Field(
        description="event, entered, not_entered, step, message, ended, by_hand, told, unclear or consent", examples=["message"]
    )
    id: str
    words: str = Field(examples=['push "app-guide": not sent, because they have no push address (onboarding: guide)'])
    remedy: str = Field(description="what would have to be different; empty where nothing is wrong", examples=["add one with ..."])
    fact: dict[str, Any] = Field(examples=[{"channel": "push", "state": "skipped", "reason": "no_endpoint", "step": "guide"}])


class Now(BaseModel):
    """Where the user stands in a journey. `source` is workflow, or stored when the workflow does not answer: then waits are not known."""

    enrollment: UUID
    journey: str = Field(examples=["onboarding"])
    version: int = Field(examples=[3])
    source: Literal["workflow", "stored"]
    words: str = Field(examples=["wait 1 day: settle_in (until 2026-11-24 12:00 UTC)"])
    step: str | None = Field(examples=["settle_in"])
    since: datetime | None
    until: datetime | None
    trouble: str | None = Field(description="what is tried again", examples=["tried 6 times; the last time: 421 busy"])
    held_since: datetime | None = Field(description="set: the next message waits because sending is paused")
    remedy: str


class Timeline(BaseModel):
    """One page, the newest first; ask again with `cursor` set to `next`, unless that is null."""

    user_id: str | None = Field(examples=["user-4711"])
    timezone: str | None = Field(description="the zone in which they are taken to be, for local times", examples=["Europe/Berlin"])
    timezone_by: Literal["attribute", "phone", "location", "app", "nothing"] = Field(
        description="how the zone is known: the user's attribute, number or country, the app's setting, or nothing: then it is UTC"
    )
    now: list[Now] = Field(description="the journeys that the user is in, on the first page only")
    items: list[TimelineItem]
    next: str | None = Field(None, description="the cursor of the next page", examples=["WyIyMDI2LTExLTIzIl0"])


OfJourney = Annotated[Word | None, Query(description="only what belongs to this journey", examples=["onboarding"])]
OfStep = Annotated[Word | None, Query(description="only messages and decisions of this step", examples=["guide"])]


@router.get("/users/{user_id:path}/timeline", summary="Why did, or didn't, they get this?")
async def get_timeline(
    app: App,
    database: Db,
    workflows: WorkflowsIfThere,
    user_id: UserId,
    journey: OfJourney = None,
    step: OfStep = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Timeline:
    """Everything that happened to a user, the newest first, and where they stand now.

    Events, journeys entered and left (or not entered, and why), what steps decided, messages with their state and reason, what was done
    by hand, consents. What they did while anonymous is in it. Running workflows are asked where they stand, for at most two seconds.
    """
    found = position(cursor, moment, text, text)
    before = (found[0], found[1], found[2]) if found else None
    async with database.transaction(app) as connection:
        person = await people.internal_id(connection, app, user_id)
        who = await people.person(connection, app, user_id)
        located = await located_in(connection, app, Person(person, who.user_id, who.attributes, who.timezone))
        lines = await timeline.timeline(connection, app, person, journey=journey, step=step, before=before, most=limit + 1)
        inside = await timeline.inside(connection, app, person, journey=journey) if before is None else []
        wanted = {(line.fact["journey"], line.fact["version"]) for line in lines if line.fact.get("version")}
        definitions = await timeline.definitions(connection, app, wanted)
    kept, following = page_of(lines, limit, lambda line: [line.at, line.kind, line.id])
    return Timeline(
        user_id=who.user_id,
        timezone=located.zone.key,
        timezone_by=located.zone_by,
        now=await asyncio.gather(*(_now(workflows, each) for each in inside)),
        items=[_item(line, definitions, user_id, located.zone.key) for line in kept],
        next=following,
    )


def _item(line: Moment, definitions: Mapping[tuple[str, int], str], user_id: str, timezone: str | None) -> TimelineItem:
    fact = line.fact
    stored = definitions.get((fact.get("journey", ""), fact.get("version", 0)))
    journey = _parsed(stored) if stored else None
    words = moment_words(
        line.kind, fact, step=_step(journey, fact.get("step")), holdout=journey.holdout if journey else 0, timezone=timezone
    )
    return TimelineItem(at=line.at, kind=line.kind, id=line.id, words=words, remedy=remedy_words(line.kind, fact, user_id), fact=fact)


def _step(journey: Journey | None, name: str | None) -> AnyStep | None:
    steps: Sequence[AnyStep] = list(all_steps(journey.steps)) if journey and name else []
    return next((step for step in steps if step.id == str(name).removesuffix(UNTIL)), None)


async def _now(workflows: Workflows | None, row: Inside) -> Now:
    standing, trouble = None, None
    if workflows is not None and row.state == "open":
        standing, trying = await asyncio.gather(workflows.standing(row.workflow_id), workflows.trying(row.workflow_id))
        trouble = _trouble(trying) if trying else None
    held = {"held_since": row.held_since, "remedy": reasons.remedy("paused") if row.held_since else ""}
    who = {"enrollment": row.id, "journey": row.journey, "version": row.version, "trouble": trouble, **held}
    if standing is not None:
        return Now(**who, source="workflow", words=standing.words, step=standing.step, since=standing.since, until=standing.until)
    words = "is being entered" if row.state == "starting" else "its workflow does not answer; what is stored stands above"
    if row.held_since:
        words = f"the next message is held: {reason_words('paused')}"
    return Now(**who, source="stored", words=words, step=None, since=row.started_at, until=None)


def _trouble(trying: Trying) -> str:
    said = "; ".join(reason_words(part) if part in reasons.REASONS else part for part in trying.said.split(", "))
    again = f"; again at {trying.next_at:%H:%M:%S} UTC" if trying.next_at else "; it is being tried now"
    return f"tried {trying.tries} time{'s' if trying.tries > 1 else ''}; the last time: {said}{again}"


@lru_cache(maxsize=512)
def _parsed(definition: str) -> Journey:
    return from_json(definition)
