"""Webhooks out: what each answer means, and that bytes go where they were judged to go."""

import asyncio
import base64
import hashlib
import hmac
import json
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

import pytest

from channels.accounts import Surroundings, adapter_of
from channels.base import Ambiguous, NotSent, Outgoing, Rejected, SendFailed
from channels.egress import Egress
from channels.registry import KINDS
from channels.webhook.http import Http
from channels.webhook.signing import read_secret, signature_headers
from journeys.language.errors import Invalid
from tests.channels.certificates import make_certificate
from tests.channels.contract import AdapterContract, Case
from tests.channels.messages import outgoing
from tests.channels.places import PLACES

SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()


@dataclass
class Receiver:
    """An HTTP server that gives one answer, as bytes; empty bytes cut the connection, None says nothing."""

    answer: bytes | None = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    port: int = 0
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if line)
            self.requests.append((headers, await reader.readexactly(int(headers["content-length"]))))
            if self.answer is None:
                await asyncio.sleep(30)
            writer.write(self.answer or b"")
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()


@asynccontextmanager
async def receiver(answer: bytes | None = Receiver.answer, context: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    found = Receiver(answer)
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            tasks.add(task)
        await found.serve(reader, writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    found.port = server.sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def hook(port: int, **changes: object) -> Outgoing:
    parts = {"url": f"http://127.0.0.1:{port}/hook", "body": '{"type": "order.stuck", "data": {"name": "größer"}}'}
    return outgoing("webhook", parts, address="", **changes)


def sized(port: int, size: int) -> Outgoing:
    """Its body is a JSON text of so many bytes."""
    message = hook(port)
    message.content.parts["body"] = '"' + "x" * (size - 2) + '"'
    return message


def said(status: str, *headers: str) -> bytes:
    return "\r\n".join((f"HTTP/1.1 {status}", *headers, "Content-Length: 0", "", "")).encode()


def http(**changes: object) -> Http:
    values: dict[str, object] = {"may_reach_loopback": True, "total_s": 0.5}
    return Http((SECRET,), **(values | changes))  # type: ignore[arg-type]


@dataclass
class HttpRig:
    receiver: Receiver
    adapter: Http
    away: Http

    def message(self, **changes: object) -> Outgoing:
        return hook(self.receiver.port, **changes)

    def big(self) -> Outgoing:
        return sized(self.receiver.port, 1_000_001)

    async def arrived(self) -> list[str]:
        return [headers["webhook-id"] for headers, _ in self.receiver.requests]


class TestHttp(AdapterContract):
    kinds = (("webhook", "http"),)
    has_word_for_dead = True

    def words_for_dead(self, rig: HttpRig) -> list[Callable[[], None]]:
        return [partial(setattr, rig.receiver, "answer", b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n")]

    def refusals(self, rig: HttpRig) -> list[Case]:
        return [Case(word, partial(setattr, rig.receiver, "answer", said(word))) for word in ("301 Moved", "400 No", "404 No", "413 No")]

    def busy(self, rig: HttpRig) -> list[Case]:
        words = ("429 Slower", "502 Oh", "503 Later", "504 Oh")
        return [Case(word, partial(setattr, rig.receiver, "answer", said(word, "Retry-After: 90")), retry_after_s=90) for word in words]

    def unclear(self, rig: HttpRig) -> list[Case]:
        answers = {
            "500": said("500 Oh"),
            "a cut": b"",
            "a cut within the answer": b"HTTP/1.1 200",
            "no HTTP": b"<html>hello</html>\r\n\r\n",
        }
        cases = [Case(how, partial(setattr, rig.receiver, "answer", answer)) for how, answer in answers.items()]
        return [*cases, Case("silence", partial(setattr, rig.receiver, "answer", None), within_s=0.4)]

    def see(self, rig: HttpRig) -> None:
        assert json.loads(rig.receiver.requests[-1][1])["data"]["name"] == "größer"

    @pytest.fixture
    async def rig(self) -> AsyncIterator[HttpRig]:
        async def unknown(_host: str, _port: int) -> list[str]:
            raise OSError

        async with receiver() as found:
            rig = HttpRig(found, http(total_s=5), http(egress=Egress(resolve=unknown)))
            yield rig
            await rig.adapter.close()
            await rig.away.close()


async def test_a_body_of_one_megabyte_leaves_and_not_a_byte_more() -> None:
    async with receiver() as found:
        adapter = http(total_s=5)
        await adapter.send(sized(found.port, 1_000_000))
        with pytest.raises(Rejected, match="1 MB"):
            await adapter.send(sized(found.port, 1_000_001))
        await adapter.close()
    assert [len(body) for _, body in found.requests] == [1_000_000]


async def test_the_receiver_can_verify_the_bytes_that_it_got() -> None:
    async with receiver() as found:
        adapter, message = http(), hook(found.port)
        await adapter.send(message)
        await adapter.close()
    [(headers, body)] = found.requests
    signed = f"{message.message_id}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(b"k" * 32, signed, hashlib.sha256).digest()).decode().lower()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert headers["webhook-id"] == str(message.message_id)
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 5
    assert headers["content-type"] == "application/json"


OTHER = "whsec_" + base64.b64encode(b"o" * 32).decode()
HERE = Surroundings("https://sojourn.example", may_use_stand_ins=True)


@pytest.mark.parametrize("secrets", [[OTHER, SECRET], f"{OTHER} {SECRET}"])
async def test_an_account_signs_with_its_own_secrets_the_newest_first(secrets: object) -> None:
    settings = {"secrets": secrets, "base_url": "http://127.0.0.1"}
    adapter = adapter_of(KINDS["webhook", "http"], "http", settings, HERE)
    async with receiver() as found:
        message = hook(found.port)
        await adapter.send(message)
    await adapter.close()
    [(headers, body)] = found.requests
    both = [read_secret(each) for each in (OTHER, SECRET)]
    at_s = int(headers["webhook-timestamp"])
    expected = signature_headers(both, str(message.message_id), body, at_s=at_s)["webhook-signature"]
    assert headers["webhook-signature"] == expected.lower()


@pytest.mark.parametrize("secrets", [[], "", ["whsec_short"], [SECRET] * 6, "hush"])
def test_secrets_of_an_account_that_are_none_are_named_and_not_shown(secrets: object) -> None:
    with pytest.raises(Invalid) as invalid:
        adapter_of(KINDS["webhook", "http"], "http", {"secrets": secrets}, HERE)
    assert all(problem.pointer.startswith("/settings/secrets") for problem in invalid.value.problems)
    assert "hush" not in str(invalid.value)


async def test_the_receivers_of_an_account_are_public_outside_of_a_stand_in() -> None:
    adapter = adapter_of(KINDS["webhook", "http"], "http", {"secrets": [SECRET]}, HERE)
    async with receiver() as found:
        with pytest.raises(Rejected):
            await adapter.send(hook(found.port))
    await adapter.close()
    assert found.requests == []


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"HTTP/1.1 301 Moved\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n", Rejected),  # never followed
        (b"HTTP/1.1 400 No\r\nContent-Length: 0\r\n\r\n", Rejected),
        (b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", Rejected),
        (b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n", Rejected),
        (b"HTTP/1.1 429 Slower\r\nContent-Length: 0\r\n\r\n", NotSent),
        (b"HTTP/1.1 503 Later\r\nContent-Length: 0\r\n\r\n", NotSent),
        (b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n", Ambiguous),
        (b"HTTP/1.1 502 Oh\r\nContent-Length: 0\r\n\r\n", NotSent),
        (b"HTTP/1.1 504 Oh\r\nContent-Length: 0\r\n\r\n", NotSent),
        (b"HTTP/1.1 200", Ambiguous),  # cut in the middle of its answer
        (b"<html>hello</html>\r\n\r\n", Ambiguous),
        (b"", Ambiguous),
        (None, Ambiguous),
    ],
)
async def test_each_answer_has_one_meaning(answer: bytes | None, error: type[SendFailed]) -> None:
    async with receiver(answer) as found:
        adapter = http()
        with pytest.raises(SendFailed) as failed:
            await adapter.send(hook(found.port))
        assert type(failed.value) is error
        await adapter.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 202 Accepted\r\nContent-Length: 100000000\r\n\r\n" + b"x" * 200_000,  # nobody reads its 100 MB
        b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n<html>short",
    ],
)
async def test_a_success_is_a_success_whatever_its_body(answer: bytes) -> None:
    async with receiver(answer) as found:
        adapter = http()
        await adapter.send(hook(found.port))
        await adapter.close()


async def test_the_receivers_wish_when_to_come_back_is_handed_on() -> None:
    async with receiver(b"HTTP/1.1 429 Slower\r\nRetry-After: 90\r\nContent-Length: 0\r\n\r\n") as found:
        adapter = http()
        with pytest.raises(NotSent) as failed:
            await adapter.send(hook(found.port))
        assert failed.value.retry_after_s == 90
        await adapter.close()


async def test_an_endpoint_that_is_gone_is_suppressed() -> None:
    async with receiver(b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n") as found:
        adapter = http()
        with pytest.raises(Rejected) as failed:
            await adapter.send(hook(found.port))
        assert failed.value.suppress
        await adapter.close()


async def test_a_redirect_is_not_followed_not_even_to_a_place_that_may_be_called() -> None:
    async with receiver() as second:
        away = b"HTTP/1.1 307 Elsewhere\r\nLocation: http://127.0.0.1:%d/\r\nContent-Length: 0\r\n\r\n" % second.port
        async with receiver(away) as first:
            adapter = http()
            with pytest.raises(Rejected):
                await adapter.send(hook(first.port))
            await adapter.close()
        assert (len(first.requests), len(second.requests)) == (1, 0)


async def test_a_refused_connection_is_certainly_not_sent() -> None:
    async with receiver() as found:
        port = found.port
    adapter = http()
    with pytest.raises(NotSent):
        await adapter.send(hook(port))
    await adapter.close()


async def test_an_inner_address_gets_nothing_and_the_canary_no_hit() -> None:
    async with receiver() as found:
        adapter = Http((SECRET,))
        with pytest.raises(Rejected):
            await adapter.send(hook(found.port))
        assert found.requests == []
        await adapter.close()


async def test_no_spelling_of_an_inner_place_lets_a_byte_out() -> None:
    async with receiver() as found:
        adapter, hits = Http((SECRET,)), 0
        for place in PLACES:
            message = hook(found.port)
            message.content.parts["url"] = place.format(port=found.port)
            with pytest.raises((Rejected, NotSent)):
                await adapter.send(message)
            hits += len(found.requests)
        await adapter.close()
    assert hits == 0


async def test_a_name_that_changes_its_answer_is_asked_once() -> None:
    asked = 0

    async def resolve(_host: str, _port: int) -> list[str]:
        nonlocal asked
        asked += 1
        return ["127.0.0.1"] if asked == 1 else ["10.0.0.1"]

    async with receiver() as found:
        adapter = http(egress=Egress(may_reach_loopback=True, resolve=resolve))
        message = hook(found.port)
        message.content.parts["url"] = f"http://hooks.example:{found.port}/hook"
        await adapter.send(message)
        await adapter.close()
    assert asked == 1
    assert found.requests[0][0]["host"] == f"hooks.example:{found.port}"


async def test_the_certificate_must_be_for_the_name_and_not_for_the_address(tmp_path_factory: pytest.TempPathFactory) -> None:
    async def resolve(_host: str, _port: int) -> list[str]:
        return ["127.0.0.1"]

    made = make_certificate(tmp_path_factory.mktemp("tls"), "hooks.example")
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    serving.load_cert_chain(made.file, made.key)
    trusting = ssl.create_default_context(cafile=str(made.file))
    async with receiver(context=serving) as found:
        adapter = http(egress=Egress(may_reach_loopback=True, resolve=resolve), verify=trusting, total_s=5)
        message = hook(found.port)
        message.content.parts["url"] = f"https://hooks.example:{found.port}/hook"
        await adapter.send(message)
        message.content.parts["url"] = f"https://other.example:{found.port}/hook"
        with pytest.raises(NotSent):
            await adapter.send(message)
        await adapter.close()
    assert len(found.requests) == 1


async def test_proxy_variables_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    async with receiver() as found:
        adapter = http()
        await adapter.send(hook(found.port))
        await adapter.close()
    assert len(found.requests) == 1


async def test_a_cookie_of_one_answer_is_not_sent_with_the_next() -> None:
    async with receiver(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b; Path=/\r\nContent-Length: 0\r\n\r\n") as found:
        adapter = http()
        await adapter.send(hook(found.port))
        await adapter.send(hook(found.port))
        await adapter.close()
    assert "cookie" not in found.requests[1][0]


async def test_a_body_that_is_not_json_is_refused_before_anything_leaves() -> None:
    async with receiver() as found:
        adapter = http()
        message = hook(found.port)
        message.content.parts["body"] = '{"name": Ann}'
        with pytest.raises(Rejected):
            await adapter.send(message)
        assert found.requests == []
        await adapter.close()
