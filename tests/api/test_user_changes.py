"""PUT replaces, PATCH changes, merge joins; an email or phone among the attributes is an address."""

import asyncio
from typing import Any

import httpx
import pytest

ANN: dict[str, Any] = {"attributes": {"plan": "pro", "first_name": "Ann"}, "timezone": "Europe/Berlin", "locale": "de-DE"}


async def test_put_removes_what_is_not_named(manager: httpx.AsyncClient) -> None:
    await manager.put("/v1/users/ann", json=ANN)
    replaced = (await manager.put("/v1/users/ann", json={"attributes": {"city": "Kiel"}})).json()
    assert (replaced["attributes"], replaced["timezone"], replaced["locale"]) == ({"city": "Kiel"}, None, None)


async def test_patch_leaves_what_is_not_named_and_null_removes(manager: httpx.AsyncClient) -> None:
    await manager.put("/v1/users/ann", json=ANN)
    changed = (await manager.patch("/v1/users/ann", json={"attributes": {"plan": None, "city": "Kiel"}, "locale": None})).json()
    assert changed["attributes"] == {"first_name": "Ann", "city": "Kiel"}
    assert (changed["timezone"], changed["locale"]) == ("Europe/Berlin", None)


async def test_patch_merges_objects_member_by_member(manager: httpx.AsyncClient) -> None:
    await manager.put("/v1/users/ann", json={"attributes": {"address": {"city": "Kiel", "street": "Hafen 1"}, "tags": ["a", "b"]}})
    body = {"attributes": {"address": {"street": None, "zip": "24103"}, "tags": ["c"], "shop": {"id": 1, "gone": None}}}
    changed = (await manager.patch("/v1/users/ann", json=body)).json()
    assert changed["attributes"] == {"address": {"city": "Kiel", "zip": "24103"}, "tags": ["c"], "shop": {"id": 1}}


async def test_patch_makes_a_user_who_is_not_known_yet(manager: httpx.AsyncClient) -> None:
    assert (await manager.patch("/v1/users/new", json={"attributes": {"plan": "pro"}})).status_code == 200
    assert (await manager.get("/v1/users/new")).json()["attributes"] == {"plan": "pro"}


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
async def test_email_and_phone_become_addresses_as_with_identify(manager: httpx.AsyncClient, method: str) -> None:
    attributes = {"email": "Ann@Example.com", "phone": "+49 151 12345678"}
    made = (await manager.request(method, "/v1/users/ann", json={"attributes": attributes})).json()
    assert made["attributes"] == attributes
    assert [(e["channel"], e["address"]) for e in made["endpoints"]] == [("email", "ann@example.com"), ("sms", "+4915112345678")]


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({"attributes": {"email": "nobody"}}, "/attributes/email", "invalid_email"),
        ({"attributes": {"phone": 15112345678}}, "/attributes/phone", "invalid_phone"),
        ({"attributes": {"$timezone": "UTC"}}, "/attributes", "reserved_trait_name"),
        ({"timezone": "Mars/Olympus"}, "/timezone", "invalid_timezone"),
        ({"attribute": {}}, "/attribute", "extra_forbidden"),
    ],
)
async def test_what_cannot_be_is_refused_and_nothing_is_changed(
    manager: httpx.AsyncClient, method: str, body: object, pointer: str, code: str
) -> None:
    answer = await manager.request(method, "/v1/users/ann", json=body)
    assert (answer.status_code, answer.json()["errors"][0]) == (422, answer.json()["errors"][0] | {"pointer": pointer, "code": code})
    assert (await manager.get("/v1/users/ann")).status_code == 404


async def test_many_patches_at_once_lose_nothing(manager: httpx.AsyncClient) -> None:
    await manager.put("/v1/users/ann", json={"attributes": {"counts": {}}})
    names = [f"n{number}" for number in range(12)]
    await asyncio.gather(*(manager.patch("/v1/users/ann", json={"attributes": {"counts": {name: 1}}}) for name in names))
    assert (await manager.get("/v1/users/ann")).json()["attributes"] == {"counts": dict.fromkeys(names, 1)}


async def test_merged_users_are_one_person_under_both_ids(manager: httpx.AsyncClient) -> None:
    await manager.put("/v1/users/ann", json={"attributes": {"plan": "free", "city": "Kiel"}})
    await manager.put("/v1/users/old-ann", json={"attributes": {"plan": "pro", "email": "ann@example.com"}})
    merged = await manager.post("/v1/users/ann/merge", json={"from_user_id": "old-ann"})
    assert (merged.status_code, merged.json()["user_id"]) == (200, "ann")
    assert merged.json()["attributes"] == {"plan": "pro", "city": "Kiel", "email": "ann@example.com"}
    assert [e["address"] for e in merged.json()["endpoints"]] == ["ann@example.com"]
    assert (await manager.get("/v1/users/old-ann")).json() == merged.json()
    assert [user["user_id"] for user in (await manager.get("/v1/users")).json()["items"]] == ["ann"]


async def test_a_merge_that_comes_again_is_a_conflict_and_with_its_key_the_same_answer(manager: httpx.AsyncClient) -> None:
    for user in ("ann", "old-ann"):
        await manager.put(f"/v1/users/{user}", json={})
    headers = {"idempotency-key": "merge-1"}
    first, again = [await manager.post("/v1/users/ann/merge", json={"from_user_id": "old-ann"}, headers=headers) for _ in range(2)]
    assert (again.status_code, again.json(), again.headers["idempotent-replayed"]) == (200, first.json(), "true")
    assert (await manager.post("/v1/users/ann/merge", json={"from_user_id": "old-ann"})).status_code == 409


async def test_merging_with_nobody_names_the_place(manager: httpx.AsyncClient) -> None:
    await manager.put("/v1/users/ann", json={})
    answer = await manager.post("/v1/users/ann/merge", json={"from_user_id": "nobody"})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/from_user_id")
    assert (await manager.post("/v1/users/nobody/merge", json={"from_user_id": "ann"})).status_code == 404
