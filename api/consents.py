"""Consents: what a user agreed to and withdrew, as a record that only grows."""

from datetime import datetime
from typing import Any, Literal

from fastapi import Request, Response
from pydantic import BaseModel, Field

from api import idempotency
from api.idempotency import IdempotencyKey
from api.strict import App, Body, Db, UserId, Word, management
from storage import consents, people
from storage.consents import ConsentRecord

router = management("Consents")
ChannelOrEvery = Literal["email", "sms", "whatsapp", "voice", "push", "in_app", "webhook", "custom", "*"]


class ConsentView(BaseModel):
    """One entry of the record; the newest of a channel and topic holds. `*` stands for every one."""

    channel: str = Field(examples=["sms"])
    topic: str = Field(examples=["general"])
    state: str = Field(description="granted or withdrawn", examples=["granted"])
    source: str = Field(examples=["checkout form"])
    proof: dict[str, Any]
    recorded_at: datetime | None


class NewConsent(Body):
    """What the user said. Withdrawing for `*` leaves every topic, or every channel."""

    channel: ChannelOrEvery = Field(examples=["sms"])
    topic: Word = Field("*", examples=["general"])
    state: Literal["granted", "withdrawn"] = Field(examples=["granted"])
    source: Word = Field("api", description="where they said it", examples=["checkout form"])
    proof: dict[str, Any] = Field(default_factory=dict, description="what you can show for it", examples=[{"form_version": 3}])


class ConsentList(BaseModel):
    """`in_force` is what holds now; `history` is the whole record, the oldest first."""

    in_force: list[ConsentView]
    history: list[ConsentView]


@router.get("/users/{user_id:path}/consents", summary="List a user's consents")
async def list_consents(app: App, database: Db, user_id: UserId) -> ConsentList:
    """What holds now, and how it came to it."""
    async with database.transaction(app) as connection:
        person = await people.internal_id(connection, app, user_id)
        holding = await consents.in_force(connection, app, person)
        history = await consents.history(connection, app, person)
    return ConsentList(in_force=[_view(entry) for entry in holding], history=[_view(entry) for entry in history])


@router.post("/users/{user_id:path}/consents", status_code=201, summary="Record a consent or its withdrawal", response_model=ConsentView)
async def record_consent(
    request: Request, app: App, database: Db, user_id: UserId, body: NewConsent, idempotency_key: IdempotencyKey = None
) -> Response:
    """It holds for every send that has not begun when this answers."""
    key = idempotency.named(idempotency_key)
    entry = ConsentRecord(body.channel, body.topic, body.state, body.source, body.proof)

    async def work() -> ConsentView:
        recorded_at = await consents.record(connection, app, await people.internal_id(connection, app, user_id), entry)
        return ConsentView(**(vars(entry) | {"recorded_at": recorded_at}))

    async with database.transaction(app) as connection:
        return await idempotency.once(connection, app, request, key, body=body, status=201, work=work)


def _view(entry: ConsentRecord) -> ConsentView:
    return ConsentView(**vars(entry))
