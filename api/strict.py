"""What the management operations share: a secret key, a body that is read strictly, and the errors that each of them may answer."""

import re
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Path, Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from api.auth import KeyFor
from api.body import parse, read_json, read_raw
from api.errors import Unreadable
from journeys.language.errors import Invalid, Problem, SojournError
from storage.database import Database
from storage.keys import StoredKey

MOST_BYTES = 10_000_000
# A written backslash followed by u0000 is no NUL; an odd number of backslashes before it is.
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")

# The app of the key that asks. Which scope the key needs stands in the name; App: read to look, manage to change.
App = Annotated[str, Depends(KeyFor())]
ReadingApp = Annotated[str, Depends(KeyFor("read"))]
SendingApp = Annotated[str, Depends(KeyFor("send"))]
ErasingApp = Annotated[str, Depends(KeyFor("erase"))]
KeysApp = Annotated[str, Depends(KeyFor("keys"))]


async def _who(request: Request, _app: App) -> str:
    key: StoredKey = request.state.key
    return key.name or f"key {key.id}"


# Who asks, as the story of what was done by hand names them.
Who = Annotated[str, Depends(_who)]
# No control characters: Postgres holds no NUL, and a log or a page must not be written to by a name.
Word = Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=r"^[^\x00-\x1f\x7f]+$")]
UserId = Annotated[Word, Path(description="your own id of the user", examples=["user-4711"])]
Channel = Annotated[str, Field(pattern="^(email|sms|whatsapp|voice|push|in_app|webhook|custom)$", examples=["email"])]
# A channel on which people have addresses.
Addressed = Annotated[str, Field(pattern="^(email|sms|whatsapp|voice|push|in_app|webhook)$", examples=["email"])]


def _database(request: Request) -> Database:
    database: Database = request.app.state.database
    return database


Db = Annotated[Database, Depends(_database)]


class Body(BaseModel):
    """A body in which a misspelt member is an error, not a wish that nobody hears."""

    model_config = ConfigDict(extra="forbid")


class StrictRequest(Request):
    """A request whose JSON is read by our own rules: content type, size, depth, and what no text may hold."""

    _strict: Any = None

    async def body(self) -> bytes:
        """FastAPI reads the body before it looks at its type; what is refused by our rules is refused here."""
        try:
            self._strict = await self.read()
        except SojournError as error:
            raise Unreadable(error) from error
        return b"read"

    async def json(self) -> Any:
        return self._strict

    async def read(self) -> Any:
        return await read_json(self)


class LongTextRequest(StrictRequest):
    """For what holds whole templates and definitions: texts may be long and values deep, within 10 MB in all."""

    async def read(self) -> Any:
        value = parse(await read_raw(self, most_bytes=MOST_BYTES))
        try:
            written = orjson.dumps(value)
        except (orjson.JSONEncodeError, RecursionError) as error:
            raise Invalid([Problem("", "unstorable", "no lone surrogates, no integer beyond 64 bits, at most 250 levels")]) from error
        if _NUL.search(written):
            raise Invalid([Problem("", "nul", "no text may hold a NUL")])
        return value


class StrictRoute(APIRoute):
    request_class: type[StrictRequest] = StrictRequest

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        answer = super().get_route_handler()

        async def answer_strictly(request: Request) -> Response:
            return await answer(self.request_class(request.scope, request.receive))

        return answer_strictly


class LongTextRoute(StrictRoute):
    request_class = LongTextRequest


_PROBLEM = {"content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}}
ERRORS: dict[int | str, dict[str, Any]] = {
    400: {"description": "The body cannot be read", **_PROBLEM},
    401: {"description": "No secret key, or one that is not known", **_PROBLEM},
    403: {"description": "The key lacks the scope", **_PROBLEM},
    404: {"description": "Unknown in this app", **_PROBLEM},
    422: {"description": "Some values break a rule; `errors` says which", **_PROBLEM},
    429: {"description": "This key asks too often: try again after `Retry-After` seconds", **_PROBLEM},
    503: {"description": "Try again after `Retry-After` seconds", **_PROBLEM},
}


def management(tag: str, route_class: type[StrictRoute] = StrictRoute) -> APIRouter:
    """Make the router of one noun."""
    return APIRouter(prefix="/v1", tags=[tag], route_class=route_class, responses=ERRORS)
