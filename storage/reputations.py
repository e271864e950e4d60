"""What receivers say of the marketing that an account sends: counted by the hour as providers tell it, and what follows from it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text

from storage.database import Connection


@dataclass(frozen=True)
class Heard:
    """One event about a marketing message: it arrived or bounced (`is_hard`: for good), or its reader called it spam."""

    account: str
    occurred_at: datetime
    is_complaint: bool = False
    is_hard: bool = False


@dataclass(frozen=True)
class Tally:
    """What was heard of an account within the window. `settings` are the app's."""

    app: str
    channel: str
    account: str
    heard: int
    bounced: int
    complained: int
    stopped_for: str | None
    settings: Mapping[str, Any]


# In the order of the key: two calls that bring events of the same hours never wait for each other in a ring.
_COUNT = text("""
INSERT INTO account_hours AS h (app, channel, account, hour, heard, bounced, complained)
SELECT :app, :channel, g.account, date_trunc('hour', g.at, 'UTC'), count(*) FILTER (WHERE NOT g.is_complaint),
  count(*) FILTER (WHERE g.is_hard), count(*) FILTER (WHERE g.is_complaint)
FROM unnest(CAST(:accounts AS text[]), CAST(:at AS timestamptz[]), CAST(:hard AS boolean[]), CAST(:complaints AS boolean[]))
  AS g (account, at, is_hard, is_complaint)
GROUP BY 3, 4 ORDER BY 3, 4
ON CONFLICT (app, channel, account, hour) DO UPDATE SET heard = h.heard + excluded.heard, bounced = h.bounced + excluded.bounced,
  complained = h.complained + excluded.complained
""")
_TALLY = text("""
WITH counted AS (
  SELECT app, channel, account, sum(heard)::integer AS heard, sum(bounced)::integer AS bounced, sum(complained)::integer AS complained
  FROM account_hours WHERE hour >= clock_timestamp() - CAST(:within AS interval) GROUP BY 1, 2, 3
)
SELECT app, channel, account, coalesce(c.heard, 0) AS heard, coalesce(c.bounced, 0) AS bounced, coalesce(c.complained, 0) AS complained,
  s.stopped_for, a.settings
FROM counted c FULL JOIN (SELECT * FROM account_states WHERE heard > 0 OR stopped_for IS NOT NULL) s USING (app, channel, account)
JOIN apps a ON a.id = app
ORDER BY app, channel, account
""")
_JUDGE = text("""
INSERT INTO account_states AS s (app, channel, account, heard, bounced, complained, stopped_for, stopped_at)
VALUES (:app, :channel, :account, :heard, :bounced, :complained, CAST(:stopped_for AS text),
  CASE WHEN CAST(:stopped_for AS text) IS NOT NULL THEN clock_timestamp() END)
ON CONFLICT (app, channel, account) DO UPDATE SET heard = excluded.heard, bounced = excluded.bounced, complained = excluded.complained,
  stopped_at = CASE WHEN s.stopped_for IS NOT DISTINCT FROM excluded.stopped_for THEN s.stopped_at ELSE excluded.stopped_at END,
  stopped_for = excluded.stopped_for
WHERE (s.heard, s.bounced, s.complained, s.stopped_for)
  IS DISTINCT FROM (excluded.heard, excluded.bounced, excluded.complained, excluded.stopped_for)
""")
_FORGET = text("DELETE FROM account_hours WHERE app = :app AND channel = :channel AND account = :account")
_FORGET_OLD = text("DELETE FROM account_hours WHERE hour < clock_timestamp() - CAST(:age AS interval)")


async def count(connection: Connection, app: str, channel: str, heard: Sequence[Heard]) -> None:
    """Add what was told, each event once: the caller knows which are new. The last thing that a transaction locks."""
    if not heard:
        return
    given = {
        "app": app,
        "channel": channel,
        "accounts": [each.account for each in heard],
        "at": [each.occurred_at for each in heard],
        "hard": [each.is_hard for each in heard],
        "complaints": [each.is_complaint for each in heard],
    }
    await connection.execute(_COUNT, given)


async def tallies(connection: Connection, within: timedelta) -> list[Tally]:
    """Of every app: the accounts of which something was heard, now or when they were judged last."""
    return [Tally(**row) for row in (await connection.execute(_TALLY, {"within": within})).mappings()]


async def judge(connection: Connection, tally: Tally, stopped_for: str | None) -> None:
    """Write down what was heard of an account, and why marketing stops there, or that it does not."""
    values = {name: value for name, value in vars(tally).items() if name != "settings"}
    await connection.execute(_JUDGE, {**values, "stopped_for": stopped_for})


async def forget(connection: Connection, app: str, channel: str, account: str) -> None:
    """The account is gone, or is another provider's now."""
    await connection.execute(_FORGET, {"app": app, "channel": channel, "account": account})


async def forget_old(connection: Connection, age: timedelta) -> int:
    """The hours before, of every app; return how many."""
    return (await connection.execute(_FORGET_OLD, {"age": age})).rowcount
