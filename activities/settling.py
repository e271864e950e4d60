"""The second transaction of a send: write how each claimed row ended, and suppress the addresses that a provider calls dead."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any, TypeVar
from uuid import UUID

from activities.places import Place
from activities.sending import Ended
from journeys.language.errors import Unavailable
from storage import endpoints, messages, suppressions
from storage.database import Connection, Database
from storage.endpoints import PUSH
from storage.ids import address_hash

T = TypeVar("T")
_PAUSE_S = 0.5


async def settle_ended(
    connection: Connection, app: str, channel: str, ended: Sequence[Ended], places: Mapping[UUID, Place]
) -> frozenset[UUID]:
    """Settle; return the rows for which our claim held. Locks of people come first, as in a claim: no deadlock."""
    await keep_what_was_told(connection, app, channel, ended, places)
    return await messages.settle(connection, app, [each.settlement for each in ended])


async def keep_what_was_told(connection: Connection, app: str, channel: str, ended: Sequence[Ended], places: Mapping[UUID, Place]) -> None:
    """What the provider's answers say of addresses. A device that is gone may come back, so it is not suppressed but inactive."""
    told = [each for each in ended if each.suppress or each.moved_to is not None]
    if not told:
        return
    if channel == PUSH:
        await _keep_of_devices(connection, app, told, places)
    else:
        await _suppress_dead(connection, app, channel, told, places)


async def _keep_of_devices(connection: Connection, app: str, told: Sequence[Ended], places: Mapping[UUID, Place]) -> None:
    digests = {each.settlement.id: places[each.settlement.id].address_hash for each in told}
    await endpoints.lock_owners(connection, app, digests.values())
    for each in told:
        digest = digests[each.settlement.id]
        if each.suppress:
            await endpoints.deactivate_device(connection, app, digest, dead_since=each.dead_since)
        if each.moved_to is not None:
            await endpoints.move_device(connection, app, digest, each.moved_to)


async def _suppress_dead(connection: Connection, app: str, channel: str, ended: Sequence[Ended], places: Mapping[UUID, Place]) -> None:
    dead: defaultdict[str, dict[bytes, suppressions.Reason]] = defaultdict(dict)
    for each in ended:
        if each.suppress:
            place = places[each.settlement.id]
            address = place.address_hash if each.dead_address is None else address_hash(app, channel, each.dead_address)
            dead[each.settlement.provider or ""][address] = "provider" if each.is_listed else "bounce"
    for provider, reasons in dead.items():
        await suppressions.suppress_all(connection, app, channel, reasons, source=provider)


async def while_claimed(database: Database, until: float, work: Callable[[Connection], Awaitable[T]]) -> T:
    """Do `work` in one transaction, again and again while Postgres does not answer, until this moment of the monotonic clock.

    Only this process knows how the send ended: what it could not write down is unconfirmed, and may go out twice.
    """
    while True:
        try:
            return await database.run(work)
        except Unavailable:
            if time.monotonic() >= until:
                raise
        await asyncio.sleep(_PAUSE_S)


async def to_its_end(work: Coroutine[Any, Any, T]) -> T:
    """Let a claimed send end although its caller is cancelled: half of it would be an unconfirmed message for nothing."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise
