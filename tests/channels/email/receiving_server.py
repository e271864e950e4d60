"""A real SMTP server (aiosmtpd) for a process of its own: prints its port, then writes each mail to a folder as it came.

python receiving_server.py FOLDER [CERTIFICATE KEY]: with a certificate it offers STARTTLS and wants a login (ann, secret).
"""

import asyncio
import json
import ssl
import sys
from pathlib import Path
from typing import Any
from uuid import uuid4

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


class Writer:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    async def handle_DATA(self, _server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        told = {"from": envelope.mail_from, "to": envelope.rcpt_tos, "tls": session.ssl is not None}
        name = uuid4().hex
        (self.folder / f"{name}.json").write_text(json.dumps(told))
        (self.folder / f"{name}.part").write_bytes(envelope.original_content or b"")
        (self.folder / f"{name}.part").rename(self.folder / f"{name}.eml")
        return "250 taken"


def authenticate(_server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, given: LoginPassword) -> AuthResult:
    return AuthResult(success=(given.login, given.password) == (b"ann", b"secret"))


async def main(folder: Path, certificate: list[str]) -> None:
    context = None
    if certificate:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*certificate)
    options: dict[str, Any] = (
        {"require_starttls": True, "tls_context": context, "auth_required": True, "authenticator": authenticate} if context else {}
    )
    server = await asyncio.get_running_loop().create_server(lambda: SMTP(Writer(folder), enable_SMTPUTF8=True, **options), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201 - the test reads it
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2:]))
