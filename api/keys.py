"""API keys: make, list, rotate and revoke them. The first key of an app comes from `sojourn keys create`."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal, Self

from fastapi import Path, Request, Response
from pydantic import AwareDatetime, BaseModel, Field, model_validator
from pydantic_core import PydanticCustomError

from api import idempotency
from api.errors import Forbidden
from api.idempotency import IdempotencyKey
from api.paging import Cursor, Limit, Page, moment, page_of, position, text
from api.strict import Body, Db, KeysApp, management
from journeys.language.errors import Invalid, Problem
from storage import keys
from storage.database import Connection
from storage.keys import StoredKey

router = management("Keys")
KeyId = Annotated[str, Path(description="the 8 characters in the middle of the key", max_length=64, examples=["4kQ9xT2b"])]
Scope = Literal["ingest", "send", "read", "manage", "erase", "keys"]
MOST_OVERLAP_H = 30 * 24


class KeyView(BaseModel):
    """A key that works, without its secret."""

    id: str = Field(examples=["4kQ9xT2b"])
    kind: str = Field(description="secret, write or public", examples=["secret"])
    name: str = Field(examples=["deploys"])
    scopes: list[str] = Field(description="what it may do", examples=[["read", "manage"]])
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None = Field(description="to the minute")


class MadeKey(KeyView):
    """A key that was just made."""

    key: str | None = Field(
        description="the key itself, told this once: only its hash is kept, so a repeat of the request has null here",
        examples=["sj_secret_4kQ9xT2b_..."],
    )


class NewKey(Body):
    """What the key is for."""

    kind: Literal["secret", "write", "public"] = Field("secret", description="write: events from servers; public: from browsers and apps")
    name: str = Field("", max_length=256, examples=["deploys"])
    scopes: list[Scope] = Field(
        default_factory=list, description="what a secret key may do; none named: everything that yours may", examples=[["read", "manage"]]
    )
    expires_at: AwareDatetime | None = Field(None, examples=["2027-11-23T00:00:00Z"])

    @model_validator(mode="after")
    def _only_secret_keys_have_scopes(self) -> Self:
        if self.kind != "secret" and self.scopes:
            raise PydanticCustomError("scopes_of_a_secret_key", "write and public keys send events and nothing else")
        return self


class Rotation(Body):
    """How long the old key goes on working."""

    overlap_h: float = Field(24, ge=0, le=MOST_OVERLAP_H, description="hours, 30 days at most", examples=[24])


@router.get("/keys", summary="List keys")
async def list_keys(app: KeysApp, database: Db, limit: Limit = 50, cursor: Cursor = None) -> Page[KeyView]:
    """Those that work, the newest first, without their secrets."""
    found = position(cursor, moment, text)
    async with database.transaction(app) as connection:
        rows = await keys.page(connection, app, before=(found[0], found[1]) if found else None, most=limit + 1)
    kept, following = page_of(rows, limit, lambda row: [row.created_at, row.id])
    return Page(items=[KeyView.model_validate(_members(row)) for row in kept], next=following)


@router.post("/keys", status_code=201, summary="Make a key", response_model=MadeKey)
async def create_key(request: Request, app: KeysApp, database: Db, body: NewKey, idempotency_key: IdempotencyKey = None) -> Response:
    """It is told this once. It may do no more than the key that makes it."""
    name = idempotency.named(idempotency_key)
    if body.expires_at is not None and body.expires_at <= datetime.now(UTC):
        raise Invalid([Problem("/expires_at", "in_the_past", "name a time to come")])
    asking: StoredKey = request.state.key
    _must_not_rise(asking, body.scopes if body.kind == "secret" else ["ingest"])
    # A key that may do all gives all, scopes of later versions included; another one gives what it has.
    is_narrow = body.kind == "secret" and set(asking.scopes) != set(keys.SCOPES)
    scopes = body.scopes or (asking.scopes if is_narrow else ())

    async def work() -> MadeKey:
        made = await keys.create(connection, app, body.kind, body.name, scopes=scopes, expires_at=body.expires_at)
        return await _made(connection, app, made)

    async with database.transaction(app) as connection:
        return await idempotency.once(connection, app, request, name, body=body, status=201, work=work, unkept=frozenset({"key"}))


@router.post("/keys/{key_id}/rotate", status_code=201, summary="Replace a key", response_model=MadeKey)
async def rotate_key(
    request: Request, app: KeysApp, database: Db, key_id: KeyId, body: Rotation, idempotency_key: IdempotencyKey = None
) -> Response:
    """A new key that may do the same; the old one goes on working for the overlap, so that you can change it everywhere first."""
    name = idempotency.named(idempotency_key)

    async def work() -> MadeKey:
        _must_not_rise(request.state.key, (await keys.get(connection, app, key_id)).scopes)
        return await _made(connection, app, await keys.rotate(connection, app, key_id, timedelta(hours=body.overlap_h)))

    async with database.transaction(app) as connection:
        return await idempotency.once(connection, app, request, name, body=body, status=201, work=work, unkept=frozenset({"key"}))


@router.delete("/keys/{key_id}", status_code=204, summary="Revoke a key")
async def revoke_key(app: KeysApp, database: Db, key_id: KeyId) -> Response:
    """It works no more, within ten seconds everywhere."""
    async with database.transaction(app) as connection:
        await keys.revoke(connection, app, key_id)
    return Response(status_code=204)


def _must_not_rise(asking: StoredKey, scopes: Sequence[str]) -> None:
    """A key that makes keys must not give away what it may not do itself."""
    if not set(scopes) <= set(asking.scopes):
        raise Forbidden("a key gives no scope that it has not itself")


async def _made(connection: Connection, app: str, made: str) -> MadeKey:
    parts = keys.parse(made)
    assert parts is not None
    return MadeKey.model_validate({**_members(await keys.get(connection, app, parts.id)), "key": made})


def _members(row: StoredKey) -> dict[str, object]:
    return {name: list(value) if name == "scopes" else value for name, value in vars(row).items() if name not in {"app", "secret_hash"}}
