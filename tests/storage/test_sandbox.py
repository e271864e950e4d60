"""What the sandbox kept."""

from uuid import UUID, uuid4

from storage import sandbox
from storage.database import Connection, Database


async def keep(connection: Connection, message_id: UUID, channel: str = "email", recipient: str = "ann@example.org") -> None:
    await sandbox.keep(connection, app="demo", message_id=message_id, channel=channel, recipient=recipient, content={"subject": "Hi"})


async def test_a_message_that_was_handed_over_twice_is_one_row_with_two_sends(database: Database) -> None:
    message_id = uuid4()
    async with database.transaction() as connection:
        await keep(connection, message_id)
        await keep(connection, message_id)
        rows = await sandbox.kept(connection, "demo")
    assert [(row.id, row.sends) for row in rows] == [(message_id, 2)]


async def test_the_newest_message_comes_first_and_pages_join_without_a_gap(database: Database) -> None:
    ids = [uuid4() for _ in range(5)]
    async with database.transaction() as connection:
        for message_id in ids:
            await keep(connection, message_id)
        first = await sandbox.kept(connection, "demo", limit=2)
        second = await sandbox.kept(connection, "demo", before=(first[-1].kept_at, first[-1].id), limit=10)
    assert [row.id for row in [*first, *second]] == ids[::-1]


async def test_messages_are_found_by_channel_and_recipient(database: Database) -> None:
    async with database.transaction() as connection:
        await keep(connection, uuid4())
        await keep(connection, uuid4(), "sms", "+447700900123")
        assert [row.channel for row in await sandbox.kept(connection, "demo", channel="sms")] == ["sms"]
        assert [row.channel for row in await sandbox.kept(connection, "demo", recipient="ann@example.org")] == ["email"]


async def test_clearing_forgets_the_messages_of_this_app_only(database: Database) -> None:
    async with database.transaction() as connection:
        await connection.exec_driver_sql("INSERT INTO apps (id, name) VALUES ('other', 'Other')")
        await keep(connection, uuid4())
        await sandbox.clear(connection, "other")
        assert len(await sandbox.kept(connection, "demo")) == 1
        await sandbox.clear(connection, "demo")
        assert await sandbox.kept(connection, "demo") == []
