"""An SMTP server in a process of its own that writes down each mail, append-only and fsynced, before it answers, and each answer after it.

python -m tests.crash.recording_smtp FOLDER: prints its port, writes FOLDER/record. While FOLDER/hold exists it keeps its answers back.
"""

import asyncio
import json
import os
import random
import sys
from collections.abc import Mapping
from email import message_from_bytes
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session


class Recorder:
    """Takes up to 40 ms for a mail, as a server does that looks at it: so a SIGKILL finds some between final dot and answer."""

    def __init__(self, folder: Path) -> None:
        self._record = (folder / "record").open("a")
        self._hold = folder / "hold"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        mail = message_from_bytes(envelope.original_content or b"")
        number = str(mail["Message-ID"])[1:37]
        self._write({"told": "taken", "id": number, "to": envelope.rcpt_tos[0], "subject": mail["Subject"]})
        await asyncio.sleep(random.uniform(0, 0.04))
        while self._hold.exists():  # noqa: ASYNC110 - the test is another process
            await asyncio.sleep(0.005)
        # The answer is written to the socket before the loop comes to this: whoever reads "answered" knows that it left.
        asyncio.get_running_loop().call_later(0.005, self._write, {"told": "answered", "id": number})
        return "250 taken"

    def _write(self, line: Mapping[str, str]) -> None:
        self._record.write(json.dumps(line) + "\n")
        self._record.flush()
        os.fsync(self._record.fileno())


async def main(folder: Path) -> None:
    recorder = Recorder(folder)
    server = await asyncio.get_running_loop().create_server(lambda: SMTP(recorder, enable_SMTPUTF8=True), "127.0.0.1", 0)
    (folder / "port").write_text(str(server.sockets[0].getsockname()[1]))
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
