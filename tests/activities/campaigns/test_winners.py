"""Who lets the rest of a campaign's people have the winner: when it looks, and what it writes down."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from activities.campaigns.winners import Winners
from journeys.language import days, email, event, hours, minutes
from journeys.language.campaigns import Campaign, Version, WinnerRule
from journeys.language.codec import campaign_to_json
from journeys.language.durations import Duration
from storage import campaign_runs, campaign_winners
from storage.campaign_winners import Verdict
from storage.database import Database
from storage.ids import message_id

RUN = UUID(int=7)
VERSIONS = [Version("plain", 50, email("plain")), Version("bold", 50, email("bold"))]


def campaign(**rule: object) -> Campaign:
    given = {"tested": 20, "after": minutes(0), "until": hours(24), "at_least": 10, **rule}
    return Campaign("sale", "golden", versions=VERSIONS, goal=event("order_placed").within(days(3)), winner=WinnerRule(**given))  # type: ignore[arg-type]


async def begin(database: Database, tested: Campaign) -> None:
    """A run whose rest waits, while one chunk of the tested is still to be sent."""
    async with database.transaction() as connection:
        written = campaign_to_json(tested).decode()
        await campaign_runs.begin(connection, "demo", RUN, campaign="sale", version=1, definition=written)
        await connection.exec_driver_sql("UPDATE campaign_runs SET state = 'running', planned_at = now()")
        run = await campaign_runs.get(connection, "demo", RUN)
        assert run is not None
        waits = message_id(run.began_at, "demo", f"campaign:{RUN}", "rest", 1, "1")
        await connection.exec_driver_sql(
            "INSERT INTO messages (id, app, user_id, source, step, visit, target, channel, message_class, state)"
            f" VALUES ('{waits}', 'demo', 1, 'campaign:{RUN}', 'rest', 1, '1', 'email', 'marketing', 'planned')"
        )
        await connection.exec_driver_sql(
            "INSERT INTO campaign_chunks (app, run_id, step, message_ids, due_at) VALUES"
            f" ('demo', '{RUN}', 'plain', ARRAY[gen_random_uuid()], now()), ('demo', '{RUN}', 'rest', ARRAY['{waits}'::uuid], 'infinity')"
        )


async def end_of_test(database: Database, *, ago: timedelta = timedelta(hours=1)) -> None:
    async with database.transaction() as connection:
        await connection.exec_driver_sql("DELETE FROM campaign_chunks WHERE step = 'plain'")
        await connection.exec_driver_sql(
            "INSERT INTO campaign_winners (app, run_id, tested_at, look_at, because)"
            f" VALUES ('demo', '{RUN}', now() - interval '{ago.total_seconds()} s', now(), 'too_early')"
        )


async def sent(
    database: Database, step: str, people: int, converted: int, *, ago: timedelta = timedelta(hours=1), skipped: str | None = None
) -> None:
    """So many people got this version so long ago, or were skipped for this reason; and so many of them ordered a minute ago."""
    state, reason = ("skipped", f"'{skipped}'") if skipped else ("sent", "NULL")
    async with database.transaction() as connection:
        await connection.exec_driver_sql(
            f"""
            WITH made AS (
                INSERT INTO users (app) SELECT 'demo' FROM generate_series(1, {people}) RETURNING id
            ), written AS (
                INSERT INTO messages (id, app, user_id, source, step, visit, target, channel, message_class, state, reason,
                    settled_at)
                SELECT gen_random_uuid(), 'demo', id, 'campaign:{RUN}', '{step}', 1, id::text, 'email', 'marketing', '{state}', {reason},
                    now() - interval '{ago.total_seconds()} s' FROM made
            )
            INSERT INTO events (app, received_at, user_id, event_id, name, occurred_at)
            SELECT 'demo', now(), id, id::text, 'order_placed', now() - interval '1 minute' FROM made ORDER BY made.id LIMIT {converted}
            """
        )


async def look(database: Database) -> tuple[Verdict | None, bool]:
    """What is written down after a look, and whether the rest is let go."""
    await Winners(database).look()
    async with database.transaction() as connection:
        verdict = await campaign_winners.verdict(connection, "demo", RUN)
        due = "SELECT due_at <= clock_timestamp() FROM campaign_chunks WHERE step = 'rest'"
        return verdict, bool((await connection.exec_driver_sql(due)).scalar())


async def test_nothing_is_asked_while_tested_people_are_written_to(database: Database) -> None:
    await begin(database, campaign())
    assert await look(database) == (None, False)
    async with database.transaction() as connection:
        await connection.exec_driver_sql("DELETE FROM campaign_chunks WHERE step = 'plain'")
    verdict, _ = await look(database)
    assert verdict is not None
    assert verdict.because == "too_few"


async def test_the_rest_gets_the_winner_once_it_is_sure(database: Database) -> None:
    await begin(database, campaign())
    await end_of_test(database)
    await sent(database, "plain", 300, 10)
    await sent(database, "bold", 300, 150)
    verdict, is_let_go = await look(database)
    assert verdict is not None
    assert (verdict.variant, verdict.because, verdict.look_at, is_let_go) == ("bold", "winner", None, True)
    async with database.transaction() as connection:
        assert await campaign_winners.of_run(connection, "demo", RUN) == "bold"
        assert not await campaign_winners.decide(connection, "demo", RUN, "plain")


async def test_of_two_channels_a_version_wins_although_the_other_reaches_few(database: Database) -> None:
    """Everybody was to get one of them, half and half, and who cannot be reached has not ordered less by chance."""
    await begin(database, campaign())
    await end_of_test(database)
    await sent(database, "plain", 300, 120)
    await sent(database, "bold", 60, 24)
    await sent(database, "bold", 240, 10, skipped="no_endpoint")
    verdict, is_let_go = await look(database)
    assert verdict is not None
    assert (verdict.variant, verdict.because, is_let_go) == ("plain", "winner", True)


async def test_a_version_that_reaches_hardly_anybody_is_not_judged(database: Database) -> None:
    await begin(database, campaign())
    await end_of_test(database)
    await sent(database, "plain", 300, 120)
    await sent(database, "bold", 9, 5)
    await sent(database, "bold", 291, 0, skipped="no_endpoint")
    verdict, _ = await look(database)
    assert verdict is not None
    assert verdict.because == "too_few"


@pytest.mark.parametrize("later", [hours(24), None], ids=["planned for later", "left later"])
async def test_a_version_that_was_sent_earlier_wins_nothing_by_having_had_more_time(database: Database, later: Duration | None) -> None:
    """The first was sent a day before the second, and was answered after a day by half of its people."""
    versions = [VERSIONS[0], replace(VERSIONS[1], after=later)]
    for ago, chosen in ((timedelta(hours=1), None), (timedelta(hours=26), "plain")):
        await database_again(database)
        await begin(database, replace(campaign(until=hours(30)), versions=versions, lasts=days(3)))
        await end_of_test(database, ago=ago)
        await sent(database, "plain", 300, 150, ago=timedelta(hours=25))
        await sent(database, "bold", 300, 10)
        verdict, _ = await look(database)
        assert verdict is not None
        assert verdict.variant == chosen


async def database_again(database: Database) -> None:
    async with database.transaction() as connection:
        for table in ("campaign_winners", "campaign_chunks", "campaign_runs", "events", "messages"):
            await connection.exec_driver_sql(f"DELETE FROM {table}")


async def test_before_its_time_it_only_says_when_to_look_again(database: Database) -> None:
    await begin(database, campaign(after=hours(2)))
    await end_of_test(database)
    await sent(database, "plain", 300, 10)
    await sent(database, "bold", 300, 150)
    verdict, is_let_go = await look(database)
    assert verdict is not None
    assert (verdict.because, verdict.decided_at, is_let_go) == ("too_early", None, False)
    assert verdict.look_at == verdict.tested_at + timedelta(hours=2)


async def test_people_who_are_not_spread_as_the_weights_say_wait_for_a_person(database: Database) -> None:
    await begin(database, campaign())
    await end_of_test(database)
    await sent(database, "plain", 300, 10)
    await sent(database, "bold", 900, 450)
    verdict, is_let_go = await look(database)
    assert verdict is not None
    assert (verdict.because, verdict.look_at, verdict.decided_at, is_let_go) == ("suspect", None, None, False)


async def test_when_time_is_over_without_a_winner_the_rest_gets_what_was_agreed(database: Database) -> None:
    await begin(database, campaign(until=minutes(1), otherwise="nothing"))
    await end_of_test(database, ago=timedelta(0))
    await sent(database, "plain", 20, 3)
    await sent(database, "bold", 20, 3)
    verdict, _ = await look(database)
    assert verdict is not None
    assert verdict.because == "not_clear"
    async with database.transaction() as connection:
        await connection.exec_driver_sql("UPDATE campaign_winners SET tested_at = now() - interval '2 minutes', look_at = now()")
    verdict, is_let_go = await look(database)
    assert verdict is not None
    assert (verdict.variant, verdict.because, verdict.decided_at is not None, is_let_go) == (None, "nothing", True, False)
    async with database.transaction() as connection:
        assert (await connection.exec_driver_sql("SELECT state, reason FROM messages WHERE step = 'rest'")).one() == (
            "skipped",
            "no_winner",
        )
        assert (await connection.exec_driver_sql("SELECT count(*) FROM campaign_chunks")).scalar_one() == 0
        [tally] = [each for each in await campaign_runs.tallies(connection, "demo", RUN) if each.step == "rest"]
    assert (tally.state, tally.reason, tally.messages) == ("skipped", "no_winner", 1)


async def test_a_paused_run_is_not_decided(database: Database) -> None:
    await begin(database, campaign())
    await end_of_test(database)
    await sent(database, "plain", 300, 10)
    await sent(database, "bold", 300, 150)
    async with database.transaction() as connection:
        await campaign_runs.change(connection, "demo", RUN, "paused")
    verdict, is_let_go = await look(database)
    assert verdict is not None
    assert (verdict.variant, verdict.decided_at, is_let_go) == (None, None, False)
