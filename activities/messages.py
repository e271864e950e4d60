"""Deliver one Send: plan, rules and claim in one transaction, then send, then settle in another (docs/explanation/delivery.md)."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

from activities.accounts import Accounts, Opened
from activities.breaker import Gate, Gates
from activities.claiming import Admission, House, Taken, abandon_step, claim_step, finish
from activities.contents import Contents, Filled, variables_of
from activities.exits import ConditionsHold
from activities.orders import SendOrder, SendVerdict
from activities.pacing import Limits
from activities.places import Place
from activities.sending import Ended, Parcel, Renders, Timing, send
from activities.settling import settle_ended, to_its_end, while_claimed
from activities.sources import Sources
from activities.tracking import Sent, Tracker
from activities.traffic import Traffic
from activities.verdicts import verdict_of
from activities.ways import Door, Held, Way
from activities.zones import country_of
from channels.base import Adapter
from channels.whatsapp.letter import window_is_open
from channels.wishes import About
from storage.account_states import AccountKey
from storage.database import Connection, Database
from storage.messages import Claim, MessageRow

__all__ = ["Delivery", "Messages", "SendOrder", "SendVerdict"]

# (app, user id, endpoint id, topic) -> where that person leaves that topic.
UnsubscribeUrl = Callable[[str, int, int | None, str], str]
# (app, user id, endpoint id) -> where that person says what they want to get.
PreferencesUrl = Callable[[str, int, int | None], str]


@dataclass(frozen=True)
class Delivery:
    """What a process delivers with. `allowed_recipients` (None: everybody) binds every provider that writes to somebody outside.

    `adapters` by channel serve every app that has no account of its own there. Without `traffic` this process hears nothing of others,
    and accounts have no rate.
    """

    adapters: Mapping[str, Adapter]
    renderer: Renders
    unsubscribe_url: UnsubscribeUrl
    allowed_recipients: frozenset[str] | None
    timing: Timing = field(default_factory=Timing)
    gates: Gates = field(default_factory=Gates)
    accounts: Accounts | None = None
    tracker: Tracker | None = None
    sources: Sources | None = None
    traffic: Traffic | None = None
    preferences_url: PreferencesUrl = lambda *_: ""

    async def way(self, app: str, channel: str) -> Way:
        """How messages of this app leave on this channel now. Raises Unavailable."""
        own = await self.accounts.of(app, channel) if self.accounts else ()
        doors = tuple(self._door(app, each) for each in own) or (self._installations_door(app, channel),)
        return Way(app, channel, doors, self.traffic)

    def _door(self, app: str, opened: Opened) -> Door:
        account, traffic = opened.account, opened.account.traffic
        return Door(
            name=account.name,
            provider=account.provider,
            place=traffic.place,
            weight=traffic.weight,
            countries=frozenset(traffic.countries),
            classes=frozenset(traffic.classes),
            adapter=opened.adapter,
            gate=self.gates.of(opened.gate),
            key=AccountKey(app, account.channel, account.name),
            limits=Limits(traffic.per_second, traffic.burst, traffic.max_per_day),
        )

    def _installations_door(self, app: str, channel: str) -> Door:
        adapter = self.adapters[channel]
        return Door(adapter.name, adapter.name, adapter=adapter, gate=self.gates.of(adapter.name), key=AccountKey(app, channel, ""))

    def allowed_for(self, way: Way) -> frozenset[str] | None:
        return None if way.keeps_everything else self.allowed_recipients


class Messages:
    """The hands of every Send. One for a process; safe to use by many at once."""

    def __init__(self, database: Database, delivery: Delivery, conditions_hold: ConditionsHold) -> None:
        self._database = database
        self._delivery = delivery
        self._hold = conditions_hold
        self._contents = Contents(database, delivery.renderer, delivery.tracker, delivery.sources)
        self._under_way: dict[tuple[str, str, int], asyncio.Task[SendVerdict]] = {}

    async def deliver(self, order: SendOrder) -> SendVerdict:
        """Make one try. A final verdict (`settled`, `exited`) is stored and comes back for every later try of the same visit.

        Raises Unavailable when Postgres does not answer; trouble with a provider is a verdict, never an error. A try that is cancelled
        while it sends still settles what it sent, within the claim.
        """
        way = await self._delivery.way(order.app, order.channel)
        under_way = self._under_way.get(_place(order))
        if not order.may_wait:
            return await (self._try_at_once(order, way) if under_way is None else self._wait_a_moment(under_way))
        return await self._try(order, way) if under_way is None else await asyncio.shield(under_way)

    async def drain(self) -> None:
        """Wait for the sends that a local try has begun and left behind; each ends within its claim."""
        while self._under_way:
            await asyncio.wait(self._under_way.values())

    async def _try_at_once(self, order: SendOrder, way: Way) -> SendVerdict:
        """The local try: a place in line, and a moment. What has begun then goes on, and the ordinary activity joins it."""
        line = way.line(order.message_class, order.provider)
        if not await line.take_turn():
            return await self._only_plan(order, way, Held("provider_away", line.bounds.crowded_wait_s))
        task = asyncio.ensure_future(self._try(order, way))
        self._under_way[_place(order)] = task
        task.add_done_callback(lambda _: self._forget(order, line))
        return await self._wait_a_moment(task)

    async def _wait_a_moment(self, task: asyncio.Task[SendVerdict]) -> SendVerdict:
        """A local try that lost its result is made again while the first one still sends: it joins that one."""
        done, _ = await asyncio.wait({task}, timeout=self._delivery.timing.local_s)
        return task.result() if done else SendVerdict("again", reasons=("slow_provider",))

    def _forget(self, order: SendOrder, line: Gate) -> None:
        line.give_turn()
        self._under_way.pop(_place(order), None)

    async def _try(self, order: SendOrder, way: Way) -> SendVerdict:
        held = way.wait(order.message_class, order.provider)
        if held is not None:
            return await self._only_plan(order, way, held)
        began = time.monotonic()
        taken = await self._claim(order, way, Admission())
        if isinstance(taken, SendVerdict):
            return taken
        return await to_its_end(self._send_and_settle(order, way, taken, began))

    async def abandon(self, order: SendOrder) -> SendVerdict:
        """End a Send that could not be done within 72 hours: what is still planned is skipped (`gave_up`), and the verdict is final."""
        way = await self._delivery.way(order.app, order.channel)
        async with self._database.transaction() as connection:
            return await abandon_step(connection, order, self._house(way))

    async def _only_plan(self, order: SendOrder, way: Way, held: Held) -> SendVerdict:
        """No account takes it now: rows are planned and rules applied, but nothing is claimed."""
        verdict = await self._claim(order, way, Admission(timedelta(seconds=held.wait_s), held.reason))
        assert isinstance(verdict, SendVerdict)
        return verdict

    def _house(self, way: Way) -> House:
        return House(self._delivery.timing, self._hold, self._delivery.allowed_for(way))

    async def _claim(self, order: SendOrder, way: Way, admission: Admission) -> Taken | SendVerdict:
        async with self._database.transaction() as connection:
            return await claim_step(connection, order, self._house(way), admission)

    async def _send_and_settle(self, order: SendOrder, way: Way, taken: Taken, began: float) -> SendVerdict:
        parcels = [self._parcel(order, taken, claim, place, began) for claim, place in taken.claims]
        ended = await asyncio.gather(*(send(way, parcel) for parcel in parcels))
        places = {claim.id: place for claim, place in taken.claims}

        async def settle(connection: Connection) -> SendVerdict:
            held = await settle_ended(connection, order.app, order.channel, ended, places)
            rows = _settled_rows(taken.rows, ended, held, parcels[0].moment())
            return await finish(connection, order, self._verdict(order, rows, ended, parcels[0].moment()))

        return await while_claimed(self._database, began + self._delivery.timing.claim_s, settle)

    def _verdict(self, order: SendOrder, rows: Sequence[MessageRow], ended: Sequence[Ended], now: datetime) -> SendVerdict:
        due = [each.settlement.due_at for each in ended if each.settlement.state == "planned" and each.settlement.due_at]
        waits = self._delivery.timing.waits(min(due) - now if due else timedelta(seconds=1))
        return verdict_of(rows, order.message_class, now, waits)

    def _parcel(self, order: SendOrder, taken: Taken, claim: Claim, place: Place, began: float) -> Parcel:
        person, timing = taken.enrolled.person, self._delivery.timing
        is_marketing = order.message_class == "marketing"
        leave = self._delivery.unsubscribe_url(order.app, person.id, place.endpoint_id, taken.topic) if is_marketing else None
        variables = variables_of(
            person,
            taken.standing,
            device=place.device,
            entry=taken.enrolled.entry_properties,
            captured={step: event.properties for step, event in order.captured.items()},
            visit=order.visit,
            unsubscribe_url=leave,
            preferences_url=self._delivery.preferences_url(order.app, person.id, place.endpoint_id),
        )
        filled = Filled(order.app, order.template, claim.template_version or taken.standing.template_version or 0, order.channel, variables)
        about = About(taken.standing.app_name, order.channel, order.message_class, order.journey, order.step, order.template)
        sent = Sent(order.app, claim.id, about, taken.standing.settings)
        return Parcel(
            claim=claim,
            app=order.app,
            address=place.address or "",
            message_class=order.message_class,
            topic=taken.topic or None,
            compose=lambda: self._contents.compose(filled, sent),
            began=began,
            deadline=began + timing.send_s,
            unknown_until=timing.unknown_for(order.message_class),
            repeat_wait=timing.repeat_wait,
            unsubscribe_url=leave,
            device=place.device,
            country=country_of(None, person.attributes),
            provider=order.provider,
            may_answer=window_is_open(taken.standing.replied.get(place.address_hash), taken.standing.now),
        )


def _place(order: SendOrder) -> tuple[str, str, int]:
    return order.enrollment_id, order.step, order.visit


def _settled_rows(rows: Sequence[MessageRow], ended: Sequence[Ended], held: frozenset[UUID], now: datetime) -> list[MessageRow]:
    """The rows as settled. One for which our claim no longer held stays as it was: somebody else answers for it."""
    settlements = {each.settlement.id: each.settlement for each in ended if each.settlement.id in held}
    return [
        replace(
            row,
            state=settlements[row.id].state,
            reason=settlements[row.id].reason,
            settled_at=now,
            claim_until=None,
            repeat_until=settlements[row.id].repeat_until,
        )
        if row.id in settlements
        else row
        for row in rows
    ]
