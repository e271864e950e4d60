"""What workers tell each other of an account: how fast it is used, until when it is closed, and whether it is away.

The row is written on news and where a rate binds, never for each message of an account without one.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import text

from storage.database import Connection


@dataclass(frozen=True)
class AccountKey:
    """`account` is its name; empty: the provider of the installation, as this app uses it."""

    app: str
    channel: str
    account: str


@dataclass(frozen=True)
class AccountState:
    """One row as of `now`, the database's clock. What each member means stands in the migration's comments."""

    now: datetime
    app: str
    channel: str
    account: str
    away_since: datetime | None
    away_until: datetime | None
    trouble: str | None
    closed_until: datetime | None
    taken_until: datetime | None
    full_until: datetime | None
    marketing_until: datetime | None
    pace: float
    slowed_at: datetime | None
    day: date | None
    taken_today: int
    heard: int
    bounced: int
    complained: int
    stopped_for: str | None
    stopped_at: datetime | None

    @property
    def key(self) -> AccountKey:
        return AccountKey(self.app, self.channel, self.account)


_COLUMNS = (
    "app, channel, account, away_since, away_until, trouble, closed_until, taken_until, full_until, marketing_until, pace, slowed_at, day,"
    " taken_today, heard, bounced, complained, stopped_for, stopped_at"
)
_KEY = "app = :app AND channel = :channel AND account = :account"
_OF_APP = text(f"SELECT clock_timestamp() AS now, {_COLUMNS} FROM account_states WHERE app = :app ORDER BY channel, account")
_ALL = text(f"SELECT clock_timestamp() AS now, {_COLUMNS} FROM account_states ORDER BY app, channel, account")
# The row is made here, so that two workers that are the first do not both begin at nothing.
_LOCK = text(
    f"INSERT INTO account_states AS s (app, channel, account) VALUES (:app, :channel, :account)"
    f" ON CONFLICT (app, channel, account) DO UPDATE SET account = s.account RETURNING clock_timestamp() AS now, {_COLUMNS}"
)
_WRITE = text(
    "UPDATE account_states SET taken_until = :taken_until, full_until = :full_until, marketing_until = :marketing_until, pace = :pace,"
    f" slowed_at = :slowed_at, day = :day, taken_today = :taken_today WHERE {_KEY}"
)
_CLOSE = text(
    "INSERT INTO account_states AS s (app, channel, account, closed_until)"
    " VALUES (:app, :channel, :account, clock_timestamp() + make_interval(secs => :wait_s))"
    " ON CONFLICT (app, channel, account) DO UPDATE SET closed_until = greatest(s.closed_until, excluded.closed_until)"
)
_AWAY = text(
    "INSERT INTO account_states AS s (app, channel, account, away_since, away_until, trouble)"
    " VALUES (:app, :channel, :account, clock_timestamp(), clock_timestamp() + make_interval(secs => :wait_s), :trouble)"
    " ON CONFLICT (app, channel, account) DO UPDATE SET away_since = coalesce(s.away_since, excluded.away_since),"
    " away_until = CASE WHEN s.away_until = CAST(:probe AS timestamptz) THEN excluded.away_until"
    " ELSE greatest(s.away_until, excluded.away_until) END,"
    " trouble = excluded.trouble"
)
_PROBE = text(
    f"UPDATE account_states SET away_until = clock_timestamp() + make_interval(secs => :wait_s)"
    f" WHERE {_KEY} AND away_until <= clock_timestamp() RETURNING away_until"
)
_BACK = text(f"UPDATE account_states SET away_since = NULL, away_until = NULL, trouble = NULL WHERE {_KEY} AND away_since IS NOT NULL")
_FORGET = text(f"DELETE FROM account_states WHERE {_KEY}")


async def of_app(connection: Connection, app: str) -> list[AccountState]:
    """What is known of the app's accounts; an account that never gave news has no row."""
    return [AccountState(**row) for row in (await connection.execute(_OF_APP, {"app": app})).mappings()]


async def everywhere(connection: Connection) -> list[AccountState]:
    """The same of every app, for monitoring (the worker's role)."""
    return [AccountState(**row) for row in (await connection.execute(_ALL)).mappings()]


async def lock(connection: Connection, key: AccountKey) -> AccountState:
    """Lock the account's row, made where there was none, until the transaction ends."""
    return AccountState(**(await connection.execute(_LOCK, vars(key))).mappings().one())


async def write_pace(
    connection: Connection,
    key: AccountKey,
    *,
    taken_until: datetime | None,
    full_until: datetime | None,
    marketing_until: datetime | None,
    pace: float,
    slowed_at: datetime | None,
    day: date | None,
    taken_today: int,
) -> None:
    """Write what `activities/pacing.py` made of the locked row."""
    clocks = {"taken_until": taken_until, "full_until": full_until, "marketing_until": marketing_until}
    await connection.execute(_WRITE, {**vars(key), **clocks, "pace": pace, "slowed_at": slowed_at, "day": day, "taken_today": taken_today})


async def close_for(connection: Connection, key: AccountKey, wait: timedelta) -> None:
    """The provider named a time: nothing is sent through the account before. A longer closure that is known stays."""
    await connection.execute(_CLOSE, {**vars(key), "wait_s": wait.total_seconds()})


async def say_away(connection: Connection, key: AccountKey, wait: timedelta, trouble: str, *, probe: datetime | None = None) -> None:
    """A worker's breaker opened, or its probe failed: the next probe comes after the wait. `trouble` holds no address.

    `probe` is what `take_probe` returned: a probe that has ended keeps nobody away any more.
    """
    await connection.execute(_AWAY, {**vars(key), "wait_s": wait.total_seconds(), "trouble": trouble, "probe": probe})


async def take_probe(connection: Connection, key: AccountKey, wait: timedelta) -> datetime | None:
    """Become the one worker that probes now, and return until when no other may. None: somebody does, or it is not time."""
    until: datetime | None = (await connection.execute(_PROBE, {**vars(key), "wait_s": wait.total_seconds()})).scalar()
    return until


async def say_back(connection: Connection, key: AccountKey) -> None:
    """The provider answers again."""
    await connection.execute(_BACK, vars(key))


async def forget(connection: Connection, key: AccountKey) -> None:
    """The account is gone, or is another provider's now: what was known of it counts no more."""
    await connection.execute(_FORGET, vars(key))


def is_troubled(state: AccountState) -> bool:
    """Away, or closed by a time that has not come."""
    return state.away_since is not None or (state.closed_until is not None and state.closed_until > state.now)
