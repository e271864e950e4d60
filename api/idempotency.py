"""The Idempotency-Key header: the same request again gets the first one's answer (draft-ietf-httpapi-idempotency-key-header)."""

import hashlib
import re
from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Header, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from api.errors import Malformed
from journeys.language.errors import Invalid, Problem
from storage import idempotency
from storage.database import Connection
from storage.idempotency import GivenAnswer, Repeatable

# A structured field's string is quoted; both forms are the same key.
_KEY = re.compile(r'"?([\x21\x23-\x7e]{1,255})"?')

IdempotencyKey = Annotated[
    str | None,
    Header(description="A name of your own for this request, 255 characters at most: repeat it with the same body to get the same answer"),
]


def named(header: str | None) -> str | None:
    """The key in the header, without quotes. Raises Malformed for what cannot be one."""
    if header is None:
        return None
    match = _KEY.fullmatch(header)
    if match is None:
        raise Malformed("an Idempotency-Key has 1 to 255 visible ASCII characters")
    return match[1]


async def once(
    connection: Connection,
    app: str,
    request: Request,
    key: str | None,
    *,
    body: BaseModel | None = None,
    status: int | Callable[[BaseModel], int] = 200,
    work: Callable[[], Awaitable[BaseModel]],
    unkept: frozenset[str] = frozenset(),
) -> Response:
    """Do `work` in this transaction, or give the answer of the first request with this key.

    `status`: of the answer, if need be by what it is. `unkept`: members of the answer that are told once and stored nowhere; a repeat has
    null there. Raises Conflict while the first request is still being answered, Invalid when its body was another.
    """
    if key is None:
        told = await work()
        return JSONResponse(told.model_dump(mode="json"), status if isinstance(status, int) else status(told))
    repeatable = Repeatable(f"{request.method} {request.scope['route'].path}", request.url.path, key, _whom(request, body))
    fingerprint = hashlib.sha256((body.model_dump_json() if body else "").encode()).digest()
    given = await idempotency.given(connection, app, repeatable)
    if given is None:
        told = await work()
        answer, code = told.model_dump(mode="json"), status if isinstance(status, int) else status(told)
        kept = {name: None if name in unkept else value for name, value in answer.items()}
        await idempotency.keep(connection, app, repeatable, GivenAnswer(fingerprint, code, kept))
        return JSONResponse(answer, code)
    if given.body_hash != fingerprint:
        raise Invalid([Problem("", "idempotency_key_reused", "this Idempotency-Key came with another body: use a new key")])
    return JSONResponse(given.answer, given.status, {"Idempotent-Replayed": "true"})


def _whom(request: Request, body: BaseModel | None) -> str | None:
    """The one user that the request is about, if it names one."""
    return request.path_params.get("user_id") or getattr(body, "user_id", None)
