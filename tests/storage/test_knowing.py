"""What is read of a person for expressions in Python agrees with what conditions read in SQL."""

from datetime import UTC, datetime, timedelta

from storage import knowing
from storage.database import Database
from storage.events import Address, Incoming, accept

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


async def test_what_somebody_did_last_counts_up_to_a_moment_and_over_a_join(database: Database) -> None:
    did = [
        Incoming("e1", NOON, "seen", anonymous_id="a1"),
        Incoming("e2", NOON + timedelta(hours=1), "seen", user_id="ann"),
        Incoming("e3", NOON + timedelta(hours=2), "identified", user_id="ann", anonymous_id="a1", joins=True),
        Incoming("e4", NOON + timedelta(hours=3), "seen", user_id="ann"),
    ]
    async with database.transaction() as connection:
        for item in did:
            found = await accept(connection, "demo", [item], received_at=datetime.now(UTC))
        person = found[0].user or 0
        assert await knowing.last_did(connection, "demo", person, ["seen", "never"], NOON + timedelta(hours=2)) == {
            "seen": NOON + timedelta(hours=1)
        }
        assert await knowing.last_did(connection, "demo", person, ["seen"], NOON) == {"seen": NOON}


async def test_the_device_is_the_active_one_that_was_confirmed_last(database: Database) -> None:
    def phone(n: int) -> Incoming:
        address = Address("push", f"token {n}", {"os": f"os {n}"})
        return Incoming(f"e{n}", NOON + timedelta(hours=n), "identified", user_id="ann", addresses=[address])

    async with database.transaction() as connection:
        first = await accept(connection, "demo", [phone(1)], received_at=datetime.now(UTC))
        person = first[0].user or 0
        await accept(connection, "demo", [phone(2)], received_at=datetime.now(UTC))
        assert await knowing.device(connection, "demo", person) == {"os": "os 2"}
        await connection.exec_driver_sql("UPDATE endpoints SET state = 'inactive' WHERE address = 'token 2'")
        assert await knowing.device(connection, "demo", person) == {"os": "os 1"}
        await connection.exec_driver_sql("UPDATE endpoints SET state = 'inactive'")
        assert await knowing.device(connection, "demo", person) is None
