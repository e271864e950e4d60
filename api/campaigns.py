"""Campaigns: publishing them, and their life from draft to finished. Runs are in campaign_runs.py, trials in campaign_trials.py."""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import orjson
from fastapi import Path, Request, Response
from pydantic import BaseModel, Field

from activities.campaigns import life
from activities.campaigns.life import Told
from api import campaign_publishing, idempotency
from api.campaign_publishing import Surroundings, WrittenCampaign
from api.completeness import unannounced
from api.idempotency import IdempotencyKey
from api.paging import Cursor, Limit, Page, number, page_of, position, text
from api.strict import App, Body, Db, LongTextRoute, SendingApp, Who, Word, management
from api.temporal import Workflows, WorkflowsIfThere
from journeys.language.errors import Conflict, Invalid, NotFound, Problem, Unavailable
from journeys.language.lifecycle import State
from storage import campaigns, journeys, outbox, providers, segments, templates, topics, triggered_sends
from storage.campaign_runs import Tally
from storage.campaigns import StoredCampaign
from storage.database import Connection, Database
from storage.triggered_sends import Outcome

router = management("Campaigns", LongTextRoute)
CampaignName = Annotated[Word, Path(description="the campaign's name", examples=["spring-sale"])]
DEFINITION = {
    "kind": "campaign",
    "name": "spring-sale",
    "segment": "lapsed",
    "message": {"kind": "message", "channel": "email", "template": "spring-sale"},
    "when": {"kind": "once", "at": "2026-12-01T09:00", "zone": "Europe/Berlin"},
}


class CampaignView(BaseModel):
    """Where a campaign stands."""

    name: str = Field(examples=["spring-sale"])
    state: State = Field(description="draft, in_review, scheduled, running, paused, stopped or finished", examples=["scheduled"])
    segment: str = Field(examples=["lapsed"])
    version: int = Field(description="the newest that was published", examples=[3])
    hash: str = Field(description="SHA-256 of its definition")
    launched_version: int | None = Field(description="what goes out; null: it was never launched", examples=[3])
    next_at: datetime | None = Field(description="when the next run begins")
    next_local_at: str | None = Field(
        description="what people's own clocks show when that run writes to them", examples=["2026-12-01T09:00"]
    )
    submitted_by: str | None = Field(description="the key that asked for a review", examples=["marketing"])
    approved_version: int | None = Field(examples=[3])
    approved_by: str | None = Field(description="the key that approved it", examples=["lead"])
    published_by: str = Field(examples=["marketing"])
    published_at: datetime
    updated_at: datetime


class CampaignOutcomeView(BaseModel):
    """So many messages came to this."""

    version: str = Field(description="message: the only one; rest: who waited for a winner", examples=["message"])
    state: str = Field(examples=["skipped"])
    reason: str | None = Field(description="a reason code", examples=["unsubscribed"])
    messages: int = Field(examples=[120])


class SentOnEvents(BaseModel):
    """What a campaign on an event has sent since it was launched last."""

    planned: int = Field(description="messages that events have led to", examples=[1200])
    left: int = Field(description="of them, those that are still to leave", examples=[3])
    sent: int = Field(examples=[1150])
    unknown: int = Field(description="they may have gone out, and are not sent again", examples=[0])
    skipped: dict[str, int] = Field(description="by reason", examples=[{"unsubscribed": 47}])
    outcomes: list[CampaignOutcomeView]


class CampaignWithDefinition(CampaignView):
    """A campaign with its newest definition."""

    sent_on_events: SentOnEvents | None = Field(description="null: it is sent in runs, or was never launched")

    definition: dict[str, Any] = Field(
        description="as docs/how-to/campaigns.md says, and docs/reference/campaign.schema.json", examples=[DEFINITION]
    )


class CampaignVersionView(BaseModel):
    """One published version; it never changes."""

    version: int
    is_newest: bool
    is_launched: bool
    hash: str
    definition: dict[str, Any] = Field(examples=[DEFINITION])
    published_by: str = Field(examples=["marketing"])
    published_at: datetime


class ActView(BaseModel):
    """Something that was done to a campaign."""

    act: str = Field(
        description="publish, submit, send_back, approve, launch, begin (a run), left_out (a time while a run went on), pause, resume, "
        "resend, decide, stop, end",
        examples=["approve"],
    )
    version: int | None = Field(examples=[3])
    run_id: UUID | None = Field(examples=[None])
    done_by: str = Field(description="the name of the key; sojourn: its time had come", examples=["lead"])
    at: datetime


class CampaignBody(Body):
    """What a campaign is."""

    definition: dict[str, Any] = Field(
        description="as docs/how-to/campaigns.md says, and docs/reference/campaign.schema.json", examples=[DEFINITION]
    )


class LaunchOrder(Body):
    """Whether it may go out a second time."""

    again: bool = Field(False, description="launch a version that was launched before: it writes to the same people again")


@router.get("/campaigns", summary="List campaigns")
async def list_campaigns(app: App, database: Db, limit: Limit = 50, cursor: Cursor = None) -> Page[CampaignView]:
    """By name."""
    after = position(cursor, text)
    async with database.transaction(app) as connection:
        rows = await campaigns.page(connection, app, after=after[0] if after else None, most=limit + 1)
    kept, following = page_of(rows, limit, lambda row: [row.name])
    return Page(items=[CampaignView(**_members(row)) for row in kept], next=following)


@router.get("/campaigns/{name}", summary="Get a campaign")
async def get_campaign(app: App, database: Db, name: CampaignName) -> CampaignWithDefinition:
    """Where it stands, with its newest definition."""
    async with database.transaction(app) as connection:
        return await shown(connection, app, name)


@router.get("/campaigns/{name}/versions", summary="List a campaign's versions")
async def list_campaign_versions(
    app: App, database: Db, name: CampaignName, limit: Limit = 50, cursor: Cursor = None
) -> Page[CampaignVersionView]:
    """The newest first."""
    before = position(cursor, number)
    async with database.transaction(app) as connection:
        stored = await existing(connection, app, name)
        rows = await campaigns.versions(connection, app, name, before=before[0] if before else None, most=limit + 1)
    kept, following = page_of(rows, limit, lambda row: [row.version])
    return Page(items=[_version(row, stored) for row in kept], next=following)


@router.get("/campaigns/{name}/history", summary="List what was done to a campaign")
async def list_campaign_history(app: App, database: Db, name: CampaignName, limit: Limit = 50, cursor: Cursor = None) -> Page[ActView]:
    """By whom and when, the last first."""
    before = position(cursor, number)
    async with database.transaction(app) as connection:
        await existing(connection, app, name)
        rows = await campaigns.acts(connection, app, name, before=before[0] if before else None, most=limit + 1)
    kept, following = page_of(rows, limit, lambda row: [row.id])
    return Page(items=[ActView.model_validate(vars(row)) for row in kept], next=following)


@router.put("/campaigns/{name}", summary="Publish a campaign")
async def put_campaign(app: App, database: Db, who: Who, name: CampaignName, body: CampaignBody) -> CampaignWithDefinition:
    """A new version, if it passes what `sojourn check` asks, and what it names is there. Nothing is sent by that.

    What is launched stays as it was launched. The same again is the same version.
    """
    written = campaign_publishing.read(body.definition, "/definition")
    if written.name != name:
        raise Invalid([Problem("/definition/name", "other_name", "the definition has another name than the address: make them the same")])
    async with database.transaction(app) as connection:
        await journeys.lock_publishing(connection, app)
        await must_be_whole(connection, app, [written], "/definition")
        await campaigns.publish(connection, app, name, written.text, written.hash, done_by=who)
        return await shown(connection, app, name)


@router.delete("/campaigns/{name}", status_code=204, summary="Delete a campaign")
async def delete_campaign(app: App, database: Db, name: CampaignName) -> None:
    """With its versions; its messages stay. Refused while it is scheduled, running or paused: stop it first."""
    async with database.transaction(app) as connection:
        stored = await life.locked(connection, app, name)
        if stored.state in {"scheduled", "running", "paused"}:
            raise Conflict(f"this campaign is {stored.state}: stop it first")
        await campaigns.remove(connection, app, name)


@router.post("/campaigns/{name}/submit", summary="Ask for a review of a campaign")
async def submit_campaign(app: App, database: Db, who: Who, name: CampaignName) -> CampaignWithDefinition:
    """Its newest version waits for somebody's approval."""
    async with database.transaction(app) as connection:
        await life.submit(connection, await life.locked(connection, app, name), done_by=who)
        return await shown(connection, app, name)


@router.post("/campaigns/{name}/approve", summary="Approve a campaign")
async def approve_campaign(app: App, database: Db, who: Who, name: CampaignName) -> CampaignWithDefinition:
    """Its newest version may be launched. Not with the key that asked for the review."""
    async with database.transaction(app) as connection:
        await life.approve(connection, await life.locked(connection, app, name), done_by=who)
        return await shown(connection, app, name)


@router.post("/campaigns/{name}/send-back", summary="Send a campaign back from its review")
async def send_back_campaign(app: App, database: Db, who: Who, name: CampaignName) -> CampaignWithDefinition:
    """It is a draft again."""
    async with database.transaction(app) as connection:
        await life.send_back(connection, await life.locked(connection, app, name), done_by=who)
        return await shown(connection, app, name)


@router.post("/campaigns/{name}/launch", summary="Launch a campaign", response_model=CampaignWithDefinition)
async def launch_campaign(
    request: Request,
    app: SendingApp,
    database: Db,
    workflows: WorkflowsIfThere,
    name: CampaignName,
    body: LaunchOrder,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Let its newest version go out: now, or as its `when` says. Refused where it lacks an approval that it needs, or something it names.

    A version that was launched before is launched only with `again`: it writes to the same people again.
    """
    key, told, who = idempotency.named(idempotency_key), [Told()], key_name(request)

    async def work() -> CampaignWithDefinition:
        stored = await life.locked(connection, app, name)
        await must_be_whole(connection, app, [WrittenCampaign(stored.campaign)], "")
        told[0] = await life.launch(connection, stored, done_by=who, again=body.again)
        return await shown(connection, app, name)

    async with database.transaction(app) as connection:
        answer = await idempotency.once(connection, app, request, key, body=body, work=work)
    await let_hear(workflows, app, told[0])
    return answer


@router.post("/campaigns/{name}/pause", summary="Pause a campaign")
async def pause_campaign(app: App, database: Db, who: Who, workflows: WorkflowsIfThere, name: CampaignName) -> CampaignWithDefinition:
    """Within a second nothing of its runs is claimed any more; no run begins, and events send nothing.

    What is leaving right now leaves, and so does what an event has planned already.
    """
    return await _change(database, workflows, app, name, lambda connection, stored: life.pause(connection, stored, done_by=who))


@router.post("/campaigns/{name}/resume", summary="Let a paused campaign go on")
async def resume_campaign(app: App, database: Db, who: Who, workflows: WorkflowsIfThere, name: CampaignName) -> CampaignWithDefinition:
    """Where it was. Times and events of a recurring or triggered one that passed meanwhile are left out."""
    return await _change(database, workflows, app, name, lambda connection, stored: life.resume(connection, stored, done_by=who))


@router.post("/campaigns/{name}/stop", summary="Stop a campaign")
async def stop_campaign(app: App, database: Db, who: Who, workflows: WorkflowsIfThere, name: CampaignName) -> CampaignWithDefinition:
    """For good: what was not claimed is skipped as `stopped`, and no run begins any more."""
    return await _change(database, workflows, app, name, lambda connection, stored: life.stop(connection, stored, done_by=who))


async def publish(connection: Connection, app: str, written: Sequence[WrittenCampaign], done_by: str) -> None:
    """Publish campaigns that were read and looked at, under the lock of publishing."""
    for each in written:
        await campaigns.publish(connection, app, each.name, each.text, each.hash, done_by=done_by)


async def around(connection: Connection, app: str) -> Surroundings:
    """What campaigns of the app may name, as it is now."""
    live = await templates.live_with_files(connection, app)
    declared = await topics.of_app(connection, app)
    return Surroundings(
        segments={each.name: each.definition for each in await segments.live(connection, app)},
        templates={each.name: each.files for each in live},
        # The default topic is always there; alone it says that none is declared.
        topics=[each.name for each in declared] if len(declared) > 1 else [],
        push_providers=await providers.of_channel(connection, app, "push"),
    )


async def must_be_whole(connection: Connection, app: str, written: Sequence[WrittenCampaign], place: str) -> None:
    """Raises Invalid with everything that these campaigns name and that is not there."""
    surroundings = await around(connection, app)
    found = campaign_publishing.lacking(written, surroundings)
    found += unannounced([], await outbox.announced(connection), surroundings.templates, [each.campaign for each in written])
    if found:
        raise Invalid([Problem(place, each.code, f"{each.pointer}: {each.message}") for each in found])


async def existing(connection: Connection, app: str, name: str) -> StoredCampaign:
    """Raises NotFound."""
    stored = await campaigns.get(connection, app, name)
    if stored is None:
        raise NotFound("no such campaign")
    return stored


async def shown(connection: Connection, app: str, name: str) -> CampaignWithDefinition:
    """A campaign as the API tells it. Raises NotFound."""
    stored = await existing(connection, app, name)
    sent = await _sent_on_events(connection, stored)
    return CampaignWithDefinition(**_members(stored), sent_on_events=sent, definition=orjson.loads(stored.definition))


async def _sent_on_events(connection: Connection, stored: StoredCampaign) -> SentOnEvents | None:
    if stored.launched is None or campaigns.read(stored.launched).trigger is None:
        return None
    return sent_on_events(await triggered_sends.counted(connection, stored.app, stored.name, stored.launches))


def counted(outcomes: Iterable[Outcome | Tally]) -> tuple[Counter[str], Counter[str]]:
    """Messages by state; of those that were skipped, by reason."""
    by_state: Counter[str] = Counter()
    skipped: Counter[str] = Counter()
    for each in outcomes:
        by_state[each.state] += each.messages
        if each.state == "skipped":
            skipped[each.reason or "unknown"] += each.messages
    return by_state, skipped


def sent_on_events(outcomes: Sequence[Outcome]) -> SentOnEvents:
    """What so many messages come to together."""
    by_state, skipped = counted(outcomes)
    return SentOnEvents(
        planned=by_state.total(),
        left=sum(by_state[state] for state in ("planned", "deferred", "claimed")),
        sent=by_state["sent"],
        unknown=by_state["unknown"],
        skipped=dict(skipped),
        outcomes=[
            CampaignOutcomeView(version=each.variant, state=each.state, reason=each.reason, messages=each.messages) for each in outcomes
        ],
    )


def key_name(request: Request) -> str:
    """Who asks, where the key's scope is another than that of `Who`."""
    key = request.state.key
    return str(key.name or f"key {key.id}")


async def let_hear(workflows: Workflows | None, app: str, told: Told) -> None:
    """Start the workflows of runs that begin, and wake those whose state changed. A worker does the same, some seconds later."""
    if workflows is not None:
        with suppress(Unavailable):
            await workflows.look_at_runs(app, [*told.begun, *told.changed])


async def _change(
    database: Database,
    workflows: Workflows | None,
    app: str,
    name: str,
    act: Callable[[Connection, StoredCampaign], Awaitable[Told]],
) -> CampaignWithDefinition:
    async def change(connection: Connection) -> Told:
        return await act(connection, await life.locked(connection, app, name))

    told = await database.run(change, app)
    await let_hear(workflows, app, told)
    # Counting may take a second: not while relays wait for the campaign.
    async with database.transaction(app) as connection:
        return await shown(connection, app, name)


def _version(row: campaigns.CampaignVersion, stored: StoredCampaign) -> CampaignVersionView:
    places = {"is_newest": row.version == stored.version, "is_launched": row.version == stored.launched_version}
    return CampaignVersionView(**{**vars(row), "definition": orjson.loads(row.definition)}, **places)


def _members(stored: StoredCampaign) -> dict[str, Any]:
    kept = {name: value for name, value in vars(stored).items() if name in CampaignView.model_fields}
    return {**kept, "segment": stored.campaign.segment}
