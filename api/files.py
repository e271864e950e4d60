"""Files: uploaded to be imported, and made by exports to be fetched. Both are streamed, and kept for a day."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import Path, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field
from starlette.requests import ClientDisconnect

from activities.imports.arriving import take_in
from api.errors import Malformed
from api.strict import App, Db, Word, management
from journeys.language.errors import NotFound, Unavailable
from storage import files

router = management("Files")
SILENT_FOR_S = 30.0
FileId = Annotated[str, Path(description="the file's id", examples=["019a0000-0000-8000-8000-000000000000"])]
_ROWS = "user_id,email,plan\nuser-4711,ann@example.com,pro\n"
_ANY_BYTES: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "CSV or JSON lines in UTF-8, plain or gzip, or Parquet; whatever the content type says",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}, "example": _ROWS}},
    }
}


class FileView(BaseModel):
    """A file that lies here for a day."""

    id: UUID
    name: str = Field(examples=["people.csv"])
    size_bytes: int = Field(description="unpacked", examples=[1048576])
    lines: int = Field(examples=[23571])
    created_at: datetime


@router.post("/files", status_code=201, summary="Upload a file", openapi_extra=_ANY_BYTES)
async def upload_file(
    request: Request,
    app: App,
    database: Db,
    name: Annotated[Word, Query(description="what it is called, for people", examples=["people.csv"])] = "upload",
) -> FileView:
    """The body is the file, of any length up to the limit of the installation: CSV, JSON lines or Parquet, plain or gzip.

    Then name it in an import. One that is cut off or cannot be unpacked is refused, and nothing of it is kept.
    """
    limit = request.app.state.settings.file_limit
    return FileView.model_validate(vars(await take_in(database, app, _stream(request), name=name, most_bytes=limit)), extra="ignore")


@router.get(
    "/files/{file_id}",
    summary="Fetch a file",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}, "example": _ROWS}}}},
)
async def fetch_file(app: App, database: Db, file_id: FileId) -> StreamingResponse:
    """What an export has made, while it is kept: for a day, or until somebody is erased."""
    async with database.transaction(app) as connection:
        file = await files.get(connection, app, key_of(file_id))
    if not file.is_whole:
        raise NotFound("the file is not whole")
    headers = {"content-disposition": f'attachment; filename="{file_id}"', "content-length": str(file.size_bytes)}
    return StreamingResponse(files.chunks(database, app, file.id), media_type="application/octet-stream", headers=headers)


def key_of(file_id: str) -> UUID:
    """Raises NotFound for what is no id."""
    try:
        return UUID(file_id)
    except ValueError:
        raise NotFound("no such file") from None


async def _stream(request: Request) -> AsyncIterator[bytes]:
    """The body as it comes. Raises Malformed where the connection is cut, Unavailable where nothing comes for a while."""
    pieces = request.stream().__aiter__()
    while True:
        try:
            async with asyncio.timeout(SILENT_FOR_S):
                piece = await anext(pieces)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise Unavailable("the file stopped arriving") from None
        except ClientDisconnect:
            raise Malformed("the connection closed before the file was complete") from None
        yield piece
