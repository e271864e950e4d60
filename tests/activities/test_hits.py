"""Opens and clicks are judged a few seconds after they came: people's become facts and events, programs' do not."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import UUID, uuid4

import pytest

from activities.hits import HitLane, Pace, told
from channels.tracking import link_hash
from storage import tracked_links, tracking_hits
from storage.tracked_links import SentLink
from storage.tracking_hits import Hit, Waiting
from tests.activities.town import Town, enroll, order_of

AT = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
MESSAGE = UUID("019a0000-0000-8000-8000-000000000001")
AT_ONCE = Pace(rest=timedelta(0), quiet=timedelta(0))


class DeathError(Exception):
    """Stands for a SIGKILL: the transaction that is open does not commit."""


def hit(kind: Literal["open", "click"], after_s: float, link: bytes = b"", machine: str = "", message: UUID = MESSAGE) -> Waiting:
    """A hit so long after the message was sent."""
    at = AT + timedelta(seconds=after_s)
    return Waiting(Hit("demo", message, kind, link, machine), at, at.replace(second=0, microsecond=0), "https://shop.example/", AT)


def people(*hits: Waiting) -> list[str]:
    return [fact.kind for _, fact in told(hits) if not fact.is_machine]


@pytest.mark.parametrize(
    ("hits", "by_people"),
    [
        ([hit("open", 60)], ["opened"]),
        ([hit("open", 1)], []),  # while it was being sent
        ([hit("open", 60, machine="apple_mpp")], []),
        ([hit("click", 60, b"a")], ["opened", "clicked"]),  # who clicks has opened
        ([hit("click", 1, b"a")], ["opened", "clicked"]),  # a quick reader of a text message
        ([hit("click", 60, b"a", "scanner")], []),
        ([hit("click", 60, b"a"), hit("click", 60.9, b"b")], []),  # nobody follows two links at once
        ([hit("click", 60, b"a"), hit("click", 60.2, b"b"), hit("click", 90, b"a")], ["opened", "clicked"]),
        ([hit("click", 60, b"a"), hit("click", 62, b"b")], ["opened", "clicked"] * 2),
        ([hit("click", 60, b"a"), hit("click", 60.1, b"a")], ["opened", "clicked"] * 2),  # a double click on one
        ([hit("click", 60, b"a"), hit("click", 60.1, b"b", message=uuid4())], ["opened", "clicked"] * 2),  # of two messages
    ],
)
def test_people_are_told_from_programs(hits: list[Waiting], by_people: list[str]) -> None:
    assert people(*hits) == by_people


def test_the_same_link_within_a_minute_has_one_event_id() -> None:
    hits = [hit("click", 60, b"a"), hit("click", 70, b"a"), hit("click", 130, b"a"), hit("click", 60, b"b")]
    assert len({fact.event_id for _, fact in told(hits)}) == 5  # two opens of two minutes; a twice, b once


async def sent(town: Town) -> UUID:
    await town.endpoint()
    await town.hands().deliver(order_of(await enroll(town)))
    row = (await town.rows())[-1]
    await town.run("UPDATE messages SET claimed_at = claimed_at - interval '1 hour'")
    return UUID(str(row.id))


def lane(town: Town, pace: Pace = AT_ONCE) -> tuple[HitLane, list[str]]:
    woken: list[str] = []
    return HitLane(town.database, woken.append, pace), woken


async def note(town: Town, *hits: Hit) -> None:
    for each in hits:
        async with town.database.transaction("demo") as connection:
            await tracking_hits.note(connection, each)


async def events(town: Town) -> list[tuple[str, dict[str, Any]]]:
    rows = await town.run("SELECT name, properties FROM events WHERE name LIKE 'message_%' ORDER BY name")
    return [(row.name, row.properties) for row in rows]


async def test_a_click_becomes_a_fact_and_an_event(town: Town) -> None:
    message, link = await sent(town), link_hash("demo", "https://shop.example/sale")
    async with town.database.transaction() as connection:
        await tracked_links.remember(connection, [SentLink("demo", link, "https://shop.example/sale")])
    judge, woken = lane(town)
    await note(town, Hit("demo", message, "click", link))
    assert await judge.pass_once() == 1
    row = (await town.rows())[0]
    assert row.clicked_at
    assert row.opened_at == row.clicked_at
    (clicked, properties), (opened, _) = await events(town)
    assert (clicked, opened) == ("message_clicked", "message_opened")
    assert (properties["url"], properties["step"], properties["message_id"]) == ("https://shop.example/sale", "welcome", str(message))
    assert woken == ["sojourn_outbox"]
    assert await town.run("SELECT * FROM tracking_hits") == []
    assert await judge.pass_once() == 0


async def test_what_programs_do_is_no_event_and_no_open(town: Town) -> None:
    message = await sent(town)
    judge, _ = lane(town)
    await note(town, Hit("demo", message, "open", machine="apple_mpp"), Hit("demo", message, "click", b"12345678", "scanner"))
    assert await judge.pass_once() == 2
    row = (await town.rows())[0]
    assert (row.opened_at, row.clicked_at, await events(town)) == (None, None, [])


async def test_a_scanner_that_follows_every_link_is_found_whatever_it_calls_itself(town: Town) -> None:
    message = await sent(town)
    judge, _ = lane(town)
    await note(town, *(Hit("demo", message, "click", bytes([number]) * 8) for number in range(5)))
    assert await judge.pass_once() == 5
    assert (await town.rows())[0].clicked_at is None


async def test_links_followed_one_after_another_are_judged_together(town: Town) -> None:
    """The first has rested, the second has just come: both wait, or each would look like a person's."""
    message = await sent(town)
    judge, _ = lane(town, Pace(rest=timedelta(seconds=2), quiet=timedelta(seconds=1)))
    old = datetime.now(UTC) - timedelta(seconds=3)
    await note(town, Hit("demo", message, "click", b"11111111", at=old), Hit("demo", message, "click", b"22222222"))
    assert await judge.pass_once() == 0
    await town.run("UPDATE tracking_hits SET at = at - interval '3 seconds'")
    assert await judge.pass_once() == 2


async def test_a_hit_for_somebody_who_is_gone_is_dropped(town: Town) -> None:
    judge, _ = lane(town)
    await note(town, Hit("demo", uuid4(), "open"))
    assert await judge.pass_once() == 1
    assert await events(town) == []


async def test_one_judge_at_a_time_and_a_death_in_the_middle_loses_nothing(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    message = await sent(town)
    first = datetime.now(UTC) - timedelta(minutes=40)
    await note(town, *(Hit("demo", message, "open", at=first + timedelta(minutes=number)) for number in range(20)))

    async def dies(*_: object) -> None:
        raise DeathError

    with monkeypatch.context() as patched:
        patched.setattr(tracking_hits, "drop", dies)
        with pytest.raises(DeathError):
            await lane(town)[0].pass_once()
    assert await events(town) == []
    counted = await asyncio.gather(*(lane(town)[0].pass_once() for _ in range(4)))
    assert sum(counted) == 20
    assert len(await events(town)) == 20


async def test_a_repeat_of_what_was_judged_changes_nothing(town: Town) -> None:
    message = await sent(town)
    judge, _ = lane(town)
    at = datetime.now(UTC) - timedelta(minutes=40)
    for _ in range(3):
        await note(town, Hit("demo", message, "open", at=at))
        await judge.pass_once()
    assert len(await events(town)) == 1


async def test_what_is_known_of_other_apps_is_left_to_them(town: Town) -> None:
    message = await sent(town)
    await town.run("INSERT INTO apps (id, name) VALUES ('other', 'Other')")
    judge, _ = lane(town)
    async with town.database.transaction("other") as connection:
        await tracking_hits.note(connection, replace(Hit("demo", message, "open"), app="other"))
    assert await judge.pass_once() == 1
    assert (await town.rows())[0].opened_at is None
