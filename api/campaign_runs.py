"""Runs of campaigns: how far each has come, what its versions came to, sending again what failed, deciding what the rest get."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Literal
from uuid import UUID

from fastapi import Path, Request, Response
from pydantic import BaseModel, Field

from activities.campaigns import life
from activities.campaigns.life import Told
from api import idempotency
from api.campaign_results import RunResults, results_of
from api.campaigns import CampaignName, CampaignOutcomeView, counted, existing, key_name, let_hear
from api.idempotency import IdempotencyKey
from api.paging import Cursor, Limit, Page, moment, page_of, position
from api.strict import App, Body, Db, SendingApp, Who, Word, management
from api.temporal import WorkflowsIfThere
from journeys.language.errors import Conflict, Invalid, NotFound, Problem
from storage import campaign_results, campaign_runs, campaign_winners, campaigns
from storage.campaign_runs import Run, Tally, Wait
from storage.database import Connection

router = management("Campaigns")
RunId = Annotated[str, Path(description="the run's id", examples=["019a0000-0000-8000-8000-000000000000"])]
PLANNED = "planned"
AT_HAND = frozenset({"planned", "busy", "run_rate"})
"""What leaves as fast as the run can."""


class CampaignRunView(BaseModel):
    """One run of a campaign."""

    id: UUID
    version: int = Field(description="of the campaign, as it was when the run began", examples=[3])
    state: Literal["planning", "running", "paused", "stopped", "finished"] = Field(examples=["running"])
    repeats: UUID | None = Field(description="the run of which it sends what failed", examples=[None])
    began_at: datetime
    planned_at: datetime | None = Field(description="when it was settled who gets it: who comes into the segment later does not")
    ended_at: datetime | None
    template_versions: dict[str, int] = Field(
        description="of each template the version that all of its messages are made from, settled with who gets it; empty before",
        examples=[{"spring-sale": 3}],
    )


class RunWait(BaseModel):
    """So many of the messages that are left wait for this."""

    version: str = Field(examples=["message"])
    reason: str = Field(
        description="a reason code: not_due, local_time, no_winner_yet, quiet_hours, outside_window, provider_away, rate_limited, "
        "run_rate, paused and others; busy is being sent, planned waits only for its turn",
        examples=["quiet_hours"],
    )
    messages: int = Field(examples=[7])
    next_at: datetime | None = Field(description="when the first of them may leave; null: nobody knows, or it may leave now")


class RunProgress(CampaignRunView):
    """How far a run has come."""

    planned: int = Field(description="messages that it set out to send", examples=[100000])
    done: int = Field(description="of them, those that came to something", examples=[40000])
    left: int = Field(examples=[60000])
    waits: list[RunWait] = Field(description="what those wait for that are left; empty where nothing is")
    sent: int = Field(examples=[39000])
    unknown: int = Field(description="they may have gone out, and are not sent again", examples=[2])
    skipped: dict[str, int] = Field(description="by reason, those left out when it was planned too", examples=[{"unsubscribed": 120}])
    next_due_at: datetime | None = Field(description="when the next message may leave; null: none, or the rest waits for a winner")
    per_second: float | None = Field(
        description="messages, on average since it was planned, or since the version was due that was due last; null where nothing is done",
        examples=[812.5],
    )
    ends_at: datetime | None = Field(
        description="at that rate, but not before the last message is due; null where that cannot be told, as before a winner is known"
    )
    outcomes: list[CampaignOutcomeView]


class WinnerOrder(Body):
    """What those get who wait for a winner."""

    version: Word | None = Field(description="the name of a version; null: nothing", examples=["bold"])


@router.get("/campaigns/{name}/runs", summary="List a campaign's runs")
async def list_campaign_runs(app: App, database: Db, name: CampaignName, limit: Limit = 50, cursor: Cursor = None) -> Page[CampaignRunView]:
    """The newest first. A campaign on an event has none: each event sends one message at once."""
    before = position(cursor, moment, UUID)
    async with database.transaction(app) as connection:
        await existing(connection, app, name)
        rows = await campaigns.runs(connection, app, name, before=(before[0], before[1]) if before else None, most=limit + 1)
    kept, following = page_of(rows, limit, lambda row: [row.began_at.isoformat(), str(row.id)])
    return Page(items=[CampaignRunView.model_validate(vars(row)) for row in kept], next=following)


@router.get("/campaigns/{name}/runs/{run_id}", summary="How far has a run come?")
async def get_campaign_run(app: App, database: Db, name: CampaignName, run_id: RunId) -> RunProgress:
    """Counted as messages are settled; what providers tell later stands with each message."""
    async with database.transaction(app) as connection:
        return await _progress(connection, app, await _run(connection, app, name, run_id))


@router.get("/campaigns/{name}/runs/{run_id}/results", summary="What did a run's versions come to?")
async def get_campaign_results(app: App, database: Db, name: CampaignName, run_id: RunId) -> RunResults:
    """Who reached the goal within its window from the send, by version, and in the holdout. 409 for a campaign without a goal."""
    async with database.transaction(app) as connection:
        run = await _run(connection, app, name, run_id)
        campaign = campaigns.read(run.definition)
        if campaign.goal is None:
            raise Conflict("this run has no goal, so nothing is measured: give the campaign one")
        counts = await campaign_results.exposed(connection, app, run.id, campaign.goal, at=await campaigns.now(connection))
        waits = await campaign_runs.waits(connection, app, run.id)
        verdict = await campaign_winners.verdict(connection, app, run.id)
        return results_of(campaign, counts, verdict, still_sent={each.step for each in waits})


@router.post("/campaigns/{name}/runs/{run_id}/winner", summary="Decide what those get who wait for a winner")
async def decide_winner(
    app: App, database: Db, who: Who, workflows: WorkflowsIfThere, name: CampaignName, run_id: RunId, body: WinnerOrder
) -> RunProgress:
    """Before the rule of the campaign decides, or where it will not. What is decided stays so: 409."""
    async with database.transaction(app) as connection:
        run = await _run(connection, app, name, run_id)
        campaign = campaigns.read(run.definition)
        if campaign.winner is None:
            raise Conflict("nobody waits for a winner in this run: its campaign has no winner rule")
        if body.version is not None and body.version not in campaign.messages:
            raise Invalid([Problem("/version", "no_such_version", f"the versions are {', '.join(campaign.messages)}, or null for nothing")])
        if run.ended_at is not None or not await campaign_winners.decide(connection, app, run.id, body.version):
            raise Conflict("this is decided already, or the run is over")
        await campaigns.note(connection, app, name, "decide", version=run.version, run_id=run.id, done_by=who)
        answer = await _progress(connection, app, run)
    await let_hear(workflows, app, Told(changed=[run.id]))
    return answer


@router.post(
    "/campaigns/{name}/runs/{run_id}/resend", summary="Send again what failed in a run", response_model=CampaignRunView, status_code=202
)
async def resend_campaign_run(
    request: Request,
    app: SendingApp,
    database: Db,
    workflows: WorkflowsIfThere,
    name: CampaignName,
    run_id: RunId,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """A new run to those alone whose message was refused, or could not be made or handed over.

    Each gets the version that they were to get. What may have gone out, who wants nothing and who was held out are left alone. Once for
    each run, when it is over.
    """
    key, told = idempotency.named(idempotency_key), [Told()]

    async def work() -> CampaignRunView:
        stored = await life.locked(connection, app, name)
        told[0] = await life.resend(connection, stored, await _run(connection, app, name, run_id), done_by=key_name(request))
        begun = await campaign_runs.get(connection, app, told[0].begun[0])
        return CampaignRunView.model_validate(vars(begun))

    async with database.transaction(app) as connection:
        answer = await idempotency.once(connection, app, request, key, status=202, work=work)
    await let_hear(workflows, app, told[0])
    return answer


async def _run(connection: Connection, app: str, name: str, run_id: str) -> Run:
    """Raises NotFound, also for a run of another campaign."""
    try:
        run = await campaign_runs.get(connection, app, UUID(run_id))
    except ValueError:
        run = None
    if run is None or run.campaign != name:
        raise NotFound("no such run")
    return run


async def _progress(connection: Connection, app: str, run: Run) -> RunProgress:
    tallies = await campaign_runs.tallies(connection, app, run.id)
    waits = await campaign_runs.waits(connection, app, run.id)
    return progress_of(run, tallies, waits, await campaigns.now(connection))


def progress_of(run: Run, tallies: Sequence[Tally], waits: Sequence[Wait], now: datetime) -> RunProgress:
    """How far a run has come at `now`."""
    by_state, skipped = counted(tallies)
    left = sum(each.messages for each in waits)
    rate = _rate(run, _done_by_version(tallies, waits), now)
    return RunProgress(
        **CampaignRunView.model_validate(vars(run)).model_dump(),
        planned=by_state[PLANNED],
        done=max(0, by_state[PLANNED] - left),
        left=left,
        waits=[RunWait(version=each.step, reason=each.reason, messages=each.messages, next_at=_next_at(each, now)) for each in waits],
        sent=by_state["sent"],
        unknown=by_state["unknown"],
        skipped=dict(skipped),
        next_due_at=min((each.first_at for each in waits if each.first_at is not None), default=None),
        per_second=rate,
        ends_at=_ends_at(waits, rate, now) if run.state == "running" else None,
        outcomes=[
            CampaignOutcomeView(version=each.step, state=each.state, reason=each.reason, messages=each.messages)
            for each in tallies
            if each.state != PLANNED
        ],
    )


def _rate(run: Run, done: Mapping[str, int], now: datetime) -> float | None:
    """Of the versions that were due last: while nothing is due nothing can be done."""
    if run.planned_at is None:
        return None
    campaign = campaigns.read(run.definition)
    until = run.ended_at or now
    due = {} if campaign.local_at else {name: run.planned_at + delay for name, delay in campaign.delays.items()}
    began = max((at for at in due.values() if at < until), default=run.planned_at)
    counted = sum(number for name, number in done.items() if due.get(name, began) == began)
    took = (until - began).total_seconds()
    return counted / took if counted and took > 0 else None


def _done_by_version(tallies: Sequence[Tally], waits: Sequence[Wait]) -> Mapping[str, int]:
    done: Counter[str] = Counter()
    for tally in tallies:
        done[tally.step] += tally.messages if tally.state == PLANNED else 0
    for wait in waits:
        done[wait.step] -= wait.messages
    return {step: max(0, number) for step, number in done.items()}


def _ends_at(waits: Sequence[Wait], rate: float | None, now: datetime) -> datetime | None:
    """What waits for a moment is over when that has come; the others leave at the rate."""
    at_hand = sum(each.messages for each in waits if each.reason in AT_HAND)
    moments = [each.last_at for each in waits if each.reason not in AT_HAND]
    known = [moment for moment in moments if moment is not None]
    if not waits or len(known) < len(moments) or (at_hand and not rate):
        return None
    return max([*known, now + timedelta(seconds=at_hand / rate if rate else 0)])


def _next_at(wait: Wait, now: datetime) -> datetime | None:
    return wait.first_at if wait.first_at is not None and wait.first_at > now and wait.reason != "busy" else None
