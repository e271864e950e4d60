"""Accounts at providers over HTTP: set, listed without their secrets, sealed in Postgres, and used by the next send."""

import asyncio
import base64
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from activities.accounts import Accounts, Unusable
from api.app import create_app
from channels.accounts import Surroundings
from channels.base import NotSent
from settings import Settings
from storage import keys
from storage.database import Database
from storage.sealing import Seal
from tests.channels.push.keys import P256, SERVICE_ACCOUNT

RESEND = {"provider": "resend", "settings": {"api_key": "re_hush"}}
HERE = Surroundings("https://sojourn.example", may_use_stand_ins=True)


async def stored(database: Database) -> list[Any]:
    async with database.transaction() as connection:
        return list((await connection.execute(text("SELECT * FROM provider_accounts"))).all())


def seal() -> Seal:
    return Seal(Settings().plain_credential_keys)


async def test_an_account_is_set_and_listed_and_its_secret_is_seen_nowhere(manager: httpx.AsyncClient, database: Database) -> None:
    put = await manager.put("/v1/providers/email/main", json=RESEND)
    assert put.status_code == 200, put.text
    listed = await manager.get("/v1/providers")
    assert "hush" not in put.text + listed.text
    [account] = listed.json()["items"]
    assert (account["channel"], account["name"], account["provider"], account["settings"], account["secret"]) == (
        "email", "main", "resend", {}, ["api_key"],
    )  # fmt: skip
    [row] = await stored(database)
    assert "hush" not in str(row)
    assert b"hush" not in row.sealed


async def test_a_secret_that_is_left_out_stays_and_one_that_is_given_counts(manager: httpx.AsyncClient, database: Database) -> None:
    await manager.put("/v1/providers/email/main", json={"provider": "postmark", "settings": {"server_token": "first"}})
    again = await manager.put("/v1/providers/email/main", json={"provider": "postmark", "settings": {"marketing_stream": "news"}})
    assert again.json()["secret"] == ["server_token"]
    [row] = await stored(database)
    assert seal().open(row.sealed, "provider/demo/email/main") == {"server_token": "first"}
    await manager.put("/v1/providers/email/main", json={"provider": "postmark", "settings": {"server_token": "second"}})
    [row] = await stored(database)
    assert seal().open(row.sealed, "provider/demo/email/main") == {"server_token": "second"}


async def test_another_provider_does_not_inherit_a_secret(manager: httpx.AsyncClient) -> None:
    await manager.put("/v1/providers/email/main", json=RESEND)
    other = await manager.put("/v1/providers/email/main", json={"provider": "sendgrid", "settings": {}})
    assert other.status_code == 422
    assert other.json()["errors"][0]["pointer"] == "/settings/api_key"


async def test_a_password_does_not_follow_its_account_to_another_host(manager: httpx.AsyncClient) -> None:
    settings = {"host": "smtp.acme.example", "username": "acme"}
    first = await manager.put("/v1/providers/email/own", json={"provider": "smtp", "settings": {**settings, "password": "hush"}})
    assert (first.status_code, first.json()["secret"]) == (200, ["password"])
    assert "hush" not in first.text
    kept = await manager.put("/v1/providers/email/own", json={"provider": "smtp", "settings": {**settings, "port": 465, "tls": "tls"}})
    assert (kept.status_code, kept.json()["secret"]) == (200, ["password"])
    moved = await manager.put("/v1/providers/email/own", json={"provider": "smtp", "settings": {**settings, "host": "smtp.evil.example"}})
    assert (moved.status_code, moved.json()["errors"][0]["pointer"]) == (422, "/settings/password")


async def test_what_is_wrong_is_named_and_not_echoed(manager: httpx.AsyncClient) -> None:
    wrong = await manager.put("/v1/providers/email/main", json={"provider": "resend", "settings": {"api_key": ["hush"]}})
    assert wrong.status_code == 422
    assert "hush" not in wrong.text
    assert wrong.json()["errors"][0]["pointer"] == "/settings/api_key"
    unknown = await manager.put("/v1/providers/email/main", json={"provider": "carrier-pigeon", "settings": {}})
    assert (unknown.status_code, unknown.json()["errors"][0]["pointer"]) == (422, "/provider")


async def test_senders_without_a_sender_are_refused_and_nothing_is_kept(manager: httpx.AsyncClient, database: Database) -> None:
    settings = {"api_key": "key", "api_secret": "hush", "senders": {"default": [], "countries": ["de"]}}
    refused = await manager.put("/v1/providers/sms/main", json={"provider": "vonage", "settings": settings})
    assert refused.status_code == 422
    told = {each["pointer"]: each["message"] for each in refused.json()["errors"]}
    assert set(told) == {"/settings/senders/default", "/settings/senders/countries/0"}
    assert "at least one number or name" in told["/settings/senders/default"]
    assert await stored(database) == []


async def test_a_secret_is_not_set_to_nothing(manager: httpx.AsyncClient) -> None:
    await manager.put("/v1/providers/email/main", json=RESEND)
    refused = await manager.put("/v1/providers/email/main", json={"provider": "resend", "settings": {"api_key": ""}})
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/settings/api_key")
    [account] = (await manager.get("/v1/providers")).json()["items"]
    assert account["secret"] == ["api_key"]


async def test_a_forgotten_account_is_gone_and_twice_is_not_found(manager: httpx.AsyncClient) -> None:
    await manager.put("/v1/providers/email/main", json=RESEND)
    assert (await manager.delete("/v1/providers/email/main")).status_code == 204
    assert (await manager.delete("/v1/providers/email/main")).status_code == 404
    assert (await manager.get("/v1/providers")).json()["items"] == []


async def test_kinds_say_what_an_account_needs(manager: httpx.AsyncClient) -> None:
    kinds = (await manager.get("/v1/provider-kinds")).json()["items"]
    ses = next(each for each in kinds if each["provider"] == "ses")
    assert {"name": "secret_access_key", "is_required": True, "is_secret": True} in ses["settings"]
    assert all(field["name"] != "callback_url" for each in kinds for field in each["settings"])


async def test_lists_come_in_pages(manager: httpx.AsyncClient) -> None:
    for name in ("one", "two", "three"):
        await manager.put(f"/v1/providers/email/{name}", json=RESEND)
    first = (await manager.get("/v1/providers", params={"limit": 2})).json()
    rest = (await manager.get("/v1/providers", params={"limit": 2, "cursor": first["next"]})).json()
    assert [each["name"] for each in first["items"] + rest["items"]] == ["one", "three", "two"]
    assert rest["next"] is None


async def test_a_worker_knows_the_accounts_by_place_and_hears_of_changes(manager: httpx.AsyncClient, database: Database) -> None:
    now = 0.0
    accounts = Accounts(database, seal(), HERE, lambda: now)
    assert await accounts.of("demo", "email") == ()
    await manager.put("/v1/providers/email/main", json={**RESEND, "place": 2})
    now += 6
    [first] = await accounts.of("demo", "email")
    assert first.adapter.name == "resend"
    await manager.put("/v1/providers/email/main", json={"provider": "resend", "place": 3, "settings": {}})
    now += 6
    [moved] = await accounts.of("demo", "email")
    assert moved.account.traffic.place == 3
    await manager.put("/v1/providers/email/before", json={"provider": "sendgrid", "settings": {"api_key": "SG"}, "place": 1})
    now += 6
    assert [each.adapter.name for each in await accounts.of("demo", "email")] == ["sendgrid", "resend"]
    assert await accounts.of("demo", "sms") == ()
    assert await accounts.of("other", "email") == ()
    await accounts.close()


async def test_an_account_that_does_not_open_sends_nothing_and_does_not_fall_back(manager: httpx.AsyncClient, database: Database) -> None:
    await manager.put("/v1/providers/email/main", json=RESEND)
    accounts = Accounts(database, Seal([base64.b64encode(b"x" * 32).decode()]), HERE)
    [chosen] = await accounts.of("demo", "email")
    assert isinstance(chosen.adapter, Unusable)
    await accounts.close()


async def test_a_new_key_seals_everything_anew(database: Database, database_url: str, manager: httpx.AsyncClient) -> None:
    await manager.put("/v1/providers/email/main", json=RESEND)
    old = Settings().plain_credential_keys[0]
    new = base64.b64encode(b"n" * 32).decode()
    app = create_app(Settings(database_url=database_url, credential_keys=(new, old)), database)
    async with database.transaction() as connection:
        key = await keys.create(connection, "demo", "secret")
    headers = {"authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://sojourn", headers=headers) as rotated:
        assert (await rotated.post("/v1/providers/reseal", json={})).json() == {"resealed": 1}
        assert (await rotated.post("/v1/providers/reseal", json={})).json() == {"resealed": 0}
    [row] = await stored(database)
    assert Seal([new]).open(row.sealed, "provider/demo/email/main") == {"api_key": "re_hush"}
    await app.state.notify.close()
    await app.state.renderer.close()


async def test_of_push_every_provider_has_its_account_and_each_device_takes_its_own(manager: httpx.AsyncClient, database: Database) -> None:
    browsers = {"private_key": P256, "subject": "mailto:push@acme.example"}
    await manager.put("/v1/providers/push/browsers", json={"provider": "web_push", "place": 2, "settings": browsers})
    await manager.put("/v1/providers/push/phones", json={"provider": "fcm", "settings": {"service_account": SERVICE_ACCOUNT}})
    accounts = Accounts(database, seal(), HERE)
    assert [each.adapter.name for each in await accounts.of("demo", "push")] == ["fcm", "web_push"]
    shown = (await manager.get("/v1/providers")).json()["items"]
    assert [each["secret"] for each in shown] == [["service_account"], ["private_key"]]
    assert "PRIVATE KEY" not in str(shown)
    await accounts.close()


async def test_what_goes_through_an_account_is_set_and_shown(manager: httpx.AsyncClient) -> None:
    shares = {"place": 2, "weight": 7, "countries": ["DE"], "classes": ["marketing"], "per_second": 14.5, "burst": 3, "max_per_day": 1000}
    put = await manager.put("/v1/providers/email/main", json={**RESEND, **shares})
    assert {name: put.json()[name] for name in shares} == shares
    wrong = await manager.put("/v1/providers/email/main", json={**RESEND, "countries": ["Germany"], "per_second": 0})
    assert {each["pointer"] for each in wrong.json()["errors"]} == {"/countries/0", "/per_second"}
    nobodys = (await manager.put("/v1/providers/email/main", json={**RESEND, "countries": ["DE", "UK"]})).json()["errors"]
    assert [(each["pointer"], each["code"]) for each in nobodys] == [("/countries/1", "no_country")]


async def test_an_account_is_verified_at_its_provider(manager: httpx.AsyncClient) -> None:
    account = {"provider": "resend", "settings": {"api_key": "re_hush", "base_url": "http://127.0.0.1:1"}}
    await manager.put("/v1/providers/email/main", json=account)
    away = (await manager.post("/v1/providers/email/main/verify", json={})).json()
    assert (away["verdict"], "hush" in str(away)) == ("refused", False)
    assert away["remedy"]
    await manager.put("/v1/providers/sms/kept", json={"provider": "sandbox", "settings": {}})
    kept = (await manager.post("/v1/providers/sms/kept/verify", json={})).json()
    assert kept == {"verdict": "ok", "words": "nothing leaves: messages are kept", "remedy": ""}
    assert (await manager.post("/v1/providers/sms/nobody/verify", json={})).status_code == 404


@dataclass(eq=False)
class Told:
    """An adapter whose provider says how fast it may be used."""

    rate: float | None = 14.0
    asked: int = 0
    name: str = "ses"
    channel: str = "email"

    async def per_second(self) -> float | None:
        self.asked += 1
        if self.rate is None:
            raise NotSent("HTTP 503")
        return self.rate

    async def close(self) -> None: ...


async def test_an_account_without_a_rate_is_used_at_the_one_that_its_provider_names(
    manager: httpx.AsyncClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, told = 0.0, Told()
    monkeypatch.setattr("activities.accounts.opened_adapter", lambda *_: told)
    accounts = Accounts(database, seal(), HERE, lambda: now)

    async def rate() -> float | None:
        await accounts.of("demo", "email")
        await asyncio.gather(*accounts._asking)
        [found] = await accounts.of("demo", "email")
        return found.account.traffic.per_second

    settings = {"region": "eu-west-1", "access_key_id": "AKIDEXAMPLE", "secret_access_key": "x"}
    await manager.put("/v1/providers/email/main", json={"provider": "ses", "settings": settings})
    assert (await rate(), await rate(), told.asked) == (14.0, 14.0, 1)
    told.rate, now = 28.0, 3601.0
    assert (await rate(), told.asked) == (28.0, 2)
    told.rate, now = None, now + 3601.0
    assert await rate() == 28.0, "what it said last holds while it does not answer"
    told.rate, now = 7.0, now + 61.0
    assert await rate() == 7.0
    await manager.put("/v1/providers/email/main", json={"provider": "ses", "settings": settings, "per_second": 3})
    now += 6
    assert await rate() == 3.0
    await accounts.close()
