"""Three answers to who is in a segment agree after every change, time passing included: SQL over everybody, the members kept up by the lane
from what changed alone, and the pure reader over what the test itself knows of each person."""

import asyncio
import os
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, ClassVar
from uuid import uuid4

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test
from sqlalchemy import text

from activities.entering import EnteringLane, Pace
from cli.embedded_postgres import EmbeddedPostgres
from journeys.language import Journey, Send, email, event, in_segment
from journeys.language.check_segments import definition_problems
from journeys.language.codec import condition_hash, condition_to_json, content_hash, to_json
from journeys.language.conditions import AnyCondition, InSegment
from journeys.language.evaluate import holds
from journeys.language.facts import EndpointFact, EventFact, Facts, MessageFact
from journeys.language.segments import mentions
from journeys.language.walk import nodes_in
from storage import journeys, segment_people, segments
from storage.database import Connection, Database
from storage.joins import merge
from storage.segment_people import Asked
from storage.users import lock_users
from tests.journeys.strategies import (
    CHANNELS,
    DURATIONS,
    NOW,
    TEMPLATES,
    TOPICS,
    ZONES,
    Known,
    attributes,
    conditions,
    event_facts,
    instants,
    properties,
)

EXAMPLES = max(1, int(os.environ.get("SOJOURN_EXAMPLES", "100")) // 5)
LISTED = "vip"
DYNAMIC = ("lapsed", "second", "third")
OF_A_SEGMENT = conditions(Known(is_entered=False))
LISTENER = Journey("hears-all", starts_on=event("segment_entered"), steps=[Send("hello", email("hello"))])
EVERYTHING = (
    "segment_changes, segment_due, segment_members, segment_watches, segment_follows, listed_people, segment_versions, segments, events,"
    " event_ids, outbox, endpoints, consents, messages, identities, users, journey_versions, journeys"
)


@dataclass
class Person:
    """What the test itself knows of somebody; `addresses` are in the order in which they were confirmed."""

    id: int
    facts: Facts
    endpoints: dict[int, EndpointFact] = field(default_factory=dict)
    messages: dict[Any, MessageFact] = field(default_factory=dict)
    said: dict[str, tuple[int, bool]] = field(default_factory=dict)
    lists: set[str] = field(default_factory=set)


class World:
    """A database with its event loop, a clock of the test's own, and the lane."""

    def __init__(self, url: str, runner: asyncio.Runner) -> None:
        self.database = Database(url, pool_size=2)
        self.runner = runner
        self.now = NOW
        self.lane = EnteringLane(self.database, lambda _: None, Pace(notes=7, people=3), now=self._clock)
        self.do(self._begin)

    async def _begin(self, connection: Connection) -> None:
        await connection.execute(text("INSERT INTO apps (id, name) VALUES ('demo', 'Demo')"))

    async def _clock(self, _: Connection) -> datetime:
        return self.now

    def do(self, work: Callable[[Connection], Coroutine[Any, Any, Any]]) -> Any:
        return self.runner.run(self.database.run(work))

    def execute(self, statement: str, **values: Any) -> list[Any]:
        async def work(connection: Connection) -> list[Any]:
            result = await connection.execute(text(statement), values)
            return list(result.all()) if result.returns_rows else []

        found: list[Any] = self.do(work)
        return found

    def settle(self) -> None:
        async def passes() -> None:
            for _ in range(3):
                while await self.lane.pass_once():
                    continue

        self.runner.run(passes())


class Membership(RuleBasedStateMachine):
    """A few people to whom things happen in any order. Everything is written as plain rows, as by code that knows of no segments."""

    world: ClassVar[World]

    def __init__(self) -> None:
        super().__init__()
        self.people: list[Person] = []
        self.conditions: dict[str, AnyCondition] = {}
        self.world.now = NOW
        self.world.execute(f"TRUNCATE {EVERYTHING} CASCADE")

    # What there is ---------------------------------------------------------------------------------------------------------

    @initialize(
        first=OF_A_SEGMENT, second=OF_A_SEGMENT, third=OF_A_SEGMENT, inner=st.sampled_from(("lapsed", LISTED)), negated=st.booleans()
    )
    def segments_and_people(self, first: Any, second: Any, third: Any, inner: str, negated: bool) -> None:
        named = ~in_segment(inner) if negated else in_segment(inner)
        self._publish("lapsed", first)
        self._publish("second", second & named)
        self._publish("third", third | in_segment("second"))
        self.world.do(lambda connection: segments.make_static(connection, "demo", LISTED))
        self.world.do(self._listen)
        self._comes()
        self.world.settle()
        self._comes()

    async def _listen(self, connection: Connection) -> None:
        await journeys.publish(
            connection, "demo", name=LISTENER.name, definition=to_json(LISTENER).decode(), content_hash=content_hash(LISTENER),
            entry_names=LISTENER.entry_names, listen_names=LISTENER.listen_names,
        )  # fmt: skip

    def _publish(self, name: str, condition: Any) -> None:
        is_circle = name == "lapsed" and any(isinstance(each, InSegment) and each.segment == name for each in nodes_in(condition))
        meant = in_segment(LISTED) if is_circle or definition_problems(name, condition) else condition
        self.conditions[name] = meant
        written = condition_to_json(meant).decode()
        self.world.do(lambda connection: segments.publish(connection, "demo", name, written, condition_hash(meant), mentions(meant)))

    @rule(name=st.sampled_from(DYNAMIC), condition=OF_A_SEGMENT)
    def another_version(self, name: str, condition: Any) -> None:
        self._publish(name, condition if name != "third" else condition & in_segment("second"))

    # What happens to people ------------------------------------------------------------------------------------------------

    @precondition(lambda self: len(self.people) < 5)
    @rule()
    def somebody_comes(self) -> None:
        self._comes()

    def _comes(self) -> None:
        subject = uuid4().hex
        [row] = self.world.execute("INSERT INTO users (app, user_id) VALUES ('demo', :subject) RETURNING id", subject=subject)
        self.people.append(Person(row.id, Facts(app="demo", subject=subject)))

    @rule(data=st.data(), fact=event_facts(), is_history=st.booleans())
    def does_something(self, data: st.DataObject, fact: EventFact, is_history: bool) -> None:
        person = self._somebody(data)
        self.world.execute(
            "INSERT INTO events (app, received_at, user_id, event_id, name, properties, occurred_at, is_history)"
            " VALUES ('demo', :now, :id, :event_id, :name, :properties, :at, :is_history)",
            now=self.world.now, id=person.id, event_id=uuid4().hex, name=fact.name, properties=fact.properties, at=fact.occurred_at,
            is_history=is_history,
        )  # fmt: skip
        person.facts = replace(person.facts, events=(*person.facts.events, fact))

    @rule(data=st.data(), given=attributes)
    def gets_attributes(self, data: st.DataObject, given: dict[str, Any]) -> None:
        person = self._somebody(data)
        self.world.execute("UPDATE users SET attributes = :given WHERE app = 'demo' AND id = :id", given=given, id=person.id)
        person.facts = replace(person.facts, attributes=given)

    @rule(data=st.data(), zone=st.sampled_from(ZONES))
    def moves_to_another_zone(self, data: st.DataObject, zone: str | None) -> None:
        person = self._somebody(data)
        self.world.execute("UPDATE users SET timezone = :zone WHERE app = 'demo' AND id = :id", zone=zone, id=person.id)
        person.facts = replace(person.facts, timezone=zone)

    @rule(data=st.data(), channel=st.sampled_from(CHANNELS), at=instants, device=properties)
    def gets_an_address(self, data: st.DataObject, channel: Any, at: datetime, device: dict[str, Any]) -> None:
        person = self._somebody(data)
        [row] = self.world.execute(
            "INSERT INTO endpoints (app, user_id, channel, address, address_hash, device, confirmed_at)"
            " VALUES ('demo', :id, :channel, 'a', :hash, :device, :at) RETURNING id",
            id=person.id, channel=channel, hash=uuid4().bytes, device=device, at=at,
        )  # fmt: skip
        person.endpoints[row.id] = EndpointFact(channel, at, device)

    @precondition(lambda self: any(person.endpoints for person in self.people))
    @rule(data=st.data(), how=st.sampled_from(("inactive", "gone", "confirmed")))
    def an_address_changes(self, data: st.DataObject, how: str) -> None:
        person = data.draw(st.sampled_from([person for person in self.people if person.endpoints]))
        id_ = data.draw(st.sampled_from(sorted(person.endpoints)))
        statement = {
            "inactive": "UPDATE endpoints SET state = 'inactive' WHERE app = 'demo' AND id = :id",
            "gone": "DELETE FROM endpoints WHERE app = 'demo' AND id = :id",
            "confirmed": "UPDATE endpoints SET confirmed_at = :now WHERE app = 'demo' AND id = :id",
        }[how]
        self.world.execute(statement, id=id_, **({"now": self.world.now} if how == "confirmed" else {}))
        found = person.endpoints.pop(id_)
        if how == "confirmed":
            person.endpoints[id_] = replace(found, confirmed_at=self.world.now)

    @rule(data=st.data(), topic=st.sampled_from(TOPICS), is_granted=st.booleans())
    def says_something_of_a_topic(self, data: st.DataObject, topic: str, is_granted: bool) -> None:
        person = self._somebody(data)
        [row] = self.world.execute(
            "INSERT INTO consents (app, user_id, channel, topic, state, source) VALUES ('demo', :id, 'email', :topic, :state, 'test')"
            " RETURNING id",
            id=person.id, topic=topic, state="granted" if is_granted else "withdrawn",
        )  # fmt: skip
        person.said[topic] = (row.id, is_granted)

    @rule(data=st.data(), template=st.sampled_from(TEMPLATES))
    def a_message_is_planned(self, data: st.DataObject, template: str) -> None:
        person, id_ = self._somebody(data), uuid4()
        self.world.execute(
            "INSERT INTO messages (id, app, user_id, source, step, visit, target, channel, message_class, template, state)"
            " VALUES (:message, 'demo', :id, 's', 'a', 1, :target, 'email', 'marketing', :template, 'claimed')",
            message=id_, id=person.id, template=template, target=uuid4().hex,
        )  # fmt: skip
        person.messages[id_] = MessageFact("s", "a", template)

    @precondition(lambda self: any(person.messages for person in self.people))
    @rule(data=st.data(), what=st.sampled_from(("sent_at", "delivered_at", "opened_at", "clicked_at")), at=instants)
    def a_message_goes_on(self, data: st.DataObject, what: str, at: datetime) -> None:
        person = data.draw(st.sampled_from([person for person in self.people if person.messages]))
        id_ = data.draw(st.sampled_from(list(person.messages)))
        changed = "state = 'sent', settled_at = :at" if what == "sent_at" else f"{what} = :at"
        self.world.execute(f"UPDATE messages SET {changed} WHERE app = 'demo' AND id = :id", id=id_, at=at)
        person.messages[id_] = replace(person.messages[id_], **{what: at})  # type: ignore[arg-type]

    @rule(data=st.data(), is_on=st.booleans())
    def a_list_changes(self, data: st.DataObject, is_on: bool) -> None:
        person = self._somebody(data)
        if is_on:
            statement = "INSERT INTO listed_people (app, segment, user_id) VALUES ('demo', 'vip', :id) ON CONFLICT DO NOTHING"
        else:
            statement = "DELETE FROM listed_people WHERE app = 'demo' AND segment = 'vip' AND user_id = :id"
        self.world.execute(statement, id=person.id)
        person.lists = {LISTED} if is_on else set()

    @precondition(lambda self: len(self.people) > 1)
    @rule(data=st.data())
    def two_turn_out_to_be_one(self, data: st.DataObject) -> None:
        survivor, loser = data.draw(st.permutations(self.people))[:2]

        async def work(connection: Connection) -> None:
            await lock_users(connection, "demo", {survivor.id: True, loser.id: True})
            await merge(connection, "demo", survivor.id, loser.id)

        self.world.do(work)
        self.people.remove(loser)
        survivor.facts = replace(survivor.facts, events=(*survivor.facts.events, *loser.facts.events))
        survivor.endpoints |= loser.endpoints
        survivor.messages |= loser.messages
        for topic, word in loser.said.items():
            survivor.said[topic] = max(word, survivor.said.get(topic, word))
        survivor.lists |= loser.lists

    # Time ------------------------------------------------------------------------------------------------------------------

    @rule(by=st.sampled_from((*(each.timedelta for each in DURATIONS), timedelta(microseconds=1), timedelta(days=17, minutes=7))))
    def time_passes(self, by: timedelta) -> None:
        self.world.now += by

    @rule()
    def time_passes_until_something_is_due(self) -> None:
        [row] = self.world.execute("SELECT min(due_at) AS at FROM segment_due")
        if row.at is not None:
            self.world.now = max(self.world.now, row.at)

    # What must hold --------------------------------------------------------------------------------------------------------

    @invariant()
    def all_three_agree(self) -> None:
        if not self.people:
            return
        self.world.settle()
        names = (*DYNAMIC, LISTED)
        assert {name: self._kept(name) for name in names} == {name: self._read(name) for name in names}
        assert {name: self._kept(name) for name in DYNAMIC} == {name: self._pure(name) for name in DYNAMIC}

    def _kept(self, name: str) -> set[int]:
        return {row.user_id for row in self.world.execute("SELECT user_id FROM segment_members WHERE segment = :name", name=name)}

    def _read(self, name: str) -> set[int]:
        async def work(connection: Connection) -> set[int]:
            meant = await segments.come_to(connection, "demo", in_segment(name))
            asked = Asked("demo", in_segment(name), meant, self.world.now)
            return {person.id for person in await segment_people.page(connection, asked, after=None, most=100)}

        found: set[int] = self.world.do(work)
        return found

    def _pure(self, name: str) -> set[int]:
        return {person.id for person in self.people if name in self._facts(person).segments}

    def _facts(self, person: Person) -> Facts:
        """With the segments that somebody is in: those that are named are read before those that name them."""
        known = replace(
            person.facts,
            endpoints=tuple(each for _, each in sorted(person.endpoints.items())),
            messages=tuple(person.messages.values()),
            unsubscribed_topics=frozenset(topic for topic, (_, is_granted) in person.said.items() if not is_granted),
            segments=frozenset(person.lists),
        )
        for name in DYNAMIC:
            if holds(self.conditions[name], known, self.world.now):
                known = replace(known, segments=known.segments | {name})
        return known

    def _somebody(self, data: st.DataObject) -> Person:
        return data.draw(st.sampled_from(self.people))


def test_sql_kept_members_and_the_pure_reader_agree_after_every_change(postgres: EmbeddedPostgres) -> None:
    postgres.create_database("membership", template="migrated")
    with asyncio.Runner() as runner:
        Membership.world = World(postgres.database_url("membership"), runner)
        how = settings(max_examples=EXAMPLES, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck))
        try:
            run_state_machine_as_test(Membership, settings=how)
        finally:
            runner.run(Membership.world.database.close())
    postgres.drop_database("membership")
