"""Keys through the API: told once, no wider than the one that makes them, replaced without a gap, revoked."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from api import auth
from storage import keys
from storage.database import Database


@pytest.fixture
async def narrow(database: Database) -> str:
    """A key that may make keys and look."""
    async with database.transaction() as connection:
        return await keys.create(connection, "demo", "secret", scopes=["keys", "read"])


async def ask(app: FastAPI, key: str, method: str = "GET", path: str = "/v1/users", body: object = None) -> httpx.Response:
    headers = {"authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://sojourn", headers=headers) as client:
        return await client.request(method, path, json=body)


async def test_a_key_is_told_once_and_only_its_hash_is_kept(manager: httpx.AsyncClient, app: FastAPI, database: Database) -> None:
    headers = {"idempotency-key": "deploy-key"}
    made, again = [await manager.post("/v1/keys", json={"name": "deploys", "scopes": ["read"]}, headers=headers) for _ in range(2)]
    assert (made.status_code, made.json()["scopes"], made.json()["name"]) == (201, ["read"], "deploys")
    assert (await ask(app, made.json()["key"])).status_code == 200
    assert again.json() == made.json() | {"key": None}
    async with database.transaction() as connection:
        stored = (
            await connection.execute(text("SELECT jsonb_agg(k) || (SELECT jsonb_agg(i) FROM idempotency_keys i) FROM keys k"))
        ).scalar()
    assert made.json()["key"].rpartition("_")[2] not in str(stored)


@pytest.mark.parametrize(
    ("body", "given"),
    [
        ({}, ("keys", "read")),  # none named: what the asking key has
        ({"scopes": ["read"]}, ("read",)),
        ({"scopes": ["erase"]}, None),
        ({"kind": "write"}, None),
    ],
)
async def test_a_key_gives_no_scope_that_it_has_not_itself(
    app: FastAPI, narrow: str, body: dict[str, object], given: Sequence[str] | None
) -> None:
    answer = await ask(app, narrow, "POST", "/v1/keys", body)
    if given is None:
        assert (answer.status_code, answer.json()["detail"]) == (403, "a key gives no scope that it has not itself")
    else:
        assert (answer.status_code, tuple(answer.json()["scopes"])) == (201, given)


async def test_a_narrow_key_does_not_get_a_wide_one_by_rotating_it(app: FastAPI, narrow: str, secret_key: str) -> None:
    parts = keys.parse(secret_key)
    assert parts is not None
    assert (await ask(app, narrow, "POST", f"/v1/keys/{parts.id}/rotate", {})).status_code == 403


async def test_a_rotated_key_works_until_its_overlap_ends(manager: httpx.AsyncClient, app: FastAPI, database: Database) -> None:
    made = (await manager.post("/v1/keys", json={"scopes": ["read"], "name": "deploys"})).json()
    new = (await manager.post(f"/v1/keys/{made['id']}/rotate", json={"overlap_h": 1})).json()
    assert (new["scopes"], new["name"], new["expires_at"]) == (["read"], "deploys", None)
    assert [(await ask(app, key)).status_code for key in (made["key"], new["key"])] == [200, 200]
    listed = {key["id"]: key for key in (await manager.get("/v1/keys")).json()["items"]}
    left = datetime.fromisoformat(listed[made["id"]]["expires_at"]) - datetime.now(UTC)
    assert timedelta(minutes=59) < left <= timedelta(hours=1)
    async with database.transaction() as connection:
        await connection.execute(text("UPDATE keys SET expires_at = now() WHERE id = :id"), {"id": made["id"]})
    del app.state.key_ring
    assert [(await ask(app, key)).status_code for key in (made["key"], new["key"])] == [401, 200]


async def test_a_revoked_key_is_refused_when_it_is_no_longer_remembered(
    manager: httpx.AsyncClient, app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = (await manager.post("/v1/keys", json={"scopes": ["read"]})).json()
    assert (await ask(app, made["key"])).status_code == 200
    assert (await manager.delete(f"/v1/keys/{made['id']}")).status_code == 204
    monkeypatch.setattr(auth, "REMEMBERED_S", 0.0)
    assert (await ask(app, made["key"])).status_code == 401
    assert made["id"] not in {key["id"] for key in (await manager.get("/v1/keys")).json()["items"]}


async def test_the_list_shows_when_a_key_was_used_last_and_no_secret(manager: httpx.AsyncClient, secret_key: str) -> None:
    [listed] = (await manager.get("/v1/keys")).json()["items"]
    assert listed["last_used_at"] is not None
    assert listed["scopes"] == list(keys.SCOPES)
    assert secret_key.rpartition("_")[2] not in str(listed)


@pytest.mark.parametrize(
    "body",
    [{"kind": "write", "scopes": ["read"]}, {"scopes": ["all"]}, {"expires_at": "2020-01-01T00:00:00Z"}, {"expires_at": "2030-01-01"}],
)
async def test_a_key_that_cannot_be_is_refused(manager: httpx.AsyncClient, body: dict[str, object]) -> None:
    assert (await manager.post("/v1/keys", json=body)).status_code == 422
