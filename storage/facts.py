"""What providers and people tell about messages that went out: kept beside the ledger's states, in any order of arrival.

A moment is the earliest that was told, so that every order comes to the same row. An event of the provider also shows that the message
went out: a row that waits, or of which nobody knew, becomes sent.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import text

from storage.database import Connection
from storage.events import Own, tell
from storage.ids import length_hash

Kind = Literal["accepted", "delivered", "bounced", "complained", "opened", "clicked", "unsubscribed"]
KINDS: tuple[Kind, ...] = ("accepted", "delivered", "bounced", "complained", "opened", "clicked", "unsubscribed")
_TOLD_OF: dict[Kind, str] = {"opened": "message_opened", "clicked": "message_clicked"}
REPLIED = "message_replied"
_LONGEST_TEXT = 2_000


@dataclass(frozen=True)
class Fact:
    """One thing that became of a message. `event_id` is unique to it: a repeat changes nothing.

    `accepted`: the provider has it. `is_machine`: a scanner or a mail program opened or clicked, not a person; it shows only that the
    message arrived somewhere. `detail` of a click holds `url` and, where it has a name, `link`.
    """

    kind: Kind
    occurred_at: datetime
    event_id: str
    is_machine: bool = False
    detail: Mapping[str, Any] = field(default_factory=dict)

    @property
    def column(self) -> Kind:
        return "accepted" if self.is_machine else self.kind


@dataclass(frozen=True)
class Reply:
    """What a person wrote back. `user_id` is internal; `address_hash` names the endpoint that wrote, `message_id` what it answers."""

    user_id: int
    channel: str
    text: str
    event_id: str
    occurred_at: datetime
    address_hash: bytes | None = None
    message_id: UUID | None = None


_ABOUT = text("""
SELECT m.id, m.user_id, m.channel, m.template, m.journey, m.step FROM messages m WHERE m.app = :app AND m.id = ANY(CAST(:ids AS uuid[]))
""")
_EARLIEST = ", ".join(f"min(f.at) FILTER (WHERE f.kind = '{kind}') AS {kind}" for kind in KINDS)
_MOMENTS = ", ".join(f"{kind}_at = least(m.{kind}_at, g.{kind})" for kind in KINDS)
# What waits and was tried before went out after all; never tried, it cannot be ours that was told of.
_OUT = "(m.state = 'unknown' OR (m.state IN ('planned', 'deferred') AND m.claim_epoch > 0))"
# The rows are locked in the order of their ids, so that two notifications about the same messages never wait for each other in a ring.
_RECORD = text(f"""
WITH given AS (
  SELECT f.id, {_EARLIEST}
  FROM unnest(CAST(:ids AS uuid[]), CAST(:kinds AS text[]), CAST(:at AS timestamptz[])) AS f (id, kind, at) GROUP BY f.id
), locked AS MATERIALIZED (
  SELECT m.id FROM messages m WHERE m.app = :app AND m.id = ANY(CAST(:ids AS uuid[])) ORDER BY m.id FOR NO KEY UPDATE
), recorded AS (
  UPDATE messages m SET {_MOMENTS},
    state = CASE WHEN {_OUT} THEN 'sent' ELSE m.state END,
    reason = CASE WHEN {_OUT} THEN NULL ELSE m.reason END,
    deferred_until = CASE WHEN {_OUT} THEN NULL ELSE m.deferred_until END,
    settled_at = CASE WHEN {_OUT} THEN coalesce(m.settled_at, clock_timestamp()) ELSE m.settled_at END
  FROM locked l, given g WHERE m.id = l.id AND g.id = m.id RETURNING m.id, m.state
)
DELETE FROM open_messages o USING recorded r WHERE o.app = :app AND o.message_id = r.id AND r.state = 'sent'
""")
_HEARD = text("""
UPDATE endpoints SET replied_at = greatest(replied_at, CAST(:at AS timestamptz))
WHERE app = :app AND channel = :channel AND address_hash = :address_hash
""")


async def record(connection: Connection, app: str, message_id: UUID, fact: Fact) -> bool:
    """Write down what became of one message; False where the app has no such message. Raises Contended: use `Database.run`."""
    return message_id in await record_all(connection, app, [(message_id, fact)])


async def record_all(connection: Connection, app: str, told: Sequence[tuple[UUID, Fact]]) -> frozenset[UUID]:
    """Write down what became of messages; return the ids that the app has. Raises Contended: use `Database.run`.

    What people opened or clicked also goes into their stream of events, for journeys, conditions and segments. Wake the relay after the
    commit (`Notifier`).
    """
    about = await _about(connection, app, {message_id for message_id, _ in told})
    known = [(message_id, fact) for message_id, fact in told if message_id in about]
    if not known:
        return frozenset()
    await tell(connection, app, [_own(about[message_id], fact) for message_id, fact in known if _is_told(about[message_id], fact)])
    values = {
        "app": app,
        "ids": [message_id for message_id, _ in known],
        "kinds": [fact.column for _, fact in known],
        "at": [fact.occurred_at for _, fact in known],
    }
    await connection.execute(_RECORD, values)
    return frozenset(about)


async def replied(connection: Connection, app: str, reply: Reply) -> bool:
    """Write `message_replied` into somebody's stream; False for a repeat, or somebody who is gone. Raises Contended."""
    about = await _about(connection, app, {reply.message_id} if reply.message_id else set())
    answered = _properties(about[reply.message_id]) if reply.message_id in about else {"channel": reply.channel}
    properties = {**answered, "text": reply.text[:_LONGEST_TEXT]}
    own = Own(length_hash(REPLIED, reply.event_id), reply.user_id, REPLIED, reply.occurred_at, properties)
    is_new = await tell(connection, app, [own]) > 0
    if reply.address_hash is not None:
        await heard(connection, app, reply.channel, reply.address_hash, reply.occurred_at)
    return is_new


async def heard(connection: Connection, app: str, channel: str, address_hash: bytes, at: datetime) -> None:
    """An address wrote to us, whatever it said. The people who have it must be locked."""
    await connection.execute(_HEARD, {"app": app, "channel": channel, "address_hash": address_hash, "at": at})


async def _about(connection: Connection, app: str, ids: set[UUID]) -> dict[UUID, Any]:
    return {row.id: row for row in await connection.execute(_ABOUT, {"app": app, "ids": list(ids)})} if ids else {}


def _is_told(row: Any, fact: Fact) -> bool:
    return fact.kind in _TOLD_OF and not fact.is_machine and row.user_id is not None


def _own(row: Any, fact: Fact) -> Own:
    name = _TOLD_OF[fact.kind]
    properties = {**_properties(row), **{key: fact.detail[key] for key in ("url", "link") if key in fact.detail}}
    return Own(length_hash(name, str(row.id), fact.event_id), row.user_id, name, fact.occurred_at, properties)


def _properties(row: Any) -> dict[str, Any]:
    of_journey = {"journey": row.journey, "step": row.step} if row.journey else {}
    return {"message_id": str(row.id), "channel": row.channel, **({"template": row.template} if row.template else {}), **of_journey}
