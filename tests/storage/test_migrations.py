"""The schema moves up from nothing and down again, and keeps the rules of the house."""

from cli.embedded_postgres import EmbeddedPostgres
from storage.database import Database
from storage.health import is_current
from storage.migrations.runner import is_at_head, migrate


async def test_the_schema_goes_up_down_and_up_again(postgres: EmbeddedPostgres) -> None:
    postgres.create_database("updown")
    url = postgres.database_url("updown")
    await migrate(url)
    assert await is_at_head(url)
    await migrate(url, "base")
    assert not await is_at_head(url)
    await migrate(url)
    assert await is_at_head(url)
    postgres.drop_database("updown")


async def test_the_code_of_before_works_on_a_newer_schema_and_leaves_it(database: Database, database_url: str) -> None:
    newer = "9999_of_a_version_to_come"
    async with database.transaction() as connection:
        await connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0001'")
        assert not await is_current(connection)
        await connection.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{newer}'")
        assert await is_current(connection)
    await migrate(database_url)
    async with database.transaction() as connection:
        assert (await connection.exec_driver_sql("SELECT version_num FROM alembic_version")).scalar() == newer


async def test_every_table_with_an_app_is_hidden_from_other_apps(database: Database) -> None:
    async with database.transaction() as connection:
        await connection.exec_driver_sql("INSERT INTO apps (id, name) VALUES ('other', 'Other')")
        unguarded = await connection.exec_driver_sql(
            "SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'app' AND NOT a.attisdropped"
            " WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition"
            " AND NOT (c.relrowsecurity AND c.relforcerowsecurity"
            " AND EXISTS (SELECT FROM pg_policies p WHERE p.tablename = c.relname AND 'sojourn_api' = ANY (p.roles)))"
        )
        assert unguarded.scalars().all() == []
    async with database.transaction("demo") as connection:
        assert (await connection.exec_driver_sql("SELECT id FROM apps")).scalars().all() == ["demo"]


async def test_the_state_of_a_message_is_in_no_index(database: Database) -> None:
    async with database.transaction() as connection:
        indexes = await connection.exec_driver_sql("SELECT indexdef FROM pg_indexes WHERE tablename LIKE 'messages%'")
        assert [definition for definition in indexes.scalars() if "state" in definition] == []
