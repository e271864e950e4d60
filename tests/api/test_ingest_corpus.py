"""The bad-input corpus over the ingest doors of a running server: the exact answer to each row, on a fresh connection each.

A row of tests/corpus/ingest.json: `why`; `door`; the body as `text`, `base64` or `parts` (texts, or a text so many times); `headers`
(null takes one away); `gzip`, `chunked`; and the answer: `status`, `code` (of the problem, or of the first result) and `accepted`.
"""

import base64
import gzip
import json
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import text

from storage import keys
from storage.database import Database
from tests.api.serving import Served, serving

CORPUS: list[dict[str, Any]] = json.loads((Path(__file__).parents[1] / "corpus" / "ingest.json").read_text())
CANARY = "kanarienvogel"
SEGMENT_STATUSES = {200, 400, 401, 429, 503}


@dataclass(frozen=True)
class Answer:
    status: int
    head: str
    body: bytes

    @property
    def code(self) -> str | None:
        told = json.loads(self.body)
        return told.get("code") or next((result["code"] for result in told.get("results", [])), None)


def body_of(row: dict[str, Any]) -> bytes:
    if "base64" in row:
        raw = base64.b64decode(row["base64"])
    else:
        parts: Sequence[Any] = row.get("parts", [row.get("text", "")])
        raw = "".join(part if isinstance(part, str) else part["text"] * part["times"] for part in parts).encode()
    return gzip.compress(raw) if row.get("gzip") else raw


def bytes_of(row: dict[str, Any], key: str) -> bytes:
    body = body_of(row)
    headers: dict[str, str | None] = {
        "authorization": f"Bearer {key}",
        "content-type": "application/json",
        "content-length": str(len(body)),
    }
    if row.get("gzip"):
        headers["content-encoding"] = "gzip"
    if row.get("chunked"):
        headers |= {"content-length": None, "transfer-encoding": "chunked"}
        body = (
            b"".join(b"%x\r\n%b\r\n" % (len(body[n : n + 16384]), body[n : n + 16384]) for n in range(0, len(body), 16384)) + b"0\r\n\r\n"
        )
    headers |= row.get("headers", {})
    lines = [f"POST /v1/{row['door']} HTTP/1.1", "host: sojourn", "connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items() if value is not None]
    return "\r\n".join([*lines, "", ""]).encode() + body


def send(served: Served, raw: bytes) -> Answer:
    """One request on its own connection. The server may answer and close before it has read everything."""
    answer = bytearray()
    with socket.create_connection(("127.0.0.1", served.port), timeout=20) as connection:
        with suppress(ConnectionError):
            connection.sendall(raw)
        with suppress(ConnectionError):
            while chunk := connection.recv(65536):
                answer += chunk
    head, _, body = bytes(answer).partition(b"\r\n\r\n")
    return Answer(int(head.split(b" ", 2)[1]) if head else 0, head.decode(), body)


def complaint(row: dict[str, Any], answer: Answer) -> str | None:
    """What is wrong with the answer to a row, or None."""
    told = f"{row['why']} at {row['door']}: {answer.status} {answer.body[:300]!r}"
    if answer.status != row["status"] or (row["door"] != "history" and answer.status not in SEGMENT_STATUSES):
        return told
    if CANARY in (answer.head + answer.body.decode()).lower():
        return f"{told}: repeats a value"
    if row.get("server"):  # refused by the HTTP parser, before there is a request
        return None
    if answer.code != row["code"] or ("accepted" in row and json.loads(answer.body)["accepted"] != row["accepted"]):
        return told
    if answer.status != 200 and not {"code", "message", "title", "status"} <= json.loads(answer.body).keys():
        return told
    return None


async def test_every_row_of_the_corpus_gets_its_exact_answer(database: Database, database_url: str, tmp_path: Path) -> None:
    async with database.transaction() as connection:
        write, secret = [await keys.create(connection, "demo", kind) for kind in ("write", "secret")]
    with serving(database_url, tmp_path) as served:
        wrong = []
        for row in CORPUS:
            is_managed = row["door"] == "history" and row["code"] != "forbidden"
            wrong.append(complaint(row, send(served, bytes_of(row, secret if is_managed else write))))
        assert [words for words in wrong if words] == []
        after = {"event": "after_all", "userId": "ada", "messageId": "after-all"}
        async with httpx.AsyncClient(base_url=served.url, auth=(write, "")) as client:
            assert (await client.post("/v1/track", json=after)).content == b'{"success":true}'
        log = served.log.read_text()
    assert "Traceback" not in log
    assert CANARY not in log.lower()
    async with database.transaction() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM events WHERE name = 'after_all'"))).scalar_one() == 1


def test_the_corpus_is_large_and_says_why() -> None:
    assert len(CORPUS) >= 200
    assert all(row["why"] and row["door"] for row in CORPUS)
