"""Databases for tests: one that a test leaves in its old shape is emptied for the next, because copying one takes twenty times as long."""

from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import asyncpg

from cli.embedded_postgres import EmbeddedPostgres

_USES = 50
_LARGEST_BYTES = 40_000_000
TEMPLATE = "migrated"
# Whatever a test may change beside rows: relations, columns, functions, triggers, policies, constraints, and what is set for the database.
_SHAPE = """
SELECT md5(concat(
  (SELECT string_agg(format('%s %s %s', c.oid, c.relkind, c.relname), ',' ORDER BY c.oid)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname NOT LIKE 'pg_%'),
  (SELECT string_agg(nspname, ',' ORDER BY oid) FROM pg_namespace WHERE nspname NOT LIKE 'pg_t%'),
  (SELECT string_agg(format('%s %s %s %s', a.attrelid, a.attname, a.atttypid, a.attnotnull), ',' ORDER BY a.attrelid, a.attnum)
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE a.attnum > 0 AND n.nspname NOT LIKE 'pg_%' AND n.nspname <> 'information_schema'),
  (SELECT string_agg(format('%s %s', p.oid, md5(p.prosrc)), ',' ORDER BY p.oid) FROM pg_proc p
    JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname NOT IN ('pg_catalog', 'information_schema')),
  (SELECT string_agg(format('%s %s', oid, tgenabled), ',' ORDER BY oid) FROM pg_trigger),
  (SELECT string_agg(format('%s %s', oid, polname), ',' ORDER BY oid) FROM pg_policy),
  (SELECT string_agg(oid::text, ',' ORDER BY oid) FROM pg_constraint),
  (SELECT count(*) FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase WHERE d.datname = current_database())
))
"""
_TABLES = """
SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND NOT c.relispartition ORDER BY c.relname
"""
_START_ANEW = "SELECT setval(s.seqrelid::regclass, s.seqstart, false) FROM pg_sequence s"
_OTHERS = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


@dataclass
class CleanDatabases:
    """Gives one at a time. `given` is its name; the name changes with each test, so that what one leaves running finds nothing."""

    server: EmbeddedPostgres
    given: str | None = None
    uses: int = 0
    shape: str = ""
    sown: dict[str, list[Any]] = field(default_factory=dict)

    async def give(self) -> str:
        """The URL of a database as the migrations leave it."""
        name = f"test_{uuid4().hex[:12]}"
        if self.given is None or not await self._renamed(self.given, name):
            self.server.create_database(name, template=TEMPLATE)
            await self._look(name)
            self.uses = 0
        self.given = name
        self.uses += 1
        return self.server.database_url(name)

    async def take_back(self) -> None:
        """Empty it for the next test, or drop it: when its shape has changed, it has grown, or has been used for long."""
        assert self.given is not None
        if not await self._emptied(self.given):
            self.server.drop_database(self.given)
            self.given = None

    async def _look(self, name: str) -> None:
        connection = await self._connect(name)
        try:
            self.shape = await connection.fetchval(_SHAPE)
            for table in await _tables_with_rows(connection):
                self.sown[table] = await connection.fetch(f'SELECT * FROM "{table}"')
        finally:
            await connection.close()

    async def _emptied(self, name: str) -> bool:
        try:
            connection = await self._connect(name)
        except (asyncpg.PostgresError, OSError):
            return False  # A test that renamed or dropped it has no use for it either.
        try:
            await connection.execute(_OTHERS)
            size = await connection.fetchval("SELECT pg_database_size(current_database())")
            if self.uses >= _USES or size > _LARGEST_BYTES or await connection.fetchval(_SHAPE) != self.shape:
                return False
            await self._sow_anew(connection)
            await connection.execute("SELECT pg_stat_reset()")
            return True
        finally:
            await connection.close()

    async def _sow_anew(self, connection: Any) -> None:
        async with connection.transaction():
            await connection.execute("SET LOCAL session_replication_role = replica")
            for table in await _tables_with_rows(connection):
                await connection.execute(f'DELETE FROM "{table}"')
            for table, rows in self.sown.items():
                await connection.copy_records_to_table(table, records=rows)
            await connection.execute(_START_ANEW)

    async def _renamed(self, given: str, name: str) -> bool:
        """Whether it could be: what a test left running may have connected again and stay, and the database is left to it then."""
        connection = await self._connect("postgres")
        try:
            await connection.execute(f'ALTER DATABASE "{given}" RENAME TO "{name}"')
        except asyncpg.ObjectInUseError:
            return False
        else:
            return True
        finally:
            await connection.close()

    async def _connect(self, name: str) -> Any:
        return await asyncpg.connect(self.server.database_url(name).replace("+asyncpg", ""))


async def _tables_with_rows(connection: Any) -> list[str]:
    tables = [row["relname"] for row in await connection.fetch(_TABLES)]
    asked = " UNION ALL ".join(f"SELECT '{table}' WHERE EXISTS (SELECT FROM \"{table}\")" for table in tables)
    return [row[0] for row in await connection.fetch(asked)]
