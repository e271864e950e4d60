"""What somebody may choose in the preference centre, how it stands now, and what their choice changes."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal
from zoneinfo import ZoneInfo

from activities.rules import Go, Known, Skip, Target, Terms, ruling
from activities.subscribing import BY_USER, ConfirmUrl, subscribe
from storage import consents
from storage.consents import ALL_MARKETING, EVERY, ConsentRecord, Shown
from storage.database import Connection
from storage.standing import Consent
from storage.topics import Topic, undeclared

SOURCE = "preference_centre"
Stands = Literal["on", "off", "pending"]
_ADDRESS = Target("somebody")
_ZONE = ZoneInfo("UTC")


@dataclass(frozen=True)
class Choice:
    """One box: a topic on a channel, or with topic `*` the whole channel."""

    channel: str
    topic: str
    stands: Stands


@dataclass(frozen=True)
class Offer:
    """A topic with its boxes."""

    topic: Topic
    choices: tuple[Choice, ...]


@dataclass(frozen=True)
class Choices:
    """Everything that the page offers. `channels` are the boxes that close a channel altogether."""

    offers: tuple[Offer, ...]
    channels: tuple[Choice, ...]

    def every(self) -> dict[tuple[str, str], Choice]:
        """The boxes that may be changed, by channel and topic."""
        open_to_all = [choice for offer in self.offers if not offer.topic.is_required for choice in offer.choices]
        return {(choice.channel, choice.topic): choice for choice in (*open_to_all, *self.channels)}


@dataclass(frozen=True)
class Wish:
    """What the person did to one box: how it stood on the page that they saw, and how they left it."""

    channel: str
    topic: str
    was_on: bool
    is_on: bool


def choices_of(topics: Sequence[Topic], said: Sequence[ConsentRecord], reachable: Collection[str]) -> Choices:
    """Tell how every box stands, by the rules that every message is judged by. `reachable`: channels on which they have an address."""
    known = [*topics, *_undeclared(topics, said)]
    standing = consents_of(said, topics)
    offers = tuple(
        Offer(topic, tuple(Choice(channel, topic.name, _stands(channel, topic.name, standing)) for channel in _shown(topic, reachable)))
        for topic in known
        if _shown(topic, reachable)
    )
    return Choices(offers, tuple(Choice(channel, EVERY, _is_open(channel, standing)) for channel in sorted(reachable)))


def consents_of(said: Sequence[ConsentRecord], topics: Sequence[Topic]) -> list[Consent]:
    """The record as the rules read it."""
    needed = [Consent(EVERY, topic.name, is_granted=False, order=0, stands="needed") for topic in topics if topic.needs_consent]
    return [
        *needed,
        *(
            Consent(each.channel, each.topic, each.state == "granted", each.id or 0, "pending" if each.state == "pending" else "said")
            for each in said
        ),
    ]


def _undeclared(topics: Sequence[Topic], said: Sequence[ConsentRecord]) -> Iterator[Topic]:
    """Topics that nobody described and that the person has said something of: they must find them here to change their mind."""
    found: dict[str, set[str]] = {}
    for each in said:
        if each.topic not in {EVERY, ALL_MARKETING, *(topic.name for topic in topics)}:
            found.setdefault(each.topic, set()).add("email" if each.channel == EVERY else each.channel)
    for name, channels in sorted(found.items()):
        yield replace(undeclared(name), channels=tuple(sorted(channels)))


def _shown(topic: Topic, reachable: Collection[str]) -> tuple[str, ...]:
    return tuple(channel for channel in topic.channels if channel in reachable)


def _stands(channel: str, topic: str, standing: Sequence[Consent]) -> Stands:
    found = ruling(Terms(channel, "marketing", topic, _ZONE), _ADDRESS, Known(datetime.now(UTC), standing))
    if found == Skip("not_confirmed"):
        return "pending"
    return "on" if isinstance(found, Go) else "off"


def _is_open(channel: str, standing: Sequence[Consent]) -> Stands:
    found = ruling(Terms(channel, "transactional", "", _ZONE), _ADDRESS, Known(datetime.now(UTC), standing))
    return "on" if isinstance(found, Go) else "off"


@dataclass(frozen=True)
class Chooser:
    """Writes down what somebody chose. `proven`: the channel to whose address the link went, on which nothing needs confirming."""

    connection: Connection
    app: str
    user_id: int
    shown: Shown
    confirm_url: ConfirmUrl
    proven: str | None = None

    async def leave_all(self) -> None:
        """Leave every topic on every channel, those that come later too. What is about their orders still comes."""
        await self._say(EVERY, ALL_MARKETING, is_on=False)

    async def choose(self, choices: Choices, wishes: Sequence[Wish]) -> int:
        """Change what the person changed, and no more; return how many boxes that were. The person's row must be locked.

        A box that they left as it was says nothing, even where it has changed since they saw it.
        """
        boxes = choices.every()
        changed = [each for each in wishes if each.is_on != each.was_on and self._differs(boxes.get((each.channel, each.topic)), each)]
        closing = {each.channel for each in changed if each.topic == EVERY and not each.is_on}
        for channel in sorted({each.channel for each in changed if each.is_on} - closing):
            if boxes[channel, EVERY].stands == "off":
                await self._open(channel)
        for each in changed:
            if each.topic != EVERY and not (each.is_on and each.channel in closing):
                await self._choose(each)
        for channel in sorted(closing):
            await self._say(channel, EVERY, is_on=False)
        return len(changed)

    def _differs(self, box: Choice | None, wish: Wish) -> bool:
        return box is not None and (box.stands == "on") != wish.is_on

    async def _open(self, channel: str) -> None:
        """Opening a channel is no yes to every topic on it: each stays off until it is ticked."""
        await self._say(channel, EVERY, is_on=True)
        await self._say(channel, ALL_MARKETING, is_on=False)

    async def _choose(self, wish: Wish) -> None:
        if wish.is_on and wish.channel != self.proven:
            await subscribe(self.connection, self.app, self.user_id, self._record(wish.channel, wish.topic, is_on=True), self.confirm_url)
        else:
            await self._say(wish.channel, wish.topic, is_on=wish.is_on)

    async def _say(self, channel: str, topic: str, *, is_on: bool) -> None:
        await consents.write(self.connection, self.app, self.user_id, self._record(channel, topic, is_on=is_on))

    def _record(self, channel: str, topic: str, *, is_on: bool) -> ConsentRecord:
        state: Literal["granted", "withdrawn"] = "granted" if is_on else "withdrawn"
        return ConsentRecord(channel, topic, state, SOURCE, shown=self.shown, recorded_by=BY_USER)
