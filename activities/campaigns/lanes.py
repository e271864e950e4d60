"""The lanes of a run: each takes a chunk, claims it, renders and sends it, and settles it, until nothing is due.

Whatever dies, the chunk is due again when its lease is over; what the lane had begun to send by then stands in its journal.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import structlog
from temporalio import activity

from activities.campaigns.claiming import ClaimedChunk, Claiming
from activities.campaigns.journal import Journal
from activities.campaigns.order import RunOrder
from activities.campaigns.recovering import settle_page
from activities.campaigns.running import Running
from activities.contents import Contents, Filled, variables_of
from activities.direct_claims import Taken
from activities.messages import Delivery
from activities.sending import Parcel, send_all
from activities.settling import keep_what_was_told, to_its_end, while_claimed
from activities.tracking import Sent
from activities.zones import country_of
from channels.base import End
from channels.whatsapp.letter import window_is_open
from channels.wishes import About
from journeys.language.errors import Unavailable
from storage import campaign_runs, campaign_sends, campaign_winners
from storage.campaign_sends import Chunk, Later
from storage.database import Connection, Database

_log = structlog.get_logger()

# A pause is seen within this, also in the middle of a chunk.
_LOOK_S = 0.5
_IDLE_S = 0.2
_AWAY_S = 2.0
# A slice of work: then the workflow looks at the run, and goes on.
_SLICE_S = 300.0


@dataclass(frozen=True)
class House:
    """With what a process sends campaigns.

    `lanes` work side by side, whatever the number of its runs, so many that some send while others wait for Postgres, and no more, because
    what is urgent waits for its turn between them.
    """

    database: Database
    delivery: Delivery
    journals: Path
    lanes: int = 5


class CampaignLanes:
    """The activity that sends. One for a process."""

    def __init__(self, house: House) -> None:
        delivery = house.delivery
        self._house = replace(house, delivery=replace(delivery, timing=delivery.timing.of_chunks))
        self._places = asyncio.Semaphore(house.lanes)
        self._contents = Contents(house.database, delivery.renderer, delivery.tracker, delivery.sources)

    def activities(self) -> list[Callable[..., Any]]:
        return [self.send]

    @activity.defn(name="send campaign")
    async def send(self, order: RunOrder) -> None:
        """Send what is due of a run, until nothing is, or it is paused, or a slice of time is over. Raises Unavailable."""
        run_id = UUID(order.run_id)
        async with self._house.database.transaction() as connection:
            run = await campaign_runs.get(connection, order.app, run_id)
            winner = await campaign_winners.of_run(connection, order.app, run_id)
        if run is None or run.state != "running":
            return
        gate = _Gate(self._house.database, order.app, run_id, until=time.monotonic() + _SLICE_S)
        running = Running.of(run, winner)
        lanes = [_Lane(self._house, self._contents, running, gate, self._places) for _ in range(self._house.lanes)]
        watching = asyncio.create_task(gate.watch())
        try:
            async with asyncio.TaskGroup() as group:
                for lane in lanes:
                    group.create_task(lane.run())
        finally:
            watching.cancel()


class _Gate:
    """Whether a run goes on: looked at twice a second for all lanes of the activity, whose heart beats with it."""

    def __init__(self, database: Database, app: str, run_id: UUID, *, until: float) -> None:
        self._database = database
        self._app = app
        self._run_id = run_id
        self._until = until
        self.is_open = True

    @property
    def takes_more(self) -> bool:
        return self.is_open and time.monotonic() < self._until

    async def watch(self) -> None:
        """Until cancelled, or the run is not running any more. While Postgres is away nothing is claimed anyway."""
        while self.is_open:
            await asyncio.sleep(_LOOK_S)
            if activity.in_activity():
                activity.heartbeat()
            try:
                async with self._database.transaction() as connection:
                    self.is_open = await campaign_runs.may_send(connection, self._app, self._run_id)
            except Unavailable as away:
                _log.warning("campaign_gate_waits", reason=str(away))


class _Lane:
    def __init__(self, house: House, contents: Contents, running: Running, gate: _Gate, places: asyncio.Semaphore) -> None:
        self._house = house
        self._places = places
        self._contents = contents
        self._running = running
        self._gate = gate

    async def run(self) -> None:
        """One chunk after the other, each in the same journal."""
        journal = Journal(self._house.journals)
        try:
            while self._gate.takes_more:
                try:
                    async with self._places:
                        has_sent = await self._pass(journal)
                    if not has_sent and not await self._waits_for_its_slot():
                        return
                except Unavailable as away:
                    _log.warning("campaign_lane_waits", reason=str(away))
                    await asyncio.sleep(_AWAY_S)
        finally:
            journal.close()

    async def _pass(self, journal: Journal) -> bool:
        """Do one chunk; False where nothing is due."""
        if (page := journal.page) is not None:
            # A commit whose answer never came, or a settlement that could not be written: the journal alone knows.
            await settle_page(self._house.database, page, self._house.delivery.timing)
            journal.clear()
        began = time.monotonic()
        found = await self._house.database.run(partial(self._take_and_claim, journal=journal))
        if found is None:
            return False
        await to_its_end(self._send_and_settle(*found, journal, began))
        return True

    async def _waits_for_its_slot(self) -> bool:
        """Something is due that the run's own rate holds back."""
        if self._running.campaign.per_second is None:
            return False
        await asyncio.sleep(_IDLE_S)
        async with self._house.database.transaction() as connection:
            return await campaign_runs.has_due(connection, self._running.run.app, self._running.run.id)

    async def _take_and_claim(self, connection: Connection, journal: Journal) -> tuple[Chunk, ClaimedChunk] | None:
        run, campaign, delivery = self._running.run, self._running.campaign, self._house.delivery
        lease = delivery.timing.claim_for
        chunk = await campaign_sends.take(connection, run.app, run.id, lease=lease, per_second=campaign.per_second)
        if chunk is None:
            return None
        message = self._running.message_of(chunk.step)
        if message is None:
            # The rest is due only once a winner is known, which may have become so while this activity ran.
            self._running = replace(self._running, winner=await campaign_winners.of_run(connection, run.app, run.id))
            message = self._running.message_of(chunk.step)
        if message is None:
            return chunk, ClaimedChunk((), tuple(Later(each, campaign_sends.NEVER, "no_winner_yet") for each in chunk.message_ids))
        way = await delivery.way(run.app, message.channel)
        if (held := way.wait(campaign.message_class, message.provider)) is not None:
            due_at = await campaign_sends.moment_in(connection, held.wait_s)
            return chunk, ClaimedChunk((), tuple(Later(each, due_at, held.reason) for each in chunk.message_ids))
        claimed = await Claiming(self._running, message, delivery, way).claim(connection, chunk)
        # Inside the transaction: whatever is claimed stands in a journal.
        journal.open(chunk, [each.claim for each in claimed.taken])
        return chunk, claimed

    async def _send_and_settle(self, chunk: Chunk, claimed: ClaimedChunk, journal: Journal, began: float) -> None:
        delivery, taken = self._house.delivery, claimed.taken
        ended = []
        if taken:
            way = await delivery.way(chunk.app, taken[0].waiting.channel)
            parcels = [self._parcel(each, chunk, began) for each in taken]
            ended = await send_all(way, parcels, _Watched(journal, self._gate))
        places = {each.claim.id: each.place for each in taken}

        async def settle(connection: Connection) -> None:
            if taken:
                await keep_what_was_told(connection, chunk.app, taken[0].waiting.channel, ended, places)
            await campaign_sends.settle(connection, chunk, [each.settlement for each in ended], claimed.later)

        await while_claimed(self._house.database, began + delivery.timing.claim_s, settle)
        journal.clear()

    def _parcel(self, taken: Taken, chunk: Chunk, began: float) -> Parcel:
        waiting, delivery, person = taken.waiting, self._house.delivery, taken.person
        assert person is not None
        is_marketing = waiting.message_class == "marketing"
        leave = delivery.unsubscribe_url(chunk.app, person.id, taken.place.endpoint_id, taken.topic) if is_marketing else None
        message = self._running.message_of(chunk.step)
        return Parcel(
            claim=taken.claim,
            app=chunk.app,
            address=taken.place.address or "",
            message_class=waiting.message_class,
            topic=taken.topic or None,
            compose=partial(self._contents.compose, *self._filled(taken, chunk, leave)),
            began=began,
            deadline=began + delivery.timing.send_s,
            unknown_until=delivery.timing.patience,
            repeat_wait=delivery.timing.repeat_wait,
            unsubscribe_url=leave,
            device=taken.place.device,
            country=country_of(None, person.attributes),
            provider=message.provider if message else None,
            may_answer=window_is_open(taken.standing.replied.get(taken.place.address_hash), taken.standing.now),
        )

    def _filled(self, taken: Taken, chunk: Chunk, leave: str | None) -> tuple[Filled, Sent]:
        waiting, person, standing = taken.waiting, taken.person, taken.standing
        assert person is not None
        assert waiting.template is not None
        choose = self._house.delivery.preferences_url(chunk.app, person.id, taken.place.endpoint_id)
        variables = variables_of(person, standing, device=taken.place.device, unsubscribe_url=leave, preferences_url=choose)
        version = taken.claim.template_version or standing.template_version or 0
        about = About(standing.app_name, waiting.channel, waiting.message_class, self._running.run.campaign, chunk.step, waiting.template)
        return (
            Filled(chunk.app, waiting.template, version, waiting.channel, variables),
            Sent(chunk.app, waiting.id, about, standing.settings),
        )


@dataclass(frozen=True)
class _Watched:
    """The journal as long as the run goes on."""

    journal: Journal
    gate: _Gate

    def begins(self, place: int) -> bool:
        return self.gate.is_open and self.journal.begins(place)

    def ended(self, place: int, end: End) -> None:
        self.journal.ended(place, end)
