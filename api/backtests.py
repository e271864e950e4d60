"""Backtests: a journey, published or not, played against what is recorded of real people. Nothing is sent."""

from datetime import UTC, datetime
from typing import Any

from pydantic import AwareDatetime, Field, TypeAdapter, ValidationError

from api import publishing
from api.idempotency import IdempotencyKey, named
from api.jobs import JobView, begin
from api.strict import App, Body, Db, LongTextRoute, management
from api.temporal import WorkflowsIfThere
from journeys.language.check_conditions import conditions_in
from journeys.language.conditions import Condition
from journeys.language.errors import Invalid, Problem
from journeys.language.findings import Place
from journeys.language.journey import Journey

router = management("Journeys", LongTextRoute)
_CONDITION: TypeAdapter[Any] = TypeAdapter(Condition)
_DEFINITION = {"kind": "journey", "name": "onboarding", "starts_on": {"kind": "events"}, "steps": []}
_EXAMPLE = {"kind": "did_not", "event": "order_placed"}


class BacktestBody(Body):
    """Which journey is played, against which time and whom."""

    definition: dict[str, Any] = Field(description="the journey as JSON, as in apply", examples=[_DEFINITION])
    since: AwareDatetime | None = Field(
        None, description="entries from then on; null: from the first event on", examples=["2026-11-01T00:00:00Z"]
    )
    until: AwareDatetime | None = Field(None, description="nothing after it is looked at; null: now")
    sample_percent: float = Field(100, gt=0, le=100, description="how many of the people are looked at, the same ones each time")
    most_people: int | None = Field(None, ge=1, description="look at a smaller sample where there are more people than this")
    entering: dict[str, Any] | None = Field(
        None, description="for a journey that no event starts: people enter when this condition begins to hold", examples=[_EXAMPLE]
    )
    as_if_reachable: bool = Field(False, description="as if everybody had every channel and had agreed to everything")


@router.post("/backtests", status_code=202, summary="Play a journey over history")
async def begin_backtest(
    app: App, database: Db, workflows: WorkflowsIfThere, body: BacktestBody, idempotency_key: IdempotencyKey = None
) -> JobView:
    """Begin a job that plays the journey for everybody against recorded events, and counts. Nothing is sent, and nothing is written.

    Its result: who would have entered, what would have been sent on which day and step, what not and why, who converted anyway.
    """
    [written] = publishing.read([body.definition])
    entering = _condition(body.entering)
    if wrong := _problems(written.journey, body):
        raise Invalid(wrong)
    parameters = {
        "definition": written.definition,
        "since": body.since and body.since.astimezone(UTC).isoformat(),
        "until": body.until and body.until.astimezone(UTC).isoformat(),
        "of_ten_thousand": max(1, round(body.sample_percent * 100)),
        "most_people": body.most_people,
        "entering": entering,
        "as_if_reachable": body.as_if_reachable,
    }
    return await begin(database, workflows, app, "backtest", parameters, named(idempotency_key))


def _condition(given: dict[str, Any] | None) -> dict[str, Any] | None:
    if given is None:
        return None
    try:
        condition = _CONDITION.validate_python(given)
    except ValidationError as error:
        raise Invalid([Problem("/entering", each["type"]) for each in error.errors(include_input=False)]) from error
    if wrong := list(conditions_in(condition, Place("/entering"))):
        raise Invalid(wrong)
    read: dict[str, Any] = _CONDITION.dump_python(condition, mode="json", exclude_none=True)
    return read


def _problems(journey: Journey, body: BacktestBody) -> list[Problem]:
    found = []
    if body.since and body.since >= (body.until or datetime.now(UTC)):
        found.append(Problem("/since", "not_before_until", "it must be before the end of the time"))
    if journey.entry_events is None and body.entering is None:
        words = "no event starts this journey: give the condition with which people would have entered"
        found.append(Problem("/entering", "no_way_in", words))
    if journey.entry_events is not None and body.entering is not None:
        found.append(Problem("/entering", "starts_on_events", "this journey starts on events: leave the condition out"))
    return found
