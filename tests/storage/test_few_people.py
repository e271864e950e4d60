"""What one person did is found without going through what everybody did."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Select, select, text

from journeys.language import ago, days, did, did_not, last_did
from journeys.language.edges import edges
from storage.conditions import NO_ENROLLMENT, of_segment
from storage.database import Connection, Database
from storage.edges import next_change
from storage.tables import users

_EVENTS = """
INSERT INTO events (app, received_at, user_id, event_id, name, properties, occurred_at)
SELECT 'demo', now(), u.id, 'e' || u.id || '-' || n, (ARRAY['viewed', 'bought'])[1 + n % 2], '{}', now() - make_interval(days => n)
FROM users u CROSS JOIN generate_series(1, 60) n WHERE u.user_id <> 'ann'
"""
_BLOCKS = """
SELECT sum(heap_blks_read + heap_blks_hit + coalesce(idx_blks_read + idx_blks_hit, 0)) FROM pg_statio_user_tables
WHERE relname LIKE 'events_2%'
"""
CONDITIONS: list[Any] = [
    did("bought"),
    did("bought", last=days(30)),
    did("bought", at_least=2, last=days(60)),
    did_not("bought", last=days(5)),
    last_did("bought").before(ago(days(3))),
    did("viewed", then="bought", within=days(2)),
]


async def test_one_person_is_read_by_what_they_did(database: Database, database_url: str) -> None:
    async with database.transaction() as connection:
        await connection.execute(text("INSERT INTO users (app, user_id) SELECT 'demo', 'user ' || n FROM generate_series(1, 2000) n"))
        await connection.execute(text("INSERT INTO users (app, user_id) VALUES ('demo', 'ann')"))
        await connection.execute(text(_EVENTS))
        await connection.execute(text("ANALYZE users, events"))
    pool = Database(database_url, pool_size=1, keeps_plans=True)
    try:
        touched = {repr(each): await _touched(pool, each) for each in CONDITIONS}
    finally:
        await pool.close()
    assert {condition: blocks for condition, blocks in touched.items() if blocks > 180} == {}


async def _touched(pool: Database, condition: Any) -> int:
    """Blocks of events and of their indexes that Postgres looks at for a few people."""
    answer = of_segment(condition, of_everybody=False).label("answer")
    people = (users.c.app == "demo", users.c.user_id.in_(("ann", "user 7")))
    asked = select(answer, next_change(edges([condition])).label("due_at")).where(*people)
    await _ask(pool, asked)  # plans it, for which Postgres looks at each index
    looks = []
    # Autovacuum may look at them meanwhile.
    for _ in range(3):
        before = await pool.run(_blocks)
        await _ask(pool, asked)
        looks.append(await pool.run(_blocks) - before)
    return min(looks)


async def _ask(pool: Database, asked: Select[Any]) -> None:
    async with pool.transaction() as connection:
        assert len((await connection.execute(asked, {"app": "demo", "at": datetime.now(UTC), **NO_ENROLLMENT})).all()) == 2
        await connection.execute(text("SELECT pg_stat_force_next_flush()"))


async def _blocks(connection: Connection) -> int:
    return int((await connection.execute(text(_BLOCKS))).scalar_one())
