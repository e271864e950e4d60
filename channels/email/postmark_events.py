"""What Postmark tells. It signs nothing: a shared secret comes as the password of Basic authentication, or in a header of our choice."""

from channels.inbound import MESSAGE, Call, Heard, Settings, Told, Word, detail, digest, prove, secret
from channels.mail_replies import replies
from channels.said import Said

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
# Why its list holds an address -> our word.
REASONS: dict[str, Word] = {"HardBounce": "bounced", "SpamComplaint": "complained", "ManualSuppression": "unsubscribed"}
_HEADER = "x-sojourn-secret"
_TIMES = ("DeliveredAt", "BouncedAt", "ReceivedAt", "ChangedAt")


def read(call: Call, settings: Settings) -> Heard:
    """Compare the secret, then read one event or one mail. Raises Forged, Unfitting."""
    prove(given=call.header(_HEADER) or call.password, expected=secret(settings, "webhook_secret"))
    event = call.event()
    is_mail = "RecordType" not in event and "FromFull" in event
    return Heard(_reply(call, event) if is_mail else [_event(call, event)])


def _event(call: Call, event: Said) -> Told:
    record, kind = event.word("RecordType"), event.word("Type")
    at = next(filter(None, map(event.word, _TIMES)), "")
    return Told(
        event_id=_event_id(record, at, event),
        kind=_word(record, kind, event),
        word=f"{record} {kind}" if kind and record == "Bounce" else record,
        occurred_at=call.moment(at),
        message_id=event.our_id("Metadata", MESSAGE),
        ref=event.word("MessageID"),
        address=event.word("Recipient") or event.word("Email"),
        detail=detail(
            hard=_is_hard(record, kind, event),
            code=kind or event.word("SuppressionReason"),
            url=event.text("OriginalLink") if record == "Click" else "",
        ),
        raw=event.raw,
    )


def _event_id(record: str, at: str, event: Said) -> str:
    """Bounces have an id of their own; what is sent again is the same event where its words and time are."""
    if event.word("ID"):
        return f"{record}/{event.word('ID')}"
    which = event.word("Recipient") + event.text("OriginalLink") + str(event.value("SuppressSending"))
    return digest(record, event.word("MessageID"), at, which)


def _word(record: str, kind: str, event: Said) -> Word:
    if record == "Bounce":
        return BOUNCES.get(kind, ("unknown", False))[0]
    if record == "SubscriptionChange":
        return _subscription(event)
    return WORDS.get(record, "unknown")


def _subscription(event: Said) -> Word:
    if event.value("SuppressSending") is False:
        return "resubscribed"
    return REASONS.get(event.word("SuppressionReason"), "unknown")


def _is_hard(record: str, kind: str, event: Said) -> bool | None:
    if record == "Bounce":
        return BOUNCES.get(kind, ("unknown", False))[1]
    return True if event.word("SuppressionReason") == "HardBounce" else None


def _reply(call: Call, event: Said) -> list[Told]:
    headers = {each.word("Name").lower(): each.text("Value") for each in event.each("Headers")}
    text = event.text("StrippedTextReply") or event.text("TextBody")
    return replies(event.word("MessageID"), "inbound", call.at, headers, text, event.word("FromFull", "Email"), event.text("From"))
