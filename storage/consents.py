"""What people agreed to and withdrew: an append-only record, of which the newest row of a (user, channel, topic) holds.

Every writer takes the user's row lock, as every claim does: only so does an unsubscribe that committed before a claim always win.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import text

from journeys.language.errors import NotFound
from storage.database import Connection
from storage.standing import lock_person

EVERY = "*"
State = Literal["granted", "withdrawn"]


@dataclass(frozen=True)
class ConsentRecord:
    """One entry of the record. `channel` and `topic` may be *, for every one; `proof` is what the caller can show for it."""

    channel: str
    topic: str
    state: State
    source: str
    proof: Mapping[str, Any] = field(default_factory=dict)
    recorded_at: datetime | None = None


_RECORD = text(
    "INSERT INTO consents (app, user_id, channel, topic, state, source, proof)"
    " VALUES (:app, :user_id, :channel, :topic, :state, :source, :proof) RETURNING recorded_at"
)
_STANDING = text(
    "SELECT DISTINCT ON (channel, topic) channel, topic, state, source, proof, recorded_at FROM consents"
    " WHERE app = :app AND user_id = :user_id ORDER BY channel, topic, id DESC"
)
_HISTORY = text(
    "SELECT channel, topic, state, source, proof, recorded_at FROM consents WHERE app = :app AND user_id = :user_id ORDER BY id"
)


async def record(connection: Connection, app: str, user_id: int, consent: ConsentRecord) -> datetime:
    """Add one entry under the user's row lock; return when, by the database's clock while the lock was held. Raises NotFound."""
    person = await lock_person(connection, app, user_id)
    if person is None:
        raise NotFound("no such user")
    values = {
        "app": app,
        "user_id": person.id,
        "channel": consent.channel,
        "topic": consent.topic,
        "state": consent.state,
        "source": consent.source,
        "proof": consent.proof,
    }
    recorded_at: datetime = (await connection.execute(_RECORD, values)).scalar_one()
    return recorded_at


async def in_force(connection: Connection, app: str, user_id: int) -> list[ConsentRecord]:
    """The newest entry of each channel and topic."""
    return _records((await connection.execute(_STANDING, {"app": app, "user_id": user_id})).all())


async def history(connection: Connection, app: str, user_id: int) -> list[ConsentRecord]:
    """Every entry, the oldest first."""
    return _records((await connection.execute(_HISTORY, {"app": app, "user_id": user_id})).all())


def _records(rows: Sequence[Any]) -> list[ConsentRecord]:
    return [ConsentRecord(row.channel, row.topic, row.state, row.source, row.proof, row.recorded_at) for row in rows]
