"""Whatever fetches an address that somebody else wrote reaches nothing inside: spellings, names that change their mind, redirects.

A canary listens on loopback and must not be hit. Who adds something that fetches gives it a line in FETCHERS.
"""

import asyncio
import base64
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import TypeAdapter

from channels.base import NotSent, Rejected, SendFailed
from channels.calls import Caller, Request
from channels.downloads import Downloads
from channels.egress import Egress, Resolve
from channels.fetching import Fetching
from channels.lookups import CannotBeLookedUp, Lookups
from channels.push.keys import point_of, to_base64url
from channels.push.web_push import WebPush, WebPushAccount
from channels.webhook.http import Http
from tests.channels.certificates import make_certificate
from tests.channels.messages import outgoing
from tests.channels.places import PLACES

PUBLIC = "93.184.215.14"
pytestmark = pytest.mark.allow_hosts(["127.0.0.1", "::1", "localhost"])

Fetch = Callable[..., Awaitable[None]]


async def by_webhook(egress: Egress, url: str, trusted: ssl.SSLContext | None = None) -> None:
    adapter = Http(("whsec_" + base64.b64encode(b"k" * 32).decode(),), egress=egress, verify=trusted, total_s=3)
    try:
        await adapter.send(outgoing("webhook", {"url": url, "body": "{}"}, address="", deadline=time.monotonic() + 60))
    finally:
        await adapter.close()


async def by_call(egress: Egress, url: str, trusted: ssl.SSLContext | None = None) -> None:
    caller = Caller(egress=egress, verify=trusted, total_s=3)
    try:
        await caller.call(Request("POST", url, "key", {}, {"a": 1}))
    finally:
        await caller.close()


async def by_web_push(egress: Egress, url: str, trusted: ssl.SSLContext | None = None) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    secret = to_base64url(key.private_numbers().private_value.to_bytes(32, "big"))
    account = TypeAdapter(WebPushAccount).validate_python({"private_key": secret, "subject": "mailto:us@example.org"})
    adapter = WebPush(account, egress=egress, verify=trusted)
    browser = to_base64url(point_of(ec.generate_private_key(ec.SECP256R1()).public_key()))
    address = _subscription(url, browser)
    try:
        await adapter.send(outgoing("push", {"title": "a", "body": "b"}, address=address, deadline=time.monotonic() + 60))
    finally:
        await adapter.close()


async def by_sns(egress: Egress, url: str, trusted: ssl.SSLContext | None = None) -> None:
    fetching = Fetching(egress, httpx.AsyncHTTPTransport(verify=trusted) if trusted else None)
    try:
        await fetching.get(url)
    finally:
        await fetching.close()


async def by_download(egress: Egress, url: str, trusted: ssl.SSLContext | None = None) -> None:
    downloads = Downloads(egress, transport=httpx.AsyncHTTPTransport(verify=trusted) if trusted else None)
    async for _ in downloads.fetch(url):
        pass


def _subscription(url: str, browser: str) -> str:

    return orjson.dumps({"endpoint": url, "keys": {"p256dh": browser, "auth": to_base64url(b"a" * 16)}}).decode()


async def by_lookup(egress: Egress, url: str, trusted: ssl.SSLContext | None = None) -> None:
    lookups = Lookups(egress, trusted)
    try:
        await lookups.look(url, "A-17", {}, 3.0)
    except CannotBeLookedUp as error:
        raise (error.__cause__ if isinstance(error.__cause__, SendFailed) else NotSent(str(error))) from error
    finally:
        await lookups.close()


FETCHERS: dict[str, Fetch] = {
    "webhook": by_webhook,
    "call": by_call,
    "web push": by_web_push,
    "sns": by_sns,
    "lookup": by_lookup,
    "download": by_download,
}


@dataclass
class Canary:
    """Listens on loopback, in both families where there are two. `answer` is what it says to whoever comes."""

    port: int = 0
    hits: int = 0
    answer: bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"

    async def hit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.hits += 1
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(self.answer)
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()


@pytest.fixture
async def canary() -> AsyncIterator[Canary]:
    found = Canary()
    server = await asyncio.start_server(found.hit, "127.0.0.1", 0)
    found.port = server.sockets[0].getsockname()[1]
    yield found
    server.close()


@dataclass
class Connections:
    """Where sockets were opened to, whoever did it."""

    to: list[str] = field(default_factory=list)


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> Connections:
    """Nothing connects in these tests; what would have is written down."""
    found = Connections()

    async def refuse(_loop: Any, _protocol: Any, host: str | None = None, port: int | None = None, **_more: Any) -> Any:
        found.to.append(f"{host}:{port}")
        raise ConnectionRefusedError

    monkeypatch.setattr(asyncio.BaseEventLoop, "create_connection", refuse)
    return found


def test_there_are_at_least_sixty_places_and_each_is_there_once() -> None:
    assert len(PLACES) == len(set(PLACES))
    assert len(PLACES) >= 60


@pytest.mark.parametrize("name", FETCHERS)
async def test_no_spelling_of_an_inner_place_is_connected_to(name: str, canary: Canary, connections: Connections) -> None:
    for place in PLACES:
        with pytest.raises((Rejected, NotSent)):
            await FETCHERS[name](Egress(), place.format(port=canary.port))
    assert (canary.hits, connections.to) == (0, [])


def changing(*answers: list[str]) -> tuple[Resolve, list[str]]:
    """A name server that says something else each time; the last for ever."""
    asked: list[str] = []
    left = list(answers)

    async def resolve(host: str, _port: int) -> list[str]:
        asked.append(host)
        return left.pop(0) if len(left) > 1 else left[0]

    return resolve, asked


@pytest.mark.parametrize("name", FETCHERS)
async def test_a_name_that_is_public_when_judged_and_inner_when_called_is_called_where_it_was_judged(
    name: str, canary: Canary, connections: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("channels.egress._is_own", lambda _address: False)
    resolve, asked = changing([PUBLIC], ["127.0.0.1"])
    for _ in range(2):
        with pytest.raises((Rejected, NotSent)):
            await FETCHERS[name](Egress(resolve=resolve), "https://hooks.example/")
    # Once judged and called there; the second time the name itself says that it is inside.
    assert connections.to == [f"{PUBLIC}:443"]
    assert asked == ["hooks.example", "hooks.example"]
    assert canary.hits == 0


@pytest.mark.parametrize("name", FETCHERS)
@pytest.mark.parametrize("answers", [[PUBLIC, "127.0.0.1"], ["127.0.0.1", PUBLIC], [PUBLIC, "::1"], [PUBLIC, "fe80::1%lo"]])
async def test_one_inner_answer_among_public_ones_spoils_the_name(
    name: str, answers: list[str], canary: Canary, connections: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("channels.egress._is_own", lambda _address: False)
    resolve, _ = changing(answers)
    with pytest.raises(Rejected):
        await FETCHERS[name](Egress(resolve=resolve), "https://hooks.example/")
    assert (canary.hits, connections.to) == (0, [])


LOCATIONS = ("http://127.0.0.1:{port}/", "http://localhost:{port}/", "//127.0.0.1:{port}/", "http://2130706433:{port}/", "/inside")


@pytest.mark.parametrize("name", FETCHERS)
async def test_no_redirect_is_followed_however_it_is_said(name: str, canary: Canary, tmp_path: Path) -> None:
    """The first server may be called, as a public one; what it leads to is the canary, on another port, or itself again."""
    first, made = Canary(), make_certificate(tmp_path, "localhost")
    server = await asyncio.start_server(first.hit, "127.0.0.1", 0, ssl=made.server())
    first.port = server.sockets[0].getsockname()[1]
    tried = 0
    for status in (301, 302, 303, 307, 308):
        for location in LOCATIONS:
            target = location.format(port=canary.port)
            first.answer = f"HTTP/1.1 {status} x\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n".encode()
            with pytest.raises((Rejected, NotSent)):
                await FETCHERS[name](Egress(may_reach_loopback=True), f"https://127.0.0.1:{first.port}/", made.client())
            tried += 1
    server.close()
    assert (canary.hits, first.hits) == (0, tried)


@pytest.mark.parametrize("name", FETCHERS)
async def test_neither_proxies_nor_the_environment_lead_elsewhere(
    name: str, canary: Canary, connections: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("channels.egress._is_own", lambda _address: False)
    for variable in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(variable, f"http://127.0.0.1:{canary.port}")
    resolve, _ = changing([PUBLIC])
    with pytest.raises((Rejected, NotSent)):
        await FETCHERS[name](Egress(resolve=resolve), "https://hooks.example/")
    assert (canary.hits, connections.to) == (0, [f"{PUBLIC}:443"])
