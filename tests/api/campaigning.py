"""A segment, a template and people for campaigns, and short ways to publish and launch them."""

from typing import Any
from uuid import UUID

import httpx
import orjson
from sqlalchemy import text

from channels.templates import content_hash
from journeys.language import email, trait
from journeys.language.campaigns import Campaign
from journeys.language.codec import campaign_to_json, condition_hash, condition_to_json
from journeys.language.segments import mentions
from storage import segments, templates
from storage.database import Connection, Database

FILES = {
    "template.toml": 'from = "Acme <hello@acme.example>"\nrequired = ["user.first_name"]\n[sample.user]\nfirst_name = "Sam"\n',
    "subject.txt": "Spring, {{ user.first_name }}",
    "body.txt": "Hello {{ user.first_name }}. {{ links.unsubscribe }}",
}
MAIL = email("spring-sale")
SALE = Campaign("spring-sale", "golden", MAIL)
PEOPLE = {"ann": {"plan": "gold", "first_name": "Ann"}, "bob": {"plan": "gold"}, "cid": {"plan": "free"}}


def plain(campaign: Campaign) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(campaign_to_json(campaign))
    return found


async def settle(database: Database) -> None:
    """Ann and Bob are golden; Bob's first name is not known."""
    golden = trait("plan") == "gold"
    async with database.transaction() as connection:
        for number, (user_id, attributes) in enumerate(PEOPLE.items(), 1001):
            row = {"id": number, "user_id": user_id, "attributes": attributes}
            await connection.execute(_USER, row)
            await connection.execute(_KNOWN_AS, row)
        condition, digest = condition_to_json(golden).decode(), condition_hash(golden)
        await segments.publish(connection, "demo", "golden", condition, digest, mentions(golden))
        await templates.publish(connection, "demo", "spring-sale", FILES, content_hash(FILES))


_USER = text(
    "INSERT INTO users (app, id, user_id, attributes) OVERRIDING SYSTEM VALUE VALUES ('demo', :id, :user_id, CAST(:attributes AS jsonb))"
)
_KNOWN_AS = text("INSERT INTO identities (app, kind, value, user_id) VALUES ('demo', 'u', :user_id, :id)")


async def put(manager: httpx.AsyncClient, campaign: Campaign) -> httpx.Response:
    return await manager.put(f"/v1/campaigns/{campaign.name}", json={"definition": plain(campaign)})


async def act(manager: httpx.AsyncClient, verb: str, name: str = "spring-sale", **body: Any) -> httpx.Response:
    return await manager.post(f"/v1/campaigns/{name}/{verb}", json=body)


async def runs(manager: httpx.AsyncClient, name: str = "spring-sale") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await manager.get(f"/v1/campaigns/{name}/runs")).json()["items"]
    return found


async def end_runs(connection: Connection) -> None:
    """As their workflows do once everything is sent."""
    await connection.exec_driver_sql(
        "UPDATE campaign_runs SET state = 'finished', planned_at = coalesce(planned_at, now()), ended_at = clock_timestamp()"
    )


async def tally(connection: Connection, run_id: str | UUID, *rows: tuple[str, str, str, int]) -> None:
    """(step, state, reason, messages)."""
    for step, state, reason, messages in rows:
        await connection.exec_driver_sql(
            f"INSERT INTO campaign_tallies VALUES ('demo', '{run_id}', '{step}', '{state}', '{reason}', 0, {messages})"
        )
