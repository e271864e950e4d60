"""Events that send campaigns, from ingest through the relay to the direct lane's table."""

from activities.entering import EnteringLane
from journeys.language import Journey, Send, email, event, prop, segment, trait
from journeys.language.campaigns import Campaign
from journeys.language.codec import campaign_hash, campaign_to_json, condition_hash, condition_to_json
from journeys.language.segments import mentions
from storage import campaigns, segments
from storage.campaigns import Place
from tests.workflows.stage import APP, Stage

THANKS = Campaign("thanks", "golden", email("thanks"), when=event("order_placed").where(prop("total") > 20))
PLANNED = "SELECT m.state, d.content #>> '{data,total}' AS total FROM messages m JOIN direct_sends d ON d.message_id = m.id"


async def launch(scene: Stage, campaign: Campaign = THANKS) -> None:
    golden = trait("plan") == "gold"
    await scene.publish_template("thanks", "hello")
    async with scene.database.transaction() as connection:
        await segments.publish(connection, APP, "golden", condition_to_json(golden).decode(), condition_hash(golden), mentions(golden))
        written = campaign_to_json(campaign).decode()
        await campaigns.publish(connection, APP, campaign.name, written, campaign_hash(campaign), done_by="x")
        assert campaign.trigger is not None
        await campaigns.put(connection, APP, campaign.name, Place("running", 1, 1, listens_to=campaign.trigger.names))


async def test_an_event_that_only_a_campaign_listens_to_is_relayed_and_planned(scene: Stage) -> None:
    await launch(scene)
    await scene.person(traits={"plan": "gold"})
    await scene.person("bob", traits={"plan": "free"}, addresses=())
    for user, total in (("ann", 50), ("ann", 10), ("bob", 50)):
        await scene.track("order_placed", user, {"total": total})
    assert [(row.state, row.total) for row in await scene.execute(PLANNED)] == [("planned", "50")]
    assert await scene.execute("SELECT 1 FROM outbox") == []


async def test_a_journey_and_a_campaign_may_answer_the_same_event(scene: Stage) -> None:
    await launch(scene)
    await scene.publish(Journey("after-order", starts_on=event("order_placed"), steps=[Send("hello", email("hello"))]))
    await scene.person(traits={"plan": "gold"})
    await scene.track("order_placed", properties={"total": 50})
    assert len(await scene.execute(PLANNED)) == 1
    assert len(await scene.execute("SELECT 1 FROM enrollments")) == 1


async def test_coming_into_a_segment_is_relayed_and_planned_once(scene: Stage) -> None:
    lane = EnteringLane(scene.database, lambda _: None)
    await scene.person("bob", traits={"plan": "gold"}, addresses=())
    await launch(scene, Campaign("welcome", "golden", email("thanks"), when=segment("golden")))
    while await lane.pass_once():
        continue
    await scene.person(traits={"plan": "gold"})
    await lane.pass_once()
    await scene.relay_all()
    assert len(await scene.execute(PLANNED)) == 1
    assert await scene.execute("SELECT 1 FROM outbox") == []
