"""What every adapter must do, whoever its provider is. A provider's test class inherits this and gives it a `rig`."""

import asyncio
import time
from typing import Protocol

import pytest

from channels.base import Adapter, NotSent, Outgoing, Receipt, SendFailed


class Rig(Protocol):
    """An adapter and the other end: what arrived there, as message ids in order."""

    adapter: Adapter
    away: Adapter
    """The same adapter for a provider that does not answer at all."""

    def message(self, **changes: object) -> Outgoing: ...

    async def arrived(self) -> list[str]: ...


class AdapterContract:
    async def test_a_message_arrives_once_and_is_receipted(self, rig: Rig) -> None:
        message = rig.message()
        assert isinstance(await rig.adapter.send(message), Receipt)
        assert await rig.arrived() == [str(message.message_id)]

    async def test_many_at_once_arrive_once_each(self, rig: Rig) -> None:
        messages = [rig.message() for _ in range(30)]
        await asyncio.gather(*(rig.adapter.send(message) for message in messages))
        assert sorted(await rig.arrived()) == sorted(str(message.message_id) for message in messages)

    async def test_nothing_leaves_after_the_deadline(self, rig: Rig) -> None:
        with pytest.raises(NotSent):
            await rig.adapter.send(rig.message(deadline=time.monotonic() - 0.001))
        assert await rig.arrived() == []

    async def test_a_provider_that_is_away_ends_in_an_error_of_ours_without_an_address(self, rig: Rig) -> None:
        with pytest.raises(SendFailed) as failed:
            await rig.away.send(rig.message())
        assert "@" not in failed.value.answer
        assert len(failed.value.answer) <= 500

    async def test_an_adapter_names_its_channel_and_can_be_closed_twice(self, rig: Rig) -> None:
        assert rig.adapter.channel == rig.message().content.channel
        await rig.adapter.close()
        await rig.adapter.close()
