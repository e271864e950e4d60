"""A small random crowd in a journey, written straight into the tables, and a slow independent count of what became of it."""

import random
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text

from journeys.language import Arm, If, Journey, Send, Split, Wait, assign, days, email, event, has, hours, prop, push
from journeys.language.codec import content_hash, to_json
from journeys.language.steps import Step
from storage import ids, journeys
from storage.database import Database

APP = "demo"
NOW = datetime.now(UTC).replace(minute=20, second=0, microsecond=0)
STEPS: list[Step] = [
    Send("hello", email("hello")),
    Wait("think", days(1)),
    Split("offer", arms=[Arm("plain", 30, [Send("plain", email("plain"))]), Arm("rich", 70, [Send("rich", email("rich"))])]),
    If("has_app", has("push"), then=[Send("nudge", push("nudge"))]),
]
GOAL = event("order_placed").where(prop("total") >= 20).within(hours(30))
FIRST = Journey("win", starts_on=event("joined"), goal=GOAL, holdout=20, steps=STEPS)
SECOND = Journey("win", starts_on=event("joined"), goal=GOAL, holdout=20, steps=STEPS[:3])
KEYED = Journey("order", starts_on=event("ordered"), key=prop("id"), goal=event("paid").within(days(2)), steps=STEPS[:1])
WAYS: dict[str, list[dict[str, Any]]] = {
    "send": [
        {"kind": "send", "status": "settled", "sent": True, "reasons": [], "claimed_at": None},
        {"kind": "send", "status": "settled", "sent": False, "reasons": ["no_endpoint"], "claimed_at": None},
        {"kind": "send", "status": "exited", "sent": False, "reasons": ["exited"], "claimed_at": None},
    ],
    "decided": [{"kind": "decided", "branch": 0}, {"kind": "decided", "branch": None}],
}
STATES = [("sent", None), ("unknown", "unconfirmed"), ("rejected", "rejected"), ("skipped", "no_endpoint"), ("given_up", "unconfirmed")]
TOLD = ("delivered_at", "opened_at", "clicked_at", "bounced_at", "complained_at", "unsubscribed_at")


class Crowd:
    """People who come, go on, buy, are joined and leave, by a seed."""

    def __init__(self, database: Database, seed: int) -> None:
        self._database = database
        self._random = random.Random(seed)
        self._people: list[int] = []
        self._inside: list[tuple[UUID, datetime]] = []
        self._number = 0
        self.enters_now = False
        """Otherwise somewhere in the last hours: a crowd that was there before anything was counted."""

    async def run(self, statement: str, **values: Any) -> list[Any]:
        async with self._database.transaction() as connection:
            done = await connection.execute(text(statement), values)
            return list(done.all()) if done.returns_rows else []

    async def publish(self, *published: Journey) -> None:
        async with self._database.transaction() as connection:
            for journey in published:
                await journeys.publish(
                    connection, APP, name=journey.name, definition=to_json(journey).decode(), content_hash=content_hash(journey),
                    entry_names=journey.entry_names, listen_names=journey.signal_names,
                )  # fmt: skip

    async def something_happens(self) -> None:
        """One change of any kind."""
        deeds = [self.enter] * 6 + [self.step] * 12 + [self.buy] * 5 + [self.leave] * 2
        await self._random.choice([*deeds, self.told, self.resolve, self.join, self.move, self.refuse])()

    async def enter(self) -> None:
        chance = self._random
        number = self._next()
        rows = await self.run("INSERT INTO users (app, user_id) VALUES ('demo', :name) RETURNING id", name=f"user-{number}")
        person = rows[0].id if chance.random() < 0.9 or not self._people else chance.choice(self._people)
        self._people.append(person)
        journey = chance.choice([FIRST, FIRST, KEYED])
        started = datetime.now(UTC) if self.enters_now else NOW - timedelta(minutes=chance.randrange(30, 300))
        subject, entry = f"user-{number}", f"entry-{number}"
        held = assign.in_holdout(journey, APP, subject)
        enrollment = ids.enrollment_id(started, APP, journey.name, entry)
        await self.run(
            "INSERT INTO enrollments (app, id, user_id, subject, journey, version, key, n, workflow_id, entry_event_id, entry_name,"
            " entry_properties, entered_at, started_at, state, ended_at, end_reason)"
            " VALUES ('demo', :id, :person, :subject, :journey, 1, :key, 1, :entry, :entry, 'joined',"
            " CAST(:properties AS jsonb), :entered, :started, :state, :ended, :reason)",
            id=enrollment, person=person, subject=subject, journey=journey.name, key=str(number), entry=entry,
            properties={"id": number % 3}, entered=started - timedelta(minutes=2), started=started,
            state="closed" if held else "open", ended=None, reason="holdout" if held else None,
        )  # fmt: skip
        if not held:
            self._inside.append((enrollment, started))

    async def step(self) -> None:
        if not self._inside:
            return
        chance = self._random
        enrollment, started = chance.choice(self._inside)
        step = chance.choice(["hello", "plain", "rich", "nudge", "has_app", "$exit:hello"])
        verdict = chance.choice(WAYS["decided" if step in ("has_app", "$exit:hello") else "send"])
        visit = chance.choice([1, 1, 1, 2])
        is_final = chance.random() < 0.8
        if is_final or step == "has_app":
            await self.run(
                "INSERT INTO step_outcomes (app, enrollment_id, step, visit, verdict) VALUES ('demo', :id, :step, :visit,"
                " CAST(:verdict AS jsonb)) ON CONFLICT DO NOTHING", id=enrollment, step=step, visit=visit, verdict=verdict,
            )  # fmt: skip
        if verdict["kind"] == "send":
            for target in range(chance.choice([1, 1, 2])):
                state, reason = chance.choice([*STATES, ("planned", None), ("deferred", "quiet_hours")])
                await self._message(enrollment, started, step, visit, str(target), state, reason)

    async def _message(self, enrollment: UUID, started: datetime, step: str, visit: int, target: str, state: str, reason: Any) -> None:
        number = ids.message_id(started, APP, str(enrollment), step, visit, target)
        made = await self.run(
            "INSERT INTO messages (id, app, user_id, source, step, visit, target, journey, channel, message_class, state, reason)"
            " VALUES (:id, 'demo', 1, :source, :step, :visit, :target, 'win', 'email', 'marketing', :state, :reason)"
            " ON CONFLICT DO NOTHING RETURNING id",
            id=number, source=str(enrollment), step=step, visit=visit, target=target, state=state, reason=reason,
        )  # fmt: skip
        if made and state == "unknown":
            await self.run("INSERT INTO open_messages (app, message_id, kind, due_at) VALUES ('demo', :id, 'unknown', now())", id=number)

    async def buy(self) -> None:
        if not self._people:
            return
        chance = self._random
        number = self._next()
        occurred = NOW - timedelta(minutes=chance.randrange(-1700, 310))
        await self.run(
            "INSERT INTO events (app, received_at, user_id, event_id, name, properties, occurred_at, is_history)"
            " VALUES ('demo', clock_timestamp(), :person, :id, :name, CAST(:properties AS jsonb), :occurred, :history)",
            person=chance.choice(self._people), id=f"event-{number}", name=chance.choice(["order_placed", "paid", "seen"]),
            properties={"total": chance.choice([10, 30]), "id": number % 3}, occurred=occurred, history=chance.random() < 0.3,
        )  # fmt: skip

    async def buy_for_everybody(self) -> None:
        await self.run(
            "INSERT INTO events (app, received_at, user_id, event_id, name, properties, occurred_at)"
            " SELECT 'demo', clock_timestamp(), id, 'all-' || id, 'order_placed', jsonb_build_object('total', 99), :occurred FROM users",
            occurred=NOW,
        )

    async def leave(self) -> None:
        if self._inside:
            enrollment, _ = self._inside.pop(self._random.randrange(len(self._inside)))
            reason = self._random.choice(["completed", "exited: order_placed"])
            closing = "UPDATE enrollments SET state = 'closed', ended_at = clock_timestamp(), end_reason = :reason WHERE id = :id"
            await self.run(closing, id=enrollment, reason=reason)
            await self.run(
                "UPDATE messages SET state = 'skipped', reason = 'exited' WHERE source = :id AND state IN ('planned', 'deferred')",
                id=str(enrollment),
            )

    async def told(self) -> None:
        sent = self._any("state = 'sent'")
        await self.run(f"UPDATE messages SET {self._random.choice(TOLD)} = now() WHERE id = {sent}")

    async def resolve(self) -> None:
        rows = await self.run(
            "UPDATE messages SET state = 'given_up' WHERE id = " + self._any("state = 'unknown'") + " RETURNING id",
        )
        await self.run("DELETE FROM open_messages WHERE message_id = ANY(:ids)", ids=[row.id for row in rows])

    def _any(self, condition: str) -> str:
        place = self._random.randrange(20)
        return f"(SELECT id FROM messages WHERE {condition} ORDER BY id OFFSET {place} LIMIT 1)"

    async def join(self) -> None:
        if len(self._people) > 3:
            survivor, loser = self._random.sample(sorted(set(self._people)), 2)
            self._people = [survivor if person == loser else person for person in self._people]
            await self.run(
                "UPDATE enrollments SET user_id = :survivor, key = key || 'j' WHERE user_id = :loser", survivor=survivor, loser=loser
            )
            joining = "UPDATE users SET merged_into = :survivor WHERE id = :loser OR merged_into = :loser"
            await self.run(joining, survivor=survivor, loser=loser)

    async def move(self) -> None:
        if self._inside:
            await self.run("UPDATE enrollments SET version = 2 WHERE id = :id AND journey = 'win'", id=self._random.choice(self._inside)[0])

    async def refuse(self) -> None:
        await self.run(
            "INSERT INTO refused_entries (app, journey, event_id, user_id, reason) VALUES ('demo', 'win', :id, 1, :reason)",
            id=f"refused-{self._next()}", reason=self._random.choice(["already_in", "not_again"]),
        )  # fmt: skip

    def _next(self) -> int:
        self._number += 1
        return self._number


async def slow_count(crowd: Crowd, published: Sequence[Journey]) -> dict[tuple[Any, ...], int]:
    """The same numbers as report_counts, each person looked at by itself: (journey, hour, version, split, arm, what, step, detail) -> n."""
    live = {journey.name: journey for journey in published}
    people = await crowd.run("SELECT e.* FROM enrollments e")
    outcomes = await crowd.run("SELECT * FROM step_outcomes ORDER BY began_at, visit")
    messages = await crowd.run("SELECT * FROM messages")
    events = await crowd.run(
        "SELECT coalesce(u.merged_into, u.id) AS person, ev.* FROM events ev JOIN users u ON u.id = ev.user_id"
        " ORDER BY ev.occurred_at, ev.seq"
    )
    counted: Counter[tuple[Any, ...]] = Counter()
    for refused in await crowd.run("SELECT * FROM refused_entries"):
        counted[refused.journey, _hour(refused.refused_at), 0, "", "", "refused", "", refused.reason] += 1
    for one in people:
        mine = [outcome for outcome in outcomes if outcome.enrollment_id == one.id and not outcome.step.startswith("$")]
        sent = [message for message in messages if message.source == str(one.id)]
        did = [each for each in events if each.person == one.user_id]
        facts = _facts(one, mine, sent, _has_converted(live[one.journey], one, did))
        for split, arm in _arms(one):
            for (what, step, detail), n in facts.items():
                counted[one.journey, _hour(one.started_at), one.version, split, arm, what, step, detail] += n
    return dict(counted)


def _facts(one: Any, outcomes: Sequence[Any], messages: Sequence[Any], has_converted: bool) -> Counter[tuple[str, str, str]]:
    is_held = one.end_reason == "holdout"
    facts: Counter[tuple[str, str, str]] = Counter({("held_out" if is_held else "entered", "", ""): 1})
    if has_converted:
        facts["held_out_converted" if is_held else "converted", "", ""] = 1
    if one.state == "closed" and not is_held:
        facts["ended", "", one.end_reason] = 1
    if one.state != "closed":
        last = outcomes[-1] if outcomes else None
        facts["inside", last.step if last else "", _way(last.verdict) if last else ""] = 1
    for outcome in outcomes:
        facts["came", outcome.step, ""] = 1
        facts["went", outcome.step, _way(outcome.verdict)] = 1
    settled = {(outcome.step, outcome.visit) for outcome in outcomes}
    for message in messages:
        if message.state in ("planned", "deferred") or not (one.state == "closed" or (message.step, message.visit) in settled):
            continue
        why = f":{message.reason}" if message.state in ("skipped", "given_up") else ""
        facts["message", message.step, message.state + why] += 1
        for told in TOLD:
            if getattr(message, told):
                facts[told.removesuffix("_at"), message.step, ""] += 1
    return facts


def _way(verdict: dict[str, Any]) -> str:
    if verdict["kind"] == "decided":
        return "otherwise" if verdict["branch"] is None else str(verdict["branch"])
    return {True: "sent", False: "not_sent"}[verdict["sent"]] if verdict["status"] == "settled" else str(verdict["status"])


def _has_converted(journey: Journey, one: Any, events: Sequence[Any]) -> bool:
    goal = journey.goal
    assert goal is not None
    until = one.entered_at + goal.within.timedelta
    for each in events:
        if each.name in goal.events.names and one.entered_at <= each.occurred_at <= until:
            if journey.name == "win" and each.properties["total"] >= 20:
                return True
            if journey.name == "order" and each.properties["id"] == one.entry_properties["id"]:
                return True
    return False


def _arms(one: Any) -> list[tuple[str, str]]:
    if one.journey != "win" or one.end_reason == "holdout":
        return [("", "")]
    split = STEPS[2]
    assert isinstance(split, Split)
    return [("", ""), ("offer", assign.arm(split, APP, "win", one.subject).name)]


def _hour(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)
