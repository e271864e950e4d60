"""What messages cost over a time span, journeys' and direct ones, summed as the ledger has them."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import text

from storage.database import Connection


@dataclass(frozen=True)
class CostRow:
    """Counted messages that went out and share these. `price` is of those that have one, in `currency`; `journey` null: direct sends."""

    channel: str
    provider: str | None
    journey: str | None
    step: str | None
    currency: str | None
    messages: int
    units: int
    price: Decimal | None


# Ids begin with the time at which their enrollment or request began, so a time span is one range of the table.
_SUMS = text("""
    SELECT m.channel, m.provider, m.journey, CASE WHEN m.journey IS NOT NULL THEN m.step END AS step, m.currency, count(*) AS messages,
        sum(m.units) AS units, sum(m.price) AS price
    FROM messages m
    WHERE m.app = :app AND m.id >= time_floor(:since) AND m.id < time_floor(:until) AND m.state = 'sent' AND m.units IS NOT NULL
    GROUP BY 1, 2, 3, 4, 5
""")


async def sums(connection: Connection, app: str, *, since: datetime, until: datetime) -> list[CostRow]:
    """By channel, journey, step, provider and currency, in no order: what began from `since` to before `until`."""
    rows = await connection.execute(_SUMS, {"app": app, "since": since, "until": until})
    return [CostRow(**row) for row in rows.mappings()]
