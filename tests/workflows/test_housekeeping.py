"""Now and then the house is kept."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

from activities.direct import DirectLane
from storage import jobs, unconfirmed
from storage.database import Database
from storage.direct_sends import DirectSend, plan_direct
from storage.events import Incoming, accept
from tests.activities.town import build
from workflows.housekeeping import keep_house


async def test_event_ids_are_forgotten_after_30_days_and_the_months_ahead_have_tables(database: Database) -> None:
    now = datetime.now(UTC)
    for age in (timedelta(days=31), timedelta(days=29)):
        async with database.transaction() as connection:
            await accept(connection, "demo", [Incoming(f"{age}", now - age, name="seen", user_id="ann")], received_at=now - age)
    async with database.transaction() as connection:
        await connection.exec_driver_sql("DROP TABLE messages_" + (now + timedelta(days=62)).strftime("%Y%m"))
    await keep_house(database)
    async with database.transaction() as connection:
        assert (await connection.exec_driver_sql("SELECT count(*) FROM event_ids")).scalar_one() == 1
        ahead = (now + timedelta(days=62)).strftime("%Y%m")
        assert (await connection.exec_driver_sql(f"SELECT to_regclass('messages_{ahead}')")).scalar_one() is not None


async def test_jobs_that_ended_are_forgotten_after_30_days(database: Database) -> None:
    async with database.transaction() as connection:
        for state, age in (("done", 31), ("stopped", 31), ("failed", 29), ("running", 31)):
            job = await jobs.create(connection, "demo", state, {})
            await connection.exec_driver_sql(
                f"UPDATE jobs SET state = '{state}', updated_at = now() - interval '{age} days' WHERE id = '{job.id}'"
            )
    await keep_house(database)
    async with database.transaction() as connection:
        assert {job.kind for job in await jobs.page(connection, "demo")} == {"failed", "running"}


async def test_what_a_caller_gave_is_forgotten_however_its_message_ended(database: Database) -> None:
    """The lane forgets what it ends itself; an unconfirmed message ends without it."""
    town = await build(database)
    town.provider.script[:] = ["ambiguous"]
    planned: list[UUID] = []
    async with database.transaction() as connection:
        for number in range(2):
            send = DirectSend(
                "demo", f"r-{number}", "email", "transactional", {"parts": {"text": "123456"}}, None, f"p{number}@example.com"
            )
            planned += (await plan_direct(connection, send)).ids
    await DirectLane(database, town.delivery(), asyncio.Event()).pass_once()
    async with database.transaction() as connection:
        assert await unconfirmed.confirm(connection, "demo", planned[0])
    await keep_house(database)
    assert [row.message_id for row in await town.run("SELECT message_id FROM direct_sends")] == planned[1:]
