"""Campaigns over HTTP: publishing, reviews, launching, pausing, stopping, and what is refused on the way."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import orjson
import pytest
from fastapi import FastAPI

from activities.campaigns import on_events
from journeys.language import event, in_segment, push, segment, sql, trait
from journeys.language.campaigns import Campaign, Version, daily, once
from journeys.language.codec import condition_to_json
from journeys.language.conditions import AnyCondition
from journeys.language.facts import EventFact
from storage import keys
from storage.database import Database
from tests.api.campaigning import MAIL, SALE, act, end_runs, plain, put, runs, settle


@pytest.fixture(autouse=True)
async def _town(database: Database) -> None:
    await settle(database)


@pytest.fixture
async def other(app: FastAPI, database: Database) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody else, with a key of their own."""
    async with database.transaction() as connection:
        key = await keys.create(connection, "demo", "secret", name="lead")
    headers = {"authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://sojourn", headers=headers) as client:
        yield client


def soon(**delta: int) -> str:
    return f"{datetime.now(UTC) + timedelta(**delta):%Y-%m-%dT%H:%M}"


async def test_publishing_sends_nothing_and_the_same_again_is_the_same_version(manager: httpx.AsyncClient) -> None:
    for _ in range(2):
        answer = await put(manager, SALE)
        told = answer.json()
        assert (answer.status_code, told["state"], told["version"], told["launched_version"]) == (200, "draft", 1, None)
    assert told["definition"] == plain(SALE)
    changed = (await put(manager, Campaign("spring-sale", "golden", MAIL, per_second=5))).json()
    assert changed["version"] == 2
    versions = (await manager.get("/v1/campaigns/spring-sale/versions")).json()["items"]
    assert [(each["version"], each["is_newest"]) for each in versions] == [(2, True), (1, False)]
    assert [each["name"] for each in (await manager.get("/v1/campaigns")).json()["items"]] == ["spring-sale"]
    assert await runs(manager) == []


@pytest.mark.parametrize(
    ("campaign", "code"),
    [
        (Campaign("spring-sale", "nowhere", MAIL), "no_such_segment"),
        (Campaign("spring-sale", "golden", MAIL, when=segment("nowhere")), "no_such_segment"),
        (Campaign("spring-sale", "golden", push("spring-sale")), "no_content"),
        (Campaign("spring-sale", "golden", versions=[Version("a", 50, MAIL), Version("b", 50, push("gone"))]), "no_template"),
    ],
)
async def test_what_a_campaign_names_must_be_there(manager: httpx.AsyncClient, campaign: Campaign, code: str) -> None:
    answer = await put(manager, campaign)
    assert (answer.status_code, [each["code"] for each in answer.json()["errors"]]) == (422, [code])
    assert (await manager.get("/v1/campaigns/spring-sale")).status_code == 404


@pytest.mark.parametrize(
    ("definition", "pointer", "code"),
    [
        ({"kind": "campaign"}, "/definition/name", "missing"),
        ({**plain(SALE), "holdout": 100}, "/definition", "holdout_percent"),
        ({**plain(SALE), "name": "autumn-sale"}, "/definition/name", "other_name"),
        ({**plain(SALE), "when": {"kind": "segment", "segment": "golden"}, "per_second": 5}, "/definition", "not_on_events"),
        ({**plain(SALE), "when": {"kind": "segment"}}, "/definition/when/segment/segment", "missing"),
        ({**plain(SALE), "sent_to": "everybody"}, "/definition/sent_to", "unexpected_keyword_argument"),
    ],
)
async def test_a_definition_is_checked_as_in_python(manager: httpx.AsyncClient, definition: Any, pointer: str, code: str) -> None:
    answer = await manager.put("/v1/campaigns/spring-sale", json={"definition": definition})
    assert answer.status_code == 422
    assert (pointer, code) in [(each["pointer"], each["code"]) for each in answer.json()["errors"]]


async def test_once_topics_are_declared_a_campaign_names_one_of_them(manager: httpx.AsyncClient) -> None:
    offers = Campaign("spring-sale", "golden", MAIL, topic="offers")
    assert (await put(manager, offers)).status_code == 200
    await manager.put("/v1/topics", json={"topics": [{"name": "news", "title": "News"}]})
    assert [each["code"] for each in (await put(manager, offers)).json()["errors"]] == ["no_such_topic"]


async def test_a_launch_begins_a_run_with_the_campaign_as_it_is(manager: httpx.AsyncClient, database: Database) -> None:
    await put(manager, SALE)
    launched = await act(manager, "launch")
    assert (launched.status_code, launched.json()["state"], launched.json()["launched_version"]) == (200, "running", 1)
    [run] = await runs(manager)
    assert (run["state"], run["version"], run["repeats"]) == ("planning", 1, None)
    # An edit is for the next launch.
    edited = (await put(manager, Campaign("spring-sale", "golden", MAIL, per_second=5))).json()
    assert (edited["state"], edited["version"], edited["launched_version"]) == ("running", 2, 1)
    assert (await act(manager, "launch")).status_code == 409
    history = (await manager.get("/v1/campaigns/spring-sale/history")).json()["items"]
    assert [each["act"] for each in history] == ["publish", "begin", "launch", "publish"]


async def test_a_launch_repeated_with_its_key_begins_one_run(manager: httpx.AsyncClient, database: Database) -> None:
    await put(manager, SALE)
    for _ in range(2):
        await manager.post("/v1/campaigns/spring-sale/launch", json={}, headers={"idempotency-key": "one"})
    assert len(await runs(manager)) == 1


async def test_the_same_version_goes_out_again_only_when_that_is_said(manager: httpx.AsyncClient, database: Database) -> None:
    await put(manager, SALE)
    await act(manager, "launch")
    await act(manager, "stop")
    refused = await act(manager, "launch")
    assert (refused.status_code, "writes to the same people again" in refused.json()["detail"]) == (409, True)
    assert (await act(manager, "launch", again=True)).status_code == 200
    assert len(await runs(manager)) == 2


async def test_somebody_else_approves(manager: httpx.AsyncClient, other: httpx.AsyncClient) -> None:
    await manager.patch("/v1/settings", json={"campaigns_need_approval": True})
    await put(manager, SALE)
    assert "nobody has approved" in (await act(manager, "launch")).json()["detail"]
    assert (await act(manager, "submit")).json()["state"] == "in_review"
    assert (await act(manager, "launch")).status_code == 409
    assert "another key" in (await act(manager, "approve")).json()["detail"]
    approved = (await act(other, "approve")).json()
    assert (approved["approved_version"], approved["approved_by"]) == (1, "lead")
    assert (await act(manager, "launch")).json()["state"] == "running"


async def test_an_edit_takes_the_approval_back(manager: httpx.AsyncClient, other: httpx.AsyncClient) -> None:
    await put(manager, SALE)
    await act(manager, "submit")
    await act(other, "approve")
    edited = (await put(manager, Campaign("spring-sale", "golden", MAIL, per_second=5))).json()
    assert (edited["state"], edited["approved_version"]) == ("draft", 1)
    await act(manager, "submit")
    assert "nobody has approved this version" in (await act(manager, "launch")).json()["detail"]
    assert (await act(other, "send-back")).json()["state"] == "draft"


async def test_a_campaign_with_a_time_waits_for_it(manager: httpx.AsyncClient) -> None:
    at = soon(days=1)
    await put(manager, Campaign("spring-sale", "golden", MAIL, when=once(at)))
    told = (await act(manager, "launch")).json()
    assert (told["state"], told["next_at"], told["next_local_at"]) == ("scheduled", f"{at}:00Z", None)
    assert await runs(manager) == []
    assert (await act(manager, "pause")).json()["state"] == "paused"
    assert (await act(manager, "resume")).json()["state"] == "scheduled"
    stopped = (await act(manager, "stop")).json()
    assert (stopped["state"], stopped["next_at"]) == ("stopped", None)


async def test_a_time_that_is_past_is_refused(manager: httpx.AsyncClient) -> None:
    await put(manager, Campaign("spring-sale", "golden", MAIL, when=once("2020-01-01T09:00")))
    answer = await act(manager, "launch")
    assert [(each["pointer"], each["code"]) for each in answer.json()["errors"]] == [("/when", "time_is_past")]
    assert (await manager.get("/v1/campaigns/spring-sale")).json()["state"] == "draft"


async def test_at_local_time_it_begins_when_the_first_zone_has_that_time(manager: httpx.AsyncClient) -> None:
    await put(manager, Campaign("spring-sale", "golden", MAIL, when=once("2099-12-01T09:00", local=True)))
    told = (await act(manager, "launch")).json()
    assert (told["next_at"], told["next_local_at"]) == ("2099-11-30T19:00:00Z", "2099-12-01T09:00")


async def test_a_pause_and_a_stop_hold_for_the_run_too(manager: httpx.AsyncClient, database: Database) -> None:
    await put(manager, SALE)
    await act(manager, "launch")
    async with database.transaction() as connection:
        await connection.exec_driver_sql("UPDATE campaign_runs SET state = 'running', planned_at = now()")
    states = []
    for verb in ("pause", "resume", "stop"):
        told = (await act(manager, verb)).json()
        states.append((told["state"], (await runs(manager))[0]["state"]))
    assert states == [("paused", "paused"), ("running", "running"), ("stopped", "stopped")]
    assert (await act(manager, "resume")).status_code == 409


async def test_what_is_paused_while_its_last_run_ends_is_finished_when_it_is_resumed(
    manager: httpx.AsyncClient, database: Database
) -> None:
    await put(manager, SALE)
    await act(manager, "launch")
    await act(manager, "pause")
    async with database.transaction() as connection:
        await end_runs(connection)
    assert (await act(manager, "resume")).json()["state"] == "finished"


async def test_a_triggered_campaign_runs_without_runs(manager: httpx.AsyncClient) -> None:
    await put(manager, Campaign("thanks", "golden", MAIL, when=event("order_placed")))
    assert (await act(manager, "launch", "thanks")).json()["state"] == "running"
    assert await runs(manager, "thanks") == []
    assert (await act(manager, "pause", "thanks")).json()["state"] == "paused"
    assert (await act(manager, "resume", "thanks")).json()["state"] == "running"


async def test_what_a_triggered_campaign_has_sent_since_its_launch_stands_with_it(manager: httpx.AsyncClient, database: Database) -> None:
    for campaign in (SALE, Campaign("thanks", "golden", MAIL, when=segment("golden"))):
        assert (await put(manager, campaign)).json()["sent_on_events"] is None
        await act(manager, "launch", campaign.name)
    async with database.transaction() as connection:
        for launch, state, reason, messages in (
            (1, "sent", "", 7),
            (1, "skipped", "unsubscribed", 2),
            (1, "unknown", "", 1),
            (2, "sent", "", 5),
        ):
            await connection.exec_driver_sql(
                f"INSERT INTO triggered_tallies VALUES ('demo', 'thanks', {launch}, 'message', '{state}', '{reason}', {messages})"
            )
    told = (await manager.get("/v1/campaigns/thanks")).json()["sent_on_events"]
    assert {name: told[name] for name in ("planned", "left", "sent", "unknown", "skipped")} == {
        "planned": 10,
        "left": 0,
        "sent": 7,
        "unknown": 1,
        "skipped": {"unsubscribed": 2},
    }
    assert told["outcomes"][1] == {"version": "message", "state": "skipped", "reason": "unsubscribed", "messages": 2}
    assert (await manager.get("/v1/campaigns/spring-sale")).json()["sent_on_events"] is None
    await act(manager, "stop", "thanks")
    again = (await act(manager, "launch", "thanks", again=True)).json()["sent_on_events"]
    assert (again["sent"], again["skipped"]) == (5, {})


async def test_stopping_skips_what_events_have_planned_and_not_what_is_leaving(manager: httpx.AsyncClient, database: Database) -> None:
    await put(manager, Campaign("thanks", "golden", MAIL, when=event("order_placed")))
    await act(manager, "launch", "thanks")
    async with database.transaction() as connection:
        for number, person in enumerate((1001, 1002)):
            fact = EventFact(f"order {number}", "order_placed", datetime.now(UTC), {})
            await on_events.hear(connection, "demo", person, fact)
        await connection.exec_driver_sql("UPDATE messages SET state = 'claimed', claim_epoch = 1, claimed_at = now() WHERE user_id = 1001")
    told = (await act(manager, "stop", "thanks")).json()["sent_on_events"]
    assert (told["planned"], told["left"], told["skipped"]) == (2, 1, {"stopped": 1})


async def test_nobody_notices_who_comes_into_a_segment_of_sql_so_no_campaign_starts_on_it(manager: httpx.AsyncClient) -> None:
    async def put_segment(name: str, condition: AnyCondition) -> list[str]:
        answer = await manager.put(f"/v1/segments/{name}", json={"condition": orjson.loads(condition_to_json(condition))})
        return [each["code"] for each in answer.json().get("errors", ())]

    asked = sql("SELECT user_id FROM users")
    welcome = Campaign("welcome", "golden", MAIL, when=segment("outer"))
    assert await put_segment("inner", asked) == []
    assert await put_segment("outer", in_segment("inner") | (trait("plan") == "gold")) == []
    assert [each["code"] for each in (await put(manager, welcome)).json()["errors"]] == ["segment_of_sql"]
    assert await put_segment("inner", trait("plan") == "silver") == []
    assert (await put(manager, welcome)).status_code == 200
    assert await put_segment("inner", asked) == ["segment_of_sql"]
    assert "campaign welcome" in (await manager.delete("/v1/segments/outer")).json()["detail"]
    assert (await act(manager, "launch", "welcome")).json()["state"] == "running"
    await act(manager, "stop", "welcome")
    assert await put_segment("inner", asked) == []
    assert [each["code"] for each in (await act(manager, "launch", "welcome", again=True)).json()["errors"]] == ["segment_of_sql"]


async def test_a_segment_that_a_campaign_goes_to_is_not_deleted(manager: httpx.AsyncClient) -> None:
    await put(manager, Campaign("spring-sale", "golden", MAIL, when=daily("09:00")))
    refused = await manager.delete("/v1/segments/golden")
    assert (refused.status_code, "campaign spring-sale" in refused.json()["detail"]) == (409, True)
    await act(manager, "launch")
    assert "stop it first" in (await manager.delete("/v1/campaigns/spring-sale")).json()["detail"]
    await act(manager, "stop")
    assert (await manager.delete("/v1/campaigns/spring-sale")).status_code == 204
    assert (await manager.delete("/v1/segments/golden")).status_code == 204


async def test_a_template_that_a_campaign_sends_stays_as_it_needs_it(manager: httpx.AsyncClient) -> None:
    await put(manager, SALE)
    answer = await manager.post("/v1/templates/spring-sale/versions", json={"files": {"sms.txt": "Hello"}})
    assert [each["code"] for each in answer.json()["errors"]] == ["no_content"]


async def test_a_launch_looks_again_at_what_the_campaign_names(manager: httpx.AsyncClient, database: Database) -> None:
    await put(manager, SALE)
    async with database.transaction() as connection:
        await connection.exec_driver_sql("DELETE FROM segments")
    assert [each["code"] for each in (await act(manager, "launch")).json()["errors"]] == ["no_such_segment"]
