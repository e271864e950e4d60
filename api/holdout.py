"""What all marketing together does: people who are held out of the whole app, beside all others."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Query
from pydantic import BaseModel, Field

from activities.app_settings import holdout_of
from api.results import DifferenceView, ShareView
from api.spans import must_have_zones
from api.strict import App, Db, Word, management
from journeys.language.assign import AppHoldout
from journeys.language.errors import Conflict, Invalid, Problem
from journeys.language.experiments import Exposed
from journeys.language.mismatch import is_mismatched
from journeys.language.rates import difference_at_once, share
from storage import apps, holdout_results

router = management("App")
Event = Annotated[Word, Query(description="what counts as a conversion", examples=["order_placed"])]
Since = Annotated[datetime, Query(description="counted from here on, of those who were known before", examples=["2027-01-01T00:00:00Z"])]
Until = Annotated[datetime | None, Query(description="and before this; left out: now", examples=["2027-04-01T00:00:00Z"])]


class HoldoutResults(BaseModel):
    """Who did the event in the span, of those held out of all marketing and of the others. The intervals hold however often you look."""

    percent: float = Field(description="the setting as it is now", examples=[5])
    salt: str = Field(examples=["2027"])
    since: datetime
    until: datetime
    held_out: ShareView | None = Field(description="null: nobody is")
    others: ShareView | None
    difference: DifferenceView | None = Field(description="the others minus who is held out")
    is_mismatched: bool = Field(description="more or fewer people are held out than `percent` says: something is broken; trust no result")


@router.get("/holdout/results", summary="What does all marketing together do?")
async def get_holdout_results(app: App, database: Db, event: Event, since: Since, until: Until = None) -> HoldoutResults:
    """Of users with an id who were known before `since`: how many did the event, held out or not.

    The setting `holdout` must have stood as it is since then. Joined users count once; what one did before they were joined counts.
    """
    end = until or datetime.now(UTC)
    must_have_zones(since=since, until=until)
    if end <= since:
        raise Invalid([Problem("/until", "bad_span", "after `since`")])
    async with database.transaction(app) as connection:
        holdout = holdout_of(await apps.settings(connection, app))
        if holdout is None:
            raise Conflict("nobody is held out of this app: PATCH /v1/settings with `holdout`, and wait")
        found = await holdout_results.exposed(connection, app, holdout, event, since=since, until=end)
    return _results(holdout, since, end, found[True], found[False])


def _results(holdout: AppHoldout, since: datetime, until: datetime, held_out: Exposed, others: Exposed) -> HoldoutResults:
    without, rest = (share(each.converted, each.people) for each in (held_out, others))
    difference = difference_at_once(rest, without)
    weights = [float(holdout.percent), 100 - float(holdout.percent)]
    return HoldoutResults(
        percent=float(holdout.percent),
        salt=holdout.salt,
        since=since,
        until=until,
        held_out=ShareView(**asdict(without)) if without else None,
        others=ShareView(**asdict(rest)) if rest else None,
        difference=DifferenceView(**asdict(difference)) if difference else None,
        is_mismatched=is_mismatched([held_out.people, others.people], weights),
    )
