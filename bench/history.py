"""What the reference journey costs in Temporal's history, on the good path and with the provider down at each Send."""

import asyncio
from collections.abc import Mapping
from typing import Any

from temporalio.api.enums.v1 import EventType

from bench import harness
from cli.embedded_postgres import EmbeddedPostgres
from journeys.language import Journey, Send, Wait, WaitFor, email, event, push, seconds, sms
from journeys.language.codec import to_json
from storage.database import Database
from tests.workflows.stage import Stage, stage

GOAL_EVENTS = 20
REFERENCE = Journey(
    "reference",
    starts_on=event("signed_up"),
    message_class="transactional",
    steps=[
        Send("welcome", email("welcome")),
        Wait("settle_in", seconds(1)),
        Send("guide", push("guide")),
        WaitFor("bought", event("order_placed"), within=seconds(2), otherwise=[Send("coupon", sms("coupon"))]),
    ],
)


def main() -> None:
    with harness.folder() as place, harness.postgres(place) as server, harness.temporal(place, server) as address:
        good = asyncio.run(measure(server, address, ()))
        down = asyncio.run(measure(server, address, ("not_sent", "ok")))
    print(f"good path: {good}")
    print(f"provider down once at each Send: {down}")
    harness.report("history", good["events"], "history events", limit=GOAL_EVENTS, goal=1.0, at_most=True)


async def measure(server: EmbeddedPostgres, address: str, script: tuple[str, ...]) -> Mapping[str, int]:
    """Events, workflow tasks, ordinary activities and bytes beyond the definition of one enrollment."""
    name = f"history_{len(script)}"
    server.create_database(name, template="sojourn")
    database = Database(server.database_url(name))
    await _add_app(database)
    try:
        async with stage(database, address, with_virtual_time=False) as scene:
            return await _measure(scene, script)
    finally:
        await database.close()


async def _add_app(database: Database) -> None:
    async with database.transaction() as connection:
        await connection.exec_driver_sql("INSERT INTO apps (id, name) VALUES ('demo', 'Demo')")


async def _measure(scene: Stage, script: tuple[str, ...]) -> Mapping[str, int]:
    if script:
        for channel in ("email", "push", "sms"):
            scene.answers(channel, *script)
    await scene.publish(REFERENCE)
    await scene.publish_template("welcome", "guide", "coupon")
    await scene.person()
    await scene.track("signed_up")
    handle = await scene.workflow("reference")
    await scene.finished(handle)
    assert await scene.sent() == ["welcome", "guide", "coupon"]
    return _counted(await handle.fetch_history())


def _counted(history: Any) -> Mapping[str, int]:
    types = [EventType.Name(each.event_type) for each in history.events]
    return {
        "events": len(types),
        "workflow_tasks": types.count("EVENT_TYPE_WORKFLOW_TASK_COMPLETED"),
        "ordinary_activities": types.count("EVENT_TYPE_ACTIVITY_TASK_SCHEDULED"),
        "bytes_beyond_definition": sum(each.ByteSize() for each in history.events) - len(to_json(REFERENCE)),
    }


if __name__ == "__main__":
    main()
