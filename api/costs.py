"""What messages cost: texts by their segments, calls, WhatsApp messages."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated

from fastapi import Query
from pydantic import BaseModel, Field

from api.paging import Cursor, Limit, Page, page_of, position, text
from api.spans import must_have_zones
from api.strict import App, Db, management
from journeys.language.errors import Invalid, Problem
from storage import costs
from storage.costs import CostRow

router = management("Messages")
LONGEST = timedelta(days=92)
_KEYS = ("channel", "journey", "step", "provider", "currency")
_SINCE = Query(description="enrollments and requests that began at or after this", examples=["2026-11-01T00:00:00Z"])
_UNTIL = Query(description="enrollments and requests that began before this", examples=["2026-12-01T00:00:00Z"])


class CostView(BaseModel):
    """Messages that were counted, of one channel, provider, step and currency."""

    channel: str = Field(examples=["sms"])
    provider: str | None = Field(examples=["twilio"])
    journey: str | None = Field(description="null: direct sends", examples=["order-status"])
    step: str | None = Field(examples=["on_its_way"])
    messages: int = Field(examples=[970])
    units: int = Field(description="segments of texts, calls, WhatsApp messages", examples=[1180])
    price: Decimal | None = Field(description="null: the account names no price", examples=["85.55"])
    currency: str | None = Field(examples=["EUR"])


@router.get("/costs", summary="What did messages cost?")
async def get_costs(
    app: App,
    database: Db,
    since: Annotated[datetime, _SINCE],
    until: Annotated[datetime, _UNTIL],
    limit: Limit = 200,
    cursor: Cursor = None,
) -> Page[CostView]:
    """Of at most 92 days, journeys' and direct messages, by the time at which their enrollment or request began.

    Prices are those that the accounts had when the messages were sent.
    """
    after = position(cursor, *[text] * len(_KEYS))
    must_have_zones(since=since, until=until)
    if not timedelta() < until - since <= LONGEST:
        raise Invalid([Problem("/until", "bad_span", "after `since`, by 92 days at most")])
    async with database.transaction(app) as connection:
        rows = sorted(await costs.sums(connection, app, since=since, until=until), key=_place)
    kept, following = page_of([row for row in rows if after is None or _place(row) > after][: limit + 1], limit, _place)
    return Page(items=[CostView(**vars(row)) for row in kept], next=following)


def _place(row: CostRow) -> list[str]:
    return [getattr(row, key) or "" for key in _KEYS]
