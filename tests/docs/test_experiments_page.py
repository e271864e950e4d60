"""The page on experiments: its query counts who it says, and its table names the figures that are tested."""

import re
from pathlib import Path

from sqlalchemy import text

from journeys.language.assign import AppHoldout, in_app_holdout
from storage.database import Database
from tests.journeys.language.test_peeking import MISLED, NEEDED, REACHED

PAGE = Path("docs/explanation/experiments.md").read_text()
_PEOPLE = text("""
INSERT INTO users (app, user_id, created_at)
SELECT 'demo', 'user-' || n, CAST('2026-12-01Z' AS timestamptz) FROM generate_series(0, 999) n
UNION ALL SELECT 'demo', 'new', '2027-02-01Z'
UNION ALL SELECT 'demo', NULL, '2026-12-01Z'
""")
_JOINED = text(
    "INSERT INTO users (app, merged_into, created_at) SELECT 'demo', id, '2026-12-01Z' FROM users WHERE user_id = 'user-1' RETURNING id"
)
_EVENT = text("""
INSERT INTO events (app, received_at, user_id, event_id, name, occurred_at)
SELECT 'demo', now(), id, 'e' || id || CAST(:at AS text), CAST(:name AS text), CAST(CAST(:at AS text) AS timestamptz) FROM users
WHERE app = 'demo' AND (user_id = :whom OR CAST(id AS text) = :whom)
""")


async def test_its_query_counts_people_held_out_or_not_and_who_of_them_did_it_in_time(database: Database) -> None:
    query = re.search(r"```sql\n(.*?)```", PAGE, re.DOTALL)
    assert query
    async with database.transaction() as connection:
        await connection.execute(_PEOPLE)
        joined = (await connection.execute(_JOINED)).scalar_one()
        happened = [
            ("user-0", "order_placed", "2027-01-01Z"),
            ("user-0", "order_placed", "2027-02-01Z"),  # twice is once
            (str(joined), "order_placed", "2027-03-31Z"),  # of user-1, before they were joined
            ("user-2", "order_placed", "2027-04-01Z"),  # too late
            ("user-3", "page_viewed", "2027-02-01Z"),
            ("new", "order_placed", "2027-02-02Z"),
        ]
        for whom, name, at in happened:
            await connection.execute(_EVENT, {"whom": whom, "name": name, "at": at})
        found = {row.held_out: (row.people, row.converted) for row in await connection.execute(text(query[1]))}
    held = {n for n in range(1_000) if in_app_holdout(AppHoldout(5, "2027"), "demo", f"user-{n}")}
    bought = {0, 1}
    assert found == {True: (len(held), len(bought & held)), False: (1_000 - len(held), len(bought - held))}


def test_its_tables_name_what_is_tested() -> None:
    lifts = [int(each) for each in re.findall(r"\+(\d+) %", re.search(r"\| converts \|.*\+.*", PAGE)[0])]  # type: ignore[index]
    rows = re.findall(r"^\| (\d+) % \| ([^%\n]*) \|$", PAGE, re.MULTILINE)
    table = {(int(rate), lift): cell for rate, cells in rows for lift, cell in zip(lifts, cells.split(" | "), strict=True)}
    for first, second, in_each in NEEDED:
        assert table[round(100 * first), round(100 * (second / first - 1))] == f"{in_each:,}"
    for first, second, in_each in REACHED:
        assert f"| {100 * first:g} % | {100 * second:g} % | {in_each:,} |" in PAGE
    for of, second_of, rate, percent in MISLED:
        assert f"| {of:,} and {second_of:,} | {100 * rate:g} % | {percent} % |" in PAGE
