"""The relay and its crash windows: each test dies, or fails, at one point and looks at what a second relay makes of it."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from temporalio.service import RPCError, RPCStatusCode

from journeys.language import ALWAYS, Journey, Send, Wait, WaitFor, days, email, event, hours, prop, requested
from journeys.language.assign import AppHoldout, in_app_holdout, in_holdout
from journeys.language.facts import EventFact
from storage import enrollments, outbox, people
from storage.outbox import EntryRequest
from tests.workflows.stage import APP, Stage
from workflows.client import Enrollments
from workflows.reconciler import FIRST
from workflows.relay import Relay

WAITING = Journey(
    "waiting",
    starts_on=event("signed_up"),
    exits_on=event("closed"),
    again_after=days(1),
    steps=[WaitFor("seen", event("seen"), within=days(5), then=[Send("hello", email("hello"))])],
)


class Dies(BaseException):
    """The process is killed here."""


class Deadly(Enrollments):
    """A Temporal client in whose process death strikes around one call."""

    def __init__(self, real: Enrollments, *, before: str = "", after: str = "") -> None:
        self._real, self._before, self._after = real, before, after

    async def start(self, start: Any, event: EventFact | None = None) -> None:
        await self._around("start", self._real.start(start, event))

    async def tell(self, workflow_id: str, event: EventFact) -> bool:
        return bool(await self._around("tell", self._real.tell(workflow_id, event)))

    async def _around(self, name: str, call: Any) -> Any:
        if self._before == name:
            call.close()
            raise Dies
        answer = await call
        if self._after == name:
            raise Dies
        return answer


async def killed(scene: Stage, **where: str) -> None:
    """Run one pass of a relay that is killed `before` or `after` its first start or tell; its lease ends."""
    relay = Relay(scene.database, Deadly(scene.temporal, **where), scene.entry, uuid4())
    await scene.execute("UPDATE shards SET owner = NULL, leased_until = NULL")
    with pytest.raises(BaseExceptionGroup):
        await relay.pass_once()
    await scene.execute("UPDATE shards SET owner = NULL, leased_until = NULL")
    scene.relay = Relay(scene.database, scene.temporal, scene.entry, uuid4())


async def begin(scene: Stage, journey: Journey = WAITING) -> None:
    await scene.publish(journey)
    await scene.publish_template("hello")
    await scene.person()


async def outbox_rows(scene: Stage) -> int:
    return int((await scene.execute("SELECT count(*) AS n FROM outbox"))[0].n)


async def starts(scene: Stage) -> int:
    """How many runs there are of any workflow of this test's person."""
    handle = await scene.workflow("waiting")
    history = await handle.fetch_history()
    return sum(1 for each in history.events if each.HasField("workflow_execution_started_event_attributes"))


async def test_a_relay_killed_before_the_start_leaves_a_row_that_the_next_one_starts(scene: Stage) -> None:
    await begin(scene)
    await scene.accept(scene.item("signed_up"))
    await killed(scene, before="start")
    assert await scene.enrollments() == [("starting", None)]
    await scene.relay_all()
    assert await scene.enrollments() == [("open", None)]
    assert await starts(scene) == 1
    assert await outbox_rows(scene) == 0


async def test_a_relay_killed_between_start_and_open_finds_it_running(scene: Stage) -> None:
    await begin(scene)
    await scene.accept(scene.item("signed_up"))
    await killed(scene, after="start")
    assert await scene.enrollments() == [("starting", None)]
    await scene.relay_all()
    assert await scene.enrollments() == [("open", None)]
    assert await starts(scene) == 1


async def test_a_relay_killed_between_signal_and_delete_tells_again_and_it_counts_once(scene: Stage) -> None:
    await begin(scene)
    await scene.track("signed_up")
    await scene.accept(scene.item("seen"))
    await killed(scene, after="tell")
    assert await outbox_rows(scene) == 1
    await scene.relay_all()
    assert await scene.finished(await scene.workflow("waiting")) == "completed"
    assert await scene.sent() == ["hello"]


async def test_a_relay_killed_after_it_closed_the_row_still_ends_the_workflow(scene: Stage) -> None:
    await begin(scene)
    await scene.track("signed_up")
    await scene.accept(scene.item("closed"))
    await killed(scene, before="tell")
    assert await scene.enrollments() == [("closed", "exited: closed")]
    await scene.relay_all()
    assert await scene.finished(await scene.workflow("waiting")) == "exited: closed"


async def test_an_event_that_meets_a_starting_row_starts_it_with_that_event(scene: Stage) -> None:
    await begin(scene)
    await scene.accept(scene.item("signed_up"))
    await killed(scene, before="start")
    await scene.execute("DELETE FROM outbox")
    await scene.track("seen")
    assert await scene.finished(await scene.workflow("waiting")) == "completed"
    assert await scene.sent() == ["hello"]


async def test_events_that_came_before_the_entry_was_relayed_are_handed_over(scene: Stage) -> None:
    await begin(scene)
    now = datetime.now(UTC)
    await scene.accept(scene.item("seen", occurred_at=now), scene.item("signed_up", occurred_at=now - timedelta(seconds=5)))
    await scene.relay_all()
    assert await scene.finished(await scene.workflow("waiting")) == "completed"
    assert await scene.sent() == ["hello"]


async def test_an_event_of_a_late_clock_that_came_before_the_entry_was_relayed_counts(scene: Stage) -> None:
    """Seen in random lives: told after the start it counted, handed over at the start it did not."""
    await begin(scene)
    now = datetime.now(UTC)
    await scene.accept(
        scene.item("seen", occurred_at=now - timedelta(seconds=50)), scene.item("signed_up", occurred_at=now), received_at=now
    )
    await scene.relay_all()
    assert await scene.finished(await scene.workflow("waiting")) == "completed"
    assert await scene.sent() == ["hello"]


async def test_an_event_of_the_minute_before_the_entry_that_had_come_by_then_does_not_count(scene: Stage) -> None:
    await begin(scene)
    now = datetime.now(UTC)
    earlier = now - timedelta(seconds=50)
    await scene.accept(scene.item("seen", occurred_at=earlier), received_at=earlier)
    await scene.accept(scene.item("signed_up", occurred_at=now), received_at=now)
    await scene.relay_all()
    handle = await scene.workflow("waiting")
    await scene.pass_time(handle, timedelta(days=30))
    await scene.finished(handle)
    assert await scene.sent() == []


async def test_many_events_of_one_name_crowd_out_no_other_before_the_start(scene: Stage) -> None:
    await begin(scene, replace(WAITING, exits_on=event("viewed").where(prop("page") == "exit")))
    began = datetime.now(UTC) - timedelta(minutes=30)
    items = [scene.item("viewed", occurred_at=began + timedelta(seconds=n), properties={"page": "shop"}) for n in range(1, 600)]
    await scene.accept(scene.item("signed_up", occurred_at=began), *items, scene.item("seen"))
    await scene.relay_all()
    assert await scene.finished(await scene.workflow("waiting")) == "completed"
    assert await scene.sent() == ["hello"]


async def test_a_workflow_that_is_gone_closes_its_row_and_the_same_event_may_enter_again(scene: Stage) -> None:
    again = Journey("waiting", starts_on=event("signed_up"), again_after=ALWAYS, steps=[Wait("w", days(5), reset_by=event("signed_up"))])
    await begin(scene, again)
    await scene.track("signed_up")
    await (await scene.workflow("waiting")).terminate("by hand")
    await scene.track("signed_up")
    assert await scene.enrollments() == [("closed", "workflow_gone"), ("open", None)]
    assert (await (await scene.workflow("waiting", n=2)).describe()).status is not None


async def test_an_event_that_ends_one_enrollment_and_starts_the_next_ends_first(scene: Stage) -> None:
    moved = Journey(
        "waiting",
        starts_on=event("booked") | event("moved"),
        exits_on=event("moved"),
        key=prop("appointment"),
        again_after=ALWAYS,
        steps=[Wait("before", days(2))],
    )
    await begin(scene, moved)
    await scene.track("booked", properties={"appointment": "a"})
    await scene.track("moved", properties={"appointment": "a"})
    await scene.track("booked", properties={"appointment": "b"})
    assert sorted(await scene.enrollments(), key=str) == [("closed", "exited: moved"), ("open", None), ("open", None)]


async def test_an_entry_event_that_is_relayed_again_after_its_journey_ended_starts_nothing(scene: Stage) -> None:
    at_once = Journey("waiting", starts_on=event("signed_up"), again_after=ALWAYS, steps=[Send("hello", email("hello"))])
    await begin(scene, at_once)
    await scene.accept(scene.item("signed_up"))
    rows = await scene.execute("SELECT * FROM outbox")
    await scene.relay_all()
    await scene.finished(await scene.workflow("waiting"))
    row = rows[0]
    await scene.execute(
        "INSERT INTO outbox (shard, app, user_id, kind, event_received_at, event_seq) VALUES (:s, :a, :u, 'event', :r, :q)",
        s=row.shard, a=row.app, u=row.user_id, r=row.event_received_at, q=row.event_seq,
    )  # fmt: skip
    await scene.relay_all()
    assert len(await scene.enrollments()) == 1
    assert await scene.sent() == ["hello"]


@pytest.mark.parametrize(
    ("fields", "properties", "ago", "reason"),
    [
        ({"key": prop("order")}, {}, timedelta(0), "no_key"),
        ({"late_after": hours(2)}, {}, timedelta(hours=3), "too_late"),
    ],
)
async def test_an_entry_that_starts_nothing_says_why(
    scene: Stage, fields: dict[str, Any], properties: dict[str, Any], ago: timedelta, reason: str
) -> None:
    await begin(scene, Journey("waiting", starts_on=event("signed_up"), steps=[Wait("w", days(1))], **fields))
    await scene.track("signed_up", properties=properties, occurred_at=datetime.now(UTC) - ago)
    assert await scene.execute("SELECT reason FROM refused_entries") == [(reason,)]
    assert await scene.enrollments() == []


async def test_re_entry_follows_again_after(scene: Stage) -> None:
    await begin(scene)
    now = datetime.now(UTC)
    await scene.track("signed_up", occurred_at=now - timedelta(hours=20))
    await scene.track("signed_up", occurred_at=now - timedelta(hours=19))
    await scene.track("closed", occurred_at=now - timedelta(hours=18))
    await scene.track("signed_up", occurred_at=now - timedelta(hours=2))
    await scene.track("signed_up", occurred_at=now + timedelta(hours=6))
    assert await scene.execute("SELECT reason FROM refused_entries ORDER BY refused_at") == [("already_in",), ("not_again_yet",)]
    assert await scene.enrollments() == [("closed", "exited: closed"), ("open", None)]


async def test_the_holdout_enters_gets_nothing_and_starts_no_workflow(scene: Stage) -> None:
    held_out = Journey("waiting", starts_on=event("signed_up"), holdout=50, steps=[Wait("w", days(1))])
    await begin(scene, held_out)
    user = next(f"p{n}" for n in range(100) if in_holdout(held_out, APP, scene.name(f"p{n}")))
    await scene.track("signed_up", user)
    assert await scene.enrollments() == [("closed", "holdout")]
    with pytest.raises(RPCError):
        await (await scene.workflow("waiting", user)).describe()


async def test_who_is_held_out_of_the_app_enters_no_marketing_journey_and_is_told_why(scene: Stage) -> None:
    orders = Journey("orders", starts_on=event("signed_up"), message_class="transactional", steps=[Wait("w", days(1))])
    await begin(scene, WAITING)
    await scene.publish(orders)
    await scene.execute('UPDATE apps SET settings = settings || \'{"holdout": {"percent": 50, "salt": "2027"}}\'')
    holdout = AppHoldout(50, "2027")
    held, other = (
        next(f"p{n}" for n in range(100) if in_app_holdout(holdout, APP, scene.name(f"p{n}")) is wanted) for wanted in (True, False)
    )
    await scene.track("signed_up", held)
    assert await scene.execute("SELECT journey, reason FROM refused_entries") == [("waiting", "app_holdout")]
    assert await scene.execute("SELECT journey FROM enrollments") == [("orders",)]
    await scene.track("signed_up", other)
    assert await scene.execute("SELECT journey FROM enrollments ORDER BY id") == [("orders",), ("orders",), ("waiting",)]


async def test_history_starts_and_tells_nothing(scene: Stage) -> None:
    await begin(scene)
    await scene.accept(scene.item("signed_up"), is_history=True)
    assert await outbox_rows(scene) == 0


async def test_while_temporal_is_away_nothing_is_lost_and_nothing_counts_as_a_failure(
    scene: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    await begin(scene)
    await scene.accept(scene.item("signed_up"))

    async def away(*_: object) -> None:
        raise RPCError("gone", RPCStatusCode.UNAVAILABLE, b"")

    with monkeypatch.context() as patched:
        patched.setattr(scene.temporal, "start", away)
        for _ in range(8):
            assert await scene.relay.pass_once() == (0, True)
    assert await scene.execute("SELECT failures FROM outbox") == [(0,)]
    await scene.relay_all()
    assert await scene.enrollments() == [("open", None)]


async def test_a_poison_row_is_put_aside_after_five_failures_and_later_events_go_on(scene: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    await begin(scene)
    await scene.accept(scene.item("signed_up", properties={"poison": True}))
    await scene.accept(scene.item("signed_up"))
    real = scene.entry.decide

    async def decide(connection: Any, app: str, user_id: int, event: EventFact, *, only: UUID | None) -> Any:
        if event.properties.get("poison"):
            raise OverflowError("poison")
        return await real(connection, app, user_id, event, only=only)

    monkeypatch.setattr(scene.entry, "decide", decide)
    for _ in range(5):
        await scene.relay.pass_once()
    assert await scene.execute("SELECT reason FROM quarantine") == [("OverflowError",)]
    await scene.relay_all()
    assert await scene.enrollments() == [("open", None)]


async def test_two_relays_share_the_shards_and_never_hold_the_same(scene: Stage) -> None:
    first, second = uuid4(), uuid4()
    held: dict[Any, list[int]] = {}
    for _ in range(2):
        for owner in (first, second):
            async with scene.database.transaction() as connection:
                await outbox.announce(connection, owner)
                held[owner] = await outbox.lease(connection, owner, 15)
    async with scene.database.transaction() as connection:
        held[first] = await outbox.lease(connection, first, 15)
        held[second] = await outbox.lease(connection, second, 15)
    assert len(held[first]) == len(held[second]) == 32
    assert not set(held[first]) & set(held[second])


async def test_a_relay_whose_lease_is_gone_deletes_nothing(scene: Stage) -> None:
    await begin(scene)
    await scene.accept(scene.item("signed_up"))
    stale, other = uuid4(), uuid4()
    async with scene.database.transaction() as connection:
        await outbox.announce(connection, stale)
        rows = await outbox.due(connection, await outbox.lease(connection, stale, 15), 10)
    await scene.execute("UPDATE shards SET owner = :other", other=other)
    async with scene.database.transaction() as connection:
        await outbox.delete(connection, stale, rows)
        assert await outbox.count_failure(connection, stale, rows[0]) == 0
    assert await outbox_rows(scene) == 1


async def test_one_persons_events_are_told_in_order(scene: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    await begin(scene, Journey("waiting", starts_on=event("signed_up"), steps=[Wait("w", days(5), reset_by=event("seen"))]))
    await scene.track("signed_up")
    told: list[str] = []
    real = scene.temporal.tell

    async def tell(workflow_id: str, event: EventFact) -> bool:
        told.append(event.id)
        return await real(workflow_id, event)

    monkeypatch.setattr(scene.temporal, "tell", tell)
    items = [scene.item("seen") for _ in range(30)]
    for item in items:
        await scene.accept(item)
    await scene.relay_all()
    assert told == [item.event_id for item in items]


async def test_of_two_people_who_are_one_the_older_enrollment_stays(scene: Stage) -> None:
    await begin(scene)
    await scene.accept(scene.item("signed_up", anonymous_id="browser", user_id=None))
    await scene.relay_all()
    await scene.track("signed_up")
    assert await scene.enrollments() == [("open", None), ("open", None)]
    await scene.accept(scene.item("identified", anonymous_id="browser", joins=True))
    await scene.relay_all()
    assert await scene.enrollments() == [("open", None), ("closed", "merged")]
    assert await scene.finished(await scene.workflow("waiting")) == "merged"


async def test_after_a_join_an_entry_event_finds_the_enrollment_that_stayed(scene: Stage) -> None:
    await begin(scene, replace(WAITING, again_after=ALWAYS))
    await scene.accept(scene.item("signed_up", anonymous_id=scene.name("browser"), user_id=None))
    await scene.relay_all()
    await scene.track("signed_up")
    await scene.track("identified", anonymous_id=scene.name("browser"), joins=True)
    await scene.track("signed_up")
    assert await scene.enrollments() == [("open", None), ("closed", "merged")]
    assert await scene.execute("SELECT reason FROM refused_entries") == [("already_in",)]


async def test_what_a_join_tells_again_starts_no_journey_that_came_later(scene: Stage) -> None:
    await begin(scene)
    await scene.accept(
        scene.item("seen", anonymous_id=scene.name("browser"), user_id=None, occurred_at=datetime.now(UTC) + timedelta(seconds=5))
    )
    await scene.track("signed_up")
    await scene.publish(Journey("later", starts_on=event("seen"), steps=[Wait("w", days(1))]))
    await scene.track("identified", anonymous_id=scene.name("browser"), joins=True)
    assert await scene.finished(await scene.workflow("waiting")) == "completed"
    assert await scene.execute("SELECT journey FROM enrollments") == [("waiting",)]


async def test_closing_is_final(scene: Stage) -> None:
    await begin(scene)
    await scene.track("signed_up")
    async with scene.database.transaction() as connection:
        found = (await enrollments.open_after(connection, FIRST, 0, 10))[0]
        assert await enrollments.close(connection, APP, found.id, "first")
        assert not await enrollments.close(connection, APP, found.id, "second")
        await enrollments.mark_open(connection, APP, [found.id])
    assert await scene.enrollments() == [("closed", "first")]


# Requests to enter: an Enter step, or the API ----------------------------------------------------------------------------------------

BY_HAND = Journey("by-hand", starts_on=requested(), steps=[Send("hello", email("hello")), Wait("long", days(3))])


async def ask(scene: Stage, journey: str = "by-hand", *, request: str = "request 1", properties: Any = None, user: str = "ann") -> None:
    """Write a request as the API does; nobody relays it yet."""
    async with scene.database.transaction() as connection:
        person = await people.internal_id(connection, "demo", scene.name(user))
        await outbox.ask(connection, "demo", person, EntryRequest(journey, request, datetime.now(UTC), properties or {}))


async def refusals(scene: Stage) -> list[tuple[str, str, str]]:
    rows = await scene.execute("SELECT journey, event_id, reason FROM refused_entries ORDER BY refused_at")
    return [(row.journey, row.event_id, row.reason) for row in rows]


async def eventually_sent(scene: Stage, steps: list[str]) -> None:
    for _ in range(100):
        if await scene.sent() == steps:
            return
        await asyncio.sleep(0.05)
    assert await scene.sent() == steps


async def test_a_request_lets_somebody_into_any_journey_with_its_properties(scene: Stage) -> None:
    await begin(scene, BY_HAND)
    await ask(scene, properties={"from": "support"})
    await scene.relay_all()
    row = (await scene.execute("SELECT state, entry_name, entry_event_id, entry_properties FROM enrollments"))[0]
    assert tuple(row) == ("open", "requested", "request 1", {"from": "support"})
    await eventually_sent(scene, ["hello"])


async def test_a_journey_that_an_event_starts_can_be_asked_for_too(scene: Stage) -> None:
    await begin(scene)
    await ask(scene, "waiting")
    await scene.relay_all()
    assert await scene.enrollments() == [("open", None)]


async def test_a_relay_killed_before_it_starts_who_was_asked_for_starts_them_next_time(scene: Stage) -> None:
    await begin(scene, BY_HAND)
    await ask(scene)
    await killed(scene, before="start")
    assert await scene.enrollments() == [("starting", None)]
    await scene.relay_all()
    assert await scene.enrollments() == [("open", None)]
    assert await outbox_rows(scene) == 0


async def test_a_relay_killed_after_it_started_who_was_asked_for_starts_nobody_twice(scene: Stage) -> None:
    await begin(scene, BY_HAND)
    await ask(scene)
    await killed(scene, after="start")
    await scene.relay_all()
    assert await scene.enrollments() == [("open", None)]
    assert await refusals(scene) == []


async def test_the_same_request_twice_is_one_enrollment_and_no_refusal(scene: Stage) -> None:
    await begin(scene, BY_HAND)
    await ask(scene)
    await ask(scene)
    await scene.relay_all()
    assert await scene.enrollments() == [("open", None)]
    assert await refusals(scene) == []


async def test_a_second_request_is_refused_as_an_event_would_be(scene: Stage) -> None:
    await begin(scene, BY_HAND)
    await ask(scene)
    await ask(scene, request="request 2")
    await scene.relay_all()
    assert await refusals(scene) == [("by-hand", "request 2", "already_in")]
    await scene.execute("UPDATE enrollments SET state = 'closed'")
    await ask(scene, request="request 3")
    await scene.relay_all()
    assert (await refusals(scene))[-1] == ("by-hand", "request 3", "not_again")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("UPDATE journeys SET retired_at = now()", "retired"),
        ("UPDATE journeys SET accepts_entries = false", "entries_closed"),
        ("UPDATE journeys SET name = name", None),
    ],
)
async def test_a_journey_that_takes_nobody_takes_no_request_either(scene: Stage, change: str, reason: str | None) -> None:
    await begin(scene, BY_HAND)
    await scene.execute(change)
    await ask(scene)
    await scene.relay_all()
    assert await refusals(scene) == ([("by-hand", "request 1", reason)] if reason else [])
    assert await scene.enrollments() == ([] if reason else [("open", None)])


async def test_a_request_for_no_journey_says_so_and_holds_up_nothing(scene: Stage) -> None:
    await begin(scene)
    await ask(scene, "nowhere")
    await scene.track("signed_up")
    assert await refusals(scene) == [("nowhere", "request 1", "no_such_journey")]
    assert await scene.enrollments() == [("open", None)]


async def test_a_request_without_the_journeys_key_starts_nothing(scene: Stage) -> None:
    keyed = Journey("keyed", starts_on=event("ordered"), key=prop("order_id"), steps=[Wait("long", days(3))])
    await begin(scene, keyed)
    await ask(scene, "keyed")
    await ask(scene, "keyed", request="request 2", properties={"order_id": "A"})
    await scene.relay_all()
    assert await refusals(scene) == [("keyed", "request 1", "no_key")]
    assert [row.key for row in await scene.execute("SELECT key FROM enrollments")] == ["A"]


async def test_who_is_held_out_is_held_out_of_requests_too(scene: Stage) -> None:
    held = Journey("held", starts_on=requested(), holdout=99, steps=[Send("hello", email("hello"))])
    user = next(name for name in (f"p{n}" for n in range(50)) if in_holdout(held, "demo", scene.name(name)))
    await scene.publish(held)
    await scene.person(user)
    await ask(scene, "held", user=user)
    await scene.relay_all()
    assert await scene.enrollments() == [("closed", "holdout")]
