"""A run is planned as of one moment and sent in chunks: everybody once, whatever stands against it explained, whoever dies."""

import asyncio
import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from temporalio.testing import ActivityEnvironment

from activities.campaigns import lanes
from activities.campaigns.order import RunOrder
from activities.unknowns import Sweeper
from activities.ways import SIDE_BY_SIDE
from channels.base import Outgoing, Receipt
from journeys.language import days, email, event, hours
from journeys.language.campaigns import Version
from journeys.language.errors import Unavailable
from journeys.language.events import Goal
from journeys.language.experiments import Experiment, Variant, WinnerRule, part_of
from storage import campaign_winners
from storage.campaign_plans import CHUNK
from storage.database import Connection, Database
from storage.ids import message_id
from tests.activities.campaigns import victim
from tests.activities.campaigns.blast import Blast
from tests.activities.provider import Provider
from tests.activities.town import APP

ROOT = Path(__file__).parents[3]


async def test_everybody_of_the_segment_gets_it_once(blast: Blast) -> None:
    await blast.add_people(230)
    order = await blast.launch()
    assert await blast.tallies(order) == {("planned", None): 230}
    await blast.send(order)
    await blast.send(order)
    assert Counter(blast.town.provider.taken) == Counter(f"p{n}@example.com" for n in range(1, 231))
    assert await blast.ends() == {("sent", None): 230}
    for row in await blast.town.rows():
        assert row.source == f"campaign:{order.run_id}"
        assert row.id == message_id(began_of(row.id), "demo", row.source, "message", 1, row.target), "the id is computed, as everywhere"
    assert await blast.tallies(order) == {("planned", None): 230, ("sent", None): 230}
    assert (await blast.look(order)).chunks == 0
    assert await blast.town.listed() == []
    assert list(blast.folder.iterdir()) == [], "journals are gone with their lanes"


def began_of(number: UUID) -> datetime:
    return datetime.fromtimestamp((number.int >> 80) / 1000, tz=UTC)


async def test_a_template_is_given_what_is_known_of_the_address(blast: Blast) -> None:
    await blast.add_people(2)
    await blast.town.run("UPDATE endpoints SET device = jsonb_build_object('attributes', jsonb_build_object('n', address))")
    await blast.send(await blast.launch())
    told = {each.address: each.content.parts["variables"]["device"] for each in blast.town.provider.seen}
    assert told == {address: {"attributes": {"n": address}} for address in ("p1@example.com", "p2@example.com")}


async def test_who_comes_after_the_plan_is_not_written_to(blast: Blast) -> None:
    await blast.add_people(3)
    order = await blast.launch()
    await blast.add_people(2)
    await blast.send(order)
    assert len(blast.town.provider.taken) == 3


async def test_what_stands_against_a_message_is_found_at_its_claim_and_told(blast: Blast) -> None:
    await blast.add_people(7)
    order = await blast.launch()
    people = {row.user_id: row.id for row in await blast.town.run("SELECT user_id, id FROM users WHERE user_id LIKE 'p%'")}
    await blast.town.suppress("p1@example.com")
    blast.town.user_id = people["p2"]
    await blast.town.say("withdrawn", channel="email")
    blast.town.user_id = people["p3"]
    await blast.town.say("withdrawn", channel="email", topic="general")
    blast.town.user_id = people["p4"]
    await blast.town.say("granted", channel="email")
    await blast.town.run("UPDATE endpoints SET state = 'inactive' WHERE address = 'p5@example.com'")
    await blast.send(order)
    told: dict[tuple[str, str | None], int] = {
        ("skipped", "suppressed"): 1,
        ("skipped", "opted_out"): 1,
        ("skipped", "unsubscribed"): 1,
        ("skipped", "inactive_endpoint"): 1,
    }
    assert await blast.ends() == {**told, ("sent", None): 3}
    assert await blast.tallies(order) == {("planned", None): 7, **told, ("sent", None): 3}
    assert sorted(blast.town.provider.taken) == ["p4@example.com", "p6@example.com", "p7@example.com"]
    assert await blast.town.listed() == []


async def test_who_has_no_address_has_a_row_that_says_so(blast: Blast) -> None:
    await blast.add_people(2)
    await blast.town.run("DELETE FROM endpoints WHERE address = 'p1@example.com'")
    await blast.town.run("UPDATE endpoints SET state = 'inactive' WHERE address = 'p2@example.com'")
    order = await blast.launch()
    assert await blast.ends() == {("skipped", "no_endpoint"): 1, ("skipped", "inactive_endpoint"): 1}
    assert (await blast.look(order)).chunks == 0


async def test_a_cap_counts_what_others_sent(blast: Blast) -> None:
    await blast.town.run("""UPDATE apps SET settings = '{"caps": [{"kind": "cap", "at_most": 1, "per": "day"}]}'""")
    await blast.add_people(60)
    first, second = await blast.launch(), await blast.launch()
    await blast.send(first)
    await blast.send(second)
    assert await blast.ends() == {("sent", None): 60, ("skipped", "capped"): 60}


async def test_quiet_hours_put_it_off_by_the_clock_of_each(blast: Blast) -> None:
    quiet = '{"quiet_hours": [{"kind": "quiet_hours", "start": "00:00", "end": "23:59", "then": "wait"}]}'
    await blast.town.run("UPDATE apps SET settings = CAST(:quiet AS text)::jsonb", quiet=quiet)
    await blast.add_people(5, zone="Pacific/Kiritimati")
    order = await blast.launch()
    await blast.send(order)
    assert blast.town.provider.taken == []
    assert await blast.ends() == {("deferred", "quiet_hours"): 5}
    standing = await blast.look(order)
    assert standing.chunks == 1, "they wait together"
    [row, *_] = await blast.town.rows()
    assert standing.due_at == row.deferred_until


@pytest.mark.crash
async def test_a_killed_lane_leaves_to_the_next_what_its_journal_proves(blast: Blast, database_url: str, tmp_path: Path) -> None:
    await blast.add_people(2 * CHUNK + 20)
    order = await blast.launch()
    taken = await killed(blast, order, database_url, tmp_path)
    assert len(taken) == victim.ENOUGH
    assert await blast.recover() == 2
    assert await blast.recover() == 0
    await blast.send(order)
    ends = await blast.ends()
    # Two lanes, each with as many under way as an account is given that takes them one by one.
    under_way = 2 * SIDE_BY_SIDE
    assert ends == {("sent", None): 2 * CHUNK + 20 - under_way, ("unknown", "unconfirmed"): under_way}
    assert set(Counter([*taken, *blast.town.provider.taken]).values()) == {1}, "nobody is written to twice"
    assert await blast.tallies(order) == {("planned", None): 2 * CHUNK + 20, **ends}
    assert (await blast.look(order)).chunks == 0


@pytest.mark.crash
async def test_without_its_journal_all_that_it_had_claimed_is_unconfirmed(blast: Blast, database_url: str, tmp_path: Path) -> None:
    await blast.add_people(2 * CHUNK + 20)
    order = await blast.launch()
    taken = await killed(blast, order, database_url, tmp_path)
    for path in blast.folder.iterdir():
        path.unlink()
    await blast.send(order)
    assert (await blast.look(order)).chunks == 2, "the leases are not over"
    await blast.let_leases_end()
    await blast.send(order)
    ends = await blast.ends()
    assert ends == {("sent", None): 20, ("unknown", "unconfirmed"): 2 * CHUNK}
    assert set(Counter([*taken, *blast.town.provider.taken]).values()) == {1}
    assert await blast.tallies(order) == {("planned", None): 2 * CHUNK + 20, **ends}
    assert await blast.town.listed() == ["unknown"] * (2 * CHUNK)


async def killed(blast: Blast, order: RunOrder, url: str, tmp_path: Path) -> list[str]:
    """Whom a process wrote to that was killed in the middle."""
    record = tmp_path / "record"
    record.touch()
    given = (url, str(blast.folder), order.run_id, str(record))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.activities.campaigns.victim", *given, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    assert await asyncio.wait_for(process.stdout.readline(), 60) == b"here\n"
    process.kill()
    await process.communicate()
    return record.read_text().split()


async def test_a_pause_is_seen_in_the_middle_and_resuming_loses_nothing(blast: Blast) -> None:
    await blast.add_people(3 * CHUNK)
    blast.town.provider.is_held = True
    order = await blast.launch()
    sending = asyncio.create_task(blast.send(order))
    await blast.town.provider.called.wait()
    assert await blast.change(order, "paused")
    await asyncio.sleep(1)
    blast.town.provider.released.set()
    await sending
    seen = len(blast.town.provider.taken)
    await blast.send(order)
    assert len(blast.town.provider.taken) == seen < 3 * CHUNK, "it is paused"
    assert await blast.change(order, "running")
    await blast.let_leases_end()
    await blast.send(order)
    assert await blast.ends() == {("sent", None): 3 * CHUNK}
    assert set(Counter(blast.town.provider.taken).values()) == {1}


class Slow(Provider):
    """Takes so long for each message that the chunks at hand would go on for seven seconds."""

    async def send(self, outgoing: Outgoing) -> Receipt:
        receipt = await super().send(outgoing)
        await asyncio.sleep(7 * SIDE_BY_SIDE / CHUNK)
        return receipt


async def test_after_a_pause_nothing_more_is_claimed_and_what_was_claimed_is_not_begun(blast: Blast) -> None:
    """By the clock of Postgres, from the pause's commit: a second is promised, and a slow machine is given three."""
    blast.town.provider = Slow()
    await blast.add_people(8 * CHUNK)
    order = await blast.launch()
    sending = asyncio.create_task(blast.send(order))
    await blast.town.provider.called.wait()
    assert await blast.change(order, "paused")
    [[paused_at]] = await blast.town.run("SELECT clock_timestamp()")
    await sending
    [row] = await blast.town.run("SELECT max(claimed_at) AS claimed_at, max(settled_at) AS settled_at FROM messages")
    assert row.claimed_at - paused_at < timedelta(seconds=3)
    assert timedelta(0) < row.settled_at - paused_at < timedelta(seconds=3)
    assert 0 < len(blast.town.provider.taken) < 4 * CHUNK, "the chunks that were taken were not sent to their end"


async def test_a_stopped_run_skips_what_has_not_left(blast: Blast) -> None:
    await blast.add_people(120)
    order = await blast.launch()
    assert await blast.change(order, "stopped")
    await blast.send(order)
    await ActivityEnvironment().run(blast.runs.skip_left, order, "stopped")
    assert await blast.ends() == {("skipped", "stopped"): 120}
    assert (await blast.look(order)).chunks == 0
    assert not await blast.change(order, "running"), "it is over"


async def test_what_was_certainly_not_sent_is_tried_again_and_what_failed_can_be_sent_by_another_run(blast: Blast) -> None:
    await blast.add_people(4)
    blast.town.provider.script[:] = ["not_sent", "rejected", "ambiguous", "ok"]
    order = await blast.launch()
    await blast.send(order)
    assert await blast.ends() == {
        ("planned", "not_sent"): 1,
        ("rejected", "rejected"): 1,
        ("unknown", "unconfirmed"): 1,
        ("sent", None): 1,
    }
    await blast.let_leases_end()
    await blast.send(order)
    assert (await blast.ends())["sent", None] == 2
    again = await blast.begin(repeats=UUID(order.run_id))
    await blast.runs.plan(again)
    assert await blast.tallies(again) == {("planned", None): 1}
    await blast.send(again)
    assert (await blast.ends())["sent", None] == 3, "what nobody knows of is left alone"


async def test_a_campaign_leaves_at_the_same_time_on_everybodys_clock(blast: Blast) -> None:
    """Nine in the morning comes to Kiritimati, beyond the date line, 25 hours before it comes to Pago Pago."""
    await blast.add_people(3, zone="Pacific/Kiritimati")
    await blast.add_people(3, zone="Pacific/Pago_Pago")
    now = datetime.now(UTC)
    order = await blast.launch(local_at=(now + timedelta(hours=1)).replace(tzinfo=None).isoformat())
    await blast.send(order)
    assert sorted(blast.town.provider.taken) == [f"p{n}@example.com" for n in (1, 2, 3)]
    standing = await blast.look(order)
    assert standing.due_at is not None
    assert timedelta(hours=11) < standing.due_at - now < timedelta(hours=13)


async def test_whose_zone_nobody_knows_has_the_clock_of_the_app(blast: Blast) -> None:
    await blast.town.run("""UPDATE apps SET settings = '{"timezone": "Pacific/Kiritimati"}'""")
    await blast.add_people(2)
    await blast.add_people(1, zone="Pacific/Pago_Pago")
    order = await blast.launch(local_at=(datetime.now(UTC) + timedelta(hours=1)).replace(tzinfo=None).isoformat())
    await blast.send(order)
    assert sorted(blast.town.provider.taken) == ["p1@example.com", "p2@example.com"]


@pytest.mark.parametrize(("comes_from", "goes_to"), [("Pago_Pago", "Kiritimati"), ("Kiritimati", "Pago_Pago")])
async def test_who_crosses_the_date_line_meanwhile_gets_it_once_by_the_clock_that_they_have_then(
    blast: Blast, comes_from: str, goes_to: str
) -> None:
    """In 15 hours' time of UTC's wall: in an hour in Kiritimati, in 26 in Pago Pago."""
    await blast.add_people(1, zone=f"Pacific/{comes_from}")
    now = datetime.now(UTC)
    order = await blast.launch(local_at=(now + timedelta(hours=15)).replace(tzinfo=None).isoformat())
    await blast.send(order)
    await blast.town.run("UPDATE users SET timezone = :zone WHERE timezone IS NOT NULL", zone=f"Pacific/{goes_to}")
    await blast.let_leases_end(timedelta(hours=30))
    await blast.send(order)
    standing = await blast.look(order)
    assert standing.due_at is not None
    expected = timedelta(hours=1 if goes_to == "Kiritimati" else 26)
    assert abs(standing.due_at - now - expected) < timedelta(minutes=5)
    assert blast.town.provider.taken == []
    await blast.pass_time(order, expected + timedelta(minutes=5))
    for _ in range(2):
        await blast.send(order)
    assert blast.town.provider.taken == ["p1@example.com"]
    assert await blast.tallies(order) == {("planned", None): 1, ("sent", None): 1}
    assert (await blast.look(order)).chunks == 0


async def test_who_got_it_and_crosses_the_date_line_to_the_day_before_does_not_get_it_again(blast: Blast) -> None:
    """The hour comes to Pago Pago 25 hours after it came to Kiritimati: to who is there both times, once."""
    await blast.add_people(1, zone="Pacific/Kiritimati")
    await blast.add_people(1, zone="Pacific/Pago_Pago")
    wall = (datetime.now(UTC) + timedelta(hours=13)).replace(tzinfo=None)
    order = await blast.launch(local_at=wall.isoformat())
    await blast.send(order)
    assert blast.town.provider.taken == ["p1@example.com"]
    await blast.town.run("UPDATE users SET timezone = 'Pacific/Pago_Pago' WHERE timezone IS NOT NULL")
    await blast.pass_time(order, timedelta(hours=26))
    for _ in range(2):
        await blast.send(order)
    assert blast.town.provider.taken == ["p1@example.com", "p2@example.com"]
    assert await blast.tallies(order) == {("planned", None): 2, ("sent", None): 2}


async def test_a_stop_in_the_middle_lets_nothing_more_leave_and_accounts_for_everybody(blast: Blast) -> None:
    await blast.add_people(3 * CHUNK)
    blast.town.provider.is_held = True
    order = await blast.launch()
    sending = asyncio.create_task(blast.send(order))
    await blast.town.provider.called.wait()
    assert await blast.change(order, "stopped")
    await asyncio.sleep(1)
    blast.town.provider.released.set()
    await sending
    left = len(blast.town.provider.taken)
    await blast.let_leases_end()
    await ActivityEnvironment().run(blast.runs.skip_left, order, "stopped")
    await blast.send(order)
    assert len(blast.town.provider.taken) == left < 3 * CHUNK
    ends = {("sent", None): left, ("skipped", "stopped"): 3 * CHUNK - left}
    assert await blast.ends() == ends
    assert await blast.tallies(order) == {("planned", None): 3 * CHUNK, **ends}
    assert (await blast.look(order)).chunks == 0


async def test_a_stop_skips_also_what_waits_for_its_time_and_for_a_winner(blast: Blast) -> None:
    await blast.add_people(60)
    rule = WinnerRule(50, after=hours(1), until=hours(2))
    order = await blast.launch(message=None, versions=TWO_TIMES, winner=rule, goal=Goal(event("bought"), days(1)))
    await blast.send(order)
    left = len(blast.town.provider.taken)
    assert await blast.change(order, "stopped")
    await ActivityEnvironment().run(blast.runs.skip_left, order, "stopped")
    assert 0 < left < 30
    assert await blast.ends() == {("sent", None): left, ("skipped", "stopped"): 60 - left}
    assert (await blast.look(order)).chunks == 0


TWO_TIMES = (Version("morning", 50, email("welcome")), Version("evening", 50, email("welcome"), after=hours(9)))


async def test_a_version_is_sent_so_long_after_the_plan_as_it_says(blast: Blast) -> None:
    await blast.add_people(120)
    order = await blast.launch(message=None, versions=TWO_TIMES)
    people = Counter(row.step for row in await blast.town.rows())
    await blast.send(order)
    ends = await blast.town.run("SELECT DISTINCT step, state FROM messages ORDER BY step")
    assert [(row.step, row.state) for row in ends] == [("evening", "planned"), ("morning", "sent")]
    [wait], standing = await blast.waits(order), await blast.look(order)
    assert (wait.step, wait.reason, wait.messages) == ("evening", "not_due", people["evening"])
    assert standing.due_at == wait.first_at
    assert standing.over_at is not None
    assert standing.due_at is not None
    planned_at = standing.over_at - timedelta(hours=72)
    assert abs(standing.due_at - planned_at - timedelta(hours=9)) < timedelta(seconds=5)
    await blast.let_leases_end(timedelta(hours=9))
    await blast.send(order)
    assert await blast.ends() == {("sent", None): 120}
    assert await blast.waits(order) == []


async def test_quiet_hours_and_pauses_hold_for_a_version_when_its_time_has_come(blast: Blast) -> None:
    await blast.add_people(20, zone="Pacific/Kiritimati")
    order = await blast.launch(message=None, versions=TWO_TIMES)
    await blast.send(order)
    await blast.let_leases_end(timedelta(hours=9))
    await blast.change(order, "paused")
    assert [each.reason for each in await blast.waits(order)] == ["paused"]
    await blast.change(order, "running")
    quiet = '{"quiet_hours": [{"kind": "quiet_hours", "start": "00:00", "end": "23:59", "then": "wait"}]}'
    await blast.town.run("UPDATE apps SET settings = CAST(:quiet AS text)::jsonb", quiet=quiet)
    await blast.send(order)
    [wait] = await blast.waits(order)
    assert (wait.step, wait.reason) == ("evening", "quiet_hours")
    [row, *_] = await blast.town.run("SELECT DISTINCT deferred_until FROM messages WHERE step = 'evening'")
    assert (wait.first_at, wait.last_at) == (row.deferred_until, row.deferred_until)


async def test_on_everybodys_own_clock_a_version_comes_so_much_later_on_it(blast: Blast) -> None:
    """In New York the wall shows 23:30 before clocks go forward, and nine hours later 08:30, though only eight have passed."""
    await blast.add_people(30, zone="America/New_York")
    order = await blast.launch(message=None, versions=TWO_TIMES, local_at="2999-03-09T23:30")
    await blast.send(order)
    assert {each.reason for each in await blast.waits(order)} == {"local_time"}
    due = {each.step: each.first_at for each in await blast.waits(order)}
    zone = ZoneInfo("America/New_York")
    assert due == {
        "morning": datetime(2999, 3, 9, 23, 30, tzinfo=zone).astimezone(UTC),
        "evening": datetime(2999, 3, 10, 8, 30, tzinfo=zone).astimezone(UTC),
    }


async def test_what_a_run_waits_for_is_told_with_its_number_and_moment(blast: Blast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "_SLICE_S", 0.5)
    await blast.add_people(60)
    order = await blast.launch(per_second=50)
    await blast.send(order)
    assert [(each.reason, each.messages) for each in await blast.waits(order)] == [("run_rate", 10)]
    await blast.town.run("UPDATE apps SET paused_at = now()")
    assert [(each.reason, each.messages) for each in await blast.waits(order)] == [("paused", 10)]
    await blast.town.run("UPDATE apps SET paused_at = NULL")
    await blast.town.run("UPDATE campaign_runs SET next_slot_at = NULL")
    assert [(each.reason, each.messages) for each in await blast.waits(order)] == [("planned", 10)]
    blast.town.provider.script[:] = ["not_sent"]
    await blast.town.run("UPDATE campaign_runs SET next_slot_at = NULL")
    await blast.send(order)
    waits = await blast.waits(order)
    assert ({each.reason for each in waits}, sum(each.messages for each in waits)) == ({"not_sent"}, 10)
    assert all(each.first_at is not None and each.first_at > datetime.now(UTC) for each in waits)


async def test_who_waits_for_a_winner_waits_for_no_moment(blast: Blast) -> None:
    await blast.add_people(60)
    rule = WinnerRule(50, after=hours(1), until=hours(2))
    order = await blast.launch(message=None, versions=TWO_TIMES, winner=rule, goal=Goal(event("bought"), days(1)))
    [wait] = [each for each in await blast.waits(order) if each.step == "rest"]
    assert (wait.reason, wait.first_at, wait.last_at) == ("no_winner_yet", None, None)
    await blast.let_leases_end(timedelta(hours=9))
    await blast.send(order)
    assert (await blast.look(order)).due_at is None


async def test_a_winner_that_is_decided_while_lanes_run_reaches_the_rest(blast: Blast, monkeypatch: pytest.MonkeyPatch) -> None:
    await blast.add_people(60)
    versions = (Version("a", 50, email("welcome")), Version("b", 50, email("welcome")))
    rule = WinnerRule(50, after=hours(1), until=hours(2))
    order = await blast.launch(message=None, versions=versions, winner=rule, goal=Goal(event("bought"), days(1)))
    real, asked = campaign_winners.of_run, 0

    async def unknown_at_first(*given: Any) -> str | None:
        nonlocal asked
        asked += 1
        return None if asked == 1 else await real(*given)

    async with blast.town.database.transaction() as connection:
        assert await campaign_winners.decide(connection, APP, UUID(order.run_id), "b")
    monkeypatch.setattr(campaign_winners, "of_run", unknown_at_first)
    await blast.send(order)
    assert await blast.ends() == {("sent", None): 60}


async def test_versions_holdout_and_those_who_wait_for_a_winner_are_drawn_as_python_draws_them(blast: Blast) -> None:
    await blast.add_people(400)
    versions = (Version("a", 30, email("welcome")), Version("b", 70, email("welcome")))
    rule = WinnerRule(50, after=hours(1), until=hours(2))
    goal = Goal(event("bought"), days(1))
    await blast.launch(message=None, versions=versions, holdout=20, winner=rule, goal=goal)
    experiment = Experiment((Variant("a", 30), Variant("b", 70)), goal, winner=rule, holdout=20)
    parts = {f"p{n}": part_of(experiment, "demo", "spring-sale", f"p{n}") for n in range(1, 401)}
    wanted = Counter("held_out" if part == "held_out" else part if isinstance(part, str) else part.name for part in parts.values())
    rows = await blast.town.run("SELECT u.user_id, m.step, m.reason FROM messages m JOIN users u ON u.id = m.user_id")
    assert Counter("held_out" if row.reason == "held_out" else row.step for row in rows) == wanted
    for row in rows:
        part = parts[row.user_id]
        assert (row.reason == "held_out") == (part == "held_out")
        assert row.reason == "held_out" or row.step == (part if isinstance(part, str) else part.name)
    due = await blast.town.run("SELECT step, bool_and(due_at = 'infinity') AS waits FROM campaign_chunks GROUP BY step ORDER BY step")
    assert [(row.step, row.waits) for row in due] == [("a", False), ("b", False), ("rest", True)]


async def test_a_bound_on_messages_a_second_is_kept_by_all_lanes_together(blast: Blast) -> None:
    await blast.add_people(60)
    order = await blast.launch(per_second=20)
    began = time.monotonic()
    await blast.send(order)
    assert await blast.ends() == {("sent", None): 60}
    assert 1.9 < time.monotonic() - began < 4, "the first chunk leaves at once, then one each second"


async def test_what_waits_apart_takes_no_more_of_the_bound_than_it_is(blast: Blast) -> None:
    await blast.add_people(5)
    order = await blast.launch(per_second=5)
    blast.town.provider.script[:] = ["not_sent"] * 5
    await blast.send(order)
    await blast.town.run("UPDATE campaign_chunks SET message_ids = message_ids[1:1], due_at = now() - interval '1 minute'")
    await blast.town.run("UPDATE campaign_runs SET next_slot_at = NULL")
    await blast.send(order)
    [run] = await blast.town.run("SELECT next_slot_at - clock_timestamp() AS left FROM campaign_runs")
    assert run.left < timedelta(milliseconds=200)


async def test_a_claim_whose_commit_was_not_answered_is_not_unconfirmed(blast: Blast, monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection is cut after COMMIT: the lane hears that nothing happened, and its journal knows better."""
    await blast.add_people(50)
    order = await blast.launch()
    run, cuts = Database.run, iter([True])

    async def cut_once(database: Database, work: Any) -> Any:
        found = await run(database, work)
        if "take_and_claim" in str(work) and next(cuts, False):
            raise Unavailable("cut")
        return found

    monkeypatch.setattr(Database, "run", cut_once)
    await blast.send(order)
    await blast.let_leases_end()
    await blast.send(order)
    assert await blast.ends() == {("sent", None): 50}


async def test_a_claim_that_was_rolled_back_is_not_taken_from_the_lane_that_makes_it_again(
    blast: Blast, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Postgres dies before COMMIT is kept: the next lane claims the same messages under the same epochs, and is sending them."""
    await blast.add_people(50)
    order = await blast.launch()
    blast.lanes = 1
    dead = await died_before_commit(blast, order, monkeypatch)
    blast.town.provider.is_held = True
    sending = asyncio.create_task(blast.send(order))
    await blast.town.provider.called.wait()
    dead.cancel()
    await asyncio.wait([dead])
    assert await blast.recover() == 1
    assert await blast.ends() == {("claimed", None): 50}
    standing = await blast.look(order)
    assert standing.due_at is not None
    assert standing.due_at > datetime.now(UTC), "nobody else is asked to send them"
    blast.town.provider.released.set()
    await sending
    await blast.send(order)
    assert set(Counter(blast.town.provider.taken).values()) == {1}
    assert await blast.ends() == {("sent", None): 50}
    assert (await blast.look(order)).chunks == 0


async def died_before_commit(blast: Blast, order: RunOrder, monkeypatch: pytest.MonkeyPatch) -> "asyncio.Task[None]":
    """A lane whose journal holds claims that no COMMIT kept. It does nothing more until it is cancelled."""
    run, has_died = Database.run, asyncio.Event()

    async def roll_back(database: Database, work: Any) -> Any:
        async def work_in_vain(connection: Connection) -> Any:
            await work(connection)
            has_died.set()
            raise Unavailable("it died")

        return await run(database, work_in_vain if "take_and_claim" in str(work) else work)

    with monkeypatch.context() as patch:
        patch.setattr(Database, "run", roll_back)
        patch.setattr(lanes, "_AWAY_S", 600.0)
        dead = asyncio.create_task(blast.send(order))
        await has_died.wait()
        await asyncio.sleep(0.1)  # until it waits for Postgres to come back
    return dead


async def test_what_is_unconfirmed_of_a_transactional_campaign_is_listed_and_given_up_and_never_repeated(blast: Blast) -> None:
    await blast.add_people(1)
    blast.town.provider.script[:] = ["ambiguous", "ok"]
    order = await blast.launch(message_class="transactional")
    await blast.send(order)
    sweeper = Sweeper(blast.town.database, blast.town.timing)
    await blast.town.age_unknowns(timedelta(minutes=10))
    assert (await sweeper.sweep()).planned_again == 0
    assert await blast.town.listed() == ["unknown"]
    await blast.town.age_unknowns(timedelta(hours=73))
    assert (await sweeper.sweep()).given_up == 1
    assert await blast.ends() == {("given_up", "unconfirmed"): 1}
    assert len(blast.town.provider.record) == 1


async def test_what_an_account_refuses_for_now_waits_together(blast: Blast) -> None:
    await blast.add_people(50)
    blast.town.provider.script[:] = ["not_sent"]
    order = await blast.launch()
    await blast.send(order)
    assert (await blast.ends())["planned", "not_sent"] == 50
    assert (await blast.look(order)).chunks <= 3


async def test_a_month_without_a_partition_of_its_own_stops_no_run(blast: Blast) -> None:
    await blast.town.run(f"DROP TABLE messages_{datetime.now(UTC):%Y%m}")
    await blast.add_people(3)
    await blast.send(await blast.launch())
    assert await blast.ends() == {("sent", None): 3}
