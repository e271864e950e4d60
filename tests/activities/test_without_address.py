"""Sends to the person as such: in-app and custom need no endpoint, and keep to consent and caps as every channel does."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from activities.functions.call import FunctionCall
from activities.functions.delivering import deliveries_by
from activities.messages import Messages
from channels.base import Adapter, Content
from channels.custom.function import FunctionChannel
from channels.in_app.feed import Feed, Shown
from journeys.language.durations import days
from journeys.language.messages import Cap
from storage.endpoints import THE_USER
from tests.activities.town import Town, enroll, no_condition_holds, order_of

IN_APP = {"body": "Hello", "inbox": True}
CUSTOM = {"function": "print_card", "fields": {"points": "7"}}


class FixedRenderer:
    """Renders the same parts every time."""

    def __init__(self, parts: Mapping[str, Any]) -> None:
        self._parts = dict(parts)

    async def render(self, _name: str, _version: int, _files: Mapping[str, str], channel: str, _variables: Mapping[str, Any]) -> Content:
        return Content(channel, dict(self._parts))


def hands_with(town: Town, adapter: Adapter, parts: Mapping[str, Any]) -> Messages:
    delivery = replace(town.delivery(), adapters={adapter.channel: adapter}, renderer=FixedRenderer(parts))
    return Messages(town.database, delivery, no_condition_holds)


class Feeds:
    def __init__(self) -> None:
        self.shown: list[Shown] = []

    async def show(self, shown: Shown) -> bool:
        self.shown.append(shown)
        return True


async def test_an_in_app_send_reaches_a_person_who_has_no_endpoint_once(town: Town) -> None:
    feeds = Feeds()
    hands, order = hands_with(town, Feed(feeds.show), IN_APP), order_of(await enroll(town), channel="in_app")
    verdicts = [await hands.deliver(order) for _ in range(2)]
    assert [(verdict.status, verdict.sent) for verdict in verdicts] == [("settled", True)] * 2
    [shown] = feeds.shown
    assert (shown.recipient, shown.in_inbox, shown.content["body"]) == ("ann", True, "Hello")
    [row] = await town.rows()
    assert (row.id, row.target, row.state, row.endpoint_id, row.address) == (shown.message_id, THE_USER, "sent", None, None)


async def test_marketing_in_the_app_is_closed_by_an_opt_out_and_by_a_cap(town: Town) -> None:
    feeds = Feeds()
    hands = hands_with(town, Feed(feeds.show), IN_APP)
    capped = (Cap(1, per=days(1), channel="in_app"),)
    for key in ("a", "b"):
        await hands.deliver(order_of(await enroll(town, key=key), channel="in_app", caps=capped))
    assert await town.states() == [("sent", None), ("skipped", "capped")]
    await town.say("withdrawn", channel="in_app")
    await hands.deliver(order_of(await enroll(town, key="c"), channel="in_app"))
    assert (await town.states())[-1] == ("skipped", "opted_out")
    assert len(feeds.shown) == 1


async def test_nothing_of_a_feed_leaves_the_house_so_no_allow_list_is_asked(town: Town) -> None:
    feeds = Feeds()
    town.allowed = frozenset({"@example.org"})
    await hands_with(town, Feed(feeds.show), IN_APP).deliver(order_of(await enroll(town), channel="in_app"))
    assert await town.states() == [("sent", None)]


async def test_a_function_delivers_and_the_allow_list_names_users(town: Town) -> None:
    called: list[FunctionCall] = []

    async def print_card(call: FunctionCall) -> Mapping[str, Any]:
        called.append(call)
        return {"ref": "card-1"}

    adapter = FunctionChannel(deliveries_by({"print_card": print_card}))
    for allowed, key in ((frozenset({"bob"}), "a"), (frozenset({"ann"}), "b")):
        town.allowed = allowed
        await hands_with(town, adapter, CUSTOM).deliver(order_of(await enroll(town, key=key), channel="custom"))
    assert await town.states() == [("skipped", "not_allowed_here"), ("sent", None)]
    assert [(call.user_id, call.arguments) for call in called] == [("ann", {"points": "7"})]
    assert (await town.run("SELECT ref FROM provider_refs"))[0].ref == "card-1"


async def test_a_function_that_raises_may_have_delivered_and_is_not_called_again_at_once(town: Town) -> None:
    async def print_card(_call: FunctionCall) -> Mapping[str, Any]:
        raise ZeroDivisionError

    hands = hands_with(town, FunctionChannel(deliveries_by({"print_card": print_card})), CUSTOM)
    await hands.deliver(order_of(await enroll(town), channel="custom"))
    assert await town.states() == [("unknown", "unconfirmed")]
