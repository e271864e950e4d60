"""One pool of connections, and the only way to get a transaction."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import orjson
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from journeys.language.errors import Unavailable
from storage.suppression_keys import DEVELOPMENT_KEY, session_value

Connection = AsyncConnection

T = TypeVar("T")

# SQLSTATE classes after which the same work may succeed: connection, resources, shutdown, read-only standby, statement and lock timeout.
_TRANSIENT = ("08", "53", "57", "58", "25006", "55P03")
# Somebody was in the way: a ring of locks, or (a broken foreign key) a person who was erased after we had looked them up.
_SERIALIZATION = ("40001", "40P01", "23503")
_TRIES = 6


class Contended(Unavailable):
    """Another transaction got in the way and nothing was changed: the same work may be done again at once (`Database.run`)."""


def _dump(value: Any) -> str:
    return orjson.dumps(value).decode()


class Database:
    """A pool on one Postgres. `url` is postgresql+asyncpg://...; never hangs: `wait_s` for a connection, `statement_s` a statement.

    `suppression_keys` are those of the settings: a process with others would not find what is suppressed. `keeps_plans`: a statement is
    planned once a connection and not for each of its values; for few statements that are alike for all values.
    """

    def __init__(
        self,
        url: str,
        *,
        pool_size: int = 20,
        wait_s: float = 1.0,
        statement_s: float = 30.0,
        suppression_keys: Sequence[str] = (DEVELOPMENT_KEY,),
        keeps_plans: bool = False,
    ) -> None:
        self.engine = create_async_engine(
            url,
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=wait_s,
            pool_pre_ping=False,
            # Each connection plans its statements anew: few that are warm serve better than many in turn.
            pool_use_lifo=True,
            connect_args={
                "timeout": 5,
                "command_timeout": statement_s,
                "server_settings": {
                    "application_name": "sojourn",
                    "statement_timeout": str(round(statement_s * 1000)),
                    "lock_timeout": "10000",
                    "jit": "off",
                    "plan_cache_mode": "force_generic_plan" if keeps_plans else "auto",
                    "sojourn.suppression_keys": session_value(suppression_keys),
                },
            },
        )
        event.listen(self.engine.sync_engine, "connect", _plain_json)

    @asynccontextmanager
    async def transaction(self, app: str | None = None) -> AsyncIterator[Connection]:
        """Open a transaction; commit at the end, roll back on any error.

        With `app`, row-level security hides every other app (the API's role). Without it, the worker's role: each statement names the app.
        Raises Unavailable when Postgres cannot answer; then nothing was committed, or (a connection lost during COMMIT) the same
        statements may be repeated, because their keys make them safe.
        """
        try:
            async with self.engine.begin() as connection:
                if app is not None:
                    await connection.execute(_AS_API, {"app": app})
                yield connection
        except PoolTimeout as error:
            raise Unavailable("every database connection is busy") from error
        except (TimeoutError, OSError) as error:
            raise Unavailable("the database does not answer") from error
        except DBAPIError as error:
            if is_deadlock(error):
                raise Contended("another transaction is at the same rows") from error
            if is_transient(error):
                raise Unavailable("the database does not answer") from error
            raise

    async def run(self, work: Callable[[Connection], Awaitable[T]], app: str | None = None) -> T:
        """Do `work` in one transaction, and again from the start when another transaction got in its way. Raises Unavailable."""
        for attempt in range(1, _TRIES):
            try:
                async with self.transaction(app) as connection:
                    return await work(connection)
            except Contended:
                await asyncio.sleep(random.uniform(0, 0.01 * 2**attempt))  # noqa: S311 - spreads the losers of a race
        async with self.transaction(app) as connection:
            return await work(connection)

    async def close(self) -> None:
        await self.engine.dispose()


_AS_API = text("SELECT set_config('role', 'sojourn_api', true), set_config('sojourn.app', :app, true)")


def is_transient(error: DBAPIError) -> bool:
    """Tell a database that is away, full or shutting down (the same work may succeed later) from a statement that is wrong."""
    if error.connection_invalidated or isinstance(error, (OperationalError, InterfaceError)):
        return True
    return sqlstate(error).startswith((*_TRANSIENT, *_SERIALIZATION))


def is_deadlock(error: DBAPIError) -> bool:
    return sqlstate(error) in _SERIALIZATION


def sqlstate(error: DBAPIError) -> str:
    return str(getattr(error.orig, "sqlstate", None) or "")


def _plain_json(dbapi_connection: Any, _record: object) -> None:
    """Let jsonb parameters and columns be Python values in text() statements too; SQLAlchemy's own codec gives text there."""

    async def set_codecs(connection: Any) -> None:
        for name in ("json", "jsonb"):
            await connection.set_type_codec(name, schema="pg_catalog", encoder=_dump, decoder=orjson.loads, format="text")

    dbapi_connection.run_async(set_codecs)
