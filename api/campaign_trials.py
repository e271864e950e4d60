"""Before a campaign goes out: how it looks to some of its people, a test to your own addresses, who lacks what templates require."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID, uuid4

from fastapi import Query, Request, Response
from pydantic import BaseModel, Field

from activities.app_settings import holdout_of
from activities.knowledge import located_in
from activities.sources import SourceAway
from api import idempotency
from api.campaigns import CampaignName, existing
from api.idempotency import IdempotencyKey
from api.mails import with_sender
from api.sends import AcceptedMessages
from api.strict import App, Body, Db, ReadingApp, SendingApp, Word, management
from api.templates import PreviewOrder, filled, variables_for
from channels.render import Renderer, RenderFailed
from channels.template_locales import locales_of
from journeys.language import assign
from journeys.language.campaigns import REST, Campaign
from journeys.language.conditions import AnyCondition, InSegment
from journeys.language.errors import Invalid, Problem
from journeys.language.messages import Message
from storage import apps, campaign_draws, campaigns, direct_sends, knowing, people, segment_people, segments, templates
from storage.database import Connection
from storage.direct_sends import DirectSend
from storage.endpoints import WITHOUT_ADDRESS, normalised
from storage.needs import Need, lacks
from storage.notify import DIRECT
from storage.people import PersonRow
from storage.segment_people import Asked
from storage.standing import Person
from storage.templates import StoredTemplate

router = management("Campaigns")
_MARK = "[Test] "
Named = Annotated[int, Query(ge=1, le=1000, description="so many of them are named, of each version and variable", examples=[100])]


Properties = Annotated[
    dict[str, Any],
    Field(description="of a campaign on an event or a segment: the event's properties, `entry` of its template", examples=[{"total": 20}]),
]


class DryRunOrder(Body):
    """To whom it is shown: to some of its segment, or to these users."""

    people: int = Field(5, ge=1, le=20, description="so many of the segment, always the same ones")
    user_ids: list[Word] = Field(default_factory=list, max_length=20, description="instead: your ids of users", examples=[["user-4711"]])
    data: dict[str, Any] = Field(
        default_factory=dict, description="of a campaign on an event: the event's properties", examples=[{"total": 20}]
    )


LeftOut = Literal["not_in_segment", "beyond_most_people", "app_holdout", "held_out"]


class ShownMessage(BaseModel):
    """What one person would get."""

    user_id: str = Field(examples=["user-4711"])
    left_out: LeftOut | None = Field(
        description="why nothing is planned for them: not in the segment now, not among its `most_people`, or held out of all marketing "
        "or of this campaign; null: they get their version",
        examples=[None],
    )
    version: str | None = Field(description="null: left out; rest: waits for a winner, shown as the first version", examples=["bold"])
    channel: str | None = Field(examples=["email"])
    after_s: int = Field(0, description="so many seconds after the run begins, by `after` of the version", examples=[10800])
    parts: dict[str, Any] | None = Field(
        description="null where nothing would be sent", examples=[{"subject": "Spring, Ann", "text": "Hello."}]
    )
    problem: str | None = Field(description="why it could not be made: a reason code", examples=[None])


class DryRun(BaseModel):
    """How the campaign looks to some of its people. Nothing was sent."""

    people_in_segment: int = Field(examples=[1280])
    is_exact: bool = Field(description="false: an estimate")
    messages: list[ShownMessage]


class TestSendOrder(Body):
    """Where to, and as whom."""

    addresses: list[Annotated[str, Field(min_length=1, max_length=4096)]] = Field(
        min_length=1, max_length=20, description="on the channel of the version", examples=[["me@example.com"]]
    )
    version: Word | None = Field(None, description="which one; the first, if not given", examples=["bold"])
    user_id: Word | None = Field(
        None, description="whose attributes fill it in; the template's sample, if not given", examples=["user-4711"]
    )
    data: Properties = Field(default_factory=dict)


class MissingVariable(BaseModel):
    """People who would be skipped, because they lack, or have an empty text for, what their version requires on its channel.

    It is asked in the language in which each of them would read it, and of `device` for the addresses to which it would go.
    """

    version: str = Field(description="rest: who waits for a winner, if it is one with this template and channel", examples=["message"])
    channel: str = Field(examples=["email"])
    template: str = Field(examples=["spring-sale"])
    variable: str = Field(description="user.x, or device.x", examples=["user.first_name"])
    people: int = Field(examples=[17])
    is_exact: bool = Field(description="false: an estimate")
    sample: list[str] = Field(description="ids of the first of them, as many as were asked for", examples=[["user-4711"]])


class MissingVariables(BaseModel):
    """What is lacking, variable by variable; empty where everybody has everything."""

    at: datetime
    missing: list[MissingVariable]


@router.post("/campaigns/{name}/dry-run", summary="How would a campaign look?")
async def dry_run_campaign(request: Request, app: ReadingApp, database: Db, name: CampaignName, body: DryRunOrder) -> DryRun:
    """Its newest version filled in for some of its people, each with the version that is theirs. Nothing is sent."""
    async with database.transaction(app) as connection:
        campaign = _with_event((await existing(connection, app, name)).campaign, body.data)
        everybody = await _asked(connection, app, InSegment(campaign.segment))
        size, some = await segment_people.look(connection, everybody, most=body.people)
        if campaign.most_people is not None and not body.user_ids:
            some = (await segment_people.look(connection, campaign_draws.among_the_first(everybody, campaign), most=body.people))[1]
        chosen = body.user_ids or [each.user_id for each in some if each.user_id is not None]
        asked = [await people.person(connection, app, each) for each in chosen]
        outside = await _outside(connection, everybody, campaign, asked) if body.user_ids else {}
        drafts = [await _draft(connection, app, campaign, each, outside.get(each.id), body.data) for each in asked]
    shown = [await _shown(request, app, draft) for draft in drafts]
    return DryRun(people_in_segment=size.people, is_exact=size.is_exact, messages=shown)


@router.post("/campaigns/{name}/test-send", status_code=202, summary="Send a test of a campaign", response_model=AcceptedMessages)
async def send_campaign_test(
    request: Request, app: SendingApp, database: Db, name: CampaignName, body: TestSendOrder, idempotency_key: IdempotencyKey = None
) -> Response:
    """One version of its newest definition to addresses of your own, as it would leave, but marked as a test and without counted links.

    Consent, topics, hours and caps are not asked; suppressions are.
    """
    key = idempotency.named(idempotency_key)

    async def work() -> AcceptedMessages:
        campaign = _with_event((await existing(connection, app, name)).campaign, body.data)
        version, message = _version_of(campaign, body.version)
        parts = await _test_parts(request, connection, app, message, body)
        sent: list[UUID] = []
        for place, address in enumerate(body.addresses):
            send = DirectSend(
                app=app,
                request=f"test/{name}/{version}/{key or uuid4()}/{place}",
                channel=message.channel,
                message_class="transactional",
                content={"parts": parts},
                address=_address(message.channel, address, place),
            )
            sent += (await direct_sends.plan_direct(connection, send)).ids
        return AcceptedMessages(messages=sent)

    async with database.transaction(app) as connection:
        answer = await idempotency.once(connection, app, request, key, body=body, status=202, work=work)
    request.app.state.notify(DIRECT)
    return answer


@router.get("/campaigns/{name}/missing-variables", summary="Who lacks what a campaign's templates require?")
async def find_missing_variables(request: Request, app: App, database: Db, name: CampaignName, limit: Named = 10) -> MissingVariables:
    """For each `user.x` and `device.x` that a template requires, who of those who get it has none: they would be skipped.

    What an event or a source gives is not known beforehand, and not looked at.
    """
    async with database.transaction(app) as connection:
        campaign = (await existing(connection, app, name)).campaign
        made = await _made_from(connection, app, campaign)
    needs = [(version, each, need) for version, each in made for need in await _needs(request.app.state.renderer, each)]
    async with database.transaction(app) as connection:
        holdout = holdout_of(await apps.settings(connection, app))
        everybody = await _asked(connection, app, InSegment(campaign.segment))
        found = []
        for version, made_from, need in needs:
            asked = campaign_draws.who_gets(everybody, lacks(need), campaign, version, holdout)
            size, some = await segment_people.look(connection, asked, most=limit)
            if size.people:
                what = {"channel": need.channel, "template": made_from.stored.name, "variable": need.variable}
                ids = [each.user_id for each in some if each.user_id is not None]
                found.append(MissingVariable(version=version, **what, people=size.people, is_exact=size.is_exact, sample=ids))
    return MissingVariables(at=everybody.at, missing=found)


@dataclass(frozen=True)
class _MadeFrom:
    """The template of a message, and the channel for which it is filled in."""

    stored: StoredTemplate
    channel: str


async def _made_from(connection: Connection, app: str, campaign: Campaign) -> list[tuple[str, _MadeFrom]]:
    """Each version with what it is made from; who waits for a winner with all that may win."""
    made = [
        (version, _MadeFrom(await _template(connection, app, message), message.channel)) for version, message in campaign.messages.items()
    ]
    rest = {(each.stored.name, each.channel): each for _, each in made} if campaign.winner is not None else {}
    return [*made, *((REST, each) for each in rest.values())]


async def _needs(renderer: Renderer, made: _MadeFrom) -> list[Need]:
    """What the message is not made without of what is known of people and of their addresses. Raises Invalid."""
    files = made.stored.files
    variants = ["", *sorted(locales_of(tuple(files)))]
    readers: dict[str, list[str]] = {}
    try:
        for variant in variants:
            for variable in await renderer.required(files, made.channel, variant):
                readers.setdefault(variable, []).append(variant)
    except RenderFailed as failed:
        words = f"template {made.stored.name}: {failed.why or failed.code}"
        raise Invalid([Problem("", failed.code.partition(":")[0], words)]) from failed
    known = [variable for variable in readers if variable.startswith(("user.", "device."))]
    return [Need(variable, made.channel, readers[variable], variants) for variable in known]


@dataclass(frozen=True)
class _Draft:
    """What one person gets, before it is rendered."""

    user_id: str
    left_out: LeftOut | None
    version: str | None = None
    message: Message | None = None
    after_s: int = 0
    template: StoredTemplate | None = None
    variables: Mapping[str, Any] = field(default_factory=dict)


async def _outside(connection: Connection, everybody: Asked, campaign: Campaign, some: Sequence[PersonRow]) -> Mapping[int, LeftOut]:
    """Whom of these few no run would find, by their internal ids."""
    ids = [each.id for each in some]
    first = found = await segment_people.who_is_in(connection, everybody, ids)
    if campaign.most_people is not None:
        first = await segment_people.who_is_in(connection, campaign_draws.among_the_first(everybody, campaign), ids)
    return {each: "beyond_most_people" if each in found else "not_in_segment" for each in ids if each not in first}


async def _draft(
    connection: Connection, app: str, campaign: Campaign, person: PersonRow, outside: LeftOut | None, data: Mapping[str, Any]
) -> _Draft:
    user_id = person.user_id or ""
    left_out = outside or await _held_out(connection, app, campaign, user_id)
    if left_out is not None:
        return _Draft(user_id, left_out)
    version = _version_for(app, campaign, user_id)
    message = campaign.messages[next(iter(campaign.messages)) if version == REST else version]
    after_s = int(campaign.delays.get(version, timedelta()).total_seconds())
    variables = await _variables(connection, app, person, message.channel, data)
    return _Draft(user_id, None, version, message, after_s, await _template(connection, app, message), variables)


async def _held_out(connection: Connection, app: str, campaign: Campaign, user_id: str) -> LeftOut | None:
    """As the plan of a run draws."""
    holdout = holdout_of(await apps.settings(connection, app)) if campaign.message_class == "marketing" else None
    if holdout is not None and assign.in_app_holdout(holdout, app, user_id):
        return "app_holdout"
    return "held_out" if assign.in_campaign_holdout(campaign.holdout, app, campaign.name, user_id) else None


def _version_for(app: str, campaign: Campaign, user_id: str) -> str:
    """As the plan of a run draws, of who is not held out."""
    if campaign.winner is not None and not assign.is_tested(campaign.winner.tested, app, campaign.name, user_id):
        return REST
    names = list(campaign.messages)
    return names[assign.variant_place(campaign.versions, app, campaign.name, user_id)] if campaign.versions else names[0]


async def _variables(connection: Connection, app: str, person: PersonRow, channel: str, data: Mapping[str, Any]) -> Mapping[str, Any]:
    own = await apps.settings(connection, app)
    located = await located_in(connection, app, Person(person.id, person.user_id, person.attributes, person.timezone))
    return {
        "user": {**person.attributes, "user_id": person.user_id},
        "device": await knowing.device(connection, app, person.id, channel) or {},
        "entry": dict(data),
        "captured": {},
        "visit": 1,
        "links": {"unsubscribe": "https://example.com/unsubscribe", "preferences": "https://example.com/preferences"},
        "app": {"name": await apps.name(connection, app), **{key: own.get(key) for key in ("from", "reply_to", "postal_address")}},
        "source": {},
        "locale": person.locale or person.attributes.get("locale"),
        "zone": located.zone.key,
    }


async def _shown(request: Request, app: str, draft: _Draft) -> ShownMessage:
    if draft.message is None or draft.template is None:
        return ShownMessage(user_id=draft.user_id, left_out=draft.left_out, version=None, channel=None, parts=None, problem=None)
    channel = draft.message.channel
    told: dict[str, Any] = {"user_id": draft.user_id, "left_out": None, "version": draft.version, "channel": channel}
    told["after_s"] = draft.after_s
    try:
        content = await filled(request, app, draft.template, channel, draft.variables)
    except RenderFailed as failed:
        return ShownMessage(**told, parts=None, problem=failed.code)
    except SourceAway as away:
        return ShownMessage(**told, parts=None, problem=f"source_away:{away.name}")
    return ShownMessage(**told, parts=dict(content.parts), problem=None)


async def _test_parts(request: Request, connection: Connection, app: str, message: Message, body: TestSendOrder) -> Mapping[str, Any]:
    """The parts of one message as a direct send takes them. Raises Invalid."""
    if message.channel in WITHOUT_ADDRESS:
        words = "this version goes to users, not to addresses: look at it with a dry run"
        raise Invalid([Problem("/version", "no_address", words)])
    stored = await _template(connection, app, message)
    order = PreviewOrder(channel=message.channel, user_id=body.user_id, data={"entry": body.data})
    variables = await variables_for(connection, app, stored, order)
    try:
        parts = dict((await filled(request, app, stored, message.channel, variables)).parts)
    except RenderFailed as failed:
        raise Invalid([Problem("/user_id", failed.code.partition(":")[0], failed.why or failed.code)]) from failed
    except SourceAway as away:
        raise Invalid([Problem("/user_id", "source_away", f"{away}: a message would wait for it")]) from away
    if message.channel != "email":
        return parts
    return await with_sender(connection, app, {**parts, "subject": f"{_MARK}{parts['subject']}"})


def _with_event(campaign: Campaign, data: Mapping[str, Any]) -> Campaign:
    """Raises Invalid where there are properties of an event that nothing of it will have when it is sent."""
    if data and campaign.trigger is None:
        raise Invalid([Problem("/data", "no_event", "this campaign is not on an event, so its messages have none: leave `data` out")])
    return campaign


def _version_of(campaign: Campaign, version: str | None) -> tuple[str, Message]:
    """Raises Invalid."""
    if version is None:
        return next(iter(campaign.messages.items()))
    if version not in campaign.messages:
        raise Invalid([Problem("/version", "no_such_version", f"the versions are {', '.join(campaign.messages)}")])
    return version, campaign.messages[version]


def _address(channel: str, address: str, place: int) -> str:
    try:
        return normalised(channel, address)
    except Invalid as error:
        raise Invalid([replace(problem, pointer=f"/addresses/{place}") for problem in error.problems]) from error


async def _template(connection: Connection, app: str, message: Message) -> StoredTemplate:
    """Raises Invalid where it is gone since the campaign was published."""
    stored = await templates.live(connection, app, message.template)
    if stored is None:
        raise Invalid([Problem("", "no_template", f"there is no template {message.template}: publish it first")])
    return stored


async def _asked(connection: Connection, app: str, condition: AnyCondition) -> Asked:
    named = await segments.come_to(connection, app, condition)
    return Asked(app, condition, named, await campaigns.now(connection))
