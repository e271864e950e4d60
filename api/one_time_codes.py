"""One-time codes: a code goes to an address, a person types it in, and nobody else can."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from fastapi import Request, Response
from pydantic import BaseModel, Field, model_validator
from pydantic_core import PydanticCustomError

from activities import one_time_codes
from activities.one_time_codes import MOST_TRIES, PHONE_CHANNELS, Asking, CodeRules, Pepper, Way, country_of
from api import idempotency
from api.idempotency import IdempotencyKey
from api.strict import Body, Db, SendingApp, Word, management
from channels.templates import channels_of
from journeys.language.errors import Invalid, NotFound, Problem
from storage import apps, endpoints, people, templates
from storage.database import Connection
from storage.endpoints import normalised
from storage.notify import DIRECT

router = management("One-time codes")
CodeChannel = Literal["sms", "voice", "email", "whatsapp"]


class Destination(Body):
    """One address, for a code to somebody who is not (yet) a user."""

    channel: CodeChannel = Field(examples=["sms"])
    address: Annotated[str, Field(min_length=1, max_length=320)] = Field(examples=["+4915112345678"])


class NewOneTimeCode(Body):
    """To whom, and how. `to` are addresses, or `user_id` with `channels`; the second is tried when the first fails, with a new code."""

    user_id: Word | None = Field(None, examples=["user-4711"])
    channels: Annotated[list[CodeChannel], Field(min_length=1, max_length=4)] | None = Field(None, examples=[["sms", "voice"]])
    to: Annotated[list[Destination], Field(min_length=1, max_length=4)] | None = Field(None, description="instead of a user")
    length: Annotated[int, Field(ge=6, le=10)] = 6
    expires_in_s: Annotated[int, Field(ge=60, le=1800)] = Field(600, description="seconds until the code is no longer right")
    template: Word | None = Field(
        None, description="reads entry.code and entry.minutes; without one the words are ours", examples=["sign-in"]
    )
    data: dict[str, Any] = Field(default_factory=dict, description="what else the template reads as entry.*")

    @model_validator(mode="after")
    def _says_whom(self) -> Self:
        if (self.user_id is None) == (self.to is None):
            raise PydanticCustomError("one_recipient", "user_id or to, one of the two")
        if self.to is None and self.channels is None:
            raise PydanticCustomError("no_channels", "name the channels that the code may take, in their order")
        return self


class OneTimeCode(BaseModel):
    """Keep the id: it is asked for together with what the person types in."""

    id: UUID
    expires_at: datetime


class TypedCode(Body):
    """What somebody typed in, with the id of the code that was sent to them."""

    id: UUID
    code: Annotated[str, Field(pattern="^[0-9]{6,10}$")] = Field(examples=["123456"])


class TypedCodeView(BaseModel):
    """Whether it was right."""

    verified: bool = Field(description=f"false also for what is unknown, expired, used, or was tried {MOST_TRIES} times", examples=[True])


@router.post("/otp", status_code=202, summary="Send a one-time code", response_model=OneTimeCode)
async def send_one_time_code(
    request: Request, app: SendingApp, database: Db, body: NewOneTimeCode, idempotency_key: IdempotencyKey = None
) -> Response:
    """The answer is the same whether the user is known or not. A new code ends the one before it.

    429 says that this person, their neighbourhood of numbers, or the app has asked too often.
    """
    key = idempotency.named(idempotency_key)

    async def work() -> OneTimeCode:
        issued = await one_time_codes.issue(connection, app, _pepper(request), await _asking(connection, app, body))
        return OneTimeCode(id=issued.id, expires_at=issued.expires_at)

    async with database.transaction(app) as connection:
        answer = await idempotency.once(connection, app, request, key, body=body, status=202, work=work)
    request.app.state.notify(DIRECT)
    return answer


@router.post("/otp/verify", summary="Try a one-time code")
async def verify_one_time_code(request: Request, app: SendingApp, database: Db, body: TypedCode) -> TypedCodeView:
    """One try of five. A code that was right is used up."""
    async with database.transaction(app) as connection:
        return TypedCodeView(verified=await one_time_codes.is_right(connection, app, _pepper(request), body.id, body.code))


def _pepper(request: Request) -> Pepper:
    return Pepper(request.app.state.settings.secret.get_secret_value())


async def _asking(connection: Connection, app: str, body: NewOneTimeCode) -> Asking:
    settings = await apps.settings(connection, app)
    rules = one_time_codes.rules_of(settings)
    channels = [each.channel for each in body.to] if body.to is not None else list(body.channels or ())
    pointer = "/to" if body.to is not None else "/channels"
    await _refuse_unsayable(connection, app, body, channels, pointer, has_sender=bool(settings.get("from")))
    if body.to is not None:
        ways = [_way(index, each) for index, each in enumerate(body.to)]
        whom, user_id = f"{ways[0][0]}:{ways[0][1]}", None
    else:
        user_id, ways = await _ways_of(connection, app, body.user_id or "", channels)
        whom = f"user:{body.user_id}"
    if not rules.countries and PHONE_CHANNELS.intersection(channels):
        raise Invalid(
            [Problem(pointer, "no_countries", "name the countries whose numbers may get codes: setting otp.countries of the app")]
        )
    return Asking(
        whom=whom,
        ways=_allowed(ways, rules, pointer if body.to is not None else None),
        user_id=user_id,
        length=body.length,
        lives=timedelta(seconds=body.expires_in_s),
        template=body.template,
        data=body.data,
    )


async def _refuse_unsayable(
    connection: Connection, app: str, body: NewOneTimeCode, channels: Sequence[str], pointer: str, *, has_sender: bool
) -> None:
    if body.template is None:
        if "whatsapp" in channels:
            raise Invalid([Problem("/template", "no_template", "WhatsApp takes a code only in a template that Meta has approved: name it")])
        if "email" in channels and not has_sender:
            raise Invalid([Problem(pointer, "no_sender", "set the app's from, or name a template that says who the mail is from")])
        return
    stored = await templates.live(connection, app, body.template)
    if stored is None:
        raise Invalid([Problem("/template", "no_template", "no such template is published: `sojourn apply` publishes")])
    if missing := sorted(set(channels) - set(channels_of(stored.files))):
        raise Invalid([Problem("/template", "no_content", f"the template has nothing for {', '.join(missing)}")])


def _way(index: int, to: Destination) -> Way:
    try:
        return to.channel, normalised(to.channel, to.address)
    except Invalid as error:
        raise Invalid([replace(problem, pointer=f"/to/{index}/address") for problem in error.problems]) from error


async def _ways_of(connection: Connection, app: str, user_id: str, channels: Sequence[str]) -> tuple[int | None, list[Way]]:
    """The addresses of a user in the order of the channels; none of one whom nobody knows."""
    try:
        person = await people.internal_id(connection, app, user_id)
    except NotFound:
        return None, []
    newest = await endpoints.newest_active(connection, app, person)
    return person, [(channel, newest[channel]) for channel in channels if channel in newest]


def _allowed(ways: Sequence[Way], rules: CodeRules, pointer: str | None) -> list[Way]:
    """Without numbers of countries that are not on the list; an address that the caller named itself is an error."""
    allowed = [way for way in ways if way[0] not in PHONE_CHANNELS or country_of(way[1]) in rules.countries]
    if pointer is not None and len(allowed) < len(ways):
        raise Invalid([Problem(pointer, "country_not_allowed", "a number of a country that is not among the app's otp.countries")])
    return allowed
