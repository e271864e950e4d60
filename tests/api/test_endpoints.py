"""Addresses over HTTP: found across users, used no more with a reason, used again, forgotten."""

from typing import Any

import httpx
import pytest


@pytest.fixture
async def family(manager: httpx.AsyncClient) -> dict[str, dict[str, Any]]:
    """Ann and Bob share a mailbox; Ann has a phone too."""
    made = {}
    for user, channel, address in (
        ("ann", "email", "home@example.com"),
        ("bob", "email", "Home@Example.com"),
        ("ann", "sms", "+4915112345678"),
        ("bob", "push", "token-1"),
    ):
        await manager.patch(f"/v1/users/{user}", json={})
        answer = await manager.post(f"/v1/users/{user}/endpoints", json={"channel": channel, "address": address})
        made[f"{user} {channel}"] = answer.json()
    return made


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, ["bob push", "ann sms", "bob email", "ann email"]),
        ({"address": "HOME@example.com"}, ["bob email", "ann email"]),
        ({"address": "+49 151 12345678"}, ["ann sms"]),
        ({"user_id": "ann"}, ["ann sms", "ann email"]),
        ({"channel": "push"}, ["bob push"]),
        ({"state": "inactive"}, []),
        ({"address": "home@example.com", "user_id": "bob"}, ["bob email"]),
    ],
)
async def test_addresses_are_found_across_users(
    manager: httpx.AsyncClient, family: dict[str, dict[str, Any]], query: dict[str, str], found: list[str]
) -> None:
    listed = (await manager.get("/v1/endpoints", params=query)).json()["items"]
    assert [f"{row['user_id']} {row['channel']}" for row in listed] == found


async def test_addresses_are_listed_page_by_page(manager: httpx.AsyncClient, family: dict[str, dict[str, Any]]) -> None:
    seen: list[int] = []
    cursor = None
    for _ in range(4):
        page = (await manager.get("/v1/endpoints", params={"limit": 1} | ({"cursor": cursor} if cursor else {}))).json()
        seen += [row["id"] for row in page["items"]]
        cursor = page["next"]
    assert cursor is None
    assert seen == sorted((row["id"] for row in family.values()), reverse=True)


async def test_an_address_is_used_no_more_with_its_first_reason_and_used_again(
    manager: httpx.AsyncClient, family: dict[str, dict[str, Any]]
) -> None:
    place = f"/v1/endpoints/{family['ann email']['id']}"
    for reason in ("asked_support", "another"):
        gone = (await manager.post(f"{place}/deactivate", json={"reason": reason})).json()
        assert (gone["state"], gone["reason"]) == ("inactive", "asked_support")
    back = (await manager.post(f"{place}/activate")).json()
    assert (back["state"], back["reason"]) == ("active", None)
    assert (await manager.get(place)).json() == back


async def test_what_is_known_of_a_device_is_replaced(manager: httpx.AsyncClient, family: dict[str, dict[str, Any]]) -> None:
    place = f"/v1/endpoints/{family['bob push']['id']}"
    for device in ({"os": "android", "model": "A"}, {"os": "ios"}):
        assert (await manager.put(place, json={"device": device})).json()["device"] == device


async def test_a_forgotten_address_is_gone_for_its_user_alone(manager: httpx.AsyncClient, family: dict[str, dict[str, Any]]) -> None:
    place = f"/v1/endpoints/{family['ann email']['id']}"
    assert (await manager.delete(place)).status_code == 204
    assert (await manager.get(place)).status_code == 404
    listed = (await manager.get("/v1/endpoints", params={"address": "home@example.com"})).json()["items"]
    assert [row["user_id"] for row in listed] == ["bob"]


@pytest.mark.parametrize("number", ["0", "-1", "9223372036854775808", "x"])
async def test_an_id_that_cannot_be_is_refused(manager: httpx.AsyncClient, number: str) -> None:
    assert (await manager.get(f"/v1/endpoints/{number}")).status_code == 422
