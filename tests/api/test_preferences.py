"""The preference centre: it tells the truth, acts on POST alone, and only for whom the link was made."""

import re
from urllib.parse import urlencode

import httpx
import pytest

from api.page_words import language_of, languages
from channels.links import preferences_url, unsubscribe_url
from settings import DEVELOPMENT_SECRET
from storage.database import Database

LEAVE_ALL = {"do": "leave_all"}


@pytest.fixture
async def link(manager: httpx.AsyncClient, database: Database) -> str:
    await manager.put("/v1/users/ann", json={})
    endpoint = (await manager.post("/v1/users/ann/endpoints", json={"channel": "email", "address": "ann@example.com"})).json()["id"]
    await manager.post("/v1/users/ann/endpoints", json={"channel": "sms", "address": "+4915112345678"})
    async with database.transaction() as connection:
        person = (await connection.exec_driver_sql("SELECT id FROM users")).scalar_one()
    return preferences_url("http://sojourn", DEVELOPMENT_SECRET, "demo", person, endpoint)


async def declare(manager: httpx.AsyncClient, **topic: object) -> None:
    answer = await manager.put("/v1/topics", json={"topics": [{"name": "news", "title": "News", "channels": ["email", "sms"], **topic}]})
    assert answer.status_code == 200, answer.text


def save(*boxes: tuple[str, bool, bool]) -> bytes:
    """The form as a browser sends it: of each box its name, whether it was ticked when shown, and whether it is now."""
    fields = [("shown", name.replace("/", "/on/" if was else "/off/", 1)) for name, was, _ in boxes]
    return urlencode([*fields, *(("on", name) for name, _, is_on in boxes if is_on), ("do", "save")]).encode()


async def post(client: httpx.AsyncClient, link: str, content: bytes) -> httpx.Response:
    return await client.post(link, content=content, headers={"content-type": "application/x-www-form-urlencoded"})


async def said(manager: httpx.AsyncClient) -> list[tuple[str, str, str]]:
    history = (await manager.get("/v1/users/ann/consents")).json()["history"]
    return [(entry["channel"], entry["topic"], entry["state"]) for entry in history]


def is_ticked(page: httpx.Response, box: str) -> bool:
    assert f'value="{box}"' in page.text, box
    return f'value="{box}" checked' in page.text


async def test_a_thousand_looks_change_nothing(
    client: httpx.AsyncClient, manager: httpx.AsyncClient, link: str, database: Database
) -> None:
    """Scanners follow every link, with GET and HEAD."""
    async with database.transaction() as connection:
        person = (await connection.exec_driver_sql("SELECT id FROM users")).scalar_one()
    leave = unsubscribe_url("http://sojourn", DEVELOPMENT_SECRET, "demo", person, None, "news")
    for number in range(1_000):
        assert (await client.get(link if number % 10 == 0 else leave)).status_code == 200
    assert await said(manager) == []


async def test_what_was_changed_is_recorded_with_the_words_that_were_shown(
    client: httpx.AsyncClient, manager: httpx.AsyncClient, link: str
) -> None:
    await declare(manager)
    page = await post(client, link, save(("email/news", True, False), ("sms/news", False, True)))
    assert (is_ticked(page, "email/news"), is_ticked(page, "sms/news")) == (False, True)
    assert sorted(await said(manager)) == [("email", "news", "withdrawn"), ("sms", "news", "granted")]
    entry = (await manager.get("/v1/users/ann/consents")).json()["history"][0]
    assert (entry["source"], entry["recorded_by"], entry["text"][:6]) == ("preference_centre", "user", "Choose")
    assert (entry["ip"], entry["user_agent"]) == (None, None)


async def test_a_box_that_was_left_alone_says_nothing_though_it_changed_meanwhile(
    client: httpx.AsyncClient, manager: httpx.AsyncClient, link: str
) -> None:
    """The page was open for an hour, and in another tab they unsubscribed: saving the old page must not bring them back."""
    await declare(manager)
    await manager.post("/v1/users/ann/consents", json={"channel": "email", "topic": "news", "state": "withdrawn"})
    page = await post(client, link, save(("email/news", True, True), ("sms/news", False, True)))
    assert not is_ticked(page, "email/news")
    assert await said(manager) == [("email", "news", "withdrawn"), ("sms", "news", "granted")]


async def test_the_same_form_again_records_nothing(client: httpx.AsyncClient, manager: httpx.AsyncClient, link: str) -> None:
    await declare(manager)
    for _ in range(3):
        await post(client, link, save(("email/news", True, False)))
    assert await said(manager) == [("email", "news", "withdrawn")]


async def test_everything_off_holds_for_topics_that_come_later(client: httpx.AsyncClient, manager: httpx.AsyncClient, link: str) -> None:
    await declare(manager)
    await post(client, link, urlencode(LEAVE_ALL).encode())
    await declare(manager, name="brand_new")
    assert not is_ticked(await client.get(link), "email/brand_new")
    page = await post(client, link, save(("email/brand_new", False, True)))
    assert is_ticked(page, "email/brand_new")


async def test_closing_a_channel_closes_its_topics_and_opening_it_brings_none_back(
    client: httpx.AsyncClient, manager: httpx.AsyncClient, link: str
) -> None:
    await declare(manager)
    await post(client, link, save(("sms/news", False, True)))
    page = await post(client, link, save(("sms/*", True, False)))
    assert (is_ticked(page, "sms/*"), is_ticked(page, "sms/news"), is_ticked(page, "email/news")) == (False, False, True)
    page = await post(client, link, save(("sms/*", False, True)))
    assert (is_ticked(page, "sms/*"), is_ticked(page, "sms/news")) == (True, False)


async def test_a_topic_that_is_ticked_on_a_closed_channel_opens_it(
    client: httpx.AsyncClient, manager: httpx.AsyncClient, link: str
) -> None:
    await declare(manager)
    await manager.post("/v1/users/ann/consents", json={"channel": "sms", "topic": "*", "state": "withdrawn"})
    page = await post(client, link, save(("sms/news", False, True), ("sms/*", False, False)))
    assert (is_ticked(page, "sms/*"), is_ticked(page, "sms/news")) == (True, True)


async def test_a_required_topic_and_one_that_is_not_offered_cannot_be_changed(
    client: httpx.AsyncClient, manager: httpx.AsyncClient, link: str
) -> None:
    await declare(manager, is_required=True)
    page = await post(client, link, save(("email/news", True, False), ("voice/news", False, True), ("email/unheard_of", True, False)))
    assert "Nothing was changed" in page.text
    assert await said(manager) == []


async def test_a_topic_that_needs_a_yes_is_off_until_it_is_ticked(client: httpx.AsyncClient, manager: httpx.AsyncClient, link: str) -> None:
    await declare(manager, needs_consent=True)
    assert not is_ticked(await client.get(link), "email/news")
    assert is_ticked(await post(client, link, save(("email/news", False, True))), "email/news")


async def test_what_they_left_by_a_link_stands_there_though_nobody_declared_it(
    client: httpx.AsyncClient, manager: httpx.AsyncClient, link: str
) -> None:
    await manager.post("/v1/users/ann/consents", json={"channel": "email", "topic": "spring_offers", "state": "withdrawn"})
    assert not is_ticked(await client.get(link), "email/spring_offers")


async def test_an_address_that_nothing_reaches_is_named(client: httpx.AsyncClient, manager: httpx.AsyncClient, link: str) -> None:
    assert "Nothing reaches you" not in (await client.get(link)).text
    await manager.post("/v1/suppressions", json={"channel": "email", "address": "ann@example.com"})
    assert "Nothing reaches you by email" in (await client.get(link)).text


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_tampered_link_is_the_404_page(client: httpx.AsyncClient, manager: httpx.AsyncClient, link: str, method: str) -> None:
    head, token = link.rsplit("/", 1)
    of_another_purpose = unsubscribe_url("http://sojourn", DEVELOPMENT_SECRET, "demo", 1, None, "news").rsplit("/", 1)[1]
    gone = preferences_url("http://sojourn", DEVELOPMENT_SECRET, "demo", 10**9, None).rsplit("/", 1)[1]
    for forged in (token[:-2] + "AA", token[1:], of_another_purpose, gone, "x"):
        answer = await client.request(method, f"{head}/{forged}")
        assert (answer.status_code, answer.headers["content-type"]) == (404, "text/html; charset=utf-8"), forged
    assert await said(manager) == []


@pytest.mark.parametrize("content", [b"\xff\xfe", b"a&b", b"&" * 5_000, b"shown=&on=/&do=", b"shown=email/on/x%00", b""])
async def test_a_form_that_is_none_of_ours_is_no_accident(
    client: httpx.AsyncClient, manager: httpx.AsyncClient, link: str, content: bytes
) -> None:
    assert (await post(client, link, content)).status_code in {200, 400}
    assert await said(manager) == []


async def test_the_link_opens_the_page_of_whom_they_turned_out_to_be(
    client: httpx.AsyncClient, manager: httpx.AsyncClient, link: str
) -> None:
    await manager.put("/v1/users/bea", json={})
    await manager.post("/v1/users/bea/merge", json={"from_user_id": "ann"})
    assert (await post(client, link, urlencode(LEAVE_ALL).encode())).status_code == 200
    assert [entry["topic"] for entry in (await manager.get("/v1/users/bea/consents")).json()["history"]] == ["*marketing"]


async def test_what_cannot_be_asked_for_is_told_in_words_and_changes_nothing(
    client: httpx.AsyncClient, manager: httpx.AsyncClient, link: str
) -> None:
    """The app has no template to ask for a confirmation with."""
    await declare(manager, double_opt_in=["sms"])
    page = await post(client, link, save(("email/news", True, False), ("sms/news", False, True)))
    assert (page.status_code, "could not be saved" in page.text, is_ticked(page, "email/news")) == (200, True, True)
    assert await said(manager) == []


async def test_a_topic_that_is_ticked_on_another_channel_than_the_links_is_to_be_confirmed(
    client: httpx.AsyncClient, manager: httpx.AsyncClient, link: str
) -> None:
    files = {"template.toml": 'required = ["entry.confirm_url"]\n[sample.entry]\nconfirm_url = "x"\n', "sms.txt": "{{ entry.confirm_url }}"}
    assert (await manager.post("/v1/templates/confirm-subscription/versions", json={"files": files})).is_success
    await declare(manager, double_opt_in=["sms", "email"], needs_consent=True)
    page = await post(client, link, save(("email/news", False, True), ("sms/news", False, True)))
    assert (is_ticked(page, "email/news"), is_ticked(page, "sms/news"), "waits for your confirmation" in page.text) == (True, False, True)
    assert await said(manager) == [("email", "news", "granted"), ("sms", "news", "pending")]


def test_every_language_says_everything_with_the_same_blanks() -> None:
    blanks = {
        language: {key: sorted(re.findall(r"\{\w+\}", text)) for key, text in words.items()} for language, words in languages().items()
    }
    assert set(blanks) == {"en", "de", "fr", "es"}
    assert {language: told for language, told in blanks.items() if told != blanks["en"]} == {}


@pytest.mark.parametrize(
    ("locale", "accepted", "language"),
    [
        ("de-AT", "fr", "de"),  # their own before their browser's
        (None, "fr-CA,en;q=0.5", "fr"),
        ("pt_BR", "es", "es"),
        (None, "*", "en"),
        (None, "zh;q=1, ja", "en"),
        ("xx" * 1000, "," * 1000, "en"),
    ],
)
def test_a_page_speaks_the_persons_language_or_their_browsers(locale: str | None, accepted: str, language: str) -> None:
    assert language_of(locale, accepted) == language
