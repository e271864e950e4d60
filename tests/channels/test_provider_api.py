"""What happens before a request's first byte has certainly not sent it: no name, no connection, no TLS."""

import asyncio
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib.abc import MetaPathFinder
from pathlib import Path

import pytest

from channels import provider_api
from channels.base import NotSent
from channels.provider_api import Answer, ProviderApi
from tests.channels.certificates import Certificate, make_certificate
from tests.channels.messages import mail
from tests.channels.provider import Request, Response, provider

SECRET = b"the letter"
WITH_HTTP2 = pytest.mark.parametrize("http2", [False, True])
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Listener:
    """An end that does not speak TLS as it should. `heard` is all that came."""

    port: int = 0
    heard: bytearray = field(default_factory=bytearray)


async def hang_up(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Within the handshake."""


async def speak_plainly(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(Response(200).as_bytes())
    await writer.drain()


async def refuse_the_handshake(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """With a fatal alert: 40, handshake_failure."""
    writer.write(b"\x15\x03\x03\x00\x02\x02\x28")
    await writer.drain()


async def say_nothing(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await reader.read()


@asynccontextmanager
async def listening(talk: Talk) -> AsyncIterator[Listener]:
    found, over = Listener(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        found.heard.extend(await reader.read(65536))
        await talk(reader, writer)
        writer.close()
        over.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    found.port = server.sockets[0].getsockname()[1]
    try:
        yield found
        await over.wait()
    finally:
        server.close()


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    return make_certificate(tmp_path, "mail.example")


async def post(api: ProviderApi, *, tls_name: str | None = None) -> Answer:
    try:
        return await api.post("/send", mail(), content=SECRET, headers={}, tls_name=tls_name)
    finally:
        await api.close()


@WITH_HTTP2
async def test_a_name_that_does_not_resolve_is_not_sent(monkeypatch: pytest.MonkeyPatch, http2: bool) -> None:
    asked: list[object] = []

    def unknown(host: object, *_: object, **__: object) -> None:
        asked.append(host)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(NotSent):
        await post(ProviderApi("https://api.example", http2=http2))
    assert "api.example" in {host.decode() if isinstance(host, bytes) else host for host in asked}


@WITH_HTTP2
async def test_nobody_who_listens_is_not_sent(http2: bool) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(NotSent):
            await post(ProviderApi(f"https://127.0.0.1:{taken.getsockname()[1]}", http2=http2))


@WITH_HTTP2
@pytest.mark.parametrize("talk", [hang_up, speak_plainly, refuse_the_handshake])
async def test_a_handshake_that_fails_is_not_sent(talk: Talk, http2: bool) -> None:
    async with listening(talk) as listener:
        with pytest.raises(NotSent):
            await post(ProviderApi(f"https://127.0.0.1:{listener.port}", http2=http2))
    assert SECRET not in listener.heard


@WITH_HTTP2
async def test_a_handshake_that_does_not_end_is_not_sent(monkeypatch: pytest.MonkeyPatch, http2: bool) -> None:
    monkeypatch.setattr(provider_api, "_CONNECT_S", 0.3)
    async with listening(say_nothing) as listener:
        with pytest.raises(NotSent):
            await post(ProviderApi(f"https://127.0.0.1:{listener.port}", http2=http2))
    assert SECRET not in listener.heard


@WITH_HTTP2
@pytest.mark.parametrize("tls_name", [None, "other.example"])
async def test_a_certificate_that_proves_nothing_is_not_sent(certificate: Certificate, tls_name: str | None, http2: bool) -> None:
    """It is of nobody whom we trust, or of somebody else."""
    trusted = ssl.create_default_context() if tls_name is None else certificate.client()
    protocols = ("h2",) if http2 else ()
    async with provider(lambda _: Response(), tls=certificate.server(*protocols)) as fake:
        with pytest.raises(NotSent):
            await post(ProviderApi(fake.base_url, http2=http2, verify=trusted), tls_name=tls_name)
        assert fake.requests == []


async def test_the_same_end_with_a_good_certificate_gets_it(certificate: Certificate) -> None:
    def accepts(request: Request) -> Response:
        assert request.body == SECRET
        return Response()

    async with provider(accepts, tls=certificate.server()) as fake:
        answer = await post(ProviderApi(fake.base_url, verify=certificate.client()), tls_name="mail.example")
        assert (answer.status, len(fake.requests)) == (200, 1)


class Searches(MetaPathFinder):
    """Sees which modules are looked for among the files, and finds none."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> None:  # noqa: ARG002 - the names are the protocol's
        self.names.append(fullname)


async def test_no_request_looks_for_a_module_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    searches = Searches()
    async with provider(lambda _request: Response(200)) as end:
        api = ProviderApi(end.base_url)
        await api.get("/", {})
        monkeypatch.setattr(sys, "meta_path", [searches, *sys.meta_path])
        await api.get("/", {})
        await api.close()
    assert searches.names == []
