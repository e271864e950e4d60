"""Campaigns that events send, planned by the relay's activity: who gets one, and that nobody gets two."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from activities.campaigns import on_events
from channels.templates import content_hash
from journeys.language import email, event, prop, trait
from journeys.language.campaigns import Campaign, Version
from journeys.language.codec import campaign_hash, campaign_to_json, condition_hash, condition_to_json
from journeys.language.facts import EventFact
from journeys.language.segments import mentions
from storage import campaigns, segments, templates
from storage.campaigns import Place
from storage.database import Database
from storage.events import Incoming, accept

NOW = datetime.now(UTC)
THANKS = Campaign("thanks", "golden", email("thanks"), when=event("order_placed").where(prop("total") > 20))
FILES = {"subject.txt": "Thanks", "body.txt": "{{ links.unsubscribe }}"}


async def launch(database: Database, campaign: Campaign = THANKS, state: str = "running") -> None:
    golden = trait("plan") == "gold"
    async with database.transaction() as connection:
        await segments.publish(connection, "demo", "golden", condition_to_json(golden).decode(), condition_hash(golden), mentions(golden))
        await templates.publish(connection, "demo", "thanks", FILES, content_hash(FILES))
        written = campaign_to_json(campaign).decode()
        await campaigns.publish(connection, "demo", campaign.name, written, campaign_hash(campaign), done_by="x")
        assert campaign.trigger is not None
        place = Place(state, 1, 1, listens_to=campaign.trigger.names)  # type: ignore[arg-type]
        await campaigns.put(connection, "demo", campaign.name, place)


async def ordered(database: Database, user_id: str, event_id: str, total: int = 50, plan: str = "gold") -> None:
    async with database.transaction() as connection:
        identify = Incoming(f"{event_id}-who", NOW, user_id=user_id, traits={"plan": plan})
        order = Incoming(event_id, NOW, user_id=user_id, name="order_placed", properties={"total": total})
        await accept(connection, "demo", [identify, order], received_at=datetime.now(UTC))


async def tell(database: Database, event_id: str, occurred_at: datetime | None = None) -> None:
    """As the relay does, for the row that ingest wrote."""
    async with database.transaction() as connection:
        row = (await connection.exec_driver_sql(f"SELECT * FROM events WHERE event_id = '{event_id}'")).one()
        fact = EventFact(row.event_id, row.name, row.occurred_at, row.properties, row.seq, row.received_at)
        moved = replace(fact, occurred_at=occurred_at or fact.occurred_at)
        await on_events.hear(connection, "demo", row.user_id, moved)


async def planned(database: Database) -> list[tuple[str, str]]:
    async with database.transaction() as connection:
        rows = await connection.exec_driver_sql(
            "SELECT u.user_id, d.content ->> 'template' AS template FROM messages m JOIN direct_sends d ON d.message_id = m.id"
            " JOIN users u ON u.app = m.app AND u.id = m.user_id ORDER BY m.id"
        )
        return [(str(row.user_id), str(row.template)) for row in rows]


async def told(database: Database) -> int:
    async with database.transaction() as connection:
        return int((await connection.exec_driver_sql("SELECT count(*) FROM outbox")).scalar_one())


async def test_an_event_sends_one_message_to_who_is_in_the_segment(database: Database) -> None:
    await launch(database)
    await ordered(database, "ann", "e1")
    await ordered(database, "bob", "e2", plan="free")
    await ordered(database, "cid", "e3", total=10)
    for each in ("e1", "e1", "e2", "e3"):
        await tell(database, each)
    assert await planned(database) == [("ann", "thanks")]
    await ordered(database, "ann", "e4")
    await tell(database, "e4")
    assert await planned(database) == [("ann", "thanks")] * 2


@pytest.mark.parametrize("state", ["paused", "stopped", "finished"])
async def test_only_a_running_campaign_listens(database: Database, state: str) -> None:
    await launch(database, state=state)
    await ordered(database, "ann", "e1")
    assert await told(database) == 0
    await tell(database, "e1")
    assert await planned(database) == []


async def test_the_outbox_has_a_row_for_an_event_that_a_campaign_listens_to(database: Database) -> None:
    await ordered(database, "ann", "e0")
    assert await told(database) == 0
    await launch(database)
    await ordered(database, "ann", "e1")
    assert await told(database) == 1


async def test_an_event_that_comes_a_day_late_sends_nothing(database: Database) -> None:
    await launch(database)
    await ordered(database, "ann", "e1")
    await tell(database, "e1", occurred_at=NOW - timedelta(hours=25))
    assert await planned(database) == []


async def test_who_is_held_out_gets_nothing_and_each_person_always_the_same_version(database: Database) -> None:
    versions = [Version("plain", 50, email("thanks")), Version("bold", 50, email("thanks-loud"))]
    await launch(database, Campaign("thanks", "golden", versions=versions, holdout=50, when=event("order_placed")))
    people = [f"user-{number}" for number in range(12)]
    for again in range(2):
        for user_id in people:
            await ordered(database, user_id, f"{user_id}-{again}")
            await tell(database, f"{user_id}-{again}")
    found = await planned(database)
    assert 0 < len({user_id for user_id, _ in found}) < len(people)
    assert {template for _, template in found} == {"thanks", "thanks-loud"}
    assert len(set(found)) * 2 == len(found)
