"""What workers tell each other about accounts."""

from datetime import timedelta

from storage import account_states
from storage.account_states import AccountKey
from storage.database import Database

KEY = AccountKey("demo", "email", "main")


async def test_a_probe_that_failed_keeps_others_away_for_its_pause_and_no_longer(database: Database) -> None:
    async with database.transaction() as connection:
        await account_states.say_away(connection, KEY, timedelta(0), "refused")
    async with database.transaction() as connection:
        probe = await account_states.take_probe(connection, KEY, timedelta(seconds=30))
        assert probe is not None
        assert await account_states.take_probe(connection, KEY, timedelta(seconds=30)) is None, "one at a time"
    async with database.transaction() as connection:
        await account_states.say_away(connection, KEY, timedelta(seconds=1), "refused", probe=probe)
        [state] = await account_states.of_app(connection, "demo")
    assert state.away_until is not None
    assert state.away_until - state.now <= timedelta(seconds=1)


async def test_of_two_who_find_an_account_away_the_longer_pause_holds(database: Database) -> None:
    async with database.transaction() as connection:
        await account_states.say_away(connection, KEY, timedelta(seconds=60), "refused")
        await account_states.say_away(connection, KEY, timedelta(seconds=1), "refused")
        [state] = await account_states.of_app(connection, "demo")
    assert state.away_until is not None
    assert state.away_until - state.now > timedelta(seconds=50)
