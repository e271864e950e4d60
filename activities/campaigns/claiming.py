"""The first transaction of a chunk: under the locks of all its people decide each message, and claim those that may leave.

Most people have said nothing, were not written to lately, and are not in their quiet hours: one statement claims all of them. Everybody
else is judged as direct messages are (direct_claims.py), by the same rules.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from activities.campaigns.running import Running
from activities.direct_claims import Case, Judging, Taken
from activities.messages import Delivery
from activities.places import Place
from activities.rules import NEEDS_CONSENT, Defer, Skip, Terms, look_at_transactional, look_back
from activities.terms import terms_of, topic_of
from activities.ways import Way
from activities.zones import Located, locate
from journeys.language.messages import Message
from journeys.language.permitted import closed_by
from journeys.language.zones import local_to_utc
from storage import campaign_sends
from storage.campaign_sends import VISIT, Chunk, House, Later, Plain, Recipient, Sought, source_of
from storage.database import Connection
from storage.direct_sends import Waiting
from storage.endpoints import WITHOUT_ADDRESS
from storage.standing import Asked, Standing, read_standings

_SOON = timedelta(seconds=1)


@dataclass(frozen=True)
class ClaimedChunk:
    """What is ours of a chunk, and what stays in the run for later."""

    taken: tuple[Taken, ...]
    later: tuple[Later, ...]


@dataclass(frozen=True)
class Claiming:
    """Claims one chunk of a run, whose version sends `message`."""

    running: Running
    message: Message
    delivery: Delivery
    way: Way

    @property
    def _pinned(self) -> int | None:
        """None of a template that was not there when the run was planned, or that an older release planned: then the live one counts."""
        return self.running.run.template_versions.get(self.message.template)

    async def claim(self, connection: Connection, chunk: Chunk) -> ClaimedChunk:
        """The caller's transaction took the chunk, or commits before it does so again."""
        still_claimed: list[Later] = []
        if chunk.epoch > 1:
            unknown_for = self.delivery.timing.patience
            still_claimed = await campaign_sends.let_claims_lapse(connection, chunk, unknown_for=unknown_for)
        everybody = await campaign_sends.lock_recipients(connection, chunk)
        here = [each for each in everybody if each.merged_into is None]
        campaign = self.running.campaign
        house = await campaign_sends.read_house(
            connection, chunk.app, template=self.message.template, pinned=self._pinned, topic=campaign.topic
        )
        # Who was found to be somebody else meanwhile is met again as that one.
        moved = [Later(each.id, house.now + _SOON, "planned") for each in everybody if each.merged_into is not None]
        now, later = self._on_their_clock(here, chunk.step, house)
        plain = await self._claim_plain(connection, chunk, now, house)
        rest = [each for each in now if each.id not in plain]
        judged = await self._judge(connection, chunk, rest) if rest else ClaimedChunk((), ())
        taken = tuple(self._taken(each, plain[each.id], house, chunk) for each in now if each.id in plain)
        return ClaimedChunk((*taken, *judged.taken), (*still_claimed, *moved, *later, *judged.later))

    def _on_their_clock(self, recipients: Sequence[Recipient], step: str, house: House) -> tuple[list[Recipient], list[Later]]:
        """Those whose clock has come to the time of the campaign and of this version of it, and when the others' does."""
        wall = self.running.local_at_of(step)
        if wall is None:
            return list(recipients), []
        due = [(each, local_to_utc(wall, self._located(each, house).zone)) for each in recipients]
        later = [Later(each.id, at, "local_time") for each, at in due if at > house.now]
        return [each for each, at in due if at <= house.now], later

    def _located(self, recipient: Recipient, house: House) -> Located:
        return locate(recipient.person.timezone, recipient.phone, recipient.person.attributes, house.settings)

    async def _claim_plain(
        self, connection: Connection, chunk: Chunk, recipients: Sequence[Recipient], house: House
    ) -> dict[object, Plain]:
        """Of those whom nothing in the house, nor the hour, stands against."""
        campaign, channel = self.running.campaign, self.message.channel
        asks_everybody = channel in NEEDS_CONSENT or channel in WITHOUT_ADDRESS or house.needs_consent
        if asks_everybody or house.template_version is None or not recipients:
            return {}
        terms = {located: self._terms(located, house) for located in {self._located(each, house) for each in recipients}}
        open_now = {located for located, each in terms.items() if self._is_open(each, house.now)}
        ids = [each.id for each in recipients if each.state == "planned" and self._located(each, house) in open_now]
        is_marketing = campaign.message_class == "marketing"
        sinces = [since for each in terms.values() if is_marketing and (since := look_back(each.caps, house.now, each.zone))]
        caps = next(iter(terms.values())).caps
        allowed = self.delivery.allowed_for(self.way)
        sought = Sought(
            channel,
            min(sinces, default=None),
            min((cap.at_most for cap in caps), default=0),
            look_at_transactional(caps),
            None if allowed is None else sorted(allowed),
        )
        claim_for = self.delivery.timing.claim_for
        found = await campaign_sends.claim_plain(
            connection, chunk, ids, sought, claim_for=claim_for, template_version=house.template_version
        )
        return {each.claim.id: each for each in found}

    def _is_open(self, terms: Terms, now: datetime) -> bool:
        return self.running.campaign.message_class == "transactional" or closed_by(terms.hours, now, terms.zone) is None

    def _terms(self, located: Located, house: House) -> Terms:
        campaign = self.running.campaign
        return terms_of(
            channel=self.message.channel,
            message_class=campaign.message_class,
            topic=topic_of(campaign.topic, campaign.message_class, house.settings),
            located=located,
            settings=house.settings,
            quiet_hours=campaign.quiet_hours,
            send_window=campaign.send_window,
            caps=self.running.limits.caps,
            allowed_recipients=None,
        )

    async def _judge(self, connection: Connection, chunk: Chunk, recipients: Sequence[Recipient]) -> ClaimedChunk:
        waiting = [self._waiting(each, chunk) for each in recipients]
        asked = [self._asked(each, chunk) for each in waiting]
        standings = await read_standings(connection, chunk.app, asked)
        judging = Judging(connection, self.delivery, self.way, self.running.limits)
        people = {each.person.id: each.person for each in recipients}
        found = [judging.case(*each, people) for each in zip(waiting, asked, standings, strict=True)]
        cases = await judging.judge([case for case in found if case is not None]) if any(found) else []
        claims = await judging.move(cases)
        if claims:
            await campaign_sends.leave_to_chunk(connection, chunk, list(claims))
        await campaign_sends.count(connection, chunk, [end for case in cases if (end := _end(case)) is not None])
        topic = topic_of(self.running.campaign.topic, self.running.campaign.message_class, standings[0].settings)
        taken = [
            Taken(case.waiting, claims[case.row.id], case.place, case.person, case.standing, topic)
            for case in cases
            if case.row.id in claims
        ]
        return ClaimedChunk(tuple(taken), tuple(later for case in cases if (later := _later(case)) is not None))

    def _waiting(self, recipient: Recipient, chunk: Chunk) -> Waiting:
        campaign = self.running.campaign
        return Waiting(
            app=chunk.app,
            id=recipient.id,
            user_id=recipient.person.id,
            source=source_of(chunk.run_id),
            channel=self.message.channel,
            message_class=campaign.message_class,
            topic=campaign.topic,
            template=self.message.template,
            address=None,
            planned_at=recipient.planned_at,
        )

    def _asked(self, waiting: Waiting, chunk: Chunk) -> Asked:
        return Asked(
            app=chunk.app,
            user_id=waiting.user_id,
            source=waiting.source,
            step=chunk.step,
            visit=VISIT,
            began_at=chunk.began_at,
            channel=waiting.channel,
            topic=waiting.topic,
            template=waiting.template,
            message_id=waiting.id,
            template_version=self._pinned,
        )

    def _taken(self, recipient: Recipient, plain: Plain, house: House, chunk: Chunk) -> Taken:
        place = Place(str(plain.endpoint_id), plain.address, plain.address_hash, endpoint_id=plain.endpoint_id, device=plain.device)
        standing = Standing(house.now, house.app_name, house.settings, template_version=house.template_version, phone=recipient.phone)
        campaign = self.running.campaign
        topic = topic_of(campaign.topic, campaign.message_class, house.settings)
        return Taken(self._waiting(recipient, chunk), plain.claim, place, recipient.person, standing, topic)


def _end(case: Case) -> tuple[str, str | None] | None:
    move = case.move
    return (move.state, move.reason) if isinstance(case.verdict, Skip) and move is not None else None


def _later(case: Case) -> Later | None:
    """None: it is claimed, or over."""
    if case.verdict is None:
        return Later(case.row.id, case.standing.now + _SOON, "paused")
    return Later(case.row.id, case.verdict.until, case.verdict.reason) if isinstance(case.verdict, Defer) else None
