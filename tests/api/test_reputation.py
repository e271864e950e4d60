"""What providers tell of marketing mails is counted once, and shown where somebody looks for why nothing leaves."""

from typing import Any

import httpx
from sqlalchemy import text

from activities.coming_back import match_parked
from activities.reputation import ReputationLane
from cli.doctor import accounts, recorded
from settings import Settings
from storage.database import Database
from tests.api.callbacks import Callbacks
from tests.api.test_webhooks import SENDGRID, told


async def standing(manager: httpx.AsyncClient) -> Any:
    [account] = (await manager.get("/v1/providers")).json()["items"]
    return account["reputation"]


async def test_bounces_are_counted_once_and_stop_marketing_where_people_see_it(
    world: Callbacks, manager: httpx.AsyncClient, database: Database, database_url: str
) -> None:
    await world.account(SENDGRID)
    assert await standing(manager) is None
    numbers = [await world.message("ann", "email", "sendgrid") for _ in range(200)]
    happened = [told("bounced" if place < 8 else "delivered", number, SENDGRID) for place, number in enumerate(numbers)]
    for _ in range(2):
        await world.tell(SENDGRID, *happened)
    async with database.transaction() as connection:
        await connection.execute(text("UPDATE messages SET message_class = 'transactional' WHERE id = :id"), {"id": numbers[-1]})
    await world.tell(SENDGRID, told("complained", numbers[-1], SENDGRID))
    await ReputationLane(database).pass_once()
    shown = await standing(manager)
    assert (shown["heard"], shown["bounced"], shown["complained"], shown["stopped_for"]) == (200, 8, 0, "too_many_bounces")
    [finding] = [each for each in await accounts(Settings(), await recorded(database_url)) if each.subject.startswith("marketing")]
    assert "4.00% bounced, 0.000% complained, of 200" in finding.words
    assert not finding.is_well


async def test_an_event_that_waited_for_its_message_is_counted_when_it_is_matched(world: Callbacks, database: Database) -> None:
    await world.account(SENDGRID)
    await world.tell(SENDGRID, told("delivered", None, SENDGRID, ref="abc"))
    await world.message("ann", "email", "sendgrid", ref="abc")
    for _ in range(2):
        await database.run(match_parked)
    assert [(row.account, row.heard) for row in await world.run("SELECT * FROM account_hours")] == [("main", 1)]


async def test_thresholds_are_set_like_any_setting_and_nonsense_is_named(manager: httpx.AsyncClient) -> None:
    changed = await manager.patch("/v1/settings", json={"reputation": {"bounces": 0.06}})
    assert changed.json()["reputation"] == {"bounces": 0.06}
    refused = await manager.patch("/v1/settings", json={"reputation": {"bounces": 4}})
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/reputation/bounces")
