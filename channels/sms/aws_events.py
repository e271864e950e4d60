"""What AWS End User Messaging tells of texts and calls through SNS, and texts that people send to a two-way number."""

from typing import Any

from channels.inbound import (
    MESSAGE,
    Call,
    Heard,
    Settings,
    Told,
    Unfitting,
    Word,
    detail,
    digest,
    long_text,
    members,
    moment,
    objects,
    our_id,
    raw_of,
    word,
)  # fmt: skip
from channels.sns import open_envelope

WORDS: dict[str, Word] = {
    "TEXT_QUEUED": "accepted",
    "TEXT_PENDING": "accepted",
    "TEXT_SENT": "accepted",
    "TEXT_SUCCESSFUL": "delivered",
    "TEXT_DELIVERED": "delivered",
    "TEXT_INVALID": "bounced",
    "TEXT_BLOCKED": "bounced",
    "TEXT_UNREACHABLE": "bounced",
    "TEXT_CARRIER_UNREACHABLE": "bounced",
    "TEXT_TTL_EXPIRED": "bounced",
    "TEXT_UNKNOWN": "bounced",
    "TEXT_CARRIER_BLOCKED": "refused",
    "TEXT_SPAM": "refused",
    "TEXT_INVALID_MESSAGE": "refused",
    "TEXT_PROTECT_BLOCKED": "refused",
    "VOICE_INITIATED": "accepted",
    "VOICE_RINGING": "accepted",
    "VOICE_ANSWERED": "delivered",
    "VOICE_COMPLETED": "delivered",
    "VOICE_BUSY": "bounced",
    "VOICE_NO_ANSWER": "bounced",
    "VOICE_FAILED": "bounced",
    "VOICE_TTL_EXPIRED": "bounced",
}
_DEAD = ("TEXT_INVALID", "TEXT_BLOCKED")


def read(call: Call, settings: Settings) -> Heard:
    """Open the envelope and read the event or the text. Raises as `open_envelope` does."""
    envelope = open_envelope(call, settings)
    if envelope.confirm or not envelope.message:
        return Heard(confirm=envelope.confirm)
    try:
        event = next(iter(objects(members(envelope.message.encode("utf-8", "replace")))), {})
    except Unfitting:
        event = {}
    if not event:
        return Heard([Told(envelope.id, "unknown", "", call.at, raw=raw_of(envelope.message))])
    return Heard([_reply(call, envelope.id, event) if "messageBody" in event else _event(call, envelope.id, event)])


def _event(call: Call, id_: str, event: dict[str, Any]) -> Told:
    kind = word(event, "eventType")
    return Told(
        event_id=id_,
        kind=WORDS.get(kind, "unknown"),
        word=kind,
        occurred_at=moment(word(event, "eventTimestamp"), call.at),
        message_id=our_id(word(event, "context", MESSAGE)),
        ref=word(event, "messageId") or None,
        address=word(event, "destinationPhoneNumber") or None,
        detail=detail([("hard", kind in _DEAD if WORDS.get(kind) == "bounced" else None), ("code", word(event, "messageStatus"))]),
        raw=raw_of(event),
    )


def _reply(call: Call, id_: str, event: dict[str, Any]) -> Told:
    sender = word(event, "originationNumber")
    said = {"text": long_text(event, "messageBody")[:2000], "answers": [], "ref": word(event, "previousPublishedMessageId")}
    return Told(
        word(event, "inboundMessageId") or id_ or digest(raw_of(event)), "replied", "inbound", call.at, address=sender or None, detail=said
    )
