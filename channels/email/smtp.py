"""Email through any SMTP server."""

from dataclasses import dataclass

from channels.base import Outgoing, Receipt


@dataclass(frozen=True)
class SmtpServer:
    """Where mail goes. `tls`: starttls (refused when the server has none), tls (from the first byte) or none."""

    host: str
    port: int
    username: str = ""
    password: str = ""
    tls: str = "starttls"
    connections: int = 10
    timeout_s: float = 10.0


class Smtp:
    name = "smtp"
    channel = "email"

    def __init__(self, server: SmtpServer) -> None:
        self._server = server

    async def send(self, outgoing: Outgoing) -> Receipt:
        raise NotImplementedError

    async def close(self) -> None: ...
