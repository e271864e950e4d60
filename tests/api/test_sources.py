"""Sources over HTTP: publishing, rows, secret headers, asking one, and the templates that name them."""

from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from activities.sources import Sources
from channels.egress import Egress
from channels.lookups import Lookups
from storage.database import Database
from storage.sealing import Seal
from tests.activities.test_sources import SEAL, Shop, answer, shop

__all__ = ["shop"]

KEY = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
ROWS = {"origin": {"kind": "rows", "key": "sku"}}
SAYS = {"sms.txt": "{{ source.product[entry.id].name }}", "template.toml": 'required = ["entry.id"]\n[sample]\nentry.id = "s"\n'}
SAMPLE = SAYS["template.toml"] + 'source.product.s.name = "Sample"\n'


def over_http(shop: Shop, **more: Any) -> dict[str, Any]:
    return {"origin": {"kind": "http", "url": shop.url, **more}}


async def put(manager: httpx.AsyncClient, definition: dict[str, Any], name: str = "product") -> httpx.Response:
    return await manager.put(f"/v1/sources/{name}", json={"definition": definition})


async def rows(manager: httpx.AsyncClient, body: dict[str, Any]) -> httpx.Response:
    return await manager.put("/v1/sources/product/rows", json=body)


async def look(manager: httpx.AsyncClient, key: str) -> tuple[str, Any]:
    told = (await manager.post("/v1/sources/product/look", json={"key": key})).json()
    return told["verdict"], told["row"]


async def test_the_same_definition_is_the_same_version_and_an_older_one_is_live_again(manager: httpx.AsyncClient) -> None:
    other = {**ROWS, "failing": "default", "default": {"name": "?"}}
    numbers = [(await put(manager, each)).json()["version"] for each in (ROWS, ROWS, other, ROWS)]
    assert numbers == [1, 1, 2, 1]
    versions = (await manager.get("/v1/sources/product/versions")).json()["items"]
    assert [(each["version"], each["is_live"]) for each in versions] == [(2, False), (1, True)]
    assert (await manager.get("/v1/sources/product")).json()["definition"]["origin"] == {"key": "sku", "kind": "rows"}


@pytest.mark.parametrize(
    ("definition", "pointer", "code"),
    [
        ({}, "/definition/origin", "missing"),
        ({"origin": {"kind": "nothing"}}, "/definition/origin", "union_tag_invalid"),
        ({"origin": {"kind": "http", "url": "https://example.com/p"}}, "/definition", "no_key_in_url"),
        ({"origin": {"kind": "http", "url": "https://{key}.example.com/p"}}, "/definition", "no_key_in_url"),
        ({"origin": {"kind": "http", "url": "ftp://example.com/{key}"}}, "/definition", "bad_url"),
        ({"origin": {"kind": "http", "url": "http://example.com/{key}", "headers": ["X-Key"]}}, "/definition", "secret_in_clear"),
        ({"origin": {"kind": "http", "url": "https://example.com/{key}", "headers": ["Host"]}}, "/definition", "bad_header"),
        ({"origin": {"kind": "table", "table": "a; DROP", "key": "id"}}, "/definition", "bad_table"),
        ({"origin": {"kind": "table", "table": "a", "key": 'id"'}}, "/definition", "bad_key"),
        ({**ROWS, "failing": "default"}, "/definition", "default_and_failing"),
        ({**ROWS, "failing": "wait", "wait_at_most": {"kind": "duration", "seconds": 999_999}}, "/definition", "bad_wait"),
        ({**ROWS, "colour": 1}, "/definition/colour", "unexpected_keyword_argument"),
    ],
)
async def test_a_source_that_cannot_be_is_refused_with_its_place(
    manager: httpx.AsyncClient, definition: dict[str, Any], pointer: str, code: str
) -> None:
    refused = await put(manager, definition)
    assert refused.status_code == 422
    assert (refused.json()["errors"][0]["pointer"], refused.json()["errors"][0]["code"]) == (pointer, code)


async def test_rows_are_replaced_as_a_whole(manager: httpx.AsyncClient) -> None:
    await put(manager, ROWS)
    answered = await rows(manager, {"csv": '\ufeffsku,name\r\nA-1,"Chair, red"\r\n\r\nA-2,Table\r\n'})
    assert (answered.status_code, answered.json()["rows"]) == (200, 2)
    assert await look(manager, "A-1") == ("found", {"sku": "A-1", "name": "Chair, red"})
    await rows(manager, {"rows": [{"sku": 7, "price": 12.5, "sizes": ["S", "M"]}]})
    assert await look(manager, "7") == ("found", {"sku": 7, "price": 12.5, "sizes": ["S", "M"]})
    assert await look(manager, "A-1") == ("absent", None)


@pytest.mark.parametrize(
    ("body", "code", "says"),
    [
        ({}, "one_of_both", "csv or rows"),
        ({"csv": ""}, "no_key_column", "sku is among them"),
        ({"csv": "id,name\n1,x"}, "no_key_column", "sku is among them"),
        ({"csv": "sku,name,name\n1,x,y"}, "no_key_column", "each once"),
        ({"csv": "sku,name\n1,x\n2"}, "bad_row", "row 3: 1 values"),
        ({"csv": "sku,name\n1,x\n1,y"}, "bad_row", "row 3: its key is that of a row before"),
        ({"csv": "sku,name\n,x"}, "bad_row", "row 2: its key is empty"),
        ({"csv": 'sku,name\n1,"x'}, "no_csv", "no CSV"),
        ({"rows": [{"sku": "a"}, {"name": "x"}]}, "bad_row", "row 2: its key is empty"),
        ({"rows": [{"sku": True}]}, "bad_row", "row 1: its key is empty"),
        ({"rows": [{"sku": "a", "x": "y" * 70_000}]}, "bad_row", "row 1: it is larger"),
    ],
)
async def test_wrong_rows_are_named_and_leave_what_was_there(
    manager: httpx.AsyncClient, body: dict[str, Any], code: str, says: str
) -> None:
    await put(manager, ROWS)
    await rows(manager, {"csv": "sku,name\nA-1,Chair"})
    refused = await rows(manager, body)
    assert refused.status_code == 422
    [error] = refused.json()["errors"]
    assert error["code"] == code
    assert says in error["message"]
    assert (await look(manager, "A-1"))[0] == "found"


async def test_a_template_must_name_sources_that_there_are_and_keeps_them_from_being_deleted(manager: httpx.AsyncClient) -> None:
    files = {"files": {**SAYS, "template.toml": SAMPLE}}
    refused = await manager.post("/v1/templates/offer/versions", json=files)
    assert [error["code"] for error in refused.json()["errors"]] == ["no_such_source"]
    await put(manager, ROWS)
    published = await manager.post("/v1/templates/offer/versions", json=files)
    assert (published.status_code, published.json()["sources"]) == (201, ["product"])
    kept = await manager.delete("/v1/sources/product")
    assert kept.status_code == 409
    assert "offer" in kept.json()["detail"]
    await manager.post("/v1/templates/offer/versions", json={"files": {"sms.txt": "nothing"}})
    assert (await manager.delete("/v1/sources/product")).status_code == 204
    back = await manager.post("/v1/templates/offer/activate", json={"version": 1})
    assert [error["code"] for error in back.json()["errors"]] == ["no_such_source"]


async def test_a_preview_shows_the_sample_and_else_what_the_source_says(manager: httpx.AsyncClient) -> None:
    await put(manager, ROWS)
    await rows(manager, {"csv": "sku,name\nA-1,Chair\ns,Not the sample"})
    await manager.post("/v1/templates/offer/versions", json={"files": {**SAYS, "template.toml": SAMPLE}})

    async def shown(**data: Any) -> httpx.Response:
        return await manager.post("/v1/templates/offer/preview", json={"channel": "sms", "data": data})

    assert (await shown()).json()["parts"]["text"] == "Sample"
    assert (await shown(entry={"id": "A-1"})).json()["parts"]["text"] == "Chair"
    assert (await shown(entry={"id": "A-1"}, source={"product": {"A-1": {"name": "Given"}}})).json()["parts"]["text"] == "Given"
    lacking = await shown(entry={"id": "gone"})
    assert (lacking.status_code, lacking.json()["errors"][0]["code"]) == (422, "missing_variable")
    assert lacking.json()["errors"][0]["message"] == "missing_variable:source.product[].name"


async def test_a_sample_that_lacks_its_row_is_told(manager: httpx.AsyncClient) -> None:
    await put(manager, ROWS)
    refused = await manager.post("/v1/templates/offer/versions", json={"files": SAYS})
    [error] = refused.json()["errors"]
    assert (error["code"], error["pointer"]) == ("sample_missing", "/files/sms.txt")
    assert "source.product[].name is not in the sample" in error["message"]


async def test_secret_headers_are_sent_and_never_shown(manager: httpx.AsyncClient, shop: Shop, database: Database) -> None:
    shop.otherwise = {"name": "Chair"}
    await put(manager, over_http(shop, headers=["Authorization"]))
    told = (await manager.post("/v1/sources/product/look", json={"key": "a"})).json()
    assert (told["verdict"], "the header Authorization is not set" in told["words"]) == ("failed", True)
    answered = await manager.put("/v1/sources/product/headers", json={"headers": {"Authorization": "Bearer s3cret"}})
    assert (answered.status_code, answered.json()["headers"]) == (200, ["Authorization"])
    assert await look(manager, "a") == ("found", {"name": "Chair"})
    assert shop.asked[-1][1]["authorization"] == "Bearer s3cret"
    for path in ("/v1/sources", "/v1/sources/product", "/v1/sources/product/versions"):
        assert "s3cret" not in (await manager.get(path)).text
    async with database.transaction() as connection:
        assert b"s3cret" not in (await connection.exec_driver_sql("SELECT sealed FROM sources")).scalar_one()


@pytest.mark.parametrize(
    ("headers", "code"),
    [({"X-Other": "a"}, "unknown_header"), ({"Authorization": "a\nHost: b"}, "bad_value"), ({"Authorization": ""}, "bad_value")],
)
async def test_a_header_that_cannot_be_is_refused(manager: httpx.AsyncClient, shop: Shop, headers: dict[str, str], code: str) -> None:
    await put(manager, over_http(shop, headers=["Authorization"]))
    refused = await manager.put("/v1/sources/product/headers", json={"headers": headers})
    assert [error["code"] for error in refused.json()["errors"]] == [code]


async def test_resealing_reaches_the_headers_of_sources(manager: httpx.AsyncClient, app: FastAPI, database: Database, shop: Shop) -> None:
    await put(manager, over_http(shop, headers=["Authorization"]))
    await manager.put("/v1/sources/product/headers", json={"headers": {"Authorization": "Bearer s3cret"}})
    assert (await manager.post("/v1/providers/reseal", json={})).json() == {"resealed": 0}
    async with database.transaction() as connection:
        before = (await connection.exec_driver_sql("SELECT sealed FROM sources")).scalar_one()
    keys = app.state.settings.plain_credential_keys
    app.state.settings = app.state.settings.model_copy(update={"credential_keys": tuple(map(SecretStr, (KEY, *keys)))})
    assert (await manager.post("/v1/providers/reseal", json={})).json() == {"resealed": 1}
    async with database.transaction() as connection:
        after = (await connection.exec_driver_sql("SELECT sealed FROM sources")).scalar_one()
    assert not Seal([KEY]).is_current(before)
    assert Seal([KEY]).is_current(after)


async def test_a_source_that_waits_says_so_in_a_preview(manager: httpx.AsyncClient, app: FastAPI, database: Database, shop: Shop) -> None:
    shop.otherwise = answer(b"", status="503 Away")
    await put(manager, {**over_http(shop), "failing": "wait"})
    await manager.post("/v1/templates/offer/versions", json={"files": {**SAYS, "template.toml": SAMPLE}})
    await app.state.sources.close()
    app.state.sources = Sources(database, SEAL, Lookups(Egress(may_reach_loopback=True)))
    shown = await manager.post("/v1/templates/offer/preview", json={"channel": "sms", "data": {"entry": {"id": "a"}}})
    assert (shown.status_code, shown.json()["errors"][0]["code"]) == (422, "source_away")


async def test_apply_publishes_sources_with_their_rows_and_the_templates_that_ask_them(manager: httpx.AsyncClient) -> None:
    publication = {
        "journeys": [],
        "templates": {"offer": {**SAYS, "template.toml": SAMPLE}},
        "sources": {"product": {"definition": ROWS, "csv": "sku,name\nA-1,Chair"}},
    }
    lacking = await manager.post("/v1/journeys/plan", json={**publication, "sources": {}})
    assert [(error["pointer"], error["code"]) for error in lacking.json()["errors"]] == [("/templates/offer", "no_such_source")]
    planned = (await manager.post("/v1/journeys/plan", json=publication)).json()
    assert [(each["name"], each["change"]) for each in planned["sources"]] == [("product", "new")]
    agreed = {"fingerprint": planned["fingerprint"], "basis": planned["basis"]}
    other = {**publication, "sources": {"product": {"definition": ROWS, "csv": "sku,name\nA-1,Table"}}}
    assert (await manager.post("/v1/journeys/apply", json={**other, "plan": agreed})).status_code == 422
    assert (await manager.post("/v1/journeys/apply", json={**publication, "plan": agreed})).status_code == 200
    assert await look(manager, "A-1") == ("found", {"sku": "A-1", "name": "Chair"})
    again = (await manager.post("/v1/journeys/plan", json=publication)).json()
    assert [each["change"] for each in again["sources"]] == ["same"]
    changed = (await manager.post("/v1/journeys/plan", json=other)).json()
    assert [(each["change"], each["words"]) for each in changed["sources"]] == [("changed", "1 rows, was 1")]
    agreed = {"fingerprint": changed["fingerprint"], "basis": changed["basis"]}
    await rows(manager, {"csv": "sku,name\nA-9,Lamp"})
    late = await manager.post("/v1/journeys/apply", json={**other, "plan": agreed})
    assert (late.status_code, "source product has other rows" in late.json()["detail"]) == (409, True)


async def test_wrong_sources_of_a_publication_are_all_named(manager: httpx.AsyncClient) -> None:
    publication = {"journeys": [], "sources": {"a": {"definition": {}}, "b": {"definition": ROWS, "csv": "x"}}}
    refused = await manager.post("/v1/journeys/plan", json=publication)
    assert [error["pointer"] for error in refused.json()["errors"]] == ["/sources/a/origin", "/sources/b"]
