"""The story of one person, as the API tells it."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI

from api.temporal import Trying, _workflows_if_there
from journeys.language import If, Journey, Send, Wait, days, email, event, trait
from storage.database import Database
from tests.workflows.crowd import Crowd
from workflows.inputs import Standing

STORY = Journey(
    "story",
    starts_on=event("joined"),
    holdout=10,
    steps=[Send("hello", email("hello")), If("gold", trait("plan") == "gold", then=[]), Wait("rest", days(1))],
)
INSIDE, HELD_OUT = UUID(int=1), UUID(int=2)
AT = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)


class Answering:
    """Stands for Temporal: every workflow waits."""

    async def standing(self, _workflow_id: str) -> Standing:
        return Standing(step="rest", since=AT, until=AT + timedelta(days=1), words="wait 1 day: rest")

    async def trying(self, _workflow_id: str) -> Trying:
        return Trying(3, "not_sent, 421 busy", AT.replace(hour=12, minute=4, second=31))


@pytest.fixture
async def lived(app: FastAPI, database: Database) -> Crowd:
    crowd = Crowd(database, seed=1)
    await crowd.publish(STORY)
    await crowd.run("INSERT INTO users (app, user_id, timezone) VALUES ('demo', 'ann', 'Europe/Berlin')")
    await crowd.run("INSERT INTO identities (app, kind, value, user_id) SELECT app, 'u', user_id, id FROM users")
    for number, (state, reason) in {INSIDE: ("open", None), HELD_OUT: ("closed", "holdout")}.items():
        await crowd.run(
            "INSERT INTO enrollments (app, id, user_id, subject, journey, version, key, n, workflow_id, entry_event_id, entry_name,"
            " entered_at, started_at, state, ended_at, end_reason) SELECT 'demo', :id, id, 'ann', 'story', 1, CAST(:w AS text), 1, :w, :w,"
            " 'joined', :at, :at, :state, :ended, :reason FROM users",
            id=number, w=f"w{number.int}", at=AT, state=state, reason=reason, ended=AT if reason else None,
        )  # fmt: skip
    await crowd.run(
        "INSERT INTO step_outcomes (app, enrollment_id, step, visit, verdict, began_at) VALUES ('demo', :id, 'gold', 1, :said, :at)",
        id=INSIDE, said={"kind": "decided", "branch": None}, at=AT + timedelta(minutes=2),
    )  # fmt: skip
    await crowd.run(
        "INSERT INTO messages (id, app, user_id, source, step, visit, target, journey, channel, message_class, template, state, reason,"
        " planned_at) SELECT :id, 'demo', id, :source, 'hello', 1, 'none', 'story', 'email', 'marketing', 'hello', 'skipped',"
        " 'no_endpoint', :at FROM users",
        id=INSIDE, source=str(INSIDE), at=AT + timedelta(minutes=1),
    )  # fmt: skip
    await crowd.run(
        "INSERT INTO refused_entries (app, journey, event_id, user_id, reason) SELECT 'demo', 'story', 'e', id, 'not_again' FROM users"
    )
    await crowd.run(
        "INSERT INTO interventions (app, enrollment_id, request, kind, outcome, done_by, at)"
        " VALUES ('demo', :id, 'r', 'advance', 'done', 'support', :at)", id=INSIDE, at=AT + timedelta(minutes=3),
    )  # fmt: skip
    app.dependency_overrides[_workflows_if_there] = Answering
    return crowd


async def story(manager: httpx.AsyncClient, **query: Any) -> Any:
    answer = await manager.get("/v1/users/ann/timeline", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.usefixtures("lived")
async def test_a_story_says_what_happened_and_what_would_have_to_be_different(manager: httpx.AsyncClient) -> None:
    told = await story(manager)
    assert (told["user_id"], told["timezone"]) == ("ann", "Europe/Berlin")
    assert [(item["words"], item["remedy"]) for item in reversed(told["items"])] == [
        ("entered story (version 1) by joined", ""),
        (
            "held out of story (entry by joined): 10 % get nothing and are measured, and this is one of them",
            "`holdout` of story says how many; the same people always",
        ),
        (
            'email "hello": not sent, because they have no address on email (story: hello)',
            "add one with POST /v1/users/ann/endpoints, or give the Send an `otherwise`",
        ),
        ("story: gold: the user's plan is gold? no", ""),
        ("story: let go on before its time (by support)", ""),
        ("did not enter story: each person enters this journey only once", "set `again_after` of story to let people enter again"),
    ]


@pytest.mark.usefixtures("lived")
async def test_what_goes_on_now_is_asked_of_the_workflow(manager: httpx.AsyncClient) -> None:
    (now,) = (await story(manager))["now"]
    assert (now["journey"], now["source"], now["words"], now["step"]) == ("story", "workflow", "wait 1 day: rest", "rest")
    assert now["trouble"] == "tried 3 times; the last time: the provider did not take it; 421 busy; again at 12:04:31 UTC"
    assert (await story(manager, limit=1, cursor=(await story(manager, limit=1))["next"]))["now"] == []


async def test_a_held_send_says_since_when_and_what_lets_it_go(manager: httpx.AsyncClient, lived: Crowd, app: FastAPI) -> None:
    app.dependency_overrides[_workflows_if_there] = lambda: None
    await lived.run(
        "INSERT INTO held_sends (app, enrollment_id, journey, step, visit) VALUES ('demo', :id, 'story', 'hello', 1)", id=INSIDE
    )
    (now,) = (await story(manager))["now"]
    assert (now["source"], now["words"]) == ("stored", "the next message is held: sending is paused")
    assert now["held_since"]
    assert now["remedy"] == "`sojourn resume` lets it go; nothing is lost meanwhile"


@pytest.mark.usefixtures("lived")
async def test_one_journey_and_one_step_can_be_asked_for(manager: httpx.AsyncClient) -> None:
    told = await story(manager, journey="story", step="hello")
    assert {item["kind"] for item in told["items"]} == {"message", "entered", "not_entered", "by_hand"}
    assert (await story(manager, journey="other"))["items"] == []
