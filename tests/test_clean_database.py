"""What one test leaves behind must not be the end of all that follow."""

import asyncpg
import pytest

from cli.embedded_postgres import EmbeddedPostgres
from tests.clean_database import CleanDatabases


@pytest.fixture
def databases(postgres: EmbeddedPostgres) -> CleanDatabases:
    return CleanDatabases(postgres)


async def rows(url: str) -> int:
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        await connection.execute("INSERT INTO apps (id, name) VALUES ('demo', 'Demo')")
        return int(await connection.fetchval("SELECT count(*) FROM apps"))
    finally:
        await connection.close()


async def test_a_database_is_emptied_for_the_next_test_under_another_name(databases: CleanDatabases) -> None:
    first = await databases.give()
    assert await rows(first) == 1
    await databases.take_back()
    second = await databases.give()
    assert first != second
    assert (await rows(second), databases.uses) == (1, 2)
    await databases.take_back()


async def test_what_connects_again_keeps_its_database_and_the_next_test_gets_another(databases: CleanDatabases) -> None:
    left = await databases.give()
    await databases.take_back()
    clinging = await asyncpg.connect(left.replace("+asyncpg", ""))
    try:
        for _ in range(2):
            assert await rows(await databases.give()) == 1
            await databases.take_back()
    finally:
        await clinging.close()


async def test_a_database_of_another_shape_is_not_given_again(databases: CleanDatabases) -> None:
    connection = await asyncpg.connect((await databases.give()).replace("+asyncpg", ""))
    await connection.execute("CREATE TABLE left_over (id int)")
    await connection.close()
    await databases.take_back()
    assert databases.given is None
