"""When people enter on a date: SQL agrees with the language on any person, zone and year, and follows what is known of people."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy import text

from journeys.language import Journey, Send, date, days, email, event, hours, location, trait
from journeys.language.codec import content_hash, to_json
from journeys.language.conditions import TimeExpression
from journeys.language.dates import due
from journeys.language.entries import DateEntry
from journeys.language.facts import Facts
from storage import due_dates, journeys
from storage.database import Connection, Database
from storage.events import Incoming, accept

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Pacific/Kiritimati", "Africa/Cairo")
DATES = (
    *("2026-03-29", "2026-03-29T02:30", "2026-10-25T02:30", "2026-03-08T02:30", "2000-02-29", "2000-02-29T23:30", "1999-12-31T23:59:59"),
    *("2027-01-01", "2026-04-05T01:45", "2026-06-01T12:00:00Z", "1990-06-01T12:00:00+05:30", "2026-02-30", "soon", "", "2030-02-28"),
)
SHIFTS = (days(-7), days(1), hours(3), days(-366), days(31))
_USER = text("INSERT INTO users (app, user_id, attributes, timezone) VALUES ('demo', :name, :attributes, :zone)")
_DUE = text("SELECT due_at FROM due_dates WHERE app = 'demo' AND journey = :journey ORDER BY user_id")


def journey(entry: DateEntry, name: str = "renewal") -> Journey:
    return Journey(name, starts_on=entry, steps=[Send("notice", email("renewal-notice"))])


@st.composite
def moments(draw: st.DrawFn) -> TimeExpression:
    moment: Any = draw(st.sampled_from((trait("on"), trait("plan.on"), location("on"))))
    for _ in range(draw(st.integers(0, 2))):
        clocks = st.sampled_from(("00:00", "02:30", "09:00", "23:59"))
        moment = draw(st.one_of(st.sampled_from(SHIFTS).map(moment.__add__), clocks.map(moment.at)))
    return moment  # type: ignore[no-any-return]


instants = st.integers(0, 9 * 365 * 24 * 60).map(lambda minute: datetime(2024, 1, 1, tzinfo=UTC) + timedelta(minutes=minute))


class House:
    """A database of its own event loop, so that hypothesis, which knows none, can ask it."""

    def __init__(self, url: str, runner: asyncio.Runner) -> None:
        self.database = Database(url, pool_size=2)
        self.run = runner.run

    async def due(self, entry: DateEntry, value: Any, zone: str | None, after: datetime, app_zone: str | None) -> datetime | None:
        """What is written down of somebody who changed then; all of it is forgotten."""
        async with self.database.engine.connect() as connection:
            await connection.exec_driver_sql("INSERT INTO apps (id, name) VALUES ('demo', 'Demo')")
            await connection.execute(
                text("UPDATE apps SET settings = jsonb_strip_nulls(jsonb_build_object('timezone', CAST(:zone AS text)))"),
                {"zone": app_zone},
            )
            await publish(connection, journey(entry))
            await connection.execute(_USER, {"name": "ann", "attributes": attributes(value), "zone": zone})
            await connection.execute(text("UPDATE changed_people SET changed_at = :at"), {"at": after})
            assert await due_dates.read_changed(connection)
            found: datetime | None = (await connection.execute(_DUE, {"journey": "renewal"})).scalar()
            await connection.rollback()
            return found


def attributes(value: Any) -> dict[str, Any]:
    return {"on": value, "plan": {"on": value}, "location": {"on": value}}


async def publish(connection: Connection, published: Journey) -> None:
    await journeys.publish(
        connection,
        "demo",
        name=published.name,
        definition=to_json(published).decode(),
        content_hash=content_hash(published),
        entry_names=published.entry_names,
        listen_names=published.signal_names,
    )


@pytest.fixture(scope="module")
def house(postgres: Any) -> Iterator[House]:
    postgres.create_database("due_dates", template="migrated")
    with asyncio.Runner() as runner:
        opened = House(postgres.database_url("due_dates"), runner)
        yield opened
        opened.run(opened.database.close())
    postgres.drop_database("due_dates")


@given(
    moments(),
    st.sampled_from((None, "year")),
    st.one_of(st.sampled_from(DATES), st.just(7)),
    st.sampled_from((None, *ZONES)),
    instants,
    st.sampled_from((None, "Asia/Kathmandu")),
)
@example(trait("on") - days(7), "year", "2000-02-29", None, datetime(2027, 1, 1, tzinfo=UTC), None)
@example(trait("on").at("02:30"), "year", "1990-03-29", "Europe/Berlin", datetime(2026, 1, 1, tzinfo=UTC), None)
def test_sql_and_the_language_agree(
    house: House, moment: TimeExpression, every: Any, value: Any, zone: str | None, after: datetime, app_zone: str | None
) -> None:
    entry = date(moment, every=every)
    facts = Facts(attributes=attributes(value), timezone=zone or app_zone)
    assert house.run(house.due(entry, value, zone, after, app_zone)) == due(entry, facts, after)


# How rows follow people ------------------------------------------------------------------------------------------------

NOW = datetime.now(UTC).replace(microsecond=0)
RENEWAL = journey(date(trait("renews_on") - days(7)))


async def live(database: Database, *published: Journey) -> None:
    async with database.transaction("demo") as connection:
        for each in published:
            await publish(connection, each)


async def said(database: Database, user: str, *, at: datetime = NOW, **traits: Any) -> None:
    item = Incoming(event_id=f"{user} {traits} {at}", occurred_at=at, name="identified", user_id=user, traits=traits)
    async with database.transaction("demo") as connection:
        await accept(connection, "demo", [item], received_at=NOW)


async def joined(database: Database) -> None:
    """The one who is `anon` turns out to be ann."""
    join = Incoming(event_id="j", occurred_at=NOW, name="identified", user_id="ann", anonymous_id="anon", joins=True)
    async with database.transaction("demo") as connection:
        await accept(connection, "demo", [join], received_at=NOW)


async def told_of_anon(database: Database, **traits: Any) -> None:
    item = Incoming(event_id="a", occurred_at=NOW, name="identified", anonymous_id="anon", traits=traits)
    async with database.transaction("demo") as connection:
        await accept(connection, "demo", [item], received_at=NOW)


async def settle(database: Database) -> None:
    """What the lane does before it lets anybody in."""
    async with database.transaction() as connection:
        await due_dates.wait_for_others(connection)
    for piece in (due_dates.fill, due_dates.read_changed):
        while await _one(database, piece):
            continue


async def became_known_before(database: Database) -> None:
    """What changed so far changed an hour ago, and nobody has looked since."""
    async with database.transaction() as connection:
        await connection.exec_driver_sql("UPDATE changed_people SET changed_at = now() - interval '1 hour'")


async def _one(database: Database, piece: Any, **how: Any) -> Any:
    async with database.transaction() as connection:
        return await piece(connection, **how)


async def written(database: Database, name: str = "renewal") -> dict[str, datetime]:
    statement = "SELECT u.user_id, d.due_at FROM due_dates d JOIN users u ON u.app = d.app AND u.id = d.user_id WHERE d.journey = :name"
    async with database.transaction() as connection:
        return {row.user_id: row.due_at for row in await connection.execute(text(statement), {"name": name})}


def later(**by: float) -> str:
    return (NOW + timedelta(days=7) + timedelta(**by)).isoformat()


async def test_publishing_writes_down_everybody_whose_moment_is_still_to_come(database: Database) -> None:
    await said(database, "ann", renews_on=later(hours=1))
    await said(database, "ben", renews_on=later(hours=-1))
    await said(database, "cem", name="Cem")
    await live(database, RENEWAL)
    await settle(database)
    assert await written(database) == {"ann": NOW + timedelta(hours=1)}


async def test_filling_goes_on_where_it_was(database: Database) -> None:
    for number in range(5):
        await said(database, f"user {number}", renews_on=later(hours=1 + number))
    await live(database, RENEWAL)
    await _one(database, due_dates.wait_for_others)
    assert await _one(database, due_dates.fill, most=2)
    assert len(await written(database)) == 2
    assert [await _one(database, due_dates.fill, most=2) for _ in range(4)] == [True, True, True, False]
    assert len(await written(database)) == 5


async def test_nobody_is_missed_who_changes_while_the_journey_is_published(database: Database) -> None:
    await said(database, "ann", name="Ann")
    async with database.transaction("demo") as early:
        item = Incoming(event_id="1", occurred_at=NOW, name="identified", user_id="ann", traits={"renews_on": later(hours=1)})
        await accept(early, "demo", [item], received_at=NOW)
        await live(database, RENEWAL)
        await settle(database)
        assert await written(database) == {}
    await settle(database)
    assert await written(database) == {"ann": NOW + timedelta(hours=1)}


async def test_a_row_follows_the_attribute_and_the_zone(database: Database) -> None:
    await live(database, journey(date(trait("on").at("09:00")), "visit"))
    tomorrow = (NOW + timedelta(days=3)).date()
    await said(database, "ann", on=tomorrow.isoformat())
    await settle(database)
    nine = datetime.combine(tomorrow, datetime.min.time(), UTC) + timedelta(hours=9)
    assert await written(database, "visit") == {"ann": nine}
    item = Incoming(event_id="z", occurred_at=NOW, name="identified", user_id="ann", timezone="Asia/Tokyo")
    async with database.transaction("demo") as connection:
        await accept(connection, "demo", [item], received_at=NOW)
    await settle(database)
    assert await written(database, "visit") == {"ann": nine - timedelta(hours=9)}
    await said(database, "ann", at=NOW + timedelta(seconds=1), on=None)
    await settle(database)
    assert await written(database, "visit") == {}


async def test_a_zone_that_the_app_is_given_later_moves_those_who_have_none(database: Database) -> None:
    await live(database, journey(date(trait("on").at("09:00")), "visit"))
    day = (NOW + timedelta(days=3)).date()
    await said(database, "ann", on=day.isoformat())
    await settle(database)
    async with database.transaction() as connection:
        await connection.exec_driver_sql("""UPDATE apps SET settings = '{"timezone": "Asia/Tokyo"}'""")
    await settle(database)
    assert await written(database, "visit") == {"ann": datetime.combine(day, datetime.min.time(), UTC)}


async def test_a_moment_that_has_come_and_is_not_taken_yet_outlives_other_changes(database: Database) -> None:
    await live(database, RENEWAL)
    await said(database, "ann", renews_on=later(seconds=-1))
    await became_known_before(database)
    await settle(database)
    assert await written(database) == {"ann": NOW - timedelta(seconds=1)}
    await said(database, "ann", name="Ann")
    await settle(database)
    assert await written(database) == {"ann": NOW - timedelta(seconds=1)}
    await live(database, Journey("renewal", starts_on=RENEWAL.starts_on, again_after=days(3), steps=RENEWAL.steps))
    await settle(database)
    assert await written(database) == {"ann": NOW - timedelta(seconds=1)}


async def test_of_two_people_who_are_one_the_joined_attributes_decide_and_what_was_due_stays_due(database: Database) -> None:
    await live(database, RENEWAL)
    await told_of_anon(database, renews_on=later(seconds=-1))
    await became_known_before(database)
    await settle(database)
    await said(database, "ann", name="Ann")
    await joined(database)
    await settle(database)
    assert await written(database) == {"ann": NOW - timedelta(seconds=1)}


async def test_who_has_no_date_any_more_has_none_by_being_one_with_somebody_who_has(database: Database) -> None:
    await live(database, RENEWAL)
    await told_of_anon(database, renews_on=later(hours=1))
    await said(database, "ann", at=NOW + timedelta(seconds=1), renews_on=None)
    await settle(database)
    await joined(database)
    await settle(database)
    assert await written(database) == {}


async def test_what_was_told_of_either_is_known_since_then_though_nobody_has_looked(database: Database) -> None:
    await live(database, RENEWAL)
    await told_of_anon(database, renews_on=later(seconds=-1))
    await said(database, "ann", name="Ann")
    await became_known_before(database)
    await joined(database)
    await settle(database)
    assert await written(database) == {"ann": NOW - timedelta(seconds=1)}


async def test_who_has_another_moment_that_is_not_read_yet_is_not_taken(database: Database) -> None:
    await live(database, RENEWAL)
    for user in ("ann", "ben"):
        await said(database, user, renews_on=later(seconds=-1))
    await became_known_before(database)
    await settle(database)
    await said(database, "ann", at=NOW + timedelta(seconds=1), renews_on=later(hours=1))
    taken, _ = await _one(database, due_dates.take, most=10)
    assert [each.due_at for each in taken] == [NOW - timedelta(seconds=1)]
    await settle(database)
    assert await written(database) == {"ann": NOW + timedelta(hours=1)}


async def test_a_moment_is_taken_once_and_a_yearly_one_is_followed_by_the_next(database: Database) -> None:
    yearly = journey(date(trait("born") + hours(1), every="year"), "birthday")
    await live(database, RENEWAL, yearly)
    born = (NOW - timedelta(hours=1, seconds=1)).replace(year=NOW.year - 30)
    await said(database, "ann", renews_on=later(seconds=-1), born=born.isoformat())
    await became_known_before(database)
    await settle(database)
    taken, _ = await _one(database, due_dates.take, most=10)
    assert {(each.journey, each.due_at) for each in taken} == {(name, NOW - timedelta(seconds=1)) for name in ("renewal", "birthday")}
    assert (await _one(database, due_dates.take, most=10))[0] == []
    assert await written(database) == {}
    assert (await written(database, "birthday"))["ann"].year == NOW.year + 1


async def test_a_journey_that_is_retired_or_starts_otherwise_has_no_dates_and_back_it_has_them_again(database: Database) -> None:
    await said(database, "ann", renews_on=later(hours=1))
    await live(database, RENEWAL)
    await settle(database)
    async with database.transaction("demo") as connection:
        assert await journeys.retire(connection, "demo", ["renewal"]) == ["renewal"]
    assert await written(database) == {}
    await live(database, RENEWAL)
    await settle(database)
    assert len(await written(database)) == 1
    await live(database, Journey("renewal", starts_on=event("signed_up"), steps=RENEWAL.steps))
    assert await written(database) == {}


# Whoever writes ---------------------------------------------------------------------------------------------------------

VISIT = journey(date(trait("on").at("09:00")), "visit")
_ADA = """
    INSERT INTO users (app, user_id, attributes, timezone)
    VALUES ('demo', 'ada', '{"on": "2031-05-01", "plan": {"on": "2031-05-01"}}', 'UTC')
"""


async def by_hand(database: Database, *statements: str) -> None:
    async with database.transaction() as connection:
        for statement in statements:
            await connection.exec_driver_sql(statement)


async def noted(database: Database, *statements: str) -> list[str]:
    """Who is to be read again after these."""
    await by_hand(database, "DELETE FROM changed_people", *statements)
    async with database.transaction() as connection:
        rows = await connection.execute(text("SELECT u.user_id FROM changed_people c JOIN users u ON u.app = c.app AND u.id = c.user_id"))
        return sorted(rows.scalars())


@pytest.mark.parametrize(
    ("read", "changes", "is_noted"),
    [
        ("on", """attributes = attributes || '{"on": "2031-05-02"}'""", True),
        ("on", "attributes = attributes - 'on'", True),
        ("on", "timezone = 'Asia/Tokyo'", True),
        ("on", "timezone = NULL", True),
        ("plan.on", """attributes = attributes || '{"plan": {}}'""", True),
        ("on", """attributes = attributes || '{"plan": {}, "name": "Ada"}', locale = 'it', updated_at = now()""", False),
        ("on", "attributes = attributes, timezone = timezone", False),
        # Of whom there is no date the zone means nothing.
        ("off", "timezone = 'Asia/Tokyo'", False),
        ("off", """attributes = attributes || '{"off": null}'""", True),
    ],
)
async def test_a_change_of_what_is_read_or_of_the_zone_is_noted_and_no_other(
    database: Database, read: str, changes: str, *, is_noted: bool
) -> None:
    await live(database, journey(date(trait(read))))
    await by_hand(database, _ADA)
    assert await noted(database, f"UPDATE users SET {changes}") == (["ada"] if is_noted else [])


async def test_who_is_made_is_noted_with_the_attribute_alone(database: Database) -> None:
    await live(database, journey(date(location("on"))))
    assert await noted(database, _ADA) == []
    new = """INSERT INTO users (app, user_id, attributes) VALUES ('demo', 'bob', '{"location": {"on": "2031-05-01"}}')"""
    assert await noted(database, new) == ["bob"]


async def test_each_change_is_noted_of_each_journey_and_app_by_itself(database: Database) -> None:
    await live(database, journey(date(trait("on"))), journey(date(trait("off")), "other"))
    await by_hand(database, _ADA, "INSERT INTO apps (id, name) VALUES ('far', 'Far')", _ADA.replace("'demo'", "'far'"))
    assert await noted(database, """UPDATE users SET attributes = '{"on": 1, "off": 2}'""") == ["ada"]
    # What is said of one is said of the other now: both have changed.
    assert await noted(database, """UPDATE users SET attributes = '{"on": 2, "off": 1}'""") == ["ada"]
    assert await noted(database, """UPDATE users SET attributes = '{"on": 3}' WHERE app = 'far'""") == []


async def test_a_journey_that_code_of_before_published_is_moved_by_every_attribute(database: Database) -> None:
    await live(database, VISIT)
    await by_hand(database, "UPDATE date_journeys SET attribute = NULL")
    assert await noted(database, _ADA) == ["ada"]
    assert await noted(database, """UPDATE users SET attributes = '{"name": "Ada"}'""") == ["ada"]
    assert await noted(database, "UPDATE users SET timezone = NULL") == ["ada"]
    assert await noted(database, "UPDATE users SET updated_at = now()") == []


async def test_an_attribute_that_a_new_version_reads_is_followed_from_then_on(database: Database) -> None:
    await live(database, VISIT)
    await live(database, journey(date(trait("plan.on").at("09:00")), "visit"))
    await settle(database)
    await by_hand(database, _ADA)
    assert await noted(database, """UPDATE users SET attributes = attributes || '{"plan": {"on": "2031-06-01"}}'""") == ["ada"]
    await settle(database)
    assert await written(database, "visit") == {"ada": datetime(2031, 6, 1, 9, tzinfo=UTC)}


async def test_before_and_after_are_never_compared_each_with_each(database: Database) -> None:
    """A session keeps the plan of its first change, which may be of one person; an import changes thousands at once."""
    compares = """
        SELECT t.tgname || ' on ' || t.tgrelid::regclass FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
        WHERE t.tgoldtable IS NOT NULL AND t.tgnewtable IS NOT NULL AND NOT coalesce('enable_nestloop=off' = ANY(p.proconfig), false)
    """
    async with database.transaction() as connection:
        assert (await connection.exec_driver_sql(compares)).scalars().all() == []


async def test_an_app_without_such_a_journey_notes_no_changes(database: Database) -> None:
    await said(database, "ann", renews_on=later(hours=1))
    async with database.transaction() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM changed_people"))).scalar() == 0
