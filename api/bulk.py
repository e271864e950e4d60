"""Doing by hand to many what can be done to one enrollment: counted first, then done as a job that can be stopped and resumed."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationError, model_validator

from activities.jobs.walk import read_condition
from api.idempotency import IdempotencyKey, named
from api.jobs import JobView, begin
from api.strict import App, Body, Db, Who, Word, management
from api.temporal import WorkflowsIfThere
from journeys.language.errors import Invalid, Problem
from storage import passages
from storage.passages import Filter

router = management("Enrollments")


class Whom(Body):
    """Who is meant: everybody inside whom all of this describes."""

    journey: Word = Field(examples=["onboarding"])
    version: int | None = Field(None, ge=1)
    key: Word | None = Field(None, description="the value of the journey's key")
    since: datetime | None = Field(None, description="who started at or after this moment")
    until: datetime | None = Field(None, description="who started before this moment")
    held: bool | None = Field(None, description="whose message waits because sending is paused")
    last_step: Word | None = Field(None, description="of whose steps this came to something last", examples=["welcome"])
    condition: dict[str, Any] | None = Field(
        None, description="a condition of the journey language as JSON, read for each when it is their turn"
    )


class BulkBody(Body):
    """What is to be done, and to whom."""

    action: Literal["exit", "advance", "event"] = Field(examples=["exit"])
    where: Whom
    reason: Word = Field("exited_by_hand", description="for `exit`: shown in the timeline")
    event: Word | None = Field(None, description="for `event`: its name", examples=["order_placed"])
    properties: dict[str, Any] = Field(default_factory=dict, description="for `event`")
    dry_run: bool = Field(True, description="only count")

    @model_validator(mode="after")
    def _names_its_event(self) -> "BulkBody":
        if self.action == "event" and self.event is None:
            raise ValueError("name the event")
        return self


class Bulk(BaseModel):
    """How many are meant, and the job that does it (null for a dry run)."""

    people: int = Field(description="who is inside and described by `where`; a condition may leave out some of them", examples=[1204])
    job: JobView | None


@router.post("/enrollments/bulk", status_code=202, summary="Do something by hand to many")
async def act_on_many(
    app: App, by: Who, database: Db, workflows: WorkflowsIfThere, body: BulkBody, idempotency_key: IdempotencyKey = None
) -> Bulk:
    """Take people out of a journey, let their waits end, or send each of them an event. A dry run counts, and is the default.

    Who enters after the job was asked for is not touched. A stopped job goes on where it was; nobody gets it twice.
    """
    _check(body.where.condition)
    where = body.where.model_dump(mode="json")
    asked = Filter(is_inside=True, is_held=body.where.held, **body.where.model_dump(exclude={"held", "condition"}))
    async with database.transaction(app) as connection:
        people = await passages.count(connection, app, asked)
    if body.dry_run:
        return Bulk(people=people, job=None)
    parameters = {"where": where, "reason": body.reason, "name": body.event, "properties": body.properties, "done_by": by}
    return Bulk(people=people, job=await begin(database, workflows, app, body.action, parameters, named(idempotency_key)))


def _check(condition: dict[str, Any] | None) -> None:
    if condition is None:
        return
    try:
        read_condition(condition)
    except ValidationError as error:
        raise Invalid([Problem("/where/condition", "no_condition", "a condition as in the JSON of a journey")]) from error
