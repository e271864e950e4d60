"""Jobs over HTTP: listed, shown, stopped and resumed."""

import asyncio

import httpx
import pytest

from storage import jobs
from storage.database import Database
from storage.jobs import Job, Progress


@pytest.fixture
async def made(database: Database) -> list[Job]:
    """Three running jobs, the oldest first; the first has done two of five."""
    async with database.transaction("demo") as connection:
        found = []
        for kind in ("counting", "counting", "moving"):
            found.append(await jobs.create(connection, "demo", kind, {"upto": 5}))
            await asyncio.sleep(0.002)  # Ids tell milliseconds apart.
        await jobs.advance(connection, found[0], Progress(cursor=2, done=2, total=5, result={"last": 2}))
    return found


async def test_jobs_are_listed_page_by_page_and_by_what_they_are(manager: httpx.AsyncClient, made: list[Job]) -> None:
    first = (await manager.get("/v1/jobs", params={"limit": 2})).json()
    assert [each["id"] for each in first["items"]] == [str(made[2].id), str(made[1].id)]
    second = (await manager.get("/v1/jobs", params={"limit": 2, "cursor": first["next"]})).json()
    assert ([each["id"] for each in second["items"]], second["next"]) == ([str(made[0].id)], None)
    assert len((await manager.get("/v1/jobs", params={"kind": "counting"})).json()["items"]) == 2
    assert (await manager.get("/v1/jobs", params={"state": "done"})).json()["items"] == []


async def test_a_job_says_how_far_it_is(manager: httpx.AsyncClient, made: list[Job]) -> None:
    shown = (await manager.get(f"/v1/jobs/{made[0].id}")).json()
    assert (shown["state"], shown["done"], shown["total"], shown["result"]) == ("running", 2, 5, {"last": 2})


async def test_a_job_is_stopped_and_goes_on_also_while_temporal_is_away(manager: httpx.AsyncClient, made: list[Job]) -> None:
    assert (await manager.post(f"/v1/jobs/{made[0].id}/stop")).json()["state"] == "stopped"
    assert (await manager.post(f"/v1/jobs/{made[0].id}/resume")).json()["state"] == "running"


async def test_a_done_job_stays_done(manager: httpx.AsyncClient, made: list[Job], database: Database) -> None:
    async with database.transaction("demo") as connection:
        await jobs.advance(connection, made[1], Progress(cursor=None, done=5, is_finished=True))
    answer = await manager.post(f"/v1/jobs/{made[1].id}/stop")
    assert (answer.status_code, answer.json()["detail"]) == (409, "this job is done already")


@pytest.mark.parametrize("job_id", ["nonsense", "019a0000-0000-8000-8000-000000000000"])
async def test_an_unknown_job_is_not_found(manager: httpx.AsyncClient, job_id: str) -> None:
    assert (await manager.get(f"/v1/jobs/{job_id}")).status_code == 404
