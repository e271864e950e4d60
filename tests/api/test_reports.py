"""What the report operation answers."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from journeys.language import Journey, Send, Wait, WaitFor, days, email, event
from storage.database import Database
from tests.workflows.crowd import Crowd
from workflows.reports import ReportLane

TIDY = Journey(
    "tidy",
    starts_on=event("joined"),
    goal=event("order_placed").within(days(1)),
    steps=[
        Send("hello", email("hello"), otherwise=[Send("again", email("again"))]),
        Wait("think", days(1)),
        WaitFor("looked", event("seen"), within=days(2)),
        Send("bye", email("bye")),
    ],
)
ENTERED = datetime.now(UTC).replace(minute=10, second=0, microsecond=0) - timedelta(hours=30)
SENT = {"kind": "send", "status": "settled", "sent": True, "reasons": [], "claimed_at": None}


@pytest.fixture
async def told(database: Database) -> Crowd:
    """Three people: ann waits, bob came through all of it and bought late, cleo is held out and bought by an import."""
    crowd = Crowd(database, seed=1)
    await crowd.publish(TIDY)
    for number, (state, reason) in enumerate([("open", None), ("closed", "completed"), ("closed", "holdout")], start=1):
        started = ENTERED + timedelta(hours=number)
        await crowd.run("INSERT INTO users (app, user_id) VALUES ('demo', :name)", name=f"user-{number}")
        await crowd.run(
            "INSERT INTO enrollments (app, id, user_id, subject, journey, version, n, workflow_id, entry_event_id, entry_name, entered_at,"
            " started_at, state, end_reason) VALUES"
            " ('demo', time_floor(CAST(:started AS timestamptz)), CAST(:number AS bigint), 's', 'tidy', 1, 1, :name, :name, 'joined',"
            " :started, :started, :state, :reason)",
            started=started, number=number, name=f"user-{number}", state=state, reason=reason,
        )  # fmt: skip
    steps = "INSERT INTO step_outcomes (app, enrollment_id, step, visit, verdict) SELECT 'demo', id, :step, 1, :sent FROM enrollments"
    await crowd.run(f"{steps} WHERE user_id < 3", step="hello", sent=SENT)
    await crowd.run(f"{steps} WHERE user_id = 2", step="bye", sent=SENT)
    bought = (
        "INSERT INTO events (app, received_at, user_id, event_id, name, occurred_at, is_history)"
        " VALUES ('demo', now(), :user, :id, 'order_placed', :at, :is_history)"
    )
    await crowd.run(bought, user=2, id="late", at=ENTERED + timedelta(hours=28), is_history=False)
    await crowd.run(bought, user=3, id="import", at=ENTERED + timedelta(hours=4), is_history=True)
    await ReportLane(database).catch_up()
    return crowd


async def ask(manager: httpx.AsyncClient, **query: Any) -> Any:
    answer = await manager.get("/v1/journeys/tidy/report", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.usefixtures("told")
async def test_waits_write_nothing_and_are_told_from_the_step_before(manager: httpx.AsyncClient) -> None:
    found = await ask(manager)
    assert found["now"] == [{"after": "hello", "way": "sent", "at": ["think", "looked"], "people": 1}]
    assert {step["step"]: step["here_now"] for step in found["steps"]} == {"hello": 0, "again": 0, "think": 1, "looked": 0, "bye": 0}
    assert {step["step"]: step["passed"] for step in found["steps"]} == {"hello": 2, "again": 0, "think": None, "looked": None, "bye": 1}


@pytest.mark.usefixtures("told")
async def test_the_goal_counts_within_its_window_for_the_holdout_too_by_when_it_occurred(manager: httpx.AsyncClient) -> None:
    found = await ask(manager)
    assert (found["entered"], found["inside"]) == (2, 1)
    assert (found["converted"]["n"], found["converted"]["of"]) == (0, 2)  # bob bought 26 hours after he entered
    assert (found["holdout"]["converted"]["n"], found["holdout"]["held_out"]) == (1, 1)
    assert found["holdout"]["difference"]["rate"] == -1
    assert found["goal"] == "order_placed within 1 day"


@pytest.mark.usefixtures("told")
async def test_a_late_event_still_counts(manager: httpx.AsyncClient, told: Crowd, database: Database) -> None:
    await told.run(
        "INSERT INTO events (app, received_at, user_id, event_id, name, occurred_at) VALUES ('demo', now(), 1, 'e', 'order_placed', :at)",
        at=ENTERED + timedelta(hours=2),
    )
    await ReportLane(database).catch_up()
    until = datetime.now(UTC) + timedelta(seconds=5)
    while (await ask(manager))["converted"]["n"] == 0:
        assert datetime.now(UTC) < until
        await ReportLane(database).catch_up()
    assert (await ask(manager))["converted"]["n"] == 1


@pytest.mark.usefixtures("told")
async def test_a_range_is_cut_to_full_hours_and_told(manager: httpx.AsyncClient) -> None:
    found = await ask(manager, since=(ENTERED + timedelta(hours=2, minutes=5)).isoformat())
    assert found["entered"] == 1
    assert found["since"] == (ENTERED + timedelta(hours=2)).replace(minute=0).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.mark.usefixtures("told")
@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ({"since": "2026-11-01T00:00:00"}, "/since"),
        ({"arm": "a"}, "/split"),
        ({"split": "a"}, "/arm"),
        ({"split": "a", "arm": "b"}, "/split"),
    ],
)
async def test_what_cannot_be_asked_is_said_with_its_place(manager: httpx.AsyncClient, query: dict[str, str], pointer: str) -> None:
    answer = await manager.get("/v1/journeys/tidy/report", params=query)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)


async def test_before_anything_is_counted_it_says_so(manager: httpx.AsyncClient, database: Database) -> None:
    await Crowd(database, seed=1).publish(TIDY)
    found = await ask(manager)
    assert (found["as_of"], found["entered"], found["converted"]) == (None, 0, None)
    assert (await manager.get("/v1/journeys/other/report")).status_code == 404


async def test_what_messages_cost_is_summed_by_step_currency_and_journey(
    manager: httpx.AsyncClient, told: Crowd, database: Database
) -> None:
    messages = (
        "INSERT INTO messages (id, app, user_id, source, step, visit, target, journey, channel, message_class, state, units, price,"
        " currency) SELECT message_id(started_at, 'demo', id::text, :step, 1, :target), 'demo', user_id, id::text, :step, 1, :target,"
        " 'tidy', 'sms', 'marketing', 'sent', :units, CAST(:price AS numeric), :currency FROM enrollments WHERE user_id = :user"
    )
    rows = [
        ("hello", 1, 2, "0.145", "EUR"),
        ("hello", 2, 1, "0.0725", "EUR"),
        ("bye", 2, 3, "0.000001", "USD"),
        ("bye", 2, 1, None, None),  # counted and not priced
    ]
    for place, (step, user, units, price, currency) in enumerate(rows):
        values = {"step": step, "user": user, "units": units, "price": price, "currency": currency, "target": str(place)}
        await told.run(messages, **values)
    await manager.post("/v1/journeys/tidy/report/rebuild")
    await ReportLane(database).catch_up()
    found = await ask(manager)
    by_step = {step["step"]: step["messages"] for step in found["steps"] if step["messages"]}
    assert [by_step[step]["units"] for step in ("hello", "bye", "again")] == [3, 4, 0]
    assert by_step["hello"]["costs"] == [{"amount": "0.2175", "currency": "EUR"}]
    assert by_step["again"]["costs"] == []
    assert found["costs"] == [{"amount": "0.2175", "currency": "EUR"}, {"amount": "0.000001", "currency": "USD"}]
