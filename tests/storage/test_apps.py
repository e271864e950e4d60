"""The tenants."""

from storage import apps
from storage.database import Database


async def test_an_app_is_made_once(database: Database) -> None:
    async with database.transaction() as connection:
        assert await apps.create(connection, "shop", "The shop")
        assert not await apps.create(connection, "shop", "Another name")
        assert await apps.ids(connection) == ["demo", "shop"]
