"""A request that is repeated under its Idempotency-Key is answered, and not done again."""

from typing import Any

import httpx
import orjson
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from journeys.language import Journey, Send, email, event
from journeys.language.codec import to_json
from storage.database import Database

ONE = orjson.loads(to_json(Journey("one", starts_on=event("signed_up"), steps=[Send("hello", email("hello"))])))
KEY = {"idempotency-key": "about-ann"}


@pytest.mark.parametrize(
    ("path", "body", "table"),
    [
        ("/v1/users/ann/consents", {"channel": "sms", "state": "granted"}, "consents"),
        ("/v1/users/ann/endpoints", {"channel": "email", "address": "ann@example.com"}, "endpoints"),
        ("/v1/suppressions", {"channel": "email", "address": "ann@example.com"}, "suppressions"),
        ("/v1/keys", {"name": "deploys"}, "keys"),
        ("/v1/backtests", {"definition": ONE}, "jobs"),
    ],
)
async def test_a_repeat_gets_the_first_answer_and_makes_nothing(
    manager: httpx.AsyncClient, app: FastAPI, database: Database, path: str, body: dict[str, Any], table: str
) -> None:
    app.state.temporal = None
    await manager.put("/v1/users/ann", json={})
    first = await manager.post(path, json=body, headers=KEY)
    made = await rows(database, table)
    again = await manager.post(path, json=body, headers=KEY)
    assert (first.status_code, again.status_code) in {(201, 201), (202, 202)}
    assert again.json() == {**first.json(), **({"key": None} if table == "keys" else {})}
    assert await rows(database, table) == made


async def test_the_same_key_on_another_path_is_another_request(manager: httpx.AsyncClient, database: Database) -> None:
    for user in ("ann", "bob"):
        await manager.put(f"/v1/users/{user}", json={})
        answer = await manager.post(f"/v1/users/{user}/consents", json={"channel": "sms", "state": "granted"}, headers=KEY)
        assert "idempotent-replayed" not in answer.headers
    assert await rows(database, "consents") == 2


async def test_neither_the_key_nor_the_path_is_stored(manager: httpx.AsyncClient, database: Database) -> None:
    await manager.put("/v1/users/ann-quill", json={})
    await manager.post("/v1/users/ann-quill/consents", json={"channel": "sms", "state": "granted"}, headers=KEY)
    async with database.transaction() as connection:
        stored = str((await connection.execute(text("SELECT jsonb_agg(i) FROM idempotency_keys i"))).scalar())
    assert "POST /v1/users/{user_id" in stored
    assert "ann-quill" not in stored
    assert "about-ann" not in stored


async def rows(database: Database, table: str) -> int:
    async with database.transaction() as connection:
        return int((await connection.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one())
