"""What Amazon SES tells through SNS: what became of mails, and mails that people sent to us (a receipt rule with an SNS action)."""

from dataclasses import replace

from channels.inbound import MESSAGE, Call, Heard, Reach, Settings, Told, Word, bytes_of, detail
from channels.machines import is_program
from channels.mail_replies import of_mime, replies
from channels.said import Said
from channels.sns import Envelope, read_notification

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
# Its contact list stops only mails that are sent to the list, which ours are not (its page "Using subscription management").
REACH: dict[Word, Reach] = {"unsubscribed": "marketing"}
_CODES = ("bounceSubType", "complaintFeedbackType", "reason", "delayType")
_RECIPIENTS = {"Bounce": "bouncedRecipients", "Complaint": "complainedRecipients", "DeliveryDelay": "delayedRecipients"}


def read(call: Call, settings: Settings) -> Heard:
    """Open the envelope and read the event or the mail. Raises as `open_envelope` does."""
    return read_notification(call, settings, _read)


def _read(call: Call, envelope: Envelope, event: Said) -> list[Told]:
    return _received(call, envelope.id, event) if event.word("notificationType") == "Received" else _events(call, envelope.id, event)


def _events(call: Call, id_: str, event: Said) -> list[Told]:
    """One for each recipient of the notification; ours have one, mails of others through the same account may have more."""
    kind = event.word("eventType") or event.word("notificationType")
    part = event.at(kind[:1].lower() + kind[1:])
    named = [each.word("emailAddress") for each in part.each(_RECIPIENTS.get(kind, ""))]
    addresses = named or event.words("mail", "destination")[:50] or [""]
    ours = _word(kind, part)
    told = Told(
        event_id=id_,
        kind=ours,
        word=kind,
        occurred_at=call.moment(part.word("timestamp") or event.word("mail", "timestamp")),
        message_id=event.our_id("mail", "tags", MESSAGE, 0),
        ref=event.word("mail", "messageId"),
        detail=detail(
            hard=part.word("bounceType") == "Permanent" if kind == "Bounce" else None,
            code=next(filter(None, map(part.word, _CODES)), ""),
            status=part.word("bouncedRecipients", 0, "status"),
            url=part.text("link") if kind == "Click" else "",
            # A complaint has a user agent too, of who forwarded it.
            machine=kind in {"Open", "Click"} and is_program(part.text("userAgent"), part.word("ipAddress")),
            reach=REACH.get(ours),
        ),
        raw=event.raw,
    )
    return [replace(told, event_id=id_ if len(addresses) == 1 else f"{id_}/{n}", address=one) for n, one in enumerate(addresses)]


def _word(kind: str, part: Said) -> Word:
    if kind == "Subscription" and part.value("newTopicPreferences", "unsubscribeAll") is not True:
        return "unknown"
    return WORDS.get(kind, "unknown")


def _received(call: Call, id_: str, event: Said) -> list[Told]:
    content = event.text("content")
    is_coded = event.word("receipt", "action", "encoding").upper() == "BASE64"
    headers, text = of_mime(bytes_of(content) if is_coded else content.encode())
    mail = event.at("mail")
    senders = headers.get("from", ""), mail.word("source")
    return replies(mail.word("messageId") or id_, "Received", call.moment(mail.word("timestamp")), headers, text, *senders)
