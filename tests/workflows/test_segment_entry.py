"""Coming into a segment starts a journey, and going out of it ends one: from the event that is taken in to the message that leaves."""

from collections.abc import AsyncIterator

import pytest

from activities.entering import EnteringLane
from journeys.language import Journey, Send, WaitFor, days, did, email, event, in_segment, prop, segment, trait
from journeys.language.codec import condition_hash, condition_to_json
from journeys.language.conditions import ConditionNode
from journeys.language.segments import mentions
from storage import segments
from storage.database import Database
from tests.workflows.stage import APP, Stage, stage

WELCOME = Journey("gold-welcome", starts_on=segment("gold"), steps=[Send("hello", email("hello"))])


@pytest.fixture
async def scene(database: Database, temporal: str) -> AsyncIterator[Stage]:
    async with stage(database, temporal) as opened:
        await opened.publish_template("hello")
        yield opened


async def publish_segment(scene: Stage, name: str, condition: ConditionNode) -> None:
    async with scene.database.transaction() as connection:
        written = condition_to_json(condition).decode()  # type: ignore[arg-type]
        await segments.publish(connection, APP, name, written, condition_hash(condition), mentions(condition))  # type: ignore[arg-type]


async def settle(scene: Stage) -> None:
    lane = EnteringLane(scene.database, lambda _: None)
    for _ in range(3):
        while await lane.pass_once():
            continue
    await scene.relay_all()


async def test_who_comes_into_the_segment_enters_the_journey_once_and_who_was_in_does_not(scene: Stage) -> None:
    await publish_segment(scene, "gold", trait("plan") == "gold")
    await scene.person("bob", traits={"plan": "gold"})
    await scene.publish(WELCOME)
    await settle(scene)
    await scene.person("ann")
    await scene.accept(scene.item("upgraded", traits={"plan": "gold"}))
    await settle(scene)
    await scene.accept(scene.item("seen", "bob"), scene.item("seen"))
    await settle(scene)
    assert await scene.finished(await scene.workflow("gold-welcome")) == "completed"
    assert (await scene.sent(), await scene.enrollments()) == (["hello"], [("closed", "completed")])
    [row] = await scene.execute("SELECT entry_name, entry_properties FROM enrollments")
    assert (row.entry_name, row.entry_properties) == ("segment_entered", {"segment": "gold"})


async def test_another_segment_starts_nothing(scene: Stage) -> None:
    await publish_segment(scene, "gold", trait("plan") == "gold")
    await publish_segment(scene, "buyers", did("order_placed"))
    await scene.publish(WELCOME, Journey("other", starts_on=segment("buyers"), steps=[Send("a", email("hello"))]))
    await settle(scene)
    await scene.accept(scene.item("order_placed"))
    await settle(scene)
    assert [row.journey for row in await scene.execute("SELECT journey FROM enrollments")] == ["other"]


async def test_going_out_is_an_event_to_wait_for_and_to_leave_on(scene: Stage) -> None:
    await publish_segment(scene, "gold", trait("plan") == "gold")
    left = event("segment_left").where(prop("segment") == "gold")
    waits = Journey("waits", starts_on=event("x"), steps=[WaitFor("left", left, within=days(9), then=[Send("bye", email("hello"))])])
    await scene.publish(waits, Journey("leaves", starts_on=event("x"), exits_on=~in_segment("gold"), steps=waits.steps))
    await scene.person("ann", traits={"plan": "gold"})
    await settle(scene)
    await scene.track("x")
    await scene.accept(scene.item("downgraded", traits={"plan": "free"}))
    await settle(scene)
    assert await scene.finished(await scene.workflow("waits")) == "completed"
    assert (await scene.finished(await scene.workflow("leaves"))).startswith("exited")
    assert await scene.sent() == ["bye"]
