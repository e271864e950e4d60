"""The purchases of 23,570 real customers come in through /v1/history, twice: nothing starts, and nothing is doubled."""

import asyncio
import gzip
import os
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from storage import keys
from storage.database import Database
from tests.api.serving import serving

DATA = Path(os.environ.get("SOJOURN_TEST_DATA") or Path(__file__).parents[1] / "corpus")
PER_REQUEST, AT_ONCE = 2_000, 4


@dataclass(frozen=True)
class Purchase:
    customer: str
    day: date
    discs: int
    dollars: str
    ordinal: int

    @property
    def call(self) -> dict[str, Any]:
        return {
            "type": "track",
            "event": "order_placed",
            "userId": self.customer,
            "messageId": f"cdnow-{self.customer}-{self.day}-{self.ordinal}",
            "timestamp": f"{self.day}T00:00:00Z",
            "properties": {"total": float(self.dollars), "discs": self.discs},
        }


def purchases() -> Iterator[Purchase]:
    """Every row of the file. Rows have no id: a customer may buy twice on one day, for the same amount too."""
    seen: Counter[tuple[str, str]] = Counter()
    with gzip.open(DATA / "cdnow_master.txt.gz", "rt") as lines:
        next(lines)
        for line in lines:
            customer, day, discs, dollars = line.split()
            seen[customer, day] += 1
            yield Purchase(customer, date.fromisoformat(day), int(discs), dollars, seen[customer, day])


async def send_all(url: str, key: str, rows: list[Purchase]) -> list[dict[str, Any]]:
    """Post everything, a few requests at a time; the answers in no order."""
    pages = [rows[start : start + PER_REQUEST] for start in range(0, len(rows), PER_REQUEST)]
    async with httpx.AsyncClient(base_url=url, headers={"authorization": f"Bearer {key}"}, timeout=60) as client:

        async def send(mine: list[list[Purchase]]) -> list[dict[str, Any]]:
            answers = [await client.post("/v1/history", json={"batch": [row.call for row in page]}) for page in mine]
            return [answer.raise_for_status().json() for answer in answers]

        return [answer for done in await asyncio.gather(*(send(pages[n::AT_ONCE]) for n in range(AT_ONCE))) for answer in done]


async def ask(database: Database, statement: str) -> list[tuple[Any, ...]]:
    async with database.transaction() as connection:
        return [tuple(row) for row in await connection.execute(text(statement))]


async def listen_to_orders(database: Database) -> None:
    """A journey that every live order would start."""
    async with database.transaction() as connection:
        await connection.execute(text("INSERT INTO journeys (app, name, live_version) VALUES ('demo', 'thanks', 1)"))
        await connection.execute(
            text(
                "INSERT INTO journey_versions (app, journey, version, hash, definition, entry_names, listen_names)"
                " VALUES ('demo', 'thanks', 1, '', '{}', ARRAY['order_placed'], ARRAY['order_placed'])"
            )
        )


async def per_customer(database: Database) -> dict[str, tuple[int, int, Decimal]]:
    """What Sojourn knows: customer -> orders, discs, dollars."""
    statement = (
        "SELECT u.user_id, count(*), sum((e.properties->>'discs')::int), sum((e.properties->>'total')::numeric)"
        " FROM events e JOIN users u ON u.app = e.app AND u.id = e.user_id WHERE e.name = 'order_placed' GROUP BY 1"
    )
    return {customer: (orders, discs, dollars) for customer, orders, discs, dollars in await ask(database, statement)}


def expected(rows: list[Purchase]) -> dict[str, tuple[int, int, Decimal]]:
    """What the file says, read without Sojourn."""
    found: defaultdict[str, tuple[int, int, Decimal]] = defaultdict(lambda: (0, 0, Decimal()))
    for row in rows:
        orders, discs, dollars = found[row.customer]
        found[row.customer] = (orders + 1, discs + row.discs, dollars + Decimal(row.dollars))
    return dict(found)


@pytest.mark.e2e
async def test_real_purchases_are_imported_twice_and_stand_once(database: Database, database_url: str, tmp_path: Path) -> None:
    assert (DATA / "cdnow_master.txt.gz").exists(), f"{DATA} holds no cdnow_master.txt.gz: name its folder in SOJOURN_TEST_DATA"
    rows = list(purchases())
    assert len(rows) == 69_659
    await listen_to_orders(database)
    async with database.transaction() as connection:
        key = await keys.create(connection, "demo", "secret")
    with serving(database_url, tmp_path) as served:
        first = await send_all(served.url, key, rows)
        second = await send_all(served.url, key, rows[::-1])
    assert all(answer["results"] == [] for answer in first)
    assert {result["code"] for answer in second for result in answer["results"]} == {"duplicate"}
    assert sum(len(answer["results"]) for answer in second) == len(rows)
    assert await per_customer(database) == expected(rows)
    days = await ask(database, "SELECT (occurred_at AT TIME ZONE 'UTC')::date, count(*) FROM events GROUP BY 1")
    assert dict(days) == Counter(row.day for row in rows)
    assert await ask(database, "SELECT (SELECT count(*) FROM outbox), (SELECT count(*) FROM enrollments)") == [(0, 0)]
