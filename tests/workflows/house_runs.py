"""Every way through the house's eight journeys: what happens to somebody, and what goes out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from journeys import activation, appointment, cart_recovery, nps, onboarding, order_status, renewal, win_back
from journeys.language import Journey
from journeys.language.durations import Duration, days, hours, minutes
from storage.events import Address
from tests.workflows.stage import ADDRESSES

Event = tuple[Duration, str] | tuple[Duration, str, Mapping[str, Any]]
EMAIL, SMS, PUSH = ADDRESSES


@dataclass(frozen=True)
class Run:
    """One way through a journey. `split` picks somebody of that arm; `refused` are Calls that fail; times are `start` and so long after."""

    name: str
    journey: Journey
    sent: Sequence[str]
    ended: str = "completed"
    called: Sequence[str] = ()
    entry: Callable[[datetime], Mapping[str, Any]] = lambda _start: {}
    entered_by: str | None = None
    events: Callable[[datetime], Sequence[Event]] = lambda _start: ()
    addresses: Sequence[Address] = ADDRESSES
    attributes: Mapping[str, Any] = field(default_factory=dict)
    split: str | None = None
    refused: Sequence[str] = ()


def in_time(after: timedelta) -> Callable[[datetime], str]:
    return lambda start: (start + after).isoformat()


def shipped(after: Duration, promised_in: timedelta) -> Callable[[datetime], Sequence[Event]]:
    return lambda start: [(after, "order_shipped", {"order_id": "A1", "promised_on": (start + promised_in).isoformat()})]


def word(after: Duration, name: str) -> Event:
    """What is heard of a subscription, so long after it was due."""
    return (days(7) + after, name, {"subscription_id": "S1"})


def answer(after: Duration, score: int) -> Event:
    return (after, "survey_answered", {"survey": "nps", "score": score})


def order(_start: datetime) -> Mapping[str, Any]:
    return {"order_id": "A1", "total": 30}


def cart(_start: datetime) -> Mapping[str, Any]:
    return {"total": 50}


def appointment_in(after: timedelta) -> Callable[[datetime], Mapping[str, Any]]:
    return lambda start: {"appointment_id": "T1", "starts_at": (start + after).isoformat()}


def subscription(start: datetime) -> Mapping[str, Any]:
    return {"subscription_id": "S1", "renews_at": (start + timedelta(days=7)).isoformat()}


ONBOARDING = [
    Run("onboarding: does nothing", onboarding.journey, ["welcome", "guide"]),
    Run("onboarding: browses, does not buy", onboarding.journey, ["welcome", "guide", "coupon"],
        events=lambda _: [(days(2), "product_viewed")]),
    Run("onboarding: browses and buys", onboarding.journey, ["welcome", "guide"],
        events=lambda _: [(days(2), "product_viewed"), (hours(49), "order_placed")]),
    Run("onboarding: bought before", onboarding.journey, ["welcome", "guide"],
        events=lambda _: [(hours(2), "order_placed"), (days(2), "product_viewed")]),
    Run("onboarding: has no device", onboarding.journey, ["welcome", "guide_mail"], addresses=[EMAIL, SMS]),
    Run("onboarding: leaves", onboarding.journey, ["welcome"], "exited: account_closed", events=lambda _: [(hours(5), "account_closed")]),
]  # fmt: skip
# The first nudge comes after 36 to 60 hours, whenever the test runs, the others two days later each.
ACTIVATION = [
    Run("activation: does nothing", activation.journey, ["connect", "connect", "connect"]),
    Run("activation: gets on", activation.journey, ["connect", "make", "share"],
        events=lambda _: [(hours(72), "source_connected"), (hours(120), "report_made")]),
    Run("activation: shares", activation.journey, ["share"], "exited: report_shared",
        events=lambda _: [(hours(1), "source_connected"), (hours(2), "report_made"), (hours(72), "report_shared")]),
    Run("activation: gives it up", activation.journey, ["connect"], "exited: workspace_deleted",
        events=lambda _: [(hours(72), "workspace_deleted")]),
]  # fmt: skip
CART = [
    Run("cart: reminded, has the app", cart_recovery.journey, ["reminder", "nudge"], entry=cart, split="reminder"),
    Run("cart: discount, no app", cart_recovery.journey, ["discount", "text"], entry=cart, split="discount", addresses=[EMAIL, SMS]),
    Run("cart: still filling it", cart_recovery.journey, ["reminder", "nudge"], entry=cart, split="reminder",
        events=lambda _: [(minutes(40), "cart_updated", {"total": 70})]),
    Run("cart: bought", cart_recovery.journey, [], "exited: order_placed", entry=cart, events=lambda _: [(minutes(30), "order_placed")]),
    Run("cart: emptied", cart_recovery.journey, ["reminder"], "exited: cart_updated", entry=cart, split="reminder",
        events=lambda _: [(hours(3), "cart_updated", {"total": 3})]),
]  # fmt: skip
ORDER = [
    Run("order: never shipped", order_status.journey, ["confirmed"], "never shipped", ["chase", "chase", "chase"], entry=order),
    Run("order: never shipped, no tickets", order_status.journey, ["confirmed", *["chase_by_mail"] * 3], "never shipped", ["chase"] * 3,
        entry=order, refused=["chase"]),
    Run("order: shipped at last", order_status.journey, ["confirmed", "on_its_way", "sorry"], called=["chase"], entry=order,
        events=shipped(days(12), timedelta(days=16))),
    Run("order: delivered", order_status.journey, ["confirmed", "on_its_way"], "delivered", entry=order,
        events=lambda start: [*shipped(days(1), timedelta(days=4))(start), (days(3), "order_delivered", {"order_id": "A1"})]),
    Run("order: delivered, word of shipping comes later", order_status.journey, ["confirmed"], "delivered", entry=order,
        events=lambda _: [(days(1), "order_delivered", {"order_id": "A1"})]),
    Run("order: late", order_status.journey, ["confirmed", "on_its_way", "sorry"], entry=order, events=shipped(days(1), timedelta(days=4))),
    Run("order: late, no phone", order_status.journey, ["confirmed", "on_its_way_mail", "sorry"], entry=order, addresses=[EMAIL],
        events=shipped(days(1), timedelta(days=4))),
    Run("order: no date promised", order_status.journey, ["confirmed", "at_last"], entry=order,
        events=lambda _: [(days(1), "order_shipped", {"order_id": "A1"})]),
    Run("order: the promised day is over", order_status.journey, ["confirmed", "at_last"], entry=order,
        events=shipped(days(8), timedelta(days=4))),
    Run("order: cancelled", order_status.journey, ["confirmed"], "exited: order_cancelled", entry=order,
        events=lambda _: [(days(1), "order_cancelled", {"order_id": "A1"})]),
    Run("order: another one cancelled", order_status.journey, ["confirmed"], "never shipped", ["chase", "chase", "chase"], entry=order,
        events=lambda _: [(days(1), "order_cancelled", {"order_id": "B2"})]),
]  # fmt: skip
WIN_BACK = [
    Run("win-back: used to spend", win_back.journey, ["missed", "offer"], attributes={"lifetime_value": 340}),
    Run("win-back: spent little", win_back.journey, ["missed", "news"]),
    Run("win-back: orders", win_back.journey, ["missed"], "exited: order_placed", events=lambda _: [(days(2), "order_placed")]),
    Run("win-back: leaves", win_back.journey, ["missed"], "exited: account_closed", events=lambda _: [(days(2), "account_closed")]),
]  # fmt: skip
APPOINTMENT = [
    Run("appointment: does not confirm", appointment.journey, ["booked", "tomorrow", "soon"], entry=appointment_in(timedelta(days=7))),
    Run("appointment: confirms", appointment.journey, ["booked", "tomorrow"], entry=appointment_in(timedelta(days=7)),
        events=lambda _: [(days(1), "appointment_confirmed", {"appointment_id": "T1"})]),
    Run("appointment: has no phone", appointment.journey, ["booked", "tomorrow_mail"], entry=appointment_in(timedelta(days=7)),
        addresses=[EMAIL]),
    Run("appointment: in three hours", appointment.journey, ["booked", "soon"], entry=appointment_in(timedelta(hours=3))),
    Run("appointment: in an hour", appointment.journey, ["booked"], entry=appointment_in(timedelta(hours=1))),
    Run("appointment: cancelled", appointment.journey, ["booked"], "exited: appointment_cancelled",
        entry=appointment_in(timedelta(days=7)), events=lambda _: [(days(1), "appointment_cancelled", {"appointment_id": "T1"})]),
    Run("appointment: had been moved", appointment.journey, ["moved", "tomorrow", "soon"], entry=appointment_in(timedelta(days=7)),
        entered_by="appointment_moved"),
]  # fmt: skip
FOUR_REFUSALS = [word(days(3 * number) + minutes(number + 1), "payment_failed") for number in range(4)]
RENEWAL = [
    Run("renewal: paid", renewal.journey, ["notice", "paid"], called=["charge"], entry=subscription,
        events=lambda _: [word(minutes(2), "payment_succeeded")]),
    Run("renewal: paid at the second try", renewal.journey, ["notice", "failed", "paid"], called=["charge", "charge"], entry=subscription,
        events=lambda _: [word(minutes(1), "payment_failed"), word(days(3) + minutes(5), "payment_succeeded")]),
    Run("renewal: paid between two tries", renewal.journey, ["notice", "failed", "paid"], called=["charge"], entry=subscription,
        events=lambda _: [word(minutes(1), "payment_failed"), word(days(1), "payment_succeeded")]),
    Run("renewal: a new card", renewal.journey, ["notice", "failed", "paid"], called=["charge", "charge"], entry=subscription,
        events=lambda _: [word(minutes(1), "payment_failed"), word(days(1), "payment_method_updated"),
                          word(days(1) + minutes(1), "payment_succeeded")]),
    Run("renewal: refused four times", renewal.journey, ["notice", *["failed"] * 4, "suspended"], called=[*["charge"] * 4, "suspend"],
        entry=subscription, events=lambda _: FOUR_REFUSALS),
    Run("renewal: cannot be suspended", renewal.journey, ["notice", *["failed"] * 4], "could not be suspended",
        [*["charge"] * 4, "suspend"], entry=subscription, events=lambda _: FOUR_REFUSALS, refused=["suspend"]),
    Run("renewal: no word", renewal.journey, ["notice"], "no word of the charge", ["charge", "no_word"], entry=subscription),
    Run("renewal: no date", renewal.journey, [], "no date to renew on", entry=lambda _: {"subscription_id": "S1"}),
    Run("renewal: cancelled", renewal.journey, ["notice"], "exited: subscription_cancelled", entry=subscription,
        events=lambda _: [word(minutes(-30), "subscription_cancelled")]),
]  # fmt: skip
NPS = [
    Run("nps: delighted", nps.journey, ["question", "review"], events=lambda _: [answer(days(11), 10)]),
    Run("nps: content, and late", nps.journey, ["question", "question", "thanks"], events=lambda _: [answer(days(15), 7)]),
    Run("nps: unhappy", nps.journey, ["question"], called=["ticket"], events=lambda _: [answer(days(11), 3)]),
    Run("nps: unhappy, no tickets", nps.journey, ["question", "told_by_mail"], called=["ticket"], refused=["ticket"],
        events=lambda _: [answer(days(11), 0)]),
    Run("nps: silent", nps.journey, ["question", "question"], "no answer"),
    Run("nps: sent it back", nps.journey, [], "exited: order_returned", events=lambda _: [(days(5), "order_returned")]),
]  # fmt: skip
RUNS = [*ONBOARDING, *ACTIVATION, *CART, *ORDER, *WIN_BACK, *APPOINTMENT, *RENEWAL, *NPS]
