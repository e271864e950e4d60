import httpx
import pytest
from fastapi import FastAPI

from channels.links import unsubscribe_url
from settings import DEVELOPMENT_SECRET
from storage.database import Database

FORM = b'--x\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--x--\r\n'


@pytest.fixture
async def link(manager: httpx.AsyncClient, database: Database) -> str:
    await manager.put("/v1/users/ann", json={})
    endpoint = (await manager.post("/v1/users/ann/endpoints", json={"channel": "email", "address": "ann@example.com"})).json()["id"]
    async with database.transaction() as connection:
        person = (await connection.exec_driver_sql("SELECT id FROM users")).scalar_one()
    return unsubscribe_url("http://sojourn", DEVELOPMENT_SECRET, "demo", person, endpoint, "spring_offers")


async def consents(manager: httpx.AsyncClient) -> list[tuple[str, str, str, str]]:
    listed = (await manager.get("/v1/users/ann/consents")).json()["history"]
    return [(entry["channel"], entry["topic"], entry["state"], entry["source"]) for entry in listed]


async def test_looking_changes_nothing(client: httpx.AsyncClient, manager: httpx.AsyncClient, link: str) -> None:
    page = await client.get(link)
    assert (page.status_code, "spring offers" in page.text, "<form" in page.text) == (200, True, True)
    assert await consents(manager) == []


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        (b"List-Unsubscribe=One-Click", "application/x-www-form-urlencoded"),
        (
            b'--x\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--x--\r\n',
            "multipart/form-data; boundary=x",
        ),
        (b"", "application/x-www-form-urlencoded"),  # the button of the page
    ],
)
async def test_a_post_leaves_one_topic_at_once(
    client: httpx.AsyncClient, manager: httpx.AsyncClient, link: str, content: bytes, content_type: str
) -> None:
    answer = await client.post(link, content=content, headers={"content-type": content_type})
    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers
    assert await consents(manager) == [("email", "spring_offers", "withdrawn", "unsubscribe_link")]


async def test_a_repeat_changes_nothing(client: httpx.AsyncClient, manager: httpx.AsyncClient, link: str) -> None:
    assert [(await client.post(link)).status_code for _ in range(3)] == [200, 200, 200]
    assert len(await consents(manager)) == 1


async def test_leaving_holds_again_after_a_new_consent(client: httpx.AsyncClient, manager: httpx.AsyncClient, link: str) -> None:
    await client.post(link)
    await manager.post("/v1/users/ann/consents", json={"channel": "email", "topic": "spring_offers", "state": "granted"})
    await client.post(link)
    assert [entry[2] for entry in await consents(manager)] == ["withdrawn", "granted", "withdrawn"]


async def test_leaving_holds_again_after_a_new_consent_to_every_channel(
    client: httpx.AsyncClient, manager: httpx.AsyncClient, link: str
) -> None:
    await client.post(link)
    await manager.post("/v1/users/ann/consents", json={"channel": "*", "topic": "spring_offers", "state": "granted"})
    await client.post(link)
    assert [entry[2] for entry in await consents(manager)] == ["withdrawn", "granted", "withdrawn"]


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_forged_link_is_a_404_page(client: httpx.AsyncClient, manager: httpx.AsyncClient, link: str, method: str) -> None:
    for forged in (link[:-1] + ("A" if link[-1] != "A" else "B"), link.rsplit("/", 1)[0] + "/x", link.replace(".", "", 1)):
        answer = await client.request(method, forged)
        assert (answer.status_code, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")
        assert "location" not in answer.headers
    assert await consents(manager) == []


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_link_to_somebody_who_is_gone_is_the_same_page(client: httpx.AsyncClient, method: str) -> None:
    gone = unsubscribe_url("http://sojourn", DEVELOPMENT_SECRET, "demo", 999, None, "general")
    assert (await client.request(method, gone)).status_code == 404


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_while_postgres_is_away_the_page_asks_for_a_moment_in_the_readers_language(
    app: FastAPI, client: httpx.AsyncClient, link: str, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app.state, "database", Database("postgresql+asyncpg://nobody@127.0.0.1:1/none"))
    answer = await client.request(method, link, headers={"accept-language": "de"})
    assert (answer.status_code, answer.headers["content-type"]) == (503, "text/html; charset=utf-8")
    assert "Einen Moment bitte" in answer.text
    assert int(answer.headers["retry-after"]) >= 1


async def test_the_page_runs_nothing_and_tells_nobody(client: httpx.AsyncClient, link: str) -> None:
    headers = (await client.get(link)).headers
    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert (headers["referrer-policy"], headers["cache-control"]) == ("no-referrer", "no-store")


async def test_a_link_still_works_after_two_people_were_joined(
    client: httpx.AsyncClient, manager: httpx.AsyncClient, database: Database
) -> None:
    await manager.put("/v1/users/ann", json={})
    async with database.transaction() as connection:
        past = (await connection.exec_driver_sql(
            "INSERT INTO users (app, merged_into) SELECT 'demo', id FROM users RETURNING id"
        )).scalar_one()  # fmt: skip
    await client.post(unsubscribe_url("http://sojourn", DEVELOPMENT_SECRET, "demo", past, None, "general"))
    assert await consents(manager) == [("email", "general", "withdrawn", "unsubscribe_link")]
