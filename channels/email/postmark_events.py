"""What Postmark tells. It signs nothing: a shared secret comes as the password of Basic authentication, or in a header of our choice."""

from typing import Any

from channels.inbound import (
    MESSAGE,
    Call,
    Heard,
    Settings,
    Told,
    Word,
    basic_password,
    detail,
    digest,
    inner,
    long_text,
    members,
    moment,
    objects,
    our_id,
    prove,
    raw_of,
    secret,
    word,
)  # fmt: skip
from channels.mail_replies import address_of, answered, is_automatic, own_words

WORDS: dict[str, Word] = {
    "Delivery": "delivered",
    "SpamComplaint": "complained",
    "Open": "opened",
    "Click": "clicked",
}
# Type of a bounce -> our word, and whether the address is dead.
BOUNCES: dict[str, tuple[Word, bool]] = {
    "HardBounce": ("bounced", True),
    "BadEmailAddress": ("bounced", True),
    "SoftBounce": ("bounced", False),
    "Transient": ("delayed", False),
    "DnsError": ("delayed", False),
    "SpamNotification": ("complained", True),
    "SpamComplaint": ("complained", True),
    "Blocked": ("refused", False),
    "DMARCPolicy": ("refused", False),
    "ManuallyDeactivated": ("refused", False),
    "SMTPApiError": ("refused", False),
    "InboundError": ("unknown", False),
}
_HEADER = "x-sojourn-secret"
_TIMES = ("DeliveredAt", "BouncedAt", "ReceivedAt", "ChangedAt")


def read(call: Call, settings: Settings) -> Heard:
    """Compare the secret, then read one event or one mail. Raises Forged, Unfitting."""
    prove(given=call.header(_HEADER) or basic_password(call), expected=secret(settings, "webhook_secret"))
    event = next(iter(objects(members(call.body))), {})
    if "RecordType" not in event and "FromFull" in event:
        return Heard(_reply(call, event))
    return Heard([_event(call, event)])


def _event(call: Call, event: dict[str, Any]) -> Told:
    record, kind = word(event, "RecordType"), word(event, "Type")
    at = next((word(event, name) for name in _TIMES if word(event, name)), "")
    raw = raw_of(event)
    return Told(
        # Bounces have an id of their own; what is sent again is the same event where its words and time are.
        event_id=f"{record}/{word(event, 'ID')}" if word(event, "ID") else digest(record, word(event, "MessageID"), at, _which(event)),
        kind=_word(record, kind, event),
        word=f"{record} {kind}" if kind and record == "Bounce" else record,
        occurred_at=moment(at, call.at),
        message_id=our_id(word(event, "Metadata", MESSAGE)),
        ref=word(event, "MessageID") or None,
        address=word(event, "Recipient") or word(event, "Email") or None,
        detail=_detail(record, kind, event),
        raw=raw,
    )


def _which(event: dict[str, Any]) -> str:
    return word(event, "Recipient") + long_text(event, "OriginalLink") + str(inner(event, "SuppressSending"))


def _word(record: str, kind: str, event: dict[str, Any]) -> Word:
    if record == "Bounce":
        return BOUNCES.get(kind, ("unknown", False))[0]
    if record == "SubscriptionChange":
        return _subscription(event)
    return WORDS.get(record, "unknown")


def _subscription(event: dict[str, Any]) -> Word:
    if event.get("SuppressSending") is False:
        return "resubscribed"
    reasons: dict[str, Word] = {"HardBounce": "bounced", "SpamComplaint": "complained", "ManualSuppression": "unsubscribed"}
    return reasons.get(word(event, "SuppressionReason"), "unknown")


def _detail(record: str, kind: str, event: dict[str, Any]) -> dict[str, Any]:
    is_bounce = record == "Bounce" or word(event, "SuppressionReason") == "HardBounce"
    return detail(
        [
            ("hard", BOUNCES.get(kind, ("", record != "Bounce"))[1] if is_bounce else None),
            ("code", kind or word(event, "SuppressionReason")),
            ("url", long_text(event, "OriginalLink")[:2000] if record == "Click" else None),
        ]
    )


def _reply(call: Call, event: dict[str, Any]) -> list[Told]:
    headers = {word(each, "Name").lower(): long_text(each, "Value") for each in objects(event.get("Headers"))}
    if is_automatic(headers):
        return []
    text = own_words(long_text(event, "StrippedTextReply") or long_text(event, "TextBody"))
    sender = word(event, "FromFull", "Email") or address_of(long_text(event, "From"))
    said = {"text": text, "answers": answered(headers.get("in-reply-to", ""), headers.get("references", ""))}
    return [Told(word(event, "MessageID") or digest(sender, text), "replied", "inbound", call.at, address=sender or None, detail=said)]
