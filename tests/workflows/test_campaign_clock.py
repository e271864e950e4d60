"""The clock that begins runs and ends campaigns, over a real database; what it would start at Temporal is written down."""

from datetime import timedelta
from uuid import UUID

import pytest
from prometheus_client import REGISTRY

from activities.campaigns import life
from journeys.language import email
from journeys.language.campaigns import Campaign, daily, once
from journeys.language.codec import campaign_from_json, campaign_hash, campaign_to_json
from storage import campaign_runs, campaigns
from storage.campaign_runs import Run
from storage.campaigns import StoredCampaign
from storage.database import Database
from workflows.campaign_clock import CampaignClock
from workflows.campaign_starter import CampaignStarter

NAME = "sale"


class Starts(CampaignStarter):
    """A starter that only remembers."""

    def __init__(self) -> None:
        self.looked: list[tuple[str, UUID]] = []

    async def look(self, app: str, run_id: UUID) -> None:
        self.looked.append((app, run_id))


@pytest.fixture
def starts() -> Starts:
    return Starts()


@pytest.fixture
def clock(database: Database, starts: Starts) -> CampaignClock:
    return CampaignClock(database, starts)


async def launch(database: Database, campaign: Campaign) -> None:
    async with database.transaction() as connection:
        written = campaign_to_json(campaign).decode()
        await campaigns.publish(connection, "demo", NAME, written, campaign_hash(campaign), done_by="x")
        await life.launch(connection, await life.locked(connection, "demo", NAME), done_by="x")


async def stored(database: Database) -> StoredCampaign:
    async with database.transaction() as connection:
        found = await campaigns.get(connection, "demo", NAME)
    assert found is not None
    return found


async def runs(database: Database) -> list[Run]:
    async with database.transaction() as connection:
        return await campaigns.runs(connection, "demo", NAME)


async def move(database: Database, statement: str) -> None:
    async with database.transaction() as connection:
        await connection.exec_driver_sql(statement)


DUE = "UPDATE campaigns SET next_at = clock_timestamp() - interval '1 minute'"
OVER = "UPDATE campaign_runs SET state = 'finished', ended_at = clock_timestamp()"


async def test_a_run_begins_when_its_time_has_come_and_is_the_only_one(database: Database, clock: CampaignClock, starts: Starts) -> None:
    await launch(database, Campaign(NAME, "golden", email("sale"), when=once("2099-12-01T09:00", local=True)))
    await clock.look()
    assert await runs(database) == []
    await move(database, DUE)
    await clock.look()
    await clock.look()
    [run] = await runs(database)
    assert starts.looked == [("demo", run.id)]
    assert campaign_from_json(run.definition).local_at == "2099-12-01T09:00"
    assert ((await stored(database)).state, (await stored(database)).next_at) == ("running", None)
    await move(database, OVER)
    await clock.look()
    assert (await stored(database)).state == "finished"


async def test_a_recurring_campaign_waits_between_its_runs(database: Database, clock: CampaignClock) -> None:
    await launch(database, Campaign(NAME, "golden", email("sale"), when=daily("09:00")))
    first = (await stored(database)).next_at
    await move(database, DUE)
    await clock.look()
    now = await stored(database)
    assert (now.state, now.next_at, len(await runs(database))) == ("running", first, 1)
    await move(database, OVER)
    await clock.look()
    assert ((await stored(database)).state, (await stored(database)).next_at) == ("scheduled", first)


async def test_a_time_that_comes_while_a_run_goes_on_is_left_out_and_written_down(database: Database, clock: CampaignClock) -> None:
    await launch(database, Campaign(NAME, "golden", email("sale"), when=daily("09:00")))
    for _ in range(2):
        await move(database, DUE)
        await clock.look()
    assert len(await runs(database)) == 1
    next_at = (await stored(database)).next_at
    async with database.transaction() as connection:
        assert next_at is not None
        assert next_at > await campaigns.now(connection)
        assert [each.act for each in await campaigns.acts(connection, "demo", NAME, most=1)] == ["left_out"]


@pytest.mark.parametrize(
    ("hours_ago", "acts"),
    [
        ([24], ["begin"]),  # nine o'clock of yesterday has not come to Honolulu yet
        ([24, 12], ["begin"]),  # twice a day
        ([24, 16, 8], ["left_out"]),  # and no more than that
        ([29], ["left_out"]),  # it has been everywhere, and something holds it up
    ],
)
async def test_the_next_time_on_everybodys_clock_begins_while_the_one_before_is_on_its_way(
    database: Database, clock: CampaignClock, hours_ago: list[int], acts: list[str]
) -> None:
    await launch(database, Campaign(NAME, "golden", email("sale"), when=daily("09:00", local=True)))
    for ago in hours_ago:
        await move(database, DUE)
        await clock.look()
        await move(
            database,
            f"UPDATE campaign_runs SET began_at = clock_timestamp() - interval '{ago} hours' WHERE began_at > now() - interval '1 hour'",
        )
    assert len(await runs(database)) == len(hours_ago)
    await move(database, DUE)
    await clock.look()
    async with database.transaction() as connection:
        assert [each.act for each in await campaigns.acts(connection, "demo", NAME, most=1)] == acts
    assert len(await runs(database)) == len(hours_ago) + acts.count("begin")


async def test_nothing_begins_while_it_is_paused_and_times_that_passed_are_left_out(database: Database, clock: CampaignClock) -> None:
    await launch(database, Campaign(NAME, "golden", email("sale"), when=daily("09:00")))
    async with database.transaction() as connection:
        await life.pause(connection, await life.locked(connection, "demo", NAME), done_by="x")
    await move(database, "UPDATE campaigns SET next_at = now() - interval '5 days'")
    await clock.look()
    assert await runs(database) == []
    async with database.transaction() as connection:
        await life.resume(connection, await life.locked(connection, "demo", NAME), done_by="x")
    now = await stored(database)
    assert now.state == "scheduled"
    assert now.next_at is not None
    assert now.next_at - now.updated_at < timedelta(days=1)


async def test_a_run_that_was_being_planned_when_its_campaign_was_paused_is_paused_after_that(
    database: Database, clock: CampaignClock, starts: Starts
) -> None:
    await launch(database, Campaign(NAME, "golden", email("sale")))
    [run] = await runs(database)
    async with database.transaction() as connection:
        await life.pause(connection, await life.locked(connection, "demo", NAME), done_by="x")
    await clock.look()
    assert ((await runs(database))[0].state, starts.looked) == ("planning", [])
    await move(database, "UPDATE campaign_runs SET state = 'running', planned_at = now()")
    await clock.look()
    assert ((await runs(database))[0].state, starts.looked) == ("paused", [("demo", run.id)])


async def test_runs_that_go_on_are_in_the_metrics_until_they_are_over(database: Database, clock: CampaignClock) -> None:
    await launch(database, Campaign(NAME, "golden", email("sale")))
    [run] = await runs(database)
    async with database.transaction() as connection:
        await connection.exec_driver_sql(f"INSERT INTO campaign_tallies VALUES ('demo', '{run.id}', 'message', 'sent', '', 0, 40)")
        await connection.exec_driver_sql(
            "INSERT INTO campaign_chunks (app, run_id, step, message_ids, due_at)"
            f" VALUES ('demo', '{run.id}', 'message', ARRAY[gen_random_uuid(), gen_random_uuid()], now())"
        )
    await clock.look()

    def measured(state: str) -> float | None:
        return REGISTRY.get_sample_value("sojourn_campaign_messages", {"app": "demo", "campaign": NAME, "state": state})

    assert (measured("sent"), measured("left")) == (40.0, 2.0)
    assert REGISTRY.get_sample_value("sojourn_campaign_runs", {"app": "demo", "campaign": NAME, "state": "planning"}) == 1.0
    await move(database, OVER)
    await clock.look()
    assert measured("sent") is None


async def test_changing_a_run_twice_changes_nothing(database: Database, clock: CampaignClock) -> None:
    await launch(database, Campaign(NAME, "golden", email("sale")))
    [run] = await runs(database)
    async with database.transaction() as connection:
        await life.stop(connection, await life.locked(connection, "demo", NAME), done_by="x")
        assert not await campaign_runs.change(connection, "demo", run.id, "stopped")
