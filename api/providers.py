"""Accounts at providers: through which the messages of an app leave. Secrets go in and are never shown again."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Annotated, Any

from fastapi import Path, Request, Response
from pydantic import BaseModel, Field

from api.paging import Cursor, Limit, Page, number, page_of, position, text
from api.strict import App, Body, Channel, Db, Word, management
from channels.accounts import Kind, adapter_of, callback_url
from channels.readers import READERS
from channels.registry import KINDS
from journeys.language.errors import ConfigurationError, Invalid, NotFound, Problem, Refused
from settings import Settings
from storage import providers
from storage.database import Connection
from storage.providers import Account
from storage.sealing import Seal
from workflows.hands import surroundings

router = management("Providers")
Name = Annotated[str, Path(pattern="^[a-z0-9][a-z0-9-]{0,62}$", description="your name for the account", examples=["main"])]


class AccountView(BaseModel):
    """One account. `secret` names the settings that are set and not shown."""

    channel: str = Field(examples=["email"])
    name: str = Field(examples=["main"])
    provider: str = Field(examples=["ses"])
    place: int = Field(description="the account with the lowest place of its channel is the one that sends", examples=[1])
    settings: dict[str, Any] = Field(examples=[{"region": "eu-west-1", "access_key_id": "AKIDEXAMPLE"}])
    secret: list[str] = Field(examples=[["secret_access_key"]])
    webhook_url: str | None = Field(
        description="where the provider calls us, for you to set there; null where it does not call",
        examples=["https://sojourn.example/v1/webhooks/ses/3f0c6a1e5b7d4c2a9e8f7a6b5c4d3e2f"],
    )
    updated_at: datetime


class AccountBody(Body):
    """What the account is. A secret that is left out stays as it is, unless the provider changes."""

    provider: Word = Field(description="one of /v1/provider-kinds", examples=["ses"])
    place: int = Field(1, ge=1, le=1000, description="the account with the lowest place of its channel is the one that sends")
    settings: dict[str, Any] = Field(
        examples=[{"region": "eu-west-1", "access_key_id": "AKIDEXAMPLE", "secret_access_key": "your secret access key"}]
    )


class FieldView(BaseModel):
    """One setting of a kind of account."""

    name: str = Field(examples=["region"])
    is_required: bool
    is_secret: bool = Field(description="sealed at rest and never shown")


class KindView(BaseModel):
    """One provider of one channel, and what an account there needs."""

    channel: str = Field(examples=["email"])
    provider: str = Field(examples=["ses"])
    settings: list[FieldView]


class Resealed(BaseModel):
    """How many accounts are sealed with the newest key now."""

    resealed: int = Field(examples=[3])


@router.get("/provider-kinds", summary="List the providers that an account can be made for")
async def list_provider_kinds(app: App, limit: Limit = 200, cursor: Cursor = None) -> Page[KindView]:  # noqa: ARG001 - the key is checked
    """By channel and provider, with the settings that each needs."""
    after = position(cursor, text, text)
    rows = [
        (channel, provider, kind) for (channel, provider), kind in sorted(KINDS.items()) if after is None or [channel, provider] > after
    ]
    kept, following = page_of(rows[: limit + 1], limit, lambda row: [row[0], row[1]])
    return Page(items=[_kind_view(*row) for row in kept], next=following)


@router.get("/providers", summary="List accounts at providers")
async def list_providers(request: Request, app: App, database: Db, limit: Limit = 50, cursor: Cursor = None) -> Page[AccountView]:
    """By channel, in the order in which they are tried. A channel without one goes by the installation's settings."""
    after = position(cursor, text, number, text)
    async with database.transaction(app) as connection:
        rows = await providers.of_app(connection, app)
    following_rows = [row for row in rows if after is None or [row.channel, row.place, row.name] > after]
    kept, following = page_of(following_rows[: limit + 1], limit, lambda row: [row.channel, row.place, row.name])
    return Page(items=[_view(row, request.app.state.settings) for row in kept], next=following)


@router.put("/providers/{channel}/{name}", summary="Set an account at a provider")
async def put_provider(app: App, database: Db, request: Request, channel: Channel, name: Name, body: AccountBody) -> AccountView:
    """Workers send through it within five seconds. Its settings are checked; whether the provider knows them shows when it is used."""
    settings: Settings = request.app.state.settings
    kind = KINDS.get((channel, body.provider))
    if kind is None:
        known = ", ".join(provider for of, provider in sorted(KINDS) if of == channel) or "none yet"
        raise Invalid([Problem("/provider", "no_such_provider", f"the channel has {known}")])
    seal = Seal(settings.plain_credential_keys)
    async with database.transaction(app) as connection:
        stored = await _stored(connection, app, channel, name)
        whole = {**_kept_secrets(stored, app, seal, kind, body), **body.settings}
        await adapter_of(kind, body.provider, whole, surroundings(settings)).close()
        await _put(connection, app, seal, channel, name, body, kind, whole)
        written = await _stored(connection, app, channel, name)
    if written is None:
        raise NotFound("no such account")
    return _view(written, settings)


@router.delete("/providers/{channel}/{name}", status_code=204, summary="Forget an account at a provider")
async def delete_provider(app: App, database: Db, channel: Channel, name: Name) -> Response:
    """What is being sent through it still ends. The next account of the channel sends, or what the installation is set to."""
    async with database.transaction(app) as connection:
        if not await providers.remove(connection, app, channel, name):
            raise NotFound("no such account")
    return Response(status_code=204)


@router.post("/providers/reseal", summary="Seal every account's secrets with the newest key")
async def reseal_providers(app: App, database: Db, request: Request) -> Resealed:
    """After a new key was put in front of SOJOURN_CREDENTIAL_KEYS; then the old one can go. Repeating it changes nothing more."""
    seal = Seal(request.app.state.settings.plain_credential_keys)
    resealed = 0
    async with database.transaction(app) as connection:
        for row in await providers.of_app(connection, app):
            if row.sealed and not seal.is_current(row.sealed):
                secrets = {name: value for name, value in _opened(row, app, seal).items() if name in row.secret}
                await providers.put(
                    connection,
                    app,
                    seal,
                    channel=row.channel,
                    name=row.name,
                    provider=row.provider,
                    place=row.place,
                    settings=row.settings,
                    secrets=secrets,
                )
                resealed += 1
    return Resealed(resealed=resealed)


async def _put(
    connection: Connection, app: str, seal: Seal, channel: str, name: str, body: AccountBody, kind: Kind, whole: Mapping[str, Any]
) -> None:
    secrets = {field: value for field, value in whole.items() if field in kind.secret and value}
    shown = {field: value for field, value in whole.items() if field not in kind.secret}
    try:
        await providers.put(
            connection, app, seal, channel=channel, name=name, provider=body.provider, place=body.place, settings=shown, secrets=secrets
        )
    except ConfigurationError as error:
        raise Refused(str(error)) from error


async def _stored(connection: Connection, app: str, channel: str, name: str) -> Account | None:
    return next((row for row in await providers.of_app(connection, app) if (row.channel, row.name) == (channel, name)), None)


def _kept_secrets(stored: Account | None, app: str, seal: Seal, kind: Kind, body: AccountBody) -> dict[str, Any]:
    """The secrets that the caller leaves as they are. Where the seal no longer opens, they must be given anew."""
    if stored is None or stored.provider != body.provider or not (set(kind.secret) & set(stored.secret)) - set(body.settings):
        return {}
    with suppress(ConfigurationError):
        return {name: value for name, value in providers.opened(stored, app, seal).items() if name in kind.secret}
    return {}


def _opened(row: Account, app: str, seal: Seal) -> dict[str, Any]:
    try:
        return providers.opened(row, app, seal)
    except ConfigurationError as error:
        raise Refused(f"{row.channel}/{row.name}: {error}") from error


def _view(row: Account, settings: Settings) -> AccountView:
    shown = {name: value for name, value in vars(row).items() if name not in {"sealed", "inbound_key"}}
    calls = (row.channel, row.provider) in READERS
    return AccountView(**shown, webhook_url=callback_url(surroundings(settings), row.provider, row.inbound_key) if calls else None)


def _kind_view(channel: str, provider: str, kind: Kind) -> KindView:
    return KindView(channel=channel, provider=provider, settings=[FieldView(**vars(field)) for field in kind.fields()])
