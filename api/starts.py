"""Letting somebody into a journey by request, and what came of it: the relay decides, as for an entry event."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID, uuid4

from fastapi import Path, Request, Response
from pydantic import BaseModel, Field

from api import idempotency
from api.idempotency import IdempotencyKey
from api.journeys import JourneyName
from api.strict import App, Body, Db, Word, management
from api.words import reason_words
from journeys.language.errors import Invalid, NotFound, Problem
from storage import enrollments, journeys, outbox, people
from storage.database import Connection
from storage.outbox import EntryRequest

router = management("Enrollments")
RequestId = Annotated[str, Path(description="the id that asking gave", examples=["0f6c1f0c-9f5e-4c3f-8a1d-2b3c4d5e6f70"])]


class NewEntry(Body):
    """Who shall enter, and with which entry properties: they take the place of the entry event's."""

    user_id: Word = Field(examples=["user-4711"])
    properties: dict[str, Any] = Field(
        default_factory=dict, description="what entry(...) reads; the journey's key must be among them", examples=[{"order_id": "A-17"}]
    )


class EntryView(BaseModel):
    """A request to enter. It waits for a moment until a worker has decided."""

    id: str = Field(examples=["0f6c1f0c-9f5e-4c3f-8a1d-2b3c4d5e6f70"])
    journey: str = Field(examples=["win-back"])
    state: Literal["waiting", "entered", "refused"]
    enrollment: UUID | None = Field(None, description="set once they entered, held-out people included")
    reason: str | None = Field(None, description="why they were refused", examples=["already_in"])
    words: str | None = Field(None, description="the same as a sentence", examples=["they were inside this journey already"])


@router.post(
    "/journeys/{name}/enrollments",
    status_code=202,
    summary="Let somebody into a journey",
    response_model=EntryView,
    responses={409: {"description": "A request with this Idempotency-Key is still being answered"}},
)
async def start_enrollment(
    request: Request, app: App, database: Db, name: JourneyName, body: NewEntry, idempotency_key: IdempotencyKey = None
) -> Response:
    """Any journey may be asked for, whatever starts it otherwise. Accepted means: it is written down, and decided within moments.

    Re-entry, key, holdout, pause and retirement count as for an entry event; a refusal stands in the user's timeline too.
    """

    async def work() -> EntryView:
        await _must_exist(connection, app, name)
        person = await _person(connection, app, body.user_id)
        asked = EntryRequest(name, str(uuid4()), datetime.now(UTC), body.properties)
        await outbox.ask(connection, app, person, asked)
        return EntryView(id=asked.id, journey=name, state="waiting")

    async with database.transaction(app) as connection:
        key = idempotency.named(idempotency_key)
        answer = await idempotency.once(connection, app, request, key, body=body, status=202, work=work)
    request.app.state.notify()
    return answer


@router.get("/journeys/{name}/requests/{request_id}", summary="What came of a request to enter?")
async def get_request(app: App, database: Db, name: JourneyName, request_id: RequestId) -> EntryView:
    """`waiting` until a worker has decided, and for ids that nobody gave."""
    async with database.transaction(app) as connection:
        await _must_exist(connection, app, name)
        found = await enrollments.started_by(connection, app, name, request_id)
        if found is not None:
            return EntryView(id=request_id, journey=name, state="entered", enrollment=found.id)
        reason = await enrollments.refusal(connection, app, name, request_id)
    if reason is None:
        return EntryView(id=request_id, journey=name, state="waiting")
    return EntryView(id=request_id, journey=name, state="refused", reason=reason, words=reason_words(reason))


async def _must_exist(connection: Connection, app: str, name: str) -> None:
    if await journeys.open_to_entries(connection, app, name) == "no_such_journey":
        raise NotFound("no such journey")


async def _person(connection: Connection, app: str, user_id: str) -> int:
    found = await people.find(connection, app, user_id)
    if found is None:
        raise Invalid([Problem("/user_id", "no_such_user", "nothing was heard of this user yet: identify them first")])
    return found
