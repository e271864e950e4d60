"""Campaigns that events send, planned by the relay's activity: who gets one, that nobody gets two, and what is counted of it."""

import asyncio
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from activities.campaigns import on_events
from activities.direct import DirectLane
from activities.tracking import Sent
from channels.base import Content
from channels.templates import content_hash
from channels.wishes import About, Tracking, decided
from journeys.language import custom, email, event, hours, in_app, prop, push, trait
from journeys.language.assign import AppHoldout, in_app_holdout
from journeys.language.campaigns import Campaign, Version
from journeys.language.codec import campaign_hash, campaign_to_json, condition_hash, condition_to_json
from journeys.language.facts import EventFact
from journeys.language.messages import Message
from journeys.language.segments import mentions
from storage import apps, campaigns, endpoints, segments, templates, triggered_sends
from storage.campaigns import Place
from storage.database import Database
from storage.endpoints import Confirmed
from storage.erasures import erase
from storage.events import Incoming, accept
from tests.activities.town import build
from workflows.housekeeping import keep_house

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


async def counted(database: Database, launch_number: int = 1) -> list[tuple[str, str, str | None, int]]:
    async with database.transaction("demo") as connection:
        found = await triggered_sends.counted(connection, "demo", "thanks", launch_number)
    return [(each.variant, each.state, each.reason, each.messages) for each in found]


async def tally(database: Database, most: int = 100) -> int:
    async with database.transaction() as connection:
        return await triggered_sends.tally(connection, most)


async def rows(database: Database, table: str) -> int:
    async with database.transaction() as connection:
        return int((await connection.exec_driver_sql(f"SELECT count(*) FROM {table}")).scalar_one())


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


async def test_what_has_not_left_within_the_campaigns_time_is_skipped(database: Database) -> None:
    town = await build(database)
    await launch(database, replace(THANKS, lasts=hours(2)))
    await ordered(database, "ann", "e1")
    await tell(database, "e1")
    await town.run("UPDATE direct_sends SET holds_until = holds_until - interval '1 hour'")
    await town.run("UPDATE apps SET paused_at = now()")
    await DirectLane(database, town.delivery(), asyncio.Event()).pass_once()
    assert await counted(database) == [("message", "planned", None, 1)]
    await town.run("UPDATE direct_sends SET holds_until = holds_until - interval '1 hour'")
    await town.run("UPDATE apps SET paused_at = NULL")
    await town.run("UPDATE open_messages SET due_at = now()")
    await DirectLane(database, town.delivery(), asyncio.Event()).pass_once()
    assert await counted(database) == [("message", "skipped", "expired", 1)]


async def test_without_a_time_of_its_own_a_transactional_one_may_be_repeated_as_any_other(database: Database) -> None:
    town = await build(database)
    await launch(database, replace(THANKS, message_class="transactional"))
    await ordered(database, "ann", "e1")
    await tell(database, "e1")
    assert [row.holds_until for row in await town.run("SELECT holds_until FROM direct_sends")] == [None]


@dataclass
class Told:
    """A tracker that changes nothing, and keeps what it was told of each message."""

    about: list[About] = field(default_factory=list)

    async def track(self, content: Content, sent: Sent) -> Content:
        self.about.append(sent.about)
        return content


async def test_its_links_name_the_campaign_and_its_version(database: Database) -> None:
    town, tracker = await build(database), Told()
    versions = [Version("plain", 50, email("thanks")), Version("bold", 50, email("thanks"))]
    await launch(database, Campaign("thanks-all", "golden", versions=versions, when=event("order_placed")))
    await ordered(database, "ann", "e1")
    [[town.user_id]] = await town.run("SELECT DISTINCT user_id FROM events")
    await town.endpoint()
    await tell(database, "e1")
    delivery = replace(town.delivery(), tracker=tracker)  # type: ignore[arg-type]
    await DirectLane(database, delivery, asyncio.Event()).pass_once()
    [about] = tracker.about
    parameters = dict(decided(Tracking(utm={}), about, []).parameters)
    assert parameters["utm_campaign"] == "thanks-all"
    assert parameters["utm_content"] in {"plain", "bold"}


async def hold_out(database: Database, percent: float, salt: str = "") -> AppHoldout:
    async with database.transaction() as connection:
        await apps.set_setting(connection, "demo", "holdout", {"percent": percent, "salt": salt})
    return AppHoldout(percent, salt)


async def test_who_is_held_out_of_the_app_gets_no_marketing(database: Database) -> None:
    holdout = await hold_out(database, 40, "2027")
    people = [f"user-{number}" for number in range(12)]
    held = {each for each in people if in_app_holdout(holdout, "demo", each)}
    assert 0 < len(held) < len(people)
    await launch(database)
    for user_id in people:
        await ordered(database, user_id, f"{user_id}-1")
        await tell(database, f"{user_id}-1")
    assert {user_id for user_id, _ in await planned(database)} == set(people) - held


async def test_who_is_held_out_of_the_app_gets_what_is_transactional(database: Database) -> None:
    await hold_out(database, 99.99)
    await launch(database, replace(THANKS, message_class="transactional"))
    await ordered(database, "ann", "e1")
    await tell(database, "e1")
    assert await planned(database) == [("ann", "thanks")]


# What came of it --------------------------------------------------------------------------------------------------------


async def test_what_it_has_sent_is_counted_by_version_state_and_reason_before_and_after_it_is_tallied(database: Database) -> None:
    town = await build(database)
    versions = [Version("plain", 50, email("thanks")), Version("bold", 50, email("thanks"))]
    await launch(database, Campaign("thanks", "golden", versions=versions, when=event("order_placed")))
    for number in range(8):
        await ordered(database, f"user-{number}", f"e{number}")
        for _ in range(2):
            await tell(database, f"e{number}")
    [(_, state, _, bold), (_, _, _, plain)] = before = await counted(database)
    assert ([each[0] for each in before], state, bold + plain) == (["bold", "plain"], "planned", 8)
    assert await tally(database) == 0
    await DirectLane(database, town.delivery(), asyncio.Event()).pass_once()
    over = [("bold", "skipped", "no_endpoint", bold), ("plain", "skipped", "no_endpoint", plain)]
    assert (await counted(database), await rows(database, "triggered_sends")) == (over, 8)
    await keep_house(database)
    assert (await counted(database), await rows(database, "triggered_sends")) == (over, 0)
    # One that comes after a tally adds to it, and one that came before is not counted again.
    await ordered(database, "user-0", "later")
    for event_id in ("later", "e0"):
        await tell(database, event_id)
    assert sum(messages for *_, messages in await counted(database)) == 9
    await DirectLane(database, town.delivery(), asyncio.Event()).pass_once()
    assert await tally(database) == 1
    assert sum(messages for _, state, _, messages in await counted(database) if state == "skipped") == 9


async def test_two_who_keep_house_at_once_count_each_message_once(database: Database) -> None:
    await launch(database)
    for number in range(12):
        await ordered(database, f"user-{number}", f"e{number}")
        await tell(database, f"e{number}")
    async with database.transaction() as connection:
        await connection.exec_driver_sql("UPDATE messages SET state = 'sent', settled_at = now()")

    async def work() -> int:
        return sum([await tally(database, 2) for _ in range(6)])

    assert sum(await asyncio.gather(work(), work(), work())) == 12
    assert await counted(database) == [("message", "sent", None, 12)]


@pytest.mark.parametrize(
    ("message", "targets"), [(push("thanks"), 2), (custom("thanks"), 1), (in_app("thanks"), 1)], ids=["push", "custom", "in_app"]
)
async def test_an_event_sends_a_push_to_each_device_and_what_has_no_address_to_the_person(
    database: Database, message: Message, targets: int
) -> None:
    await launch(database, replace(THANKS, message=message))
    await ordered(database, "ann", "e1")
    async with database.transaction() as connection:
        [ann] = (await connection.exec_driver_sql("SELECT id FROM users WHERE user_id = 'ann'")).scalars()
        await endpoints.confirm(connection, "demo", [Confirmed(ann, "push", token, NOW) for token in ("phone", "tablet")])
    await tell(database, "e1")
    await tell(database, "e1")
    assert await counted(database) == [("message", "planned", None, targets)]
    async with database.transaction() as connection:
        found = (await connection.exec_driver_sql("SELECT channel, target = 'user' FROM messages")).all()
    assert {tuple(row) for row in found} == {(message.channel, message.channel != "push")}


async def test_each_launch_is_counted_by_itself_and_erasing_somebody_keeps_the_counts(database: Database) -> None:
    await launch(database)
    await ordered(database, "ann", "e1")
    await tell(database, "e1")
    async with database.transaction() as connection:
        await campaigns.put(connection, "demo", "thanks", Place("running", 1, 2, listens_to=("order_placed",)))
    await ordered(database, "ann", "e2")
    await tell(database, "e2")
    async with database.transaction() as connection:
        await connection.exec_driver_sql("UPDATE messages SET state = 'sent', settled_at = now()")
        await erase(connection, "demo", "ann", "test")
    assert [await counted(database, number) for number in (1, 2)] == [[("message", "sent", None, 1)]] * 2


async def test_a_campaign_that_is_deleted_takes_its_counts_along(database: Database) -> None:
    await launch(database)
    for number in range(2):
        await ordered(database, "ann", f"e{number}")
        await tell(database, f"e{number}")
    async with database.transaction() as connection:
        await connection.exec_driver_sql("UPDATE messages SET state = 'sent', settled_at = now()")
    await tally(database, 1)
    async with database.transaction() as connection:
        await campaigns.remove(connection, "demo", "thanks")
    assert [await rows(database, table) for table in ("triggered_sends", "triggered_tallies", "messages")] == [0, 0, 2]
