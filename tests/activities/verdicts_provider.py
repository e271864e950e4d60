"""A stand-in for Postmark that answers by a seeded script of thirteen verdicts and writes down what it took, and when."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from channels.base import NotSent, Outgoing, Receipt
from channels.email.postmark import Postmark, PostmarkAccount
from tests.channels.provider import Request, Response, read_request

# How often each verdict is given; everything beyond is "ok". The three forms of 429 are one verdict.
SCRIPT = {
    "429 seconds": 10,
    "429 date": 6,
    "429 absurd": 6,
    "500": 80,
    "503": 120,
    "accept then reset": 80,
    "accept then hang": 40,
    "accept then 500": 80,
    "200 with HTML": 60,
    "200 truncated": 60,
    "wrong Content-Length": 60,
    "100 MB": 12,
    "1 byte a second": 40,
    "redirect": 60,
}
TAKEN = {"ok", "accept then reset", "accept then hang", "accept then 500", "200 with HTML", "200 truncated", "wrong Content-Length"} | {
    "100 MB",
    "1 byte a second",
}
_GOOD = b'{"To": "x", "MessageID": "0a129aee", "ErrorCode": 0, "Message": "OK"}'
_ABSURD = ("99999999999", "soon", "-5", "Fri, 31 Dec 9999 23:59:59 GMT")


@dataclass(frozen=True)
class Line:
    """One request that came: its message, the verdict, and when it had wholly arrived (monotonic)."""

    message_id: str
    verdict: str
    at: float


@dataclass
class ScriptedPostmark:
    seed: int
    port: int = 0
    log: list[Line] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    def script(self, sends: int) -> None:
        """The verdicts of the first `sends` requests, shuffled by the seed."""
        told = [verdict for verdict, times in SCRIPT.items() for _ in range(times * sends // 5000 + 1)]
        self.left = [*told, *["ok"] * (sends - len(told))]
        random.Random(self.seed).shuffle(self.left)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                request = await read_request(reader)
                verdict = self.left.pop() if self.left else "ok"
                self.log.append(Line(_id_of(request), verdict, time.monotonic()))
                if not await self._answer(verdict, writer):
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()

    async def _answer(self, verdict: str, writer: asyncio.StreamWriter) -> bool:
        """Answer; False when the connection ends with that."""
        if verdict == "accept then hang":
            await asyncio.sleep(60)
        elif verdict == "accept then reset":
            writer.transport.abort()
        elif verdict == "100 MB":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n")
            for _ in range(100):
                writer.write(b" " * 1_048_576)
                await writer.drain()
        elif verdict == "1 byte a second":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(_GOOD))
            for byte in _GOOD:
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(1)
        else:
            raw, stays_open = _raw(verdict)
            writer.write(raw)
            await writer.drain()
            return stays_open
        return False


def _raw(verdict: str) -> tuple[bytes, bool]:
    """The bytes of an answer, and whether the connection stays open behind it."""
    if verdict.startswith("429"):
        return Response(429, b'{"ErrorCode": 429}', {"retry-after": _retry_after(verdict)}).as_bytes(), True
    return {
        "ok": (Response(200, _GOOD).as_bytes(), True),
        "500": (Response(500, b'{"ErrorCode": 1}').as_bytes(), True),
        "503": (Response(503, b'{"ErrorCode": 1}').as_bytes(), True),
        "accept then 500": (Response(500, b"<html>oops</html>").as_bytes(), True),
        "200 with HTML": (Response(200, b"<html>thank you</html>", {"content-type": "text/html"}).as_bytes(), True),
        "200 truncated": (Response(200, _GOOD).as_bytes()[:-20], False),
        "wrong Content-Length": (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n" + _GOOD, False),
        "redirect": (Response(307, b"", {"location": "http://169.254.169.254/latest/meta-data/"}).as_bytes(), True),
    }[verdict]


def _retry_after(verdict: str) -> str:
    if verdict == "429 seconds":
        return "1"
    if verdict == "429 date":
        return format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)
    return random.choice(_ABSURD)


def _id_of(request: Request) -> str:
    assert (request.method, request.path, request.headers["x-postmark-server-token"]) == ("POST", "/email", "token")
    return str(request.json()["Metadata"]["sojourn_message"])


@dataclass
class Watched:
    """The adapter, with a record of when each send began and until when the provider had asked us to stay away by then."""

    adapter: Postmark
    name: str = "postmark"
    channel: str = "email"
    begun: list[tuple[str, float]] = field(default_factory=list)
    closures: list[tuple[float, float]] = field(default_factory=list)
    """(known at, until)"""

    async def send(self, outgoing: Outgoing) -> Receipt:
        self.begun.append((str(outgoing.message_id), time.monotonic()))
        try:
            return await self.adapter.send(outgoing)
        except NotSent as error:
            if error.retry_after_s is not None:
                self.closures.append((time.monotonic(), time.monotonic() + error.retry_after_s))
            raise

    async def verify(self) -> None: ...

    async def close(self) -> None:
        await self.adapter.close()

    def broken_rules(self, log: list[Line], longest_named_s: float) -> list[Line]:
        """Requests in the provider's log that were begun while it was known that the provider wanted none."""
        broken = []
        begins: dict[str, list[float]] = {}
        for message_id, at in self.begun:
            begins.setdefault(message_id, []).append(at)
        for line in sorted(log, key=lambda line: line.at):
            began = [at for at in begins[line.message_id] if at <= line.at][-1]
            if any(known < began < min(until, known + longest_named_s) for known, until in self.closures):
                broken.append(line)
        return broken


@asynccontextmanager
async def scripted_postmark(seed: int, sends: int) -> AsyncIterator[tuple[ScriptedPostmark, Watched]]:
    provider = ScriptedPostmark(seed)
    provider.script(sends)
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        await provider.serve(reader, writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    provider.port = server.sockets[0].getsockname()[1]
    watched = Watched(Postmark(PostmarkAccount("token", base_url=f"http://127.0.0.1:{provider.port}")))
    try:
        yield provider, watched
    finally:
        await watched.close()
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
