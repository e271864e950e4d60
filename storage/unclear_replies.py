"""Texts that may ask us to stop. Marketing on their channel rests until a person has decided what was meant.

The rest is a withdrawn consent, so that every claim sees it without another rule; who stays gets back what was in force before.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import text

from journeys.language.errors import Conflict, NotFound
from storage import consents
from storage.consents import EVERY, ConsentRecord
from storage.database import Connection
from storage.standing import lock_person

Decision = Literal["leaves", "stays"]
SOURCE = "unclear_reply"
_MOST = 1_600
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class UnclearReply:
    """One text; `user_id` is the caller's, None for somebody anonymous."""

    id: int
    user_id: str | None
    channel: str
    body: str
    received_at: datetime
    decided_at: datetime | None
    decision: Decision | None
    decided_by: str | None


_INSERT = text("""
    INSERT INTO unclear_replies (app, user_id, channel, body, before)
    SELECT :app, :user_id, :channel, :body, CAST(:before AS jsonb)
    WHERE NOT EXISTS (SELECT FROM unclear_replies WHERE app = :app AND user_id = :user_id AND channel = :channel AND decided_at IS NULL)
    RETURNING id
""")
_COLUMNS = "r.id, u.user_id, r.channel, r.body, r.received_at, r.decided_at, r.decision, r.decided_by"
_ROWS = f"SELECT {_COLUMNS} FROM unclear_replies r LEFT JOIN users u ON u.app = r.app AND u.id = r.user_id WHERE r.app = :app"
_PAGE = text(f"""
    {_ROWS} AND (:with_decided OR r.decided_at IS NULL) AND (CAST(:before AS bigint) IS NULL OR r.id < :before)
    ORDER BY r.id DESC LIMIT :most
""")
_ONE = text(f"{_ROWS} AND r.id = :id")
_OPEN = text("SELECT user_id, channel, before, decided_at FROM unclear_replies WHERE app = :app AND id = :id")
_DECIDE = text("""
    UPDATE unclear_replies SET decided_at = clock_timestamp(), decision = :decision, decided_by = :by
    WHERE app = :app AND id = :id AND decided_at IS NULL
""")


async def hold(connection: Connection, app: str, user_id: int, channel: str, body: str) -> bool:
    """Let marketing on the channel rest for this person, whose row is locked; False where it rests already."""
    before = [entry for entry in await consents.in_force(connection, app, user_id) if entry.channel in {channel, EVERY}]
    said = [
        {"channel": entry.channel, "topic": entry.topic, "state": entry.state, "source": entry.source}
        for entry in sorted(before, key=lambda entry: entry.recorded_at or _LONG_AGO)
    ]
    values = {"app": app, "user_id": user_id, "channel": channel, "body": body[:_MOST], "before": said}
    if (await connection.execute(_INSERT, values)).first() is None:
        return False
    await consents.record(connection, app, user_id, ConsentRecord(channel, EVERY, "withdrawn", SOURCE, {"text": body[:_MOST]}))
    return True


async def page(connection: Connection, app: str, *, with_decided: bool, before: int | None, most: int) -> list[UnclearReply]:
    """The newest first; `before` is the id of the last one of the page before."""
    key = {"app": app, "with_decided": with_decided, "before": before, "most": most}
    return [UnclearReply(**row) for row in (await connection.execute(_PAGE, key)).mappings()]


async def decide(connection: Connection, app: str, id_: int, decision: Decision, by: str) -> UnclearReply:
    """Write down what was meant. Who stays is as before the text. Raises NotFound, and Conflict where it was decided otherwise."""
    row = (await connection.execute(_OPEN, {"app": app, "id": id_})).first()
    if row is None:
        raise NotFound("no such reply")
    person = await lock_person(connection, app, row.user_id)
    changed = (await connection.execute(_DECIDE, {"app": app, "id": id_, "decision": decision, "by": by})).rowcount
    if changed and decision == "stays" and person is not None:
        await _say_again(connection, app, person.id, row)
    decided = UnclearReply(**(await connection.execute(_ONE, {"app": app, "id": id_})).mappings().one())
    if decided.decision != decision:
        raise Conflict("it was decided otherwise: record a consent where that was wrong")
    return decided


async def _say_again(connection: Connection, app: str, user_id: int, row: Any) -> None:
    """Only where nothing was said since: a STOP that came meanwhile counts."""
    standing = {(entry.channel, entry.topic): entry for entry in await consents.in_force(connection, app, user_id)}
    held = standing.get((row.channel, EVERY))
    if held is None or held.source != SOURCE:
        return
    proof = {"reply": "a person decided that it asked for something else"}
    # Without an entry for every topic the channel's own default holds: email is allowed, texts need a consent, which is said again below.
    for entry in row.before:
        await consents.record(connection, app, user_id, ConsentRecord(row.channel, entry["topic"], entry["state"], SOURCE, proof))
