"""The purchases of 23,570 real customers are imported, and fifteen segments over them are, user for user, what the file says."""

import csv
import io
from collections import defaultdict
from datetime import UTC, datetime, time
from typing import Any

from journeys.language import ago, days, did, did_not, in_segment, last_did, prop, trait
from journeys.language.conditions import AnyCondition
from storage import segment_people, segments
from storage.database import Database
from storage.segment_people import Asked
from tests.activities.imports.cdnow_by_hand import ANSWERS, END, MIDST, History, Purchase, first_month, purchases
from tests.activities.imports.runs import imported

ORDER = "order_placed"
SPRING = (datetime(1998, 3, 1, tzinfo=UTC), datetime(1998, 6, 1, tzinfo=UTC))
TOTAL = prop("total")
BIG = did(ORDER, at_least=150, total=TOTAL)
LAPSED = did(ORDER) & did_not(ORDER, last=days(90))
CONDITIONS: dict[str, Any] = {
    "at least six orders": did(ORDER, at_least=6),
    "exactly one order": did(ORDER, at_least=1, at_most=1),
    "spent at least 200": did(ORDER, at_least=200, total=TOTAL),
    "spent between 50 and 100 on discs in the last year": did(ORDER, at_least=50, at_most=100, total=TOTAL, last=days(365)),
    "bought in the last 90 days": did(ORDER, last=days(90)),
    "did not buy for 180 days": did_not(ORDER, last=days(180)),
    "the last order is more than 300 days ago": last_did(ORDER).before(ago(days(300))),
    "two or more orders in spring": did(ORDER, at_least=2, between=SPRING),
    "an order of more than ten discs": did(ORDER, where=prop("discs") > 10),
    "three or more cheap orders": did(ORDER, at_least=3, where=TOTAL < 15),
    "ordered again within a week": did(ORDER, then=ORDER, within=days(7)),
    "never ordered again within 60 days": did_not(ORDER, then=ORDER, within=days(60)),
    "big spenders of February who are quiet": (trait("first_month") == "1997-02") & in_segment("big") & did_not(ORDER, last=days(120)),
    "as of September 1997: lapsed": in_segment("lapsed"),
    "on the list, or regular, but not spent much": (in_segment("listed") | (trait("orders") >= 10))
    & ~did(ORDER, at_least=500, total=TOTAL),
}
MOMENTS = {"as of September 1997: lapsed": MIDST}


async def test_fifteen_segments_over_an_imported_file_are_what_the_file_says(database: Database) -> None:
    rows = list(purchases())
    by_customer = defaultdict(list)
    for row in rows:
        by_customer[row.customer].append(row)
    await bring(database, rows, by_customer)
    assert (len(rows), len(by_customer), len(CONDITIONS)) == (69_659, 23_570, 15)
    found = {name: await members(database, CONDITIONS[name], MOMENTS.get(name, END)) for name in CONDITIONS}
    expected = {name: {customer for customer, history in by_customer.items() if holds(history)} for name, holds in ANSWERS.items()}
    # Each question is one that can go wrong: some are in, and some are not.
    assert [name for name, people in expected.items() if not 20 < len(people) < 23_000] == []
    assert {name: len(people) for name, people in found.items()} == {name: len(people) for name, people in expected.items()}
    assert found == expected


async def bring(database: Database, rows: list[Purchase], by_customer: dict[str, list[Purchase]]) -> None:
    columns = [
        {"column": "discs", "to": "properties.discs", "type": "number"},
        {"column": "total", "to": "properties.total", "type": "number"},
    ]
    first = await imported(database, orders(rows), what="events", event=ORDER, columns=columns)
    assert (first.result["events_stored"], first.result["bad_rows"], first.result["users_created"]) == (69_659, 0, 23_570)
    again = await imported(database, orders(rows), what="events", event=ORDER, columns=columns)
    assert (again.result["events_stored"], again.result["events_known"]) == (0, 69_659)
    typed = [{"column": "orders", "to": "attributes.orders", "type": "number"}]
    people = await imported(database, customers(by_customer), columns=typed)
    assert (people.result["users_created"], people.result["users_changed"]) == (0, 23_570)
    async with database.transaction("demo") as connection:
        await segments.make_static(connection, "demo", "listed")
    names = "\n".join(["user_id", *(customer for customer in by_customer if customer.endswith("77"))])
    await imported(database, names, what="list", segment="listed")


def orders(rows: list[Purchase]) -> str:
    header = ["user_id", "occurred_at", "event_id", "discs", "total"]
    return written(header, [[r.customer, r.day, f"{r.customer}-{r.day}-{r.ordinal}", r.discs, r.dollars] for r in rows])


def customers(by_customer: dict[str, list[Purchase]]) -> str:
    told: list[list[Any]] = [[customer, first_month(history), len(history)] for customer, history in by_customer.items()]
    return written(["user_id", "first_month", "orders"], told)


def written(header: list[str], rows: list[list[Any]]) -> str:
    opened = io.StringIO()
    csv.writer(opened).writerows([header, *rows])
    return opened.getvalue()


async def members(database: Database, condition: AnyCondition, day: Any) -> set[str]:
    at = datetime.combine(day, time(), UTC)
    named: dict[str, Any] = {"big": BIG, "lapsed": LAPSED, "listed": "listed"}
    asked = Asked("demo", condition, named, at)
    # As workers ask: they name the app in each statement.
    async with database.transaction() as connection:
        people = await segment_people.page(connection, asked, after=None, most=100_000)
    return {each.user_id for each in people if each.user_id is not None}


def test_the_reader_knows_the_file() -> None:
    rows = list(purchases())
    whole: History = rows
    assert (sum(each.discs for each in whole), str(sum(each.dollars for each in whole))) == (167_881, "2500315.63")
