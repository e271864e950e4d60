"""Erasing somebody: every column of every table and every history is read for what was known of them."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text
from temporalio.api.enums.v1 import EventType
from temporalio.service import RPCError

from api.app import create_app
from journeys.language import ALWAYS, Journey, Send, Wait, WaitFor, days, email, event, prop
from settings import Settings
from storage import erasures, keys
from storage.database import Database
from storage.events import Accepted, Incoming, accept
from storage.ids import address_hash
from tests.workflows.stage import APP, Stage
from workflows.erasures import Erasures, forget

FINISHED = Journey("greeting", starts_on=event("signed_up"), again_after=ALWAYS, steps=[Send("hello", email("hello"))])
WAITING = Journey(
    "waiting",
    starts_on=event("signed_up"),
    key=prop("account"),
    steps=[WaitFor("seen", event("seen"), within=days(5)), Send("later", email("hello")), Wait("end", days(30))],
)
ONCE = Journey("once", starts_on=event("signed_up"), steps=[Wait("long", days(9))])
# Words that stand nowhere else: whatever of them is found was left behind.
ADDRESS, PHONE, TOKEN = "zeta.quill@example.com", "+4915199988877", "tok-zetaquill"
SECRETS = ("zetaquill", "Quillington", "zeta.quill@example.com", "4915199988877", "accountquill", "refquill")
COLUMNS = """
    SELECT c.table_name, c.column_name FROM information_schema.columns c
    JOIN pg_class t ON t.relname = c.table_name AND t.relnamespace = 'public'::regnamespace
        AND t.relkind IN ('r', 'p') AND NOT t.relispartition
    WHERE c.table_schema = 'public' AND c.data_type NOT IN ('boolean', 'uuid')
"""


@pytest.fixture
async def app(scene: Stage, database_url: str) -> AsyncIterator[FastAPI]:
    app = create_app(Settings(database_url=database_url, temporal_task_queue=scene.temporal.task_queue), scene.database, scene.client)
    yield app
    await app.state.notify.close()
    await app.state.renderer.close()


@pytest.fixture
async def manager(app: FastAPI, database: Database) -> AsyncIterator[httpx.AsyncClient]:
    async with database.transaction() as connection:
        key = await keys.create(connection, APP, "secret")
    headers = {"authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://sojourn", headers=headers) as client:
        yield client


async def found_in_tables(database: Database, words: Sequence[str]) -> list[str]:
    """Every table.column in which one of the words stands, whatever its type."""
    async with database.transaction() as connection:
        columns = (await connection.execute(text(COLUMNS))).all()
        places = [
            f"{table}.{column}: {word}"
            for table, column in columns
            for word in words
            if (
                await connection.execute(
                    text(f"SELECT EXISTS (SELECT FROM \"{table}\" WHERE \"{column}\"::text ILIKE '%' || :word || '%')"), {"word": word}
                )
            ).scalar()
        ]
    assert len(columns) > 100
    return places


async def histories_with(scene: Stage, words: Sequence[str]) -> list[str]:
    """Workflows of this test's queue whose history holds one of the words."""
    places = []
    async for execution in scene.client.list_workflows(f'TaskQueue = "{scene.temporal.task_queue}"'):
        try:
            history = await scene.client.get_workflow_handle(execution.id, run_id=execution.run_id).fetch_history()
        except RPCError:
            continue
        told = b"".join(event.SerializeToString() for event in history.events)
        assert any(each.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED for each in history.events)
        places += [f"{execution.id}: {word}" for word in words if word.encode() in told or word in execution.id]
    return places


async def gone(scene: Stage, words: Sequence[str]) -> list[str]:
    """What Temporal still has of the words; a workflow that has just ended is deleted after half a minute."""
    for _ in range(900):
        left = await histories_with(scene, words)
        if not left:
            return []
        await asyncio.sleep(0.1)
    return left


async def make_full_life(scene: Stage, manager: httpx.AsyncClient, who: str) -> None:
    """Let somebody leave traces in as many tables as the product has."""
    await scene.publish(FINISHED, WAITING, ONCE)
    await scene.publish_template("hello")
    entry = {"account": f"accountquill-{who}", "what": "Quillington"}
    for anonymous in (f"anon-zetaquill-{who}",):
        await scene.accept(scene.item("page_viewed", user_id=None, anonymous_id=anonymous, properties={"title": "Quillington"}))
        await scene.accept(
            scene.item("identified", user_id=who, anonymous_id=anonymous, joins=True, traits={"email": ADDRESS, "surname": "Quillington"})
        )
    await manager.put(f"/v1/users/old-{who}", json={"attributes": {"email": ADDRESS, "phone": PHONE}})
    await scene.accept(scene.item("seen", user_id=f"old-{who}", properties={"by": "Quillington"}))
    merged = await manager.post(f"/v1/users/{who}/merge", json={"from_user_id": f"old-{who}"}, headers={"idempotency-key": f"m-{who}"})
    assert merged.status_code == 200
    await manager.post(f"/v1/users/{who}/endpoints", json={"channel": "push", "address": TOKEN}, headers={"idempotency-key": f"e-{who}"})
    await manager.post(f"/v1/users/{who}/consents", json={"channel": "sms", "state": "granted", "proof": {"ip": "Quillington"}})
    await manager.post("/v1/suppressions", json={"channel": "sms", "address": PHONE})
    await scene.track("signed_up", properties=entry, user_id=who)
    await scene.track("signed_up", properties={"what": "Quillington"}, user_id=who, event_id=f"refquill-{who}")
    body = {"channel": "email", "user_id": who, "content": {"subject": "Quillington", "text": "x", "from": "us@example.com"}}
    await manager.post("/v1/messages", json=body, headers={"idempotency-key": f"refquill-{who}"})
    await manager.post("/v1/messages", json={**body, "user_id": None, "address": ADDRESS})
    await scene.execute(
        "INSERT INTO quarantine (app, user_id, kind, reason, request)"
        " SELECT app, user_id, 'request', 'x', '{\"properties\": \"Quillington\"}' FROM identities WHERE value = :who",
        who=who,
    )
    await scene.execute(
        "INSERT INTO provider_events (app, account, provider, event_id, kind, word, address_hash, occurred_at, raw)"
        " VALUES ('demo', 'email/main', 'ses', 'x', 'bounced', 'Bounce', :hash, now(), :raw)",
        hash=address_hash(APP, "email", ADDRESS),
        raw=f'{{"email": "{ADDRESS}"}}',
    )
    await scene.execute("INSERT INTO segments (app, name, kind) VALUES ('demo', :name, 'static')", name=scene.name("friends"))
    await scene.execute(
        "INSERT INTO listed_people (app, segment, user_id) SELECT app, :name, user_id FROM identities WHERE value = :who",
        name=scene.name("friends"),
        who=who,
    )
    of_whom = "FROM identities WHERE value = :who"
    await scene.execute("INSERT INTO date_journeys (app, journey, version) VALUES ('demo', 'once', 1) ON CONFLICT DO NOTHING")
    await scene.execute(f"INSERT INTO due_dates (app, journey, user_id, due_at) SELECT app, 'once', user_id, now() {of_whom}", who=who)
    await scene.execute(f"INSERT INTO changed_people (app, user_id) SELECT app, user_id {of_whom}", who=who)
    await scene.execute("INSERT INTO schedules (app, journey, entry) VALUES ('demo', 'once', '') ON CONFLICT DO NOTHING")
    run = "INSERT INTO schedule_runs (app, journey, struck_at, zones, state) VALUES ('demo', 'once', now(), '{}', 'running') RETURNING n"
    number = (await scene.execute(run))[0].n
    await scene.execute(f"INSERT INTO schedule_people (app, run, user_id) SELECT app, :n, user_id {of_whom}", n=number, who=who)
    await scene.execute(
        "INSERT INTO unclear_replies (app, user_id, channel, body)"
        " SELECT app, user_id, 'sms', 'stop, Quillington' FROM identities WHERE value = :who",
        who=who,
    )
    await scene.execute(
        "INSERT INTO interventions (app, enrollment_id, request, kind, outcome, detail, done_by)"
        " SELECT app, id, 'r', 'exit', 'done', '{\"reason\": \"Quillington\"}', 'k' FROM enrollments"
    )
    await scene.execute(
        "INSERT INTO jobs (app, id, kind, state, parameters)"
        " VALUES ('demo', gen_random_uuid(), 'exit', 'done', jsonb_build_object('u', CAST(:who AS text)))",
        who=who,
    )


async def test_nothing_is_left_of_somebody_who_was_erased(scene: Stage, manager: httpx.AsyncClient, database: Database) -> None:
    who = scene.name("zetaquill")
    await make_full_life(scene, manager, who)
    await scene.finished(scene.client.get_workflow_handle(f"{APP}/greeting/{who}#1"))
    await scene.accept(scene.item("seen", user_id=who))  # told to nobody yet: an outbox row
    before = await found_in_tables(database, SECRETS)
    tables = {place.split(".")[0] for place in before}
    assert tables >= {
        "users", "identities", "endpoints", "consents", "events", "enrollments", "refused_entries", "messages", "direct_sends",
        "sandbox_messages", "idempotency_keys", "quarantine", "interventions", "jobs", "provider_events", "unclear_replies",
    }  # fmt: skip
    assert await histories_with(scene, SECRETS)
    counted = await scene.execute("SELECT count(*) AS messages, (SELECT count(*) FROM enrollments) AS enrollments FROM messages")

    answer = await manager.delete(f"/v1/users/{who}")

    assert (answer.status_code, answer.json()["removed"]["users"]) == (202, 2)
    # The workflow ids stay until Temporal has forgotten them; they are in the row of the erasure alone, and in no answer.
    assert {place.split(":")[0] for place in await found_in_tables(database, SECRETS)} == {"erasures.workflows"}
    assert "zetaquill" not in answer.text
    assert await gone(scene, SECRETS) == []
    await Erasures(database, scene.client, settled_s=0).finish()
    assert await found_in_tables(database, SECRETS) == []
    assert (await manager.get(f"/v1/erasures/{answer.json()['id']}")).json()["finished_at"] is not None
    after = await scene.execute("SELECT count(*) AS messages, (SELECT count(*) FROM enrollments) AS enrollments FROM messages")
    assert after == counted
    suppressed = await manager.get("/v1/suppressions")
    assert [row["reason"] for row in suppressed.json()["items"]] == ["manual"]


async def test_whoever_comes_after_an_erasure_is_somebody_new(scene: Stage, manager: httpx.AsyncClient, database: Database) -> None:
    who = scene.name("zetaquill")
    await scene.publish(ONCE)
    await scene.track("signed_up", user_id=who)
    assert (await manager.delete(f"/v1/users/{who}")).status_code == 202
    assert (await manager.delete(f"/v1/users/{who}")).status_code == 404
    await gone(scene, [who])
    # Once in a lifetime, and this is another life: the same workflow id is free again.
    await scene.track("signed_up", user_id=who)
    assert (await manager.get(f"/v1/users/{who}")).json()["attributes"] == {}
    assert await scene.enrollments() == [("closed", "erased"), ("open", None)]
    await Erasures(database, scene.client, settled_s=0).finish()
    running = await scene.client.get_workflow_handle(f"{APP}/once/{who}#1").describe()
    assert (running.status or 0).name == "RUNNING"  # type: ignore[union-attr]


async def test_an_event_that_was_sent_before_and_comes_again_brings_nobody_back(scene: Stage, manager: httpx.AsyncClient) -> None:
    item = scene.item("signed_up", user_id=scene.name("zetaquill"))
    await scene.accept(item)
    await manager.delete(f"/v1/users/{item.user_id}")
    assert [accepted.verdict for accepted in await scene.accept(item)] == ["duplicate"]
    assert (await manager.get(f"/v1/users/{item.user_id}")).status_code == 404


async def test_a_workflow_that_a_relay_starts_late_is_deleted_too(scene: Stage, manager: httpx.AsyncClient, database: Database) -> None:
    """The relay has written `starting` and is about to start the workflow when the person is erased."""
    who = scene.name("zetaquill")
    await scene.publish(ONCE)
    await scene.accept(scene.item("signed_up", user_id=who))
    started: list[Any] = []
    start = scene.temporal.start
    scene.temporal.start = lambda *given: _later(started, given)  # type: ignore[method-assign]
    await scene.relay.pass_once()
    assert len(started) == 1
    answer = await manager.delete(f"/v1/users/{who}")
    await start(*started[0])
    async with database.transaction() as connection:
        erasure = await erasures.get(connection, APP, UUID(answer.json()["id"]))
    assert await forget(scene.client, erasure) == 1
    assert await gone(scene, [who]) == []


async def _later(started: list[Any], given: Any) -> None:
    started.append(given)


async def test_what_comes_in_while_somebody_is_erased_is_a_new_person_or_gone(scene: Stage, manager: httpx.AsyncClient) -> None:
    """Ingest and erasure at once, again and again: no event is left that belongs to nobody, and none fails."""
    who = scene.name("zetaquill")
    for turn in range(8):
        body = [scene.item("seen", user_id=who, traits={"n": turn}) for _ in range(6)]
        await scene.accept(body[0])
        sending = asyncio.gather(*(_send(scene, item) for item in body[1:]))
        answer = await manager.delete(f"/v1/users/{who}")
        await sending
        assert answer.status_code == 202
    orphans = await scene.execute("SELECT count(*) AS n FROM events e WHERE NOT EXISTS (SELECT FROM users u WHERE u.id = e.user_id)")
    assert orphans[0].n == 0


async def _send(scene: Stage, item: Incoming) -> list[Accepted]:
    return await scene.database.run(lambda connection: accept(connection, APP, [item], received_at=datetime.now(UTC)))


async def test_what_a_send_in_flight_writes_down_after_an_erasure_is_swept(
    scene: Stage, manager: httpx.AsyncClient, database: Database
) -> None:
    who = scene.name("zetaquill")
    await scene.publish(FINISHED)
    await scene.publish_template("hello")
    await scene.person("zetaquill")
    provider = scene.answers("email", "hang")
    await scene.track("signed_up", "zetaquill")
    await asyncio.wait_for(provider.called.wait(), 10)
    answer = await manager.delete(f"/v1/users/{who}")
    [message] = await scene.execute("SELECT id, state, reason FROM messages")
    assert (message.state, message.reason) == ("given_up", "erased")
    await scene.execute(
        "INSERT INTO sandbox_messages (app, id, channel, recipient, content) VALUES ('demo', :id, 'email', :who, '{}')",
        id=message.id,
        who=who,
    )
    provider.released.set()
    await gone(scene, [who])
    await Erasures(database, scene.client, settled_s=0).finish()
    assert answer.status_code == 202
    assert await found_in_tables(database, [who]) == []
