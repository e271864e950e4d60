"""How management reads the ledger: one message, or page by page, with the caller's user id."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import text

from journeys.language.errors import NotFound
from storage.database import Connection


@dataclass(frozen=True)
class LedgerRow:
    """One message. `source` is the enrollment's id, or direct:<request>."""

    id: UUID
    user_id: str | None
    endpoint_id: int | None
    address: str | None
    source: str
    journey: str | None
    step: str
    visit: int
    channel: str
    message_class: str
    topic: str | None
    template: str | None
    template_version: int | None
    state: str
    reason: str | None
    deferred_until: datetime | None
    planned_at: datetime
    claimed_at: datetime | None
    settled_at: datetime | None
    provider: str | None
    account: str | None
    answer: str | None
    maybe_doubled: bool
    units: int | None
    price: Decimal | None
    currency: str | None
    delivered_at: datetime | None
    bounced_at: datetime | None
    complained_at: datetime | None
    opened_at: datetime | None
    clicked_at: datetime | None
    unsubscribed_at: datetime | None


_ROWS = """
    SELECT m.id, u.user_id, m.endpoint_id, coalesce(m.address, e.address) AS address, m.source, m.journey, m.step, m.visit, m.channel,
        m.message_class, m.topic, m.template, m.template_version, m.state, m.reason, m.deferred_until, m.planned_at, m.claimed_at,
        m.settled_at, m.provider, m.account, m.answer, m.maybe_doubled, m.units, m.price, m.currency, m.delivered_at, m.bounced_at,
        m.complained_at, m.opened_at, m.clicked_at, m.unsubscribed_at
    FROM messages m LEFT JOIN users u ON u.app = m.app AND u.id = m.user_id
    LEFT JOIN endpoints e ON e.app = m.app AND e.id = m.endpoint_id
"""
_ONE = text(f"{_ROWS} WHERE m.app = :app AND m.id = :id")
_PAGE = text(f"""
    {_ROWS}
    WHERE m.app = :app AND (CAST(:user_id AS bigint) IS NULL OR m.user_id = :user_id)
        AND (CAST(:state AS text) IS NULL OR m.state = :state) AND (CAST(:journey AS text) IS NULL OR m.journey = :journey)
        AND (CAST(:channel AS text) IS NULL OR m.channel = :channel) AND (CAST(:before AS uuid) IS NULL OR m.id < CAST(:before AS uuid))
    ORDER BY m.id DESC LIMIT :most
""")


async def message(connection: Connection, app: str, message_id: UUID) -> LedgerRow:
    """One message. Raises NotFound."""
    row = (await connection.execute(_ONE, {"app": app, "id": message_id})).mappings().first()
    if row is None:
        raise NotFound("no such message")
    return LedgerRow(**row)


async def page(
    connection: Connection,
    app: str,
    *,
    user_id: int | None = None,
    state: str | None = None,
    journey: str | None = None,
    channel: str | None = None,
    before: UUID | None = None,
    most: int = 50,
) -> list[LedgerRow]:
    """By id, the greatest first: ids begin with the time at which their enrollment or request began. `user_id` is internal."""
    key = {"app": app, "user_id": user_id, "state": state, "journey": journey, "channel": channel, "before": before, "most": most}
    return [LedgerRow(**row) for row in (await connection.execute(_PAGE, key)).mappings()]
