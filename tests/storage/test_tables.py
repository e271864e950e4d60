"""The columns that compiled conditions name are those of the migrated database."""

from sqlalchemy import text
from sqlalchemy.dialects import postgresql

from storage import tables
from storage.database import Database

_COLUMNS = text(
    "SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod) FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
    " WHERE c.relnamespace = 'public'::regnamespace AND a.attnum > 0 AND NOT a.attisdropped"
)


async def test_every_named_column_exists_with_its_type(database: Database) -> None:
    async with database.transaction() as connection:
        migrated = {(table, column): kind for table, column, kind in await connection.execute(_COLUMNS)}
    named = {
        (table.name, column.name): column.type.compile(postgresql.dialect()).lower().replace("char(1)", "character(1)")  # type: ignore[no-untyped-call]
        for table in tables.metadata.tables.values()
        for column in table.columns
    }
    assert {place: migrated.get(place) for place in named} == named
