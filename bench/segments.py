"""Counting a segment as Sojourn does it, beside the best SQL that we can write by hand for the same people in the same Postgres.

A seeded generator makes the people of a shop and a year of what they did. Each segment is counted both ways in turns, and both must find
the same people. SOJOURN_BENCH_PEOPLE makes the crowd smaller; there are twenty events for each of them.

Judged are the median of the ratios, the largest one, and that nothing takes longer than ten seconds without a warning.
"""

import asyncio
import os
import random
import statistics
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import asyncpg

from bench import harness
from bench.segments_by_hand import LISTED, WRITTEN, Written
from journeys.language.check_segments import costly
from journeys.language.codec import condition_hash, condition_to_json
from journeys.language.conditions import InSegment
from journeys.language.segments import mentions
from storage import segment_people, segments
from storage.database import Connection, Database
from storage.segment_people import Asked

PEOPLE = int(os.environ.get("SOJOURN_BENCH_PEOPLE", "1000000"))
EVENTS = 20 * PEOPLE
ROUNDS = 3
GOAL = 1.1
LONGEST_S = 10.0
DAYS = 365
SEED = 20261126
NAMES = [*["page_viewed"] * 70, *["product_viewed"] * 20, *["cart_updated"] * 6, *["order_placed"] * 3, "review_written"]
PLANS = [*["free"] * 85, *["pro"] * 12, *["gold"] * 3]
CITIES = [("DE", "Berlin", 52.52, 13.405), ("DE", "Ulm", 48.4, 9.99), ("FR", "Paris", 48.857, 2.352), ("US", "Boston", 42.36, -71.06)]
# Of a hundred people so many are not known by an id yet, and so many were found to be somebody else.
ANONYMOUS, JOINED = 4, 1


@dataclass(frozen=True)
class Took:
    """Seconds of both ways, in the best of their rounds, and how many warnings there are of the segment."""

    name: str
    ours: float
    by_hand: float
    warnings: int

    @property
    def ratio(self) -> float:
        return self.ours / self.by_hand

    @property
    def is_slow_without_a_word(self) -> bool:
        return self.ours > LONGEST_S and not self.warnings


def main() -> None:
    with harness.folder() as place, harness.postgres(place, "-c max_wal_size=8GB -c shared_buffers=512MB") as server:
        judge(asyncio.run(measure(server.url)))


def judge(found: Sequence[Took]) -> None:
    slowest = max(found, key=lambda each: each.ratio)
    unwarned = [each.name for each in found if each.is_slow_without_a_word]
    if unwarned:
        print(f"longer than {LONGEST_S:g} s, and nobody is warned: {', '.join(unwarned)}")
    harness.report("segments-unwarned", len(unwarned), "segments that are slow without a warning", limit=1, goal=0, at_most=True)
    unit = "times the SQL by hand"
    harness.report("segments-each", slowest.ratio, f"{unit}, of the slowest: {slowest.name}", limit=1.0, goal=GOAL, at_most=True)
    harness.report("segments", statistics.median(each.ratio for each in found), unit, limit=1.0, goal=GOAL, at_most=True)


async def measure(url: str) -> list[Took]:
    """What each segment took."""
    database = Database(url)
    try:
        now = await _fill(database)
        async with database.transaction() as connection:
            await _publish(connection)
        return [await _both(database, written, now) for written in WRITTEN]
    finally:
        await database.close()


async def _both(database: Database, written: Written, now: datetime) -> Took:
    async with database.transaction("demo") as connection:
        named = await segments.come_to(connection, "demo", InSegment(written.name))
        asked = Asked("demo", InSegment(written.name), named, now)
        told = await segment_people.how_it_is_read(connection, asked)
    warnings = [*costly(asked.condition, named), *told.read_whole]
    ours, by_hand = [], []
    for _ in range(ROUNDS):
        ours.append(await _ours(database, asked))
        by_hand.append(await _by_hand(database, written, now))
    if ours[0][1] != by_hand[0][1]:
        raise AssertionError(f"{written.name}: {ours[0][1]:,} people, and by hand {by_hand[0][1]:,}")
    await _must_find_the_same(database, asked, written, now)
    took = Took(written.name, min(each[0] for each in ours), min(each[0] for each in by_hand), len(warnings))
    planning = await _planning(database, asked)
    slow = f"; {len(warnings)} warned of" if warnings else "; SLOW AND NOT WARNED OF" if took.is_slow_without_a_word else ""
    print(
        f"{written.name:<24} {ours[0][1]:>9,} people  {took.ours * 1000:7.0f} ms, by hand {took.by_hand * 1000:7.0f} ms,"
        f" ratio {took.ratio:5.2f}, planning {planning:.0f} ms{slow}",
        flush=True,
    )
    return took


async def _ours(database: Database, asked: Asked) -> tuple[float, int]:
    async with database.transaction("demo") as connection:
        began = time.perf_counter()
        size, _ = await segment_people.look(connection, asked, most=0, exactly=True)
        return time.perf_counter() - began, size.people


async def _planning(database: Database, asked: Asked) -> float:
    """Milliseconds until the statement is there and planned."""
    async with database.transaction("demo") as connection:
        began = time.perf_counter()
        await segment_people.how_it_is_read(connection, asked)
        return (time.perf_counter() - began) * 1000 / 2  # it is planned twice


async def _by_hand(database: Database, written: Written, now: datetime) -> tuple[float, int]:
    statement = _at(f"SELECT count(*) FROM ({written.sql}) AS found", now)
    async with database.transaction() as connection:
        await connection.exec_driver_sql(_BOUNDS)
        began = time.perf_counter()
        people: int = (await connection.exec_driver_sql(statement)).scalar_one()
        return time.perf_counter() - began, people


_BOUNDS = f"SET LOCAL work_mem = '{segment_people.MOST_MEMORY}'"


def _at(statement: str, now: datetime) -> str:
    return statement.replace(":now", f"timestamptz '{now.isoformat()}'")


async def _must_find_the_same(database: Database, asked: Asked, written: Written, now: datetime) -> None:
    """Both find the same people, not only as many."""
    async with database.transaction() as connection:
        ours = {person.id for person in await segment_people.page(connection, asked, after=None, most=PEOPLE)}
        by_hand = set((await connection.exec_driver_sql(_at(written.sql, now))).scalars())
    if ours != by_hand:
        raise AssertionError(f"{written.name}: {len(ours ^ by_hand):,} people are found by one of the two only")


async def _publish(connection: Connection) -> None:
    await segments.make_static(connection, "demo", LISTED)
    await connection.exec_driver_sql(
        f"INSERT INTO listed_people (app, segment, user_id) SELECT 'demo', '{LISTED}', id FROM users WHERE id % 100 BETWEEN 5 AND 14"
    )
    for each in WRITTEN:
        condition = condition_to_json(each.condition).decode()
        await segments.publish(connection, "demo", each.name, condition, condition_hash(each.condition), mentions(each.condition))


async def _fill(database: Database) -> datetime:
    """Make the people and their events; returns the moment that all of it was before."""
    began, now = time.monotonic(), datetime.now(UTC).replace(microsecond=0)
    chance = random.Random(SEED)
    async with database.transaction() as connection:
        await connection.exec_driver_sql("INSERT INTO apps (id, name) VALUES ('demo', 'Demo')")
        await connection.exec_driver_sql(_PAST_MONTHS)
    driver = await asyncpg.connect(database.engine.url.set(drivername="postgresql").render_as_string(), command_timeout=1800)
    try:
        tables: list[tuple[str, tuple[str, ...], Iterator[str]]] = [
            ("users", ("app", "id", "user_id", "attributes", "merged_into"), _people(chance, now)),
            ("identities", ("app", "kind", "value", "user_id"), _identities()),
            ("endpoints", ("app", "user_id", "channel", "address", "address_hash", "confirmed_at"), _endpoints(now)),
            ("consents", ("app", "user_id", "channel", "topic", "state", "source"), _consents(chance)),
        ]
        for table, columns, rows in tables:
            await driver.copy_to_table(table, source=_encoded(rows), columns=columns)
        indexes = await driver.fetch(_INDEXES)
        for name, _ in indexes:
            await driver.execute(f"DROP INDEX {name}")
        of_events = ("app", "received_at", "user_id", "event_id", "name", "properties", "occurred_at")
        await driver.copy_to_table("events", source=_encoded(_events(chance, now)), columns=of_events)
        print(f"{PEOPLE:,} people and {EVENTS:,} events made in {time.monotonic() - began:.0f} s", flush=True)
        await driver.execute("SET maintenance_work_mem = '512MB'")
        for _, definition in indexes:
            await driver.execute(definition.replace(" ON ONLY ", " ON "))
        await driver.execute("VACUUM ANALYZE")
    finally:
        await driver.close()
    print(f"indexed and vacuumed after {time.monotonic() - began:.0f} s", flush=True)
    return now


# Rows are loaded in a tenth of the time without these, and made anew as the migrations made them.
_INDEXES = """
SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'events' AND indexname NOT LIKE '%_pkey' ORDER BY indexname
"""
_PAST_MONTHS = """
DO $$ DECLARE month timestamptz; BEGIN
    FOR i IN 2..13 LOOP
        month := (date_trunc('month', now() AT TIME ZONE 'UTC') - make_interval(months => i)) AT TIME ZONE 'UTC';
        EXECUTE format('CREATE TABLE %I PARTITION OF events FOR VALUES FROM (%L) TO (%L)',
            'events_' || to_char(month AT TIME ZONE 'UTC', 'YYYYMM'), month,
            (month AT TIME ZONE 'UTC' + interval '1 month') AT TIME ZONE 'UTC');
    END LOOP;
END $$
"""


def _people(chance: random.Random, now: datetime) -> Iterator[str]:
    for n in range(1, PEOPLE + 1):
        if n % 100 < JOINED:
            yield f"demo\t{n}\t\\N\t{{}}\t{n - 1}\n"
            continue
        user_id = "\\N" if n % 100 < JOINED + ANONYMOUS else f"user-{n}"
        country, city, latitude, longitude = chance.choice(CITIES)
        latitude, longitude = latitude + chance.gauss(0, 0.5), longitude + chance.gauss(0, 0.5)
        signed_up = (now - timedelta(minutes=chance.randrange(3 * DAYS * 1440))).strftime("%Y-%m-%dT%H:%M:%SZ")
        spent = chance.randrange(50_000) / 100 if chance.random() < 0.4 else 0
        attributes = (
            f'{{"plan": "{chance.choice(PLANS)}", "signed_up_at": "{signed_up}", "lifetime_value": {spent}, "first_name": "Ann {n}",'
            f' "address": {{"city": "{city}", "country": "{country}"}},'
            f' "location": {{"latitude": {latitude:.5f}, "longitude": {longitude:.5f}}}}}'
        )
        yield f"demo\t{n}\t{user_id}\t{attributes}\t\\N\n"


def _identities() -> Iterator[str]:
    for n in range(1, PEOPLE + 1):
        kind, value = ("a", f"browser-{n}") if n % 100 < JOINED + ANONYMOUS else ("u", f"user-{n}")
        yield f"demo\t{kind}\t{value}\t{n - 1 if n % 100 < JOINED else n}\n"


def _endpoints(now: datetime) -> Iterator[str]:
    for n in range(1, PEOPLE + 1):
        if n % 100 >= JOINED and n % 10:
            yield f"demo\t{n}\temail\tann{n}@example.org\t\\\\x{n:064x}\t{now.isoformat()}\n"


def _consents(chance: random.Random) -> Iterator[str]:
    """Half of all said yes to the news, and a fifth of them no later."""
    for n in range(1, PEOPLE + 1):
        if n % 100 >= JOINED and chance.random() < 0.5:
            yield f"demo\t{n}\temail\tnews\tgranted\tform\n"
            if chance.random() < 0.2:
                yield f"demo\t{n}\temail\tnews\twithdrawn\tlink\n"


def _events(chance: random.Random, now: datetime) -> Iterator[str]:
    """In the order in which they came in, a day at a time; a tenth of the people do half of it all."""
    a_day, few = EVENTS // DAYS + 1, max(1, PEOPLE // 10)
    for made in range(0, EVENTS, a_day):
        many = min(a_day, EVENTS - made)
        first = now - timedelta(days=DAYS) + timedelta(days=made // a_day)
        moments = (f"{first + timedelta(seconds=second)}" for second in sorted(chance.choices(range(86_400), k=many)))
        people = [1 + int(r * few) if r < 0.5 else int((r - 0.5) * 2 * PEOPLE) + 1 for r in (chance.random() for _ in range(many))]
        for n, at, user_id, name in zip(range(made, made + many), moments, people, chance.choices(NAMES, k=many), strict=True):
            properties = f'{{"sku": "sku-{n % 5000}", "price": {n * 7919 % 9000 / 100}, "currency": "EUR", "position": 3}}'
            yield f"demo\t{at}\t{user_id}\t{n:032x}\t{name}\t{properties}\t{at}\n"


async def _encoded(rows: Iterator[str]) -> AsyncIterator[bytes]:
    piece: list[str] = []
    for row in rows:
        piece.append(row)
        if len(piece) == 1000:
            yield "".join(piece).encode()
            piece.clear()
    yield "".join(piece).encode()


if __name__ == "__main__":
    main()
