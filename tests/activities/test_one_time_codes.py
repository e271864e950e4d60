"""One-time codes: nobody guesses one, nobody is flooded, and what did not arrive is followed by a new code another way."""

import asyncio
import re
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from activities.coming_back import Source, take_in
from activities.direct import DirectLane
from activities.one_time_codes import AskedTooOften, Asking, CodeLane, Issued, Pepper, Way, is_right, issue, what_next
from activities.unknowns import Sweeper
from channels.inbound import Told
from storage import one_time_codes as codes
from storage.direct_sends import DirectSend, plan_direct
from storage.one_time_codes import OpenCode
from tests.activities.town import APP, Town

PEPPER = Pepper("a secret of at least 32 characters!")
PHONE = "+4915112345678"
SMS, EMAIL = ("sms", PHONE), ("email", "eve@example.com")
AT_ONCE = asyncio.Semaphore(15)  # as many as the pool has connections to spare
RELAXED = {"otp": {"countries": ["DE"], "seconds_between": 0, "per_hour": 1000, "per_day": 1000, "neighbours_per_hour": 10_000}}


@pytest.fixture
async def relaxed(town: Town) -> Town:
    await town.run("UPDATE apps SET settings = settings || :otp", otp=RELAXED)
    return town


async def ask(town: Town, *ways: Way, whom: str = "user:eve", lives: timedelta = timedelta(minutes=10)) -> Issued:
    async with AT_ONCE, town.database.transaction(APP) as connection:
        return await issue(connection, APP, PEPPER, Asking(whom, ways, lives=lives))


async def type_in(town: Town, number: UUID, code: str) -> bool:
    async with AT_ONCE, town.database.transaction(APP) as connection:
        return await is_right(connection, APP, PEPPER, number, code)


async def deliver(town: Town) -> None:
    await DirectLane(town.database, town.delivery(), asyncio.Event()).pass_once()


async def look(town: Town, *, after: timedelta = timedelta(0)) -> None:
    """Let so much time pass, and the lane look."""
    await town.run("UPDATE one_time_codes SET sent_at = sent_at - CAST(:by AS interval), due_at = clock_timestamp()", by=after)
    await CodeLane(town.database, PEPPER, asyncio.Event()).pass_once()


async def due_now(town: Town) -> None:
    """The pause after a try that came to nothing is over."""
    await town.run("UPDATE open_messages SET due_at = clock_timestamp() WHERE kind = 'direct'")


async def expire(town: Town) -> None:
    """Let the life of every code pass."""
    await town.run("UPDATE one_time_codes SET expires_at = clock_timestamp()")
    await town.run("UPDATE direct_sends SET holds_until = clock_timestamp()")


def codes_sent(town: Town) -> list[str]:
    return [re.findall(r"\b\d{6}\b", outgoing.content.parts["text"])[0] for outgoing in town.provider.seen]


async def test_a_code_arrives_is_right_once_and_is_kept_nowhere(relaxed: Town) -> None:
    issued = await ask(relaxed, SMS)
    await deliver(relaxed)
    [code] = codes_sent(relaxed)
    assert await type_in(relaxed, issued.id, code)
    assert not await type_in(relaxed, issued.id, code), "used up"
    assert await relaxed.run("SELECT 1 FROM direct_sends") == []
    [row] = await relaxed.run("SELECT to_jsonb(c)::text AS everything FROM one_time_codes c")
    assert code not in row.everything
    assert PHONE not in row.everything


async def test_of_200_guesses_at_once_five_are_looked_at_and_then_the_right_one_is_wrong_too(relaxed: Town) -> None:
    issued = await ask(relaxed, SMS)
    await deliver(relaxed)
    [code] = codes_sent(relaxed)
    wrong = [f"{(int(code) + step) % 1_000_000:06}" for step in range(1, 201)]
    answers = await asyncio.gather(*(type_in(relaxed, issued.id, guess) for guess in wrong))
    assert not any(answers)
    assert (await relaxed.run("SELECT tries FROM one_time_codes"))[0].tries == 5
    assert not await type_in(relaxed, issued.id, code)


async def test_of_many_who_type_in_the_right_code_at_once_one_is_let_in(relaxed: Town) -> None:
    issued = await ask(relaxed, SMS)
    await deliver(relaxed)
    [code] = codes_sent(relaxed)
    answers = await asyncio.gather(*(type_in(relaxed, issued.id, code) for _ in range(20)))
    assert answers.count(True) == 1


async def test_a_code_of_another_id_or_another_app_is_wrong(relaxed: Town) -> None:
    issued, other = await ask(relaxed, SMS), await ask(relaxed, EMAIL, whom="user:bob")
    await deliver(relaxed)
    by_channel = {outgoing.address: code for outgoing, code in zip(relaxed.provider.seen, codes_sent(relaxed), strict=True)}
    assert not await type_in(relaxed, other.id, by_channel[PHONE])
    assert not await type_in(relaxed, uuid4(), by_channel[PHONE])
    async with relaxed.database.transaction() as connection:
        assert not await is_right(connection, "elsewhere", PEPPER, issued.id, by_channel[PHONE])
    assert not await type_in_with(relaxed, Pepper("another secret of 32 characters!!"), issued.id, by_channel[PHONE])


async def type_in_with(town: Town, pepper: Pepper, number: UUID, code: str) -> bool:
    async with town.database.transaction(APP) as connection:
        return await is_right(connection, APP, pepper, number, code)


async def test_10_000_guesses_at_ids_that_do_not_exist_are_all_wrong(relaxed: Town) -> None:
    async with relaxed.database.transaction(APP) as connection:
        right = [await is_right(connection, APP, PEPPER, uuid4(), f"{number:06}") for number in range(10_000)]
    assert not any(right)


async def test_a_code_expires_by_the_clock_of_the_database(relaxed: Town) -> None:
    issued = await ask(relaxed, SMS)
    await deliver(relaxed)
    await relaxed.run("UPDATE one_time_codes SET expires_at = clock_timestamp()")
    assert not await type_in(relaxed, issued.id, codes_sent(relaxed)[0])


async def test_a_new_code_ends_the_one_before_and_its_message_if_it_has_not_left(relaxed: Town) -> None:
    first = await ask(relaxed, SMS)
    second = await ask(relaxed, SMS)
    await deliver(relaxed)
    assert sorted(await relaxed.states(), key=str) == [("sent", None), ("skipped", "superseded")]
    [code] = codes_sent(relaxed)
    assert not await type_in(relaxed, first.id, code)
    assert await type_in(relaxed, second.id, code)


async def test_what_is_rejected_is_followed_at_once_by_a_new_code_another_way(relaxed: Town) -> None:
    relaxed.provider.script[:] = ["rejected", "ok"]
    issued = await ask(relaxed, SMS, EMAIL)
    await deliver(relaxed)
    await look(relaxed)
    await deliver(relaxed)
    first, second = codes_sent(relaxed)
    assert relaxed.provider.taken == ["eve@example.com"]
    assert not await type_in(relaxed, issued.id, first)
    assert await type_in(relaxed, issued.id, second)


async def test_what_is_unconfirmed_is_followed_after_half_a_minute_and_never_sent_again_itself(relaxed: Town) -> None:
    relaxed.provider.script[:] = ["ambiguous", "ok"]
    issued = await ask(relaxed, SMS)
    await deliver(relaxed)
    await look(relaxed)
    assert len(codes_sent(relaxed)) == 1, "it may still be confirmed"
    await look(relaxed, after=timedelta(seconds=31))
    await deliver(relaxed)
    await relaxed.age_unknowns()
    assert (await Sweeper(relaxed.database, relaxed.timing).sweep()).planned_again == 0
    assert sorted(await relaxed.states(), key=str) == [("given_up", "unconfirmed"), ("sent", None)]
    first, second = codes_sent(relaxed)
    assert not await type_in(relaxed, issued.id, first)
    assert await type_in(relaxed, issued.id, second)


async def test_when_every_way_has_failed_it_is_over(relaxed: Town) -> None:
    relaxed.provider.script[:] = ["rejected"]
    await ask(relaxed, SMS, EMAIL)
    for _ in range(6):
        await deliver(relaxed)
        await look(relaxed)
    assert len(relaxed.provider.record) == 2
    assert (await relaxed.run("SELECT ways FROM one_time_codes"))[0].ways == []


async def test_the_last_way_that_stays_unconfirmed_is_never_sent_again(relaxed: Town) -> None:
    relaxed.provider.script[:] = ["ambiguous"]
    await ask(relaxed, SMS)
    for _ in range(3):
        await deliver(relaxed)
        await look(relaxed, after=timedelta(seconds=31))
    await relaxed.age_unknowns()
    await Sweeper(relaxed.database, relaxed.timing).sweep()
    await deliver(relaxed)
    assert len(codes_sent(relaxed)) == 2
    assert await relaxed.states() == [("given_up", "unconfirmed")] * 2
    assert await relaxed.run("SELECT 1 FROM direct_sends") == []


async def test_the_last_way_waits_for_its_provider_and_leaves_when_that_is_back(relaxed: Town) -> None:
    relaxed.provider.script[:] = ["not_sent", "ok"]
    issued = await ask(relaxed, SMS)
    await deliver(relaxed)
    await look(relaxed, after=timedelta(minutes=5))
    await due_now(relaxed)
    await deliver(relaxed)
    assert relaxed.provider.taken == [PHONE]
    assert await type_in(relaxed, issued.id, codes_sent(relaxed)[-1])


async def test_a_code_that_expired_while_its_provider_was_away_does_not_leave(relaxed: Town) -> None:
    relaxed.provider.script[:] = ["not_sent", "ok"]
    await ask(relaxed, SMS)
    await deliver(relaxed)
    await expire(relaxed)
    await due_now(relaxed)
    await deliver(relaxed)
    assert relaxed.provider.taken == []
    assert await relaxed.states() == [("skipped", "expired")]
    assert await relaxed.run("SELECT 1 FROM direct_sends UNION ALL SELECT 1 FROM open_messages") == []


async def test_the_lane_of_codes_drops_what_has_expired_before_anybody_else_looks(relaxed: Town) -> None:
    await ask(relaxed, SMS)
    await expire(relaxed)
    await look(relaxed)
    assert await relaxed.states() == [("skipped", "expired")]
    assert await relaxed.run("SELECT 1 FROM direct_sends UNION ALL SELECT 1 FROM open_messages") == []


@pytest.mark.parametrize(("answer", "end"), [("ambiguous", ("given_up", "unconfirmed")), ("not_sent", ("skipped", "expired"))])
async def test_a_code_whose_place_was_taken_while_it_was_being_sent_is_not_tried_again(
    relaxed: Town, answer: str, end: tuple[str, str]
) -> None:
    relaxed.provider.script[:] = [answer, "ok"]
    relaxed.provider.is_held = True
    await ask(relaxed, SMS)
    sending = asyncio.create_task(deliver(relaxed))
    await relaxed.provider.called.wait()
    await ask(relaxed, SMS)
    relaxed.provider.released.set()
    await sending
    await relaxed.age_unknowns()
    await Sweeper(relaxed.database, relaxed.timing).sweep()
    await due_now(relaxed)
    await deliver(relaxed)
    assert len(codes_sent(relaxed)) == 2
    assert sorted(await relaxed.states(), key=str) == sorted([end, ("sent", None)], key=str)


async def test_a_claim_of_a_code_that_lapses_is_given_up_and_not_repeated(relaxed: Town) -> None:
    relaxed.provider.script[:] = ["bug", "ok"]
    await ask(relaxed, SMS)
    await deliver(relaxed)
    await relaxed.age_claims()
    await Sweeper(relaxed.database, relaxed.timing).sweep()
    await relaxed.age_unknowns()
    await Sweeper(relaxed.database, relaxed.timing).sweep()
    await deliver(relaxed)
    assert await relaxed.states() == [("unknown", "unconfirmed")], "it may be confirmed for as long as the code is right"
    await expire(relaxed)
    await relaxed.age_unknowns(timedelta(minutes=10))
    await Sweeper(relaxed.database, relaxed.timing).sweep()
    assert await relaxed.states() == [("given_up", "unconfirmed")]
    assert len(codes_sent(relaxed)) == 1
    assert await relaxed.run("SELECT 1 FROM direct_sends UNION ALL SELECT 1 FROM open_messages") == []


async def test_what_was_typed_in_right_sends_nothing_more(relaxed: Town) -> None:
    relaxed.provider.script[:] = ["ambiguous", "ok"]
    issued = await ask(relaxed, SMS)
    await deliver(relaxed)
    assert await type_in(relaxed, issued.id, codes_sent(relaxed)[0])
    await look(relaxed, after=timedelta(minutes=3))
    await relaxed.age_unknowns()
    await Sweeper(relaxed.database, relaxed.timing).sweep()
    await deliver(relaxed)
    assert len(codes_sent(relaxed)) == 1
    assert await relaxed.states() == [("sent", None)], "who typed it in has received it"
    assert await relaxed.run("SELECT 1 FROM open_messages") == []


@pytest.mark.parametrize(("answer", "end"), [("ambiguous", ("given_up", "unconfirmed")), ("not_sent", ("skipped", "expired"))])
async def test_a_code_that_was_guessed_at_five_times_sends_nothing_more(relaxed: Town, answer: str, end: tuple[str, str]) -> None:
    relaxed.provider.script[:] = [answer, "ok"]
    issued = await ask(relaxed, SMS, EMAIL)
    await deliver(relaxed)
    wrong = str((int(codes_sent(relaxed)[0]) + 1) % 1_000_000).zfill(6)
    for _ in range(5):
        assert not await type_in(relaxed, issued.id, wrong)
    await relaxed.age_unknowns()
    await Sweeper(relaxed.database, relaxed.timing).sweep()
    await due_now(relaxed)
    await CodeLane(relaxed.database, PEPPER, asyncio.Event()).pass_once()
    await deliver(relaxed)
    assert len(codes_sent(relaxed)) == 1
    assert await relaxed.states() == [end]
    assert [(row.due_at, row.ways) for row in await relaxed.run("SELECT due_at, ways FROM one_time_codes")] == [(None, [])]


async def tell_of_a_bounce(town: Town, address: str = PHONE, event_id: str | None = None) -> None:
    """The provider says that what it took for this address did not arrive."""
    [row] = await town.run("SELECT id FROM messages WHERE address = :address ORDER BY planned_at DESC LIMIT 1", address=address)
    source = Source(APP, "email" if "@" in address else "sms", "main", "scripted")
    told = Told(event_id or uuid4().hex, "bounced", "undelivered", datetime.now(UTC), row.id, detail={"hard": False})
    async with AT_ONCE:
        await town.database.run(lambda connection: take_in(connection, source, [told]))


async def pass_lane(town: Town) -> int:
    """The lane looks at what is due by itself."""
    return await CodeLane(town.database, PEPPER, asyncio.Event()).pass_once()


@pytest.mark.parametrize("after_s", [1, 5, 31, 9 * 60])
async def test_what_bounces_is_followed_by_the_next_way_whenever_that_is_told(relaxed: Town, after_s: int) -> None:
    issued = await ask(relaxed, SMS, EMAIL)
    await deliver(relaxed)
    await look(relaxed, after=timedelta(seconds=after_s))
    assert await pass_lane(relaxed) == 0, "nothing has to be looked at until it is told"
    await tell_of_a_bounce(relaxed)
    assert await pass_lane(relaxed) == 1
    await deliver(relaxed)
    assert relaxed.provider.taken == [PHONE, "eve@example.com"]
    first, second = codes_sent(relaxed)
    assert not await type_in(relaxed, issued.id, first)
    assert await type_in(relaxed, issued.id, second)


async def test_a_bounce_that_is_told_before_our_own_call_has_returned_is_followed_once(relaxed: Town) -> None:
    relaxed.provider.is_held = True
    await ask(relaxed, SMS, EMAIL)
    sending = asyncio.create_task(deliver(relaxed))
    await relaxed.provider.called.wait()
    await tell_of_a_bounce(relaxed)
    assert await pass_lane(relaxed) == 1
    relaxed.provider.released.set()
    await sending
    await deliver(relaxed)
    assert await pass_lane(relaxed) == 0
    assert relaxed.provider.taken == [PHONE, "eve@example.com"]


async def test_a_second_bounce_and_one_of_a_way_that_was_left_send_nothing_more(relaxed: Town) -> None:
    await ask(relaxed, SMS, EMAIL, ("voice", PHONE))
    await deliver(relaxed)
    await tell_of_a_bounce(relaxed)
    await tell_of_a_bounce(relaxed)
    await pass_lane(relaxed)
    await deliver(relaxed)
    await look(relaxed)
    for _ in range(2):
        await tell_of_a_bounce(relaxed)
        assert await pass_lane(relaxed) == 0
    await deliver(relaxed)
    assert relaxed.provider.taken == [PHONE, "eve@example.com"]


async def test_a_bounce_of_a_code_that_was_typed_in_or_has_no_way_left_or_expired_sends_nothing(relaxed: Town) -> None:
    issued = await ask(relaxed, SMS, EMAIL)
    await deliver(relaxed)
    assert await type_in(relaxed, issued.id, codes_sent(relaxed)[0])
    await tell_of_a_bounce(relaxed)
    assert await pass_lane(relaxed) == 0
    await ask(relaxed, EMAIL, whom="user:ann")
    await deliver(relaxed)
    await look(relaxed)
    await tell_of_a_bounce(relaxed, "eve@example.com")
    assert await pass_lane(relaxed) == 0
    await ask(relaxed, SMS, EMAIL, whom="user:bob")
    await deliver(relaxed)
    await expire(relaxed)
    await tell_of_a_bounce(relaxed)
    await pass_lane(relaxed)
    await deliver(relaxed)
    assert len(codes_sent(relaxed)) == 3
    assert [(row.due_at, row.ways) for row in await relaxed.run("SELECT due_at, ways FROM one_time_codes")] == [(None, [])] * 3


async def until_somebody_waits(town: Town) -> None:
    async with asyncio.timeout(60):
        while not await town.run("SELECT 1 FROM pg_locks WHERE NOT granted"):  # noqa: ASYNC110 - Postgres tells nobody
            await asyncio.sleep(0.01)


async def test_a_bounce_that_is_told_while_the_lane_looks_is_not_overlooked(relaxed: Town) -> None:
    issued = await ask(relaxed, SMS, EMAIL)
    await deliver(relaxed)
    await relaxed.run("UPDATE one_time_codes SET due_at = clock_timestamp()")
    async with relaxed.database.transaction() as looking:
        code = await codes.take(looking, APP, issued.id)
        assert code is not None
        telling = asyncio.create_task(tell_of_a_bounce(relaxed))
        await until_somebody_waits(relaxed)
        assert what_next(code) == code.left
        await codes.look_again(looking, APP, issued.id, code.left)
    await telling
    assert await pass_lane(relaxed) == 1
    await deliver(relaxed)
    assert relaxed.provider.taken == [PHONE, "eve@example.com"]


async def test_a_bounce_that_is_being_noted_while_the_lane_looks_is_seen_in_the_next_round(relaxed: Town) -> None:
    issued = await ask(relaxed, SMS, EMAIL)
    await deliver(relaxed)
    [row] = await relaxed.rows()
    await relaxed.run("UPDATE one_time_codes SET due_at = clock_timestamp()")
    async with relaxed.database.transaction() as telling:
        await codes.bounced(telling, APP, [row.id])
        async with relaxed.database.transaction() as looking:
            assert await codes.take(looking, APP, issued.id) is None
        await telling.execute(text("UPDATE messages SET bounced_at = now() WHERE id = :id"), {"id": row.id})
    assert await pass_lane(relaxed) == 1
    await deliver(relaxed)
    assert relaxed.provider.taken == [PHONE, "eve@example.com"]


async def test_of_bounces_codes_typed_in_and_looks_at_once_nothing_is_doubled_or_lost(relaxed: Town) -> None:
    people = [f"+4915{n:09}" for n in range(30)]
    issued = {phone: await ask(relaxed, ("sms", phone), ("email", f"{phone[1:]}@example.com"), whom=phone) for phone in people}
    for _ in range(3):
        await deliver(relaxed)
    first = {seen.address: code for seen, code in zip(relaxed.provider.seen, codes_sent(relaxed), strict=True)}
    await relaxed.run("UPDATE one_time_codes SET due_at = clock_timestamp()")
    typing = [type_in(relaxed, issued[phone].id, first[phone]) for phone in people[::2]]
    told = [tell_of_a_bounce(relaxed, phone) for phone in people for _ in range(2)]
    typed = asyncio.gather(*typing)
    await asyncio.gather(*told, pass_lane(relaxed), pass_lane(relaxed), typed)
    was_right = dict(zip(people[::2], await typed, strict=True))
    for _ in range(3):
        await pass_lane(relaxed)
        await deliver(relaxed)
    sent = Counter(relaxed.provider.taken)
    for phone in people:
        assert (sent[phone], sent[f"{phone[1:]}@example.com"]) == (1, 0 if was_right.get(phone) else 1)


async def test_what_an_idempotency_key_makes_to_look_like_a_code_wakes_none(relaxed: Town) -> None:
    issued = await ask(relaxed, SMS, EMAIL)
    await deliver(relaxed)
    await look(relaxed)
    for request in (f"otp:{issued.id}:7", "otp:not-an-id:0", "otp:"):
        send = DirectSend(APP, request, "sms", "transactional", {"parts": {"text": "000000"}}, address="+4915100000000")
        async with relaxed.database.transaction(APP) as connection:
            await plan_direct(connection, send)
        await deliver(relaxed)
        await tell_of_a_bounce(relaxed, "+4915100000000")
    assert await pass_lane(relaxed) == 0


async def test_a_code_that_went_out_is_looked_after_while_it_is_right_and_a_way_is_left(relaxed: Town) -> None:
    await ask(relaxed, SMS, EMAIL)
    await deliver(relaxed)
    await look(relaxed, after=timedelta(seconds=31))
    [row] = await relaxed.run("SELECT due_at >= expires_at AS waits, ways FROM one_time_codes")
    assert (row.waits, len(row.ways)) == (True, 2)
    await expire(relaxed)
    await look(relaxed)
    assert [(row.due_at, row.ways) for row in await relaxed.run("SELECT due_at, ways FROM one_time_codes")] == [(None, [])]


async def test_of_a_code_that_went_out_by_its_last_way_no_address_is_kept(relaxed: Town) -> None:
    await ask(relaxed, SMS)
    await deliver(relaxed)
    await look(relaxed)
    assert [(row.due_at, row.ways) for row in await relaxed.run("SELECT due_at, ways FROM one_time_codes")] == [(None, [])]


async def test_one_person_is_sent_one_in_half_a_minute_and_five_in_an_hour(town: Town) -> None:
    await town.run("UPDATE apps SET settings = settings || :otp", otp={"otp": {"countries": ["DE"]}})
    await ask(town, SMS)
    with pytest.raises(AskedTooOften) as refused:
        await ask(town, SMS)
    assert 25 < refused.value.retry_after_s <= 30
    for _ in range(4):
        await town.run("UPDATE one_time_codes SET created_at = created_at - interval '31 s'")
        await ask(town, SMS)
    await town.run("UPDATE one_time_codes SET created_at = created_at - interval '31 s'")
    with pytest.raises(AskedTooOften) as refused:
        await ask(town, SMS)
    assert 3400 < refused.value.retry_after_s <= 3600


async def test_of_many_requests_for_one_person_at_once_one_is_served(town: Town) -> None:
    answers = await asyncio.gather(*(ask(town, EMAIL) for _ in range(20)), return_exceptions=True)
    assert sum(isinstance(answer, Issued) for answer in answers) == 1
    assert all(isinstance(answer, Issued | AskedTooOften) for answer in answers)


async def test_who_walks_through_neighbouring_numbers_is_stopped(town: Town) -> None:
    await town.run("UPDATE apps SET settings = settings || :otp", otp={"otp": {"countries": ["DE"], "neighbours_per_hour": 10}})
    for number in range(10):
        await ask(town, ("sms", f"+491511234{number:04}"), whom=f"sms:{number}")
    with pytest.raises(AskedTooOften):
        await ask(town, ("voice", "+4915112340999"), whom="voice:other")
    await ask(town, ("sms", "+4915119999999"), whom="sms:elsewhere")


@pytest.mark.parametrize("place", [0, 1, 2])
async def test_every_address_that_a_code_may_go_to_is_counted_wherever_it_is_named(town: Town, place: int) -> None:
    await town.run("UPDATE apps SET settings = settings || :otp", otp={"otp": {"countries": ["DE"], "per_hour": 3, "seconds_between": 0}})
    for n in range(3):
        ways: list[Way] = [("email", f"{n}a@example.com"), ("email", f"{n}b@example.com")]
        await ask(town, *ways[:place], SMS, *ways[place:], whom=f"email:{n}a@example.com")
    with pytest.raises(AskedTooOften) as refused:
        await ask(town, ("email", "new@example.com"), SMS, whom="user:new")
    assert 3400 < refused.value.retry_after_s <= 3600
    await ask(town, ("email", "new@example.com"), ("sms", "+4915119999999"), whom="user:new")


async def test_neighbouring_numbers_are_counted_as_second_and_third_ways_too(town: Town) -> None:
    await town.run("UPDATE apps SET settings = settings || :otp", otp={"otp": {"countries": ["DE"], "neighbours_per_hour": 10}})
    for n in range(10):
        own: Way = ("sms", f"+49171{n:07}")
        await ask(town, ("email", f"{n}@example.com"), own, ("voice", f"+491511234{n:04}"), whom=f"email:{n}@example.com")
    with pytest.raises(AskedTooOften):
        await ask(town, ("email", "new@example.com"), ("sms", "+4917200000000"), ("sms", "+4915112340999"), whom="email:new@example.com")
    await ask(town, ("email", "new@example.com"), ("sms", "+4917200000000"), whom="email:new@example.com")


async def test_an_app_is_sent_so_many_in_a_minute_whoever_they_are_for(town: Town) -> None:
    await town.run("UPDATE apps SET settings = settings || :otp", otp={"otp": {"per_minute_in_all": 5}})
    for n in range(5):
        await ask(town, ("email", f"{n}@example.com"), whom=f"email:{n}@example.com")
    with pytest.raises(AskedTooOften) as refused:
        await ask(town, ("email", "late@example.com"), whom="email:late@example.com")
    assert 0 < refused.value.retry_after_s <= 60
    await town.run("UPDATE one_time_codes SET created_at = created_at - interval '1 minute'")
    await ask(town, ("email", "late@example.com"), whom="email:late@example.com")


async def test_of_many_requests_at_once_that_share_a_second_way_only_so_many_are_served(town: Town) -> None:
    await town.run("UPDATE apps SET settings = settings || :otp", otp={"otp": {"countries": ["DE"], "per_hour": 4, "seconds_between": 0}})
    asked = (ask(town, ("email", f"{n}@example.com"), SMS, whom=f"email:{n}@example.com") for n in range(12))
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert sum(isinstance(answer, Issued) for answer in answers) == 4
    assert all(isinstance(answer, Issued | AskedTooOften) for answer in answers)


async def test_somebody_unknown_is_limited_as_somebody_known_and_nothing_is_ever_right(town: Town) -> None:
    issued = await ask(town, whom="user:nobody")
    with pytest.raises(AskedTooOften):
        await ask(town, whom="user:nobody")
    assert not await type_in(town, issued.id, "000000")
    assert await town.rows() == []


OPEN = OpenCode(APP, uuid4(), None, [SMS, EMAIL], 1, 6, None, {}, uuid4(), "planned", has_bounced=False,
                since_send=timedelta(seconds=1), left=timedelta(minutes=9))  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"left": timedelta(0)}, "close"),
        ({"state": "sent"}, timedelta(minutes=9)),  # a bounce may come for as long as it is right, and makes it due
        ({"state": "sent", "since_send": timedelta(minutes=5)}, timedelta(minutes=9)),
        ({"state": "sent", "sends": 2}, "close"),  # whatever becomes of it, no way is left
        ({"state": "sent", "has_bounced": True}, "next"),
        ({"state": "rejected"}, "next"),
        ({"state": "skipped"}, "next"),
        ({"state": "claimed"}, timedelta(seconds=3)),
        ({"state": "planned", "since_send": timedelta(seconds=30)}, "next"),
        ({"state": "unknown"}, timedelta(seconds=3)),
        ({"state": "rejected", "sends": 2}, "close"),  # no way is left
        ({"state": "planned", "sends": 2, "since_send": timedelta(minutes=5)}, timedelta(seconds=30)),  # its provider may come back
        ({"state": "claimed", "sends": 2, "since_send": timedelta(minutes=5)}, timedelta(seconds=30)),
        ({"state": "planned", "sends": 2, "left": timedelta(0)}, "close"),
        ({"state": "unknown", "sends": 2, "since_send": timedelta(seconds=30)}, "next"),  # the last way once more
        ({"state": "unknown", "sends": 3, "since_send": timedelta(seconds=30)}, "close"),
    ],
)
def test_what_comes_next(changes: dict[str, object], expected: object) -> None:
    assert what_next(replace(OPEN, **changes)) == expected  # type: ignore[arg-type]
