"""Accounts at providers: through which the messages of an app leave. Secrets go in and are never shown again."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import Path, Request, Response
from pydantic import BaseModel, Field

from activities.accounts import verified
from api.paging import Cursor, Limit, Page, number, page_of, position, text
from api.strict import App, Body, Channel, Db, Word, management
from channels.accounts import Kind, adapter_of, callback_url
from channels.fields import COUNTRIES, NO_COUNTRY
from channels.readers import READERS
from channels.registry import KINDS
from journeys.language.errors import ConfigurationError, Invalid, NotFound, Problem, Refused
from journeys.language.messages import MessageClass
from settings import Settings
from storage import account_states, providers, reputations, sources
from storage.account_states import AccountKey
from storage.database import Connection
from storage.providers import Account, Traffic
from storage.sealing import Seal
from storage.sources import StoredSource
from workflows.hands import surroundings

router = management("Providers")
Country = Annotated[str, Field(pattern="^[A-Z]{2}$")]
Name = Annotated[str, Path(pattern="^[a-z0-9][a-z0-9-]{0,62}$", description="your name for the account", examples=["main"])]


class ReputationView(BaseModel):
    """What the provider told of the account's marketing mails in the last three days."""

    heard: int = Field(description="delivered or bounced", examples=[12_000])
    bounced: int = Field(description="for good", examples=[31])
    complained: int = Field(examples=[2])
    stopped_for: str | None = Field(description="why marketing waits: a reason code; null: it leaves", examples=["too_many_bounces"])
    stopped_at: datetime | None


class AccountView(BaseModel):
    """One account. `secret` names the settings that are set and not shown."""

    channel: str = Field(examples=["email"])
    name: str = Field(examples=["main"])
    provider: str = Field(examples=["ses"])
    place: int = Field(description="the accounts of the lowest place are tried first", examples=[1])
    weight: int = Field(description="shares messages among accounts of one place", examples=[1])
    countries: list[str] = Field(description="empty: all", examples=[["DE", "AT"]])
    classes: list[str] = Field(description="empty: both", examples=[["transactional"]])
    per_second: float | None = Field(description="messages a second; null: what the provider names (SES), else no limit", examples=[14])
    burst: int | None = Field(description="how many may leave at once after a pause; null: a tenth of a second's", examples=[5])
    max_per_day: int | None = Field(description="messages a day in UTC; null: no limit", examples=[50_000])
    settings: dict[str, Any] = Field(examples=[{"region": "eu-west-1", "access_key_id": "AKIDEXAMPLE"}])
    secret: list[str] = Field(examples=[["secret_access_key"]])
    webhook_url: str | None = Field(
        description="where the provider calls us, for you to set there; null where it does not call",
        examples=["https://sojourn.example/v1/webhooks/ses/3f0c6a1e5b7d4c2a9e8f7a6b5c4d3e2f"],
    )
    reputation: ReputationView | None = Field(description="null where nothing was heard of late")
    updated_at: datetime


class AccountBody(Body):
    """What the account is. A secret that is left out stays as it is, unless the provider changes."""

    provider: Word = Field(description="one of /v1/provider-kinds", examples=["ses"])
    place: int = Field(1, ge=1, le=1000, description="the accounts of the lowest place are tried first")
    weight: int = Field(1, ge=0, le=1000, description="shares messages among accounts of one place; 0: only what no other one takes")
    countries: list[Country] = Field([], max_length=250, description="two capital letters each; empty: all, and where nobody knows it")
    classes: list[MessageClass] = Field([], max_length=2, description="what it sends; empty: both", examples=[["transactional"]])
    per_second: float | None = Field(
        None, ge=0.001, le=100_000, description="messages a second, of all workers together; left out: what the provider names (SES)"
    )
    burst: int | None = Field(None, ge=1, le=100_000, description="how many may leave at once after a pause")
    max_per_day: int | None = Field(None, ge=1, le=1_000_000_000, description="messages a day in UTC")
    settings: dict[str, Any] = Field(
        examples=[{"region": "eu-west-1", "access_key_id": "AKIDEXAMPLE", "secret_access_key": "your secret access key"}]
    )

    @property
    def traffic(self) -> Traffic:
        """What goes through it, and how fast."""
        return Traffic(
            place=self.place,
            weight=self.weight,
            countries=tuple(self.countries),
            classes=tuple(self.classes),
            per_second=self.per_second,
            burst=self.burst,
            max_per_day=self.max_per_day,
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


class VerdictView(BaseModel):
    """What the provider says of the account."""

    verdict: Literal["ok", "refused", "cannot_be_asked"]
    words: str = Field(description="the provider's answer, without anything secret", examples=["ses answers and knows it"])
    remedy: str = Field(description="empty where nothing is to be done", examples=[""])


class Resealed(BaseModel):
    """How many accounts, and sources with secret headers, are sealed with the newest key now."""

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
        known = await _reputations(connection, app)
    following_rows = [row for row in rows if after is None or [row.channel, row.traffic.place, row.name] > after]
    kept, following = page_of(following_rows[: limit + 1], limit, lambda row: [row.channel, row.traffic.place, row.name])
    return Page(items=[_view(row, request.app.state.settings, known, app) for row in kept], next=following)


@router.put("/providers/{channel}/{name}", summary="Set an account at a provider")
async def put_provider(app: App, database: Db, request: Request, channel: Channel, name: Name, body: AccountBody) -> AccountView:
    """Workers send through it within five seconds. Its settings are checked here; whether the provider knows them, /verify asks.

    What is left out of place, weight, countries, classes and rates is then not set; only secrets stay.
    """
    settings: Settings = request.app.state.settings
    kind = KINDS.get((channel, body.provider))
    if kind is None:
        known = ", ".join(provider for of, provider in sorted(KINDS) if of == channel) or "none yet"
        raise Invalid([Problem("/provider", "no_such_provider", f"the channel has {known}")])
    if unknown := [place for place, code in enumerate(body.countries) if code not in COUNTRIES]:
        raise Invalid([Problem(f"/countries/{place}", "no_country", NO_COUNTRY) for place in unknown])
    seal = Seal(settings.plain_credential_keys)
    async with database.transaction(app) as connection:
        stored = await _stored(connection, app, channel, name)
        whole = {**_kept_secrets(stored, app, seal, kind, body), **body.settings}
        await adapter_of(kind, body.provider, whole, surroundings(settings)).close()
        await _put(connection, app, seal, channel, name, body, kind, whole)
        if stored is not None and stored.provider != body.provider:
            await _forget_standing(connection, app, channel, name)
        written = await _stored(connection, app, channel, name)
        standing = await _reputations(connection, app)
    if written is None:
        raise NotFound("no such account")
    return _view(written, settings, standing, app)


@router.post("/providers/{channel}/{name}/verify", summary="Ask a provider whether an account works")
async def verify_provider(app: App, database: Db, request: Request, channel: Channel, name: Name) -> VerdictView:
    """A harmless call with the account's credentials: nothing is sent, and what the provider answers is not kept."""
    settings: Settings = request.app.state.settings
    async with database.transaction(app) as connection:
        row = await providers.one(connection, app, channel, name)
    found = await verified(app, row, Seal(settings.plain_credential_keys), surroundings(settings))
    return VerdictView(**vars(found))


@router.delete("/providers/{channel}/{name}", status_code=204, summary="Forget an account at a provider")
async def delete_provider(app: App, database: Db, channel: Channel, name: Name) -> Response:
    """What is being sent through it still ends. The next account of the channel sends, or what the installation is set to."""
    async with database.transaction(app) as connection:
        if not await providers.remove(connection, app, channel, name):
            raise NotFound("no such account")
        await _forget_standing(connection, app, channel, name)
    return Response(status_code=204)


@router.post("/providers/reseal", summary="Seal the secrets of every account and source with the newest key")
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
                    traffic=row.traffic,
                    settings=row.settings,
                    secrets=secrets,
                )
                resealed += 1
        for source in await sources.live(connection, app):
            if source.sealed and not seal.is_current(source.sealed):
                await sources.put_headers(connection, app, source.name, seal, source.origin, _headers(source, app, seal))
                resealed += 1
    return Resealed(resealed=resealed)


def _headers(source: StoredSource, app: str, seal: Seal) -> dict[str, str]:
    try:
        return sources.headers(source, app, seal)
    except ConfigurationError as error:
        raise Refused(f"source {source.name}: {error}") from error


async def _put(
    connection: Connection, app: str, seal: Seal, channel: str, name: str, body: AccountBody, kind: Kind, whole: Mapping[str, Any]
) -> None:
    secrets = {field: value for field, value in whole.items() if field in kind.secret and value}
    shown = {field: value for field, value in whole.items() if field not in kind.secret}
    try:
        await providers.put(
            connection, app, seal, channel=channel, name=name, provider=body.provider, traffic=body.traffic, settings=shown, secrets=secrets
        )
    except ConfigurationError as error:
        raise Refused(str(error)) from error


async def _stored(connection: Connection, app: str, channel: str, name: str) -> Account | None:
    return next((row for row in await providers.of_app(connection, app) if (row.channel, row.name) == (channel, name)), None)


def _kept_secrets(stored: Account | None, app: str, seal: Seal, kind: Kind, body: AccountBody) -> dict[str, Any]:
    """The secrets that the caller leaves as they are. Where the seal no longer opens, they must be given anew.

    So they must for another host: whoever may set an account could have its password sent to a host of their own.
    """
    if kind.names_host and stored is not None and stored.settings.get("host") != body.settings.get("host"):
        return {}
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


async def _forget_standing(connection: Connection, app: str, channel: str, name: str) -> None:
    """What was known of an account that is gone, or is another provider's now."""
    await account_states.forget(connection, AccountKey(app, channel, name))
    await reputations.forget(connection, app, channel, name)


async def _reputations(connection: Connection, app: str) -> dict[AccountKey, ReputationView]:
    states = await account_states.of_app(connection, app)
    return {state.key: ReputationView.model_validate(state, from_attributes=True) for state in states if state.heard or state.stopped_for}


def _view(row: Account, settings: Settings, known: Mapping[AccountKey, ReputationView], app: str) -> AccountView:
    shown = {name: value for name, value in vars(row).items() if name not in {"sealed", "inbound_key", "traffic"}}
    calls = (row.channel, row.provider) in READERS
    url = callback_url(surroundings(settings), row.provider, row.inbound_key) if calls else None
    return AccountView(**shown, **vars(row.traffic), webhook_url=url, reputation=known.get(AccountKey(app, row.channel, row.name)))


def _kind_view(channel: str, provider: str, kind: Kind) -> KindView:
    return KindView(channel=channel, provider=provider, settings=[FieldView(**vars(field)) for field in kind.fields()])
