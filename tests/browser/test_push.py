"""A push as a real browser shows it: what leaves for a push service, opened, and handed to the service worker of the how-to page.

Chromium subscribes only at its maker's push service, which is not here; the developer tools deliver what that would have delivered.
"""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, CDPSession, Page, Worker

from channels.push.web_push import WebPush, WebPushAccount
from tests.browser.conftest import Sight, watched
from tests.channels.certificates import make_certificate
from tests.channels.provider import Request, Response, provider
from tests.channels.push import browser as far_end
from tests.channels.push.keys import P256
from tests.channels.push.rig import BODY, PARTS, TITLE, push

pytestmark = pytest.mark.e2e
HOW_TO = Path(__file__).parents[2] / "docs" / "how-to" / "send-push-for-real.md"
SHOWN = """async () => (await (await navigator.serviceWorker.ready).getNotifications())
    .map(({title, body, tag, data}) => ({title, body, tag, data}))"""
CLICKED = """async () => {
    const [notification] = await self.registration.getNotifications();
    const opened = [];
    self.clients.openWindow = async (url) => { opened.push(url); };
    self.dispatchEvent(new NotificationEvent("notificationclick", {notification}));
    return opened;
}"""


def worker_of_the_page() -> str:
    [found] = [each for each in re.findall(r"```js\n(.*?)```", HOW_TO.read_text(), re.DOTALL) if 'addEventListener("push"' in each]
    return str(found)


def site(request: Request) -> Response:
    match request.path:
        case "/":
            return Response(200, b"<!doctype html><title>Acme</title><link rel=icon href=data:,>", {"content-type": "text/html"})
        case "/sw.js":
            return Response(200, worker_of_the_page().encode(), {"content-type": "text/javascript"})
        case _:
            return Response(404, b"")


async def payload(parts: dict[str, Any], folder: Path) -> str:
    """What our adapter seals for a browser."""
    reader, certificate = far_end.Browser(), make_certificate(folder, "localhost")
    async with provider(lambda _: Response(201, b""), tls=certificate.server()) as service:
        adapter = WebPush(WebPushAccount(P256, "mailto:push@acme.example", service.base_url), verify=certificate.client())
        await adapter.send(push(reader.subscription(f"{service.base_url}/push"), parts))
        await adapter.close()
    [request] = service.requests
    return reader.opened(request.body).decode()


@dataclass
class Subscribed:
    """A page whose worker is registered and may show notifications."""

    page: Page
    worker: Worker
    tools: CDPSession
    origin: str
    registration_id: str

    async def deliver(self, data: str) -> None:
        asked = {"origin": self.origin, "registrationId": self.registration_id, "data": data}
        await self.tools.send("ServiceWorker.deliverPushMessage", asked)

    async def shown(self, number: int = 1) -> list[dict[str, Any]]:
        await self.page.wait_for_function(f"async () => (await ({SHOWN})()).length === {number}")
        found: list[dict[str, Any]] = await self.page.evaluate(SHOWN)
        return found


@pytest.fixture
async def subscribed(browser: Browser) -> AsyncIterator[Subscribed]:
    async with provider(site) as server:
        context = await browser.new_context()
        await context.grant_permissions(["notifications"], origin=server.base_url)
        seen: Sight = watched(await context.new_page(), server.base_url)
        tools = await context.new_cdp_session(seen.page)
        registrations: list[str] = []
        tools.on("ServiceWorker.workerRegistrationUpdated", lambda told: registrations.extend(_ids(told)))
        await tools.send("ServiceWorker.enable")
        await seen.page.goto(server.base_url)
        async with context.expect_event("serviceworker") as started:
            await seen.page.evaluate(
                "async () => { await navigator.serviceWorker.register('/sw.js'); await navigator.serviceWorker.ready; }"
            )
        while not registrations:
            await seen.page.wait_for_timeout(20)
        yield Subscribed(seen.page, await started.value, tools, server.base_url, registrations[-1])
        await context.close()
        assert (seen.errors, seen.elsewhere) == ([], [])


def _ids(told: dict[str, Any]) -> list[str]:
    return [each["registrationId"] for each in told["registrations"] if not each["isDeleted"]]


async def test_a_push_of_ours_is_shown_by_the_worker_of_the_how_to_and_leads_where_it_says(subscribed: Subscribed, tmp_path: Path) -> None:
    await subscribed.deliver(await payload(dict(PARTS), tmp_path))
    [shown] = await subscribed.shown()
    assert (shown["title"], shown["body"], shown["data"]["url"]) == (TITLE, BODY, PARTS["url"])
    assert shown["data"]["order_id"] == "A-17"
    assert shown["tag"] == shown["data"]["sojourn_message"]
    assert await subscribed.worker.evaluate(CLICKED) == [PARTS["url"]]
    assert await subscribed.shown(0) == []


async def test_a_later_push_of_the_same_name_takes_the_place_of_the_earlier_one(subscribed: Subscribed, tmp_path: Path) -> None:
    for number, title in enumerate(("One item", "Two items")):
        folder = tmp_path / str(number)
        folder.mkdir()
        await subscribed.deliver(await payload({"title": title, "body": "In your basket", "badge": 1, "collapse": "basket"}, folder))
        await subscribed.page.wait_for_function(f"async () => (await ({SHOWN})()).some(({{title}}) => title === {title!r})")
    [shown] = await subscribed.shown()
    assert (shown["title"], shown["tag"]) == ("Two items", "basket")
    assert await subscribed.worker.evaluate(CLICKED) == []
    assert await subscribed.shown(0) == []
