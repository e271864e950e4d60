"""Journeys that start on a date, on a real Postgres and a real Temporal: each person enters at their moment, once."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from activities import dates
from activities.dates import DateLane
from journeys.language import ALWAYS, Journey, Send, Update, Wait, date, days, email, event, trait
from storage import due_dates, outbox
from storage.database import Connection
from tests.activities.imports.runs import imported
from tests.workflows.stage import Stage

RENEWAL = Journey(
    "renewal-date", starts_on=date(trait("renews_on") - days(7)), steps=[Wait("a_while", days(1)), Send("notice", email("renewal-notice"))]
)


async def known(scene: Stage, user: str, traits: Mapping[str, Any], *, since: timedelta = timedelta(0)) -> None:
    """Somebody says so, and said it so long ago, while nobody looked."""
    await scene.person(user, traits=traits)
    await known_since(scene, since)


async def known_since(scene: Stage, since: timedelta) -> None:
    await scene.execute("UPDATE changed_people SET changed_at = changed_at - CAST(:since AS interval)", since=since)


async def come_in(scene: Stage, lane: DateLane | None = None) -> None:
    await (lane or DateLane(scene.database)).look()
    await scene.relay_all()


async def entered(scene: Stage, journey: str = "renewal-date") -> list[tuple[Any, ...]]:
    rows = await scene.execute(
        "SELECT subject, state, entry_name, entered_at, entry_properties FROM enrollments WHERE journey = :journey ORDER BY started_at",
        journey=journey,
    )
    return [tuple(row) for row in rows]


async def refused(scene: Stage) -> list[str]:
    return [row.reason for row in await scene.execute("SELECT reason FROM refused_entries ORDER BY reason")]


def renewing(in_: timedelta) -> dict[str, str]:
    return {"renews_on": (datetime.now(UTC) + timedelta(days=7) + in_).isoformat()}


async def test_somebody_enters_at_their_moment_and_gets_what_is_sent(scene: Stage) -> None:
    await scene.publish_template("renewal-notice")
    await scene.publish(RENEWAL)
    traits = renewing(timedelta(seconds=1.5))
    await known(scene, "ann", traits)
    await come_in(scene)
    assert await entered(scene) == []
    await asyncio.sleep(1.6)
    await come_in(scene)
    moment = datetime.fromisoformat(traits["renews_on"]) - timedelta(days=7)
    assert await entered(scene) == [(scene.name("ann"), "open", "date", moment, {"moment": moment.isoformat()})]
    handle = await scene.workflow("renewal-date")
    await scene.pass_time(handle, timedelta(days=1))
    assert await scene.finished(handle) == "completed"


async def test_who_is_imported_enters_at_their_moment_and_so_does_who_is_known_already(scene: Stage) -> None:
    await scene.publish(RENEWAL)
    await known(scene, "ben", {"name": "Ben"})
    on = renewing(timedelta(seconds=-1))["renews_on"]
    rows = [f"{scene.name(user)},{on}" for user in ("ann", "ben")]
    await imported(scene.database, "\n".join(["user_id,renews_on", *rows]))
    await known_since(scene, timedelta(minutes=1))
    await come_in(scene)
    moment = datetime.fromisoformat(on) - timedelta(days=7)
    assert sorted((row[0], row[3]) for row in await entered(scene)) == [(scene.name(user), moment) for user in ("ann", "ben")]


async def test_imported_renewals_of_last_year_start_nothing(scene: Stage) -> None:
    await scene.publish(RENEWAL)
    await imported(scene.database, f"user_id,renews_on\n{scene.name('ann')},{renewing(timedelta(seconds=-1))['renews_on']}\n")
    await come_in(scene)
    assert (await entered(scene), await refused(scene)) == ([], [])


async def test_a_date_that_another_journey_sets_lets_them_in(scene: Stage) -> None:
    await scene.publish(RENEWAL, Journey("ordering", starts_on=event("ordered"), steps=[Update("renew", renewing(-timedelta(seconds=1)))]))
    await known(scene, "ann", {"name": "Ann"})
    await scene.track("ordered")
    assert await scene.finished(await scene.workflow("ordering")) == "completed"
    await known_since(scene, timedelta(minutes=1))
    await come_in(scene)
    assert [row[0] for row in await entered(scene)] == [scene.name("ann")]


async def test_a_date_that_becomes_theirs_by_being_one_with_somebody_lets_them_in(scene: Stage) -> None:
    await known(scene, "ann", {"name": "Ann"})
    guest: dict[str, Any] = {"user_id": None, "anonymous_id": scene.name("guest")}
    await scene.accept(scene.item("identified", traits=renewing(-timedelta(seconds=1)), **guest))
    await scene.publish(RENEWAL)
    await come_in(scene)
    assert await entered(scene) == []
    await scene.accept(scene.item("identified", anonymous_id=scene.name("guest"), joins=True))
    await known_since(scene, timedelta(minutes=1))
    await come_in(scene)
    assert [row[0] for row in await entered(scene)] == [scene.name("ann")]


async def test_a_moment_that_is_past_when_it_becomes_known_starts_nothing(scene: Stage) -> None:
    await known(scene, "ben", renewing(timedelta(seconds=-2)))
    await scene.publish(RENEWAL)
    await known(scene, "ann", renewing(timedelta(seconds=-2)))
    await come_in(scene)
    assert (await entered(scene), await refused(scene)) == ([], [])


async def test_what_came_while_nobody_worked_is_made_up_for_until_it_is_too_late(scene: Stage) -> None:
    await scene.publish(RENEWAL)
    await known(scene, "ann", renewing(-timedelta(hours=3)), since=timedelta(hours=4))
    await known(scene, "ben", renewing(-timedelta(hours=30)), since=timedelta(hours=31))
    await come_in(scene)
    assert [row[0] for row in await entered(scene)] == [scene.name("ann")]
    assert await refused(scene) == ["too_late"]


async def test_a_lane_that_dies_before_it_commits_lets_the_next_one_let_them_in(scene: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    await scene.publish(RENEWAL)
    await known(scene, "ann", renewing(-timedelta(seconds=1)), since=timedelta(minutes=1))
    whole = outbox.ask_all

    async def dying(connection: Connection, app: str, asked: Any) -> None:
        await whole(connection, app, asked)
        raise RuntimeError("killed")

    monkeypatch.setattr(outbox, "ask_all", dying)
    with pytest.raises(RuntimeError):
        await come_in(scene)
    monkeypatch.setattr(outbox, "ask_all", whole)
    assert await entered(scene) == []
    await come_in(scene)
    assert len(await entered(scene)) == 1


async def test_two_lanes_and_the_same_moment_written_down_again_let_nobody_in_twice(scene: Stage) -> None:
    await scene.publish(Journey("renewal-date", starts_on=RENEWAL.starts_on, again_after=ALWAYS, steps=[Wait("a_while", days(1))]))
    await known(scene, "ann", renewing(-timedelta(seconds=1)), since=timedelta(minutes=1))
    await scene.execute("UPDATE date_journeys SET known_at = now() - interval '1 hour'")
    lanes = [DateLane(scene.database) for _ in range(2)]
    await asyncio.gather(*(lane.look() for lane in lanes))
    await scene.relay_all()
    # So that only the moment, and not that they are inside, keeps them from entering again.
    await scene.execute("UPDATE enrollments SET state = 'closed', ended_at = now(), end_reason = 'completed'")
    await scene.execute(
        "INSERT INTO due_dates (app, journey, user_id, due_at)"
        " SELECT app, journey, user_id, entered_at FROM enrollments WHERE journey = 'renewal-date'"
    )
    await come_in(scene)
    assert len(await entered(scene)) == 1


async def test_no_more_enter_at_once_than_the_lane_lets_in(scene: Stage) -> None:
    await scene.publish(RENEWAL)
    for user in ("ann", "ben", "cem"):
        await known(scene, user, renewing(-timedelta(seconds=1)), since=timedelta(minutes=1))
    lane = DateLane(scene.database, per_second=2)
    await come_in(scene, lane)
    assert len(await entered(scene)) == 2
    await come_in(scene, lane)
    assert len(await entered(scene)) == 3


async def test_whoever_s_moment_has_come_does_not_wait_until_everybody_is_read(scene: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    await scene.publish(RENEWAL)
    for user in ("ann", "ben"):
        await known(scene, user, renewing(-timedelta(seconds=1)), since=timedelta(minutes=1))
    asked_in: list[int] = []
    read = due_dates.read_changed

    async def slowly(connection: Connection) -> bool:
        asked_in.append(len(await scene.execute("SELECT kind FROM outbox")))
        return await read(connection, most=1)

    monkeypatch.setattr(due_dates, "read_changed", slowly)
    monkeypatch.setattr(dates, "EVERY_S", 0.0)
    await DateLane(scene.database).look()
    assert asked_in == [0, 1, 2]


async def test_nobody_enters_a_journey_that_takes_nobody_in(scene: Stage) -> None:
    await scene.publish(RENEWAL)
    await known(scene, "ann", renewing(-timedelta(seconds=1)), since=timedelta(minutes=1))
    await scene.execute("UPDATE journeys SET accepts_entries = false")
    await come_in(scene)
    assert (await entered(scene), await refused(scene)) == ([], ["entries_closed"])


async def test_only_one_process_is_at_it(scene: Stage) -> None:
    await scene.publish(RENEWAL)
    async with scene.database.transaction() as other:
        assert await due_dates.only_one(other)
        await known(scene, "ann", renewing(-timedelta(seconds=1)), since=timedelta(minutes=1))
        await come_in(scene)
        assert await entered(scene) == []
    await come_in(scene)
    assert len(await entered(scene)) == 1
