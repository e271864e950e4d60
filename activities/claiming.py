"""The first transaction of a Send: under the user's row lock decide everything, plan its rows once, and claim those that may leave.

What is decided here cannot be overtaken: who withdraws consent, suppresses an address or commits an event takes the same lock.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from activities.exits import ConditionsHold, facts_of, has_ended
from activities.judging import after, is_change, is_too_late, move_for
from activities.orders import SendOrder, SendVerdict
from activities.places import NOWHERE, Place, nowhere, place_of, places_to_plan, raw, raw_or_none
from activities.rules import Go, Known, Ruling, Skip, Terms, look_at_transactional, look_back, ruling
from activities.sending import Timing
from activities.terms import located_of, terms_of, topic_of
from activities.verdicts import Waits, exited, from_json, given_up, has_slot_to_come, repeated_at, to_json, verdict_of
from journeys.language.evaluate import value
from storage import enrollments, held, outcomes
from storage.database import Connection
from storage.ids import message_id
from storage.messages import Claim, MessageRow, Move, Plan, forget_planned, insert_rows, move_rows
from storage.standing import (
    Asked,
    Count,
    Enrolled,
    Standing,
    claimed_since,
    lock_address,
    lock_enrolled,
    planned_address,
    read_standing,
    source_of,
)


@dataclass(frozen=True)
class House:
    """What a claim goes by, beside the order. `allowed_recipients` None: everybody."""

    timing: Timing
    hold: ConditionsHold
    allowed_recipients: frozenset[str] | None = None


@dataclass(frozen=True)
class Admission:
    """Whether some account takes a message now; if not, when to come back, and why."""

    wait: timedelta | None = None
    reason: str = "provider_away"


@dataclass(frozen=True)
class Taken:
    """Rows that are ours now, with where they go. `rows` are all rows of the step as they stand."""

    enrolled: Enrolled
    standing: Standing
    topic: str
    claims: tuple[tuple[Claim, Place], ...]
    rows: tuple[MessageRow, ...]


async def claim_step(connection: Connection, order: SendOrder, house: House, admission: Admission) -> Taken | SendVerdict:
    """Decide one Send. A verdict means that there is nothing to send now; a final one is stored before this returns."""
    enrolled = await lock_enrolled(connection, order.app, order.enrollment_id)
    if enrolled is None:
        return exited(())
    asked = _asked(order, enrolled)
    named = await _named_place(connection, order, enrolled, asked)
    if named is not None:
        await lock_address(connection, named.address_hash)
        asked = replace(asked, address_hash=named.address_hash)
    standing = await read_standing(connection, asked)
    if standing.verdict is not None:
        return from_json(standing.verdict)
    return await _Step(connection, order, house, admission, enrolled, asked, standing, named).decide()


def _asked(order: SendOrder, enrolled: Enrolled) -> Asked:
    return Asked(
        app=order.app,
        user_id=enrolled.person.id,
        source=source_of(order.enrollment_id),
        step=order.step,
        visit=order.visit,
        began_at=enrolled.started_at,
        channel=order.channel,
        topic=order.topic,
        template=order.template,
        journey=order.journey,
        enrollment_id=order.enrollment_id,
    )


async def _named_place(connection: Connection, order: SendOrder, enrolled: Enrolled, asked: Asked) -> Place | None:
    """The address that `to` gives, fixed by the first plan; it must be known before the standing is read, to be locked."""
    if order.to is None:
        return None
    planned = await planned_address(connection, asked)
    if planned is not None:
        return raw(order.app, order.channel, planned)
    named = order.to if isinstance(order.to, str) else value(order.to, facts_of(order, enrolled), enrolled.started_at)
    return raw_or_none(order.app, order.channel, named)


async def abandon_step(connection: Connection, order: SendOrder, house: House) -> SendVerdict:
    """Skip what is still planned (`gave_up`) and make the verdict final; what is unconfirmed stays so."""
    enrolled = await lock_enrolled(connection, order.app, order.enrollment_id)
    if enrolled is None:
        return exited(())
    standing = await read_standing(connection, _asked(order, enrolled))
    if standing.verdict is not None:
        return from_json(standing.verdict)
    planned = [row for row in standing.rows if row.state in {"planned", "deferred"}]
    moves = [move_for(row, Skip("gave_up"), standing.now, waits_for="provider_away") for row in planned]
    timing = house.timing
    await move_rows(connection, order.app, moves, claim_for=timedelta(), unknown_for=timing.unknown_wait, template_version=None)
    rows = after(standing.rows, {move.id: move for move in moves}, [], standing.now, timedelta())
    return await finish(connection, order, given_up(rows))


async def finish(connection: Connection, order: SendOrder, verdict: SendVerdict) -> SendVerdict:
    """Write a final verdict, the first writer's counts, and close the enrollment where this was its last step."""
    if verdict.status not in {"settled", "exited"}:
        return verdict
    stored = await outcomes.write(connection, order.app, order.enrollment_id, order.step, order.visit, to_json(verdict))
    if order.closes is not None and stored["status"] == "settled":
        await enrollments.close(connection, order.app, order.enrollment_id, order.closes)
    return from_json(stored)


@dataclass(frozen=True)
class _Step:
    connection: Connection
    order: SendOrder
    house: House
    admission: Admission
    enrolled: Enrolled
    asked: Asked
    standing: Standing
    named: Place | None

    @property
    def now(self) -> datetime:
        return self.standing.now

    async def decide(self) -> Taken | SendVerdict:
        rows = await self._let_claims_lapse(self.standing.rows)
        open_rows = [row for row in rows if self._is_open(row)]
        if rows and not open_rows:
            return await self._conclude(rows)
        is_over = self.standing.enrollment_state == "closed"
        if is_over or await has_ended(self.connection, self.order, self.enrolled, self.house.hold, self.now):
            return await self._leave(rows, open_rows)
        if self.standing.app_is_paused or self.standing.journey_is_paused:
            return await self._hold()
        if not rows or _is_waiting(rows[0]):
            return await self._plan(rows[0] if rows else None)
        return await self._take(rows, [(row, place_of(row, self.order.app, self.order.channel, self.standing)) for row in open_rows])

    async def _hold(self) -> SendVerdict:
        """Wait to be released; the moment is far off, and spread, because it is only there in case nobody is woken."""
        order = self.order
        if not await held.hold(self.connection, order.app, order.enrollment_id, order.journey, order.step, order.visit):
            return SendVerdict("held", reasons=("paused",), until=self.now + timedelta(seconds=1))
        wait = self.house.timing.held_for * random.uniform(1, 1.5)  # noqa: S311 - spreads those who are held
        return SendVerdict("held", reasons=("paused",), until=self.now + wait)

    async def _let_claims_lapse(self, rows: Sequence[MessageRow]) -> list[MessageRow]:
        """A claim whose time is over may have sent. The sweeper does the same for those to which nobody comes back."""
        lapsed = [row for row in rows if row.state == "claimed" and row.claim_until and row.claim_until <= self.now]
        moves = [
            Move(row.id, row.target, "unknown", "unconfirmed", epoch=row.claim_epoch, maybe_doubled=row.maybe_doubled) for row in lapsed
        ]
        await self._move(moves)
        gone = {row.id for row in lapsed}
        return [replace(row, state="unknown", reason="unconfirmed", settled_at=self.now) if row.id in gone else row for row in rows]

    def _is_open(self, row: MessageRow) -> bool:
        """Planned or deferred, or unconfirmed for so long that it may be sent once more."""
        if row.state == "unknown":
            again_at = repeated_at(row, self.order.message_class, self.now, self._waits)
            return again_at is not None and again_at <= self.now
        if has_slot_to_come(row, self.now):
            return False
        return row.state in {"planned", "deferred"}

    async def _leave(self, rows: Sequence[MessageRow], open_rows: Sequence[MessageRow]) -> SendVerdict:
        moves = [move_for(row, Skip("exited"), self.now, waits_for="provider_away") for row in open_rows]
        await self._move(moves)
        left = after(rows, {move.id: move for move in moves}, [], self.now, timedelta())
        return await finish(self.connection, self.order, exited(left))

    async def _plan(self, waiting: MessageRow | None) -> Taken | SendVerdict:
        """Fix the targets, once. In the minute after entry an endpoint is waited for, because identify and track race."""
        places = places_to_plan(self.order.channel, self.standing) if self.order.to is None else [self.named] if self.named else []
        if places:
            if waiting is not None:
                await forget_planned(self.connection, self.order.app, waiting.id)
            return await self._take([], [(self._new_row(place), place) for place in places])
        since = self.enrolled.started_at
        until = since + self.house.timing.endpoint_wait
        if self.now >= until:
            place = nowhere(self.standing)
            return await self._take([waiting] if waiting else [], [(waiting or self._new_row(place), place)])
        if waiting is None:
            await self._insert(
                [replace(move_for(self._new_row(nowhere(self.standing)), Go(), self.now, waits_for="provider_away"), reason="no_endpoint")]
            )
        soon = self.now + max(timedelta(seconds=2), (self.now - since) * 2)
        return SendVerdict("again", reasons=("no_endpoint",), until=min(soon, until))

    def _new_row(self, place: Place) -> MessageRow:
        order = self.order
        number = message_id(self.enrolled.started_at, order.app, self.asked.source, order.step, order.visit, place.target)
        return MessageRow(number, place.target, "planned", endpoint_id=place.endpoint_id, address=place.raw_address)

    async def _take(self, rows: Sequence[MessageRow], candidates: Sequence[tuple[MessageRow, Place]]) -> Taken | SendVerdict:
        """Judge each candidate, write what became of it, and claim what may go. Candidates that are not in `rows` are new."""
        waits_for = None if self.admission.wait is None else self.admission.reason
        rulings = await self._rulings(candidates)
        moves = [move_for(row, verdict, self.now, waits_for=waits_for) for (row, _), verdict in zip(candidates, rulings, strict=True)]
        known = {row.id: row for row in rows}
        claims = await self._insert([move for move in moves if move.id not in known])
        claims += await self._move([move for move in moves if move.id in known and is_change(move, known[move.id])])
        every_row = [*rows, *(row for row, _ in candidates if row.id not in known)]
        now_stand = after(every_row, {move.id: move for move in moves}, claims, self.now, self._claim_for)
        if not claims:
            return await self._conclude(now_stand)
        places = {row.id: place for row, place in candidates}
        taken = tuple((claim, places[claim.id]) for claim in claims)
        return Taken(self.enrolled, self.standing, self._topic, taken, tuple(now_stand))

    async def _rulings(self, candidates: Sequence[tuple[MessageRow, Place]]) -> list[Ruling]:
        terms = self._terms(candidates[0][1].address if candidates else None)
        since = look_back(terms.caps, self.now, terms.zone) if self.order.message_class == "marketing" else None
        counts = [Count(self.asked, since, look_at_transactional(terms.caps))] if since else []
        claimed = (await claimed_since(self.connection, self.order.app, counts))[0] if counts else ()
        known = Known(self.now, self.standing.consents, self.standing.suppressed, claimed, self.standing.replied)
        return [self._or_never(row, ruling(terms, place.as_target(), known)) for row, place in candidates]

    def _or_never(self, row: MessageRow, verdict: Ruling) -> Ruling:
        if is_too_late(row, self.order.message_class, self.now):
            return Skip("unconfirmed")
        return Skip("no_template") if isinstance(verdict, Go) and self.standing.template_version is None else verdict

    def _terms(self, address: str | None) -> Terms:
        return terms_of(
            channel=self.order.channel,
            message_class=self.order.message_class,
            topic=self._topic,
            located=located_of(self.order.channel, self.enrolled.person, self.standing, address),
            settings=self.standing.settings,
            quiet_hours=self.order.quiet_hours,
            send_window=self.order.send_window,
            caps=self.order.caps,
            allowed_recipients=self.house.allowed_recipients,
            only_answers=self.standing.only_answers,
        )

    @property
    def _topic(self) -> str:
        return topic_of(self.order.topic, self.order.message_class, self.standing.settings)

    @property
    def _claim_for(self) -> timedelta:
        return self.house.timing.claim_for

    async def _insert(self, moves: Sequence[Move]) -> list[Claim]:
        order = self.order
        plan = Plan(
            app=order.app,
            user_id=self.enrolled.person.id,
            source=self.asked.source,
            step=order.step,
            visit=order.visit,
            channel=order.channel,
            message_class=order.message_class,
            topic=self._topic or None,
            template=order.template,
            journey=order.journey,
        )
        version = self.standing.template_version
        return await insert_rows(self.connection, plan, moves, claim_for=self._claim_for, template_version=version)

    async def _move(self, moves: Sequence[Move]) -> list[Claim]:
        return await move_rows(
            self.connection,
            self.order.app,
            moves,
            claim_for=self._claim_for,
            unknown_for=self.house.timing.unknown_for(self.order.message_class),
            template_version=self.standing.template_version,
        )

    async def _conclude(self, rows: Sequence[MessageRow]) -> SendVerdict:
        return await finish(self.connection, self.order, verdict_of(rows, self.order.message_class, self.now, self._waits))

    @property
    def _waits(self) -> Waits:
        return self.house.timing.waits(self.admission.wait or timedelta(seconds=1))


def _is_waiting(row: MessageRow) -> bool:
    """The plan that waits for an endpoint."""
    return row.target == NOWHERE and row.state == "planned" and row.claim_epoch == 0
