"""Several accounts of one channel: who sends when the first cannot, and when nobody may."""

import asyncio
import itertools
from dataclasses import replace
from datetime import timedelta

import pytest

from activities.breaker import Bounds
from activities.direct import DirectLane, Lanes
from activities.unknowns import Sweeper
from tests.activities.several import Several
from tests.activities.town import APP, Town, enroll, order_of

QUICK = Bounds(failures=3, first_pause_s=60, longest_pause_s=60)


async def test_what_the_first_certainly_did_not_send_goes_through_the_next_in_the_same_try(town: Town) -> None:
    several = Several(town)
    first, second = several.account("first", "not_sent"), several.account("second", place=2)
    await several.ask()
    await several.lane().pass_once()
    assert (len(first.record), len(second.record)) == (1, 1)
    assert await several.accounts_of() == [("sent", "second-provider", "second")]
    assert [row.claim_epoch for row in await town.rows()] == [1]


async def test_what_may_have_gone_out_never_goes_through_another_account(town: Town) -> None:
    several = Several(town)
    first, second = several.account("first", "ambiguous"), several.account("second", place=2)
    await several.ask()
    await several.lane().pass_once()
    assert await several.accounts_of() == [("unknown", "first-provider", "first")]
    await town.age_unknowns()
    await Sweeper(town.database, town.timing).sweep()
    await several.lane().pass_once()
    assert (len(first.record), len(second.record)) == (2, 0)
    assert [(row.state, row.account, row.maybe_doubled) for row in await town.rows()] == [("unknown", "first", True)]


async def test_the_repeat_of_what_the_second_may_have_sent_goes_through_the_second(town: Town) -> None:
    several = Several(town)
    first, second = several.account("first", "not_sent", "ok"), several.account("second", "ambiguous", "not_sent", "ok", place=2)
    await several.ask()
    for _ in range(3):
        await several.lane().pass_once()
        await town.age_unknowns()
        await Sweeper(town.database, town.timing).sweep()
        await several.make_due()
    assert (len(first.record), len(second.record)) == (1, 3)
    assert await several.accounts_of() == [("sent", "second-provider", "second")]


@pytest.mark.parametrize("message_class", ["transactional", "marketing"])
async def test_what_a_deleted_account_may_have_sent_goes_through_no_other_and_stays_unconfirmed(town: Town, message_class: str) -> None:
    several = Several(town)
    several.account("first", "ambiguous")
    second = several.account("second", place=2)
    await several.ask(message_class=message_class)
    await several.lane().pass_once()
    several.opened = several.opened[1:]
    for _ in range(2):
        await town.age_unknowns()
        await Sweeper(town.database, town.timing).sweep()
        await several.make_due()
        await several.lane().pass_once()
    assert second.record == []
    assert await several.accounts_of() == [("unknown", "first-provider", "first")]
    await town.age_unknowns(timedelta(hours=73))
    await Sweeper(town.database, town.timing).sweep()
    assert (second.record, await town.states(), await town.listed()) == ([], [("given_up", "unconfirmed")], [])


async def test_what_the_only_account_may_have_sent_does_not_go_through_the_installations_provider_when_that_is_deleted(town: Town) -> None:
    several = Several(town)
    several.account("only", "ambiguous")
    await several.ask()
    await several.lane().pass_once()
    several.opened = []
    await town.age_unknowns()
    assert (await Sweeper(town.database, town.timing).sweep()).planned_again == 1
    await several.lane().pass_once()
    assert town.provider.record == []
    assert [(row.state, row.account, row.maybe_doubled) for row in await town.rows()] == [("unknown", "only", True)]


async def test_a_worker_that_dies_while_the_second_sends_leaves_word_of_it(town: Town) -> None:
    """The account is written down before the message goes there: the claim that lapses says where it may have gone."""
    several = Several(town)
    several.account("first", "not_sent", "ok")
    second = several.account("second", "accept_then_hang", "ok", place=2)
    await several.ask()
    dying = asyncio.create_task(several.lane().pass_once())
    await asyncio.wait_for(second.called.wait(), 5)
    await town.age_claims()
    await Sweeper(town.database, town.timing).sweep()
    await town.age_unknowns()
    await Sweeper(town.database, town.timing).sweep()
    await several.lane().pass_once()
    assert [line.told for line in second.record] == ["accept_then_hang", "ok"]
    assert [(row.state, row.account, row.maybe_doubled) for row in await town.rows()] == [("sent", "second", True)]
    dying.cancel()
    await asyncio.wait([dying], timeout=0)


async def test_a_refusal_is_the_messages_own_fault_and_tries_nobody_else(town: Town) -> None:
    several = Several(town)
    several.account("first", "rejected")
    second = several.account("second", place=2)
    await several.ask()
    await several.lane().pass_once()
    assert await several.accounts_of() == [("rejected", "first-provider", "first")]
    assert second.record == []


async def test_an_open_breaker_spares_the_first_and_refusals_of_addresses_do_not_open_it(town: Town) -> None:
    several = Several(town, QUICK)
    first, second = several.account("first", *["rejected"] * 5, "not_sent"), several.account("second", place=2)
    lane = several.lane()
    for number in range(15):
        await several.ask(number)
        await lane.pass_once()
    assert [line.told for line in first.record] == ["rejected"] * 5 + ["not_sent"] * 3
    assert len(second.record) == 10


async def test_a_worker_that_is_too_slow_itself_does_not_take_the_provider_to_be_away(town: Town) -> None:
    town.timing = replace(town.timing, send_s=0.0)
    several = Several(town, replace(QUICK, failures=1))
    provider = several.account("only")
    await several.ask()
    delivery = several.delivery()
    await DirectLane(town.database, delivery, asyncio.Event()).pass_once()
    assert provider.record == []
    assert [(row.state, row.reason) for row in await town.rows()] == [("planned", "not_sent")]
    assert (await delivery.way(APP, "email")).wait("transactional") is None


async def test_when_every_account_is_away_rows_stay_planned_and_nothing_is_claimed(town: Town) -> None:
    several = Several(town, replace(QUICK, failures=1))
    providers = several.account("first", "not_sent"), several.account("second", "not_sent", place=2)
    lane = several.lane()
    await several.ask(1)
    await lane.pass_once()
    await several.ask(2)
    await lane.pass_once()
    assert [len(each.record) for each in providers] == [1, 1]
    assert sorted((row.state, row.claim_epoch) for row in await town.rows()) == [("planned", 0), ("planned", 1)]


async def test_a_message_that_no_account_serves_waits_and_never_takes_the_installations_provider(town: Town) -> None:
    several = Several(town)
    several.account("news", classes=("marketing",))
    await several.ask()
    await several.lane().pass_once()
    assert await several.accounts_of() == [("planned", None, None)]
    assert town.provider.record == []


async def test_a_journey_reads_why_no_account_serves_its_message(town: Town) -> None:
    several = Several(town)
    several.account("news", classes=("marketing",))
    await town.endpoint()
    order = order_of(await enroll(town), message_class="transactional")
    verdict = await several.hands().deliver(order)
    assert (verdict.status, verdict.reasons) == ("again", ("no_account",))
    several.account("orders")
    assert (await several.hands().deliver(order)).sent


async def test_a_journey_that_names_a_provider_goes_through_it_or_waits(town: Town) -> None:
    several = Several(town)
    first, second = several.account("first"), several.account("second", "not_sent", place=2)
    await town.endpoint()
    number = await enroll(town)
    waits = await several.hands().deliver(order_of(number, provider="second"))
    assert waits.status == "again"
    assert (len(first.record), len(second.record)) == (0, 1)
    assert (await several.hands().deliver(order_of(number, step="other", provider="first-provider"))).sent


async def test_the_country_of_the_number_chooses_the_account(town: Town) -> None:
    several = Several(town)
    german = several.account("german", channel="sms", countries=("DE",))
    world = several.account("world", channel="sms", place=2)
    await town.say("granted", channel="sms")
    await town.endpoint("sms", "+4915112345678", age_s=60)
    await several.hands().deliver(order_of(await enroll(town), channel="sms"))
    await town.endpoint("sms", "+33612345678", age_s=1)
    await several.hands().deliver(order_of(await enroll(town, key="2"), channel="sms", step="two"))
    assert (german.taken, world.taken) == (["+4915112345678"], ["+33612345678"])


async def test_a_number_of_no_country_takes_no_account_of_the_country_that_its_owner_names(town: Town) -> None:
    several = Several(town)
    german, world = several.account("german", channel="sms", countries=("DE",)), several.account("world", channel="sms", place=2)
    await town.run("UPDATE users SET attributes = attributes || CAST(:more AS jsonb)", more={"country": "DE"})
    await town.say("granted", channel="sms")
    await town.endpoint("sms", "+870773111632")
    await several.hands().deliver(order_of(await enroll(town), channel="sms"))
    assert (german.taken, world.taken) == ([], ["+870773111632"])


@pytest.mark.parametrize("attributes", [{"country": "at"}, {"location": {"country": "AT"}}])
async def test_the_country_of_the_person_chooses_the_account_of_a_mail(town: Town, attributes: dict[str, object]) -> None:
    several = Several(town)
    austrian, world = several.account("austrian", countries=("AT",)), several.account("world", place=2)
    await town.run("UPDATE users SET attributes = attributes || CAST(:more AS jsonb)", more=attributes)
    await town.endpoint()
    await several.hands().deliver(order_of(await enroll(town)))
    assert (len(austrian.record), len(world.record)) == (1, 0)


async def test_a_worker_that_starts_in_an_outage_asks_nobody_until_the_probe_is_due(town: Town) -> None:
    several = Several(town, QUICK)
    provider = several.account("only", "not_sent")
    lane = several.lane()
    for number in range(6):
        await several.ask(number)
        await lane.pass_once()
    assert len(provider.record) == 3
    fresh = several.lane()
    await several.make_due()
    await fresh.pass_once()
    assert len(provider.record) == 3, "another worker has found it away"
    [state] = await town.run("SELECT * FROM account_states")
    assert (state.account, state.trouble) == ("only", "refused the connection")


async def test_one_worker_of_many_makes_the_probe_and_tells_the_others(town: Town) -> None:
    several = Several(town, replace(QUICK, failures=1))
    provider = several.account("only", "not_sent", "hang", "ok")
    workers = [several.lane() for _ in range(4)]
    await several.ask(0)
    await workers[0].pass_once()
    await town.run("UPDATE account_states SET away_until = clock_timestamp()")
    for number in range(1, 9):
        await several.ask(number)
    fresh = [several.lane() for _ in range(3)]
    await several.make_due()
    probing = [asyncio.create_task(lane.pass_once()) for lane in fresh]
    for held in itertools.islice(asyncio.as_completed(probing), 2):
        await held
    provider.released.set()
    await asyncio.gather(*probing)
    assert len(provider.record) == 2, "one probe, however many workers and messages"
    assert await town.run("SELECT 1 FROM account_states WHERE away_since IS NOT NULL") == []
    await several.make_due()
    await several.lane().pass_once()
    assert len(provider.record) == 10


async def test_an_outage_leaves_unconfirmed_what_was_in_flight_and_the_probes(town: Town) -> None:
    """Every answer is ambiguous; 200 messages wait. The breaker shuts after three, so only what was in flight by then went out."""
    several = Several(town, Bounds(failures=3, first_pause_s=0.05, longest_pause_s=0.05, crowded_wait_s=0.01))
    provider = several.account("only", "ambiguous")
    for number in range(200):
        await several.ask(number, "marketing")
    lane, in_flight = several.lane(), Lanes().chunk
    for _ in range(12):
        await several.make_due()
        await lane.pass_once()
    unknown = sum(1 for row in await town.rows() if row.state == "unknown")
    assert unknown == len(provider.record)
    assert unknown <= 3 + in_flight + 12, "in flight, and one probe a pass"


async def test_retry_after_closes_the_account_for_every_worker(town: Town) -> None:
    several = Several(town)
    provider = several.account("only", "throttled", "ok")
    await several.ask(1)
    await several.lane().pass_once()
    [state] = await town.run("SELECT closed_until - clock_timestamp() AS left FROM account_states")
    assert timedelta(seconds=1) < state.left <= timedelta(seconds=7)
    await several.ask(2)
    await several.make_due()
    await several.lane().pass_once()
    assert len(provider.record) == 1
    await town.run("UPDATE account_states SET closed_until = clock_timestamp()")
    await several.make_due()
    await several.lane().pass_once()
    assert len(provider.record) == 3


async def test_while_an_account_is_closed_the_next_one_sends(town: Town) -> None:
    several = Several(town)
    first, second = several.account("first", "throttled", "ok"), several.account("second", place=2)
    for number in range(3):
        await several.ask(number)
        await several.lane().pass_once()
    assert (len(first.record), len(second.record)) == (1, 3)


async def test_two_workers_together_keep_the_rate_and_whoever_waits_comes_back_at_its_own_slot(town: Town) -> None:
    """Twenty messages at one in ten seconds: two leave, each other gets a slot of its own, and needs no new one when it comes."""
    several = Several(town)
    provider = several.account("slow", per_second=0.1, burst=2)
    for number in range(20):
        await several.ask(number)
    await asyncio.gather(several.lane().pass_once(), several.lane().pass_once())
    rows = await town.run("SELECT state, reason, deferred_until FROM messages ORDER BY deferred_until NULLS FIRST")
    waiting = [row for row in rows if row.state == "planned"]
    assert {row.reason for row in waiting} == {"rate_limited"}
    gaps = {round((after.deferred_until - before.deferred_until).total_seconds(), 3) for before, after in itertools.pairwise(waiting)}
    assert gaps == {10.0}
    left = len(provider.record)
    assert left + len(waiting) == 20
    assert left == 2, "a burst of two"
    [before] = await town.run("SELECT taken_until FROM account_states")
    await town.run("UPDATE messages SET deferred_until = clock_timestamp() WHERE state = 'planned'")
    await several.make_due()
    await several.lane().pass_once()
    assert len(provider.record) == 20
    assert await town.run("SELECT taken_until FROM account_states") == [before], "no slot was taken twice"


async def test_slots_that_passed_while_sending_was_paused_are_given_anew(town: Town) -> None:
    """Else all that had slots meanwhile would leave at once."""
    several = Several(town)
    provider = several.account("slow", per_second=0.1, burst=1)
    for number in range(6):
        await several.ask(number)
    await several.lane().pass_once()
    assert len(provider.record) == 1
    await town.run("UPDATE messages SET deferred_until = deferred_until - interval '1 hour' WHERE state = 'planned'")
    await town.run("UPDATE account_states SET taken_until = taken_until - interval '1 hour'")
    await several.make_due()
    await several.lane().pass_once()
    assert len(provider.record) == 2, "one again, and five slots to come"
    assert sum(1 for row in await town.rows() if row.deferred_until is not None) == 4


async def test_a_journey_that_waits_for_its_slot_is_not_claimed_before(town: Town) -> None:
    several = Several(town)
    provider = several.account("slow", per_second=0.01, burst=1)
    await town.endpoint()
    hands = several.hands()
    assert (await hands.deliver(order_of(await enroll(town)))).sent
    order = order_of(await enroll(town, key="2"))
    for _ in range(3):
        verdict = await hands.deliver(order)
        assert (verdict.status, verdict.reasons) == ("again", ("rate_limited",))
    [row] = [row for row in await town.rows() if row.state == "planned"]
    assert (verdict.until, row.claim_epoch) == (row.deferred_until, 1)
    await town.run("UPDATE messages SET deferred_until = clock_timestamp() WHERE state = 'planned'")
    assert (await hands.deliver(order)).sent
    assert len(provider.record) == 2


async def test_those_who_ask_at_the_same_time_are_answered_in_few_transactions(town: Town) -> None:
    several = Several(town)
    several.account("quick", per_second=10_000.0, burst=1000)
    way = await several.delivery().way("demo", "email")
    assert way.traffic is not None
    begun = 0

    async def run(*arguments: object) -> object:
        nonlocal begun
        begun += 1
        return await type(town.database).run(town.database, *arguments)  # type: ignore[arg-type]

    way.traffic._database = type("Counting", (), {"run": staticmethod(run)})()
    door = way.doors[0]
    slots = await asyncio.gather(*(way.traffic.slot(door.key, door.limits, "marketing") for _ in range(200)))
    assert len({slot.at for slot in slots}) == 200
    assert begun <= 3


async def test_a_429_slows_an_account_with_a_rate(town: Town) -> None:
    several = Several(town)
    several.account("slow", "throttled", per_second=100.0)
    await several.ask()
    await several.lane().pass_once()
    [state] = await town.run("SELECT pace FROM account_states")
    assert state.pace == 0.5
