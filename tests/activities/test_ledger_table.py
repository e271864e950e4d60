"""One test for each row of the ledger's state table: fail at that point, then look, then go on as a fresh process would."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

import pytest

from activities.breaker import Bounds
from activities.messages import Messages
from activities.unknowns import Sweeper
from channels.render import RenderFailed
from journeys.language.errors import Unavailable
from journeys.language.messages import QuietHours
from storage import messages, unconfirmed
from storage.database import Connection, Database
from tests.activities.provider import Death
from tests.activities.town import Town, enroll, order_of

# Which transaction of a try: the claim, the reading of the template, the settlement.
CLAIMING, SETTLING = 1, 3
ALL_DAY = QuietHours("00:00", "23:59")

T = TypeVar("T")


class DiesAtCommit:
    """A database whose nth transaction does its work and is lost before COMMIT, or commits and never says so."""

    def __init__(self, database: Database, nth: int, *, is_committed: bool) -> None:
        self._database = database
        self._left = nth
        self._is_committed = is_committed

    @asynccontextmanager
    async def transaction(self, app: str | None = None) -> AsyncIterator[Connection]:
        self._left -= 1
        if self._left != 0:
            async with self._database.transaction(app) as connection:
                yield connection
            return
        if self._is_committed:
            async with self._database.transaction(app) as connection:
                yield connection
            raise Death
        async with self._database.transaction(app) as connection:
            yield connection
            raise Death

    async def run(self, work: Callable[[Connection], Awaitable[T]], app: str | None = None) -> T:
        async with self.transaction(app) as connection:
            return await work(connection)


def dying_hands(town: Town, nth: int, *, is_committed: bool) -> Messages:
    database: Any = DiesAtCommit(town.database, nth, is_committed=is_committed)
    return replace(town, database=database).hands()


# - -> planned, claimed: the first transaction is lost, or its COMMIT is not heard of.


async def test_death_before_the_claim_commits_leaves_nothing_and_the_next_try_sends(town: Town) -> None:
    await town.endpoint()
    order = order_of(await enroll(town))
    with pytest.raises(Death):
        await dying_hands(town, CLAIMING, is_committed=False).deliver(order)
    assert await town.rows() == []
    assert (await town.hands().deliver(order)).sent
    assert town.provider.taken == ["ann@example.com"]


async def test_death_after_the_claim_committed_is_busy_then_unconfirmed_and_never_sent_again(town: Town) -> None:
    await town.endpoint()
    order = order_of(await enroll(town))
    with pytest.raises(Death):
        await dying_hands(town, CLAIMING, is_committed=True).deliver(order)
    busy = await town.hands().deliver(order)
    assert (busy.status, busy.reasons) == ("again", ("busy",))
    claim_until = (await town.rows())[0].claim_until
    assert busy.until == claim_until
    await town.age_claims()
    verdict = await town.hands().deliver(order)
    assert (verdict.status, verdict.sent) == ("settled", True)
    assert town.provider.record == []
    assert await town.states() == [("unknown", "unconfirmed")]
    assert await town.listed() == ["unknown"]


async def test_targets_are_fixed_by_the_first_plan_though_the_address_changes(town: Town) -> None:
    town.provider.script[:] = ["not_sent", "ok"]
    await town.endpoint()
    order = order_of(await enroll(town))
    await town.hands().deliver(order)
    await town.endpoint(address="new@example.com", age_s=0)
    await town.hands().deliver(order)
    assert town.provider.taken == ["ann@example.com"]
    assert len(await town.rows()) == 1


async def test_a_skip_without_endpoint_is_a_plan_too(town: Town) -> None:
    order = order_of(await enroll(town))
    first = await town.hands().deliver(order)
    assert (first.status, first.sent, first.reasons) == ("settled", False, ("no_endpoint",))
    await town.endpoint()
    assert await town.hands().deliver(order) == first
    assert [(row.target, row.state) for row in await town.rows()] == [("none", "skipped")]
    assert town.provider.record == []


# planned -> skipped, deferred, planned (held)


async def test_an_opted_out_person_is_skipped(town: Town) -> None:
    await town.endpoint()
    await town.say("withdrawn")
    verdict = await town.hands().deliver(order_of(await enroll(town)))
    assert (verdict.status, verdict.sent, verdict.reasons) == ("settled", False, ("opted_out",))
    assert await town.states() == [("skipped", "opted_out")]


async def test_quiet_hours_defer_and_the_message_goes_out_when_they_end(town: Town) -> None:
    await town.endpoint()
    order = order_of(await enroll(town), quiet_hours=ALL_DAY)
    deferred = await town.hands().deliver(order)
    assert deferred.status == "deferred"
    row = (await town.rows())[0]
    assert (row.state, row.reason, row.deferred_until) == ("deferred", "quiet_hours", deferred.until)
    verdict = await town.hands().deliver(replace(order, quiet_hours=None))
    assert verdict.sent
    assert await town.states() == [("sent", None)]


async def test_a_paused_journey_holds_its_sends(town: Town) -> None:
    await town.endpoint()
    order = order_of(await enroll(town))
    await town.run("UPDATE journeys SET paused_at = now()")
    held = await town.hands().deliver(order)
    assert (held.status, held.reasons) == ("held", ("paused",))
    assert held.until is not None
    assert town.provider.record == []
    await town.run("UPDATE journeys SET paused_at = NULL")
    assert (await town.hands().deliver(order)).sent


async def test_a_paused_app_holds_every_send(town: Town) -> None:
    await town.endpoint()
    await town.run("UPDATE apps SET paused_at = now()")
    assert (await town.hands().deliver(order_of(await enroll(town)))).status == "held"


# claimed -> sent, rejected


async def test_death_before_the_settle_commits_is_unconfirmed_and_the_person_gets_one_message(town: Town) -> None:
    await town.endpoint()
    order = order_of(await enroll(town), closes="completed")
    with pytest.raises(Death):
        await dying_hands(town, SETTLING, is_committed=False).deliver(order)
    assert (await town.hands().deliver(order)).status == "again"
    await town.age_claims()
    assert (await town.hands().deliver(order)).sent
    assert town.provider.taken == ["ann@example.com"]
    assert await town.states() == [("unknown", "unconfirmed")]


async def test_death_after_the_settle_committed_repeats_the_stored_verdict(town: Town) -> None:
    await town.endpoint()
    order = order_of(await enroll(town), closes="completed")
    with pytest.raises(Death):
        await dying_hands(town, SETTLING, is_committed=True).deliver(order)
    verdict = await town.hands().deliver(order)
    assert (verdict.status, verdict.sent) == ("settled", True)
    assert town.provider.taken == ["ann@example.com"]
    closed = await town.run("SELECT state, end_reason FROM enrollments")
    assert [tuple(row) for row in closed] == [("closed", "completed")]


async def test_a_rejected_message_is_final_and_a_dead_address_is_suppressed(town: Town) -> None:
    town.provider.script[:] = ["dead_address"]
    await town.endpoint()
    verdict = await town.hands().deliver(order_of(await enroll(town)))
    assert (verdict.status, verdict.sent, verdict.reasons) == ("settled", False, ("rejected",))
    assert [(row.state, row.answer) for row in await town.rows()] == [("rejected", "550 no such mailbox")]
    after = await town.hands().deliver(order_of(await enroll(town, key="2"), step="next"))
    assert after.reasons == ("suppressed",)
    assert len(town.provider.record) == 1


async def test_a_settle_of_a_former_claim_is_refused(town: Town) -> None:
    await town.endpoint()
    town.provider.script[:] = ["not_sent", "accept_then_die"]
    order = order_of(await enroll(town))
    await town.hands().deliver(order)
    with pytest.raises(Death):
        await town.hands().deliver(order)
    row = (await town.rows())[0]
    assert (row.state, row.claim_epoch) == ("claimed", 2)
    async with town.database.transaction() as connection:
        stale = [messages.Settlement(row.id, 1, "rejected", "rejected")]
        assert await messages.settle(connection, "demo", stale) == frozenset()
    assert (await town.rows())[0].state == "claimed"
    assert await town.listed() == ["claimed"]


# claimed -> planned


async def test_what_was_certainly_not_sent_is_planned_again(town: Town) -> None:
    await town.endpoint()
    town.provider.script[:] = ["throttled", "ok"]
    order = order_of(await enroll(town))
    again = await town.hands().deliver(order)
    row = (await town.rows())[0]
    assert (again.status, again.reasons, row.state) == ("again", ("not_sent",), "planned")
    assert again.until is not None
    assert again.until - row.claimed_at >= timedelta(seconds=7), "the provider's own word on when"
    assert await town.listed() == []
    assert (await town.hands().deliver(order)).sent
    assert (await town.rows())[0].claim_epoch == 2


async def test_nothing_is_sent_once_the_claims_time_for_sending_is_over(town: Town) -> None:
    await town.endpoint()
    town.timing = replace(town.timing, send_s=0.0)
    again = await town.hands().deliver(order_of(await enroll(town)))
    assert again.status == "again"
    assert town.provider.record == []
    assert await town.states() == [("planned", "not_sent")]


async def test_a_message_that_cannot_be_rendered_is_skipped_with_its_reason(town: Town) -> None:
    await town.endpoint()
    town.renderer.fails = RenderFailed("missing_variable:user.name")
    verdict = await town.hands().deliver(order_of(await enroll(town)))
    assert (verdict.status, verdict.sent, verdict.reasons) == ("settled", False, ("missing_variable:user.name",))
    assert await town.states() == [("skipped", "missing_variable:user.name")]
    assert await town.listed() == []


async def test_a_renderer_that_does_not_answer_is_tried_again(town: Town) -> None:
    await town.endpoint()
    town.renderer.fails = Unavailable("no renderer")
    assert (await town.hands().deliver(order_of(await enroll(town)))).status == "again"
    assert await town.states() == [("planned", "not_sent")]


# claimed -> unknown; unknown -> sent, planned once, given_up


@pytest.mark.parametrize("word", ["ambiguous", "accept_then_hang", "bug"])
async def test_an_ambiguous_marketing_message_counts_as_sent_and_is_never_repeated(town: Town, word: str) -> None:
    town.provider.script[:] = [word]
    town.timing = replace(town.timing, send_s=0.3)
    await town.endpoint()
    order = order_of(await enroll(town))
    verdict = await town.hands().deliver(order)
    assert (verdict.status, verdict.sent) == ("settled", True)
    await town.age_unknowns()
    await Sweeper(town.database, town.timing).sweep()
    assert await town.hands().deliver(order) == verdict
    assert len(town.provider.record) == 1
    assert await town.listed() == ["unknown"]


async def test_an_ambiguous_transactional_message_goes_out_once_more_after_two_minutes(town: Town) -> None:
    town.provider.script[:] = ["ambiguous"]
    await town.endpoint()
    order = order_of(await enroll(town), message_class="transactional")
    first = await town.hands().deliver(order)
    row = (await town.rows())[0]
    assert (first.status, first.sent, first.reasons) == ("again", True, ("unconfirmed",))
    assert first.until is not None
    assert first.until >= row.settled_at + timedelta(minutes=2)
    assert (await town.hands().deliver(order)).status == "again"
    assert len(town.provider.record) == 1
    await town.age_unknowns()
    second = await town.hands().deliver(order)
    assert (second.status, second.sent) == ("settled", True)
    await town.age_unknowns()
    assert await town.hands().deliver(order) == second
    assert len(town.provider.record) == 2
    assert (await town.rows())[0].maybe_doubled


async def test_claims_that_nobody_comes_back_to_are_swept_and_given_up_after_72_hours(town: Town) -> None:
    await town.endpoint()
    town.provider.script[:] = ["accept_then_die"]
    with pytest.raises(Death):
        await town.hands().deliver(order_of(await enroll(town)))
    sweeper = Sweeper(town.database, town.timing)
    assert (await sweeper.sweep()).lapsed == 0, "the claim is alive"
    await town.age_claims()
    assert (await sweeper.sweep()).lapsed == 1
    assert await town.states() == [("unknown", "unconfirmed")]
    await town.age_unknowns(timedelta(hours=71))
    assert (await sweeper.sweep()).given_up == 0
    await town.age_unknowns(timedelta(hours=2))
    assert (await sweeper.sweep()).given_up == 1
    assert await town.states() == [("given_up", "unconfirmed")]
    assert await town.listed() == []


async def test_the_provider_tells_that_an_unconfirmed_message_went_out(town: Town) -> None:
    town.provider.script[:] = ["ambiguous"]
    await town.endpoint()
    await town.hands().deliver(order_of(await enroll(town)))
    number = (await town.rows())[0].id
    async with town.database.transaction() as connection:
        assert await unconfirmed.confirm(connection, "demo", number)
        assert not await unconfirmed.confirm(connection, "demo", number)
    assert await town.states() == [("sent", None)]
    assert await town.listed() == []


async def test_an_answer_that_comes_after_the_claim_lapsed_still_confirms_the_message(town: Town) -> None:
    await town.endpoint()
    town.provider.script[:] = ["hang"]
    order = order_of(await enroll(town))
    sending = asyncio.create_task(town.hands().deliver(order))
    await town.provider.called.wait()
    await town.age_claims()
    await Sweeper(town.database, town.timing).sweep()
    assert await town.states() == [("unknown", "unconfirmed")]
    town.provider.released.set()
    assert (await sending).sent
    assert await town.states() == [("sent", None)]
    assert town.provider.taken == ["ann@example.com"]


# abandon, and the breaker


async def test_after_72_hours_a_send_is_abandoned_with_its_reason(town: Town) -> None:
    town.provider.script[:] = ["not_sent"]
    await town.endpoint()
    order = order_of(await enroll(town))
    await town.hands().deliver(order)
    verdict = await town.hands().abandon(order)
    assert (verdict.status, verdict.sent, verdict.reasons) == ("settled", False, ("gave_up",))
    assert await town.hands().deliver(order) == verdict
    assert await town.states() == [("skipped", "gave_up")]


async def test_an_outage_costs_no_unconfirmed_message_beyond_those_in_flight(town: Town) -> None:
    town.provider.script[:] = ["ambiguous"]
    town.bounds = Bounds(failures=3, first_pause_s=3600)
    await town.endpoint()
    hands = town.hands()
    orders = [order_of(await enroll(town, key=str(number))) for number in range(10)]
    verdicts = [await hands.deliver(order) for order in orders]
    assert [verdict.status for verdict in verdicts] == ["settled"] * 3 + ["again"] * 7
    assert await town.states() == [("unknown", "unconfirmed")] * 3 + [("planned", "provider_away")] * 7
    town.provider.script[:] = ["ok"]
    assert all([(await town.hands().deliver(order)).sent for order in orders])
    assert len(town.provider.taken) == 7


async def test_a_person_who_is_cancelled_in_the_middle_of_a_send_is_settled(town: Town) -> None:
    await town.endpoint()
    town.provider.script[:] = ["hang"]
    hands = town.hands()
    sending = asyncio.create_task(hands.deliver(order_of(await enroll(town))))
    await town.provider.called.wait()
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    town.provider.released.set()
    await hands.drain()
    assert await town.states() == [("sent", None)]


async def test_a_slow_provider_is_left_to_answer_and_the_next_try_joins_it(town: Town) -> None:
    """Cutting a send off would leave it unconfirmed; holding the workflow task for it would hold everybody."""
    await town.endpoint()
    town.provider.script[:] = ["hang"]
    town.timing = replace(town.timing, local_s=0.1)
    hands = town.hands()
    order = order_of(await enroll(town))
    first = await hands.deliver(order)
    assert (first.status, first.reasons) == ("again", ("slow_provider",))
    second = asyncio.create_task(hands.deliver(replace(order, may_wait=True)))
    town.provider.released.set()
    assert (await second).sent
    assert len(town.provider.taken) == 1
    assert await town.states() == [("sent", None)]


async def test_an_ended_enrollment_leaves_nothing_planned_behind(town: Town) -> None:
    town.provider.script[:] = ["ok", "not_sent"]
    await town.endpoint()
    order = order_of(await enroll(town))
    await town.hands().deliver(order)
    await town.hands().deliver(replace(order, step="next"))
    async with town.database.transaction() as connection:
        assert await messages.drop_planned(connection, "demo", order.enrollment_id, "exited") == 1
    assert await town.states() == [("sent", None), ("skipped", "exited")]
