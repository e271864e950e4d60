"""Where the links of messages lead. An address that stands in a template is kept once for all messages, any other with its message."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text

from storage.database import Connection
from storage.messages import id_bounds


@dataclass(frozen=True)
class SentLink:
    """One link of a message that is about to leave. `message_id` None: the address is the same for everybody."""

    app: str
    hash: bytes
    url: str
    message_id: UUID | None = None


# In order, so that two that write the same rows wait for each other and not in a ring.
_REMEMBER = text("""
INSERT INTO tracked_links (app, hash, url)
SELECT app, hash, url FROM unnest(CAST(:apps AS text[]), CAST(:hashes AS bytea[]), CAST(:urls AS text[])) AS g (app, hash, url)
ORDER BY app, hash ON CONFLICT DO NOTHING
""")
_REMEMBER_OF_MESSAGES = text("""
INSERT INTO message_links (app, message_id, hash, url)
SELECT app, id, hash, url
FROM unnest(CAST(:apps AS text[]), CAST(:ids AS uuid[]), CAST(:hashes AS bytea[]), CAST(:urls AS text[])) AS g (app, id, hash, url)
ORDER BY id, hash ON CONFLICT DO NOTHING
""")
# The message's own row first: its address may be another than the shared one of the same name, and then it is the right one.
_FIND = text("""
SELECT url FROM (
  SELECT 1 AS place, url FROM message_links WHERE app = :app AND message_id = :message_id AND hash = :hash
  UNION ALL SELECT 2, url FROM tracked_links WHERE app = :app AND hash = :hash
) found ORDER BY place LIMIT 1
""")
_FORGET = text("DELETE FROM message_links WHERE message_id < :before")


async def remember(connection: Connection, links: Sequence[SentLink]) -> None:
    """Keep where links lead, before the messages that hold them leave. Writing one twice changes nothing."""
    shared = {(link.app, link.hash): link for link in links if link.message_id is None}.values()
    own = [link for link in links if link.message_id is not None]
    if shared:
        await connection.execute(_REMEMBER, _columns(list(shared)))
    if own:
        await connection.execute(_REMEMBER_OF_MESSAGES, {**_columns(own), "ids": [link.message_id for link in own]})


def _columns(links: Sequence[SentLink]) -> dict[str, object]:
    return {"apps": [link.app for link in links], "hashes": [link.hash for link in links], "urls": [link.url for link in links]}


async def find(connection: Connection, app: str, message_id: UUID, link: bytes) -> str | None:
    """Where this link of this message leads, or None when that is not known, or no more."""
    url: str | None = (await connection.execute(_FIND, {"app": app, "message_id": message_id, "hash": link})).scalar()
    return url


async def forget_old(connection: Connection, before: datetime) -> int:
    """In every app: forget links made for one message that was planned before this moment. Returns how many."""
    least, _ = id_bounds(before)
    return (await connection.execute(_FORGET, {"before": least})).rowcount
