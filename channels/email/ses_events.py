"""What Amazon SES tells through SNS: what became of mails, and mails that people sent to us (a receipt rule with an SNS action)."""

from typing import Any

from channels.inbound import (
    MESSAGE,
    Call,
    Heard,
    Settings,
    Told,
    Unfitting,
    Word,
    bytes_of,
    detail,
    digest,
    inner,
    long_text,
    members,
    moment,
    objects,
    our_id,
    raw_of,
    word,
)  # fmt: skip
from channels.mail_replies import address_of, answered, is_automatic, of_mime, own_words
from channels.sns import open_envelope

WORDS: dict[str, Word] = {
    "Send": "accepted",
    "Delivery": "delivered",
    "Bounce": "bounced",
    "Complaint": "complained",
    "Reject": "refused",
    "Rendering Failure": "refused",
    "RenderingFailure": "refused",
    "DeliveryDelay": "delayed",
    "Open": "opened",
    "Click": "clicked",
    "Subscription": "unsubscribed",
}
_RECIPIENTS = {"Bounce": "bouncedRecipients", "Complaint": "complainedRecipients", "DeliveryDelay": "delayedRecipients"}
# After it has confirmed the subscription SES says so in plain text.
_GREETING = "Successfully validated SNS topic"


def read(call: Call, settings: Settings) -> Heard:
    """Open the envelope and read the event. Raises as `open_envelope` does."""
    envelope = open_envelope(call, settings)
    if envelope.confirm or not envelope.message or envelope.message.startswith(_GREETING):
        return Heard(confirm=envelope.confirm)
    try:
        event = members(envelope.message.encode("utf-8", "replace"))
    except Unfitting:
        return Heard([Told(envelope.id, "unknown", "", call.at, raw=raw_of(envelope.message))])
    if word(event, "notificationType") == "Received":
        return Heard(_received(call, envelope.id, event))
    return Heard(_events(call, envelope.id, event if isinstance(event, dict) else {"event": event}))


def _events(call: Call, id_: str, event: dict[str, Any]) -> list[Told]:
    """One for each recipient of the notification; ours have one, mails of others through the same account may have more."""
    kind = word(event, "eventType") or word(event, "notificationType")
    part = inner(event, kind[:1].lower() + kind[1:]) or {}
    named = [word(each, "emailAddress") for each in objects(inner(part, _RECIPIENTS.get(kind, "")))]
    addresses = named or [word({"a": each}, "a") for each in inner(event, "mail", "destination") or []][:50] or [""]
    tags = inner(event, "mail", "tags", MESSAGE)
    told = Told(
        event_id=id_,
        kind=_word(kind, part),
        word=kind,
        occurred_at=moment(word(part, "timestamp") or word(event, "mail", "timestamp"), call.at),
        message_id=our_id(word({"t": tags[0]}, "t")) if isinstance(tags, list) and tags else None,
        ref=word(event, "mail", "messageId") or None,
        detail=_detail(kind, part),
        raw=raw_of(event),
    )
    return [
        Told(**{**vars(told), "event_id": id_ if len(addresses) == 1 else f"{id_}/{n}", "address": address or None})
        for n, address in enumerate(addresses)
    ]


def _word(kind: str, part: Any) -> Word:
    if kind == "Subscription":
        prefers = inner(part, "newTopicPreferences", "unsubscribeAll")
        return "unsubscribed" if prefers is True else "unknown"
    return WORDS.get(kind, "unknown")


def _detail(kind: str, part: Any) -> dict[str, Any]:
    first = next(iter(objects(inner(part, "bouncedRecipients"))), {})
    return detail(
        [
            ("hard", word(part, "bounceType") == "Permanent" if kind == "Bounce" else None),
            ("code", word(part, "bounceSubType") or word(part, "complaintFeedbackType") or word(part, "reason") or word(part, "delayType")),
            ("status", word(first, "status")),
            ("url", long_text(part, "link")[:2000] if kind == "Click" else None),
        ]
    )


def _received(call: Call, id_: str, event: dict[str, Any]) -> list[Told]:
    content = long_text(event, "content")
    coded = word(event, "receipt", "action", "encoding").upper() == "BASE64"
    headers, text = of_mime(bytes_of(content) if coded else content.encode("utf-8", "surrogateescape"))
    if is_automatic(headers):
        return []
    sender = address_of(headers.get("from", "")) or word(event, "mail", "source")
    answers = answered(headers.get("in-reply-to", ""), headers.get("references", ""))
    said = {"text": own_words(text), "answers": answers}
    event_id = word(event, "mail", "messageId") or id_ or digest(sender, text)
    at = moment(word(event, "mail", "timestamp"), call.at)
    return [Told(event_id, "replied", "Received", at, address=sender or None, detail=said)]
