"""A journey waits for a click on the link that stood in the mail which a real SMTP server got."""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from email import message_from_bytes, policy

import httpx
import pytest
from fastapi import FastAPI

from activities.hits import HitLane, Pace
from api.app import create_app
from channels.email.connection import SmtpServer
from channels.email.smtp import Smtp
from journeys.language import If, Journey, Send, WaitFor, clicked, days, email, event, prop
from settings import Settings
from storage.database import Database
from tests.channels.email.scripted_server import ScriptedServer, scripted
from tests.workflows.stage import Stage

PERSON = {"user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"}
FILES = {
    "template.toml": 'from = "Demo <demo@example.com>"\n',
    "subject.txt": "Sale",
    "body.html": '<body><a href="https://shop.example/sale?a=1&amp;b=2">Sale</a> <a href="{{ links.unsubscribe }}">leave</a>'
    ' <a href="https://shop.example/u/{{ user.user_id }}">You</a></body>',
}
SPRING = Journey(
    "spring",
    starts_on=event("signed_up"),
    message_class="marketing",
    steps=[
        Send("news", email("news")),
        WaitFor(
            "went",
            event("message_clicked").where(prop("url") == "https://shop.example/sale?a=1&b=2"),
            within=days(7),
            then=[If("did", clicked(step="news"), then=[Send("thanks", email("news"))])],
            otherwise=[Send("again", email("news"))],
        ),
    ],
)


@pytest.fixture
async def mailbox(scene: Stage) -> AsyncIterator[ScriptedServer]:
    async with scripted() as server:
        smtp = Smtp(SmtpServer(host="127.0.0.1", port=server.port, tls="none", username="", password="", connections=2))
        scene.adapters["email"] = smtp
        yield server
        await smtp.close()


@pytest.fixture
async def reader(database: Database, database_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody with a browser."""
    app: FastAPI = create_app(Settings(database_url=database_url), database)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), headers=PERSON) as client:
        yield client
    await app.state.notify.close()
    await app.state.renderer.close()


async def received(mailbox: ScriptedServer, number: int) -> str:
    """The html of the mail that came as this one."""
    for _ in range(400):
        if len(mailbox.bodies) >= number:
            mail = message_from_bytes(mailbox.bodies[number - 1], policy=policy.default)
            html = mail.get_body(("html",))
            assert html is not None
            return str(html.get_content())
        await asyncio.sleep(0.05)
    raise AssertionError("no mail came")


async def test_a_journey_goes_on_when_the_link_in_the_mail_is_followed(
    scene: Stage, mailbox: ScriptedServer, reader: httpx.AsyncClient
) -> None:
    await scene.publish(SPRING)
    await scene.publish_template("news", files=FILES)
    await scene.person()
    await scene.track("signed_up")
    html = await received(mailbox, 1)
    first, second = re.findall(r'"(http://127\.0\.0\.1:8080/c/[^"]+)"', html)
    assert "https://shop.example" not in html
    assert re.search(r'/o/[A-Za-z0-9_-]+\.gif"', html)
    judge = HitLane(scene.database, lambda _: None, Pace(rest=timedelta(0), quiet=timedelta(0)))

    await reader.get(second)  # the other link is not what the journey waits for
    await judge.pass_once()
    await scene.relay_all()
    answer = await reader.get(first)
    assert answer.headers["location"] == "https://shop.example/sale?a=1&b=2"
    await judge.pass_once()
    await scene.relay_all()

    assert await scene.finished(await scene.workflow("spring")) == "completed"
    assert await scene.sent() == ["news", "thanks"]
    (row,) = await scene.execute("SELECT opened_at, clicked_at FROM messages WHERE step = 'news'")
    assert None not in (row.opened_at, row.clicked_at)
    assert await scene.execute("SELECT url FROM tracked_links") == [("https://shop.example/sale?a=1&b=2",)]
