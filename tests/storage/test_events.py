"""Accepting events against a real Postgres: repeats, people, locks, who is told."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from storage import events, users
from storage.consents import ConsentRecord
from storage.database import Connection, Contended, Database
from storage.events import Accepted, Address, Incoming

NOW = datetime.now(UTC)


def track(user: str, name: str = "product_viewed", **fields: Any) -> Incoming:
    return Incoming(fields.pop("event_id", uuid4().hex), fields.pop("occurred_at", NOW), name, user_id=user, **fields)


def anonymous(device: str, name: str = "product_viewed", **fields: Any) -> Incoming:
    return Incoming(uuid4().hex, fields.pop("occurred_at", NOW), name, anonymous_id=device, **fields)


def identify(user: str | None, device: str | None = None, **fields: Any) -> Incoming:
    return Incoming(
        uuid4().hex,
        fields.pop("occurred_at", NOW),
        "identified",
        user_id=user,
        anonymous_id=device,
        joins=True,
        properties=fields.get("traits", {}),
        **fields,
    )


def alias(previous: str, user: str, **fields: Any) -> Incoming:
    return Incoming(uuid4().hex, NOW, None, user_id=user, previous_id=previous, joins=True, **fields)


async def take(database: Database, items: Sequence[Incoming], **options: Any) -> list[Accepted]:
    received_at = options.pop("received_at", NOW)
    return await database.run(lambda c: events.accept(c, "demo", items, received_at=received_at, **options), "demo")


async def ask(database: Database, statement: str, **values: Any) -> list[Any]:
    async with database.transaction() as connection:
        return list((await connection.execute(text(statement), values)).all())


async def one(database: Database, statement: str, **values: Any) -> Any:
    return (await ask(database, statement, **values))[0][0]


async def publish(database: Database, name: str = "hello", *, entries: Sequence[str] = (), listens: Sequence[str] = ()) -> None:
    async with database.transaction() as connection:
        await connection.execute(text("INSERT INTO journeys (app, name, live_version) VALUES ('demo', :name, 1)"), {"name": name})
        await connection.execute(
            text(
                "INSERT INTO journey_versions (app, journey, version, hash, definition, entry_names, listen_names)"
                " VALUES ('demo', :name, 1, 'h', '{}', :entries, :listens)"
            ),
            {"name": name, "entries": list(entries), "listens": list(listens)},
        )


async def enroll(connection: Connection, user: int, journey: str = "hello", **fields: Any) -> None:
    values = {"id": uuid4(), "user": user, "journey": journey, "key": "", "at": NOW - timedelta(hours=1), "n": 1, "state": "open", **fields}
    await connection.execute(
        text(
            "INSERT INTO enrollments (app, id, user_id, subject, journey, version, key, n, workflow_id, entry_event_id, entry_name,"
            " entered_at, started_at, state) VALUES ('demo', :id, :user, 's', :journey, 1, :key, :n, :w, :e, 'signed_up', :at, :at, :state)"
        ),
        {**values, "w": uuid4().hex, "e": uuid4().hex},
    )


async def attributes(database: Database, user: str) -> Any:
    return await one(
        database,
        "SELECT u.attributes FROM identities i JOIN users u ON u.app = i.app AND u.id = i.user_id WHERE i.kind = 'u' AND i.value = :user",
        user=user,
    )


async def addresses(database: Database, user: str) -> list[tuple[str, str, str]]:
    rows = await ask(
        database,
        "SELECT e.channel, e.address, e.state FROM endpoints e JOIN identities i ON i.app = e.app AND i.user_id = e.user_id"
        " WHERE i.kind = 'u' AND i.value = :user ORDER BY 1, 2",
        user=user,
    )
    return [tuple(row) for row in rows]


# Repeats


async def test_an_event_is_stored_once_however_often_it_comes(database: Database) -> None:
    item = track("ada")
    assert [(await take(database, [item, item]))[i].verdict for i in (0, 1)] == ["new", "duplicate"]
    assert (await take(database, [item]))[0].verdict == "duplicate"
    assert await one(database, "SELECT count(*) FROM events") == 1


async def test_the_same_id_with_another_body_is_a_conflict_and_the_first_stays(database: Database) -> None:
    await take(database, [track("ada", event_id="e1", properties={"total": 1})])
    assert (await take(database, [track("ada", event_id="e1", properties={"total": 2})]))[0].verdict == "conflict"
    assert await one(database, "SELECT properties->>'total' FROM events") == "1"


async def test_a_repeat_is_known_across_partitions(database: Database) -> None:
    item = track("ada")
    await take(database, [item], received_at=NOW - timedelta(days=31))
    assert (await take(database, [item], received_at=NOW + timedelta(days=31)))[0].verdict == "duplicate"
    assert await one(database, "SELECT count(*) FROM events") == 1


async def test_ids_are_forgotten_after_the_promised_time_and_not_before(database: Database) -> None:
    old, young = track("ada"), track("ada")
    await take(database, [old], received_at=NOW - timedelta(days=31))
    await take(database, [young], received_at=NOW - timedelta(days=29))
    async with database.transaction() as connection:
        assert await events.forget_ids(connection, NOW - timedelta(days=30)) == 1
    assert [a.verdict for a in await take(database, [old, young])] == ["new", "duplicate"]


async def test_two_apps_may_use_one_event_id(database: Database) -> None:
    async with database.transaction() as connection:
        await connection.execute(text("INSERT INTO apps (id, name) VALUES ('other', '')"))
    item = track("ada")
    await take(database, [item])
    other = await database.run(lambda c: events.accept(c, "other", [item], received_at=NOW), "other")
    assert other[0].verdict == "new"


# Who is told


async def test_only_events_that_somebody_listens_to_get_an_outbox_row(database: Database) -> None:
    await publish(database, entries=["signed_up"], listens=["order_placed"])
    told = await take(database, [track("ada", "signed_up"), track("ada", "order_placed"), track("ada", "page_viewed")])
    assert [a.is_told for a in told] == [True, False, False]
    assert await one(database, "SELECT count(*) FROM outbox") == 1


async def test_an_open_enrollment_is_told_of_what_its_version_listens_to(database: Database) -> None:
    await publish(database, entries=["signed_up"], listens=["order_placed"])
    ada = (await take(database, [track("ada"), track("bob")]))[0].user
    async with database.transaction() as connection:
        await enroll(connection, ada or 0)
    told = await take(database, [track("ada", "order_placed"), track("bob", "order_placed"), track("ada", "page_viewed")])
    assert [a.is_told for a in told] == [True, False, False]


@pytest.mark.parametrize("column", ["retired_at = now()", "accepts_entries = false"])
async def test_a_journey_without_entries_is_not_told(database: Database, column: str) -> None:
    await publish(database, entries=["signed_up"])
    await ask(database, f"UPDATE journeys SET {column} RETURNING 1")
    assert not (await take(database, [track("ada", "signed_up")]))[0].is_told


async def test_who_enrolls_while_an_event_comes_in_is_told_of_it(database: Database) -> None:
    """The enrolling transaction holds the user's row; the event waits for it, and then sees the enrollment."""
    await publish(database, listens=["order_placed"])
    ada = (await take(database, [track("ada")]))[0].user or 0
    async with database.transaction() as connection:
        await users.lock_users(connection, "demo", {ada: True})
        arriving = asyncio.create_task(take(database, [track("ada", "order_placed")]))
        await _until_somebody_waits(database)
        await enroll(connection, ada)
    assert (await arriving)[0].is_told


async def _until_somebody_waits(database: Database, waiting: int = 1) -> None:
    async with asyncio.timeout(10):
        while await one(database, "SELECT count(*) FROM pg_locks WHERE NOT granted") < waiting:  # noqa: ASYNC110 - Postgres tells nobody
            await asyncio.sleep(0.01)


async def test_history_is_stored_and_tells_nobody(database: Database) -> None:
    await publish(database, entries=["order_placed"], listens=["order_placed"])
    ada = (await take(database, [track("ada")]))[0].user or 0
    async with database.transaction() as connection:
        await enroll(connection, ada)
    told = await take(database, [track("ada", "order_placed", occurred_at=datetime(1997, 1, 1, tzinfo=UTC))], is_history=True)
    assert not told[0].is_told
    assert await ask(database, "SELECT is_history, name FROM events WHERE is_history") == [(True, "order_placed")]
    assert await one(database, "SELECT count(*) FROM outbox") == 0


async def test_one_person_has_one_shard_and_their_rows_keep_the_order_of_the_batch(database: Database) -> None:
    await publish(database, entries=["a", "b", "c"])
    await take(database, [track("ada", name) for name in ("b", "c", "a")])
    rows = await ask(
        database,
        "SELECT o.shard, hashint8(o.user_id) & 63, e.name FROM outbox o"
        " JOIN events e ON e.received_at = o.event_received_at AND e.seq = o.event_seq ORDER BY o.seq",
    )
    assert [row[2] for row in rows] == ["b", "c", "a"]
    assert {row[0] for row in rows} == {rows[0][1]}


async def test_a_year_that_any_client_can_name_makes_no_partition(database: Database) -> None:
    before = await one(database, "SELECT count(*) FROM pg_inherits WHERE inhparent = 'events'::regclass")
    await take(database, [track("ada", occurred_at=datetime(9998, 1, 1, tzinfo=UTC))])
    assert await one(database, "SELECT count(*) FROM pg_inherits WHERE inhparent = 'events'::regclass") == before
    assert await one(database, "SELECT tableoid::regclass::text FROM events") == f"events_{NOW:%Y%m}"


# Locks


async def test_batches_in_opposite_order_do_not_deadlock(database: Database) -> None:
    names = [f"user-{n}" for n in range(40)]
    batches = [names if n % 2 else names[::-1] for n in range(16)]
    results = await asyncio.gather(*(take(database, [identify(name, traits={"n": 1}) for name in batch]) for batch in batches))
    assert {a.verdict for batch in results for a in batch} == {"new"}
    assert await one(database, "SELECT count(*) FROM users WHERE user_id IS NOT NULL AND merged_into IS NULL") == 40
    assert await one(database, "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()") == 0


async def test_repeats_in_opposite_order_do_not_deadlock(database: Database) -> None:
    """Both batches are stopped at the same item. Taken in their own order, each would then hold what the other needs next."""
    items = [track(f"user-{n}") for n in range(60)]
    with suppress(ZeroDivisionError):
        async with database.transaction("demo") as connection:
            await events.accept(connection, "demo", [items[30]], received_at=NOW)
            arriving = [asyncio.create_task(take(database, batch)) for batch in (items, items[::-1])]
            await _until_somebody_waits(database, 2)
            raise ZeroDivisionError
    results = await asyncio.gather(*arriving)
    assert sum(a.verdict == "new" for batch in results for a in batch) == 60
    assert await one(database, "SELECT count(*) FROM events") == 60
    assert await one(database, "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()") == 0


async def test_many_at_once_make_one_person_of_two_ids(database: Database) -> None:
    await asyncio.gather(*(take(database, [anonymous("x"), track("ada"), identify("ada", "x", traits={"n": n})]) for n in range(12)))
    assert await one(database, "SELECT count(*) FROM users WHERE merged_into IS NULL") == 1
    assert await one(database, "SELECT count(DISTINCT user_id) FROM identities") == 1
    assert await one(database, "SELECT count(*) FROM events") == 36


async def test_a_join_that_commits_meanwhile_is_seen_under_the_lock(database: Database) -> None:
    await take(database, [anonymous("x"), track("ada")])
    async with database.transaction("demo") as connection:
        await events.accept(connection, "demo", [identify("ada", "x")], received_at=NOW)
        arriving = asyncio.create_task(take(database, [anonymous("x", "signed_up")]))
        await _until_somebody_waits(database)
    ada = await one(database, "SELECT user_id FROM identities WHERE kind = 'u'")
    assert (await arriving)[0].user == ada


async def test_a_lost_race_is_told_as_contended(database: Database) -> None:
    await take(database, [anonymous("x"), track("ada")])
    async with database.transaction("demo") as connection:
        await events.accept(connection, "demo", [identify("ada", "x")], received_at=NOW)

        async def once() -> None:
            async with database.transaction("demo") as other:
                await events.accept(other, "demo", [anonymous("x")], received_at=NOW)

        arriving = asyncio.create_task(once())
        await _until_somebody_waits(database)
    with pytest.raises(Contended):
        await arriving


# People


async def test_an_anonymous_past_joins_a_known_person(database: Database) -> None:
    await take(database, [anonymous("x", traits={"colour": "red"}, addresses=[Address("email", "x@example.com")])])
    await take(database, [track("ada")])
    await take(database, [identify("ada", "x", traits={"plan": "gold"})])
    assert await attributes(database, "ada") == {"colour": "red", "plan": "gold"}
    assert await addresses(database, "ada") == [("email", "x@example.com", "active")]
    assert await one(database, "SELECT count(*) FROM users WHERE merged_into IS NULL") == 1


async def test_an_anonymous_person_becomes_known_without_a_second_row(database: Database) -> None:
    first = (await take(database, [anonymous("x")]))[0].user
    assert (await take(database, [identify("ada", "x")]))[0].user == first
    assert await ask(database, "SELECT user_id FROM users") == [("ada",)]


async def test_alias_joins_the_past_and_stores_no_event(database: Database) -> None:
    await take(database, [anonymous("x", traits={"colour": "red"})])
    item = alias("x", "ada")
    assert [a.verdict for a in await take(database, [item, item])] == ["new", "duplicate"]
    assert await attributes(database, "ada") == {"colour": "red"}
    assert await one(database, "SELECT count(*) FROM events") == 1


async def test_an_alias_that_comes_before_its_past_joins_it_too(database: Database) -> None:
    await take(database, [alias("x", "ada")])
    await take(database, [anonymous("x", traits={"colour": "red"})])
    assert await attributes(database, "ada") == {"colour": "red"}


async def test_a_server_may_join_two_known_people_and_chains_point_to_the_survivor(database: Database) -> None:
    await take(database, [track("old", traits={"a": 1}), track("new", traits={"b": 2}), track("newest")])
    await take(database, [alias("old", "new")])
    survivor = (await take(database, [alias("new", "newest")]))[0].user
    assert await attributes(database, "old") == await attributes(database, "newest") == {"a": 1, "b": 2}
    assert set(await ask(database, "SELECT merged_into FROM users WHERE merged_into IS NOT NULL")) == {(survivor,)}


async def test_a_browser_joins_no_two_known_people(database: Database) -> None:
    await take(database, [track("eve"), track("ada")])
    assert (await take(database, [alias("eve", "ada", trust="public")]))[0].is_withheld
    assert (await take(database, [alias("eve", "ada", trust="signed")]))[0].is_withheld
    assert await one(database, "SELECT count(*) FROM users WHERE merged_into IS NULL") == 2


async def test_a_shared_device_does_not_join_two_known_people(database: Database) -> None:
    await take(database, [identify("ada", "x"), identify("bob", "x")])
    assert await one(database, "SELECT count(*) FROM users WHERE merged_into IS NULL") == 2


async def test_a_track_with_both_ids_joins_nobody(database: Database) -> None:
    await take(database, [anonymous("x", traits={"colour": "red"})])
    await take(database, [track("ada", anonymous_id="x")])
    assert await attributes(database, "ada") == {}


async def test_traits_are_one_state_in_any_order(database: Database) -> None:
    later, earlier = NOW, NOW - timedelta(minutes=1)
    await take(database, [identify("ada", traits={"plan": None, "city": "Bonn"}, occurred_at=later)])
    await take(database, [identify("ada", traits={"plan": "gold", "city": "Rome", "age": 3}, occurred_at=earlier)])
    assert await attributes(database, "ada") == {"city": "Bonn", "age": 3}


async def test_zone_and_locale_follow_the_same_clock(database: Database) -> None:
    await take(database, [track("ada", timezone="Europe/Rome", locale="it-IT")])
    await take(database, [track("ada", timezone="Asia/Tokyo", occurred_at=NOW - timedelta(days=1))])
    assert await ask(database, "SELECT timezone, locale, attributes FROM users") == [("Europe/Rome", "it-IT", {})]


async def test_any_order_of_arrival_gives_one_person(database: Database) -> None:
    """Everything that four calls say about one person, in all 24 orders."""
    states = set()
    for number, order in enumerate(permutations(range(4))):
        ada, device = f"ada-{number}", f"x-{number}"
        mail, phone = Address("email", "ada@example.com"), Address("sms", "+4915112345678")
        calls = [
            anonymous(device, traits={"plan": "free", "colour": "red"}, addresses=[mail], occurred_at=NOW - timedelta(minutes=3)),
            identify(ada, device, traits={"plan": "gold", "city": "Bonn"}, occurred_at=NOW - timedelta(minutes=2)),
            identify(ada, traits={"city": None, "age": 3}, addresses=[phone], occurred_at=NOW - timedelta(minutes=1)),
            alias(device, ada),
        ]
        for index in order:
            await take(database, [calls[index]])
        states.add(repr((sorted((await attributes(database, ada)).items()), await addresses(database, ada))))
    assert len(states) == 1
    assert await one(database, "SELECT count(*) FROM users WHERE merged_into IS NULL") == 24


# Joining, what belongs to people


async def test_of_two_open_enrollments_the_older_stays_and_the_other_ends_as_merged(database: Database) -> None:
    await publish(database)
    guest, ada = (a.user or 0 for a in await take(database, [anonymous("x"), track("ada")]))
    async with database.transaction() as connection:
        await enroll(connection, guest, at=NOW - timedelta(hours=2))
        await enroll(connection, ada, at=NOW - timedelta(hours=1), n=2)
        await enroll(connection, guest, key="other", n=3)
    await take(database, [identify("ada", "x")])
    rows = await ask(database, "SELECT n, user_id, state, end_reason FROM enrollments ORDER BY n")
    assert rows == [(1, ada, "open", None), (2, ada, "closed", "merged"), (3, ada, "open", None)]
    assert await ask(database, "SELECT kind, user_id FROM outbox") == [("merged", ada)]


async def test_what_the_anonymous_did_is_news_to_the_known_persons_journey(database: Database) -> None:
    await publish(database, listens=["order_placed"])
    guest, ada = (a.user or 0 for a in await take(database, [anonymous("x", "order_placed"), track("ada")]))
    async with database.transaction() as connection:
        await enroll(connection, ada)
    await take(database, [identify("ada", "x")])
    assert await ask(database, "SELECT user_id, kind FROM outbox") == [(ada, "event")]
    assert await one(database, "SELECT user_id FROM events WHERE name = 'order_placed'") == guest


async def test_messages_and_consents_move_with_the_person(database: Database) -> None:
    grant = ConsentRecord("sms", "*", "granted", "test")
    guest, ada = (a.user or 0 for a in await take(database, [anonymous("x", consents=[grant]), track("ada")]))
    await ask(
        database,
        "INSERT INTO messages (id, app, user_id, source, step, visit, target, channel, message_class, state)"
        " VALUES (gen_random_uuid(), 'demo', :guest, 's', 's', 0, 't', 'email', 'marketing', 'sent') RETURNING 1",
        guest=guest,
    )
    await take(database, [identify("ada", "x")])
    assert await ask(database, "SELECT user_id FROM messages") == await ask(database, "SELECT user_id FROM consents") == [(ada,)]


async def test_an_address_of_both_is_one_afterwards(database: Database) -> None:
    mail = [Address("email", "ada@example.com")]
    await take(database, [anonymous("x", addresses=mail), track("ada", addresses=mail)])
    await take(database, [identify("ada", "x")])
    assert await addresses(database, "ada") == [("email", "ada@example.com", "active")]


# Addresses and trust


async def test_a_mailbox_may_belong_to_two_people(database: Database) -> None:
    mail = [Address("email", "family@example.com")]
    await take(database, [track("ada", addresses=mail), track("bob", addresses=mail)])
    assert await addresses(database, "ada") == await addresses(database, "bob") == [("email", "family@example.com", "active")]


async def test_a_device_moves_to_who_confirmed_it_last_in_any_order(database: Database) -> None:
    token = [Address("push", "token-1", {"type": "ios"})]
    await take(database, [track("ada", addresses=token, occurred_at=NOW)])
    await take(database, [track("bob", addresses=token, occurred_at=NOW - timedelta(minutes=1))])
    assert await addresses(database, "ada") == [("push", "token-1", "active")]
    await take(database, [track("bob", addresses=token, occurred_at=NOW + timedelta(minutes=1))])
    assert (await addresses(database, "ada"), await addresses(database, "bob")) == ([], [("push", "token-1", "active")])


async def test_a_browser_sets_no_address_of_a_known_person(database: Database) -> None:
    await take(database, [identify("victim", traits={"email": "victim@example.com"}, addresses=[Address("email", "victim@example.com")])])
    evil: dict[str, Any] = {
        "traits": {"email": "mine@example.com", "phone": "+1", "plan": "gold"},
        "addresses": [Address("email", "mine@example.com")],
    }
    assert (await take(database, [identify("victim", trust="public", **evil)]))[0].is_withheld
    assert await addresses(database, "victim") == [("email", "victim@example.com", "active")]
    assert await attributes(database, "victim") == {"email": "victim@example.com", "plan": "gold"}
    assert await one(database, "SELECT properties FROM events ORDER BY seq DESC LIMIT 1") == {"plan": "gold"}


async def test_a_browser_brings_no_address_through_an_anonymous_id(database: Database) -> None:
    mine: dict[str, Any] = {"traits": {"email": "mine@example.com"}, "addresses": [Address("email", "mine@example.com")]}
    grant = [ConsentRecord("sms", "*", "granted", "test")]
    await take(database, [identify("victim")])
    await take(database, [identify(None, "x", trust="public", consents=grant, **mine)])
    await take(database, [identify("victim", "x", trust="public")])
    await take(database, [identify(None, "x", trust="public", **mine)])
    assert await addresses(database, "victim") == [("email", "mine@example.com", "inactive")]
    assert await attributes(database, "victim") == {}
    victim = await one(database, "SELECT user_id FROM identities WHERE kind = 'u'")
    assert await one(database, "SELECT count(*) FROM consents WHERE user_id = :victim", victim=victim) == 0


async def test_a_browser_brings_no_address_to_a_person_it_names_first(database: Database) -> None:
    mine: dict[str, Any] = {"traits": {"email": "mine@example.com"}, "addresses": [Address("email", "mine@example.com")]}
    await take(database, [identify(None, "x", trust="public", **mine)])
    await take(database, [identify("victim", "x", trust="public")])
    assert await addresses(database, "victim") == [("email", "mine@example.com", "inactive")]
    assert await attributes(database, "victim") == {}


async def test_a_signed_browser_sets_addresses_and_confirms_what_was_inactive(database: Database) -> None:
    mine: dict[str, Any] = {"traits": {"email": "ada@example.com"}, "addresses": [Address("email", "ada@example.com")]}
    await take(database, [identify(None, "x", trust="public", **mine)])
    await take(database, [identify("ada", "x", trust="public")])
    await take(database, [identify("ada", trust="signed", **mine)])
    assert await addresses(database, "ada") == [("email", "ada@example.com", "active")]
    assert await attributes(database, "ada") == {"email": "ada@example.com"}
