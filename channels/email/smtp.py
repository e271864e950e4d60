"""Email through any SMTP server, over a few connections that stay open. What each answer means stands in connection.py."""

import asyncio
import math
import ssl
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from channels.base import Ambiguous, End, NotSent, Outgoing, Receipt, Rejected, Renumbered, Watch
from channels.deadline import refuse_when_late, seconds_left
from channels.egress import Egress
from channels.email import mime
from channels.email.connection import Connection, Gone, SmtpServer
from channels.email.pipeline import HELD, Pipeline
from journeys.language.errors import Invalid, Problem

# Servers close idle connections after minutes and long ones after some hundred mails; we go first, and meet a closed one seldom.
_IDLE_FOR_S = 30.0
_MAILS_PER_CONNECTION = 500
# Of what is handed over together, one connection is given so much as it takes the server this long; further ones leave some free.
_TOGETHER_S = 0.05
_LEFT_FREE = 2
# Where mail servers listen for who hands mail in.
_PORTS = (25, 465, 587, 2525)
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class SmtpAccount:
    """A mail server of an app's own, at a public address.

    `tls`: starttls (a server without it gets nothing), tls (from the first byte), or none, for a stand-in on loopback.
    """

    host: Annotated[str, Field(pattern=r"^[A-Za-z0-9.:-]{1,253}$")]
    port: Annotated[int, Field(ge=1, le=65_535)] = 587
    username: str = ""
    password: str = ""
    tls: Literal["starttls", "tls", "none"] = "starttls"
    connections: Annotated[int, Field(ge=1, le=50)] = 10

    def problems(self, *, may_be_stand_in: bool) -> list[Problem]:
        """What must not be set: a place where nobody hands mail in, mail in clear text, half a login."""
        found = []
        if not (may_be_stand_in and self.host in _LOOPBACK):
            if self.port not in _PORTS:
                found.append(Problem("/settings/port", "no_mail_port", f"a mail server is reached by {', '.join(map(str, _PORTS))}"))
            if self.tls == "none":
                found.append(Problem("/settings/tls", "in_clear_text", "mail leaves encrypted: starttls, or tls from the first byte"))
        if self.username and not self.password:
            found.append(Problem("/settings/password", "missing", "a username needs its password"))
        if self.password and not self.username:
            found.append(Problem("/settings/username", "missing", "a password needs its username"))
        return found


class Smtp:
    """Sends mail through one server. At most `server.connections` are open; who finds none free waits until the claim's deadline.

    With `egress` the server is somebody else's choice, and must be where that lets us go.
    """

    name = "smtp"
    channel = "email"

    def __init__(self, server: SmtpServer, egress: Egress | None = None) -> None:
        self._server = server
        self._egress = egress
        self._turns = asyncio.Semaphore(server.connections)
        self._in_use = 0
        # What the server takes for a mail at its quickest: what is longer may be our own doing.
        self._mail_s = 0.0
        self._idle: list[Connection] = []
        self._pipelines: list[Pipeline] = []
        self._context: ssl.SSLContext | None = None

    @classmethod
    def of(cls, account: SmtpAccount, *, may_use_stand_ins: bool) -> "Smtp":
        """Sends through an app's own server. Raises Invalid."""
        if problems := account.problems(may_be_stand_in=may_use_stand_ins):
            raise Invalid(problems)
        return cls(SmtpServer(**vars(account)), Egress(may_reach_loopback=may_use_stand_ins))

    async def send(self, outgoing: Outgoing) -> Receipt:
        mail = mime.build(outgoing)
        refuse_when_late(outgoing)
        async with self._turn(outgoing):
            try:
                answer = await self._deliver(mail, outgoing.deadline, self._reusable())
            except Gone:
                # Nothing was sent on the old connection, so a fresh one may be tried at once; a fresh one is never Gone.
                refuse_when_late(outgoing)
                answer = await self._deliver(mail, outgoing.deadline, None)
        return Receipt(ref=answer[:200] or None)

    async def send_all(self, outgoings: Sequence[Outgoing], watch: Watch) -> list[End]:
        """Over one connection, in one write and one round trip each where the server takes PIPELINING; over several to a slow server."""
        ends: dict[int, End] = {}
        mails: dict[int, mime.Mail] = {}
        for place, outgoing in enumerate(outgoings):
            try:
                mails[place] = mime.build(outgoing)
            except Rejected as end:
                ends[place] = end
                watch.ended(place, end)
        parts = [{place: mails[place] for place in part} for part in self._parts(list(mails))]
        for ended in await asyncio.gather(*(self._deliver_all(part, outgoings[0], watch) for part in parts)):
            ends |= ended
        return [ends[place] for place in range(len(outgoings))]

    def _parts(self, places: Sequence[int]) -> Sequence[Sequence[int]]:
        """One for each connection, none of them empty."""
        wanted = max(1, min(len(places), math.ceil(len(places) * self._mail_s / _TOGETHER_S)))
        free = self._server.connections - self._in_use - _LEFT_FREE
        many = max(1, min(wanted, free))
        return [places[first::many] for first in range(many)] if places else []

    async def _deliver_all(self, mails: Mapping[int, mime.Mail], first: Outgoing, watch: Watch) -> dict[int, End]:
        seen = Renumbered(list(mails), watch)
        try:
            refuse_when_late(first)
            async with self._turn(first):
                ends = await self._over_one_connection(list(mails.values()), first.deadline, seen)
        except NotSent as end:
            ends = [end] * len(mails)
            for place in range(len(mails)):
                seen.ended(place, end)
        return dict(zip(mails, ends, strict=True))

    async def _over_one_connection(self, mails: Sequence[mime.Mail], deadline: float, watch: Watch) -> list[End]:
        if (pipeline := self._reusable_pipeline()) is not None:
            return await self._through(pipeline, mails, deadline, watch)
        connection = await self._fresh(deadline)
        if not connection.takes_pipelining:
            return await self._one_by_one(connection, mails, deadline, watch)
        return await self._through(Pipeline(connection, self._server.timeout_s), mails, deadline, watch)

    async def _through(self, pipeline: Pipeline, mails: Sequence[mime.Mail], deadline: float, watch: Watch) -> list[End]:
        try:
            ends = await pipeline.deliver(mails, deadline, watch)
            self._mail_s = pipeline.quickest_s or self._mail_s
            return ends
        finally:
            if pipeline.is_open and pipeline.mails < _MAILS_PER_CONNECTION:
                self._pipelines.append(pipeline)
            else:
                pipeline.close()

    async def _one_by_one(self, connection: Connection, mails: Sequence[mime.Mail], deadline: float, watch: Watch) -> list[End]:
        """To a server without PIPELINING."""
        ends: list[End] = []
        took_s = []
        for place, mail in enumerate(mails):
            end: End = NotSent(HELD)
            if connection.is_open and watch.begins(place):
                began = time.monotonic()
                try:
                    end = Receipt(answer=(await connection.deliver(mail, deadline))[:200] or None)
                except (NotSent, Rejected, Ambiguous) as failed:
                    end = failed
                took_s.append(time.monotonic() - began)
            watch.ended(place, end)
            ends.append(end)
        connection.close()
        self._mail_s = min(took_s, default=self._mail_s)
        return ends

    async def verify(self) -> None:
        """Connect, secure and log in."""
        connection = await self._fresh(time.monotonic() + self._server.timeout_s)
        await connection.quit()

    async def close(self) -> None:
        while self._idle:
            await self._idle.pop().quit()
        while self._pipelines:
            self._pipelines.pop().close()

    async def _deliver(self, mail: mime.Mail, deadline: float, used: Connection | None) -> str:
        connection = used or await self._fresh(deadline)
        try:
            return await connection.deliver(mail, deadline)
        finally:
            if connection.is_open and connection.mails < _MAILS_PER_CONNECTION:
                self._idle.append(connection)
            else:
                connection.close()

    def _reusable_pipeline(self) -> Pipeline | None:
        while self._pipelines:
            pipeline = self._pipelines.pop()
            if pipeline.is_open and time.monotonic() - pipeline.idle_since < _IDLE_FOR_S:
                return pipeline
            pipeline.close()
        return None

    def _reusable(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open and time.monotonic() - connection.idle_since < _IDLE_FOR_S:
                return connection
            connection.close()
        return None

    async def _fresh(self, deadline: float) -> Connection:
        if self._context is None and self._server.tls != "none":
            # Reading the system's certificates takes 20 ms and more: once, and not in the loop.
            self._context = await asyncio.to_thread(ssl.create_default_context)
        connection = Connection(self._server, self._context, self._egress)
        await connection.open(deadline)
        return connection

    @asynccontextmanager
    async def _turn(self, outgoing: Outgoing) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(max(0.0, seconds_left(outgoing))):
                await self._turns.acquire()
        except TimeoutError as error:
            raise NotSent("every connection to the mail server was busy until the claim ran out") from error
        self._in_use += 1
        try:
            yield
        finally:
            self._in_use -= 1
            self._turns.release()
