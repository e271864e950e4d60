"""Texts that may ask us to stop. Marketing on their channel rests until a person has decided what was meant; the rest goes on.

The rest is a withdrawn consent, so that every claim sees it without another rule; who stays gets back what was in force before.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import text

from journeys.language.errors import Conflict, NotFound
from storage import consents
from storage.consents import ALL_MARKETING, EVERY, ConsentRecord
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
_OPEN = text("SELECT user_id, channel, before, received_at, decided_at FROM unclear_replies WHERE app = :app AND id = :id")
_UNDECIDED = text("SELECT id FROM unclear_replies WHERE app = :app AND user_id = :user_id AND channel = :channel AND decided_at IS NULL")
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
    for topic in _lets_through(said):
        await consents.record(connection, app, user_id, ConsentRecord(channel, topic, "withdrawn", SOURCE, {"text": body[:_MOST]}))
    return True


def _lets_through(said: Sequence[Mapping[str, Any]]) -> list[str]:
    """What to withdraw so that marketing rests: all of it where everything was granted, else the topics that were.

    Where nobody agreed to anything nothing would leave; a word against all marketing could not be taken back as if it had not been said.
    """
    granted = {entry["topic"] for entry in said if entry["state"] == "granted"}
    return [ALL_MARKETING] if EVERY in granted else sorted(granted)


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
    if changed and person is not None:
        await _carry_out(connection, app, person.id, row, decision)
    decided = UnclearReply(**(await connection.execute(_ONE, {"app": app, "id": id_})).mappings().one())
    if decided.decision != decision:
        raise Conflict("it was decided otherwise: record a consent where that was wrong")
    return decided


async def asked_to_start(connection: Connection, app: str, user_id: int, channel: str, by: str) -> None:
    """Whoever asks for messages has said themselves what they meant: they stay. Their row is locked."""
    key = {"app": app, "user_id": user_id, "channel": channel}
    for number in (await connection.execute(_UNDECIDED, key)).scalars().all():
        await decide(connection, app, number, "stays", by)


async def _carry_out(connection: Connection, app: str, user_id: int, row: Any, decision: Decision) -> None:
    if decision == "leaves":
        proof: dict[str, Any] = {"reply": "a person decided that it asked for no more marketing"}
        said = [ConsentRecord(row.channel, ALL_MARKETING, "withdrawn", SOURCE, proof)]
    else:
        said = _as_before(row, await consents.in_force(connection, app, user_id))
    for entry in said:
        await consents.record(connection, app, user_id, entry)


def _as_before(row: Any, standing: Sequence[ConsentRecord]) -> list[ConsentRecord]:
    """What was in force before the text, in its old order, and after it what was said since: that counts more."""
    since = sorted((entry for entry in standing if _was_said_since(entry, row)), key=lambda entry: entry.id or 0)
    if any(entry.topic == ALL_MARKETING for entry in since):
        return []
    before = [(entry["topic"], entry["state"]) for entry in row.before if entry["topic"] != EVERY]
    held = _lets_through(row.before)
    # A grant that nobody gave in these words; it allows what the grant of everything allowed already.
    first = [(ALL_MARKETING, "granted")] if held == [ALL_MARKETING] and ALL_MARKETING not in dict(before) else []
    again = [*first, *before, *((entry.topic, entry.state) for entry in since)] if held else []
    proof = {"reply": "it was decided that it asked for something else"}
    return [ConsentRecord(row.channel, topic, state, SOURCE, proof) for topic, state in again]


def _was_said_since(entry: ConsentRecord, row: Any) -> bool:
    is_of_channel = entry.channel in {row.channel, EVERY} and entry.topic != EVERY
    return is_of_channel and entry.source != SOURCE and (entry.recorded_at or _LONG_AGO) > row.received_at
