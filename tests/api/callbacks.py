"""An app with accounts at providers, messages that were sent through them, and their providers' calls over HTTP."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import httpx
from sqlalchemy import text

from settings import Settings
from storage import providers
from storage.database import Database
from storage.ids import address_hash, message_id
from storage.sealing import Seal
from tests.channels.callers import Caller, Happened, Sent

PUBLIC = Settings().public_url
PHONE = "+4915112345678"
SECRET = frozenset({
    "secret", "secret_access_key", "api_key", "api_secret", "app_secret", "verify_token", "webhook_secret", "webhook_signing_key",
    "webhook_signature_secret",
})  # fmt: skip
_MESSAGE = text(
    "INSERT INTO messages (id, app, user_id, endpoint_id, address, source, step, visit, target, journey, channel, message_class,"
    " topic, template, state, claim_epoch, claimed_at, settled_at, provider)"
    " VALUES (:id, 'demo', :user, :endpoint, :address, :source, 'welcome', 1,"
    " '1', :journey, :channel, 'marketing', 'general', 'welcome', :state, 1, now(), now(), :provider)"
)


@dataclass
class Callbacks:
    """`urls` by (channel, provider). `user_id` is the internal id of ann."""

    database: Database
    client: httpx.AsyncClient
    urls: dict[tuple[str, str], str] = field(default_factory=dict)
    people: dict[str, int] = field(default_factory=dict)
    endpoints: dict[tuple[str, str], int] = field(default_factory=dict)

    async def run(self, statement: str, **values: Any) -> list[Any]:
        async with self.database.transaction() as connection:
            done = await connection.execute(text(statement), values)
            return list(done.all()) if done.returns_rows else []

    async def account(self, caller: Caller, name: str = "main", **settings: Any) -> str:
        """Set an account, and return where its provider calls."""
        whole = {**caller.settings, **settings}
        secrets = {key: value for key, value in whole.items() if key in SECRET}
        shown = {key: value for key, value in whole.items() if key not in SECRET}
        place = {"channel": caller.channel, "name": name, "provider": caller.provider}
        async with self.database.transaction() as connection:
            seal = Seal(Settings().plain_credential_keys)
            await providers.put(connection, "demo", seal, **place, traffic=providers.Traffic(), settings=shown, secrets=secrets)
            [row] = [each for each in await providers.of_app(connection, "demo") if (each.channel, each.name) == (caller.channel, name)]
        self.urls[caller.channel, caller.provider] = f"{PUBLIC}/v1/webhooks/{caller.provider}/{row.inbound_key}"
        return self.urls[caller.channel, caller.provider]

    async def person(self, user_id: str) -> int:
        if user_id not in self.people:
            [row] = await self.run(
                "WITH made AS (INSERT INTO users (app, user_id) VALUES ('demo', :u) RETURNING id)"
                " INSERT INTO identities (app, kind, value, user_id) SELECT 'demo', 'u', :u, id FROM made RETURNING user_id AS id",
                u=user_id,
            )
            self.people[user_id] = row.id
        return self.people[user_id]

    async def endpoint(self, user_id: str, channel: str, address: str) -> int:
        [row] = await self.run(
            "INSERT INTO endpoints (app, user_id, channel, address, address_hash, confirmed_at)"
            " VALUES ('demo', :user, :channel, :address, :hash, now()) RETURNING id",
            user=await self.person(user_id),
            channel=channel,
            address=address,
            hash=address_hash("demo", channel, address),
        )
        self.endpoints[user_id, channel] = row.id
        return int(row.id)

    async def message(
        self, user_id: str | None, channel: str, provider: str, *, state: str = "sent", address: str | None = None, **more: Any
    ) -> UUID:
        """A ledger row of somebody, to their endpoint; with `ref`, the provider's id of it."""
        number = message_id(datetime.now(UTC), "demo", uuid4().hex, "welcome", 1, "1")
        async with self.database.transaction() as connection:
            await connection.execute(
                _MESSAGE,
                {
                    "id": number, "user": self.people[user_id] if user_id else None, "address": address, "channel": channel,
                    "endpoint": self.endpoints.get((user_id or "", channel)), "source": str(uuid4()), "journey": "onboarding",
                    "state": state, "provider": provider,
                },
            )  # fmt: skip
        if "ref" in more:
            await self.refer(number, provider, more["ref"])
        return number

    async def refer(self, number: UUID, provider: str, ref: str) -> None:
        await self.run("INSERT INTO provider_refs VALUES ('demo', :p, :ref, :id)", p=provider, ref=ref, id=number)

    async def tell(self, caller: Caller, *happened: Happened) -> list[httpx.Response]:
        url = self.urls[caller.channel, caller.provider]
        return [await self.post(url, sent) for sent in caller.calls(url, happened)]

    async def post(self, url: str, sent: Sent) -> httpx.Response:
        return await self.client.post(
            url.removeprefix(PUBLIC) + sent.query,
            content=sent.body,
            headers=[(name.encode(), value.encode("latin-1")) for name, value in sent.headers.items()],
        )

    async def row(self, number: UUID) -> Any:
        [found] = await self.run("SELECT * FROM messages WHERE id = :id", id=number)
        return found

    async def consents(self, user_id: str) -> list[tuple[str, str, str, str]]:
        rows = await self.run("SELECT channel, topic, state, source FROM consents WHERE user_id = :u ORDER BY id", u=self.people[user_id])
        return [tuple(row) for row in rows]

    async def events(self, name: str) -> list[Any]:
        return [row.properties for row in await self.run("SELECT properties FROM events WHERE name = :n ORDER BY seq", n=name)]
