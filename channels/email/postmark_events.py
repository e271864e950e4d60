"""What Postmark tells. It signs nothing: a shared secret comes as the password of Basic authentication, or in a header of our choice."""

from channels.email.postmark import PostmarkAccount
from channels.inbound import MESSAGE, Call, Heard, Reach, Settings, Told, Word, detail, digest, prove, secret
from channels.machines import is_program
from channels.mail_replies import replies
from channels.said import Said

WORDS: dict[str, Word] = {
    "Delivery": "delivered",
    "SpamComplaint": "complained",
    "Open": "opened",
    "Click": "clicked",
}
# Type of a bounce -> our word.
BOUNCES: dict[str, Word] = {
    "HardBounce": "bounced",
    "BadEmailAddress": "bounced",
    "SoftBounce": "bounced",
    "Transient": "delayed",
    "DnsError": "delayed",
    "SpamNotification": "complained",
    "SpamComplaint": "complained",
    "Blocked": "refused",
    "DMARCPolicy": "refused",
    "ManuallyDeactivated": "refused",
    "SMTPApiError": "refused",
    "InboundError": "unknown",
}
_DEAD = ("HardBounce", "BadEmailAddress")
# Why its list holds an address -> our word.
REASONS: dict[str, Word] = {"HardBounce": "bounced", "SpamComplaint": "complained", "ManualSuppression": "unsubscribed"}
_HEADER = "x-sojourn-secret"
_TIMES = ("DeliveredAt", "BouncedAt", "ReceivedAt", "ChangedAt")


def read(call: Call, settings: Settings) -> Heard:
    """Compare the secret, then read one event or one mail. Raises Forged, Unfitting."""
    prove(given=call.header(_HEADER) or call.password, expected=secret(settings, "webhook_secret"))
    event = call.event()
    is_mail = "RecordType" not in event and "FromFull" in event
    return Heard(_reply(call, event) if is_mail else [_event(call, event, settings)])


def _event(call: Call, event: Said, settings: Settings) -> Told:
    record, kind = event.word("RecordType"), event.word("Type")
    at = next(filter(None, map(event.word, _TIMES)), "")
    word, code = _word(record, kind, event), kind or event.word("SuppressionReason")
    return Told(
        event_id=_event_id(record, at, event),
        kind=word,
        word=f"{record} {kind}" if kind and record == "Bounce" else record,
        occurred_at=call.moment(at),
        message_id=event.our_id("Metadata", MESSAGE),
        ref=event.word("MessageID"),
        address=event.word("Recipient") or event.word("Email"),
        detail=detail(
            hard=code in _DEAD if word == "bounced" else None,
            code=code,
            url=event.text("OriginalLink") if record == "Click" else "",
            machine=record in {"Open", "Click"} and _is_machine(event),
            reach=_reach(event, settings) if word in {"unsubscribed", "resubscribed"} else None,
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
        return BOUNCES.get(kind, "unknown")
    if record == "SubscriptionChange":
        return _subscription(event)
    return WORDS.get(record, "unknown")


def _subscription(event: Said) -> Word:
    if event.value("SuppressSending") is False:
        return "resubscribed"
    return REASONS.get(event.word("SuppressionReason"), "unknown")


def _reach(event: Said, settings: Settings) -> Reach:
    """Each stream has a list of its own (its API's page "Suppressions"): only that of transactional mail closes everything."""
    transactional = str(settings.get("transactional_stream") or PostmarkAccount.transactional_stream)
    return "channel" if event.word("MessageStream") in {"", transactional} else "marketing"


def _is_machine(event: Said) -> bool:
    """It marks no program itself; its name for the client stands in where there is no user agent."""
    return is_program(event.text("UserAgent") or event.word("Client", "Name"), event.word("Geo", "IP"))


def _reply(call: Call, event: Said) -> list[Told]:
    headers = {each.word("Name").lower(): each.text("Value") for each in event.each("Headers")}
    text = event.text("StrippedTextReply") or event.text("TextBody")
    return replies(event.word("MessageID"), "inbound", call.at, headers, text, event.word("FromFull", "Email"), event.text("From"))
