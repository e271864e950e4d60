from typing import Any

import httpx
import pytest

from storage import suppressions
from storage.database import Database
from storage.ids import address_hash

ANN = {"attributes": {"plan": "pro", "first_name": "Ann"}, "timezone": "Europe/Berlin"}


async def test_a_user_is_made_and_read_back(manager: httpx.AsyncClient) -> None:
    made = await manager.put("/v1/users/ann", json=ANN)
    assert (made.status_code, made.json()["attributes"], made.json()["timezone"]) == (200, ANN["attributes"], "Europe/Berlin")
    assert (await manager.get("/v1/users/ann")).json() == made.json()


@pytest.mark.parametrize("user_id", ["a b", "urn:x/y/z", "ünï", "100%", "a?b#c"])
async def test_any_readable_id_can_be_named_in_the_path(manager: httpx.AsyncClient, user_id: str) -> None:
    url = httpx.URL("http://sojourn/", raw_path=f"/v1/users/{_quoted(user_id)}".encode())
    assert (await manager.put(url, json={})).json()["user_id"] == user_id
    assert (await manager.get(url)).json()["user_id"] == user_id


def _quoted(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode())


async def test_an_unknown_user_is_404_without_the_id(manager: httpx.AsyncClient) -> None:
    answer = await manager.get("/v1/users/nobody@example.com")
    assert answer.status_code == 404
    assert "example.com" not in answer.text


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"attribute": {}}, "/attribute"),  # a misspelt member is an error
        ({"attributes": []}, "/attributes"),
        ({"timezone": 1}, "/timezone"),
    ],
)
async def test_a_wrong_body_names_its_place(manager: httpx.AsyncClient, body: object, pointer: str) -> None:
    answer = await manager.put("/v1/users/ann", json=body)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)


async def test_users_are_listed_page_by_page_the_newest_first(manager: httpx.AsyncClient) -> None:
    for number in range(5):
        await manager.put(f"/v1/users/u{number}", json={})
    seen: list[str] = []
    cursor: str | None = None
    while True:
        page = (await manager.get("/v1/users", params={"limit": 2} | ({"cursor": cursor} if cursor else {}))).json()
        seen += [user["user_id"] for user in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert seen == ["u4", "u3", "u2", "u1", "u0"]


PEOPLE: dict[str, dict[str, Any]] = {
    "shop-1": {"plan": "pro", "age": 42, "address": {"city": "Kiel"}, "email": "One@example.com"},
    "shop-2": {"plan": "pro", "age": "42"},
    "other-3": {"plan": None, "phone": "+49 151 12345678"},
}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"prefix": "shop-"}, ["shop-2", "shop-1"]),
        ({"prefix": "shop_"}, []),  # an underscore is itself, no wildcard
        ({"attribute": "plan=pro"}, ["shop-2", "shop-1"]),
        ({"attribute": "age=42"}, ["shop-1"]),  # a number does not equal its text
        ({"attribute": 'age="42"'}, ["shop-2"]),
        ({"attribute": "address.city=Kiel"}, ["shop-1"]),
        ({"attribute": ["plan=pro", "age=42"]}, ["shop-1"]),  # all of them hold
        ({"attribute": "plan=null"}, []),  # null removed it: what is not there equals nothing
        ({"address": "one@EXAMPLE.com"}, ["shop-1"]),
        ({"address": "+4915112345678"}, ["other-3"]),
        ({"address": "nobody@example.com"}, []),
        ({"updated_since": "2020-01-01T00:00:00Z"}, ["other-3", "shop-2", "shop-1"]),
        ({"updated_since": "2999-01-01T00:00:00Z"}, []),
    ],
)
async def test_users_are_found_by_what_is_known_of_them(manager: httpx.AsyncClient, query: dict[str, Any], found: list[str]) -> None:
    for user_id, attributes in PEOPLE.items():
        assert (await manager.patch(f"/v1/users/{user_id}", json={"attributes": attributes})).status_code == 200
    listed = (await manager.get("/v1/users", params=query)).json()["items"]
    assert [user["user_id"] for user in listed] == found


async def test_an_attribute_without_a_value_is_refused(manager: httpx.AsyncClient) -> None:
    answer = await manager.get("/v1/users", params={"attribute": "plan"})
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "no_path_and_value")


@pytest.mark.parametrize("cursor", ["x", "W10", "WyJhIl0", "W251bGxd", "W3RydWVd", "WzFlOTld", "é"])
async def test_a_cursor_that_is_none_of_ours_is_422(manager: httpx.AsyncClient, cursor: str) -> None:
    assert (await manager.get("/v1/users", params={"cursor": cursor})).status_code == 422


async def test_an_address_is_added_normalised_used_no_more_and_used_again(manager: httpx.AsyncClient) -> None:
    await manager.put("/v1/users/ann", json={})
    added = await manager.post("/v1/users/ann/endpoints", json={"channel": "email", "address": "Ann@Example.com"})
    assert (added.status_code, added.json()["address"], added.json()["state"]) == (201, "ann@example.com", "active")
    assert (await manager.post(f"/v1/endpoints/{added.json()['id']}/deactivate", json={})).status_code == 200
    assert [(e["state"], e["reason"]) for e in (await manager.get("/v1/users/ann/endpoints")).json()["items"]] == [("inactive", "manual")]
    again = await manager.post("/v1/users/ann/endpoints", json={"channel": "email", "address": "ann@example.com"})
    assert (again.json()["state"], again.json()["id"]) == ("active", added.json()["id"])


async def test_a_wrong_address_is_named_without_being_repeated(manager: httpx.AsyncClient) -> None:
    await manager.put("/v1/users/ann", json={})
    answer = await manager.post("/v1/users/ann/endpoints", json={"channel": "sms", "address": "somebody"})
    assert answer.json()["errors"][0]["pointer"] == "/address"
    assert "somebody" not in answer.text


async def test_consents_are_a_record_whose_newest_entry_holds(manager: httpx.AsyncClient) -> None:
    await manager.put("/v1/users/ann", json={})
    for state in ("granted", "withdrawn"):
        answer = await manager.post("/v1/users/ann/consents", json={"channel": "sms", "topic": "general", "state": state})
        assert answer.status_code == 201
    listed = (await manager.get("/v1/users/ann/consents")).json()
    assert [entry["state"] for entry in listed["in_force"]] == ["withdrawn"]
    assert [entry["state"] for entry in listed["history"]] == ["granted", "withdrawn"]


async def test_a_suppressed_address_is_shown_at_its_user_and_can_be_released(manager: httpx.AsyncClient) -> None:
    await manager.put("/v1/users/ann", json={})
    await manager.post("/v1/users/ann/endpoints", json={"channel": "email", "address": "ann@example.com"})
    made = (await manager.post("/v1/suppressions", json={"channel": "email", "address": "ANN@example.com", "source": "support"})).json()
    assert (await manager.get("/v1/users/ann")).json()["endpoints"][0]["suppression"] == "manual"
    assert (await manager.get("/v1/suppressions")).json()["items"] == [made]
    assert (await manager.delete(f"/v1/suppressions/email/{made['id']}")).status_code == 204
    assert (await manager.delete(f"/v1/suppressions/email/{made['id']}")).status_code == 404


async def test_who_releases_what_a_provider_keeps_is_told_what_to_do_there(manager: httpx.AsyncClient, database: Database) -> None:
    for source in ("twilio", "of-our-own"):
        digest = address_hash("demo", "sms", "+4915112345678")
        async with database.transaction() as connection:
            await suppressions.suppress(connection, "demo", "sms", digest, reason="provider", source=source)
        [kept] = (await manager.get("/v1/suppressions")).json()["items"]
        answer = await manager.delete(f"/v1/suppressions/sms/{kept['id']}")
        assert (answer.status_code, answer.json()["at_provider"]) == (200, kept["at_provider"])
        assert ("START" if source == "twilio" else "the provider that is named as the source") in kept["at_provider"]
        assert (await manager.get("/v1/suppressions")).json()["items"] == []


async def test_the_timeline_of_a_user_reads_in_sentences(manager: httpx.AsyncClient, database: Database) -> None:
    await manager.put("/v1/users/ann", json={})
    await manager.post("/v1/users/ann/consents", json={"channel": "email", "topic": "general", "state": "withdrawn", "source": "support"})
    async with database.transaction() as connection:
        await connection.exec_driver_sql(
            "INSERT INTO events (app, received_at, user_id, event_id, name, occurred_at)"
            " SELECT 'demo', now(), id, 'e1', 'signed_up', now() - interval '1 hour' FROM users"
        )
    first = (await manager.get("/v1/users/ann/timeline", params={"limit": 1})).json()
    assert [item["words"] for item in first["items"]] == ["consent withdrawn for email, topic general, by support"]
    rest = (await manager.get("/v1/users/ann/timeline", params={"cursor": first["next"]})).json()
    assert [item["words"] for item in rest["items"]] == ["did signed_up"]
    assert rest["next"] is None


@pytest.mark.parametrize(
    ("headers", "content", "status"),
    [
        ({"content-type": "application/json"}, b"{", 400),
        ({"content-type": "application/json"}, b'{"attributes": {"a": NaN}}', 400),
        ({"content-type": "application/json"}, b'{"attributes": {"a": "\\u0000"}}', 422),
        ({"content-type": "application/json"}, b'{"attributes": {"a": "\\ud800"}}', 422),
        ({"content-type": "application/json"}, b'{"attributes": ' + b'{"a":' * 40 + b"1" + b"}" * 41, 422),
        ({"content-type": "application/json"}, b'{"attributes": {"a": "\xff"}}', 400),
        ({"content-type": "application/json"}, b"", 400),
        ({"content-type": "text/plain"}, b"{}", 415),
        ({}, b"{}", 415),
        ({"content-type": "application/json; charset=utf-8"}, b"{}", 200),
        ({"content-type": "application/json"}, b'{"attributes": {"a": "' + b"x" * 1_100_000 + b'"}}', 413),
    ],
)
async def test_a_body_is_read_strictly(manager: httpx.AsyncClient, headers: dict[str, str], content: bytes, status: int) -> None:
    assert (await manager.put("/v1/users/ann", content=content, headers=headers)).status_code == status
