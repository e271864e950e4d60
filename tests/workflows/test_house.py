"""The house's own journeys in every branch: on Temporal under virtual time, and in rehearsal; the same goes out."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from journeys import cart_recovery, onboarding, order_status
from journeys.language import Journey, rehearse
from journeys.language.assign import arm, in_holdout
from journeys.language.durations import Duration, days, hours, minutes
from journeys.language.rehearse import Person
from journeys.language.steps import Split
from storage.events import Address
from tests.workflows.stage import ADDRESSES, APP, Stage

TEMPLATES = Path(__file__).parents[2] / "journeys" / "templates"
EMAIL, SMS, PUSH = ADDRESSES
Event = tuple[Duration, str] | tuple[Duration, str, Mapping[str, Any]]


@dataclass(frozen=True)
class Run:
    """One way through a journey: what happens to somebody, and what goes out. `split` picks somebody of that arm."""

    name: str
    journey: Journey
    sent: Sequence[str]
    ended: str = "completed"
    entry: Mapping[str, Any] = field(default_factory=dict)
    events: Callable[[datetime], Sequence[Event]] = lambda _start: ()
    addresses: Sequence[Address] = ADDRESSES
    split: str | None = None


def shipped(after: Duration, promised_in: timedelta) -> Callable[[datetime], Sequence[Event]]:
    return lambda start: [(after, "order_shipped", {"order_id": "A1", "promised_on": (start + promised_in).isoformat()})]


ORDER = {"order_id": "A1", "total": 30}
CART = {"total": 50}
RUNS = [
    Run("onboarding: does nothing", onboarding.journey, ["welcome", "guide"]),
    Run("onboarding: browses, does not buy", onboarding.journey, ["welcome", "guide", "coupon"],
        events=lambda _: [(days(2), "product_viewed")]),
    Run(
        "onboarding: browses and buys",
        onboarding.journey,
        ["welcome", "guide"],
        events=lambda _: [(days(2), "product_viewed"), (hours(49), "order_placed")],
    ),
    Run("onboarding: bought before", onboarding.journey, ["welcome", "guide"],
        events=lambda _: [(hours(2), "order_placed"), (days(2), "product_viewed")]),
    Run("onboarding: has no device", onboarding.journey, ["welcome", "guide_mail"], addresses=[EMAIL, SMS]),
    Run("onboarding: leaves", onboarding.journey, ["welcome"], "exited: account_closed", events=lambda _: [(hours(5), "account_closed")]),
    Run("cart: reminded, has the app", cart_recovery.journey, ["reminder", "nudge"], entry=CART, split="reminder"),
    Run("cart: discount, no app", cart_recovery.journey, ["discount", "text"], entry=CART, split="discount", addresses=[EMAIL, SMS]),
    Run(
        "cart: still filling it",
        cart_recovery.journey,
        ["reminder", "nudge"],
        entry=CART,
        split="reminder",
        events=lambda _: [(minutes(40), "cart_updated", {"total": 70})],
    ),
    Run("cart: bought", cart_recovery.journey, [], "exited: order_placed", entry=CART, events=lambda _: [(minutes(30), "order_placed")]),
    Run(
        "cart: emptied",
        cart_recovery.journey,
        ["reminder"],
        "exited: cart_updated",
        entry=CART,
        split="reminder",
        events=lambda _: [(hours(3), "cart_updated", {"total": 3})],
    ),
    Run("order: never shipped", order_status.journey, ["confirmed", "chase"], entry=ORDER),
    Run(
        "order: delivered",
        order_status.journey,
        ["confirmed", "on_its_way"],
        "delivered",
        entry=ORDER,
        events=lambda start: [*shipped(days(1), timedelta(days=4))(start), (days(3), "order_delivered", {"order_id": "A1"})],
    ),
    Run("order: late", order_status.journey, ["confirmed", "on_its_way", "sorry"], entry=ORDER, events=shipped(days(1), timedelta(days=4))),
    Run("order: no date promised", order_status.journey, ["confirmed", "on_its_way", "sorry"], entry=ORDER,
        events=lambda _: [(days(1), "order_shipped", {"order_id": "A1"})]),
    Run("order: cancelled", order_status.journey, ["confirmed"], "exited: order_cancelled", entry=ORDER,
        events=lambda _: [(days(1), "order_cancelled", {"order_id": "A1"})]),
    Run("order: another one cancelled", order_status.journey, ["confirmed", "chase"], entry=ORDER,
        events=lambda _: [(days(1), "order_cancelled", {"order_id": "B2"})]),
]  # fmt: skip


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.name)
async def test_the_same_goes_out_on_temporal_and_in_rehearsal(scene: Stage, run: Run) -> None:
    user = _somebody(scene, run)
    await _publish(scene, run.journey)
    await scene.person(user, addresses=run.addresses)
    await scene.track(run.journey.starts_on.names[0], user, run.entry)  # type: ignore[union-attr]
    row = (await scene.execute("SELECT workflow_id, entered_at FROM enrollments"))[0]
    handle = scene.client.get_workflow_handle(row.workflow_id)
    await _settled(handle)
    events = run.events(row.entered_at)
    passed = timedelta(0)
    for after, name, *properties in events:
        await scene.pass_time(handle, after.timedelta - passed)
        passed = after.timedelta
        now = await scene.skipper.get_current_time(handle)
        await scene.track(name, user, properties[0] if properties else {}, occurred_at=now)
    if (await handle.describe()).close_time is None:
        await scene.pass_time(handle, timedelta(days=30))
    assert await scene.finished(handle) == run.ended
    assert await scene.sent() == list(run.sent)
    rehearsed = rehearse(
        run.journey,
        events,
        entry=run.entry,
        arms={"offer": run.split} if run.split else None,
        user=Person(channels=tuple(address.channel for address in run.addresses)),
        starts_at=row.entered_at,
    )
    assert (rehearsed.sent, rehearsed.ended) == (list(run.sent), run.ended)


def _somebody(scene: Stage, run: Run) -> str:
    """A user who is not held out and, where the run asks for an arm, is of that arm."""
    split = next((step for step in run.journey.steps if isinstance(step, Split)), None)
    for user in (f"p{number}" for number in range(200)):
        subject = scene.name(user)
        is_of_arm = run.split is None or (split is not None and arm(split, APP, run.journey.name, subject).name == run.split)
        if is_of_arm and not in_holdout(run.journey, APP, subject):
            return user
    raise AssertionError("nobody is of that arm")


async def _publish(scene: Stage, journey: Journey) -> None:
    await scene.publish(journey)
    for folder in TEMPLATES.iterdir():
        await scene.publish_template(folder.name, files={file.name: file.read_text() for file in folder.iterdir()})
    await scene.execute("""UPDATE apps SET settings = '{"from": "Demo <demo@example.com>", "postal_address": "1 Road, Town"}'""")


async def _settled(handle: Any) -> None:
    """Wait until the first workflow task is done: time can only be moved for a workflow that waits."""
    for _ in range(100):
        history = await handle.fetch_history()
        if any(each.HasField("workflow_task_completed_event_attributes") for each in history.events):
            return
        await asyncio.sleep(0.02)
