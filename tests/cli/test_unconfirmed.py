"""The list of messages that may have gone out, as the API and the command show it, grows by an outage and empties by itself."""

import asyncio
import os
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI

from activities.direct import DirectLane
from activities.unknowns import Sweeper
from settings import Settings
from storage.database import Database
from tests.activities.town import Town
from tests.channels.email.keeping_resend import KeepingResend, keeping_resend
from tests.cli.conftest import Command
from workflows.hands import hands

CONTENT = {"from": "us@acme.example", "subject": "Hi", "text": "Ho"}


@pytest.fixture
async def resend() -> AsyncIterator[KeepingResend]:
    async with keeping_resend() as made:
        yield made


@pytest.fixture
async def lane(database: Database, database_url: str) -> AsyncIterator[DirectLane]:
    """A worker's, over the accounts that the API has set."""
    made = hands(Settings(database_url=database_url, allowed_recipients=["@example.com"]), database)
    yield DirectLane(database, made.delivery, asyncio.Event())
    await made.close()


async def test_the_list_of_unconfirmed_messages_empties_by_itself_where_the_provider_keeps_our_id(
    served: FastAPI, sojourn: Command, database: Database, lane: DirectLane, resend: KeepingResend
) -> None:
    url, key = os.environ["SOJOURN_URL"], os.environ["SOJOURN_KEY"]
    town = Town(database)
    resend.script[:] = ["take_and_cut", "cut", "take_and_500", "ok"]
    async with httpx.AsyncClient(base_url=url, headers={"authorization": f"Bearer {key}"}) as manager:
        account = {"provider": "resend", "settings": {"api_key": "re_key", "base_url": resend.base_url}}
        (await manager.put("/v1/providers/email/main", json=account)).raise_for_status()
        for number in range(3):
            mail = {"channel": "email", "address": f"p{number}@example.com", "content": CONTENT}
            (await manager.post("/v1/messages", json=mail)).raise_for_status()
        await lane.pass_once()
        assert len((await manager.get("/v1/messages", params={"state": "unknown"})).json()["items"]) == 3
        assert (await sojourn("unconfirmed", "list")).count("no answer") == 2
        await town.age_unknowns()
        await Sweeper(database, town.timing).sweep()
        await lane.pass_once()
        assert (await manager.get("/v1/messages", params={"state": "unknown"})).json()["items"] == []
        sent = (await manager.get("/v1/messages", params={"state": "sent"})).json()["items"]
    assert [each["maybe_doubled"] for each in sent] == [False] * 3
    assert "no answer" not in await sojourn("unconfirmed", "list")
    assert sorted(resend.mails.items()) == [(f"p{number}@example.com", 1) for number in range(3)]
