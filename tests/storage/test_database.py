"""Transactions that are done again, and what a busy database is told as."""

import pytest
from sqlalchemy import text

from journeys.language.errors import Unavailable
from storage.database import Connection, Contended, Database


async def test_work_that_lost_a_race_is_done_again_from_the_start(database: Database) -> None:
    tries: list[int] = []

    async def work(connection: Connection) -> int:
        await connection.execute(text("INSERT INTO apps (id, name) VALUES ('new', '')"))
        tries.append(1)
        if len(tries) < 3:
            raise Contended("again")
        return len(tries)

    assert await database.run(work) == 3
    async with database.transaction() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM apps WHERE id = 'new'"))).scalar_one() == 1


async def test_work_that_always_loses_is_unavailable(database: Database) -> None:
    async def work(_connection: Connection) -> None:
        raise Contended("again")

    with pytest.raises(Unavailable):
        await database.run(work)


async def test_a_deadlock_is_contended(database: Database) -> None:
    with pytest.raises(Contended):
        async with database.transaction() as connection:
            await connection.execute(text("DO $$ BEGIN RAISE EXCEPTION 'deadlock' USING ERRCODE = '40P01'; END $$"))


async def test_a_lock_that_does_not_come_is_unavailable(database: Database) -> None:
    async def impatiently(connection: Connection) -> None:
        await connection.execute(text("SET LOCAL lock_timeout = '10ms'"))
        await connection.execute(text("SELECT * FROM apps FOR UPDATE"))

    async with database.transaction() as holder:
        await holder.execute(text("SELECT * FROM apps FOR UPDATE"))
        with pytest.raises(Unavailable):
            await database.run(impatiently)


async def test_a_statement_may_take_as_long_as_the_pool_says_and_no_longer(database_url: str) -> None:
    for statement_s, is_patient in ((0.3, False), (31.0, True)):
        pool = Database(database_url, pool_size=1, statement_s=statement_s)
        try:
            async with pool.transaction() as connection:
                asked = await connection.execute(text("SELECT current_setting('statement_timeout')"))
                assert asked.scalar_one() == ("31s" if is_patient else "300ms")
                await connection.execute(text("SELECT pg_sleep(0.6)"))
            assert is_patient
        except Unavailable:
            assert not is_patient
        finally:
            await pool.close()
