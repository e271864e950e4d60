"""Conditions in SQL mean what evaluate.py says, on any user. One database; what a test knows of is rolled back."""

import asyncio
import os
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from journeys.language import did, has, in_segment, sample, sql, trait
from journeys.language.conditions import And, AnyCondition
from journeys.language.errors import OutsideSegment
from journeys.language.evaluate import holds as evaluate
from journeys.language.facts import Facts
from storage.conditions import _question, holds
from storage.database import Connection, Database
from tests.journeys.ada import ADA, FALSE, TRUE
from tests.journeys.strategies import NOW, TOPICS, facts, instants
from tests.journeys.strategies import conditions as any_conditions

EXAMPLES = int(os.environ.get("SOJOURN_EXAMPLES", "300"))

_USER = text(
    "INSERT INTO users (app, user_id, attributes, timezone, merged_into)"
    " VALUES ('demo', :user_id, :attributes, :timezone, :into) RETURNING id"
)
_ANONYMOUS = text(
    "INSERT INTO identities (app, kind, value, user_id, created_at)"
    " VALUES ('demo', 'a', :value, :user_id, now() + make_interval(secs => :later))"
)
_EVENTS = text(
    "INSERT INTO events (app, received_at, user_id, event_id, name, properties, occurred_at)"
    " VALUES (:app, :at, :user_id, :id, :name, :properties, :at)"
)
_ENDPOINTS = text(
    "INSERT INTO endpoints (app, user_id, channel, address, address_hash, state, device, confirmed_at)"
    " VALUES ('demo', :user_id, :channel, :address, :hash, :state, :device, :at)"
)
_MESSAGES = text(
    "INSERT INTO messages (id, app, user_id, source, step, visit, target, channel, message_class, template, state, settled_at,"
    " delivered_at, opened_at, clicked_at) VALUES (:id, 'demo', :user_id, :source, :step, 1, 'none', 'email', 'marketing', :template,"
    " :state, :sent_at, :delivered_at, :opened_at, :clicked_at)"
)
_CONSENTS = text(
    "INSERT INTO consents (app, user_id, channel, topic, state, source) VALUES ('demo', :user_id, :channel, :topic, :state, 'test')"
)


NOBODY: dict[str, Any] = {"user_id": None, "attributes": {}, "timezone": None, "into": None}


class House:
    """A database of its own event loop, so that hypothesis, which knows none, can ask it."""

    def __init__(self, url: str, runner: asyncio.Runner) -> None:
        self.database = Database(url, pool_size=1)
        self.run = runner.run
        self.run(self._prepare())

    async def _prepare(self) -> None:
        async with self.database.transaction() as connection:
            await connection.exec_driver_sql("INSERT INTO apps (id, name) VALUES ('demo', 'Demo'), ('other', 'Other')")

    async def answers(self, known: Facts, asked: list[AnyCondition], at: datetime = NOW) -> list[bool]:
        """Write what is known of somebody, ask all as of a moment, and forget them."""
        async with self.database.engine.connect() as connection:
            user_id = await _written(connection, known)
            answers = [await _ask(connection, condition, user_id, known, at) for condition in asked]
            await connection.rollback()
            return answers


@pytest.fixture(scope="module")
def house(postgres: Any) -> Iterator[House]:
    postgres.create_database("conditions", template="migrated")
    with asyncio.Runner() as runner:
        opened = House(postgres.database_url("conditions"), runner)
        yield opened
        opened.run(opened.database.close())
    postgres.drop_database("conditions")


@settings(max_examples=EXAMPLES)
@given(facts(), st.lists(any_conditions(), min_size=1, max_size=3), st.one_of(st.just(NOW), instants))
def test_sql_and_evaluate_agree(house: House, known: Facts, asked: list[AnyCondition], at: datetime) -> None:
    answers = house.run(house.answers(known, asked, at))
    assert answers == [evaluate(condition, known, at) for condition in asked]


@pytest.mark.parametrize("condition", [*TRUE, *FALSE], ids=str)
def test_sql_gives_the_answers_of_the_examples(house: House, condition: AnyCondition) -> None:
    assert house.run(house.answers(ADA, [condition, ~condition])) == [condition in TRUE, condition in FALSE]


def test_what_others_did_does_not_count(house: House) -> None:
    assert house.run(house.answers(ADA, [did("order_placed", at_most=3), did("order_placed", at_least=4)])) == [True, False]


def test_since_entry_asks_nothing_of_somebody_who_has_not_entered(house: House) -> None:
    asked: list[AnyCondition] = [did("order_placed", since="entry", at_most=9), did("order_placed", at_most=9)]
    assert house.run(house.answers(Facts(events=ADA.events), asked)) == [False, True]


def test_texts_are_ordered_by_code_point_whatever_the_databases_collation_is(house: House) -> None:
    asked: list[AnyCondition] = [trait("a") < "b", trait("a") > "Z", trait("a") > "ä"]
    assert all('COLLATE "C"' in str(_question(each).statement) for each in asked)


def test_a_user_who_does_not_exist_satisfies_nothing(house: House) -> None:
    async def ask() -> bool:
        async with house.database.transaction() as connection:
            return await holds(connection, "demo", ~has("push"), user_id=-1, at=NOW)

    assert house.run(ask()) is False


def test_a_segment_is_read_by_its_definition_and_one_without_has_nobody(house: House) -> None:
    async def ask() -> list[bool]:
        async with house.database.transaction() as connection:
            user_id: int = (await connection.execute(_USER, {**NOBODY, "attributes": {"n": 7}})).scalar_one()
            defined: dict[str, AnyCondition] = {"sevens": trait("n") == 7, "inner": in_segment("sevens"), "loop": in_segment("loop")}
            names = ("sevens", "inner", "loop", "unknown")
            return [await holds(connection, "demo", in_segment(name), user_id=user_id, at=NOW, segments=defined) for name in names]

    assert house.run(ask()) == [True, True, False, False]


def test_who_is_not_known_yet_is_sampled_by_the_first_anonymous_id_and_who_has_none_by_ours(house: House) -> None:
    halves: list[AnyCondition] = [sample(50, salt=str(number)) for number in range(20)]

    async def ask() -> tuple[int, list[list[bool]]]:
        async with house.database.engine.connect() as connection:
            people: list[int] = [(await connection.execute(_USER, NOBODY)).scalar_one() for _ in range(2)]
            await connection.execute(_ANONYMOUS, {"value": "later", "user_id": people[0], "later": 1})
            await connection.execute(_ANONYMOUS, {"value": "zebra", "user_id": people[0], "later": 0})
            answers = [[await holds(connection, "demo", each, user_id=person, at=NOW) for each in halves] for person in people]
            await connection.rollback()
            return people[1], answers

    unnamed, answers = house.run(ask())
    assert answers == [[evaluate(each, Facts(app="demo", subject=name), NOW) for each in halves] for name in ("zebra", str(unnamed))]


def test_sql_of_an_author_is_refused_by_name(house: House) -> None:
    with pytest.raises(OutsideSegment):
        house.run(house.answers(ADA, [~sql("SELECT user_id FROM users")]))


async def _ask(connection: Connection, condition: AnyCondition, user_id: int, known: Facts, at: datetime) -> bool:
    answers = {
        as_of_everybody: await holds(
            connection,
            "demo",
            condition,
            user_id=user_id,
            entry=known.entry,
            captured=known.captured,
            source=known.source,
            at=at,
            segments={name: And([]) for name in known.segments},
            as_of_everybody=as_of_everybody,
        )
        for as_of_everybody in (False, True)
    }
    assert answers[True] == answers[False], "asked of everybody it means something else"
    return answers[False]


async def _written(connection: Connection, known: Facts) -> int:
    """The user with all that belongs to them, some of it under somebody who was found to be them; and others, who do not count."""
    person = {"user_id": known.subject, "attributes": known.attributes, "timezone": known.timezone, "into": None}
    user_id: int = (await connection.execute(_USER, person)).scalar_one()
    merged: int = (await connection.execute(_USER, {"user_id": None, "attributes": {}, "timezone": None, "into": user_id})).scalar_one()
    stranger: int = (await connection.execute(_USER, {**person, "user_id": None})).scalar_one()
    await _write(connection, _EVENTS, _events(known, [user_id, merged]))
    await _write(connection, _EVENTS, [{**row, "user_id": stranger} for row in _events(known, [user_id])])
    await _write(connection, _EVENTS, [{**row, "app": "other"} for row in _events(known, [user_id])])
    await _write(connection, _ENDPOINTS, _endpoints(known, user_id))
    await _write(connection, _MESSAGES, _messages(known, user_id))
    await _write(connection, _CONSENTS, _consents(known, user_id))
    return user_id


async def _write(connection: Connection, statement: Any, rows: list[dict[str, Any]]) -> None:
    if rows:
        await connection.execute(statement, rows)


def _events(known: Facts, people: list[int]) -> list[dict[str, Any]]:
    return [
        {
            "app": "demo",
            "user_id": people[place % len(people)],
            "id": each.id,
            "name": each.name,
            "properties": each.properties,
            "at": each.occurred_at,
        }
        for place, each in enumerate(known.events)
    ]


def _endpoints(known: Facts, user_id: int) -> list[dict[str, Any]]:
    rows = [{"channel": each.channel, "state": "active", "device": each.device, "at": each.confirmed_at} for each in known.endpoints]
    inactive = {"state": "inactive", "device": {"plan": "gold", "n": 7}, "at": NOW + timedelta(days=999)}
    rows += [
        {"channel": "push", **inactive},
        *([] if any(row["channel"] == "voice" for row in rows) else [{"channel": "voice", **inactive}]),
    ]
    return [{**row, "user_id": user_id, "address": str(place), "hash": uuid4().bytes} for place, row in enumerate(rows)]


def _messages(known: Facts, user_id: int) -> list[dict[str, Any]]:
    return [
        {
            "id": uuid4(),
            "user_id": user_id,
            "source": each.source,
            "step": each.step,
            "template": each.template,
            "state": "unknown" if each.sent_at is None else "sent",
            "sent_at": each.sent_at or NOW - timedelta(days=1),
            "delivered_at": each.delivered_at,
            "opened_at": each.opened_at,
            "clicked_at": each.clicked_at,
        }
        for each in known.messages
    ]


def _consents(known: Facts, user_id: int) -> list[dict[str, Any]]:
    said = [("email", topic, "withdrawn") for topic in TOPICS] + [("*", "*", "withdrawn"), ("*", "*", "granted"), ("sms", "*", "withdrawn")]
    said += [("sms", topic, "granted") for topic in TOPICS if topic not in known.unsubscribed_topics]
    return [{"user_id": user_id, "channel": channel, "topic": topic, "state": state} for channel, topic, state in said]
