"""A provider's API that speaks HTTP/2 over TLS and nothing else, as Google's and Apple's do."""

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, Event, RequestReceived, StreamEnded, StreamReset, WindowUpdated

from tests.channels.provider import FakeProvider, Request, Response


@dataclass
class Http2Provider(FakeProvider):
    """A FakeProvider over HTTP/2. Raw bytes as `answer` are what is no HTTP/2; those that begin as a 200 are its headers and some data."""

    connections: int = 0
    last_stream: int = 1_000_000
    """What comes later than this stream of the first connection is told that it was not read (GOAWAY), and must come again."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if writer.get_extra_info("ssl_object").selected_alpn_protocol() != "h2":
            self.complaints.append("the client does not speak HTTP/2")
        self.connections += 1
        try:
            await _Conversation(self, reader, writer).hold()
        except (ConnectionError, asyncio.CancelledError):
            return
        finally:
            writer.close()


@dataclass
class _Conversation:
    provider: Http2Provider
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    h2: H2Connection = field(default_factory=lambda: H2Connection(H2Configuration(client_side=False, header_encoding="utf-8")))
    heads: dict[int, dict[str, str]] = field(default_factory=dict)
    bodies: dict[int, bytes] = field(default_factory=lambda: defaultdict(bytes))
    answers: set[asyncio.Task[None]] = field(default_factory=set)
    window: asyncio.Event = field(default_factory=asyncio.Event)

    async def hold(self) -> None:
        self.h2.initiate_connection()
        self._flush()
        try:
            while received := await self.reader.read(65536):
                for event in self.h2.receive_data(received):
                    self._on(event)
                self._flush()
        finally:
            for task in self.answers:
                task.cancel()

    def _on(self, event: Event) -> None:
        match event:
            case RequestReceived(stream_id=stream, headers=headers):
                assert stream is not None
                self.heads[stream] = {str(name): str(value) for name, value in headers or ()}
            case DataReceived(stream_id=stream, data=data, flow_controlled_length=length):
                assert stream is not None
                self.bodies[stream] += data or b""
                self.h2.acknowledge_received_data(length or 0, stream)
            case StreamEnded(stream_id=stream):
                assert stream is not None
                task = asyncio.ensure_future(self._answer(stream))
                self.answers.add(task)
                task.add_done_callback(self.answers.discard)
            case WindowUpdated() | StreamReset():
                self.window.set()
            case _:
                pass

    async def _answer(self, stream: int) -> None:
        if stream > self.provider.last_stream and self.provider.connections == 1:
            self.h2.close_connection(last_stream_id=self.provider.last_stream)
            self._flush()
            self.writer.close()
            return
        head = self.heads.pop(stream)
        named = {name: value for name, value in head.items() if not name.startswith(":")} | {"host": head[":authority"]}
        match self.provider.judged(Request(head[":method"], head[":path"], named, self.bodies.pop(stream, b""))):
            case None:
                return
            case Response() as answer:
                await self._respond(stream, answer)
            case b"":
                self.writer.transport.abort()
            case raw:
                self._break_off(stream, raw)

    async def _respond(self, stream: int, answer: Response) -> None:
        named = {"content-type": "application/json", **answer.headers, "content-length": str(len(answer.body))}
        self.h2.send_headers(stream, [(":status", str(answer.status)), *named.items()], end_stream=not answer.body)
        left = answer.body
        while left:
            self._flush()
            room = min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size, len(left))
            if not room:
                self.window.clear()
                await self.window.wait()
                continue
            left, piece = left[room:], left[:room]
            self.h2.send_data(stream, piece, end_stream=not left)
        self._flush()

    def _break_off(self, stream: int, raw: bytes) -> None:
        if raw.startswith(b"HTTP/1.1 200"):
            self.h2.send_headers(stream, [(":status", "200"), ("content-length", "500")])
            self.h2.send_data(stream, raw.partition(b"\r\n\r\n")[2])
            self._flush()
        else:
            self.writer.write(raw)
        self.writer.close()

    def _flush(self) -> None:
        self.writer.write(self.h2.data_to_send())
