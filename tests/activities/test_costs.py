"""What a message cost stands in its row, and writing it there costs nothing more."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from channels.base import Cost, Outgoing, Receipt, at_cost
from storage import costs as cost_sums
from storage import facts, unconfirmed
from storage.facts import Fact
from tests.activities.provider import Provider
from tests.activities.town import APP, Town, enroll, order_of

TWO = Cost(2, Decimal("0.145"), "EUR")
NOW = datetime.now(UTC)


class Priced(Provider):
    """Charges two segments."""

    async def send(self, outgoing: Outgoing) -> Receipt:
        with at_cost(TWO):
            return replace(await super().send(outgoing), cost=TWO)


async def costs(town: Town) -> list[tuple[str, int | None, Decimal | None, str | None]]:
    return [(row.state, row.units, row.price, row.currency) for row in await town.rows()]


async def test_the_row_keeps_units_price_and_currency(town: Town) -> None:
    town.provider = Priced()
    await town.endpoint()
    await town.hands().deliver(order_of(await enroll(town)))
    assert await costs(town) == [("sent", 2, Decimal("0.145"), "EUR")]


async def test_what_is_not_counted_costs_nothing_that_is_known(town: Town) -> None:
    await town.endpoint()
    await town.hands().deliver(order_of(await enroll(town)))
    assert await costs(town) == [("sent", None, None, None)]


async def test_what_was_not_sent_was_not_paid(town: Town) -> None:
    town.provider = Priced(script=["not_sent", "ok"])
    await town.endpoint()
    order = order_of(await enroll(town))
    await town.hands().deliver(order)
    assert await costs(town) == [("planned", None, None, None)]
    await town.hands().deliver(order)
    assert await costs(town) == [("sent", 2, Decimal("0.145"), "EUR")]


async def spent(town: Town) -> list[tuple[int, int, Decimal | None]]:
    async with town.database.transaction(APP) as connection:
        rows = await cost_sums.sums(connection, APP, since=NOW - timedelta(days=2), until=NOW + timedelta(days=1))
    return [(row.messages, row.units, row.price) for row in rows]


@pytest.mark.parametrize("by", ["event", "question"])
async def test_what_is_confirmed_later_cost_what_it_costs_and_nothing_before(town: Town, by: str) -> None:
    town.provider = Priced(script=["ambiguous"])
    await town.endpoint()
    await town.hands().deliver(order_of(await enroll(town)))
    assert await costs(town) == [("unknown", 2, Decimal("0.145"), "EUR")]
    assert await spent(town) == []
    [row] = await town.rows()
    async with town.database.transaction(APP) as connection:
        if by == "event":
            await facts.record(connection, APP, row.id, Fact("delivered", NOW, "d-1"))
        else:
            assert await unconfirmed.confirm(connection, APP, row.id, provider="fake", ref="r-1")
    assert await costs(town) == [("sent", 2, Decimal("0.145"), "EUR")]
    assert await spent(town) == [(1, 2, Decimal("0.145"))]


async def test_a_repeat_that_was_not_taken_leaves_the_first_try_its_cost(town: Town) -> None:
    town.provider = Priced(script=["ambiguous", "not_sent"])
    await town.endpoint()
    order = order_of(await enroll(town), message_class="transactional")
    await town.hands().deliver(order)
    await town.age_unknowns()
    await town.hands().deliver(order)
    assert await costs(town) == [("planned", 2, Decimal("0.145"), "EUR")]
    [row] = await town.rows()
    async with town.database.transaction(APP) as connection:
        await facts.record(connection, APP, row.id, Fact("delivered", NOW, "d-1"))
    assert await spent(town) == [(1, 2, Decimal("0.145"))]


async def test_what_turned_out_not_to_have_left_is_in_no_sum(town: Town) -> None:
    town.provider = Priced(script=["ambiguous"])
    await town.endpoint()
    await town.hands().deliver(order_of(await enroll(town)))
    [row] = await town.rows()
    async with town.database.transaction(APP) as connection:
        assert await unconfirmed.did_not_go_out(connection, APP, row.id)
    assert await spent(town) == []


async def test_no_index_names_what_is_paid_so_settling_stays_hot(town: Town) -> None:
    found = await town.run("SELECT indexdef FROM pg_indexes WHERE tablename LIKE 'messages%'")
    assert found
    assert not [row.indexdef for row in found if any(word in row.indexdef for word in ("units", "price", "currency"))]
