"""Answers that were given, so that a repeated request is answered and not done again. Kept for at least 24 hours.

Neither the key nor the path is stored, only their hash: callers name requests after people, and paths name them too.
"""

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import text

from journeys.language.errors import Conflict
from storage.database import Connection
from storage.ids import length_prefixed


@dataclass(frozen=True)
class Repeatable:
    """A request that may come again. `operation`: method and path with the names of its parameters; `path`: as it was asked.

    `user_id`: the caller's id of the one user that the request is about; erasing them forgets the answer.
    """

    operation: str
    path: str
    key: str
    user_id: str | None = None


@dataclass(frozen=True)
class GivenAnswer:
    """What was answered to the first request with this key, and the fingerprint of its body."""

    body_hash: bytes
    status: int
    answer: Any


# The lock ends with the transaction that does the work: who does not get it knows that the first request is still at it.
_TAKE = text("SELECT pg_try_advisory_xact_lock(hashtextextended(CAST(:app AS text) || '/' || :operation || '/' || :key, 7305204))")
_GIVEN = text("SELECT body_hash, status, answer FROM idempotency_keys WHERE app = :app AND operation = :operation AND key = :key")
_KEEP = text(
    "INSERT INTO idempotency_keys (app, operation, key, body_hash, status, answer, about)"
    " VALUES (:app, :operation, :key, :body_hash, :status, :answer, :about)"
)
_FORGET = text("DELETE FROM idempotency_keys WHERE created_at < now() - make_interval(secs => :seconds)")


async def given(connection: Connection, app: str, request: Repeatable) -> GivenAnswer | None:
    """What was answered to this request, or None: then do the work in this transaction and `keep` the answer.

    Raises Conflict while another request with this key is being answered.
    """
    named = _name(app, request)
    if not (await connection.execute(_TAKE, named)).scalar_one():
        raise Conflict("a request with this Idempotency-Key is still being answered")
    row = (await connection.execute(_GIVEN, named)).mappings().first()
    return GivenAnswer(**row) if row else None


async def keep(connection: Connection, app: str, request: Repeatable, answer: GivenAnswer) -> None:
    """Remember the answer in the transaction that did the work."""
    whose = about(app, request.user_id) if request.user_id is not None else None
    await connection.execute(_KEEP, {**_name(app, request), **vars(answer), "about": whose})


async def forget(connection: Connection, older_than: timedelta) -> int:
    """Forget answers of every app older than this; returns how many."""
    return (await connection.execute(_FORGET, {"seconds": older_than.total_seconds()})).rowcount


def about(app: str, user_id: str) -> bytes:
    """Under which hash the answers that speak of a user are kept."""
    return hashlib.sha256(length_prefixed(app, user_id)).digest()


def _name(app: str, request: Repeatable) -> dict[str, str]:
    key = hashlib.sha256(length_prefixed(request.path, request.key)).hexdigest()
    return {"app": app, "operation": request.operation, "key": key}
