"""Counted links and pixels over HTTP: they lead where the message said, and only what we signed leads anywhere."""

from collections.abc import Callable
from dataclasses import replace
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI

from api.app import create_app
from channels.tracking import Mark, Signer, link_hash
from journeys.language.errors import Unavailable
from settings import DEVELOPMENT_SECRET, Settings
from storage import tracked_links
from storage.database import Database
from storage.tracked_links import SentLink

PERSON = {"user-agent": "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15"}
URL = "https://shop.example/sale?a=1&b=%C3%A4#x"
MESSAGE = UUID("019a0000-0000-8000-8000-000000000001")
MARK = Mark("demo", MESSAGE, link_hash("demo", URL))
SIGNER = Signer("http://sojourn", DEVELOPMENT_SECRET)


@pytest.fixture
async def link(database: Database) -> str:
    async with database.transaction() as connection:
        await tracked_links.remember(connection, [SentLink("demo", MARK.link, URL)])
    return SIGNER.click_url(MARK)


async def hits(database: Database) -> list[tuple[str, str]]:
    async with database.transaction() as connection:
        rows = await connection.exec_driver_sql("SELECT kind, machine FROM tracking_hits ORDER BY at")
        return [(row.kind, row.machine) for row in rows]


async def test_a_link_leads_where_the_message_said(client: httpx.AsyncClient, database: Database, link: str) -> None:
    answer = await client.get(link, headers=PERSON)
    assert (answer.status_code, answer.headers["location"]) == (302, URL)
    assert (answer.headers["referrer-policy"], answer.headers["cache-control"]) == ("no-referrer", "no-store")
    assert await hits(database) == [("click", "")]


async def test_a_pixel_is_a_picture_and_an_open(client: httpx.AsyncClient, database: Database) -> None:
    answer = await client.get(SIGNER.open_url(replace(MARK, link=b"")), headers=PERSON)
    assert (answer.status_code, answer.headers["content-type"], answer.content[:6]) == (200, "image/gif", b"GIF89a")
    assert await hits(database) == [("open", "")]


async def test_the_same_within_a_minute_is_written_once(client: httpx.AsyncClient, database: Database, link: str) -> None:
    for _ in range(20):
        assert (await client.get(link, headers=PERSON)).status_code == 302
    assert 1 <= len(await hits(database)) <= 2  # a minute may end meanwhile


async def test_a_click_costs_one_transaction(app: FastAPI, client: httpx.AsyncClient, link: str, monkeypatch: pytest.MonkeyPatch) -> None:
    await client.head(SIGNER.open_url(replace(MARK, link=b"")))  # which apps there are is known by now
    database, opened = app.state.database, 0
    transaction = database.transaction

    def counted(name: str | None = None) -> object:
        nonlocal opened
        opened += 1
        return transaction(name)

    monkeypatch.setattr(database, "transaction", counted)
    for number in (1, 2, 3):
        assert (await client.get(link, headers=PERSON)).status_code == 302
        assert opened == number


async def test_looking_is_not_following(client: httpx.AsyncClient, database: Database, link: str) -> None:
    answers = [await client.head(link), await client.head(SIGNER.open_url(replace(MARK, link=b"")))]
    assert [answer.status_code for answer in answers] == [302, 200]
    assert await hits(database) == []


async def test_programs_are_marked(client: httpx.AsyncClient, database: Database, link: str) -> None:
    await client.get(link, headers={"user-agent": "Mozilla/5.0"})
    await client.get(link, headers={**PERSON, "sec-purpose": "prefetch;prerender"})
    assert await hits(database) == [("click", "apple_mpp"), ("click", "prefetch")]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_nothing_but_looking_is_allowed(client: httpx.AsyncClient, link: str, method: str) -> None:
    assert (await client.request(method, link)).status_code == 405


def forgeries(link: str) -> dict[str, str]:
    token = link.rsplit("/", 1)[1]
    path = link.removesuffix(token)
    other = Signer("http://sojourn", "x" * 32)
    return {
        "a character": path + token[:20] + ("A" if token[20] != "A" else "B") + token[21:],
        "cut off": path + token[:-1],
        "longer": link + "A",
        "empty": path,
        "another key": other.click_url(MARK),
        "another app": SIGNER.click_url(replace(MARK, app="other")),
        "huge": path + "A" * 60_000,
        "an address": path + "https://evil.example",
        "a question": path + "?url=https://evil.example",
    }


async def test_what_we_did_not_sign_leads_nowhere(client: httpx.AsyncClient, database: Database, link: str) -> None:
    for name, forged in forgeries(link).items():
        answer = await client.get(forged, headers=PERSON)
        assert (name, answer.status_code, "location" in answer.headers) == (name, 404, False)
    assert await hits(database) == []


async def test_a_link_that_was_never_sent_leads_nowhere(client: httpx.AsyncClient, database: Database) -> None:
    unknown = SIGNER.click_url(replace(MARK, link=link_hash("demo", "https://evil.example")))
    assert (await client.get(unknown, headers=PERSON)).status_code == 404
    assert await hits(database) == []


async def test_a_link_made_for_one_message_is_unknown_in_another(client: httpx.AsyncClient, database: Database) -> None:
    mine = "https://shop.example/orders/4711"
    mark = Mark("demo", uuid4(), link_hash("demo", mine))
    async with database.transaction() as connection:
        await tracked_links.remember(connection, [SentLink("demo", mark.link, mine, mark.message_id)])
    assert (await client.get(SIGNER.click_url(mark))).headers["location"] == mine
    assert (await client.get(SIGNER.click_url(replace(mark, message_id=uuid4())))).status_code == 404


async def test_a_forged_pixel_is_a_picture_all_the_same(client: httpx.AsyncClient, database: Database) -> None:
    answer = await client.get("http://sojourn/o/" + "A" * 48 + ".gif", headers=PERSON)
    assert (answer.status_code, answer.content[:6]) == (404, b"GIF89a")
    assert await hits(database) == []


async def test_links_signed_with_a_secret_of_before_still_work(database: Database, database_url: str, link: str) -> None:
    old = Signer("http://sojourn", "o" * 32).click_url(MARK)
    app = create_app(Settings(database_url=database_url, retired_secrets=("o" * 32,)), database)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as client:
        assert [(await client.get(each)).status_code for each in (link, old)] == [302, 302]
    await app.state.notify.close()
    await app.state.renderer.close()


@pytest.fixture
def away(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """Lets Postgres go away and come back, as the desk sees it."""
    database = app.state.database
    opened = database.transaction

    def switch(is_away: bool) -> None:
        def refuse(*_: object) -> None:
            raise Unavailable("the database does not answer")

        monkeypatch.setattr(database, "transaction", refuse if is_away else opened)

    return switch


async def test_a_link_that_was_followed_works_while_postgres_is_away_and_the_click_is_written_later(
    app: FastAPI, client: httpx.AsyncClient, database: Database, link: str, away: Callable[[bool], None]
) -> None:
    await client.head(link)
    away(True)
    assert (await client.get(link, headers=PERSON)).headers["location"] == URL
    assert (await client.get(SIGNER.open_url(replace(MARK, link=b"")), headers=PERSON)).status_code == 200
    away(False)
    assert await hits(database) == []
    await app.state.tracking_desk.close()
    assert await hits(database) == [("click", ""), ("open", "")]


async def test_a_link_that_nobody_followed_yet_asks_for_a_moment_while_postgres_is_away(
    client: httpx.AsyncClient, link: str, away: Callable[[bool], None]
) -> None:
    await client.get("http://sojourn/c/" + "A" * 56)
    away(True)
    answer = await client.get(link, headers=PERSON)
    assert (answer.status_code, answer.headers["content-type"]) == (503, "text/html; charset=utf-8")
    assert "retry-after" in answer.headers


async def test_an_app_has_settings_of_its_own(client: httpx.AsyncClient, manager: httpx.AsyncClient) -> None:
    usual = (await manager.get("/v1/tracking")).json()
    names = ("opens", "clicks", "channels", "transactional", "domain")
    assert [usual[name] for name in names] == [True, True, ["email"], False, None]
    wanted = {"opens": False, "channels": ["email", "sms"], "domain": "click.shop.example", "utm": {"utm_source": "shop"}}
    assert (await manager.put("/v1/tracking", json=wanted)).status_code == 200
    stored = (await manager.get("/v1/tracking")).json()
    assert [stored[name] for name in names] == [False, True, ["email", "sms"], False, "click.shop.example"]
    assert stored["utm"]["utm_source"] == "shop"
    allowed = [(await client.get("/tls-allowed", params={"domain": each})).status_code for each in ("Click.shop.example", "evil.example")]
    assert allowed == [204, 404]


@pytest.mark.parametrize(
    "domain", ["", "localhost", "https://x.example", "x.example/", "x.example:80", "127.0.0.1", "X.example", "a b.example", "x..example"]
)
async def test_a_domain_is_a_name_and_nothing_more(manager: httpx.AsyncClient, domain: str) -> None:
    answer = await manager.put("/v1/tracking", json={"domain": domain})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/domain")
