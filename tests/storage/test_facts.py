"""What is told about messages comes to one row whatever its order, shows that they went out, and reaches people's journeys."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any
from uuid import UUID, uuid4

import pytest

from storage import facts, messages, unconfirmed
from storage.database import Database
from storage.facts import Fact, Kind, Reply
from storage.ids import address_hash
from storage.messages import Settlement
from tests.activities.town import APP, Town, build, enroll, order_of

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


@pytest.fixture
async def town(database: Database) -> Town:
    built = await build(database)
    await built.endpoint()
    return built


async def sent(town: Town, verdict: str = "ok") -> UUID:
    """A message of a journey whose provider answered so."""
    town.provider.script[:] = [verdict]
    await town.hands().deliver(order_of(await enroll(town, key=uuid4().hex)))
    return UUID(str((await town.rows())[-1].id))


def fact(kind: Kind, minutes: int = 0, event_id: str | None = None, **more: Any) -> Fact:
    return Fact(kind, NOON + timedelta(minutes=minutes), event_id or f"{kind}-{minutes}", **more)


async def record(town: Town, message_id: UUID, *told: Fact) -> bool:
    found = await town.database.run(lambda c: facts.record_all(c, APP, [(message_id, each) for each in told]), APP)
    return message_id in found


async def stream(town: Town, name: str) -> list[Any]:
    return await town.run(
        "SELECT properties, occurred_at, event_id FROM events WHERE app = 'demo' AND name = :name ORDER BY seq", name=name
    )


async def listen(town: Town, *names: str) -> None:
    await town.run("UPDATE journey_versions SET listen_names = CAST(:names AS text[])", names=list(names))


async def claimed(town: Town) -> UUID:
    """A message that is with its provider at this moment."""
    message_id = await sent(town, "ambiguous")
    await town.run("UPDATE messages SET state = 'claimed', reason = NULL, settled_at = NULL, claim_until = now() + interval '30 s'")
    await town.run("UPDATE open_messages SET kind = 'claimed', due_at = now() + interval '30 s'")
    return message_id


async def settle(town: Town, message_id: UUID, state: str) -> None:
    ending = Settlement(message_id, 1, state, "unconfirmed" if state == "unknown" else None, "?", due_at=datetime.now(UTC), provider="fake")
    async with town.database.transaction() as connection:
        assert await messages.settle(connection, APP, [ending]) == {message_id}


async def test_any_order_and_any_repeat_of_facts_comes_to_one_row(town: Town) -> None:
    told = [fact("accepted"), fact("delivered", 1), fact("opened", 5), fact("opened", 3, "o-2"), fact("bounced", 7)]
    seen = set()
    for order in random.Random(5).sample(list(permutations(told)), 12):
        message_id = await sent(town)
        for each in (*order, *order[:2]):
            assert await record(town, message_id, each)
        row = next(row for row in await town.rows() if row.id == message_id)
        seen.add((row.state, row.accepted_at, row.delivered_at, row.opened_at, row.bounced_at, row.complained_at))
    minutes = [NOON + timedelta(minutes=n) for n in (0, 1, 3, 7)]
    assert seen == {("sent", *minutes, None)}


async def test_a_message_of_nobody_or_of_another_app_is_not_known(town: Town) -> None:
    message_id = await sent(town)
    await town.run("INSERT INTO apps (id, name) VALUES ('other', 'Other')")
    assert not await record(town, uuid4(), fact("delivered"))
    assert not await town.database.run(lambda c: facts.record(c, "other", message_id, fact("delivered")), "other")
    assert [row.delivered_at for row in await town.rows()] == [None]


@pytest.mark.parametrize("kind", facts.KINDS)
async def test_whatever_is_told_of_an_unconfirmed_message_confirms_it(town: Town, kind: Kind) -> None:
    message_id = await sent(town, "ambiguous")
    assert (await town.states(), await town.listed()) == ([("unknown", "unconfirmed")], ["unknown"])
    assert await record(town, message_id, fact(kind))
    assert (await town.states(), await town.listed()) == ([("sent", None)], [])


async def test_a_message_that_waits_for_its_next_try_is_not_sent_again_once_it_is_told_of(town: Town) -> None:
    town.provider.script[:] = ["not_sent"]
    order = order_of(await enroll(town))
    await town.hands().deliver(order)
    [row] = await town.rows()
    assert row.state == "planned"
    assert await record(town, row.id, fact("delivered"))
    verdict = await town.hands().deliver(order)
    assert (verdict.sent, town.provider.taken) == (True, [])


async def test_a_message_that_was_never_tried_stays_where_it_is(town: Town) -> None:
    town.provider.script[:] = ["not_sent"]
    await town.hands().deliver(order_of(await enroll(town)))
    await town.run("UPDATE messages SET claim_epoch = 0")
    await record(town, (await town.rows())[0].id, fact("delivered"))
    assert [row.state for row in await town.rows()] == ["planned"]


@pytest.mark.parametrize("ending", ["unknown", "planned", "sent"])
async def test_what_was_told_before_our_own_call_returned_is_not_undone_by_it(town: Town, ending: str) -> None:
    message_id = await claimed(town)
    assert await record(town, message_id, fact("delivered"))
    assert [row.state for row in await town.rows()] == ["claimed"]
    await settle(town, message_id, ending)
    [row] = await town.rows()
    assert (row.state, row.reason, row.delivered_at, await town.listed()) == ("sent", None, NOON, [])


async def test_a_refusal_for_good_stays_one(town: Town) -> None:
    message_id = await claimed(town)
    await record(town, message_id, fact("bounced"))
    await settle(town, message_id, "rejected")
    assert [row.state for row in await town.rows()] == ["rejected"]


async def test_a_claim_that_lapses_after_its_message_was_told_of_is_sent(town: Town) -> None:
    message_id = await claimed(town)
    await record(town, message_id, fact("accepted"))
    await town.age_claims()
    async with town.database.transaction() as connection:
        lapsed = await unconfirmed.let_claims_lapse(connection, repeat_after=timedelta(0), safe_after=timedelta(0), patience=timedelta(0))
    assert (lapsed, await town.states(), await town.listed()) == (0, [("sent", None)], [])


async def test_a_journey_that_comes_back_to_a_lapsed_claim_that_was_told_of_finds_it_sent(town: Town) -> None:
    town.provider.script[:] = ["ambiguous"]
    order = order_of(await enroll(town))
    await town.hands().deliver(order)
    await town.run("UPDATE messages SET state = 'claimed', claim_until = now() - interval '1 s'")
    await town.run("DELETE FROM step_outcomes")
    await record(town, (await town.rows())[0].id, fact("delivered"))
    await town.hands().deliver(order)
    assert await town.states() == [("sent", None)]


async def test_what_somebody_opens_and_clicks_is_in_their_stream_once_and_told_to_who_listens(town: Town) -> None:
    await listen(town, "message_clicked")
    message_id = await sent(town)
    click = fact("clicked", 2, "c-1", detail={"url": "https://example.com/a", "link": "offer", "ip": "192.0.2.1"})
    for _ in range(2):
        await record(town, message_id, click, fact("opened", 1))
    [opened] = await stream(town, "message_opened")
    [clicked] = await stream(town, "message_clicked")
    about = {"message_id": str(message_id), "channel": "email", "template": "welcome", "journey": "onboarding", "step": "welcome"}
    assert opened.properties == about
    assert clicked.properties == about | {"url": "https://example.com/a", "link": "offer"}
    assert clicked.occurred_at == NOON + timedelta(minutes=2)
    assert len(await town.run("SELECT 1 FROM outbox")) == 1


async def test_two_clicks_are_two_events_and_the_first_is_the_moment(town: Town) -> None:
    message_id = await sent(town)
    await record(town, message_id, fact("clicked", 4), fact("clicked", 2))
    assert len(await stream(town, "message_clicked")) == 2
    assert [row.clicked_at for row in await town.rows()] == [NOON + timedelta(minutes=2)]


async def test_a_machine_that_opens_is_no_person_but_shows_that_the_message_is_out(town: Town) -> None:
    message_id = await sent(town, "ambiguous")
    await record(town, message_id, fact("opened", is_machine=True))
    [row] = await town.rows()
    assert (row.state, row.opened_at, row.accepted_at) == ("sent", None, NOON)
    assert await stream(town, "message_opened") == []


async def test_an_open_of_somebody_who_was_joined_goes_to_who_they_are_now(town: Town) -> None:
    message_id = await sent(town)
    [survivor] = await town.run("INSERT INTO users (app, user_id) VALUES ('demo', 'bea') RETURNING id")
    await town.run("UPDATE users SET merged_into = :to WHERE id = :id", to=survivor.id, id=town.user_id)
    await record(town, message_id, fact("opened"))
    assert [row.user_id for row in await town.run("SELECT user_id FROM events")] == [survivor.id]


async def test_a_message_of_an_erased_person_still_counts(town: Town) -> None:
    message_id = await sent(town)
    await town.run("UPDATE messages SET user_id = NULL, target = 'erased'")
    assert await record(town, message_id, fact("opened"))
    assert [row.opened_at for row in await town.rows()] == [NOON]
    assert await stream(town, "message_opened") == []


async def test_a_reply_is_an_event_with_its_text_and_marks_the_address(town: Town) -> None:
    message_id = await sent(town)
    digest = address_hash(APP, "email", "ann@example.com")
    reply = Reply(town.user_id, "email", "Yes, please! " * 400, "in-1", NOON, digest, message_id)
    await listen(town, "message_replied")
    for expected in (True, False):
        assert await town.database.run(lambda c: facts.replied(c, APP, reply), APP) is expected
    later = replace(reply, event_id="in-2", message_id=None, occurred_at=NOON - timedelta(hours=1))
    await town.database.run(lambda c: facts.replied(c, APP, later), APP)
    first, second = await stream(town, "message_replied")
    assert (first.properties["message_id"], first.properties["step"], len(first.properties["text"])) == (str(message_id), "welcome", 2000)
    assert (second.properties["channel"], "message_id" in second.properties) == ("email", False)
    assert [row.replied_at for row in await town.run("SELECT replied_at FROM endpoints")] == [NOON]
    assert len(await town.run("SELECT 1 FROM outbox")) == 2


async def test_many_notifications_about_the_same_messages_at_once_wait_for_each_other(town: Town) -> None:
    ids = [await sent(town) for _ in range(8)]
    told: Sequence[tuple[UUID, Fact]] = [(message_id, fact(kind)) for message_id in ids for kind in ("delivered", "opened", "clicked")]

    async def notify(seed: int) -> None:
        mixed = random.Random(seed).sample(told, len(told))
        await town.database.run(lambda c: facts.record_all(c, APP, mixed), APP)

    await asyncio.gather(*(notify(seed) for seed in range(8)))
    assert {(row.delivered_at, row.opened_at, row.clicked_at) for row in await town.rows()} == {(NOON, NOON, NOON)}
    assert len(await stream(town, "message_opened")) == len(ids)
