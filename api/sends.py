"""Direct sends: one message now, to a user or an address, without a journey."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal, Self
from uuid import UUID, uuid4

from fastapi import Request, Response
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from api import idempotency
from api.idempotency import IdempotencyKey
from api.mails import EmailParts, FilesOfMail, Text, must_show_a_way_out, with_sender
from api.strict import Body, Channel, Db, LongTextRoute, SendingApp, Word, management
from api.talk import VoiceParts, WhatsappParts
from channels.in_app.parts import InAppParts
from channels.push.checks import sources_of, unsayable
from channels.push.payload import Push
from channels.push.platform import providers_for
from channels.template_parts import DLT_TEMPLATE_ID
from channels.templates import channels_of, shows_unsubscribe
from channels.voice.speech import BadSsml, spoken
from journeys.language.errors import Invalid, Problem
from storage import direct_sends, people, providers, templates
from storage.database import Connection
from storage.direct_sends import DirectSend
from storage.endpoints import WITHOUT_ADDRESS, normalised
from storage.notify import DIRECT

router = management("Messages", LongTextRoute)


class _Parts(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class TextParts(_Parts):
    text: Annotated[str, Field(min_length=1, max_length=1600)]
    dlt_template_id: Annotated[str, Field(pattern=f"^{DLT_TEMPLATE_ID}$")] | None = None


class WebhookParts(_Parts):
    url: Annotated[str, Field(pattern="^https?://", max_length=2000)]
    body: Text


class CustomParts(_Parts):
    function: Annotated[str, Field(pattern="^[A-Za-z_][A-Za-z0-9_]{0,100}$")]
    fields: dict[str, Text] = Field(default_factory=dict)


_PARTS: dict[str, TypeAdapter[Any]] = {
    "email": TypeAdapter(EmailParts),
    "sms": TypeAdapter(TextParts),
    "whatsapp": TypeAdapter(WhatsappParts),
    "voice": TypeAdapter(VoiceParts),
    "push": TypeAdapter(Push),
    "in_app": TypeAdapter(InAppParts),
    "webhook": TypeAdapter(WebhookParts),
    "custom": TypeAdapter(CustomParts),
}


class TrackingWish(Body):
    """Which of the two is counted; what is left out is as the template and the app say."""

    opens: bool | None = None
    clicks: bool | None = None


class NewMessage(Body):
    """One message. To: `user_id` or `address`. What: `template` with `data`, or `content` with the fields of the channel."""

    channel: Channel
    user_id: Word | None = Field(None, examples=["user-4711"])
    address: Annotated[str, Field(min_length=1, max_length=4096)] | None = Field(None, description="instead of a user")
    template: Word | None = Field(None, examples=["receipt"])
    data: dict[str, Any] = Field(default_factory=dict, description="the template reads it as entry.*", examples=[{"order_id": "A-17"}])
    content: dict[str, Any] | None = Field(
        None, description="email: subject, html, text, from, reply_to, headers, tags; "
        "sms: text, dlt_template_id; whatsapp: text, template (name, "
        "language, body, header, buttons, content_sid); voice: text or ssml, voice, language; push: title, body, image, url, data, badge, "
        "sound, ttl, collapse, silent, priority, optional; in_app: title, body, url, image, buttons, data, placement, inbox, priority, "
        "expires, caps, display; webhook: url, body; custom: function, fields"
    )  # fmt: skip
    attachments: FilesOfMail = Field(
        default_factory=list, description="files that go with the mail, by template or content: 10 at most, 7 MB in all"
    )
    message_class: Literal["transactional", "marketing"] = Field(
        "transactional", description="marketing keeps to consent, topic, quiet hours and caps; transactional only to suppressions"
    )
    topic: Word | None = Field(None, examples=["general"])
    tracking: bool | TrackingWish | None = Field(
        None, description="whether opens and clicks are counted; without it as the template says, then the app", examples=[False]
    )

    @model_validator(mode="after")
    def _says_whom_and_what(self) -> Self:
        if (self.user_id is None) == (self.address is None):
            raise PydanticCustomError("one_recipient", "user_id or address, one of the two")
        if self.address is not None and self.channel in WITHOUT_ADDRESS:
            raise PydanticCustomError("no_address", "this channel reaches users, not addresses: name user_id")
        if self.address is not None and (self.channel, self.message_class) == ("email", "marketing"):
            # Consent is a person's, and so is the address that takes it back.
            raise PydanticCustomError("no_way_out", "marketing by email goes to users, who can leave it: name user_id")
        if (self.template is None) == (self.content is None):
            raise PydanticCustomError("one_content", "template or content, one of the two")
        if self.attachments and self.channel != "email":
            raise PydanticCustomError("no_attachments", "only mail has attachments")
        return self


class AcceptedMessages(BaseModel):
    """The rows of the ledger that were planned: for push one for each device. Ask GET /v1/messages/{id} what became of them."""

    messages: list[UUID] = Field(examples=[["019a0000-0000-8000-8000-000000000000"]])


@router.post(
    "/messages",
    status_code=202,
    summary="Send a message now",
    response_model=AcceptedMessages,
    responses={409: {"description": "A request with this Idempotency-Key is still being answered"}},
)
async def send_message(
    request: Request, app: SendingApp, database: Db, body: NewMessage, idempotency_key: IdempotencyKey = None
) -> Response:
    """Accepted means: it stands in the ledger and will be sent, or the ledger will say why not.

    Repeat a request whose answer you did not get with the same Idempotency-Key: it is not sent twice.
    """
    key = idempotency.named(idempotency_key)

    async def work() -> AcceptedMessages:
        planned = await direct_sends.plan_direct(connection, await _direct_send(connection, app, body, key or str(uuid4())))
        return AcceptedMessages(messages=list(planned.ids))

    async with database.transaction(app) as connection:
        answer = await idempotency.once(connection, app, request, key, body=body, status=202, work=work)
    request.app.state.notify(DIRECT)
    return answer


async def _direct_send(connection: Connection, app: str, body: NewMessage, key: str) -> DirectSend:
    content = await (_by_template(connection, app, body) if body.template is not None else _raw(connection, app, body))
    wish = body.tracking.model_dump(exclude_none=True) if isinstance(body.tracking, TrackingWish) else body.tracking
    beside = {"tracking": wish, "attachments": [file.model_dump() for file in body.attachments] or None}
    return DirectSend(
        app=app,
        request=key,
        channel=body.channel,
        message_class=body.message_class,
        content={**content, **{name: value for name, value in beside.items() if value is not None}},
        user_id=await people.internal_id(connection, app, body.user_id) if body.user_id is not None else None,
        address=_address(body) if body.address is not None else None,
        topic=body.topic,
    )


async def _by_template(connection: Connection, app: str, body: NewMessage) -> Mapping[str, Any]:
    stored = await templates.live(connection, app, body.template or "")
    if stored is None:
        raise Invalid([Problem("/template", "no_template", "no such template is published: `sojourn apply` publishes")])
    if body.channel not in channels_of(stored.files):
        raise Invalid([Problem("/template", "no_content", "the template has nothing for this channel")])
    if body.channel == "email" and body.message_class == "marketing" and not shows_unsubscribe(stored.files):
        raise Invalid([Problem("/template", "no_unsubscribe", "marketing mail must show links.unsubscribe in each body of its template")])
    if body.channel == "push":
        await _must_be_sayable(connection, app, body, sources_of(stored.files), "/template")
    return {"template": body.template, "data": body.data}


async def _raw(connection: Connection, app: str, body: NewMessage) -> Mapping[str, Any]:
    try:
        parts = _PARTS[body.channel].validate_python(body.content).model_dump(by_alias=True, exclude_none=True)
    except ValidationError as error:
        found = [
            Problem("/content" + "".join(f"/{part}" for part in e["loc"]), e["type"], e["msg"]) for e in error.errors(include_input=False)
        ]
        raise Invalid(found) from None
    if body.channel == "push":
        parts = Push.model_validate(parts).parts()
        await _must_be_sayable(connection, app, body, {**parts, "optional": ",".join(parts.get("optional", ()))}, "/content")
    if "ssml" in parts:
        _check_ssml(parts["ssml"])
    if body.channel == "email":
        if body.message_class == "marketing":
            must_show_a_way_out(parts)
        return {"parts": await with_sender(connection, app, parts)}
    return {"parts": parts}


async def _must_be_sayable(connection: Connection, app: str, body: NewMessage, fields: Mapping[str, Any], pointer: str) -> None:
    """Raises Invalid where a provider that this push may leave through cannot say what it says."""
    through = await providers.of_channel(connection, app, "push")
    if body.address is not None:
        # A raw address is one device, and its token tells whose it is.
        through = [each for each in providers_for({}, body.address) if each in through][:1]
    if found := [words for each in through for words in unsayable(each, fields)]:
        raise Invalid([Problem(pointer, "cannot_say", words) for words in found])


def _check_ssml(ssml: str) -> None:
    try:
        spoken(ssml)
    except BadSsml as error:
        raise Invalid([Problem("/content/ssml", "bad_ssml", str(error))]) from error


def _address(body: NewMessage) -> str:
    try:
        return normalised(body.channel, body.address or "")
    except Invalid as error:
        raise Invalid([replace(problem, pointer="/address") for problem in error.problems]) from error
