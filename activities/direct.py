"""The lane of direct sends: takes planned messages from the side table, claims, sends and settles them as a journey's Send does.

Nothing is kept in memory between two looks: whatever dies, the next look finds the message again.
"""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, cast
from uuid import UUID

import structlog

from activities.contents import Contents, Filled, variables_of
from activities.judging import is_change, move_for
from activities.messages import Delivery
from activities.places import Place, place_of
from activities.rules import Defer, Go, Known, Ruling, Skip, look_back, ruling
from activities.sending import Ended, Parcel, send, tell
from activities.settling import settle_ended, to_its_end, while_claimed
from activities.terms import terms_of, topic_of
from channels.base import Adapter, Content
from journeys.language.errors import Unavailable
from storage import direct_sends
from storage.database import Connection, Database
from storage.direct_sends import STEP, VISIT, Waiting
from storage.messages import Claim, MessageRow, Move, move_rows
from storage.standing import Asked, Person, Standing, claimed_since, lock_address, lock_person, read_standing

_LEASE = timedelta(seconds=30)
_log = structlog.get_logger()


@dataclass(frozen=True)
class _Taken:
    waiting: Waiting
    claim: Claim
    place: Place
    person: Person | None
    standing: Standing
    topic: str


class DirectLane:
    """Sends direct messages as they come. `woken` is set when a process has planned one; a poll stands behind it."""

    def __init__(self, database: Database, delivery: Delivery, woken: asyncio.Event, *, slots: int = 16, poll_s: float = 1.0) -> None:
        self._database = database
        self._delivery = delivery
        self._woken = woken
        self._slots = slots
        self._poll_s = poll_s
        self._contents = Contents(database, delivery.renderer)

    async def run(self) -> None:
        """Run until cancelled. While Postgres is away it waits; nothing is lost by that."""
        while True:
            self._woken.clear()
            try:
                busy = await self.pass_once()
            except Unavailable as away:
                _log.warning("direct_lane_waits", reason=str(away))
                busy = 0
            if not busy:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._woken.wait(), self._poll_s)

    async def pass_once(self) -> int:
        """Deliver what is due now, as many at once as there are slots; return how many were taken."""
        async with self._database.transaction() as connection:
            due = await direct_sends.take_due(connection, most=self._slots, lease=_LEASE)
        async with asyncio.TaskGroup() as group:
            for app, number in due:
                group.create_task(self._deliver(app, number))
        return len(due)

    async def _deliver(self, app: str, number: UUID) -> None:
        """One message. Whatever goes wrong in the middle, the claim or the lease runs out and the message is met again."""
        try:
            await self._try(app, number)
        except Unavailable as away:
            _log.warning("direct_send_waits", message_id=str(number), reason=str(away))
        except Exception:  # noqa: BLE001 - one message that cannot be sent must not stop the lane, and the worker with it
            _log.exception("direct_send_failed", message_id=str(number))

    async def _try(self, app: str, number: UUID) -> None:
        async with self._database.transaction() as connection:
            waiting = await direct_sends.get(connection, app, number)
        if waiting is None:
            return
        way = await self._delivery.way(waiting.app, waiting.channel)
        wait_s = way.gate.enter()
        if wait_s is not None:
            await self._postpone(waiting, timedelta(seconds=wait_s))
            return
        ended: list[Ended] = []
        try:
            began = time.monotonic()
            taken = await self._claim(waiting, way.adapter)
            if taken is not None:
                await to_its_end(self._send_and_settle(taken, way.adapter, began, ended))
        finally:
            tell(way.gate, ended)

    async def _postpone(self, waiting: Waiting, wait: timedelta) -> None:
        async with self._database.transaction() as connection:
            await direct_sends.postpone(connection, waiting.app, waiting.id, wait)

    async def _claim(self, waiting: Waiting, adapter: Adapter) -> _Taken | None:
        async with self._database.transaction() as connection:
            return await _Claiming(connection, waiting, self._delivery, adapter).take()

    async def _send_and_settle(self, taken: _Taken, adapter: Adapter, began: float, ended: list[Ended]) -> None:
        ended.append(await send(adapter, self._parcel(taken, began)))

        async def settle(connection: Connection) -> None:
            await settle_ended(connection, taken.waiting.app, adapter, ended, {taken.claim.id: taken.place})
            await direct_sends.forget_content(connection, taken.waiting.app, taken.waiting.id)

        await while_claimed(self._database, began + self._delivery.timing.claim_s, settle)

    def _parcel(self, taken: _Taken, began: float) -> Parcel:
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
            compose=lambda: self._compose(taken, leave),
            began=began,
            deadline=began + timing.send_s,
            unknown_until=timing.unknown_for(waiting.message_class),
            unsubscribe_url=leave,
            device=taken.place.device,
        )

    async def _compose(self, taken: _Taken, leave: str | None) -> Content:
        waiting = taken.waiting
        if waiting.template is None:
            return Content(waiting.channel, dict(waiting.content["parts"]))
        entry: dict[str, Any] = waiting.content.get("data") or {}
        variables = variables_of(taken.person, taken.standing, entry=entry, unsubscribe_url=leave)
        version = taken.standing.template_version or 0
        return await self._contents.compose(Filled(waiting.app, waiting.template, version, waiting.channel, variables))


@dataclass(frozen=True)
class _Claiming:
    """The first transaction of one direct message."""

    connection: Connection
    waiting: Waiting
    delivery: Delivery
    adapter: Adapter

    async def take(self) -> _Taken | None:
        """Claim it, or write down why not and when to come back."""
        waiting = self.waiting
        person = None if waiting.user_id is None else await lock_person(self.connection, waiting.app, waiting.user_id)
        if waiting.address is not None:
            await lock_address(self.connection, self._place_without_standing().address_hash)
        asked = self._asked(person)
        standing = await read_standing(self.connection, asked)
        row = next((each for each in standing.rows if each.id == waiting.id), None)
        if row is None or row.state not in {"planned", "deferred"}:
            return None
        if standing.app_is_paused:
            await direct_sends.postpone(self.connection, waiting.app, waiting.id, self.delivery.timing.direct_held_for)
            return None
        place = place_of(row, waiting.app, waiting.channel, standing)
        verdict = await self._ruling(asked, standing, person, row, place)
        claims = await self._move(move_for(row, verdict, may_claim=True), row, standing)
        if isinstance(verdict, Defer):
            await direct_sends.postpone(self.connection, waiting.app, waiting.id, verdict.until - standing.now)
        if isinstance(verdict, Skip):
            await direct_sends.forget_content(self.connection, waiting.app, waiting.id)
        topic = topic_of(waiting.topic, self._class, standing.settings)
        return _Taken(waiting, claims[0], place, person, standing, topic) if claims else None

    @property
    def _class(self) -> Literal["marketing", "transactional"]:
        return cast("Literal['marketing', 'transactional']", self.waiting.message_class)

    def _place_without_standing(self) -> Place:
        row = MessageRow(self.waiting.id, "", "planned", address=self.waiting.address)
        return place_of(row, self.waiting.app, self.waiting.channel, Standing(self.waiting.planned_at))

    def _asked(self, person: Person | None) -> Asked:
        waiting = self.waiting
        return Asked(
            app=waiting.app,
            user_id=person.id if person else None,
            source=waiting.source,
            step=STEP,
            visit=VISIT,
            began_at=waiting.began_at,
            channel=waiting.channel,
            topic=waiting.topic,
            template=waiting.template,
            address_hash=self._place_without_standing().address_hash if waiting.address is not None else None,
        )

    async def _ruling(self, asked: Asked, standing: Standing, person: Person | None, row: MessageRow, place: Place) -> Ruling:
        if row.planned_at and standing.now - row.planned_at > self.delivery.timing.patience:
            return Skip("gave_up")
        terms = terms_of(
            channel=self.waiting.channel,
            message_class=self._class,
            topic=topic_of(self.waiting.topic, self._class, standing.settings),
            timezone=person.timezone if person else None,
            settings=standing.settings,
            quiet_hours=None,
            caps=None,
            allowed_recipients=self.delivery.allowed_for(self.adapter),
        )
        since = look_back(terms.caps, standing.now, terms.zone) if self._class == "marketing" else None
        claimed = await claimed_since(self.connection, asked, since) if since else ()
        verdict = ruling(terms, place.as_target(), Known(standing.now, standing.consents, standing.suppressed, claimed))
        if isinstance(verdict, Go) and self.waiting.template is not None and standing.template_version is None:
            return Skip("no_template")
        return verdict

    async def _move(self, move: Move, row: MessageRow, standing: Standing) -> Sequence[Claim]:
        if not is_change(move, row):
            return []
        timing = self.delivery.timing
        return await move_rows(
            self.connection,
            self.waiting.app,
            [move],
            claim_for=timing.claim_for,
            unknown_for=timing.unknown_for(self.waiting.message_class),
            template_version=standing.template_version,
        )
