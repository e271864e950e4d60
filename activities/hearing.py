"""What people write back: keywords that stop and start, and words for whoever waits for them."""

from dataclasses import replace
from datetime import timedelta
from typing import Literal
from uuid import UUID

from channels.inbound import Told
from channels.mail_replies import NAMED_BY_PROVIDER
from channels.said import our_id
from channels.sms.keywords import Meaning, meaning
from storage import apps, consents, direct_sends, events, facts, provider_events, suppressions, unclear_replies
from storage.consents import EVERY, ConsentRecord
from storage.database import Connection
from storage.direct_sends import DirectSend
from storage.endpoints import normalised
from storage.facts import Reply
from storage.provider_events import ProviderEvent
from storage.suppressions import STOP

# Channels on which a single word can stop everything.
_WITH_KEYWORDS = frozenset({"sms", "whatsapp"})
# These answer STOP and HELP themselves, and refuse what we would answer.
ANSWERS_ITSELF = frozenset({"twilio", "aws"})
_TOLD_BY_PROVIDER: dict[str, Meaning] = {"STOP": "stop", "START": "start", "HELP": "help"}
# Later than that after a STOP no text may come any more, the one that confirms it included (47 CFR 64.1200 (a)(12)).
_ANSWER_WITHIN = timedelta(minutes=5)
_ANSWERS: dict[Meaning, tuple[str, str]] = {
    "help": ("sms_help", "{app}: texts about what you use with us. Reply STOP to get none of them, START to get them again."),
    "stop": ("sms_stopped", "{app}: you will get no more of these texts. Reply START to get them again."),
}


async def hear(connection: Connection, app: str, channel: str, event: ProviderEvent, told: Told) -> ProviderEvent:
    """Do what somebody asks for, or tell their journeys what they said; return the event with whom and what was understood.

    The people who have the address are locked.
    """
    owners = await _owners(connection, app, channel, event.address_hash)
    message_id, writer = await _writer(connection, app, channel, event, told, owners)
    text = str(told.detail.get("text", ""))
    meant = await _meaning(connection, app, channel, told, owners)
    if event.address_hash is not None:
        await facts.heard(connection, app, channel, event.address_hash, event.occurred_at)
    if meant in {"stop", "start", "help"}:
        await _obey(connection, app, channel, event, told, meant, owners)
    elif writer is not None:
        reply = Reply(
            writer, channel, text, f"{event.provider}:{event.account}/{event.event_id}", event.occurred_at, event.address_hash, message_id
        )
        await facts.replied(connection, app, reply)
    if meant == "unclear":
        for person in owners:
            await unclear_replies.hold(connection, app, person, channel, text)
    understood = {"meaning": meant} if channel in _WITH_KEYWORDS else {}
    return replace(event, user_id=writer, message_id=message_id, detail={"text": text, **understood}, is_parked=False)


async def _owners(connection: Connection, app: str, channel: str, address_hash: bytes | None) -> list[int]:
    """Everybody who has the address, as they are now."""
    found = await provider_events.owners(connection, app, channel, {address_hash} if address_hash else set())
    now = await events.lock_now(connection, app, {user for users in found.values() for user in users})
    return list(dict.fromkeys(now[user] for users in found.values() for user in users if user in now))


async def _writer(
    connection: Connection, app: str, channel: str, event: ProviderEvent, told: Told, owners: list[int]
) -> tuple[UUID | None, int | None]:
    """The message that is answered and who answers: by what is quoted, else the last one to this address, else whose address it is.

    A mail quotes our id, or that of the provider that it left through, which need not be the one that took the answer.
    """
    quoted = [*map(str, told.detail.get("answers", ())), *filter(None, [str(told.detail.get("ref") or "")])]
    ids = {found for found in map(our_id, quoted) if found is not None}
    spoken, by_ref = await provider_events.spoken_of(connection, app, {event.provider, *NAMED_BY_PROVIDER}, ids, set(quoted))
    for number in (found for text in quoted for found in (our_id(text), by_ref.get(text))):
        if number in spoken and spoken[number].user_id is not None:
            return number, spoken[number].user_id
    last = await provider_events.last_to(connection, app, channel, event.address_hash) if event.address_hash else None
    if last is not None:
        return last
    return None, owners[0] if owners else None


async def _meaning(connection: Connection, app: str, channel: str, told: Told, owners: list[int]) -> Meaning:
    if channel not in _WITH_KEYWORDS:
        return "nothing"
    meant = _TOLD_BY_PROVIDER.get(str(told.detail.get("keyword", "")).upper()) or meaning(str(told.detail.get("text", "")))
    if meant != "yes":
        return meant
    # "Yes" answers all kinds of questions; only to who has left is it START.
    left = [person for person in owners if await _has_left(connection, app, person, channel)]
    return "start" if left else "nothing"


async def _has_left(connection: Connection, app: str, person: int, channel: str) -> bool:
    standing = {(entry.channel, entry.topic): entry for entry in await consents.in_force(connection, app, person)}
    every = standing.get((channel, EVERY))
    return every is not None and every.state == "withdrawn" and every.source == STOP


async def _obey(
    connection: Connection, app: str, channel: str, event: ProviderEvent, told: Told, meant: Meaning, owners: list[int]
) -> None:
    if meant == "start" and await _has_stopped_since(connection, app, event):
        return
    state: Literal["granted", "withdrawn"] = "granted" if meant == "start" else "withdrawn"
    if meant != "help":
        for person in sorted(owners):
            if meant == "start":
                await unclear_replies.asked_to_start(connection, app, person, channel, by="their START")
            proof = {"text": str(told.detail.get("text", ""))[:100], "event_id": event.event_id}
            await consents.record(connection, app, person, ConsentRecord(channel, EVERY, state, STOP, proof))
    if event.address_hash is not None and meant == "start":
        await suppressions.release_told(connection, app, channel, event.address_hash)
    if event.address_hash is not None and meant == "stop" and not owners:
        await suppressions.suppress(connection, app, channel, event.address_hash, reason="manual", source=STOP)
    if meant in _ANSWERS and event.provider not in ANSWERS_ITSELF and told.address and event.address_hash is not None:
        await _answer(connection, app, channel, event, normalised(channel, told.address), meant)


async def _has_stopped_since(connection: Connection, app: str, event: ProviderEvent) -> bool:
    """Texts come in any order: who wrote STOP after this one no longer means it."""
    return event.address_hash is not None and await provider_events.stopped_after(connection, app, event.address_hash, event.occurred_at)


async def _answer(connection: Connection, app: str, channel: str, event: ProviderEvent, address: str, meant: Meaning) -> None:
    """Once within 24 hours, so that two machines do not talk to each other for ever."""
    if event.address_hash is None or await provider_events.asked_before(connection, app, event.address_hash, meant):
        return
    name, words = _ANSWERS[meant]
    own = (await apps.settings(connection, app)).get(name)
    text = str(own or words.format(app=await apps.name(connection, app)))
    request = f"keyword:{event.account}:{event.event_id}"[:200]
    content = {"parts": {"text": text}}
    send = DirectSend(
        app, request, channel, "transactional", content, address=address,
        holds_for=_ANSWER_WITHIN, answers_keyword=True,
    )  # fmt: skip
    await direct_sends.plan_direct(connection, send)
