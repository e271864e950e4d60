"""Runs of campaigns over HTTP: how far they are, what their versions came to, sending again, deciding by hand."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from api.campaign_runs import progress_of
from journeys.language import days, event, hours, prop
from journeys.language.campaigns import Campaign, Version, WinnerRule
from journeys.language.codec import campaign_to_json
from storage import campaign_winners
from storage.campaign_runs import Run, Tally, Wait
from storage.database import Connection, Database
from tests.api.campaigning import MAIL, SALE, act, end_runs, put, runs, settle, tally

GOAL = event("order_placed").where(prop("total") > 20).within(days(3))
VERSIONS = [Version("plain", 50, MAIL), Version("bold", 50, MAIL)]
TESTED = Campaign("spring-sale", "golden", versions=VERSIONS, goal=GOAL, winner=WinnerRule(20, hours(2), hours(24)), holdout=10)
NOW = datetime(2026, 12, 1, 9, tzinfo=UTC)
RUN = Run(
    "demo",
    UUID(int=1),
    "spring-sale",
    1,
    campaign_to_json(SALE).decode(),
    "running",
    NOW - timedelta(seconds=70),
    planned_at=NOW - timedelta(seconds=60),
)


@pytest.fixture(autouse=True)
async def _town(database: Database) -> None:
    await settle(database)


async def begun(manager: httpx.AsyncClient, campaign: Campaign = SALE) -> str:
    assert (await put(manager, campaign)).status_code == 200
    assert (await act(manager, "launch")).status_code == 200
    found: str = (await runs(manager))[0]["id"]
    return found


def test_rate_and_end_are_told_by_what_was_done_since_the_plan() -> None:
    tallies = [
        Tally("message", "planned", None, 1000),
        Tally("message", "sent", None, 590),
        Tally("message", "skipped", "unsubscribed", 10),
        Tally("message", "skipped", "held_out", 50),
        Tally("message", "unknown", None, 2),
    ]
    told = progress_of(RUN, tallies, [Wait("message", "planned", 400, NOW, NOW)], NOW)
    assert (told.planned, told.done, told.left, told.sent, told.unknown) == (1000, 600, 400, 590, 2)
    assert told.skipped == {"unsubscribed": 10, "held_out": 50}
    assert (told.per_second, told.ends_at) == (10.0, NOW + timedelta(seconds=40))


@pytest.mark.parametrize(
    ("state", "waits"),
    [
        ("paused", [Wait("message", "planned", 10, NOW, NOW)]),
        ("running", []),
        ("running", [Wait("message", "planned", 1000, NOW, NOW)]),
        ("running", [Wait("message", "planned", 10, NOW, NOW), Wait("rest", "no_winner_yet", 500, None, None)]),
    ],
    ids=["paused", "nothing left", "nothing done yet", "no winner yet"],
)
def test_where_no_end_can_be_told_none_is(state: Any, waits: list[Wait]) -> None:
    run = Run(**{**vars(RUN), "state": state})
    assert progress_of(run, [Tally("message", "planned", None, 1000)], waits, NOW).ends_at is None


def test_the_end_is_not_told_before_the_last_message_is_due() -> None:
    tallies, evening = [Tally("message", "planned", None, 1000)], NOW + timedelta(hours=9)
    waits = [Wait("message", "planned", 300, NOW, NOW), Wait("message", "quiet_hours", 100, NOW + timedelta(hours=1), evening)]
    told = progress_of(RUN, tallies, waits, NOW)
    assert (told.left, told.per_second, told.ends_at) == (400, 10.0, evening)
    assert [(each.reason, each.messages, each.next_at) for each in told.waits] == [
        ("planned", 300, None),
        ("quiet_hours", 100, NOW + timedelta(hours=1)),
    ]


def test_while_a_version_waited_for_its_time_nothing_could_be_done() -> None:
    """The first took its 500 in a minute; the second has been sent for ten seconds."""
    versions = [Version("morning", 50, MAIL), Version("evening", 50, MAIL, after=hours(9))]
    planned_at = NOW - timedelta(hours=9, seconds=10)
    campaign = Campaign("spring-sale", "golden", versions=versions)
    run = replace(RUN, definition=campaign_to_json(campaign).decode(), planned_at=planned_at)
    tallies = [Tally("morning", "planned", None, 500), Tally("evening", "planned", None, 500)]
    begun = progress_of(run, tallies, [Wait("evening", "planned", 400, NOW, NOW)], NOW)
    assert (begun.per_second, begun.ends_at) == (10.0, NOW + timedelta(seconds=40))
    before = planned_at + timedelta(seconds=60)
    due_at = planned_at + timedelta(hours=9)
    waiting = progress_of(run, tallies, [Wait("evening", "not_due", 500, due_at, due_at)], before)
    assert (waiting.per_second, waiting.ends_at) == (500 / 60, due_at)


async def test_versions_are_compared_once_all_of_their_messages_have_left(manager: httpx.AsyncClient, database: Database) -> None:
    versions = [Version("plain", 50, MAIL), Version("bold", 50, MAIL, after=hours(9))]
    run_id = await begun(manager, Campaign("spring-sale", "golden", versions=versions, goal=GOAL, holdout=10))
    async with database.transaction() as connection:
        await connection.exec_driver_sql("INSERT INTO users (app, id) OVERRIDING SYSTEM VALUE SELECT 'demo', generate_series(100, 600)")
        for user in range(100, 220):
            await message(connection, run_id, user, "plain" if user % 2 else "bold", "sent" if user % 2 else "planned")
        await message(connection, run_id, 220, "plain", "skipped", "held_out")
        await connection.exec_driver_sql(
            "INSERT INTO campaign_chunks (app, run_id, step, message_ids, due_at)"
            f" VALUES ('demo', '{run_id}', 'bold', ARRAY[gen_random_uuid()], now() + interval '9 hours')"
        )

    async def told() -> list[tuple[int, int, bool, bool]]:
        found = (await manager.get(f"/v1/campaigns/spring-sale/runs/{run_id}/results")).json()
        assert found["is_mismatched"] is False
        return [
            (each["people"], each["sent"], each["against_first"] is not None, each["against_holdout"] is not None)
            for each in found["versions"]
        ]

    assert await told() == [(60, 60, False, True), (60, 0, False, False)]
    async with database.transaction() as connection:
        await connection.exec_driver_sql("UPDATE messages SET state = 'sent', settled_at = now() WHERE state = 'planned'")
        await connection.exec_driver_sql("DELETE FROM campaign_chunks")
    assert await told() == [(60, 60, False, True), (60, 60, True, True)]


async def test_a_version_that_many_cannot_be_sent_is_no_mismatch_and_compared_by_all_its_people(
    manager: httpx.AsyncClient, database: Database
) -> None:
    versions = [Version("mail", 50, MAIL), Version("device", 50, MAIL)]
    run_id = await begun(manager, Campaign("spring-sale", "golden", versions=versions, goal=GOAL))
    path = f"/v1/campaigns/spring-sale/runs/{run_id}/results"
    async with database.transaction() as connection:
        await connection.exec_driver_sql("INSERT INTO users (app, id) OVERRIDING SYSTEM VALUE SELECT 'demo', generate_series(100, 1000)")
        for user in range(100, 700):
            is_reached = user % 2 or user % 10 == 0
            state, reason = ("sent", "") if is_reached else ("skipped", "no_endpoint")
            await message(connection, run_id, user, "mail" if user % 2 else "device", state, reason)
            if user % 3 == 0:
                await order(connection, user, 50, "1 day")
    told = (await manager.get(path)).json()
    assert told["is_mismatched"] is False
    assert [(each["people"], each["sent"], each["converted"]["n"]) for each in told["versions"]] == [(300, 300, 100), (300, 60, 100)]
    assert told["versions"][1]["against_first"]["rate"] == 0
    async with database.transaction() as connection:
        for user in range(700, 1000):
            await message(connection, run_id, user, "mail")
    assert (await manager.get(path)).json()["is_mismatched"] is True


async def test_a_run_tells_how_far_it_is(manager: httpx.AsyncClient, database: Database) -> None:
    run_id = await begun(manager)
    async with database.transaction() as connection:
        await tally(connection, run_id, ("message", "planned", "", 50), ("message", "sent", "", 50))
        await connection.exec_driver_sql(
            "INSERT INTO campaign_chunks (app, run_id, step, message_ids, due_at)"
            f" VALUES ('demo', '{run_id}', 'message', ARRAY[gen_random_uuid()], 'infinity')"
        )
    told = (await manager.get(f"/v1/campaigns/spring-sale/runs/{run_id}")).json()
    assert (told["planned"], told["done"], told["left"], told["next_due_at"]) == (50, 49, 1, None)
    assert told["waits"] == [{"version": "message", "reason": "planned", "messages": 1, "next_at": None}]
    assert told["outcomes"] == [{"version": "message", "state": "sent", "reason": None, "messages": 50}]
    assert (await manager.get(f"/v1/campaigns/autumn-sale/runs/{run_id}")).status_code == 404
    assert (await manager.get("/v1/campaigns/spring-sale/runs/nonsense")).status_code == 404


async def message(connection: Connection, run_id: str, user: int, step: str, state: str = "sent", reason: str = "") -> None:
    """A message that was settled two days ago, if it is."""
    await connection.exec_driver_sql(
        "INSERT INTO messages (id, app, user_id, source, step, visit, target, channel, message_class, state, reason, settled_at)"
        f" VALUES (gen_random_uuid(), 'demo', {user}, 'campaign:{run_id}', '{step}', 1, '{user}', 'email', 'marketing', '{state}',"
        f" nullif('{reason}', ''), CASE WHEN '{state}' <> 'planned' THEN now() - interval '2 days' END)"
    )


async def order(connection: Connection, user: int, total: int, ago: str) -> None:
    await connection.exec_driver_sql(
        "INSERT INTO events (app, received_at, user_id, event_id, name, properties, occurred_at)"
        f" VALUES ('demo', now(), {user}, gen_random_uuid()::text, 'order_placed', '{{\"total\": {total}}}', now() - interval '{ago}')"
    )


async def test_results_count_people_who_reached_the_goal_within_its_window_from_the_send(
    manager: httpx.AsyncClient, database: Database
) -> None:
    run_id = await begun(manager, TESTED)
    async with database.transaction() as connection:
        await connection.exec_driver_sql("INSERT INTO users (app, id) OVERRIDING SYSTEM VALUE SELECT 'demo', generate_series(11, 21)")
        for user, step in ((11, "plain"), (12, "plain"), (13, "plain"), (14, "bold"), (15, "bold"), (16, "bold")):
            await message(connection, run_id, user, step)
        await message(connection, run_id, 17, "bold", "skipped", "held_out")
        # To whom it could not be sent: of these there are as many in the holdout.
        await message(connection, run_id, 18, "bold", "skipped", "unsubscribed")
        await message(connection, run_id, 20, "bold", "planned")
        await message(connection, run_id, 21, "bold", "skipped", "app_holdout")
        await message(connection, run_id, 19, "rest")
        # Two devices are one person.
        await message(connection, run_id, 16, "bold")
        await order(connection, 11, 50, "1 day")
        await order(connection, 12, 10, "1 day")  # too small an order
        await order(connection, 13, 50, "3 days")  # before the send
        for user in (14, 15, 15, 17, 18, 20, 21):
            await order(connection, user, 50, "1 day")
        # Who was joined into somebody since, and orders as that one.
        await connection.exec_driver_sql("UPDATE users SET merged_into = 1001 WHERE app = 'demo' AND id = 16")
        await order(connection, 1001, 50, "1 hour")
    told = (await manager.get(f"/v1/campaigns/spring-sale/runs/{run_id}/results")).json()
    assert [(each["version"], each["people"], each["sent"], each["converted"]["n"]) for each in told["versions"]] == [
        ("plain", 3, 3, 1),
        ("bold", 5, 3, 4),
        ("rest", 1, 1, 0),
    ]
    assert (told["held_out"]["people"], told["held_out"]["sent"], told["held_out"]["converted"]["n"]) == (1, 0, 1)
    plain, bold, _ = told["versions"]
    assert (plain["against_first"], round(bold["against_first"]["rate"], 2)) == (None, 0.47)
    assert (told["is_mismatched"], told["winner"]) == (False, None)


async def test_a_campaign_without_a_goal_measures_nothing(manager: httpx.AsyncClient) -> None:
    run_id = await begun(manager)
    answer = await manager.get(f"/v1/campaigns/spring-sale/runs/{run_id}/results")
    assert (answer.status_code, "has no goal" in answer.json()["detail"]) == (409, True)


async def test_a_person_can_decide_what_the_rest_get_once(manager: httpx.AsyncClient, database: Database) -> None:
    run_id = await begun(manager, TESTED)
    async with database.transaction() as connection:
        await connection.exec_driver_sql(
            "INSERT INTO campaign_chunks (app, run_id, step, message_ids, due_at)"
            f" VALUES ('demo', '{run_id}', 'rest', ARRAY[gen_random_uuid()], 'infinity')"
        )
    path = f"/v1/campaigns/spring-sale/runs/{run_id}/winner"
    assert [each["code"] for each in (await manager.post(path, json={"version": "loud"})).json()["errors"]] == ["no_such_version"]
    decided = await manager.post(path, json={"version": "bold"})
    assert (decided.status_code, decided.json()["next_due_at"] is not None) == (200, True)
    assert (await manager.post(path, json={"version": None})).status_code == 409
    async with database.transaction() as connection:
        assert await campaign_winners.of_run(connection, "demo", UUID(run_id)) == "bold"
    told = (await manager.get(f"/v1/campaigns/spring-sale/runs/{run_id}/results")).json()
    assert (told["winner"]["version"], told["winner"]["because"]) == ("bold", "by_hand")
    assert (await manager.get("/v1/campaigns/spring-sale/history")).json()["items"][0]["act"] == "decide"


async def test_nobody_decides_where_nothing_is_tested(manager: httpx.AsyncClient) -> None:
    run_id = await begun(manager)
    assert (await manager.post(f"/v1/campaigns/spring-sale/runs/{run_id}/winner", json={"version": None})).status_code == 409


async def test_what_failed_is_sent_again_by_a_run_of_its_own_and_once(manager: httpx.AsyncClient, database: Database) -> None:
    run_id = await begun(manager)
    path = f"/v1/campaigns/spring-sale/runs/{run_id}/resend"
    assert "goes on" in (await manager.post(path)).json()["detail"]
    async with database.transaction() as connection:
        await end_runs(connection)
        await connection.exec_driver_sql("UPDATE campaigns SET state = 'finished'")
    first = await manager.post(path, headers={"idempotency-key": "one"})
    assert (first.status_code, first.json()["repeats"], first.json()["state"]) == (202, run_id, "planning")
    assert (await manager.post(path, headers={"idempotency-key": "one"})).json() == first.json()
    assert "sent again already" in (await manager.post(path)).json()["detail"]
    assert (await manager.get("/v1/campaigns/spring-sale")).json()["state"] == "running"
    assert [each["repeats"] for each in await runs(manager)] == [run_id, None]


async def test_runs_come_in_pages(manager: httpx.AsyncClient, database: Database) -> None:
    await begun(manager)
    for _ in range(2):
        await act(manager, "stop")
        await act(manager, "launch", again=True)
    first = (await manager.get("/v1/campaigns/spring-sale/runs?limit=2")).json()
    second = (await manager.get("/v1/campaigns/spring-sale/runs", params={"cursor": first["next"]})).json()
    assert (len(first["items"]), len(second["items"]), second["next"]) == (2, 1, None)
    assert len({each["id"] for each in (*first["items"], *second["items"])}) == 3
