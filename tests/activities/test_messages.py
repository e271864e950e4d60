"""A Send from its first try to its stored verdict."""

from tests.activities.town import Town, enroll, order_of


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
