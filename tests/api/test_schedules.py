"""Journeys that start on a schedule, over HTTP."""

import json
from typing import Any

import httpx
from sqlalchemy import text

from journeys.language import ALWAYS, Journey, Wait, at, days, once, schedule, trait
from journeys.language.codec import condition_to_json, to_json
from journeys.language.entries import ScheduleEntry
from storage.database import Database

DAILY = schedule(at("09:00"), segment="gold", zone="Europe/Berlin")
SEGMENTS = {"gold": json.loads(condition_to_json(trait("plan") == "gold"))}


def publication(start: ScheduleEntry, **more: Any) -> dict[str, Any]:
    journey = Journey("news", starts_on=start, again_after=ALWAYS, steps=[Wait("a_while", days(1))], **more)
    return {"journeys": [json.loads(to_json(journey))], "segments": SEGMENTS}


async def apply(manager: httpx.AsyncClient, body: dict[str, Any]) -> httpx.Response:
    return await manager.post("/v1/journeys/apply", json=body)


async def test_it_says_when_it_strikes_next_and_whether_it_still_does(manager: httpx.AsyncClient) -> None:
    assert (await apply(manager, publication(DAILY))).status_code == 200
    told = (await manager.get("/v1/journeys/news/schedule")).json()
    assert (told["words"], told["is_live"], told["is_at_temporal"]) == (
        "every day at 09:00 in Europe/Berlin, for segment gold",
        True,
        False,
    )
    assert told["next_at"][14:16] == "00"
    assert (await apply(manager, {"journeys": []})).status_code == 200
    told = (await manager.get("/v1/journeys/news/schedule")).json()
    assert (told["is_live"], told["next_at"]) == (False, None)


async def test_each_time_that_it_struck_is_listed_page_by_page(manager: httpx.AsyncClient, database: Database) -> None:
    await apply(manager, publication(DAILY))
    async with database.transaction() as connection:
        for zones in ("{}", "{Asia/Tokyo,Japan}"):
            await connection.execute(
                text(
                    "INSERT INTO schedule_runs (app, journey, struck_at, zones, state, people, asked)"
                    " VALUES ('demo', 'news', now(), :zones, 'running', 9, 4)"
                ),
                {"zones": zones.strip("{}").split(",") if zones != "{}" else []},
            )
    first = (await manager.get("/v1/journeys/news/schedule/runs", params={"limit": 1})).json()
    [run] = first["items"]
    assert (run["zones"], run["zones_count"], run["people"], run["asked"]) == (["Asia/Tokyo", "Japan"], 2, 9, 4)
    rest = (await manager.get("/v1/journeys/news/schedule/runs", params={"cursor": first["next"]})).json()
    assert ([each["zones"] for each in rest["items"]], rest["next"]) == ([[]], None)


async def test_a_time_that_is_past_is_refused_unless_it_is_live_already(manager: httpx.AsyncClient, database: Database) -> None:
    past = publication(schedule(once("2020-12-01T09:00"), segment="gold"))
    for where in ("plan", "apply"):
        answer = await manager.post(f"/v1/journeys/{where}", json=past)
        assert answer.status_code == 422
        [problem] = answer.json()["errors"]
        assert "news/starts_on: once(...) is of a time that is past: write one that comes" in problem["message"]
    await apply(manager, publication(schedule(once("2031-12-01T09:00"), segment="gold")))
    async with database.transaction() as connection:
        await connection.exec_driver_sql("UPDATE journey_versions SET definition = replace(definition, '2031', '2020')")
    assert (await apply(manager, past)).status_code == 200


async def test_what_cannot_strike_is_refused_with_its_field_and_remedy(manager: httpx.AsyncClient) -> None:
    body = publication(DAILY)
    body["journeys"][0]["starts_on"] |= {"when": {"kind": "cron", "expression": "0 25 * * *"}, "zone": "Europe/Atlantis"}
    told = (await manager.post("/v1/journeys/plan", json=body)).json()["errors"]
    assert [each["message"] for each in told] == [
        'news/starts_on: cron("0 25 * * *") cannot be read: the hour goes from 0 to 23, upwards',
        "news/starts_on: there is no zone Europe/Atlantis: write its IANA name, such as Europe/Berlin",
    ]
