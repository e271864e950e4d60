"""The lanes of direct sends: each takes a chunk of planned messages, claims it, sends it and settles it, as a journey's Send does one.

Nothing is kept in memory between two looks: whatever dies, the next look finds the message again.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import structlog

from activities.contents import Contents, Filled, variables_of
from activities.direct_claims import Claimed, Taken, claim_all
from activities.messages import Delivery
from activities.sending import Ended, Parcel, send, send_all
from activities.settling import settle_ended, to_its_end, while_claimed
from activities.tracking import Sent
from activities.ways import Held, Way
from activities.zones import country_of
from channels.base import Content, End
from channels.email.way_out import with_way_out
from channels.whatsapp.letter import window_is_open
from channels.wishes import About, wish_of
from journeys.language.errors import Unavailable
from storage import direct_sends
from storage.database import Database
from storage.direct_sends import Waiting

_LEASE = timedelta(seconds=30)
# What is sent is settled together with its neighbours; one that is slow keeps nobody waiting for longer than this.
_SETTLE_EVERY_S = 0.25
# Each takes some 30 MB of this process while it leaves.
_MOST_WITH_ATTACHMENTS = 4
_log = structlog.get_logger()


@dataclass(frozen=True)
class Lanes:
    """How many lanes a process has beside the one for what is urgent, how many messages one takes, and how often it looks unasked."""

    count: int = 2
    chunk: int = 50
    poll_s: float = 1.0


class DirectLane:
    """Sends direct messages as they come. `woken` is set when a process has planned one; a poll stands behind it."""

    def __init__(self, database: Database, delivery: Delivery, woken: asyncio.Event, lanes: Lanes | None = None) -> None:
        self._database = database
        self._delivery = delivery
        self._woken = woken
        self._lanes = lanes or Lanes()
        self._contents = Contents(database, delivery.renderer, delivery.tracker, delivery.sources)
        self._heavy = asyncio.Semaphore(_MOST_WITH_ATTACHMENTS)

    async def run(self) -> None:
        """Run until cancelled. While Postgres is away it waits; nothing is lost by that."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._run(poll_s=self._lanes.poll_s, with_bulk=False))
            for number in range(self._lanes.count):
                group.create_task(self._run(poll_s=self._lanes.poll_s if number == 0 else None))

    async def _run(self, *, poll_s: float | None, with_bulk: bool = True) -> None:
        """Those that poll call the others when there is more than they can take. One takes no bulk: a code finds it free."""
        while True:
            self._woken.clear()
            try:
                taken = await self.pass_once(with_bulk=with_bulk)
            except Unavailable as away:
                _log.warning("direct_lane_waits", reason=str(away))
                taken = 0
            if taken >= self._lanes.chunk:
                self._woken.set()
            elif not taken:
                # Not wait_for: in Python 3.11 it loses a cancellation that comes together with the event.
                with suppress(TimeoutError):
                    async with asyncio.timeout(poll_s):
                        await self._woken.wait()

    async def pass_once(self, *, with_bulk: bool = True) -> int:
        """Deliver a chunk of what is due now; return how many were taken."""
        async with self._database.transaction() as connection:
            due = await direct_sends.take_due(connection, most=self._lanes.chunk, lease=_LEASE, with_bulk=with_bulk)
        batches: dict[tuple[str, str], list[Waiting]] = {}
        for waiting in due:
            batches.setdefault((waiting.app, waiting.channel), []).append(waiting)
        async with asyncio.TaskGroup() as group:
            for batch in batches.values():
                group.create_task(self._deliver(batch))
        return len(due)

    async def _deliver(self, batch: Sequence[Waiting]) -> None:
        """Messages of one app and channel. Whatever goes wrong in the middle, the claim or the lease runs out and they are met again."""
        try:
            await self._try(batch)
        except Unavailable as away:
            _log.warning("direct_sends_wait", messages=len(batch), reason=str(away))
        except Exception:  # noqa: BLE001 - one message that cannot be sent must stop neither the lane, and the worker with it, nor its neighbours
            if len(batch) == 1:
                _log.exception("direct_send_failed", message_id=str(batch[0].id))
                return
            # What is claimed by now is not claimed again.
            for waiting in batch:
                await self._deliver([waiting])

    async def _try(self, batch: Sequence[Waiting]) -> None:
        way = await self._delivery.way(batch[0].app, batch[0].channel)
        let_in, held = _admitted(way, batch)
        if held:
            async with self._database.transaction() as connection:
                waits = {number: timedelta(seconds=each.wait_s) for number, each in held.items()}
                await direct_sends.postpone(connection, batch[0].app, waits)
                await direct_sends.explain(connection, batch[0].app, {number: each.reason for number, each in held.items()})
        left = let_in
        while left:
            now, left = _each_person_once(left)
            left = [*left, *(await self._claim_and_send(now, way)).survivors]

    async def _claim_and_send(self, batch: Sequence[Waiting], way: Way) -> Claimed:
        began = time.monotonic()
        claimed = await self._database.run(partial(claim_all, batch=batch, delivery=self._delivery, way=way))
        if claimed.taken:
            await to_its_end(self._send_and_settle(claimed.taken, way, began))
        return claimed

    async def _send_and_settle(self, taken: Sequence[Taken], way: Way, began: float) -> None:
        places = {each.claim.id: each.place for each in taken}
        app = taken[0].waiting.app
        parcels = {each.claim.id: self._parcel(each, began) for each in taken}
        crowd, alone = _crowd(way, taken)
        begun = _Begun()
        sends = self._each_alone(way, alone, parcels)
        if crowd:
            sends[asyncio.ensure_future(send_all(way, [parcels[each.claim.id] for each in crowd], begun))] = crowd
        while sends:
            done, _ = await asyncio.wait(sends, timeout=_SETTLE_EVERY_S)
            ended: list[Ended] = []
            for task in done:
                sent = sends.pop(task)
                if task.exception() is None:
                    ended += task.result()
                elif len(sent) > 1 and not begun.any:
                    # One of them cannot be made, which must not keep its neighbours.
                    sends |= self._each_alone(way, sent, parcels)
                else:
                    _tell(task, sent)
            if ended:
                settle = partial(settle_ended, app=app, channel=way.channel, ended=ended, places=places)
                await while_claimed(self._database, began + self._delivery.timing.claim_s, settle)

    def _each_alone(
        self, way: Way, taken: Sequence[Taken], parcels: Mapping[UUID, Parcel]
    ) -> dict[asyncio.Task[list[Ended]], Sequence[Taken]]:
        return {asyncio.ensure_future(self._send(way, each.waiting, parcels[each.claim.id])): [each] for each in taken}

    async def _send(self, way: Way, waiting: Waiting, parcel: Parcel) -> list[Ended]:
        async with self._heavy if waiting.has_attachments else nullcontext():
            return [await send(way, parcel)]

    def _parcel(self, taken: Taken, began: float) -> Parcel:
        waiting, timing = taken.waiting, self._delivery.timing
        leave = None
        if waiting.message_class == "marketing" and taken.person is not None:
            leave = self._delivery.unsubscribe_url(waiting.app, taken.person.id, taken.place.endpoint_id, taken.topic)
        return Parcel(
            claim=taken.claim,
            app=waiting.app,
            address=taken.place.address or "",
            message_class=waiting.message_class,
            topic=taken.topic or None,
            compose=lambda: self._whole(taken, leave),
            began=began,
            deadline=began + timing.send_s,
            unknown_until=timing.unknown_for(waiting.message_class),
            repeat_wait=timing.repeat_wait,
            unsubscribe_url=leave,
            device=taken.place.device,
            country=country_of(None, taken.person.attributes) if taken.person else None,
            may_answer=window_is_open(taken.standing.replied.get(taken.place.address_hash), taken.standing.now),
        )

    async def _whole(self, taken: Taken, leave: str | None) -> Content:
        content = await self._compose(taken, leave)
        if not taken.waiting.has_attachments:
            return content
        async with self._database.transaction() as connection:
            files = await direct_sends.attachments(connection, taken.waiting.app, taken.waiting.id)
        return Content(content.channel, {**content.parts, "attachments": [*content.parts.get("attachments", ()), *files]})

    async def _compose(self, taken: Taken, leave: str | None) -> Content:
        waiting = taken.waiting
        campaign, version = waiting.content.get("campaign"), waiting.content.get("version")
        about = About(taken.standing.app_name, waiting.channel, waiting.message_class, campaign, version, waiting.template)
        sent = Sent(waiting.app, waiting.id, about, taken.standing.settings, wish=wish_of(waiting.content.get("tracking")))
        if waiting.template is None:
            given = dict(waiting.content["parts"])
            parts = with_way_out(given, leave) if leave and waiting.channel == "email" else given
            return await self._contents.complete(Content(waiting.channel, parts), sent)
        entry: dict[str, Any] = waiting.content.get("data") or {}
        person = taken.person
        choose = self._delivery.preferences_url(waiting.app, person.id, taken.place.endpoint_id) if person else None
        variables = variables_of(
            person, taken.standing, device=taken.place.device, entry=entry, unsubscribe_url=leave, preferences_url=choose
        )
        version = taken.claim.template_version or taken.standing.template_version or 0
        return await self._contents.compose(Filled(waiting.app, waiting.template, version, waiting.channel, variables), sent)


@dataclass
class _Begun:
    """Whether anything may have left. Nothing holds the rest back."""

    any: bool = False

    def begins(self, place: int) -> bool:  # noqa: ARG002 - the name is the protocol's
        self.any = True
        return True

    def ended(self, place: int, end: End) -> None:
        """`send_all` returns it too."""


def _crowd(way: Way, taken: Sequence[Taken]) -> tuple[list[Taken], list[Taken]]:
    """Marketing that one account takes at once, and what leaves by itself: it is urgent or large, or has a choice of accounts."""
    crowd = [each for each in taken if each.waiting.message_class == "marketing" and not each.waiting.has_attachments]
    if len(crowd) < 2 or not way.takes_many:  # noqa: PLR2004 - one is no crowd
        return [], list(taken)
    ids = {each.claim.id for each in crowd}
    return crowd, [each for each in taken if each.claim.id not in ids]


def _tell(task: asyncio.Task[list[Ended]], taken: Sequence[Taken]) -> None:
    """What nobody can make stays claimed until that lapses; nothing of it has left."""
    _log.error("direct_send_failed", message_id=" ".join(str(each.claim.id) for each in taken), exc_info=task.exception())


def _admitted(way: Way, batch: Sequence[Waiting]) -> tuple[list[Waiting], Mapping[UUID, Held]]:
    """For whom there may be an account now, and why and for how long each of the others must stay away."""
    answers = [(waiting, way.wait(waiting.message_class)) for waiting in batch]
    refused = {waiting.id: held for waiting, held in answers if held is not None}
    return [waiting for waiting, held in answers if held is None], refused


def _each_person_once(batch: Sequence[Waiting]) -> tuple[list[Waiting], list[Waiting]]:
    """The first message of each person, and the rest: what is claimed now counts against the caps of what comes after it."""
    first: dict[int | UUID, Waiting] = {}
    for waiting in batch:
        first.setdefault(waiting.id if waiting.user_id is None else waiting.user_id, waiting)
    now = list(first.values())
    ids = {waiting.id for waiting in now}
    return now, [waiting for waiting in batch if waiting.id not in ids]
