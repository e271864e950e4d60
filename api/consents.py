"""Consents: what a user agreed to and withdrew, as a record that only grows."""

from datetime import datetime
from typing import Any, Literal

from fastapi import Request, Response
from pydantic import BaseModel, Field

from api import idempotency
from api.idempotency import IdempotencyKey
from api.strict import App, Body, Db, UserId, Who, Word, management
from storage import consents, people
from storage.consents import ConsentRecord, Shown

router = management("Consents")
ChannelOrEvery = Literal["email", "sms", "whatsapp", "voice", "push", "in_app", "webhook", "custom", "*"]


class ConsentView(BaseModel):
    """One entry of the record; the newest of a channel and topic holds. `*` stands for every one."""

    channel: str = Field(examples=["sms"])
    topic: str = Field(description="`*marketing` is every topic, those that come later too", examples=["general"])
    state: str = Field(description="granted, withdrawn, or pending until they confirm it", examples=["granted"])
    source: str = Field(examples=["checkout form"])
    proof: dict[str, Any]
    recorded_at: datetime | None
    recorded_by: str | None = Field(None, description="the name of the key, or `user` where they did it themselves", examples=["shop"])
    text: str | None = Field(None, description="what they were shown", examples=["Yes, send me offers by text message."])
    page: str | None = Field(None, description="where they said it", examples=["https://shop.example/checkout"])
    address: str | None = Field(None, description="for which address", examples=["ann@example.com"])
    ip: str | None = None
    user_agent: str | None = None


class ShownBody(Body):
    """What a person saw and where they were. Everything may be left out; nothing is looked up."""

    text: str | None = Field(None, max_length=10_000, description="what they were shown; each wording is kept once", examples=["Yes, ..."])
    page: Word | None = Field(None, description="where they said it", examples=["https://shop.example/checkout"])
    address: Word | None = Field(None, description="for which address", examples=["ann@example.com"])
    ip: Word | None = Field(None, description="only where you must keep it", examples=["192.0.2.7"])
    user_agent: Word | None = None
    proof: dict[str, Any] = Field(default_factory=dict, description="what else you can show for it", examples=[{"form_version": 3}])

    def shown(self) -> Shown:
        """The same as the record keeps it."""
        return Shown(self.text, self.page, self.address, self.ip, self.user_agent)


class NewConsent(ShownBody):
    """What the user said. Withdrawing for `*` leaves every topic, or every channel."""

    channel: ChannelOrEvery = Field(examples=["sms"])
    topic: Word = Field("*", examples=["general"])
    state: Literal["granted", "withdrawn"] = Field(examples=["granted"])
    source: Word = Field("api", description="where they said it", examples=["checkout form"])


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
    request: Request, app: App, database: Db, who: Who, user_id: UserId, body: NewConsent, idempotency_key: IdempotencyKey = None
) -> Response:
    """It holds for every send that has not begun when this answers. Nothing has to be confirmed: POST /v1/subscriptions asks for that."""
    key = idempotency.named(idempotency_key)
    entry = ConsentRecord(body.channel, body.topic, body.state, body.source, body.proof, shown=body.shown(), recorded_by=who)

    async def work() -> ConsentView:
        return _view(await consents.write(connection, app, await people.internal_id(connection, app, user_id), entry))

    async with database.transaction(app) as connection:
        return await idempotency.once(connection, app, request, key, body=body, status=201, work=work)


def _view(entry: ConsentRecord) -> ConsentView:
    said = {name: getattr(entry, name) for name in ("channel", "topic", "state", "source", "proof", "recorded_at", "recorded_by")}
    return ConsentView(**said, **vars(entry.shown))
