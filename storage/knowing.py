"""Single readings of a person for expressions that are read in Python: what they did last, and their device."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import text

from storage.database import Connection

_LAST_DID = text(
    "SELECT ev.name, max(ev.occurred_at) AS at FROM events ev"
    " WHERE ev.app = :app AND ev.user_id IN (SELECT u.id FROM users u WHERE u.app = :app AND (u.id = :user_id OR u.merged_into = :user_id))"
    " AND ev.name = ANY(:names) AND ev.occurred_at <= :at GROUP BY ev.name"
)
_DEVICE = text(
    "SELECT device FROM endpoints WHERE app = :app AND user_id = :user_id AND channel = :channel AND state = 'active'"
    " ORDER BY confirmed_at DESC, id DESC LIMIT 1"
)

_PHONE = text(
    "SELECT address FROM endpoints WHERE app = :app AND user_id = :user_id AND channel IN ('sms', 'whatsapp', 'voice') AND state = 'active'"
    " ORDER BY confirmed_at DESC, id DESC LIMIT 1"
)


async def last_did(connection: Connection, app: str, user_id: int, names: Sequence[str], at: datetime) -> Mapping[str, datetime]:
    """When the person (by internal id) last did each of these up to `at`; what they never did is not in it. History counts."""
    rows = await connection.execute(_LAST_DID, {"app": app, "user_id": user_id, "names": list(names), "at": at})
    return {row.name: row.at for row in rows}


async def phone(connection: Connection, app: str, user_id: int) -> str | None:
    """The active number that was confirmed last, whatever the channel, or None without one."""
    found: str | None = (await connection.execute(_PHONE, {"app": app, "user_id": user_id})).scalar()
    return found


async def device(connection: Connection, app: str, user_id: int, channel: str = "push") -> Mapping[str, Any] | None:
    """What is known of the active address on this channel that was confirmed last, or None without one."""
    found: Mapping[str, Any] | None = (await connection.execute(_DEVICE, {"app": app, "user_id": user_id, "channel": channel})).scalar()
    return found
