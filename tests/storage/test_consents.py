"""Consent is a record: nothing in it changes, the newest word holds, and it is said under the person's lock."""

import asyncio

import pytest

from journeys.language.errors import NotFound
from storage import consents
from storage.consents import ConsentRecord
from storage.database import Database
from storage.standing import lock_person
from tests.activities.town import APP, build


async def test_the_newest_word_on_a_topic_holds_and_the_record_keeps_all(database: Database) -> None:
    town = await build(database)
    await town.say("granted", topic="news")
    await town.say("withdrawn", topic="news")
    await town.say("granted", channel="sms")
    async with database.transaction(APP) as connection:
        said = await consents.in_force(connection, APP, town.user_id)
        assert {(each.channel, each.topic, each.state) for each in said} == {("email", "news", "withdrawn"), ("sms", "*", "granted")}
        assert [each.state for each in await consents.history(connection, APP, town.user_id)] == ["granted", "withdrawn", "granted"]


async def test_consent_of_nobody_is_refused(database: Database) -> None:
    await build(database)
    async with database.transaction(APP) as connection:
        with pytest.raises(NotFound):
            await consents.record(connection, APP, 10**9, ConsentRecord("email", "*", "granted", "test"))


async def test_a_withdrawal_waits_for_a_claim_that_holds_the_person(database: Database) -> None:
    town = await build(database)
    async with database.transaction() as claim:
        await lock_person(claim, APP, town.user_id)
        leaving = asyncio.create_task(town.say("withdrawn"))
        done, _ = await asyncio.wait([leaving], timeout=0.3)
        assert not done
    await leaving


async def test_what_is_said_of_a_person_found_to_be_another_is_said_of_the_survivor(database: Database) -> None:
    town = await build(database)
    survivor = (await town.run("INSERT INTO users (app, user_id) VALUES ('demo', 'bea') RETURNING id"))[0].id
    await town.run("UPDATE users SET merged_into = :survivor WHERE id = :id", survivor=survivor, id=town.user_id)
    await town.say("withdrawn")
    async with database.transaction(APP) as connection:
        assert len(await consents.in_force(connection, APP, survivor)) == 1
