"""Stored segments: what a condition comes to through their names, and the lists of people."""

from datetime import UTC, datetime

from sqlalchemy import text

from journeys.language import has, in_segment, trait
from journeys.language.codec import condition_hash, condition_to_json
from journeys.language.conditions import AnyCondition
from journeys.language.segments import mentions
from storage import segments
from storage.conditions import holds
from storage.database import Connection, Database
from storage.joins import merge

NOW = datetime(2026, 11, 1, tzinfo=UTC)
_PERSON = text("INSERT INTO users (app, user_id, attributes) VALUES ('demo', :user_id, :attributes) RETURNING id")
_IDENTITY = text("INSERT INTO identities (app, kind, value, user_id) VALUES ('demo', 'u', :user_id, :id)")


async def person(connection: Connection, user_id: str, **attributes: object) -> int:
    found: int = (await connection.execute(_PERSON, {"user_id": user_id, "attributes": attributes})).scalar_one()
    await connection.execute(_IDENTITY, {"user_id": user_id, "id": found})
    return found


async def publish(connection: Connection, name: str, condition: AnyCondition) -> int:
    written = condition_to_json(condition).decode()
    return await segments.publish(connection, "demo", name, written, condition_hash(condition), mentions(condition))


async def is_in(connection: Connection, name: str, user_id: int) -> bool:
    return await holds(connection, "demo", in_segment(name), user_id=user_id, at=NOW)


async def test_a_condition_asks_what_is_live_of_a_segment_through_others_too(database: Database) -> None:
    async with database.transaction() as connection:
        ann = await person(connection, "ann", plan="gold")
        assert not await is_in(connection, "outer", ann)
        await publish(connection, "inner", trait("plan") == "gold")
        await publish(connection, "outer", in_segment("inner") & ~has("push"))
        assert await is_in(connection, "outer", ann)
        await publish(connection, "inner", trait("plan") == "free")
        assert not await is_in(connection, "outer", ann)


async def test_the_same_content_is_the_same_version_and_older_content_its_old_one(database: Database) -> None:
    async with database.transaction() as connection:
        numbers = [await publish(connection, "vips", trait("plan") == plan) for plan in ("gold", "gold", "free", "gold")]
        assert numbers == [1, 1, 2, 1]
        assert [each.version for each in await segments.versions(connection, "demo", "vips")] == [2, 1]
        found = await segments.get(connection, "demo", "vips")
    assert found is not None
    assert (found.version, found.mentions) == (1, mentions(trait("plan") == "gold"))


async def test_a_list_holds_who_was_put_on_it_once_and_follows_people_who_are_joined(database: Database) -> None:
    async with database.transaction() as connection:
        ann, bob = await person(connection, "ann"), await person(connection, "bob")
        await segments.make_static(connection, "demo", "friends")
        assert await segments.put_on_list(connection, "demo", "friends", ["ann", "ann", "nobody"]) == 1
        assert await segments.put_on_list(connection, "demo", "friends", ["ann"]) == 0
        assert (await is_in(connection, "friends", ann), await is_in(connection, "friends", bob)) == (True, False)
        await merge(connection, "demo", survivor=bob, loser=ann)
        assert await is_in(connection, "friends", bob)
        assert await segments.take_off_list(connection, "demo", "friends", ["ann"]) == 1
        assert not await is_in(connection, "friends", bob)


async def test_segments_of_another_app_are_nobodys_here(database: Database) -> None:
    async with database.transaction() as connection:
        await connection.exec_driver_sql("INSERT INTO apps (id, name) VALUES ('other', 'Other')")
        ann = await person(connection, "ann")
        condition = ~has("push")
        await segments.publish(connection, "other", "all", condition_to_json(condition).decode(), "h", mentions(condition))
        assert not await is_in(connection, "all", ann)
