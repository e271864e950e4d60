"""The app's settings over HTTP: changed one by one, refused with the field's name, and held by the next message."""

from typing import Any

import httpx
import pytest
from sqlalchemy import text

from storage.database import Database

NIGHT = {"start": "21:00", "end": "08:00", "then": "wait"}
OFFICE = {"start": "09:00", "end": "17:00", "days": ["monday", "friday"], "then": "skip", "channel": "sms", "country": "US"}
CAPS = [
    {"at_most": 3, "per": {"seconds": 604800}, "counts": "everything"},
    {"at_most": 1, "per": "day", "topic": "news", "counts": "marketing"},
]


async def test_what_is_named_is_set_what_is_null_is_removed_and_the_rest_stays(manager: httpx.AsyncClient) -> None:
    await manager.patch("/v1/settings", json={"topic": "offers", "timezone": "Europe/Berlin"})
    set_ = await manager.patch("/v1/settings", json={"quiet_hours": [NIGHT], "send_windows": [OFFICE], "caps": CAPS, "topic": None})
    assert set_.status_code == 200, set_.text
    assert set_.json() == (await manager.get("/v1/settings")).json()
    found = set_.json()
    assert (found["topic"], found["timezone"]) == (None, "Europe/Berlin")
    assert (found["quiet_hours"], found["send_windows"], found["caps"]) == ([NIGHT], [OFFICE], CAPS)
    assert (await manager.patch("/v1/settings", json={"caps": None})).json()["caps"] == []


async def test_a_holdout_of_the_app_is_set_and_taken_out(manager: httpx.AsyncClient) -> None:
    set_ = await manager.patch("/v1/settings", json={"holdout": {"percent": 2.57, "salt": "2027"}})
    assert set_.json()["holdout"] == {"percent": 2.57, "salt": "2027"}
    assert (await manager.patch("/v1/settings", json={"holdout": {"percent": 5}})).json()["holdout"] == {"percent": 5}
    assert (await manager.patch("/v1/settings", json={"holdout": None})).json()["holdout"] is None


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"timezone": "Mars/Olympus"}, "/timezone"),
        ({"from": "nobody"}, "/from"),
        ({"from": "a@example.com\r\nBcc: b@example.com"}, "/from"),
        ({"reply_to": "a@example.com, b@example.com"}, "/reply_to"),
        ({"quiet_hours": [NIGHT, {"start": "9:00", "end": "08:00"}]}, "/quiet_hours/1/start"),
        ({"quiet_hours": [{"start": "10:00", "end": "09:00"}]}, "/quiet_hours/0"),
        ({"quiet_hours": [{**NIGHT, "country": "usa"}]}, "/quiet_hours/0/country"),
        ({"quiet_hours": [{**NIGHT, "chanel": "sms"}]}, "/quiet_hours/0/chanel"),
        ({"send_windows": [{**OFFICE, "days": []}]}, "/send_windows/0/days"),
        ({"send_windows": [{**OFFICE, "days": ["Monday"]}]}, "/send_windows/0/days/0"),
        ({"quiet_hours": [NIGHT], "send_windows": [{"start": "22:00", "end": "07:00"}]}, "/send_windows"),
        ({"caps": [{"at_most": -1, "per": "day"}]}, "/caps/0/at_most"),
        ({"caps": [{"at_most": 1, "per": "day", "channel": "fax"}]}, "/caps/0/channel"),
        ({"caps": [{"at_most": 1, "per": {"seconds": 0}}]}, "/caps/0/per"),
        ({"holdout": {"percent": 100}}, "/holdout/percent"),
        ({"holdout": {"percent": 0.005}}, "/holdout/percent"),
        ({"holdout": {"salt": "2027"}}, "/holdout/percent"),
        ({"colour": "red"}, "/colour"),
    ],
)
async def test_what_is_wrong_is_named_and_nothing_is_changed(manager: httpx.AsyncClient, change: dict[str, Any], pointer: str) -> None:
    answer = await manager.patch("/v1/settings", json={"topic": "offers", **change})
    assert answer.status_code == 422
    assert any(each["pointer"].startswith(pointer) for each in answer.json()["errors"]), answer.text
    assert "Mars" not in answer.text
    assert (await manager.get("/v1/settings")).json()["topic"] is None


async def test_settings_of_before_there_could_be_several_are_read(manager: httpx.AsyncClient, database: Database) -> None:
    async with database.transaction() as connection:
        minute = {"seconds": 60, "kind": "duration"}
        old = {"quiet_hours": {**NIGHT, "kind": "quiet_hours"}, "caps": [{"at_most": 1, "per": minute, "kind": "cap"}]}
        await connection.execute(text("UPDATE apps SET settings = :settings WHERE id = 'demo'"), {"settings": old})
    found = (await manager.get("/v1/settings")).json()
    assert (found["quiet_hours"], found["caps"]) == ([NIGHT], [{"at_most": 1, "per": {"seconds": 60}}])
