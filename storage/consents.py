"""What people agreed to and withdrew: an append-only record, of which the newest row of a (user, channel, topic) holds.

Every writer takes the user's row lock, as every claim does: only so does an unsubscribe that committed before a claim always win.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import text

from journeys.language.errors import NotFound
from storage.database import Connection
from storage.standing import lock_person

EVERY = "*"
ALL_MARKETING = "*marketing"
"""A topic that stands for every topic, those that come later too, and leaves transactional messages alone."""

State = Literal["granted", "withdrawn", "pending"]


@dataclass(frozen=True)
class Shown:
    """What the person saw and where they were when they said it, as far as it is known. Each wording is kept once."""

    text: str | None = None
    page: str | None = None
    address: str | None = None
    ip: str | None = None
    user_agent: str | None = None


NOTHING_SHOWN = Shown()


@dataclass(frozen=True)
class ConsentRecord:
    """One entry of the record. `channel` and `topic` may be *, for every one; `proof` is what the caller can show for it.

    `recorded_by`: the name of the key that recorded it, or `user` where they did it themselves on a page of ours.
    """

    channel: str
    topic: str
    state: State
    source: str
    proof: Mapping[str, Any] = field(default_factory=dict)
    recorded_at: datetime | None = None
    shown: Shown = NOTHING_SHOWN
    recorded_by: str | None = None
    id: int | None = None


_KEEP_TEXT = text(
    "INSERT INTO consent_texts (app, hash, body) VALUES (:app, sha256(convert_to(:body, 'UTF8')), :body) ON CONFLICT (app, hash) DO NOTHING"
)
_RECORD = text(
    "INSERT INTO consents (app, user_id, channel, topic, state, source, proof, text_hash, page, address, ip, user_agent, recorded_by)"
    " VALUES (:app, :user_id, :channel, :topic, :state, :source, :proof, sha256(convert_to(CAST(:text AS text), 'UTF8')), :page, :address,"
    " :ip, :user_agent, :recorded_by) RETURNING id, recorded_at"
)
_COLUMNS = (
    "c.id, c.channel, c.topic, c.state, c.source, c.proof, c.recorded_at, c.page, c.address, c.ip, c.user_agent, c.recorded_by,"
    " (SELECT t.body FROM consent_texts t WHERE t.app = c.app AND t.hash = c.text_hash) AS text"
)
_STANDING = text(
    f"SELECT DISTINCT ON (c.channel, c.topic) {_COLUMNS} FROM consents c"
    " WHERE c.app = :app AND c.user_id = :user_id ORDER BY c.channel, c.topic, c.id DESC"
)
_HISTORY = text(f"SELECT {_COLUMNS} FROM consents c WHERE c.app = :app AND c.user_id = :user_id ORDER BY c.id")


async def record(connection: Connection, app: str, user_id: int, consent: ConsentRecord) -> datetime:
    """Add one entry under the user's row lock; return when, by the database's clock while the lock was held. Raises NotFound."""
    recorded_at = (await write(connection, app, user_id, consent)).recorded_at
    assert recorded_at is not None
    return recorded_at


async def write(connection: Connection, app: str, user_id: int, consent: ConsentRecord) -> ConsentRecord:
    """The same, and return the entry as it stands: with its id and its moment. Raises NotFound."""
    person = await lock_person(connection, app, user_id)
    if person is None:
        raise NotFound("no such user")
    if consent.shown.text is not None:
        await connection.execute(_KEEP_TEXT, {"app": app, "body": consent.shown.text})
    said = {name: getattr(consent, name) for name in ("channel", "topic", "state", "source", "proof", "recorded_by")}
    row = (await connection.execute(_RECORD, {"app": app, "user_id": person.id, **said, **vars(consent.shown)})).one()
    return replace(consent, id=row.id, recorded_at=row.recorded_at)


_PENDING = text(
    "SELECT count(*) FROM consents WHERE app = :app AND user_id = :user_id AND channel = :channel AND topic = :topic"
    " AND state = 'pending' AND recorded_at > clock_timestamp() - CAST(:within AS interval)"
)


async def pending_since(connection: Connection, app: str, user_id: int, channel: str, topic: str, within: timedelta) -> int:
    """How often they asked for a topic lately without having it confirmed at that time."""
    key = {"app": app, "user_id": user_id, "channel": channel, "topic": topic, "within": within}
    return int((await connection.execute(_PENDING, key)).scalar_one())


async def in_force(connection: Connection, app: str, user_id: int) -> list[ConsentRecord]:
    """The newest entry of each channel and topic."""
    return _records((await connection.execute(_STANDING, {"app": app, "user_id": user_id})).all())


async def history(connection: Connection, app: str, user_id: int) -> list[ConsentRecord]:
    """Every entry, the oldest first."""
    return _records((await connection.execute(_HISTORY, {"app": app, "user_id": user_id})).all())


def _records(rows: Sequence[Any]) -> list[ConsentRecord]:
    return [
        ConsentRecord(
            row.channel,
            row.topic,
            row.state,
            row.source,
            row.proof,
            row.recorded_at,
            Shown(row.text, row.page, row.address, row.ip, row.user_agent),
            row.recorded_by,
            row.id,
        )
        for row in rows
    ]
