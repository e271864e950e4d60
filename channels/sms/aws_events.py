"""What AWS End User Messaging tells of texts and calls through SNS, and texts that people send to a two-way number."""

from channels.inbound import MESSAGE, Call, Heard, Settings, Told, Word, detail, digest, reply
from channels.said import Said
from channels.sns import Envelope, read_notification

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
# Who does not answer a call has a number that lives: no bounce, soft or hard, of the address.
_UNANSWERED = ("VOICE_BUSY", "VOICE_NO_ANSWER")


def read(call: Call, settings: Settings) -> Heard:
    """Open the envelope and read the event or the text. Raises as `open_envelope` does."""
    return read_notification(call, settings, _read)


def _read(call: Call, envelope: Envelope, event: Said) -> list[Told]:
    return [_reply(envelope, event) if "messageBody" in event else _event(call, envelope.id, event)]


def _event(call: Call, id_: str, event: Said) -> Told:
    kind = event.word("eventType")
    is_bounce = WORDS.get(kind) == "bounced" and kind not in _UNANSWERED
    return Told(
        event_id=id_,
        kind=WORDS.get(kind, "unknown"),
        word=kind,
        occurred_at=call.moment(event.word("eventTimestamp")),
        message_id=event.our_id("context", MESSAGE),
        ref=event.word("messageId"),
        address=event.word("destinationPhoneNumber"),
        detail=detail(hard=kind in _DEAD if is_bounce else None, code=event.word("messageStatus")),
        raw=event.raw,
    )


def _reply(envelope: Envelope, event: Said) -> Told:
    """It does not say when it was written, and SNS keeps no order: the envelope's moment is the nearest to it."""
    event_id = event.word("inboundMessageId") or envelope.id or digest(event.raw)
    sender, answered = event.word("originationNumber"), event.word("previousPublishedMessageId")
    return reply(event_id, "inbound", envelope.at, sender, event.text("messageBody"), ref=answered)
