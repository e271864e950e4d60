"""What `sojourn doctor` asks of Postgres: the server, the schema, and whether the monthly tables are as they should be."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text

from storage.database import Connection
from storage.migrations.runner import head

_SERVER = text("SELECT current_setting('server_version_num')::integer, to_regclass('alembic_version') IS NOT NULL")
_FORGETS = text("SELECT name FROM pg_settings WHERE name IN ('fsync', 'synchronous_commit') AND setting = 'off' ORDER BY name")
_REVISION = text("SELECT version_num FROM alembic_version")
_NEXT_MONTH = text("SELECT to_regclass('events_' || to_char(now() AT TIME ZONE 'UTC' + interval '1 month', 'YYYYMM')) IS NOT NULL")
# Bounded, because a default partition that was left alone for months can be large.
_STRAYS = text("""
    SELECT 'events' AS name, (SELECT count(*) FROM (SELECT FROM events_other LIMIT 10000) s) AS strays
    UNION ALL SELECT 'step_outcomes', (SELECT count(*) FROM (SELECT FROM step_outcomes_other LIMIT 10000) s)
    UNION ALL SELECT 'messages', (SELECT count(*) FROM (SELECT FROM messages_other LIMIT 10000) s)
    UNION ALL SELECT 'provider_refs', (SELECT count(*) FROM (SELECT FROM provider_refs_other LIMIT 10000) s)
""")


@dataclass(frozen=True)
class Checkup:
    """`server_version` as in server_version_num; `revision` None: no schema. `strays`: table -> rows outside every month, up to 10,000.

    `forgets`: the settings by which a COMMIT that was answered may be lost.
    """

    server_version: int
    revision: str | None
    head: str
    has_next_month: bool
    strays: dict[str, int]
    forgets: Sequence[str] = ()


async def checkup(connection: Connection) -> Checkup:
    """Look at the database as it is; works on an empty one too."""
    server_version, has_schema = (await connection.execute(_SERVER)).one()
    forgets = (await connection.execute(_FORGETS)).scalars().all()
    if not has_schema:
        return Checkup(server_version, None, head(), has_next_month=False, strays={}, forgets=forgets)
    return Checkup(
        server_version=server_version,
        revision=(await connection.execute(_REVISION)).scalar(),
        head=head(),
        has_next_month=bool((await connection.execute(_NEXT_MONTH)).scalar()),
        strays={row.name: row.strays for row in await connection.execute(_STRAYS) if row.strays},
        forgets=forgets,
    )
