"""A copy of everything that is held about one person, streamed as one JSON object."""

from collections.abc import AsyncIterator
from typing import Any

import orjson
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from api.strict import App, Db, UserId, management
from api.users import UserView, user_of
from storage import exports, people
from storage.database import Database

router = management("Users")


class UserExport(BaseModel):
    """Everything about one person. Each section is whole, the oldest first."""

    user: UserView
    ids: list[dict[str, Any]] = Field(description="every id that names them", examples=[[{"kind": "user_id", "value": "user-4711"}]])
    endpoints: list[dict[str, Any]]
    consents: list[dict[str, Any]] = Field(description="the whole record of what they agreed to and withdrew")
    in_app: list[dict[str, Any]] = Field(description="what was put into their app, while it is kept, and what their client told of it")
    listed: list[dict[str, Any]] = Field(description="the static segments on whose lists they are")
    refused_entries: list[dict[str, Any]] = Field(description="events that started nothing, and why")
    enrollments: list[dict[str, Any]] = Field(description="with what their steps came to")
    messages: list[dict[str, Any]]
    events: list[dict[str, Any]]


@router.get("/users/{user_id:path}/export", summary="Export everything about a user", response_model=UserExport)
async def export_user(app: App, database: Db, user_id: UserId) -> StreamingResponse:
    """Who they are, their ids, addresses, consents, lists, enrollments with outcomes, messages and events, as one JSON object.

    It is streamed, so it may be of any length. The workflows in Temporal hold copies of this and nothing else.
    """
    async with database.transaction(app) as connection:
        person = await people.internal_id(connection, app, user_id)
        user = await user_of(connection, app, user_id)
    told = UserView.model_validate(user.model_dump()).model_dump_json().encode()
    headers = {"content-disposition": 'attachment; filename="user.json"'}
    return StreamingResponse(_written(database, app, person, told), media_type="application/json", headers=headers)


async def _written(database: Database, app: str, person: int, user: bytes) -> AsyncIterator[bytes]:
    yield b'{"user":' + user
    for section in exports.SECTIONS:
        separator = b""
        yield b',"' + section.encode() + b'":['
        async for row in exports.rows_of(database, app, person, section):
            yield separator + orjson.dumps(row, default=str)
            separator = b","
        yield b"]"
    yield b"}"
