"""The second transaction of a send: write how each claimed row ended, and suppress the addresses that a provider calls dead."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from activities.places import Place
from activities.sending import Ended
from channels.base import Adapter
from storage import messages, suppressions
from storage.database import Connection


async def settle_ended(
    connection: Connection, app: str, adapter: Adapter, ended: Sequence[Ended], places: Mapping[UUID, Place]
) -> frozenset[UUID]:
    """Settle; return the rows for which our claim held. Locks of people come first, as in a claim: no deadlock."""
    for each in ended:
        if each.suppress:
            digest = places[each.settlement.id].address_hash
            await suppressions.suppress(connection, app, adapter.channel, digest, reason="bounce", source=adapter.name)
    return await messages.settle(connection, app, adapter.name, [each.settlement for each in ended])
