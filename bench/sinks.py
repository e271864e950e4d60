"""Far ends that only take what they are given: an SMTP server and an HTTP provider, each a process of its own.

python -m bench.sinks smtp|http PORT. They parse no more than they must, so that little of the machine is theirs.
"""

import asyncio
import os
import sys
from typing import cast

import uvloop

_ANSWERS = {b"EHLO": b"250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n", b"DATA": b"354 go on\r\n", b"QUIT": b"221 bye\r\n"}
_TAKEN = b'{"id":"49a3999c-0ce1-4ea6-ab68-afcd6dc2e794"}'
_OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(_TAKEN), _TAKEN)


class SmtpSink(asyncio.Protocol):
    """Says yes to everything. With SINK_DELAY_MS it takes so long to take a mail; with SINK_RECORD it writes the ids of all into a file."""

    transport: asyncio.WriteTransport
    delay_s = float(os.environ.get("SINK_DELAY_MS", "0")) / 1000
    record = os.open(os.environ["SINK_RECORD"], os.O_WRONLY | os.O_APPEND | os.O_CREAT) if "SINK_RECORD" in os.environ else None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport, self.buffer, self.is_body = cast("asyncio.WriteTransport", transport), b"", False
        self.answers: list[bytes] = []
        self.is_late = False
        self.transport.write(b"220 sink ESMTP\r\n")

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if not self.is_late:
            self._go_on()

    def _go_on(self) -> None:
        """Answer all that is there in one write, as a server does that takes PIPELINING."""
        self.is_late = False
        while not self.is_late and self._take():
            pass
        if self.answers and not self.is_late:
            self.transport.write(b"".join(self.answers))
            self.answers.clear()

    def _take(self) -> bool:
        piece, end, rest = self.buffer.partition(b"\r\n.\r\n" if self.is_body else b"\r\n")
        if not end:
            return False
        self.buffer = rest
        if self.is_body:
            self.is_body = False
            self._taken(piece)
        else:
            verb = piece[:4].upper()
            self.is_body = verb == b"DATA"
            self.answers.append(_ANSWERS.get(verb, b"250 ok\r\n"))
        return True

    def _taken(self, mail: bytes) -> None:
        if self.record is not None:
            os.write(self.record, mail.partition(b"Message-ID: <")[2].partition(b"@")[0] + b"\n")
        self.answers.append(b"250 taken\r\n")
        if self.delay_s:
            self.is_late = True
            asyncio.get_running_loop().call_later(self.delay_s, self._go_on)


class HttpSink(asyncio.Protocol):
    """Takes requests with a length, and answers each as a provider does that has accepted a message."""

    transport: asyncio.WriteTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport, self.buffer = cast("asyncio.WriteTransport", transport), b""

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (head := self.buffer.find(b"\r\n\r\n")) >= 0:
            length = int(self.buffer[:head].lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            if len(self.buffer) < head + 4 + length:
                return
            self.buffer = self.buffer[head + 4 + length :]
            self.transport.write(_OK)


async def main(kind: str, port: int) -> None:
    sink = {"smtp": SmtpSink, "http": HttpSink}[kind]
    server = await asyncio.get_running_loop().create_server(sink, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], int(sys.argv[2])))
