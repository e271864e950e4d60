"""The first transaction of many direct messages: under the locks of all their people decide each, and claim those that may leave.

What is decided here cannot be overtaken, as in claiming.py; the rules are the same, read for many at once.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Literal
from uuid import UUID

from activities.judging import is_change, is_too_late, move_for
from activities.messages import Delivery
from activities.places import Place, place_of, raw
from activities.rules import Defer, Go, Known, Ruling, Skip, Terms, look_at_transactional, look_back, ruling
from activities.terms import located_of, terms_of, topic_of
from activities.ways import Way
from channels.whatsapp.letter import CHANNEL
from journeys.language.messages import Cap, QuietHours, SendWindow
from storage import direct_sends, provider_events, suppressions
from storage.database import Connection
from storage.direct_sends import STEP, VISIT, Waiting
from storage.messages import Claim, MessageRow, Move, move_rows
from storage.standing import Asked, Count, Person, Standing, claimed_since, lock_addresses, lock_people, read_standings
from storage.standing import Claimed as CountedMessage
from storage.suppressions import STOP

MessageClass = Literal["marketing", "transactional"]


@dataclass(frozen=True)
class Limits:
    """What binds messages beside the app's settings. `patience`: how long one may wait; None: as long as any other."""

    quiet_hours: QuietHours | None = None
    send_window: SendWindow | None = None
    caps: tuple[Cap, ...] | None = None
    patience: timedelta | None = None


@dataclass(frozen=True)
class Taken:
    """A message that is ours now, with all that its send needs."""

    waiting: Waiting
    claim: Claim
    place: Place
    person: Person | None
    standing: Standing
    topic: str


@dataclass(frozen=True)
class Claimed:
    """What was taken. `survivors` are messages whose person was found to be somebody else: they name that one now, and are met again."""

    taken: tuple[Taken, ...]
    survivors: tuple[Waiting, ...]


@dataclass(frozen=True)
class Case:
    """One message as it is judged. `verdict` None: the app is paused."""

    waiting: Waiting
    asked: Asked
    person: Person | None
    standing: Standing
    row: MessageRow
    place: Place
    verdict: Ruling | None

    @property
    def move(self) -> Move | None:
        if self.verdict is None:
            return None
        move = move_for(self.row, self.verdict, self.standing.now)
        return move if is_change(move, self.row) else None


async def claim_all(connection: Connection, batch: Sequence[Waiting], delivery: Delivery, way: Way) -> Claimed:
    """Claim messages of one app and channel, one of each person, or write down why not and when to come back."""
    app, channel = batch[0].app, batch[0].channel
    # Whose address it is may have said that they want nothing there, whether the caller names them or not.
    owners = await provider_events.owners(connection, app, channel, {_hash_of(each) for each in batch if each.user_id is None})
    named = [each.user_id for each in batch if each.user_id is not None]
    people, moved = await lock_people(connection, app, [*named, *(user for users in owners.values() for user in users)])
    here = [each for each in batch if each.user_id not in moved]
    survivors = tuple(replace(each, user_id=moved[each.user_id]) for each in batch if each.user_id in moved)
    if not here:
        return Claimed((), survivors)
    asked = [_asked(each, people) for each in here]
    if hashes := [each.address_hash for each in asked if each.address_hash is not None]:
        await lock_addresses(connection, hashes)
    standings = await read_standings(connection, app, asked)
    judging = Judging(connection, delivery, way)
    cases = [judging.case(*each, people) for each in zip(here, asked, standings, strict=True)]
    judged = await judging.judge([case for case in cases if case is not None])
    return Claimed(await judging.carry_out(judged), survivors)


def _asked(waiting: Waiting, people: dict[int, Person]) -> Asked:
    return Asked(
        app=waiting.app,
        user_id=waiting.user_id if waiting.user_id in people else None,
        source=waiting.source,
        step=STEP,
        visit=VISIT,
        began_at=waiting.began_at,
        channel=waiting.channel,
        topic=waiting.topic,
        template=waiting.template,
        address_hash=None if waiting.address is None else _hash_of(waiting),
    )


def _hash_of(waiting: Waiting) -> bytes:
    return raw(waiting.app, waiting.channel, waiting.address or "").address_hash


@dataclass(frozen=True)
class Judging:
    """Judges messages of one app and channel, under the locks of their people. `limits` are those of a campaign."""

    connection: Connection
    delivery: Delivery
    way: Way
    limits: Limits = Limits()

    def case(self, waiting: Waiting, asked: Asked, standing: Standing, people: dict[int, Person]) -> Case | None:
        """None: somebody else has it, or it is done."""
        row = next((each for each in standing.rows if each.id == waiting.id), None)
        if row is None or row.state not in {"planned", "deferred"}:
            return None
        person = people.get(asked.user_id) if asked.user_id is not None else None
        return Case(waiting, asked, person, standing, row, place_of(row, waiting.app, waiting.channel, standing), None)

    async def judge(self, cases: Sequence[Case]) -> list[Case]:
        """The same with their verdicts; what counts against the caps of all of them is read at once."""
        cases = [await self._past_a_stop(case) if case.waiting.answers_keyword else case for case in cases]
        terms = {case.row.id: self._terms(case) for case in cases if not case.standing.app_is_paused}
        counts = {case.row.id: count for case in cases if case.row.id in terms and (count := _count(case, terms[case.row.id]))}
        found = await claimed_since(self.connection, cases[0].waiting.app, list(counts.values())) if counts else []
        claimed = dict(zip(counts, found, strict=True))
        return [
            replace(case, verdict=self._ruling(case, terms[case.row.id], claimed.get(case.row.id, ()))) if case.row.id in terms else case
            for case in cases
        ]

    async def _past_a_stop(self, case: Case) -> Case:
        """Who has left may be told so, and helped when they ask; an address that bounced, or that somebody blocked, gets nothing."""
        standing = replace(case.standing, consents=())
        found = await suppressions.get(self.connection, case.waiting.app, case.waiting.channel, case.place.address_hash)
        if found is not None and found.source == STOP:
            standing = replace(standing, suppressed=frozenset())
        return replace(case, standing=standing)

    def _terms(self, case: Case) -> Terms:
        return terms_of(
            channel=case.waiting.channel,
            message_class=_class_of(case.waiting),
            topic=_topic_of(case),
            located=located_of(case.waiting.channel, case.person, case.standing, case.place.address),
            settings=case.standing.settings,
            quiet_hours=self.limits.quiet_hours,
            send_window=self.limits.send_window,
            caps=self.limits.caps,
            allowed_recipients=self.delivery.allowed_for(self.way),
            only_answers=_only_answers(case),
        )

    def _ruling(self, case: Case, terms: Terms, claimed: Sequence[CountedMessage]) -> Ruling:
        standing = case.standing
        if case.waiting.holds_until is not None and standing.now >= case.waiting.holds_until:
            return Skip("expired")
        patience = self.limits.patience or self.delivery.timing.patience
        if case.row.planned_at and standing.now - case.row.planned_at > patience:
            return Skip("gave_up")
        if is_too_late(case.row, _class_of(case.waiting), standing.now):
            return Skip("unconfirmed")
        known = Known(standing.now, standing.consents, standing.suppressed, claimed, standing.replied)
        verdict = ruling(terms, case.place.as_target(), known)
        if isinstance(verdict, Go) and case.waiting.template is not None and standing.template_version is None:
            return Skip("no_template")
        return verdict

    async def carry_out(self, cases: Sequence[Case]) -> tuple[Taken, ...]:
        """Write what became of each, and return those that are ours now."""
        claims = await self.move(cases)
        waits = {case.waiting.id: wait for case in cases if (wait := self._wait(case)) is not None}
        if waits:
            await direct_sends.postpone(self.connection, cases[0].waiting.app, waits)
        if skipped := [case.waiting.id for case in cases if isinstance(case.verdict, Skip)]:
            await direct_sends.forget_contents(self.connection, cases[0].waiting.app, skipped)
        return tuple(
            Taken(case.waiting, claims[case.row.id], case.place, case.person, case.standing, _topic_of(case))
            for case in cases
            if case.row.id in claims
        )

    async def move(self, cases: Sequence[Case]) -> dict[UUID, Claim]:
        """One statement for all that share a class and a template's version, which is nearly always all."""
        alike: dict[tuple[str, int | None], list[tuple[Case, Move]]] = defaultdict(list)
        for case in cases:
            if (move := case.move) is not None:
                alike[case.waiting.message_class, case.standing.template_version].append((case, move))
        timing = self.delivery.timing
        claims: list[Claim] = []
        for (message_class, version), pairs in alike.items():
            claims += await move_rows(
                self.connection,
                pairs[0][0].waiting.app,
                [move for _, move in pairs],
                claim_for=timing.claim_for,
                unknown_for=timing.unknown_for(message_class),
                template_version=version,
            )
        return {claim.id: claim for claim in claims}

    def _wait(self, case: Case) -> timedelta | None:
        if case.verdict is None:
            return self.delivery.timing.direct_held_for
        return case.verdict.until - case.standing.now if isinstance(case.verdict, Defer) else None


def _count(case: Case, terms: Terms) -> Count | None:
    since = look_back(terms.caps, case.standing.now, terms.zone) if terms.message_class == "marketing" else None
    return Count(case.asked, since, look_at_transactional(terms.caps)) if since and case.asked.user_id is not None else None


def _class_of(waiting: Waiting) -> MessageClass:
    return waiting.message_class


def _topic_of(case: Case) -> str:
    return topic_of(case.waiting.topic, _class_of(case.waiting), case.standing.settings)


def _only_answers(case: Case) -> bool:
    """A free text on WhatsApp: the template's, or one that was given as it is."""
    parts = case.waiting.content.get("parts")
    return case.standing.only_answers if parts is None else case.waiting.channel == CHANNEL and "template" not in parts
