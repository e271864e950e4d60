"""Calls out of journeys: what each answer means, and that nothing leads inside."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest

from channels.base import Ambiguous, NotSent, Rejected, SendFailed
from channels.calls import Caller, Request, as_object
from channels.egress import Egress
from tests.channels.places import PLACES


def answer(
    body: bytes = b"{}", *, status: str = "200 OK", kind: str = "application/json", length: int | None = None, more: str = ""
) -> bytes:
    size = len(body) if length is None else length
    return f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {size}\r\n{more}\r\n".encode() + body


@dataclass
class Far:
    """A server that gives one answer, as bytes; None says nothing."""

    answer: bytes | None
    port: int = 0
    asked: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/crm"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
            headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            self.asked.append((first, headers, body))
            if self.answer is None:
                await asyncio.sleep(30)
            writer.write(self.answer or b"")
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()


@asynccontextmanager
async def far(said: bytes | None) -> AsyncIterator[Far]:
    found = Far(said)
    tasks: set[asyncio.Task[Any]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        await found.serve(reader, writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    found.port = server.sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def call(
    url: str, method: str = "POST", *, headers: dict[str, str] | None = None, body: Any = None, **changes: Any
) -> dict[str, Any]:
    caller = Caller(**{"egress": Egress(may_reach_loopback=True), "total_s": 1.0, **changes})
    try:
        return await caller.call(Request(method, url, "sj_1_charge_1", headers or {}, body))
    finally:
        await caller.close()


async def result_of(said: bytes | None, **changes: Any) -> dict[str, Any]:
    async with far(said) as found:
        return await call(found.url, **changes)


async def test_json_goes_out_with_the_key_and_json_comes_back() -> None:
    async with far(answer(b'{"ticket": 7}')) as found:
        assert await call(found.url, headers={"X-Team": "crm"}, body={"user": "größer"}) == {"ticket": 7}
    first, headers, body = found.asked[0]
    assert first == "POST /crm HTTP/1.1"
    assert orjson.loads(body) == {"user": "größer"}
    assert headers["idempotency-key"] == "sj_1_charge_1"
    assert (headers["content-type"], headers["x-team"], headers["host"]) == ("application/json", "crm", f"127.0.0.1:{found.port}")


async def test_a_request_without_a_body_sends_none() -> None:
    async with far(answer()) as found:
        await call(found.url, "GET")
    assert found.asked[0][2] == b""
    assert "content-type" not in found.asked[0][1]


@pytest.mark.parametrize(
    ("said", "result"),
    [
        (answer(b"[1, 2]"), {"value": [1, 2]}),
        (answer(b"null"), {"value": None}),
        (answer(b'{"a": 1}', kind="application/vnd.crm+json; charset=utf-8"), {"a": 1}),
        (answer(b"", status="204 No Content"), {}),
        (answer(b"ok", kind="text/plain"), {}),  # Slack's answer
        (answer(b'{"a": 1} and more', length=8), {"a": 1}),  # what comes after the length that was said is not read
    ],
)
async def test_a_success_gives_its_result(said: bytes, result: dict[str, Any]) -> None:
    assert await result_of(said) == result


@pytest.mark.parametrize(
    ("said", "error", "words"),
    [
        (answer(status="302 Found", more="Location: http://169.254.169.254/\r\n"), Rejected, "HTTP 302"),
        (answer(status="404 Not Found"), Rejected, "HTTP 404"),
        (answer(status="401 Unauthorized"), Rejected, "HTTP 401"),
        (answer(status="408 Request Timeout"), NotSent, "HTTP 408"),
        (answer(status="425 Too Early"), NotSent, "HTTP 425"),
        (answer(status="429 Too Many Requests"), NotSent, "HTTP 429"),
        (answer(status="500 Internal Server Error"), NotSent, "HTTP 500"),
        (answer(status="503 Service Unavailable"), NotSent, "HTTP 503"),
        (answer(b"<html>", kind="text/html"), Rejected, "the answer is no JSON"),  # a login page
        (answer(b"{broken"), Rejected, "the answer is no JSON"),
        (answer(b'{"a": "\\u0000"}'), Rejected, "NUL"),
        (answer(b'"' + b"a" * 70_000 + b'"'), Rejected, "larger than 64 KB"),
        (answer(b"\x1f\x8b", more="Content-Encoding: gzip\r\n"), Rejected, "packed"),
        (answer(b'{"a": 1}', length=500), Ambiguous, "no answer"),  # it said more than it sent
        (b"no HTTP\r\n\r\n", Ambiguous, "no answer"),
        (b"", Ambiguous, "no answer"),
        (None, Ambiguous, "no answer: TimeoutError"),
    ],
)
async def test_everything_else_says_whether_to_ask_again(said: bytes | None, error: type[SendFailed], words: str) -> None:
    with pytest.raises(error, match=words):
        await result_of(said, total_s=0.3)


async def test_retry_after_is_heard() -> None:
    with pytest.raises(NotSent) as told:
        await result_of(answer(status="429 Too Many Requests", more="Retry-After: 120\r\n"))
    assert told.value.retry_after_s == 120


async def test_a_redirect_is_not_followed() -> None:
    async with far(answer()) as inside:
        moved = answer(status="307 Temporary Redirect", more=f"Location: {inside.url}\r\n")
        with pytest.raises(Rejected):
            await result_of(moved)
    assert inside.asked == []


@pytest.mark.parametrize("place", PLACES)
async def test_nothing_inside_is_called(place: str) -> None:
    async with far(answer()) as canary:
        with pytest.raises((Rejected, NotSent)):
            await call(place.format(port=canary.port), egress=Egress(), total_s=0.5)
        assert canary.asked == []


async def test_a_server_that_is_away_was_certainly_not_asked() -> None:
    async with far(answer()) as gone:
        pass
    with pytest.raises(NotSent, match="no connection"):
        await call(gone.url)


@pytest.mark.parametrize("headers", [{"X-Bad": "a\r\nX-More: b"}, {"X Bad": "a"}, {"X-Bad": "größer"}, {"X-Bad": "a" * 5000}])
async def test_a_header_that_would_be_two_is_refused(headers: dict[str, str]) -> None:
    async with far(answer()) as found:
        with pytest.raises(Rejected, match="header"):
            await call(found.url, headers=headers)
    assert found.asked == []


async def test_a_journey_cannot_say_what_is_ours_to_say() -> None:
    async with far(answer()) as found:
        await call(found.url, headers={"Host": "example.org", "Idempotency-Key": "mine", "Content-Length": "0"}, body={"a": 1})
    headers = found.asked[0][1]
    assert (headers["host"], headers["idempotency-key"]) == (f"127.0.0.1:{found.port}", "sj_1_charge_1")
    assert found.asked[0][2] == b'{"a":1}'


async def test_secret_headers_go_to_their_origin_and_nowhere_else() -> None:
    async with far(answer()) as crm, far(answer()) as other:
        secrets = {f"http://127.0.0.1:{crm.port}": {"Authorization": "Bearer secret"}}
        await call(crm.url, headers_by_origin=secrets, headers={"authorization": "from the journey"})
        await call(other.url, headers_by_origin=secrets)
    assert crm.asked[0][1]["authorization"] == "Bearer secret"
    assert "authorization" not in other.asked[0][1]


async def test_outside_production_only_named_hosts_are_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("channels.egress._is_own", lambda _address: False)

    async def public(_host: str, _port: int) -> list[str]:
        return ["93.184.215.14"]

    with pytest.raises(Rejected, match="not_allowed_here"):
        await call("https://crm.example.com/", allowed=frozenset({"@other.example.com"}), egress=Egress(resolve=public))
    assert await result_of(answer(), allowed=frozenset()) == {}


@pytest.mark.parametrize(
    ("found", "words"), [({"a": {1, 2}}, "no JSON"), ({"a": "\0"}, "NUL"), ({"a": "b" * 70_000}, "64 KB"), ({1: 2}, "no JSON")]
)
def test_what_cannot_be_kept_is_no_result(found: Any, words: str) -> None:
    with pytest.raises(Rejected, match=words):
        as_object(found)
