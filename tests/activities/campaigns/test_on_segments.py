"""Campaigns that are sent when somebody comes into a segment, or goes out of one: from the launch to what is planned."""

import pytest

from activities.campaigns import life, on_events
from channels.templates import content_hash
from journeys.language import email, event, in_segment, prop, segment, trait
from journeys.language.campaigns import Campaign
from journeys.language.codec import campaign_hash, campaign_to_json
from journeys.language.facts import EventFact
from storage import campaigns, templates
from storage.database import Database
from tests.activities.crowd_of_segments import APP, Crowd

GOLD = trait("plan") == "gold"
WELCOME = Campaign("welcome", "gold", email("hello"), when=segment("gold"))
FAREWELL = Campaign("farewell", "everybody", email("hello"), when=event("segment_left").where(prop("segment") == "gold"))
FILES = {"subject.txt": "Hello", "body.txt": "{{ links.unsubscribe }}"}


@pytest.fixture
async def crowd(database: Database) -> Crowd:
    """Gold is who has the plan; everybody is in a segment of that name; a template is there."""
    found = Crowd(database)
    await found.publish("gold", GOLD)
    await found.publish("everybody", GOLD | ~GOLD)
    async with database.transaction() as connection:
        await templates.publish(connection, APP, "hello", FILES, content_hash(FILES))
    return found


async def publish(crowd: Crowd, campaign: Campaign) -> None:
    async with crowd.database.transaction() as connection:
        written = campaign_to_json(campaign).decode()
        await campaigns.publish(connection, APP, campaign.name, written, campaign_hash(campaign), done_by="x")


async def act(crowd: Crowd, verb: str, name: str = "welcome", *, is_settled: bool = True, **said: bool) -> None:
    """As whoever asks the API for it, in a transaction that sees this app alone."""
    async with crowd.database.transaction(APP) as connection:
        await getattr(life, verb)(connection, await life.locked(connection, APP, name), done_by="x", **said)
    if is_settled:
        await crowd.settle()


async def launch(crowd: Crowd, campaign: Campaign = WELCOME) -> None:
    await publish(crowd, campaign)
    await act(crowd, "launch", campaign.name)


async def relay(crowd: Crowd) -> None:
    """Tell campaigns what waits in the outbox, as the relay does."""
    await crowd.settle()
    rows = await crowd.execute(
        "WITH told AS (DELETE FROM outbox RETURNING app, event_received_at, event_seq)"
        " SELECT e.* FROM told t JOIN events e ON e.received_at = t.event_received_at AND e.seq = t.event_seq ORDER BY e.seq"
    )
    for row in rows:
        fact = EventFact(row.event_id, row.name, row.occurred_at, row.properties, row.seq, row.received_at)
        async with crowd.database.transaction() as connection:
            await on_events.hear(connection, row.app, row.user_id, fact)


async def written_to(crowd: Crowd) -> list[str]:
    """Who gets something, in order of what was planned."""
    rows = await crowd.execute("SELECT u.user_id FROM messages m JOIN users u ON u.app = m.app AND u.id = m.user_id ORDER BY m.id")
    return [row.user_id for row in rows]


async def followed(crowd: Crowd) -> list[str]:
    return [row.segment for row in await crowd.execute("SELECT segment FROM segment_follows ORDER BY segment")]


async def test_who_comes_into_the_segment_is_written_to_each_time_and_who_was_in_is_not(crowd: Crowd) -> None:
    await crowd.is_like("bob", plan="gold")
    await launch(crowd)
    await crowd.is_like("ann", plan="gold")
    await crowd.is_like("bob", plan="gold", city="Rome")
    await crowd.is_like("cid", plan="free")
    await relay(crowd)
    assert await written_to(crowd) == ["ann"]
    for plan in ("free", "gold"):
        await crowd.is_like("ann", plan=plan)
        await relay(crowd)
    assert await written_to(crowd) == ["ann", "ann"]
    [row] = await crowd.execute("SELECT DISTINCT content -> 'data' AS entry FROM direct_sends")
    assert row.entry == {"segment": "gold"}


async def test_who_goes_out_is_written_to_if_they_are_in_the_campaigns_segment(crowd: Crowd) -> None:
    await crowd.publish("romans", trait("city") == "Rome")
    await launch(crowd, Campaign("farewell", "romans", email("hello"), when=FAREWELL.when))
    for user, city in (("ann", "Rome"), ("bob", "Oslo")):
        await crowd.is_like(user, plan="gold", city=city)
        await relay(crowd)
        await crowd.is_like(user, plan="free")
        await relay(crowd)
    assert await written_to(crowd) == ["ann"]


async def test_a_segment_that_is_not_the_campaigns_sends_nothing(crowd: Crowd) -> None:
    await crowd.publish("romans", trait("city") == "Rome")
    await launch(crowd)
    await crowd.listen("romans")
    await crowd.is_like("ann", city="Rome")
    await relay(crowd)
    assert (await crowd.told(), await written_to(crowd)) == ([("ann", "entered", "romans")], [])


@pytest.mark.parametrize("campaign", [WELCOME, FAREWELL], ids=["coming in", "going out"])
async def test_its_segment_is_followed_from_the_launch_until_it_is_stopped(crowd: Crowd, campaign: Campaign) -> None:
    await publish(crowd, campaign)
    await crowd.settle()
    assert await followed(crowd) == []
    for verb, names in (("launch", ["gold"]), ("pause", ["gold"]), ("resume", ["gold"]), ("stop", [])):
        await act(crowd, verb, campaign.name)
        assert await followed(crowd) == names, verb


async def test_what_somebody_else_listens_to_stays_followed_when_a_campaign_stops(crowd: Crowd) -> None:
    await crowd.listen("gold")
    await launch(crowd)
    await act(crowd, "stop")
    assert await followed(crowd) == ["gold"]


async def test_who_comes_in_during_a_pause_is_left_out_for_good(crowd: Crowd) -> None:
    await launch(crowd)
    await act(crowd, "pause")
    await crowd.is_like("ann", plan="gold")
    await relay(crowd)
    await act(crowd, "resume")
    await crowd.is_like("ann", city="Rome")
    await crowd.is_like("bob", plan="gold")
    await relay(crowd)
    assert (await crowd.members("gold"), await written_to(crowd)) == (["ann", "bob"], ["bob"])


async def test_after_a_second_launch_who_came_in_while_it_was_stopped_counts_as_having_been_in(crowd: Crowd) -> None:
    await launch(crowd)
    await act(crowd, "stop")
    await crowd.is_like("ann", plan="gold")
    await relay(crowd)
    await act(crowd, "launch", again=True)
    await crowd.is_like("bob", plan="gold")
    await relay(crowd)
    assert await written_to(crowd) == ["bob"]


async def test_what_is_published_later_is_followed_from_its_launch(crowd: Crowd) -> None:
    await crowd.publish("romans", trait("city") == "Rome")
    await launch(crowd)
    await publish(crowd, Campaign("welcome", "everybody", email("hello"), when=segment("romans")))
    await crowd.settle()
    assert await followed(crowd) == ["gold"]
    # Before the lane looked: of both it sees what came of them.
    await act(crowd, "stop", is_settled=False)
    await act(crowd, "launch")
    assert await followed(crowd) == ["romans"]
    await crowd.is_like("ann", plan="gold")
    await crowd.is_like("bob", city="Rome")
    await relay(crowd)
    assert await written_to(crowd) == ["bob"]


async def test_an_edited_segment_writes_to_nobody_whom_the_edit_brought_in(crowd: Crowd) -> None:
    await crowd.publish("inner", GOLD)
    await crowd.publish("outer", in_segment("inner"))
    await launch(crowd, Campaign("welcome", "outer", email("hello"), when=segment("outer")))
    await crowd.is_like("ann", plan="silver")
    await crowd.publish("inner", trait("plan") == "silver")
    await relay(crowd)
    assert (await crowd.members("outer"), await written_to(crowd)) == (["ann"], [])
    await crowd.is_like("bob", plan="silver")
    await relay(crowd)
    assert await written_to(crowd) == ["bob"]


async def test_runs_of_other_campaigns_leave_no_note(crowd: Crowd) -> None:
    await publish(crowd, Campaign("thanks", "gold", email("hello"), when=event("order_placed")))
    await crowd.settle()
    for verb in ("launch", "pause", "resume", "stop"):
        await act(crowd, verb, "thanks", is_settled=False)
    assert await crowd.execute("SELECT * FROM segment_changes") == []
    await launch(crowd)
    await crowd.execute("UPDATE campaigns SET updated_at = now(), next_at = now()")
    assert await crowd.execute("SELECT * FROM segment_changes") == []
