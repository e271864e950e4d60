from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from storage.database import Database
from storage.timeline import Moment, timeline

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
EVERYTHING = """
INSERT INTO users (app, id, user_id, merged_into) OVERRIDING SYSTEM VALUE VALUES ('demo', 1, 'ann', NULL), ('demo', 2, NULL, 1), ('demo', 3, 'bob', NULL);
INSERT INTO events (app, received_at, user_id, event_id, name, occurred_at) VALUES
    ('demo', now(), 1, 'e1', 'signed_up', '2026-11-02 12:00Z'), ('demo', now(), 2, 'e0', 'page_viewed', '2026-11-02 11:00Z'),
    ('demo', now(), 3, 'e9', 'signed_up', '2026-11-02 12:00Z');
INSERT INTO journeys (app, name, live_version) VALUES ('demo', 'onboarding', 1);
INSERT INTO journey_versions (app, journey, version, hash, definition, entry_names, listen_names) VALUES ('demo', 'onboarding', 1, 'h', '{}', '{}', '{}');
INSERT INTO enrollments (app, id, user_id, subject, journey, version, n, workflow_id, entry_event_id, entry_name, entered_at, started_at, state,
    ended_at, end_reason) VALUES ('demo', '00000000-0000-8000-8000-000000000001', 1, 'ann', 'onboarding', 1, 1, 'w', 'e1', 'signed_up',
    '2026-11-02 12:00Z', '2026-11-02 12:01Z', 'closed', '2026-11-02 12:05Z', 'completed');
INSERT INTO refused_entries (app, journey, event_id, user_id, reason, refused_at) VALUES ('demo', 'onboarding', 'e2', 1, 'not_again_yet', '2026-11-02 12:06Z');
INSERT INTO step_outcomes (app, enrollment_id, step, visit, verdict, began_at) VALUES
    ('demo', '00000000-0000-8000-8000-000000000001', 'has_app', 1, '{"kind": "decided", "branch": 0}', '2026-11-02 12:02Z'),
    ('demo', '00000000-0000-8000-8000-000000000001', '$exit:has_app', 1, '{"kind": "decided", "branch": null}', '2026-11-02 12:02Z'),
    ('demo', '00000000-0000-8000-8000-000000000001', 'welcome', 1, '{"status": "settled"}', '2026-11-02 12:03Z');
INSERT INTO messages (id, app, user_id, source, step, visit, target, journey, channel, message_class, template, state, planned_at) VALUES
    ('00000000-0000-8000-8000-00000000000a', 'demo', 1, '00000000-0000-8000-8000-000000000001', 'welcome', 1, 't', 'onboarding', 'email',
    'marketing', 'welcome', 'sent', '2026-11-02 12:03Z');
INSERT INTO consents (app, user_id, channel, topic, state, source, recorded_at) VALUES
    ('demo', 1, 'email', 'general', 'withdrawn', 'unsubscribe', '2026-11-02 12:04Z');
"""  # noqa: E501


@pytest.fixture
async def lived(database: Database) -> Database:
    async with database.transaction() as connection:
        for statement in EVERYTHING.split(";\n"):
            if statement:
                await connection.exec_driver_sql(statement)
    return database


async def lines(database: Database, **more: object) -> list[Moment]:
    async with database.transaction("demo") as connection:
        return await timeline(connection, "demo", 1, **more)  # type: ignore[arg-type]


async def test_everything_about_a_person_is_told_newest_first(lived: Database) -> None:
    assert [(line.kind, (line.at - NOON) // timedelta(minutes=1)) for line in await lines(lived)] == [
        ("not_entered", 6),
        ("ended", 5),
        ("consent", 4),
        ("message", 3),  # and not its step outcome as well
        ("step", 2),
        ("entered", 1),
        ("event", 0),
        ("event", -60),  # of the anonymous past that was joined
    ]


async def test_pages_lose_and_repeat_nothing_though_moments_are_equal(lived: Database) -> None:
    async with lived.transaction() as connection:
        await connection.execute(text("UPDATE events SET occurred_at = '2026-11-02 12:03Z'"))
        await connection.execute(text("UPDATE consents SET recorded_at = '2026-11-02 12:03Z'"))
    whole = await lines(lived)
    pages: list[Moment] = []
    while page := await lines(lived, most=1, before=(pages[-1].at, pages[-1].kind, pages[-1].id) if pages else None):
        pages += page
    assert pages == whole
    assert len(whole) == 8


async def test_another_app_sees_nothing_of_it(lived: Database) -> None:
    async with lived.transaction("other") as connection:
        assert await timeline(connection, "demo", 1) == []
