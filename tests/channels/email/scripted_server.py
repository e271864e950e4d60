"""An SMTP server that does as it is told: an answer or a cut at each stage. Runs in the test's own loop."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes

CUT = "cut"
SILENCE = "silence"

_GOOD = {"connect": "220 ready", "EHLO": "250 scripted", "MAIL": "250 ok", "RCPT": "250 ok", "DATA": "354 go on", "dot": "250 taken"}
_GOOD |= {"RSET": "250 ok", "QUIT": "221 bye", "AUTH": "235 ok"}


@dataclass
class ScriptedServer:
    """`script` changes the answer of a stage: a line, CUT or SILENCE; a list is used up one by one, then all is well again.

    For each mail it takes `mail_s`; a mail of more than `largest` bytes it does not take. At the one that comes after `hangs_at` others it
    says nothing until `goes_on`.
    """

    script: Mapping[str, str | list[str]] = field(default_factory=dict)
    port: int = 0
    connections: int = 0
    mail_s: float = 0.0
    largest: int | None = None
    hangs_at: int | None = None
    is_hanging: asyncio.Event = field(default_factory=asyncio.Event)
    goes_on: asyncio.Event = field(default_factory=asyncio.Event)
    bodies: list[bytes] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)

    def ids(self) -> list[str]:
        return [str(message_from_bytes(body)["Message-ID"])[1:37] for body in self.bodies]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            if await self._answer("connect", writer):
                await self._converse(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            self.seen.append("client gone")
        finally:
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            verb = line.split(b" ")[0].strip().upper().decode()
            self.seen.append(line.decode().strip())
            if not await self._answer(verb, writer):
                return
            if verb == "DATA" and self.seen[-1] == "> 354":
                body = await self._body(reader)
                await asyncio.sleep(self.mail_s)
                if body is not None and self.largest is not None and len(body) > self.largest:
                    writer.write(b"552 5.3.4 Message size exceeds fixed limit\r\n")
                    continue
                if len(self.bodies) == self.hangs_at and not self.goes_on.is_set():
                    self.is_hanging.set()
                    await self.goes_on.wait()
                if body is None or not await self._answer("dot", writer):
                    return
                if self.seen[-1] == "> 250":
                    self.bodies.append(body)
            if verb == "QUIT":
                return

    async def _body(self, reader: asyncio.StreamReader) -> bytes | None:
        if self.script.get("body") == CUT:
            await reader.read(100)
            return None
        lines: list[bytes] = []
        while (line := await reader.readline()) != b".\r\n":
            if not line:
                return None
            lines.append(line[1:] if line.startswith(b".") else line)
        return b"".join(lines)

    async def _answer(self, stage: str, writer: asyncio.StreamWriter) -> bool:
        told = self.script.get(stage, _GOOD.get(stage, "502 what?"))
        line = (told.pop(0) if told else _GOOD[stage]) if isinstance(told, list) else told
        if line == SILENCE:
            await asyncio.sleep(30)
        if line in (CUT, SILENCE):
            return False
        self.seen.append(f"> {line[:3]}")
        writer.write(line.encode() + b"\r\n")
        await writer.drain()
        return True


@asynccontextmanager
async def scripted(**script: str | list[str]) -> AsyncIterator[ScriptedServer]:
    server = ScriptedServer(script)
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            tasks.add(task)
        await server.serve(reader, writer)

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
