"""Marketing stops by itself before the provider stops the account."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from activities.reputation import ReputationLane, Thresholds, exceeded
from activities.traffic import Traffic
from storage import reputations
from storage.account_states import AccountKey
from storage.reputations import Heard
from tests.activities.several import Several
from tests.activities.town import APP, Town, enroll, order_of


@pytest.mark.parametrize(
    ("heard", "bounced", "complained", "reason"),
    [
        (199, 199, 199, None),  # too few to say anything
        (200, 7, 0, None),  # 3.5 %
        (200, 8, 0, "too_many_bounces"),  # 4 %
        (10_000, 399, 7, None),  # 3.99 % and 0.07 %
        (10_000, 400, 0, "too_many_bounces"),
        (10_000, 0, 8, "too_many_complaints"),  # 0.08 %
        (10_000, 400, 8, "too_many_bounces"),
    ],
)
def test_marketing_stops_at_four_percent_bounces_or_eight_hundredths_of_complaints(
    heard: int, bounced: int, complained: int, reason: str | None
) -> None:
    assert exceeded(heard, bounced, complained, Thresholds()) == reason


async def hear(town: Town, *, good: int = 0, hard: int = 0, soft: int = 0, spam: int = 0, account: str = "first", ago_h: int = 0) -> None:
    at = datetime.now(UTC) - timedelta(hours=ago_h)
    events = [Heard(account, at)] * (good + soft) + [Heard(account, at, is_hard=True)] * hard
    async with town.database.transaction() as connection:
        await reputations.count(connection, APP, "email", events + [Heard(account, at, is_complaint=True)] * spam)


async def judge(town: Town) -> None:
    await ReputationLane(town.database).pass_once()


@pytest.mark.parametrize(("bad", "reason"), [({"hard": 20}, "too_many_bounces"), ({"spam": 1}, "too_many_complaints")])
async def test_marketing_waits_with_the_reason_and_takes_no_other_account_and_a_code_goes_on(
    town: Town, bad: dict[str, Any], reason: str
) -> None:
    several = Several(town)
    first, second = several.account("first"), several.account("second", place=2)
    await hear(town, good=300, **bad)
    await judge(town)
    await several.ask(1, "marketing")
    await several.ask(2, "transactional")
    lane = several.lane()
    await lane.pass_once()
    assert sorted((row.message_class, row.state, row.reason) for row in await town.rows()) == [
        ("marketing", "planned", reason),
        ("transactional", "sent", None),
    ]
    await several.ask(3, "marketing")
    await lane.pass_once()
    assert await town.states() == [("planned", reason), ("sent", None), ("planned", reason)], "not even claimed, and explained"
    assert (first.taken, second.taken) == (["p2@example.com"], [])


async def test_a_journey_waits_too_and_goes_on_once_the_share_has_fallen(town: Town) -> None:
    several = Several(town)
    several.account("first")
    await town.endpoint()
    await hear(town, good=300, hard=20)
    await judge(town)
    order = order_of(await enroll(town))
    hands = several.hands()
    for _ in range(2):
        verdict = await hands.deliver(order)
        assert (verdict.status, verdict.reasons) == ("again", ("too_many_bounces",))
    await hear(town, good=1_000)
    await judge(town)
    verdict = await several.hands().deliver(order)
    assert (verdict.status, verdict.sent) == ("settled", True)


@pytest.mark.parametrize(
    "harmless",
    [
        {"good": 300, "soft": 30},  # for a while only
        {"good": 300, "hard": 30, "ago_h": 80},  # longer than three days ago
        {"good": 100, "hard": 30},  # too few
    ],
)
async def test_what_says_nothing_of_the_list_stops_nothing(town: Town, harmless: dict[str, Any]) -> None:
    several = Several(town)
    several.account("first")
    await hear(town, **harmless)
    await judge(town)
    await several.ask(1, "marketing")
    await several.lane().pass_once()
    assert await town.states() == [("sent", None)]


@pytest.mark.parametrize("setting", [{"bounces": 0.5}, {"stop": False}, {"at_least": 1_000}])
async def test_an_app_has_thresholds_of_its_own_or_is_only_warned(town: Town, setting: dict[str, object]) -> None:
    await town.run("UPDATE apps SET settings = jsonb_build_object('reputation', CAST(:r AS jsonb)) WHERE id = 'demo'", r=setting)
    await hear(town, good=300, hard=20)
    await judge(town)
    assert [(row.heard, row.bounced, row.stopped_for) for row in await town.run("SELECT * FROM account_states")] == [(320, 20, None)]


async def test_a_worker_that_was_told_once_asks_again_after_a_minute(town: Town) -> None:
    now = [0.0]
    await hear(town, good=300, hard=20)
    await judge(town)
    traffic, key = Traffic(town.database, lambda: now[0]), AccountKey(APP, "email", "first")
    await traffic.look(APP)
    assert traffic.stopped_for(key) == "too_many_bounces"
    now[0] = 61.0
    assert traffic.stopped_for(key) is None


async def test_after_three_days_without_news_marketing_goes_on(town: Town) -> None:
    await hear(town, good=300, hard=20)
    await judge(town)
    await town.run("UPDATE account_hours SET hour = hour - interval '4 days'")
    await judge(town)
    assert [(row.heard, row.stopped_for, row.stopped_at) for row in await town.run("SELECT * FROM account_states")] == [(0, None, None)]
