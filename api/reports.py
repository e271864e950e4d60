"""Reports of a journey: how many entered, came through each step, were sent what, and reached the goal; per arm and against the holdout."""

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

from fastapi import Query
from pydantic import BaseModel, Field

from api.funnel import TOLD, Line, Tally, gone_steps, here_now, lines, tally, way_words
from api.journeys import JourneyName
from api.results import Found, HoldoutReport, ShareView, SplitReport, converted_of, holdout_of, split_of, splits_of
from api.spans import must_have_zones
from api.strict import App, Db, Word, management
from api.words import reason_words
from journeys.language.describe import duration_words, events_words, step_words
from journeys.language.errors import Invalid, Problem
from journeys.language.journey import Journey
from journeys.language.steps import Send
from storage import report_marks, reports
from storage.reports import Reading

router = management("Journeys")
FIRST = datetime(2000, 1, 1, tzinfo=UTC)
LAST = datetime(9999, 1, 1, tzinfo=UTC)
# Steps that write nothing of their own.
SILENT = frozenset({"wait", "wait_for", "split", "repeat", "exit"})


class Reason(BaseModel):
    """How many for one reason."""

    reason: str = Field(examples=["no_endpoint"])
    words: str = Field(examples=["they have no address on this channel"])
    n: int = Field(examples=[17])


class Amount(BaseModel):
    """Money, by the prices that accounts name."""

    amount: Decimal = Field(examples=["70.325"])
    currency: str = Field(examples=["EUR"])


class MessagesView(BaseModel):
    """Messages of a Send that has come to an end for its person: one for each device or address. What is still tried is not among them."""

    sent: int = Field(description="handed to the provider", examples=[970])
    unknown: int = Field(description="unconfirmed: may have gone out", examples=[1])
    rejected: int = Field(description="refused by the provider for good", examples=[2])
    skipped: list[Reason]
    given_up: list[Reason]
    delivered: int = Field(description="where the provider tells", examples=[951])
    opened: int = Field(description="where it is known", examples=[402])
    clicked: int = Field(description="where it is known", examples=[77])
    bounced: int
    complained: int
    unsubscribed: int
    units: int = Field(description="segments of texts, calls, WhatsApp messages; 0 where nothing is counted", examples=[1180])
    costs: list[Amount] = Field(description="of those whose account names a price")


class Way(BaseModel):
    """How many people left a step by one way. Who visited it several times may count in several ways."""

    way: str = Field(description="sent, not_sent, exited; otherwise, or the number of the case from 0", examples=["sent"])
    words: str = Field(examples=["sent"])
    people: int = Field(examples=[970])


class StepReport(BaseModel):
    """One step of the live version, in the order of the definition."""

    step: str = Field(examples=["welcome"])
    kind: str = Field(examples=["send"])
    words: str = Field(examples=["email: welcome"])
    depth: int = Field(description="0 is the trunk", examples=[0])
    branch: str | None = Field(description="which way leads to the first step of a branch", examples=["yes"])
    passed: int | None = Field(
        description="people who came through; null for steps that write nothing (Wait, WaitFor, Split)", examples=[980]
    )
    here_now: int = Field(description="people who stand here now; see `now` for those who may be at one of several", examples=[12])
    ways: list[Way]
    messages: MessagesView | None = Field(description="null for steps that send nothing")


class Place(BaseModel):
    """People inside, by the last step that wrote something: a Wait writes nothing when it begins."""

    after: str | None = Field(description="null: nothing has come to anything yet", examples=["welcome"])
    way: str | None = Field(examples=["sent"])
    at: list[str] = Field(description="where they can be from there", examples=[["settle_in"]])
    people: int = Field(examples=[312])


class JourneyReport(BaseModel):
    """What became of those who entered in the range, however long afterwards it happened."""

    journey: str = Field(examples=["onboarding"])
    version: int | None = Field(description="null: all versions", examples=[3])
    live_version: int = Field(examples=[3])
    versions: list[int] = Field(description="those that people of the range are in", examples=[[2, 3]])
    split: str | None = Field(None, description="set: only people of one arm", examples=["offer"])
    arm: str | None = Field(None, examples=["discount"])
    since: datetime | None = Field(description="entered at or after; null: from the first")
    until: datetime | None = Field(description="entered before; null: until now")
    as_of: datetime | None = Field(description="all that was stored by then is counted; null: nothing has been counted yet")
    hours_due: int = Field(description="hours of entries in which something has changed since; 0 but for moments, and while counted anew")
    entered: int = Field(description="without the holdout", examples=[1000])
    inside: int = Field(examples=[312])
    ended: list[Reason]
    refused: list[Reason] = Field(description="entry events that started nothing, by when they were refused; of all versions")
    goal: str | None = Field(examples=["order_placed within 14 days"])
    converted: ShareView | None = Field(description="null without a goal, or when nobody entered")
    enter_again: bool = Field(description="true: people may enter more than once and count each time, so intervals are too narrow")
    holdout: HoldoutReport | None = Field(description="null when nobody is held out")
    splits: list[SplitReport]
    costs: list[Amount] = Field(description="of all messages whose account names a price")
    steps: list[StepReport]
    now: list[Place]
    gone_steps: list[str] = Field(description="steps that people came through and the live version no longer has")


class Recounting(BaseModel):
    """Everything is counted anew from what is stored; until then reports show what was counted before."""

    hours: int = Field(description="hours of entries to count", examples=[720])


Version = Annotated[int | None, Query(ge=1, description="only people in this version", examples=[3])]
_SINCE = Query(description="only who entered at or after this; cut to the full hour", examples=["2026-11-01T00:00:00Z"])
_UNTIL = Query(description="only who entered before this; cut to the full hour", examples=["2026-12-01T00:00:00Z"])
Since = Annotated[datetime | None, _SINCE]
Until = Annotated[datetime | None, _UNTIL]
SplitName = Annotated[Word | None, Query(description="with `arm`: only people of that arm", examples=["offer"])]
ArmName = Annotated[Word | None, Query(examples=["discount"])]


@router.get("/journeys/{name}/report", summary="What became of those who entered?")
async def get_report(
    app: App,
    database: Db,
    name: JourneyName,
    since: Since = None,
    until: Until = None,
    version: Version = None,
    split: SplitName = None,
    arm: ArmName = None,
) -> JourneyReport:
    """Counted by the hour of entry, from what is stored: `as_of` says by when. Cheap on millions of people.

    People are measured by the goal of the live version; its window counts from the entry event, late events and imported history included.
    """
    first, behind = _full_hour(since, "since"), _full_hour(until, "until")
    async with database.transaction(app) as connection:
        rows = await reports.counted(connection, app, name, since=first or FIRST, until=behind or LAST, version=version)
        fresh = await reports.reading(connection, app)
        seen = sorted({row.version for row in rows if row.version})
        live_version, definitions = await reports.definitions(connection, app, name, seen)
    live = definitions[live_version]
    _known_arm(live, split, arm)
    found = Found(live, definitions, rows)
    counts, everybody = tally(rows, split or "", arm or ""), tally(rows)
    here, places = here_now([] if split else rows, definitions)
    return JourneyReport(
        journey=name,
        version=version,
        live_version=live_version,
        versions=seen,
        split=split,
        arm=arm,
        since=first,
        until=behind,
        **_freshness(fresh),
        entered=counts.n("entered"),
        inside=sum(n for (what, _, _), n in counts.by.items() if what == "inside"),
        ended=_reasons(counts.details("ended")),
        refused=_reasons(everybody.details("refused")),
        goal=_goal_words(live),
        converted=converted_of(live, counts),
        enter_again=found.enter_again,
        holdout=holdout_of(found, counts),
        costs=_amounts(counts),
        splits=[] if split else [split_of(found, each) for each in splits_of(live)],
        steps=[_step(line, counts, here) for line in lines(live)],
        now=[Place(**place) for place in places],
        gone_steps=gone_steps(counts, live),
    )


@router.post("/journeys/{name}/report/rebuild", status_code=202, summary="Count everything anew")
async def rebuild_report(app: App, database: Db, name: JourneyName) -> Recounting:
    """Count the reports of every journey of this app from scratch. The numbers stay the same unless something was changed by hand."""
    async with database.transaction(app) as connection:
        await reports.definitions(connection, app, name, [])
        return Recounting(hours=await report_marks.mark_all(connection, app))


def _full_hour(moment: datetime | None, name: str) -> datetime | None:
    if moment is None:
        return None
    must_have_zones(**{name: moment})
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def _known_arm(journey: Journey, split: str | None, arm: str | None) -> None:
    if (split is None) != (arm is None):
        raise Invalid([Problem("/arm" if arm is None else "/split", "missing", "give `split` and `arm` together")])
    arms = [each.name for step in splits_of(journey) if step.id == split for each in step.arms]
    if split is not None and arm not in arms:
        raise Invalid([Problem("/arm" if arms else "/split", "unknown", f"the arms are {', '.join(arms)}" if arms else "no such Split")])


def _freshness(fresh: Reading) -> dict[str, Any]:
    return {"as_of": fresh.as_of, "hours_due": fresh.hours_due}


def _reasons(found: Mapping[str, int], **names: str) -> list[Reason]:
    return [Reason(reason=reason, words=reason_words(reason, **names), n=n) for reason, n in found.items()]


def _goal_words(journey: Journey) -> str | None:
    return f"{events_words(journey.goal.events)} within {duration_words(journey.goal.within)}" if journey.goal else None


def _step(line: Line, counts: Tally, here: Mapping[str, int]) -> StepReport:
    step = line.step
    ways = counts.details("went", step.id)
    return StepReport(
        step=step.id,
        kind=step.kind,
        words=step_words(step),
        depth=line.depth,
        branch=line.branch,
        passed=None if step.kind in SILENT else counts.n("came", step.id) - ways.get("exited", 0),
        here_now=here.get(step.id, 0),
        ways=[Way(way=way, words=way_words(step, way), people=n) for way, n in ways.items()],
        messages=_messages(step, counts) if isinstance(step, Send) else None,
    )


def _messages(step: Send, counts: Tally) -> MessagesView:
    found = counts.details("message", step.id)
    names = {"channel": step.message.channel, "template": f"template {step.message.template}"}

    def because(state: str) -> list[Reason]:
        return _reasons({detail.partition(":")[2]: n for detail, n in found.items() if detail.startswith(f"{state}:")}, **names)

    states = {state: found.get(state, 0) for state in ("sent", "unknown", "rejected")}
    told = {what: counts.n(what, step.id) for what in TOLD}
    counted = {"units": counts.n("units", step.id), "costs": _amounts(counts, step.id)}
    return MessagesView(**states, skipped=because("skipped"), given_up=because("given_up"), **told, **counted)


def _amounts(counts: Tally, step: str | None = None) -> list[Amount]:
    """Of one step, or of all; counted in millionths."""
    by: Counter[str] = Counter()
    for (what, of, currency), n in counts.by.items():
        if what == "cost" and step in (None, of):
            by[currency] += n
    return [Amount(amount=Decimal(n) / 1_000_000, currency=currency) for currency, n in sorted(by.items())]
