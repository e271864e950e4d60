"""What a message cost stands in its row, and writing it there costs nothing more."""

from dataclasses import replace
from decimal import Decimal

from channels.base import Cost, Outgoing, Receipt
from tests.activities.provider import Provider
from tests.activities.town import Town, enroll, order_of


class Priced(Provider):
    """Charges two segments."""

    async def send(self, outgoing: Outgoing) -> Receipt:
        return replace(await super().send(outgoing), cost=Cost(2, Decimal("0.145"), "EUR"))


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


async def test_no_index_names_what_is_paid_so_settling_stays_hot(town: Town) -> None:
    found = await town.run("SELECT indexdef FROM pg_indexes WHERE tablename LIKE 'messages%'")
    assert found
    assert not [row.indexdef for row in found if any(word in row.indexdef for word in ("units", "price", "currency"))]
