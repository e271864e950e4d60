"""A Send from its first try to its stored verdict."""

import asyncio
from typing import Any

import pytest
from temporalio.contrib.pydantic import pydantic_data_converter

from activities import settling
from activities.claiming import finish
from activities.orders import SendOrder, SendVerdict
from journeys.language.conditions import Prop
from journeys.language.durations import days
from journeys.language.errors import Unavailable
from journeys.language.messages import Cap, QuietHours
from journeys.language.nodes import shape
from journeys.language.vocabulary import event, trait
from storage.database import Contended
from tests.activities.town import ENTRY, Town, enroll, order_of


async def test_a_message_goes_out_once_and_the_verdict_is_remembered(town: Town) -> None:
    await town.endpoint()
    order = order_of(await enroll(town))
    first = await town.hands().deliver(order)
    again = await town.hands().deliver(order)
    assert (first.status, first.sent, first.reasons) == ("settled", True, ())
    assert again == first
    assert town.provider.taken == ["ann@example.com"]
    assert await town.states() == [("sent", None)]
    assert await town.listed() == []


async def test_a_template_is_given_what_is_known_of_the_device_that_its_message_goes_to(town: Town) -> None:
    for address, model in (("token-1", "Pixel"), ("token-2", "Fairphone")):
        await town.run(
            "UPDATE endpoints SET device = :device WHERE id = :id", id=await town.endpoint("push", address), device={"model": model}
        )
    await town.hands().deliver(order_of(await enroll(town), channel="push"))
    told = {each.address: each.content.parts["variables"]["device"] for each in town.provider.seen}
    assert told == {"token-1": {"model": "Pixel"}, "token-2": {"model": "Fairphone"}}


async def test_what_was_sent_is_written_down_as_soon_as_postgres_is_back(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    await town.endpoint()
    failures: list[Exception] = [Unavailable("restarting"), Contended("another join")]

    async def settle_ended(*arguments: Any) -> Any:
        if failures:
            raise failures.pop()
        return await settling.settle_ended(*arguments)

    monkeypatch.setattr("activities.messages.settle_ended", settle_ended)
    verdict = await town.hands().deliver(order_of(await enroll(town), message_class="transactional"))
    assert (verdict.status, verdict.sent) == ("settled", True)
    assert await town.states() == [("sent", None)]


async def test_a_local_try_that_is_made_again_joins_the_one_that_still_sends(town: Town) -> None:
    await town.endpoint()
    town.provider.script[:] = ["hang"]
    hands, order = town.hands(), order_of(await enroll(town))
    first = asyncio.create_task(hands.deliver(order))
    await asyncio.wait_for(town.provider.called.wait(), 5)
    again = asyncio.create_task(hands.deliver(order))
    town.provider.released.set()
    assert (await again).status == "settled"
    assert (await first).sent
    assert len(town.provider.record) == 1


async def test_the_stored_verdict_outlives_the_ledgers_rows_and_nothing_is_sent_again(town: Town) -> None:
    """The ledger is dropped by month; an activity that comes back after that must not send."""
    await town.endpoint()
    order = order_of(await enroll(town))
    first = await town.hands().deliver(order)
    await town.run("DELETE FROM messages")
    assert await town.hands().deliver(order) == first
    assert town.provider.taken == ["ann@example.com"]


async def test_the_first_verdict_of_a_step_stays(town: Town) -> None:
    """A try that was overtaken by another answers what the other wrote."""
    order = order_of(await enroll(town))
    first = SendVerdict("settled", sent=True, reasons=())
    async with town.database.transaction() as connection:
        assert await finish(connection, order, first) == first
    async with town.database.transaction() as connection:
        assert await finish(connection, order, SendVerdict("exited", reasons=("exited",))) == first


async def test_each_visit_of_a_step_is_a_message_of_its_own(town: Town) -> None:
    await town.endpoint()
    number = await enroll(town)
    for visit in (1, 2):
        assert (await town.hands().deliver(order_of(number, visit=visit))).sent
    assert len(town.provider.taken) == 2


async def test_an_order_survives_temporals_converter(town: Town) -> None:
    """Every value of the journey's language comes back as itself."""
    order = order_of(
        await enroll(town),
        exits_on=event("account_closed") | (trait("plan") == "gold"),
        key=Prop("order_id"),
        quiet_hours=QuietHours("21:00", "08:00"),
        caps=(Cap(3, per=days(7), channel="email"),),
        to=trait("boss"),
        captured={"browsed": ENTRY},
    )
    payload = pydantic_data_converter.payload_converter.to_payload(order)
    assert payload is not None
    back = pydantic_data_converter.payload_converter.from_payload(payload, SendOrder)
    # Orders hold expressions, whose == builds a condition: compare the values of the language by their shape, the rest as bytes.
    assert (shape(back.exits_on), shape(back.key), shape(back.to)) == (shape(order.exits_on), shape(order.key), shape(order.to))
    assert pydantic_data_converter.payload_converter.to_payload(back) == payload
