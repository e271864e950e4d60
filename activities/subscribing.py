"""Asking for a topic: a yes counts at once or, where the topic says so, once it was confirmed from the address itself."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from channels.links import Confirm
from channels.templates import channels_of
from journeys.language.errors import Invalid, NotFound, Problem
from storage import consents, direct_sends, templates, topics
from storage.consents import ALL_MARKETING, EVERY, ConsentRecord, State
from storage.database import Connection
from storage.direct_sends import DirectSend
from storage.standing import lock_person
from storage.topics import Topic

CONFIRM_TEMPLATE = "confirm-subscription"
CONFIRM_WITHIN = timedelta(days=7)
MOST_A_DAY = 3
"""How often a confirm message for one topic and channel is sent in a day, however often somebody asks."""

BY_USER = "user"
ConfirmUrl = Callable[[Confirm], str]


@dataclass(frozen=True)
class Subscription:
    """How the topic stands now. `messages` ask for a confirmation; empty where none is needed, or enough were sent today."""

    state: Literal["granted", "pending"]
    messages: tuple[UUID, ...] = ()


async def subscribe(connection: Connection, app: str, user_id: int, wish: ConsentRecord, confirm_url: ConfirmUrl) -> Subscription:
    """Record that somebody asks for a topic on a channel, and ask them to confirm it where the topic wants that.

    Raises NotFound, and Invalid where a confirm message is needed and there is no template for it. Wake the direct lane after the commit.
    """
    person = await lock_person(connection, app, user_id)
    if person is None:
        raise NotFound("no such user")
    topic = await topics.of_name(connection, app, wish.topic)
    if wish.channel not in topic.double_opt_in:
        await consents.write(connection, app, person.id, replace(wish, state="granted"))
        return Subscription("granted")
    if await last_word(connection, app, person.id, wish.channel, wish.topic) == "granted":
        return Subscription("granted")
    await _must_have_a_template(connection, app, wish.channel)
    asked = await consents.pending_since(connection, app, person.id, wish.channel, wish.topic, timedelta(days=1))
    if asked >= MOST_A_DAY:
        return Subscription("pending")
    pending = await consents.write(connection, app, person.id, replace(wish, state="pending"))
    return Subscription("pending", await _ask(connection, app, person.id, pending, topic, confirm_url))


async def _ask(
    connection: Connection, app: str, user_id: int, pending: ConsentRecord, topic: Topic, confirm_url: ConfirmUrl
) -> tuple[UUID, ...]:
    assert pending.id is not None
    assert pending.recorded_at is not None
    until = pending.recorded_at + CONFIRM_WITHIN
    url = confirm_url(Confirm(app, user_id, pending.id, until))
    data = {"confirm_url": url, "topic": topic.title, "description": topic.description, "expires_at": until.isoformat()}
    send = DirectSend(
        app=app,
        request=f"confirm:{pending.id}",
        channel=pending.channel,
        message_class="transactional",
        content={"template": CONFIRM_TEMPLATE, "data": data},
        user_id=user_id,
    )
    return (await direct_sends.plan_direct(connection, send)).ids


async def _must_have_a_template(connection: Connection, app: str, channel: str) -> None:
    stored = await templates.live(connection, app, CONFIRM_TEMPLATE)
    if stored is None or channel not in channels_of(stored.files):
        words = f"must be confirmed, and there is no template {CONFIRM_TEMPLATE} for this channel: publish it with `sojourn apply`"
        raise Invalid([Problem("/channel", "no_confirm_template", words)])


Confirmed = Literal["asks", "confirmed", "expired", "left"]


@dataclass(frozen=True)
class Confirmation:
    """What a confirm link finds: `asks` for a click, `confirmed`, too late, or the person has left since, which a click does not undo."""

    stands: Confirmed
    pending: ConsentRecord


async def look(connection: Connection, user_id: int, asked: Confirm, now: datetime) -> Confirmation:
    """Find what a link would confirm, and change nothing. Raises NotFound."""
    said = await consents.history(connection, asked.app, user_id)
    pending = next((each for each in said if each.id == asked.consent_id and each.state == "pending"), None)
    if pending is None:
        raise NotFound("no such subscription")
    later = [each for each in said if (each.id or 0) > asked.consent_id]
    return Confirmation(_stands(pending, later, is_late=now > asked.expires_at), pending)


async def confirm(connection: Connection, asked: Confirm, now: datetime) -> Confirmation:
    """Let a pending yes count, once, under the lock that every claim takes. A repeat finds it confirmed. Raises NotFound."""
    person = await lock_person(connection, asked.app, asked.user_id)
    if person is None:
        raise NotFound("no such user")
    found = await look(connection, person.id, asked, now)
    if found.stands != "asks":
        return found
    pending = found.pending
    granted = ConsentRecord(
        pending.channel, pending.topic, "granted", "double_opt_in", {"pending": asked.consent_id}, shown=pending.shown, recorded_by=BY_USER
    )
    await consents.write(connection, asked.app, person.id, granted)
    return replace(found, stands="confirmed")


def _stands(pending: ConsentRecord, later: Sequence[ConsentRecord], *, is_late: bool) -> Confirmed:
    said = [each.state for each in later if _is_about(each, pending.channel, pending.topic)]
    has_closed = any(each.state == "withdrawn" and each.topic == EVERY and each.channel in {pending.channel, EVERY} for each in later)
    if said and said[-1] == "granted":
        return "confirmed"
    if has_closed or "withdrawn" in said:
        return "left"
    return "expired" if is_late else "asks"


async def last_word(connection: Connection, app: str, user_id: int, channel: str, topic: str) -> State | None:
    """What they said last of this topic on this channel; None when they said nothing."""
    said = await consents.history(connection, app, user_id)
    return next((each.state for each in reversed(said) if _is_about(each, channel, topic)), None)


def _is_about(said: ConsentRecord, channel: str, topic: str) -> bool:
    return said.channel in {channel, EVERY} and said.topic in {topic, ALL_MARKETING}
