"""Who comes into a segment that a journey listens to, or goes out of it, is told once: by what they do or by time, whatever happens."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from activities import entering
from activities.entering import EnteringLane
from journeys.language import Journey, Send, ahead, days, did, did_not, email, event, has, in_segment, segment, sql, trait
from storage import events, segment_census, segment_follows, segment_members, segments
from storage.attributes import said
from storage.database import Connection, Database
from storage.erasures import erase
from storage.imports import ImportedEvent, ImportedPerson, bring_events, bring_people, lay_out
from storage.joins import merge
from storage.users import lock_users
from tests.activities.crowd_of_segments import APP, Crowd

GOLD = trait("plan") == "gold"
LAPSED = (trait("lifetime_value") > 0) & did_not("order_placed", last=days(90))


class DeathError(BaseException):
    """Stands for a SIGKILL: the transaction that is open does not commit."""


@pytest.fixture
def crowd(database: Database) -> Crowd:
    return Crowd(database)


# Coming in and going out ------------------------------------------------------------------------------------------------


async def test_who_comes_in_by_an_attribute_is_told_and_who_goes_out(crowd: Crowd) -> None:
    await crowd.publish("gold", GOLD)
    await crowd.listen("gold")
    await crowd.is_like("ann", plan="gold")
    await crowd.settle()
    await crowd.is_like("ann", plan="gold", city="Rome")
    await crowd.settle()
    assert (await crowd.told(), await crowd.members("gold")) == ([("ann", "entered", "gold")], ["ann"])
    await crowd.is_like("ann", plan="free")
    await crowd.settle()
    assert (await crowd.told(), await crowd.members("gold")) == ([("ann", "entered", "gold"), ("ann", "left", "gold")], [])
    assert crowd.woken == ["sojourn_outbox"] * 2


async def test_who_is_in_already_when_a_journey_begins_to_listen_is_not_told(crowd: Crowd) -> None:
    await crowd.publish("gold", GOLD)
    for number in range(5):
        await crowd.is_like(f"user {number}", plan="gold")
    await crowd.listen("gold")
    await crowd.is_like("user 0", city="Rome")
    await crowd.settle()
    assert (len(await crowd.members("gold")), await crowd.told()) == (5, [])


async def test_another_version_is_read_anew_and_tells_nothing(crowd: Crowd) -> None:
    await crowd.publish("inner", GOLD)
    await crowd.publish("gold", in_segment("inner"))
    await crowd.is_like("ann", plan="gold")
    await crowd.is_like("bob", plan="silver")
    await crowd.listen("gold")
    await crowd.publish("inner", trait("plan") == "silver")
    await crowd.settle()
    assert (await crowd.members("gold"), await crowd.told()) == (["bob"], [])
    await crowd.is_like("ann", plan="silver")
    await crowd.settle()
    assert await crowd.told() == [("ann", "entered", "gold")]


async def test_a_segment_that_nobody_listens_to_any_more_keeps_no_members(crowd: Crowd) -> None:
    await crowd.publish("gold", GOLD)
    await crowd.is_like("ann", plan="gold")
    await crowd.listen("gold")
    assert await crowd.members("gold") == ["ann"]
    await crowd.execute("UPDATE journeys SET retired_at = now() WHERE app = 'demo'")
    await crowd.settle()
    assert await crowd.execute("SELECT segment FROM segment_follows UNION ALL SELECT segment FROM segment_members") == []
    await crowd.is_like("bob", plan="gold")
    assert await crowd.execute("SELECT * FROM segment_changes") == []


async def test_a_new_person_is_read_in_every_segment(crowd: Crowd) -> None:
    await crowd.publish("quiet", did_not("order_placed"))
    await crowd.listen("quiet")
    await crowd.does("ann", "page_viewed")
    await crowd.settle()
    assert await crowd.told() == [("ann", "entered", "quiet")]


async def test_a_change_that_a_segment_does_not_mention_is_no_work(crowd: Crowd) -> None:
    await crowd.publish("gold", GOLD)
    await crowd.listen("gold")
    await crowd.is_like("ann", plan="free")
    await crowd.settle()
    await crowd.is_like("ann", city="Rome")
    await crowd.does("ann", "page_viewed")
    await crowd.has_address("ann")
    assert await crowd.execute("SELECT * FROM segment_changes") == []


@pytest.mark.parametrize(
    "happens",
    [
        lambda crowd: crowd.has_address("ann"),
        lambda crowd: crowd.execute("INSERT INTO listed_people (app, segment, user_id) SELECT app, 'friends', id FROM users"),
    ],
    ids=["an address", "a list"],
)
async def test_addresses_and_lists_count_as_well(crowd: Crowd, happens: Callable[[Crowd], Awaitable[Any]]) -> None:
    async with crowd.database.transaction() as connection:
        await segments.make_static(connection, APP, "friends")
    await crowd.publish("near", has("email") | in_segment("friends"))
    await crowd.listen("near", "friends")
    await crowd.does("ann", "page_viewed")
    await crowd.settle()
    await happens(crowd)
    await crowd.settle()
    assert ("ann", "entered", "near") in await crowd.told()


async def test_a_journey_that_ends_when_somebody_is_out_is_told_of_it(crowd: Crowd) -> None:
    await crowd.publish("gold", GOLD)
    await crowd.start(Journey("in-gold", starts_on=event("x"), exits_on=~in_segment("gold"), steps=[Send("a", email("a"))]))
    await crowd.settle()
    await crowd.is_like("ann", plan="gold")
    await crowd.settle()
    assert await crowd.told() == [("ann", "entered", "gold")]


async def test_what_sql_reads_is_not_followed(crowd: Crowd) -> None:
    await crowd.publish("asked", sql("SELECT user_id FROM users"))
    await crowd.listen("asked")
    assert await crowd.execute("SELECT * FROM segment_follows") == []


# Time -------------------------------------------------------------------------------------------------------------------


async def test_a_window_that_slides_brings_somebody_in_without_a_word_of_them(crowd: Crowd) -> None:
    await crowd.publish("lapsed", LAPSED)
    await crowd.listen("lapsed")
    await crowd.does("ann", "order_placed", traits={"lifetime_value": 7})
    await crowd.settle()
    assert await crowd.told() == []
    crowd.ahead = timedelta(days=89)
    await crowd.settle()
    assert await crowd.told() == []
    crowd.ahead = timedelta(days=90, seconds=1)
    await crowd.settle()
    assert await crowd.told() == [("ann", "entered", "lapsed")]
    assert await crowd.execute("SELECT * FROM segment_due") == []


async def test_nobody_is_read_before_the_moment_that_matters_to_them(crowd: Crowd, monkeypatch: pytest.MonkeyPatch) -> None:
    await crowd.publish("lapsed", LAPSED)
    await crowd.listen("lapsed")
    for user, ago_ in (("ann", 80), ("bob", 10)):
        await crowd.does(user, "order_placed", traits={"lifetime_value": 7}, occurred_at=datetime.now(UTC) - timedelta(days=ago_))
    await crowd.settle()
    read: list[int] = []
    real = segment_members.read

    async def watched(connection: Connection, app: str, segment: str, meant: Any, ids: Any, at: datetime) -> Any:
        read.extend(ids)
        return await real(connection, app, segment, meant, ids, at)

    monkeypatch.setattr(segment_members, "read", watched)
    crowd.ahead = timedelta(days=11)
    await crowd.settle()
    assert (len(read), await crowd.told()) == (1, [("ann", "entered", "lapsed")])


async def test_an_event_that_comes_late_counts_by_when_it_occurred(crowd: Crowd) -> None:
    await crowd.publish("lapsed", LAPSED)
    await crowd.listen("lapsed")
    await crowd.is_like("ann", lifetime_value=7)
    await crowd.settle()
    await crowd.does("ann", "order_placed", occurred_at=datetime.now(UTC) - timedelta(days=91))
    await crowd.settle()
    assert await crowd.told() == [("ann", "entered", "lapsed")]
    await crowd.does("ann", "order_placed", occurred_at=datetime.now(UTC) - timedelta(days=89))
    await crowd.settle()
    assert await crowd.told() == [("ann", "entered", "lapsed"), ("ann", "left", "lapsed")]
    crowd.ahead = timedelta(days=1, seconds=1)
    await crowd.settle()
    assert (await crowd.told())[2:] == [("ann", "entered", "lapsed")]


async def test_a_date_that_comes_near_is_noticed_and_follows_the_attribute(crowd: Crowd) -> None:
    await crowd.publish("renewing", trait("renews_on").before(ahead(days(7))))
    await crowd.listen("renewing")
    await crowd.is_like("ann", renews_on=(datetime.now(UTC) + timedelta(days=10)).isoformat())
    await crowd.settle()
    await crowd.is_like("ann", renews_on=(datetime.now(UTC) + timedelta(days=20)).isoformat())
    await crowd.settle()
    crowd.ahead = timedelta(days=4)
    await crowd.settle()
    assert await crowd.told() == []
    crowd.ahead = timedelta(days=14)
    await crowd.settle()
    assert await crowd.told() == [("ann", "entered", "renewing")]


# Once, whatever gets in the way -------------------------------------------------------------------------------------------


async def test_an_event_that_comes_twice_is_told_once(crowd: Crowd) -> None:
    await crowd.publish("buyers", did("order_placed"))
    await crowd.listen("buyers")
    for _ in range(2):
        await crowd.does("ann", "order_placed", event_id="the same")
        await crowd.settle()
    assert await crowd.told() == [("ann", "entered", "buyers")]


@pytest.mark.parametrize("where", ["after the notes were taken", "after the readings", "after the events"])
async def test_a_process_that_is_killed_on_the_way_loses_nothing_and_tells_nothing_twice(
    crowd: Crowd, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    await crowd.publish("gold", GOLD)
    await crowd.listen("gold")
    await crowd.is_like("ann", plan="gold")
    module, name, dies_after = {
        "after the notes were taken": (events, "known_now", False),
        "after the readings": (events, "tell", False),
        "after the events": (events, "tell", True),
    }[where]
    real = getattr(module, name)

    async def deadly(*given: Any) -> Any:
        if dies_after:
            await real(*given)
        raise DeathError

    with monkeypatch.context() as patched:
        patched.setattr(module, name, deadly)
        with pytest.raises(DeathError):
            await crowd.lane.pass_once()
    assert await crowd.told() == []
    await crowd.settle()
    assert await crowd.told() == [("ann", "entered", "gold")]


async def test_a_census_that_is_killed_goes_on_where_it_was(crowd: Crowd, monkeypatch: pytest.MonkeyPatch) -> None:
    await crowd.publish("gold", GOLD)
    for number in range(7):
        await crowd.is_like(f"user {number}", plan="gold")
    await crowd.start(Journey("on-gold", starts_on=segment("gold"), steps=[Send("a", email("a"))]))
    await crowd.lane.pass_once()
    pages = 0
    real = segment_census.take

    async def deadly(*given: Any, **reach: Any) -> Any:
        nonlocal pages
        pages += 1
        if pages == 2:
            raise DeathError
        return await real(*given, **reach)

    with monkeypatch.context() as patched:
        patched.setattr(segment_census, "take", deadly)
        with pytest.raises(DeathError):
            await crowd.settle()
    await crowd.is_like("user 0", plan="free")  # was read
    await crowd.is_like("user 6", plan="free")  # was not
    await crowd.settle()
    assert (len(await crowd.members("gold")), await crowd.told()) == (5, [("user 0", "left", "gold")])


@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
async def test_no_more_notes_are_taken_than_asked_for(crowd: Crowd, mode: str) -> None:
    # Postgres plans for a queue that it saw empty.
    await crowd.execute("ANALYZE segment_changes")
    await crowd.execute("INSERT INTO segment_changes (app, user_id) SELECT 'demo', n FROM generate_series(1, 400) n")
    async with crowd.database.transaction() as connection:
        await connection.exec_driver_sql(f"SET LOCAL plan_cache_mode = {mode}")
        assert [len(await segment_members.take(connection, 30)) for _ in range(2)] == [30, 30]


async def test_two_lanes_at_once_tell_everybody_once(crowd: Crowd) -> None:
    await crowd.publish("buyers", did("order_placed"))
    await crowd.publish("gold", GOLD)
    await crowd.listen("buyers", "gold")
    for number in range(40):
        await crowd.does(f"user {number % 10}", "order_placed", traits={"plan": "gold"})
    lanes = [EnteringLane(crowd.database, crowd.woken.append, entering.Pace(notes=3)) for _ in range(3)]

    async def work(lane: EnteringLane) -> None:
        while await lane.pass_once():
            continue

    await asyncio.gather(*map(work, lanes))
    told = await crowd.told()
    assert (len(told), len(set(told))) == (20, 20)


async def test_what_changes_while_a_census_is_at_a_segment_is_told_after_it_and_other_segments_do_not_wait(crowd: Crowd) -> None:
    await crowd.publish("gold", GOLD)
    await crowd.publish("buyers", did("order_placed"))
    await crowd.is_like("ann", plan="free")
    await crowd.listen("gold", "buyers")
    await crowd.execute("UPDATE segment_follows SET read_to = 1000, followed_at = NULL WHERE segment = 'gold'")
    async with crowd.database.transaction() as census:
        await census.exec_driver_sql("SELECT FROM segment_follows WHERE segment = 'gold' FOR NO KEY UPDATE")
        await crowd.does("ann", "order_placed", traits={"plan": "gold"})
        assert not await crowd.lane.pass_once()
        assert await crowd.told() == [("ann", "entered", "buyers")]
        await census.exec_driver_sql("UPDATE segment_follows SET read_to = NULL, followed_at = now() WHERE segment = 'gold'")
    await crowd.settle()
    assert len(await crowd.told()) == 1, "it is met again in a moment"
    await crowd.execute("UPDATE segment_changes SET noted_at = now()")
    await crowd.settle()
    assert await crowd.told() == [("ann", "entered", "buyers"), ("ann", "entered", "gold")]


async def test_how_far_a_census_has_come_is_read_under_its_lock(crowd: Crowd, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page may end between the looks at what is followed: whom it did not see changing must not be left to the next."""
    await crowd.publish("gold", GOLD)
    await crowd.is_like("ann", plan="free")
    await crowd.listen("gold")
    await crowd.execute("UPDATE segment_follows SET read_to = 0, followed_at = NULL")
    real = AsyncConnection.execute

    async def execute(connection: AsyncConnection, statement: Any, *given: Any, **named: Any) -> Any:
        result = await real(connection, statement, *given, **named)
        if statement is segment_follows._FOLLOWED:
            monkeypatch.undo()
            await crowd.execute("UPDATE segment_follows SET read_to = 1000000")
        return result

    await crowd.is_like("ann", plan="gold")
    monkeypatch.setattr(AsyncConnection, "execute", execute)
    await crowd.lane.pass_once()
    assert await crowd.told() == [("ann", "entered", "gold")]


async def test_whom_a_census_cannot_count_is_read_one_by_one(crowd: Crowd, monkeypatch: pytest.MonkeyPatch) -> None:
    await crowd.publish("gold", GOLD)
    for number in range(3):
        await crowd.is_like(f"user {number}", plan="gold")

    async def failing(_: Connection, _app: str, segment: str, *_given: Any, **_reach: Any) -> Any:
        raise segment_members.ReadingFailed(segment) from ValueError("no")

    with monkeypatch.context() as patched:
        patched.setattr(segment_census, "take", failing)
        await crowd.listen("gold")
    assert await crowd.members("gold") == []
    await crowd.execute("UPDATE segment_changes SET noted_at = noted_at - interval '1 minute'")
    await crowd.settle()
    assert (len(await crowd.members("gold")), await crowd.told()) == (3, [])


async def test_a_census_that_fails_on_some_row_ends_no_lane(crowd: Crowd, monkeypatch: pytest.MonkeyPatch) -> None:
    await crowd.publish("gold", GOLD)
    await crowd.is_like("ann", plan="gold")
    with monkeypatch.context() as patched:
        patched.setattr(segment_census, "_statements", lambda *_: (text("SELECT 1"), text("SELECT 1 / 0"), None))
        await crowd.listen("gold")
    await crowd.execute("UPDATE segment_changes SET noted_at = noted_at - interval '1 minute'")
    await crowd.settle()
    assert (await crowd.members("gold"), await crowd.told()) == (["ann"], [])


async def test_a_segment_that_cannot_be_read_keeps_none_from_being_read_and_is_tried_again(
    crowd: Crowd, monkeypatch: pytest.MonkeyPatch
) -> None:
    await crowd.publish("bad", did("order_placed"))
    await crowd.publish("good", did("order_placed"))
    await crowd.listen("bad", "good")
    real = segment_members.read

    async def failing(connection: Connection, app: str, segment: str, *given: Any) -> Any:
        if segment == "bad":
            raise segment_members.ReadingFailed(segment) from ValueError("no")
        return await real(connection, app, segment, *given)

    with monkeypatch.context() as patched:
        patched.setattr(segment_members, "read", failing)
        await crowd.does("ann", "order_placed")
        await crowd.settle()
    assert await crowd.told() == [("ann", "entered", "good")]
    crowd.ahead = timedelta(minutes=2)
    await crowd.settle()
    assert await crowd.told() == [("ann", "entered", "good"), ("ann", "entered", "bad")]


# History, joins, erasure ---------------------------------------------------------------------------------------------------


async def test_imported_people_and_events_move_people_and_tell_nothing(crowd: Crowd) -> None:
    await crowd.publish("gold", GOLD)
    await crowd.publish("buyers", did("order_placed"))
    await crowd.listen("gold", "buyers")
    bought = ImportedEvent("order 1", "bob", "order_placed", datetime.now(UTC), {}, bytes(32))
    for bring in (
        partial(
            bring_people, app="demo", brought=lay_out("demo", [ImportedPerson("ann", 1, said({"plan": "gold"}, datetime.now(UTC), "row"))])
        ),
        partial(bring_events, app="demo", items=[bought], received_at=datetime.now(UTC)),
    ):
        await crowd.database.run(bring)
    await crowd.settle()
    assert (await crowd.members("gold"), await crowd.members("buyers"), await crowd.told()) == (["ann"], ["bob"], [])
    await crowd.is_like("ann", plan="free")
    await crowd.settle()
    assert await crowd.told() == [("ann", "left", "gold")]


async def test_history_moves_people_and_tells_nothing(crowd: Crowd) -> None:
    await crowd.publish("buyers", did("order_placed"))
    await crowd.publish("quiet", did_not("order_placed"))
    await crowd.listen("buyers", "quiet")
    await crowd.does("ann", "order_placed", is_history=True)
    await crowd.does("bob", "page_viewed", is_history=True, traits={"plan": "gold"})
    await crowd.settle()
    assert (await crowd.members("buyers"), await crowd.members("quiet"), await crowd.told()) == (["ann"], ["bob"], [])


async def test_who_turns_out_to_be_somebody_is_in_where_either_was_and_nobody_comes_in_by_it(crowd: Crowd) -> None:
    await crowd.publish("buyers", did("order_placed"))
    await crowd.publish("quiet", did_not("order_placed"))
    await crowd.listen("buyers", "quiet")
    await crowd.does("old", "order_placed")
    await crowd.does("new", "page_viewed")
    await crowd.settle()
    before = await crowd.told()
    ids = {row.user_id: row.id for row in await crowd.execute("SELECT id, user_id FROM users")}

    async def join(connection: Connection) -> None:
        await lock_users(connection, APP, dict.fromkeys(ids.values(), True))
        await merge(connection, APP, ids["new"], ids["old"])

    await crowd.database.run(join)
    await crowd.settle()
    assert (await crowd.members("buyers"), await crowd.members("quiet")) == (["new"], [])
    assert (await crowd.told())[len(before) :] == [("new", "left", "quiet")]


async def test_nothing_is_left_of_somebody_who_was_erased_and_their_notes_harm_nobody(crowd: Crowd) -> None:
    await crowd.publish("lapsed", LAPSED)
    await crowd.publish("gold", GOLD)
    await crowd.listen("lapsed", "gold")
    await crowd.does("ann", "order_placed", traits={"lifetime_value": 7, "plan": "gold"})
    await crowd.settle()
    await crowd.is_like("ann", plan="free")
    await crowd.is_like("bob", plan="gold")
    async with crowd.database.transaction() as connection:
        await erase(connection, APP, "ann", "test")
    for table in ("segment_members", "segment_due"):
        assert await crowd.execute(f"SELECT * FROM {table}") == []
    await crowd.settle()
    assert (await crowd.told())[-1] == ("bob", "entered", "gold")
