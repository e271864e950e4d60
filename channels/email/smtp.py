"""Email through any SMTP server, over a few connections that stay open. What each answer means stands in connection.py."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from channels.base import NotSent, Outgoing, Receipt
from channels.deadline import refuse_when_late, seconds_left
from channels.email import mime
from channels.email.connection import Connection, Gone, SmtpServer

# Servers close idle connections after minutes and long ones after some hundred mails; we go first, and meet a closed one seldom.
_IDLE_FOR_S = 30.0
_MAILS_PER_CONNECTION = 500


class Smtp:
    """Sends mail through one server. At most `server.connections` are open; who finds none free waits until the claim's deadline."""

    name = "smtp"
    channel = "email"

    def __init__(self, server: SmtpServer) -> None:
        self._server = server
        self._turns = asyncio.Semaphore(server.connections)
        self._idle: list[Connection] = []
        self._context: ssl.SSLContext | None = None

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

    async def verify(self) -> None:
        """Connect, secure and log in."""
        connection = await self._fresh(time.monotonic() + self._server.timeout_s)
        await connection.quit()

    async def close(self) -> None:
        while self._idle:
            await self._idle.pop().quit()

    async def _deliver(self, mail: mime.Mail, deadline: float, used: Connection | None) -> str:
        connection = used or await self._fresh(deadline)
        try:
            return await connection.deliver(mail, deadline)
        finally:
            if connection.is_open and connection.mails < _MAILS_PER_CONNECTION:
                self._idle.append(connection)
            else:
                connection.close()

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
        connection = Connection(self._server, self._context)
        await connection.open(deadline)
        return connection

    @asynccontextmanager
    async def _turn(self, outgoing: Outgoing) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(max(0.0, seconds_left(outgoing))):
                await self._turns.acquire()
        except TimeoutError as error:
            raise NotSent("every connection to the mail server was busy until the claim ran out") from error
        try:
            yield
        finally:
            self._turns.release()
