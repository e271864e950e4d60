"""What the oracle reads after a run: the mail server's record, the sandbox, the ledger, and whatever is still open."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from sqlalchemy import text

from storage.database import Connection, Database
from tests.crash.errands import TEMPLATES
from tests.crash.oracle import Left, Mail, Remains, Row
from tests.crash.stack import Stack

Result = TypeVar("Result")

_SANDBOX = "SELECT id, channel, recipient, content, sends FROM sandbox_messages"
_LEDGER = """
SELECT m.id, m.channel, coalesce(e.address, m.address, 'nowhere') AS address, m.template, m.message_class,
  m.state, m.reason, m.maybe_doubled
FROM messages m LEFT JOIN endpoints e ON e.app = m.app AND e.id = m.endpoint_id
"""
_OUTBOX = "SELECT 'outbox ' || seq || ': ' || kind FROM outbox"
_CLAIMS = "SELECT 'claim of ' || message_id FROM open_messages WHERE kind = 'claimed'"
_ENROLLMENTS = "SELECT workflow_id || ' is ' || state FROM enrollments WHERE state <> 'closed'"
_QUARANTINE = "SELECT 'quarantine: ' || kind || ' ' || reason FROM quarantine"
_ENDS = """
SELECT coalesce(end_reason, state) AS how, count(*) AS number FROM enrollments GROUP BY 1
UNION ALL SELECT 'not entered: ' || reason, count(*) FROM refused_entries GROUP BY 1
UNION ALL SELECT 'event ' || name, count(*) FROM events GROUP BY 1 ORDER BY 1
"""
_UNKNOWN = "SELECT message_id::text FROM open_messages WHERE kind = 'unknown'"


def left(stack: Stack) -> list[Left]:
    """Everything that left, a line for each time."""
    mails = [line for line in stack.mail_lines() if line["told"] == "taken"]
    kept = _read(stack, lambda connection: _rows(connection, _SANDBOX))
    return [
        *(Left(line["id"], Mail("email", line["to"], line["subject"])) for line in mails),
        *(Left(str(row.id), Mail(row.channel, row.recipient, _template(row.content))) for row in kept for _ in range(row.sends)),
    ]


def rows(stack: Stack) -> list[Row]:
    return [
        Row(str(row.id), Mail(row.channel, row.address, row.template), row.message_class, row.state, row.reason, row.maybe_doubled)
        for row in _read(stack, lambda connection: _rows(connection, _LEDGER))
    ]


def remains(stack: Stack) -> Remains:
    async def read(connection: Connection) -> Remains:
        async def words(statement: str) -> list[str]:
            return [str(row[0]) for row in await _rows(connection, statement)]

        return Remains(
            outbox=await words(_OUTBOX),
            claims=await words(_CLAIMS),
            enrollments=await words(_ENROLLMENTS),
            quarantine=await words(_QUARANTINE),
            listed_unknown=frozenset(await words(_UNKNOWN)),
        )

    return _read(stack, read)


def ends(stack: Stack) -> dict[str, int]:
    """How many came in, entered or did not, and how they ended: where to look first when something is lost."""
    return {row.how: row.number for row in _read(stack, lambda connection: _rows(connection, _ENDS))}


def user_of(stack: Stack, message_id: str) -> str:
    """The caller's id of the person that a message is for."""
    asked = "SELECT u.user_id FROM messages m JOIN users u ON u.app = m.app AND u.id = m.user_id WHERE m.id = CAST(:id AS uuid)"
    return str(_read(stack, lambda connection: _rows(connection, asked, id=message_id))[0][0])


async def _rows(connection: Connection, statement: str, **values: Any) -> list[Any]:
    return list((await connection.execute(text(statement), values)).all())


def _read(stack: Stack, work: Callable[[Connection], Awaitable[Result]]) -> Result:
    async def read() -> Result:
        database = Database(stack.postgres.url, pool_size=1)
        try:
            async with database.transaction() as connection:
                return await work(connection)
        finally:
            await database.close()

    return asyncio.run(read())


def _template(content: dict[str, Any]) -> str:
    """Each template of the run says its own name."""
    return next((name for name in TEMPLATES if name in content.values()), "?")
