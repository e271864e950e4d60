"""Who wins under the user's row lock, and where a Send goes."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from itertools import islice

from activities.sending import Timing
from journeys.language.conditions import Prop, Trait
from journeys.language.durations import days
from journeys.language.messages import Cap
from journeys.language.vocabulary import event, prop
from tests.activities.town import Town, enroll, order_of


async def test_two_tries_of_one_step_at_once_send_one_message(town: Town) -> None:
    await town.endpoint()
    town.provider.script[:] = ["hang"]
    order = order_of(await enroll(town))
    tries = [asyncio.create_task(town.hands().deliver(order)) for _ in range(6)]
    others = [await ended for ended in islice(asyncio.as_completed(tries), 5)]
    assert {verdict.status for verdict in others} == {"again"}
    town.provider.released.set()
    assert sum(verdict.sent for verdict in await asyncio.gather(*tries)) == 1
    assert town.provider.taken == ["ann@example.com"]


async def test_push_goes_to_every_active_device_and_counts_once_for_caps(town: Town) -> None:
    for address in ("token-a", "token-b"):
        await town.endpoint("push", address)
    await town.endpoint("push", "token-old", state="inactive")
    await town.hands().deliver(order_of(await enroll(town), channel="push"))
    assert sorted(town.provider.taken) == ["token-a", "token-b"]
    capped = order_of(await enroll(town, key="2"), channel="push", step="next", caps=(Cap(2, per=days(1)),))
    assert (await town.hands().deliver(capped)).sent
    full = order_of(await enroll(town, key="3"), channel="push", step="last", caps=(Cap(2, per=days(1)),))
    assert (await town.hands().deliver(full)).reasons == ("capped",)


async def test_one_device_that_fails_is_tried_again_alone(town: Town) -> None:
    for address in ("token-a", "token-b"):
        await town.endpoint("push", address)
    town.provider.script[:] = ["ok", "not_sent", "ok"]
    order = order_of(await enroll(town), channel="push")
    first = await town.hands().deliver(order)
    assert (first.status, first.sent) == ("again", True)
    assert (await town.hands().deliver(order)).status == "settled"
    assert sorted(town.provider.taken) == ["token-a", "token-b"]


async def test_email_goes_to_the_address_confirmed_last(town: Town) -> None:
    await town.endpoint(address="old@example.com", age_s=100)
    await town.endpoint(address="new@example.com", age_s=1)
    await town.endpoint(address="gone@example.com", age_s=0, state="inactive")
    await town.hands().deliver(order_of(await enroll(town)))
    assert town.provider.taken == ["new@example.com"]


async def test_an_endpoint_that_comes_within_the_minute_is_used(town: Town) -> None:
    town.timing = Timing()
    order = order_of(await enroll(town))
    waiting = await town.hands().deliver(order)
    assert (waiting.status, waiting.reasons) == ("again", ("no_endpoint",))
    assert await town.states() == [("planned", "no_endpoint")]
    await town.endpoint()
    assert (await town.hands().deliver(order)).sent
    assert await town.states() == [("sent", None)]


async def test_after_a_minute_without_endpoint_the_step_goes_on(town: Town) -> None:
    town.timing = Timing(endpoint_wait=timedelta(seconds=0.5))
    order = order_of(await enroll(town))
    assert (await town.hands().deliver(order)).status == "again"
    await asyncio.sleep(0.6)
    verdict = await town.hands().deliver(order)
    assert (verdict.status, verdict.reasons) == ("settled", ("no_endpoint",))


async def test_to_names_another_address_once_and_for_all(town: Town) -> None:
    await town.endpoint()
    await town.run("UPDATE users SET attributes = :a", a={"boss": "Boss@Example.com"})
    town.provider.script[:] = ["not_sent", "ok"]
    order = order_of(await enroll(town), to=Trait("boss"))
    await town.hands().deliver(order)
    await town.run("UPDATE users SET attributes = :a", a={"boss": "other@example.com"})
    await town.hands().deliver(order)
    assert town.provider.taken == ["boss@example.com"]
    assert len(await town.rows()) == 1


async def test_to_a_suppressed_address_goes_nothing(town: Town) -> None:
    await town.suppress("boss@example.com")
    verdict = await town.hands().deliver(order_of(await enroll(town), to="boss@example.com"))
    assert verdict.reasons == ("suppressed",)


async def test_an_exit_event_that_is_committed_wins_though_no_signal_came(town: Town) -> None:
    await town.endpoint()
    order = order_of(await enroll(town), exits_on=event("account_closed"))
    await town.event("account_closed")
    verdict = await town.hands().deliver(order)
    assert (verdict.status, verdict.sent) == ("exited", False)
    assert town.provider.record == []
    assert await town.hands().deliver(order) == verdict


async def test_an_exit_counts_only_from_entry_on_with_its_condition_and_never_from_history(town: Town) -> None:
    await town.endpoint()
    exits = event("cart_updated").where(prop("total") < 20)
    order = order_of(await enroll(town), exits_on=exits)
    await town.event("cart_updated", total=50)
    await town.event("cart_updated", total=5, ago_s=7200)
    await town.event("cart_updated", total=5, is_history=True)
    await town.event("another", total=5)
    assert (await town.hands().deliver(order)).sent
    await town.event("cart_updated", total=5)
    assert (await town.hands().deliver(replace(order, step="next"))).status == "exited"


async def test_the_event_that_led_in_does_not_lead_out(town: Town) -> None:
    await town.endpoint()
    await town.event("signed_up", event_id="e-1")
    assert (await town.hands().deliver(order_of(await enroll(town), exits_on=event("signed_up")))).sent


async def test_in_a_journey_with_a_key_only_exits_of_the_same_key_count(town: Town) -> None:
    await town.endpoint()
    entry = replace(order_of(await enroll(town)).entry, properties={"order_id": "A"})  # type: ignore[type-var]
    order = order_of(await enroll(town, key="A"), key=Prop("order_id"), entry=entry, exits_on=event("order_cancelled"))
    await town.event("order_cancelled", order_id="B")
    assert (await town.hands().deliver(order)).sent
    await town.event("order_cancelled", order_id="A")
    assert (await town.hands().deliver(replace(order, step="next"))).status == "exited"
    any_key = replace(order, step="third", exits_on=event("order_cancelled").any_key())
    assert (await town.hands().deliver(any_key)).status == "exited"


async def test_a_closed_enrollment_sends_nothing_and_drops_what_it_had_planned(town: Town) -> None:
    await town.endpoint()
    town.provider.script[:] = ["not_sent", "ok"]
    order = order_of(await enroll(town))
    await town.hands().deliver(order)
    await town.run("UPDATE enrollments SET state = 'closed'")
    assert (await town.hands().deliver(order)).status == "exited"
    assert await town.states() == [("skipped", "exited")]


async def test_outside_production_only_allowed_recipients_are_written_to(town: Town) -> None:
    await town.endpoint()
    town.allowed = frozenset({"@else.example"})
    assert (await town.hands().deliver(order_of(await enroll(town)))).reasons == ("not_allowed_here",)
    town.provider.name = "sandbox"
    assert (await town.hands().deliver(order_of(await enroll(town, key="2"), step="next"))).sent


async def test_a_template_that_was_never_published_skips_the_send(town: Town) -> None:
    await town.endpoint()
    assert (await town.hands().deliver(order_of(await enroll(town), template="nothing"))).reasons == ("no_template",)


async def test_a_template_reads_person_entry_captured_and_links(town: Town) -> None:
    number = await town.endpoint()
    await town.hands().deliver(order_of(await enroll(town)))
    variables = town.provider.seen[0].content.parts["variables"]
    assert variables["user"] == {"plan": "gold", "user_id": "ann"}
    assert variables["entry"] == {"plan": "gold"}
    assert variables["links"]["unsubscribe"] == f"https://u/demo/{town.user_id}/{number}/general"
    assert town.provider.seen[0].unsubscribe_url == variables["links"]["unsubscribe"]


async def test_an_unsubscribe_that_committed_before_the_claim_always_wins(town: Town) -> None:
    """1,000 people: the withdrawal and the claim race; who commits first under the row lock decides, and nobody else."""
    people = 1000
    await town.run(
        "WITH u AS (INSERT INTO users (app, user_id) SELECT 'demo', 'p' || i FROM generate_series(1, :n) i RETURNING id, user_id),"
        " e AS (INSERT INTO endpoints (app, user_id, channel, address, address_hash, confirmed_at)"
        "   SELECT 'demo', id, 'email', user_id || '@example.com', sha256(convert_to(user_id, 'UTF8')), now() FROM u)"
        " INSERT INTO enrollments (app, id, user_id, subject, journey, version, n, workflow_id, entry_event_id, entry_name, entered_at,"
        " state)"
        " SELECT 'demo', gen_random_uuid(), id, user_id, 'onboarding', 1, 1, user_id, user_id, 'signed_up', now(), 'open' FROM u",
        n=people,
    )
    enrolled = await town.run("SELECT id, user_id FROM enrollments ORDER BY user_id")
    hands, slots = town.hands(), asyncio.Semaphore(8)

    async def race(number: int) -> None:
        one = replace(town, user_id=enrolled[number].user_id)
        send = hands.deliver(replace(order_of(enrolled[number].id), may_wait=True))
        leave = one.say("withdrawn", topic="general")
        async with slots:
            await asyncio.gather(*((send, leave) if number % 2 else (leave, send)))

    await asyncio.gather(*(race(number) for number in range(people)))
    outcome = await town.run(
        "SELECT m.state, m.reason, m.claimed_at < c.recorded_at AS claimed_first FROM messages m JOIN consents c ON c.user_id = m.user_id"
    )
    assert len(outcome) == people
    assert {(row.state, row.reason, row.claimed_first) for row in outcome} == {("sent", None, True), ("skipped", "unsubscribed", None)}


async def test_an_address_suppressed_before_the_claim_gets_nothing(town: Town) -> None:
    """The same race against a suppression of an address that two people share."""
    await town.endpoint()
    for number in range(60):
        await town.run("DELETE FROM suppressions")
        order = order_of(await enroll(town, key=str(number)))
        delivering = town.hands().deliver(order)
        suppressing = town.suppress("ann@example.com")
        await asyncio.gather(*((delivering, suppressing) if number % 2 else (suppressing, delivering)))
        [row] = await town.run(
            "SELECT m.state, m.claimed_at < s.created_at AS claimed_first FROM messages m, suppressions s WHERE m.source = :s",
            s=order.enrollment_id,
        )
        assert (row.state, row.claimed_first) in {("sent", True), ("skipped", None)}


async def test_claims_and_settles_stay_hot(town: Town) -> None:
    """No index knows what they change, so Postgres writes the new version beside the old one and touches no index."""
    await town.endpoint()
    town.provider.script[:] = ["not_sent", "ok"] * 20
    for number in range(20):
        order = order_of(await enroll(town, key=str(number)))
        await town.hands().deliver(order)
        await town.hands().deliver(order)
    async with asyncio.timeout(10):
        await town.run("SELECT pg_stat_force_next_flush()")
    [counted] = await town.run(
        "SELECT sum(n_tup_upd) AS updated, sum(n_tup_hot_upd) AS hot FROM pg_stat_user_tables WHERE relname LIKE 'messages%'"
    )
    assert counted.updated == 60
    assert counted.hot / counted.updated > 0.95


async def test_a_message_claimed_for_long_is_left_to_its_owner_until_then(town: Town) -> None:
    await town.endpoint()
    town.timing = replace(town.timing, claim_s=40.0)
    town.provider.script[:] = ["hang"]
    order = replace(order_of(await enroll(town)), may_wait=True)
    sending = asyncio.create_task(town.hands().deliver(order))
    await town.provider.called.wait()
    busy = await town.hands().deliver(order)
    row = (await town.rows())[0]
    assert (busy.until, busy.claimed_at) == (row.claim_until, row.claimed_at)
    assert timedelta(seconds=40) <= row.claim_until - row.claimed_at < timedelta(seconds=41)
    town.provider.released.set()
    assert (await sending).claimed_at == row.claimed_at
