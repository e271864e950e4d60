"""What is done by hand from the command line: journeys listed, people counted, moved, taken out, and what was put aside released."""

from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI

from journeys.language import Journey, Send, Wait, days, email, event
from storage.database import Database
from tests.cli.conftest import Command
from tests.workflows.stage import Stage, stage

FIELDS = {"starts_on": event("signed_up"), "message_class": "transactional"}
FIRST = Journey("tour", **FIELDS, steps=[Wait("settle_in", days(1)), Wait("rest", days(1))])  # type: ignore[arg-type]
SECOND = Journey("tour", **FIELDS, steps=[Wait("settle_in", days(1)), Send("guide", email("guide"))])  # type: ignore[arg-type]


@pytest.fixture
async def scene(served: FastAPI, database: Database, temporal: str) -> AsyncIterator[Stage]:
    """Ann and Bob wait in version 1 of two; the API that is served knows their Temporal."""
    async with stage(database, temporal) as opened:
        served.state.temporal = opened.client
        served.state.settings = served.state.settings.model_copy(update={"temporal_task_queue": opened.temporal.task_queue})
        await opened.publish_template("guide")
        await opened.publish(FIRST)
        for user in ("ann", "bob"):
            await opened.person(user)
            await opened.track("signed_up", user)
        await opened.publish(SECOND)
        yield opened


@pytest.mark.temporal
async def test_people_are_moved_after_being_asked_for(sojourn: Command, scene: Stage) -> None:
    looked = await sojourn("enrollments", "move", "tour", "--to", "2", "--dry-run")
    assert "2  settle_in" in looked
    assert "Nothing was done." in looked
    moved = await sojourn("enrollments", "move", "tour", "--to", "2", "--map", "settle_in=guide", "--yes")
    assert "2  settle_in -> guide" in moved
    assert "2 people go on in version 2." in moved
    story = " ".join((await sojourn("why", scene.name("ann"))).split())
    assert "moved from version 1 to version 2, from settle_in to guide (by key " in story


@pytest.mark.temporal
async def test_one_person_is_moved(sojourn: Command, scene: Stage) -> None:
    ann = scene.name("ann")
    assert "they would go on at settle_in" in await sojourn("enrollments", "move", "tour", "--to", "2", "--only", ann, "--dry-run")
    words = await sojourn("enrollments", "move", "tour", "--to", "2", "--only", ann, "--map", "settle_in=guide")
    assert words == "Told: they go on in version 2 at guide."
    assert "is not one" not in words


@pytest.mark.temporal
async def test_many_are_counted_and_taken_out(sojourn: Command, scene: Stage) -> None:
    counted = await sojourn("enrollments", "exit", "--journey", "tour", "--dry-run")
    assert counted == "2 people are inside tour and meant. Nothing was done."
    assert "Done: 2 taken out." in await sojourn("enrollments", "exit", "--journey", "tour", "--reason", "sale is over", "--yes")
    assert "sale is over" in await sojourn("enrollments", "list", "--ended", "sale is over")
    assert "say who" in await sojourn("enrollments", "exit", code=1)


@pytest.mark.temporal
async def test_journeys_are_listed_with_who_is_inside_and_what_is_paused(sojourn: Command, scene: Stage) -> None:
    await sojourn("pause", "tour")
    listed = (await sojourn("journeys", "list")).splitlines()
    assert listed[1].split() == ["tour", "v2", "live,", "paused", "2"]
    shown = await sojourn("journeys", "show", "tour")
    assert "tour is live, paused; each user once in a lifetime" in shown
    assert "v2 (live)" in shown
    assert "Resumed: messages of tour leave again." in await sojourn("resume", "tour")


@pytest.mark.temporal
async def test_an_event_is_sent_for_one_person_and_for_many(sojourn: Command, scene: Stage) -> None:
    ann = scene.name("ann")
    assert await sojourn("users", "event", ann, "order_placed", "--properties", '{"total": 3}') == f"Accepted: {ann} did order_placed."
    assert "Done: 2 got the event." in await sojourn("enrollments", "event", "product_viewed", "--journey", "tour", "--yes")
    rows = await scene.execute(
        "SELECT name, count(*) AS n FROM events WHERE name IN ('order_placed', 'product_viewed') GROUP BY 1 ORDER BY 1"
    )
    assert {("order_placed", 1), ("product_viewed", 2)} <= {(row.name, row.n) for row in rows}


@pytest.mark.temporal
async def test_what_was_put_aside_is_listed_and_released(sojourn: Command, scene: Stage) -> None:
    await scene.accept(scene.item("signed_up", "cleo"))
    await scene.execute(
        "WITH gone AS (DELETE FROM outbox RETURNING app, user_id, kind, event_received_at, event_seq)"
        " INSERT INTO quarantine (app, user_id, kind, event_received_at, event_seq, reason) SELECT *, 'Broken' FROM gone"
    )
    listed = await sojourn("quarantine", "list")
    assert f"{scene.name('cleo')}  signed_up" in listed
    assert "say which" in await sojourn("quarantine", "release", code=1)
    assert await sojourn("quarantine", "release", "--all") == "1 events are told again."
    await scene.relay_all()
    assert len(await scene.enrollments()) == 3
    assert len((await sojourn("quarantine", "list")).splitlines()) == 1
