"""The doors for events over HTTP: who may come in, the exact answers, and what is committed when they say success."""

import gzip
from base64 import b64encode
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
import orjson
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from api.auth import KeyRing, sign_user_id
from api.errors import Unauthenticated
from storage import keys
from storage.database import Database

SUCCESS = b'{"success":true}'
DOORS = ["identify", "track", "page", "screen", "group", "alias", "batch", "import"]


@pytest.fixture
async def written(database: Database) -> dict[str, str]:
    """One key of each kind."""
    async with database.transaction() as connection:
        return {kind: await keys.create(connection, "demo", kind) for kind in keys.KINDS}


@pytest.fixture
async def shop(app: FastAPI, written: dict[str, str]) -> AsyncIterator[httpx.AsyncClient]:
    """A server with the write key."""
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://sojourn", auth=(written["write"], "")) as client:
        yield client


def track(**fields: Any) -> dict[str, Any]:
    return {"type": "track", "event": "signed_up", "userId": "ada", "messageId": uuid4().hex, **fields}


def call(door: str) -> dict[str, Any]:
    item = track(previousId="x", groupId="g", anonymousId="x")
    return {"batch": [item]} if door in {"batch", "import"} else item


def refused(index: int, pointer: str, code: str) -> dict[str, Any]:
    return {"index": index, "status": 422, "code": code, "errors": [{"pointer": f"/batch/{index}{pointer}", "code": code}]}


async def ask(database: Database, statement: str) -> list[Any]:
    async with database.transaction() as connection:
        return list((await connection.execute(text(statement))).all())


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize("door", DOORS)
async def test_every_door_answers_exactly_success(shop: httpx.AsyncClient, door: str, slash: str) -> None:
    answer = await shop.post(f"/v1/{door}{slash}", json=call(door))
    assert (answer.status_code, answer.content, answer.headers["content-type"]) == (200, SUCCESS, "application/json")
    assert answer.headers["access-control-allow-origin"] == "*"


async def test_success_means_committed(shop: httpx.AsyncClient, database: Database) -> None:
    await shop.post("/v1/batch", json={"batch": [track(event="a"), track(event="b")]})
    assert await ask(database, "SELECT name FROM events ORDER BY seq") == [("a",), ("b",)]


async def test_one_bad_item_costs_only_itself(shop: httpx.AsyncClient, database: Database) -> None:
    bad = '{"type":"track","event":"b","userId":"ada","messageId":"m2","properties":{"a":["\\ud800"]}}'
    body = f'{{"batch":[{orjson.dumps(track(event="a")).decode()},{bad},7,{orjson.dumps(track(event="c")).decode()}]}}'
    answer = await shop.post("/v1/batch", content=body, headers={"content-type": "application/json"})
    assert answer.json() == {
        "success": True,
        "accepted": 2,
        "results": [
            refused(1, "/properties/a/0", "lone_surrogate"),
            refused(2, "", "not_an_object"),
        ],
    }
    assert await ask(database, "SELECT name FROM events ORDER BY seq") == [("a",), ("c",)]


async def test_a_repeat_succeeds_and_says_so(shop: httpx.AsyncClient, database: Database) -> None:
    item = track()
    await shop.post("/v1/track", json=item)
    for repeat in (item, {**item, "properties": {"other": 1}}):
        answer = await shop.post("/v1/track", json=repeat)
        assert answer.json()["results"] == [{"index": 0, "status": 200, "code": "duplicate"}]
    assert await ask(database, "SELECT properties FROM events") == [({},)]


async def test_an_event_without_an_id_is_taken_and_told_that_its_repeats_are_not_known(shop: httpx.AsyncClient) -> None:
    answer = await shop.post("/v1/track", json={"event": "signed_up", "userId": "ada"})
    assert answer.json() == {"success": True, "accepted": 1, "results": [{"index": 0, "status": 200, "code": "no_message_id"}]}


async def test_a_bad_single_call_is_400_with_code_and_message(shop: httpx.AsyncClient) -> None:
    answer = await shop.post("/v1/track", json=track(userId=None, timestamp="nonsense"))
    told = answer.json()
    assert (answer.status_code, answer.headers["content-type"], told["code"]) == (400, "application/problem+json", "invalid_time")
    assert told["message"]
    assert {e["pointer"]: e["code"] for e in told["errors"]} == {"/timestamp": "invalid_time", "/userId": "required"}


async def test_gzip_is_read(shop: httpx.AsyncClient) -> None:
    packed = gzip.compress(orjson.dumps({"batch": [track() for _ in range(100)]}))
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    assert (await shop.post("/v1/batch", content=packed, headers=headers)).content == SUCCESS


async def test_a_batch_above_500_kb_is_400_in_any_encoding(shop: httpx.AsyncClient) -> None:
    raw = orjson.dumps({"batch": [track(properties={"a": "x" * 8000}) for _ in range(64)]})
    assert len(raw) > 500 * 1024
    for body, encoding in ((raw, "identity"), (gzip.compress(raw), "gzip")):
        answer = await shop.post("/v1/batch", content=body, headers={"content-type": "application/json", "content-encoding": encoding})
        assert (answer.status_code, answer.json()["code"]) == (400, "too_large")


async def test_browsers_may_ask_beforehand_and_post_plain_text(shop: httpx.AsyncClient) -> None:
    before = await shop.options("/v1/track", headers={"origin": "https://shop.example", "access-control-request-method": "POST"})
    assert (before.status_code, before.headers["access-control-allow-origin"]) == (204, "*")
    assert "Authorization" in before.headers["access-control-allow-headers"]
    answer = await shop.post("/v1/track", content=orjson.dumps(track()), headers={"content-type": "text/plain;charset=UTF-8"})
    assert answer.content == SUCCESS


# Keys


async def test_the_key_may_stand_in_the_body_alone(client: httpx.AsyncClient, written: dict[str, str]) -> None:
    for body in ({"batch": [track()], "writeKey": written["write"]}, {"batch": [track()], "writeKey": written["public"]}):
        assert (await client.post("/v1/import/", json=body)).content == SUCCESS


async def test_a_foreign_token_in_the_header_leaves_the_word_to_the_body(client: httpx.AsyncClient, written: dict[str, str]) -> None:
    headers = {"authorization": "Bearer some-other-token"}
    assert (await client.post("/v1/track", json={**track(), "writeKey": written["write"]}, headers=headers)).content == SUCCESS


@pytest.mark.parametrize("password", [":", ":anything", ""])
async def test_basic_takes_any_password_and_none(client: httpx.AsyncClient, written: dict[str, str], password: str) -> None:
    token = b64encode(f"{written['write']}{password}".encode()).decode()
    assert (await client.post("/v1/track", json=track(), headers={"authorization": f"Basic {token}"})).status_code == 200


@pytest.mark.parametrize(
    "key",
    ["", "sj_write_12345678_nothing", "é", keys.generate("write"), keys.generate("secret")],
    ids=["none", "short", "é", "write", "secret"],
)
async def test_no_key_and_an_unknown_key_get_one_answer(client: httpx.AsyncClient, key: str) -> None:
    answer = await client.post("/v1/batch", json={"batch": [track()], "writeKey": key})
    told = answer.json()
    assert (answer.status_code, told["code"], told["message"]) == (401, "unauthenticated", "The key is missing or not known")


async def test_a_secret_key_in_a_body_is_refused(client: httpx.AsyncClient, written: dict[str, str]) -> None:
    assert (await client.post("/v1/track", json={**track(), "writeKey": written["secret"]})).status_code == 401


async def test_a_revoked_key_is_refused_after_ten_seconds(database: Database, written: dict[str, str]) -> None:
    now = 0.0
    ring = KeyRing(database, clock=lambda: now)
    key = await ring.key(written["write"])
    async with database.transaction() as connection:
        await keys.revoke(connection, "demo", key.id)
    assert await ring.key(written["write"]) == key
    now = 10.0
    with pytest.raises(Unauthenticated):
        await ring.key(written["write"])


async def test_a_known_id_with_another_secret_is_refused(client: httpx.AsyncClient, written: dict[str, str]) -> None:
    forged = keys.generate("write").split("_")
    head = "_".join(["sj", "write", written["write"].split("_")[2], forged[3][:-6]])
    answer = await client.post("/v1/track", json={**track(), "writeKey": head + keys._checksum(head)})
    assert answer.status_code == 401


# Browsers


async def test_a_browser_needs_a_signed_user_id_to_set_an_address(
    app: FastAPI, client: httpx.AsyncClient, written: dict[str, str], database: Database
) -> None:
    signed = sign_user_id(app.state.settings, "demo", "ada")
    item = {"userId": "ada", "traits": {"email": "ada@example.com"}, "writeKey": written["public"]}
    for token in (None, "forged", sign_user_id(app.state.settings, "demo", "eve"), sign_user_id(app.state.settings, "other", "ada")):
        answer = await client.post("/v1/identify", json={**item, "messageId": uuid4().hex, "context": {"signedUserId": token}})
        assert answer.json()["results"] == [{"index": 0, "status": 200, "code": "withheld"}]
    assert await ask(database, "SELECT address FROM endpoints") == []
    answer = await client.post("/v1/identify", json={**item, "messageId": "m", "context": {"signedUserId": signed}})
    assert (answer.content, await ask(database, "SELECT address FROM endpoints")) == (SUCCESS, [("ada@example.com",)])


async def test_the_token_of_a_signed_user_id_is_not_kept(
    app: FastAPI, client: httpx.AsyncClient, written: dict[str, str], database: Database
) -> None:
    context = {"signedUserId": sign_user_id(app.state.settings, "demo", "ada"), "ip": "192.0.2.1"}
    await client.post("/v1/track", json=track(context=context, writeKey=written["public"]))
    assert await ask(database, "SELECT context FROM events") == [({"ip": "192.0.2.1"},)]


# History


async def test_history_needs_a_secret_key(client: httpx.AsyncClient, written: dict[str, str]) -> None:
    body = {"batch": [track()]}
    for kind, status in (("write", 403), ("public", 403), ("secret", 200)):
        answer = await client.post("/v1/history", json=body, headers={"authorization": f"Bearer {written[kind]}"})
        assert answer.status_code == status
    assert (await client.post("/v1/history", json={**body, "writeKey": written["secret"]})).status_code == 401


async def test_history_is_counted_and_keeps_its_dates(client: httpx.AsyncClient, written: dict[str, str], database: Database) -> None:
    headers = {"authorization": f"Bearer {written['secret']}"}
    item = track(timestamp="1997-01-01T00:00:00Z")
    answer = await client.post("/v1/history", json={"batch": [item], "sentAt": "2026-01-01T00:00:00Z"}, headers=headers)
    assert answer.json() == {"success": True, "accepted": 1, "results": []}
    assert await ask(database, "SELECT occurred_at, is_history FROM events") == [(datetime(1997, 1, 1, tzinfo=UTC), True)]
    assert await ask(database, "SELECT * FROM outbox") == []


# When it is too much


async def test_a_full_outbox_stops_bulk_first(app: FastAPI, shop: httpx.AsyncClient) -> None:
    limit = app.state.settings.outbox_limit
    for rows, statuses in ((limit * 0.89, [200, 200]), (limit * 0.9, [200, 503]), (limit, [503, 503])):
        app.state.outbox_rows = (float("inf"), rows)
        answers = [await shop.post(f"/v1/{door}", json=call(door)) for door in ("track", "batch")]
        assert [answer.status_code for answer in answers] == statuses
        assert all(int(answer.headers["retry-after"]) > 0 for answer in answers if answer.status_code == 503)


async def test_too_many_at_once_are_told_to_come_back(app: FastAPI, shop: httpx.AsyncClient) -> None:
    app.state.ingest_in_flight = 256
    answer = await shop.post("/v1/track", json=track())
    assert (answer.status_code, answer.json()["code"], int(answer.headers["retry-after"]) > 0) == (429, "too_many_requests", True)
    app.state.ingest_in_flight = 0


async def test_a_database_that_is_away_is_503_with_retry_after(app: FastAPI, shop: httpx.AsyncClient) -> None:
    assert (await shop.post("/v1/track", json=track())).status_code == 200
    app.state.database = Database("postgresql+asyncpg://sojourn@127.0.0.1:1/none")
    answer = await shop.post("/v1/track", json=track())
    assert (answer.status_code, answer.json()["code"], int(answer.headers["retry-after"]) > 0) == (503, "unavailable", True)
    await app.state.database.close()


async def test_the_relay_is_woken_when_somebody_listens(app: FastAPI, shop: httpx.AsyncClient, database: Database) -> None:
    woken: list[str] = []
    app.state.notify, kept = (lambda: woken.append("x")), app.state.notify
    await shop.post("/v1/track", json=track())
    assert woken == []
    await ask(database, "INSERT INTO journeys (app, name, live_version) VALUES ('demo', 'j', 1) RETURNING 1")
    await ask(
        database,
        "INSERT INTO journey_versions (app, journey, version, hash, definition, entry_names, listen_names)"
        " VALUES ('demo', 'j', 1, 'h', '{}', ARRAY['signed_up'], '{}') RETURNING 1",
    )
    await shop.post("/v1/track", json=track())
    assert woken == ["x"]
    app.state.notify = kept
