"""Keys: what is stored, what is found, and what cannot be one."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from journeys.language.errors import NotFound
from storage import keys
from storage.database import Database


async def test_a_key_is_found_by_its_id_and_its_secret_is_not_stored(database: Database) -> None:
    async with database.transaction() as connection:
        written = await keys.create(connection, "demo", "write", "shop")
        parts = keys.parse(written)
        assert parts is not None
        found = await keys.find(connection, parts.id)
        stored = str((await connection.execute(text("SELECT keys::text FROM keys"))).scalar_one())
    assert found is not None
    assert (found.app, found.kind, found.name, found.secret_hash) == ("demo", "write", "shop", parts.secret_hash)
    assert written.rpartition("_")[2] not in stored


async def test_a_revoked_or_expired_key_is_not_found(database: Database) -> None:
    async with database.transaction() as connection:
        revoked, expired = [keys.parse(await keys.create(connection, "demo", "secret")) for _ in range(2)]
        assert revoked is not None and expired is not None  # noqa: PT018 - one fact
        await keys.revoke(connection, "demo", revoked.id)
        await connection.execute(text("UPDATE keys SET expires_at = :at WHERE id = :id"), {"at": datetime.now(UTC), "id": expired.id})
    async with database.transaction() as connection:
        assert (await keys.find(connection, revoked.id), await keys.find(connection, expired.id)) == (None, None)
        assert await keys.page(connection, "demo") == []


async def test_another_apps_key_cannot_be_revoked(database: Database) -> None:
    async with database.transaction() as connection:
        parts = keys.parse(await keys.create(connection, "demo", "secret"))
        assert parts is not None
        with pytest.raises(NotFound):
            await keys.revoke(connection, "other", parts.id)


@pytest.mark.parametrize("kind", keys.KINDS)
def test_a_generated_key_parses_to_its_kind(kind: str) -> None:
    parts = keys.parse(keys.generate(kind))
    assert parts is not None
    assert parts.kind == kind


@pytest.mark.parametrize("position", [3, 10, 20, -1])
def test_a_typing_error_is_told_without_the_database(position: int) -> None:
    written = list(keys.generate("write"))
    written[position] = "x" if written[position] != "x" else "y"
    assert keys.parse("".join(written)) is None


@pytest.mark.parametrize("written", ["", "sj_write_", "sj_admin_12345678_" + "a" * 43, "sj_write_12345678_" + "a" * 43 + "\n", "é" * 60])
def test_what_cannot_be_a_key_is_none(written: str) -> None:
    assert keys.parse(written) is None
