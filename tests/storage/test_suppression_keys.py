"""Suppressions under a key: found with it, unreadable without, and kept through a change of it and the person's erasure."""

import base64
import hashlib
import hmac
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import NullPool, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from journeys.language.errors import ConfigurationError
from settings import Environment, Settings
from storage import erasures, suppressions
from storage.database import Database
from storage.ids import address_hash
from storage.standing import Asked, read_standing
from storage.suppression_keys import DEVELOPMENT_KEY, session_value
from tests.activities.town import APP, Town, build

OLD = base64.b64encode(b"o" * 32).decode()
NEW = base64.b64encode(b"n" * 32).decode()
ADDRESS = "ann@example.com"
PLAIN = address_hash(APP, "email", ADDRESS)


@pytest.fixture
async def old(database_url: str, database: Database) -> AsyncIterator[Database]:
    opened = Database(database_url, pool_size=2, suppression_keys=[OLD])
    yield opened
    await opened.close()


@pytest.fixture
async def both(database_url: str, database: Database) -> AsyncIterator[Database]:
    opened = Database(database_url, pool_size=2, suppression_keys=[NEW, OLD])
    yield opened
    await opened.close()


@pytest.fixture
async def new(database_url: str, database: Database) -> AsyncIterator[Database]:
    opened = Database(database_url, pool_size=2, suppression_keys=[NEW])
    yield opened
    await opened.close()


async def suppress(database: Database) -> None:
    async with database.transaction(APP) as connection:
        await suppressions.suppress(connection, APP, "email", PLAIN, reason="complaint", source="test")


async def is_found(database: Database) -> bool:
    """By the statement that every claim reads, for the bare address."""
    asked = Asked(APP, None, "s", "a", 1, datetime.now(UTC), "email", address_hash=PLAIN)
    async with database.transaction() as connection:
        standing = await read_standing(connection, asked)
    async with database.transaction(APP) as connection:
        assert (await suppressions.get(connection, APP, "email", PLAIN) is not None) == (PLAIN in standing.suppressed)
    return PLAIN in standing.suppressed


async def stored(database: Database) -> list[Any]:
    async with database.transaction() as connection:
        return list((await connection.execute(text("SELECT address_hash, key_id FROM suppressions"))).all())


async def test_what_is_stored_is_the_hmac_of_the_standard_library(old: Database) -> None:
    await suppress(old)
    expected = hmac.new(b"o" * 32, PLAIN, hashlib.sha256).digest()
    assert [row.address_hash for row in await stored(old)] == [expected]


async def test_without_the_key_the_table_tells_nothing_and_with_it_the_address_is_found(old: Database, new: Database) -> None:
    await suppress(old)
    row = (await stored(old))[0]
    guesses = [PLAIN, hashlib.sha256(ADDRESS.encode()).digest(), hmac.new(b"n" * 32, PLAIN, hashlib.sha256).digest()]
    assert row.address_hash not in guesses
    assert (await is_found(old), await is_found(new)) == (True, False)


async def test_both_keys_are_read_while_one_is_changed_for_the_other(old: Database, both: Database, new: Database) -> None:
    town = await build(both)
    await town.endpoint(address=ADDRESS)
    await suppress(old)
    await suppress(both)
    assert len(await stored(both)) == 1
    async with both.transaction(APP) as connection:
        assert await suppressions.rekey(connection, APP) == suppressions.Rekeyed(rekeyed=1, left=0)
    assert (await is_found(both), await is_found(new), await is_found(old)) == (True, True, False)


async def test_what_nobody_has_any_more_stays_under_its_old_key_and_is_counted(old: Database, both: Database) -> None:
    await suppress(old)
    async with both.transaction(APP) as connection:
        assert await suppressions.rekey(connection, APP) == suppressions.Rekeyed(rekeyed=0, left=1)
    assert await is_found(both)


async def test_rows_from_before_there_were_keys_are_found_and_can_be_hidden(database: Database, both: Database) -> None:
    town = await build(database)
    plain = "INSERT INTO suppressions (app, channel, address_hash, reason) VALUES ('demo', 'email', :plain, 'bounce')"
    await town.run(plain, plain=PLAIN)
    assert await is_found(both)
    await suppress(both)
    assert len(await stored(both)) == 1
    async with both.transaction(APP) as connection:
        assert await suppressions.rekey(connection, APP) == suppressions.Rekeyed(rekeyed=1, left=0)
    assert [row.address_hash for row in await stored(both)] == [hmac.new(b"n" * 32, PLAIN, hashlib.sha256).digest()]
    await town.run(plain, plain=PLAIN)  # an old process, still running
    async with both.transaction(APP) as connection:
        await suppressions.rekey(connection, APP)
    assert len(await stored(both)) == 1


async def test_it_is_released_by_the_plain_hash_and_by_its_id(old: Database) -> None:
    for by_id in (True, False):
        await suppress(old)
        row = (await stored(old))[0]
        async with old.transaction(APP) as connection:
            assert await suppressions.release(connection, APP, "email", row.address_hash if by_id else PLAIN)
        assert await stored(old) == []


async def test_who_was_erased_and_comes_again_is_suppressed_still(database: Database) -> None:
    town = await build(database)
    await town.run("INSERT INTO identities (app, kind, value, user_id) VALUES ('demo', 'u', 'ann', :id)", id=town.user_id)
    await town.endpoint(address=ADDRESS)
    await town.suppress(ADDRESS)
    async with database.transaction(APP) as connection:
        await erasures.erase(connection, APP, "ann", asked_by="test")
    again = Town(database, user_id=int((await town.run("INSERT INTO users (app, user_id) VALUES ('demo', 'ann') RETURNING id"))[0].id))
    await again.endpoint(address=ADDRESS)
    asked = Asked(APP, again.user_id, "s", "a", 1, datetime.now(UTC), "email")
    async with database.transaction() as connection:
        assert (await read_standing(connection, asked)).suppressed == {PLAIN}


async def test_a_session_without_the_keys_stops_rather_than_letting_a_message_go(database_url: str, database: Database) -> None:
    asked = Asked(APP, None, "s", "a", 1, datetime.now(UTC), "email", address_hash=PLAIN)
    await suppress(database)
    async with database.transaction() as connection:
        await connection.execute(text("SET LOCAL sojourn.suppression_keys = ''"))
        with pytest.raises(DBAPIError):
            await read_standing(connection, asked)
        await connection.rollback()
    bare = create_async_engine(database_url, poolclass=NullPool)
    async with bare.connect() as connection:
        with pytest.raises(DBAPIError, match="suppression_keys"):
            await connection.execute(text("SELECT suppression_hashes('x')"))


def test_a_key_that_is_none_is_refused_without_being_shown() -> None:
    for wrong in (["short"], [base64.b64encode(b"x" * 31).decode()], ["ä"], []):
        with pytest.raises(ConfigurationError, match="SOJOURN_SUPPRESSION_KEYS") as told:
            session_value(wrong)
        assert not wrong or wrong[0] not in str(told.value)


def test_production_needs_a_key_of_its_own() -> None:
    with pytest.raises(ConfigurationError, match="SOJOURN_SUPPRESSION_KEYS"):
        Settings(environment=Environment.PRODUCTION, secret="x" * 32)
    with pytest.raises(ConfigurationError, match="SOJOURN_SUPPRESSION_KEYS"):
        Settings(environment=Environment.PRODUCTION, secret="x" * 32, suppression_keys=(DEVELOPMENT_KEY,))


def test_no_statement_compares_a_suppression_with_a_bare_hash() -> None:
    """Such a statement finds only rows from before there were keys."""
    house = Path(suppressions.__file__).parents[1]
    files = [file for room in ("storage", "activities", "workflows", "api", "channels", "bench") for file in (house / room).rglob("*.py")]
    bare = re.compile(r"\bs\.address_hash\s*(?:=|IN)(?!\s*ANY\(suppression_hashes)", re.IGNORECASE)
    joins = {file.name for file in files if "suppressions s " in (words := file.read_text()) and bare.search(words)}
    assert joins == set()
