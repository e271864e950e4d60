"""What messages cost, summed over a time span."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from storage.database import Database

NOW = datetime.now(UTC)
SPAN = {"since": (NOW - timedelta(days=1)).isoformat(), "until": (NOW + timedelta(hours=1)).isoformat()}
_SENT = text(
    "INSERT INTO messages (id, app, source, step, visit, target, journey, channel, message_class, state, provider, units, price, currency)"
    " SELECT message_id(:at, :app, 's', :step, 1, :target), :app, 's', :step, 1, :target, :journey, :channel, 'marketing', 'sent',"
    " 'twilio', :units, CAST(CAST(:price AS text) AS numeric), :currency"
)


async def sent(database: Database, *rows: dict[str, Any]) -> None:
    standing = {"app": "demo", "at": NOW, "step": "nudge", "journey": "cart", "channel": "sms", "units": 1, "price": None, "currency": None}
    async with database.transaction() as connection:
        for place, row in enumerate(rows):
            await connection.execute(_SENT, {**standing, "target": str(place), **row})


async def test_messages_are_summed_by_step_provider_and_currency_and_direct_ones_beside(
    manager: httpx.AsyncClient, database: Database
) -> None:
    euro = {"price": "0.0725", "currency": "EUR"}
    await sent(
        database,
        {**euro, "units": 2, "price": "0.145"},
        euro,
        {"units": 3},
        {**euro, "journey": None, "step": "direct"},
        {"channel": "email", "units": None},  # nothing is counted of a mail
        {**euro, "at": NOW - timedelta(days=2)},  # before the span
    )
    answer = await manager.get("/v1/costs", params=SPAN)
    assert answer.status_code == 200
    told = [
        (item["journey"], item["step"], item["messages"], item["units"], item["price"], item["currency"]) for item in answer.json()["items"]
    ]
    assert told == [
        (None, None, 1, 1, "0.0725", "EUR"),
        ("cart", "nudge", 1, 3, None, None),
        ("cart", "nudge", 2, 3, "0.2175", "EUR"),
    ]
    first = (await manager.get("/v1/costs", params={**SPAN, "limit": 2})).json()
    second = (await manager.get("/v1/costs", params={**SPAN, "limit": 2, "cursor": first["next"]})).json()
    assert first["items"] + second["items"] == answer.json()["items"]
    assert second["next"] is None


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ({"since": "2026-11-02T00:00:00Z", "until": "2026-11-01T00:00:00Z"}, "/until"),
        ({"since": "2026-01-01T00:00:00Z", "until": "2026-12-01T00:00:00Z"}, "/until"),
        ({"since": "2026-11-01T00:00:00", "until": "2026-11-02T00:00:00Z"}, "/since"),
    ],
)
async def test_a_span_that_is_none_is_named(manager: httpx.AsyncClient, query: dict[str, str], pointer: str) -> None:
    answer = await manager.get("/v1/costs", params=query)
    assert answer.status_code == 422
    assert [problem["pointer"] for problem in answer.json()["errors"]] == [pointer]
