"""Subscriptions: somebody asks for a topic; where the topic says so, they must confirm it."""

from functools import partial
from typing import Annotated, Literal
from uuid import UUID

from fastapi import Request, Response
from pydantic import BaseModel, Field, StringConstraints

from activities.subscribing import ConfirmUrl, subscribe
from api import idempotency
from api.consents import ShownBody
from api.idempotency import IdempotencyKey
from api.strict import App, Db, Who, Word, management
from api.topics import ChannelName
from channels.links import confirm_url
from settings import Settings
from storage import people
from storage.consents import ConsentRecord
from storage.notify import DIRECT

router = management("Consents")
# Nobody subscribes to everything: `*` and `*marketing` are for leaving.
OneTopic = Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=r"^[^*\x00-\x1f\x7f][^\x00-\x1f\x7f]*$")]


class NewSubscription(ShownBody):
    """Who asks for what, and what they saw when they did."""

    user_id: Word = Field(examples=["user-4711"])
    channel: ChannelName = Field(examples=["email"])
    topic: OneTopic = Field("general", examples=["spring_offers"])
    source: Word = Field("api", description="where they asked", examples=["sign-up form"])


class SubscriptionView(BaseModel):
    """`pending`: it counts once they confirm it, within seven days; until then nothing of the topic is sent on the channel."""

    state: Literal["granted", "pending"]
    messages: list[UUID] = Field(description="what asks them to confirm; empty where nothing is to be confirmed, or three were sent today")


@router.post("/subscriptions", status_code=201, summary="Subscribe somebody to a topic", response_model=SubscriptionView)
async def subscribe_user(
    request: Request, app: App, database: Db, who: Who, body: NewSubscription, idempotency_key: IdempotencyKey = None
) -> Response:
    """Records the yes, or, where the topic wants it on this channel, writes to them for a confirmation and records that it is pending.

    Asked for again while it is pending, the message is sent once more, three times a day at most.
    """
    key = idempotency.named(idempotency_key)
    wish = ConsentRecord(body.channel, body.topic, "granted", body.source, body.proof, shown=body.shown(), recorded_by=who)

    async def work() -> SubscriptionView:
        person = await people.internal_id(connection, app, body.user_id)
        made = await subscribe(connection, app, person, wish, confirm_links(request))
        return SubscriptionView(state=made.state, messages=list(made.messages))

    async with database.transaction(app) as connection:
        answer = await idempotency.once(connection, app, request, key, body=body, status=201, work=work)
    request.app.state.notify(DIRECT)
    return answer


def confirm_links(request: Request) -> ConfirmUrl:
    """What makes the links that people confirm with."""
    settings: Settings = request.app.state.settings
    return partial(confirm_url, settings.public_url, settings.secret.get_secret_value())
