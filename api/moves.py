"""Moving the people inside a journey to another version of it: first asked for, then done, as a job."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import orjson
from fastapi import Path
from pydantic import BaseModel, Field

from api.idempotency import IdempotencyKey, named
from api.jobs import JobView, begin
from api.strict import App, Body, Db, Who, Word, management
from api.temporal import WorkflowsIfThere
from journeys.language.codec import from_json
from journeys.language.errors import Conflict, Invalid, NotFound, Problem
from journeys.language.journey import Journey
from journeys.language.walk import all_steps
from storage import journeys
from storage.database import Connection
from storage.journeys import StoredVersion

router = management("Enrollments")
JourneyName = Annotated[Word, Path(description="the journey's name", examples=["onboarding"])]


class MovesBody(Body):
    """Who is to go on where."""

    to: int = Field(ge=1, description="the version in which they go on", examples=[4])
    from_: int | None = Field(
        None, alias="from", ge=1, description="only those in this version; without it all other versions", examples=[3]
    )
    steps: dict[Word, Word] = Field(
        default_factory=dict,
        max_length=200,
        description="old step -> new step; a step that is not named keeps its id",
        examples=[{"a": "b"}],
    )
    at: Word | None = Field(None, description="only those who stand at this step", examples=["settle_in"])
    last_step: Word | None = Field(None, description="only those of whose steps this came to something last", examples=["welcome"])
    dry_run: bool = Field(True, description="only ask each of them whether it can be, and count")
    fingerprint: str | None = Field(None, description="that of the dry run: what was looked at there is what is done here")


class MoveJob(BaseModel):
    """A move, or the dry run of one. The job's result says who can be moved from where to where, who cannot and why."""

    job: JobView
    fingerprint: str = Field(description="give it with dry_run false: a move whose circumstances changed meanwhile is refused")
    from_versions: list[int] = Field(description="the versions that people are moved from", examples=[[2, 3]])


@router.post("/journeys/{name}/moves", status_code=202, summary="Move people to another version")
async def move_people(
    app: App,
    by: Who,
    database: Db,
    workflows: WorkflowsIfThere,
    name: JourneyName,
    body: MovesBody,
    idempotency_key: IdempotencyKey = None,
) -> MoveJob:
    """Start a job that asks everybody inside, and with `dry_run` false moves those who can be moved.

    Nobody is put on a step that they have begun, what was sent is not sent again, and a wait that goes on keeps its moment. The dry run
    comes first: its fingerprint must be given, and is refused once people are inside other versions than it looked at.
    """
    async with database.transaction(app) as connection:
        state = await _state(connection, app, name)
        to = await journeys.version(connection, app, name, body.to)
        sources = [await journeys.version(connection, app, name, number) for number in _sources(state, body)]
    _check(body, [from_json(source.definition) for source in sources], from_json(to.definition))
    fingerprint = _fingerprint(body, sources, to)
    if not body.dry_run and body.fingerprint != fingerprint:
        raise Conflict("this is not what the dry run looked at: other versions, map or step. Make the dry run again")
    parameters = {
        "where": {"journey": name, "version": body.from_, "last_step": body.last_step},
        "from": [source.version for source in sources],
        "to": body.to,
        "steps": body.steps,
        "at": body.at,
        "dry_run": body.dry_run,
        "done_by": by,
    }
    job = await begin(database, workflows, app, "move", parameters, named(idempotency_key))
    return MoveJob(job=job, fingerprint=fingerprint, from_versions=[source.version for source in sources])


async def _state(connection: Connection, app: str, name: str) -> Mapping[int, int]:
    for state in await journeys.states(connection, app):
        if state.name == name:
            return state.inside
    raise NotFound("no such journey")


def _sources(inside: Mapping[int, int], body: MovesBody) -> list[int]:
    if body.from_ is not None:
        if body.from_ == body.to:
            raise Invalid([Problem("/from", "same_version", "they are in that version already")])
        return [body.from_]
    return sorted(version for version in inside if version != body.to)


def _check(body: MovesBody, sources: Sequence[Journey], to: Journey) -> None:
    """A map that names what is nowhere is a slip of the pen, and would move nobody."""
    known = {step.id for source in sources for step in all_steps(source.steps)}
    targets = {step.id for step in all_steps(to.steps)}
    wrong = [
        Problem(f"/steps/{old}", "no_such_step", "no version that people are moved from has this step")
        for old in body.steps
        if old not in known
    ]
    wrong += [
        Problem(f"/steps/{old}", "no_such_step", f"version {body.to} has no step {new}")
        for old, new in body.steps.items()
        if new not in targets
    ]
    if body.at is not None and body.at not in known:
        wrong.append(Problem("/at", "no_such_step", "no version that people are moved from has this step"))
    if wrong and sources:
        raise Invalid(wrong)


def _fingerprint(body: MovesBody, sources: Sequence[StoredVersion], to: StoredVersion) -> str:
    asked: Any = [to.journey, to.hash, [source.hash for source in sources], sorted(body.steps.items()), body.at, body.last_step]
    return hashlib.sha256(orjson.dumps(asked)).hexdigest()[:16]
