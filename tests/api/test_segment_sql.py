"""Segments that ask SQL: it reads its own app, changes nothing, gives user ids, and ends in time."""

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from journeys.language import has, in_segment, sql
from journeys.language.conditions import AnyCondition
from storage.conditions import holds
from storage.database import Database
from storage.enrollments import database_now
from tests.api.test_segments import people, put

__all__ = ["people"]

GOLDEN = sql("SELECT user_id FROM users WHERE attributes ->> 'plan' = 'gold'")


async def test_sql_is_counted_explained_and_combined_with_conditions(manager: httpx.AsyncClient, database: Database) -> None:
    assert (await put(manager, "golden", GOLDEN & ~has("push"))).json()["mentions"]["reads"] == ["endpoints", "sql"]
    assert (await manager.get("/v1/segments/golden/size")).json()["people"] == 2
    assert (await manager.get("/v1/segments/golden/members/bob")).json()["is_in"] is False
    async with database.transaction() as connection:
        rows = await connection.execute(text("SELECT user_id FROM identities WHERE value IN ('ann', 'bob') ORDER BY value"))
        now = await database_now(connection)
        asked = [await holds(connection, "demo", in_segment("golden"), user_id=person, at=now) for person in rows.scalars()]
    assert asked == [True, False]


@pytest.mark.parametrize(
    ("condition", "code", "words"),
    [
        (sql("SELECT 'nobody'"), "sql_fails", "no user id of this app"),
        (sql("SELECT user_id FROM events"), "sql_fails", "must give texts"),
        (sql("SELECT id FROM users"), "sql_fails", "must give texts"),
        (sql("SELECT id FROM keys"), "sql_fails", "may not"),
        (sql("SELECT usr_id FROM users"), "sql_fails", "usr_id"),
        (sql("SELECT user_id FROM users WHERE (attributes ->> 'plan')::int > 1"), "sql_fails", "on some row"),
        (sql("WITH gone AS (DELETE FROM users RETURNING user_id) SELECT user_id FROM gone"), "sql_fails", "only read"),
        (sql("SELECT set_config('role', 'none', true)"), "sql_not_permitted", "set_config"),
    ],
)
async def test_sql_that_fails_or_gives_no_user_ids_is_refused(
    manager: httpx.AsyncClient, condition: AnyCondition, code: str, words: str
) -> None:
    answer = await put(manager, "golden", condition)
    [problem] = answer.json()["errors"]
    assert (answer.status_code, problem["pointer"], problem["code"]) == (422, "/condition", code)
    assert words in problem["message"]
    assert "gold" not in problem["message"].replace("golden", "")


async def test_sql_sees_nobody_of_another_app(manager: httpx.AsyncClient, database: Database) -> None:
    async with database.transaction() as connection:
        await connection.exec_driver_sql("INSERT INTO apps (id, name) VALUES ('other', 'Other')")
        await connection.exec_driver_sql("INSERT INTO users (app, user_id) VALUES ('other', 'zoe')")
    await put(manager, "everybody", sql("SELECT user_id FROM users"))
    assert (await manager.get("/v1/segments/everybody/size")).json()["people"] == 3


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT set_config('role', 'none', true)",
        "SELECT set_config('session_authorization', 'postgres', true)",
        "WITH gone AS (DELETE FROM users RETURNING user_id) SELECT user_id FROM gone",
        "SELECT count(*)::text FROM keys",
    ],
)
async def test_the_role_itself_can_neither_change_who_it_is_nor_any_row(database: Database, statement: str) -> None:
    """Also what the look at the text would have refused."""
    with pytest.raises(DBAPIError):
        async with database.transaction() as connection:
            await connection.execute(text("SELECT * FROM segment_sql('demo', :statement)"), {"statement": statement})


async def test_sql_that_takes_too_long_is_refused(manager: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.segment_people.LONGEST_S", 0.2)
    endless = sql(
        "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i FROM n) SELECT user_id FROM users WHERE EXISTS (SELECT 1 FROM n WHERE i = 2)"
    )
    [problem] = (await put(manager, "golden", endless)).json()["errors"]
    assert problem["code"] == "sql_fails"
    assert "seconds" in problem["message"]
