"""A message gets counted links before it leaves, and where they lead is in Postgres by then."""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from activities.tracking import Sent, Tracker
from channels.base import Content
from channels.tracking import Mark, link_hash, read_click, read_open
from channels.wishes import About, Wish
from journeys.language.errors import Unavailable
from storage.database import Database

SECRET, HOME = "s" * 32, "https://sojourn.example"
ABOUT = About("Shop", "email", "marketing", "spring", "first", "hello")
HTML = '<body><a href="https://shop.example/sale?a=1&amp;b=2">sale</a> <a href="{own}">leave</a> <a href="https://shop.example/u/ann">you</a></body>'
FILES = {
    "body.html": '<a href="https://shop.example/sale?a=1&amp;b=2">sale</a> <a href="{{ links.unsubscribe }}">leave</a>'
    ' <a href="https://shop.example/u/{{ user.user_id }}">you</a>'
}
MAIL = Content("email", {"subject": "Hi", "html": HTML.format(own=f"{HOME}/unsubscribe/x.y"), "text": "Go to https://shop.example/u/ann."})
CLICK = re.compile(r"(https://[^\"\s]+)/c/([A-Za-z0-9_-]{56})")


def sent(settings: Mapping[str, Any] | None = None, **changes: Any) -> Sent:
    values: dict[str, Any] = {
        "app": "demo",
        "message_id": uuid4(),
        "about": ABOUT,
        "app_settings": {"tracking": settings or {}},
        "files": FILES,
    }
    return Sent(**(values | changes))


@pytest.fixture
def tracker(database: Database) -> Tracker:
    return Tracker(database, f"{HOME}/", SECRET)


async def rows(database: Database, table: str) -> list[str]:
    async with database.transaction() as connection:
        return list((await connection.exec_driver_sql(f"SELECT url FROM {table} ORDER BY url")).scalars())


async def test_links_and_pixel_are_ours_and_where_they_lead_is_known(tracker: Tracker, database: Database) -> None:
    message = sent()
    parts = (await tracker.track(MAIL, message)).parts
    marks = [read_click(token, [SECRET], ["demo"]) for _, token in CLICK.findall(parts["html"])]
    assert marks == [
        Mark("demo", message.message_id, link_hash("demo", url))
        for url in ("https://shop.example/sale?a=1&b=2", "https://shop.example/u/ann")
    ]
    pixel = re.search(r"/o/([A-Za-z0-9_-]{48})\.gif", parts["html"])
    assert pixel
    assert read_open(pixel[1], [SECRET], ["demo"]) == Mark("demo", message.message_id)
    assert f"{HOME}/unsubscribe/x.y" in parts["html"]
    assert CLICK.sub("LINK", parts["text"]) == "Go to LINK."
    assert parts["subject"] == "Hi"
    assert await rows(database, "tracked_links") == ["https://shop.example/sale?a=1&b=2"]
    assert await rows(database, "message_links") == ["https://shop.example/u/ann"]


async def test_a_thousand_messages_keep_one_copy_of_an_address_that_they_share(tracker: Tracker, database: Database) -> None:
    plain = Content("email", {"html": '<a href="https://shop.example/sale?a=1&amp;b=2">sale</a>'})
    await asyncio.gather(*(tracker.track(plain, sent()) for _ in range(1_000)))
    assert len(await rows(database, "tracked_links")) == 1
    assert await rows(database, "message_links") == []


async def test_messages_at_the_same_time_are_written_together(
    tracker: Tracker, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    statements = 0
    run = database.run

    async def counted(*arguments: Any) -> Any:
        nonlocal statements
        statements += 1
        return await run(*arguments)

    monkeypatch.setattr(database, "run", counted)
    await asyncio.gather(*(tracker.track(MAIL, sent()) for _ in range(50)))
    assert len(await rows(database, "message_links")) == 50
    assert statements <= 2


async def test_nothing_leaves_while_it_cannot_be_remembered_where_links_lead(
    tracker: Tracker, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: Any) -> None:
        raise Unavailable("the database does not answer")

    with monkeypatch.context() as patched:
        patched.setattr(database, "run", away)
        with pytest.raises(Unavailable):
            await tracker.track(MAIL, sent())
    assert "/c/" in (await tracker.track(MAIL, sent())).parts["html"]
    assert await rows(database, "tracked_links") == ["https://shop.example/sale?a=1&b=2"]


async def test_what_a_caller_gives_is_kept_with_its_message_only(tracker: Tracker, database: Database) -> None:
    await tracker.track(MAIL, sent(files={}, wish=Wish(True, True)))
    assert await rows(database, "tracked_links") == []
    assert len(await rows(database, "message_links")) == 2


@pytest.mark.parametrize(
    ("changes", "is_counted"),
    [
        ({}, True),
        ({"about": replace(ABOUT, message_class="transactional")}, False),
        ({"files": {**FILES, "template.toml": "tracking = false"}}, False),
        ({"files": {**FILES, "template.toml": "tracking = { clicks = false }"}}, False),
        ({"files": {**FILES, "template.toml": "tracking = true"}, "about": replace(ABOUT, message_class="transactional")}, True),
        ({"wish": Wish(False, False)}, False),
        ({"files": {**FILES, "template.toml": "tracking = false"}, "wish": Wish(True, True)}, True),
    ],
)
async def test_app_template_and_caller_decide(tracker: Tracker, changes: dict[str, Any], is_counted: bool) -> None:
    assert ("/c/" in (await tracker.track(MAIL, sent(**changes))).parts["html"]) is is_counted


async def test_a_message_that_is_not_counted_is_untouched(tracker: Tracker, database: Database) -> None:
    assert await tracker.track(MAIL, sent({"opens": False, "clicks": False})) is MAIL
    assert await rows(database, "message_links") == []


async def test_an_own_domain_is_where_links_lead_and_is_not_counted_itself(tracker: Tracker) -> None:
    content = Content("email", {"html": '<a href="https://c.shop.example/x">a</a><a href="https://shop.example/sale">b</a>'})
    parts = (await tracker.track(content, sent({"domain": "c.shop.example"}))).parts
    assert [base for base, _ in CLICK.findall(parts["html"])] == ["https://c.shop.example"]
    assert '"https://c.shop.example/x"' in parts["html"]


async def test_parameters_are_added_with_and_without_counting(tracker: Tracker, database: Database) -> None:
    utm = {"utm": {"utm_source": "news"}, "utm_hosts": ["shop.example"]}
    content = Content("email", {"html": '<a href="https://www.shop.example/a?x=1&amp;y=2#z">a</a><a href="https://else.example/">b</a>'})
    words = "utm_source=news&utm_medium=email&utm_campaign=spring&utm_content=first"
    plain = (await tracker.track(content, sent({**utm, "clicks": False, "opens": False}))).parts["html"]
    assert plain == (
        f'<a href="https://www.shop.example/a?x=1&amp;y=2&amp;{words.replace("&", "&amp;")}#z">a</a><a href="https://else.example/">b</a>'
    )
    await tracker.track(content, sent(utm))
    assert await rows(database, "message_links") == ["https://else.example/", f"https://www.shop.example/a?x=1&y=2&{words}#z"]


async def test_a_text_message_and_a_push_are_counted_when_asked_for(tracker: Tracker) -> None:
    told = {"channels": ["sms", "push"]}
    text = await tracker.track(Content("sms", {"text": "Sale: https://shop.example/sale"}), sent(told, about=replace(ABOUT, channel="sms")))
    assert CLICK.sub("LINK", text.parts["text"]) == "Sale: LINK"
    push = Content("push", {"title": "a", "body": "b", "url": "https://shop.example/sale", "image": "https://shop.example/a.png"})
    parts = (await tracker.track(push, sent(told, about=replace(ABOUT, channel="push")))).parts
    assert CLICK.fullmatch(parts["url"])
    assert (parts["image"], "pixel" in parts) == ("https://shop.example/a.png", False)
    app_link = Content("push", {"title": "a", "body": "b", "url": "shop://sale"})
    assert (await tracker.track(app_link, sent(told, about=replace(ABOUT, channel="push")))).parts["url"] == "shop://sale"


async def test_a_mail_with_more_links_than_anybody_follows_stays_bounded(tracker: Tracker, database: Database) -> None:
    many = "".join(f'<a href="https://shop.example/{number}">a</a>' for number in range(500))
    html = (await tracker.track(Content("email", {"html": many}), sent())).parts["html"]
    assert len(CLICK.findall(html)) == len(await rows(database, "message_links")) == 200
