"""A provider's HTTP API on loopback that is as strict as the real one: what a request lacks is a failed test, not a polite 400."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson


@dataclass(frozen=True)
class Request:
    """What came; header names in small letters."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return orjson.loads(self.body)


@dataclass(frozen=True)
class Response:
    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)

    def as_bytes(self) -> bytes:
        named = {"content-type": "application/json", **self.headers, "content-length": str(len(self.body))}
        head = f"HTTP/1.1 {self.status} x\r\n" + "".join(f"{name}: {value}\r\n" for name, value in named.items())
        return head.encode() + b"\r\n" + self.body


Accepts = Callable[[Request], Response]
"""Checks a request with asserts and gives the answer to a good one."""


@dataclass
class FakeProvider:
    """Answers what `accepts` says of a good request, or `answer` where it is set: a Response, raw bytes (b"" cuts), None says nothing.

    What is asked of a path in `beside` (where access tokens are fetched) is answered there, whatever `answer` is.
    """

    accepts: Accepts
    answer: Response | bytes | str | None = "as it accepts"
    port: int = 0
    scheme: str = "http"
    beside: dict[str, Accepts] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    requests_beside: list[Request] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    @property
    def base_url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                await self._answer(await read_request(reader), writer)
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            return
        finally:
            writer.close()

    def judged(self, request: Request) -> Response | bytes | None:
        """Check a request, keep it, and say what is answered."""
        is_beside = request.path in self.beside
        try:
            good = self.beside[request.path](request) if is_beside else self.accepts(request)
            (self.requests_beside if is_beside else self.requests).append(request)
        except (AssertionError, KeyError, ValueError, IndexError, TypeError) as error:
            self.complaints.append(f"{type(error).__name__}: {error}")
            good = Response(599, b"the fake refuses this request")
        return good if isinstance(self.answer, str) or self.complaints or is_beside else self.answer

    async def _answer(self, request: Request, writer: asyncio.StreamWriter) -> None:
        answer = self.judged(request)
        if answer is None:
            await asyncio.sleep(30)
        raw = answer.as_bytes() if isinstance(answer, Response) else answer or b""
        writer.write(raw)
        await writer.drain()
        if not isinstance(answer, Response):
            raise ConnectionError


async def read_request(reader: asyncio.StreamReader) -> Request:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines if line)}
    method, path, _ = first.split(" ")
    return Request(method, path, headers, await reader.readexactly(int(headers.get("content-length", "0"))))


@asynccontextmanager
async def provider(
    accepts: Accepts, *, tls: ssl.SSLContext | None = None, make: Callable[[Accepts], FakeProvider] = FakeProvider
) -> AsyncIterator[FakeProvider]:
    """Run a fake; at the end it must have had no complaint."""
    found = make(accepts)
    found.scheme = "https" if tls else "http"
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        await found.serve(reader, writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=100_000_000, ssl=tls)
    found.port = server.sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert found.complaints == []
