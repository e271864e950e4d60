"""What SendGrid tells: its Event Webhook (JSON), and mails that people sent to us (Inbound Parse, a form). Both signed by ECDSA."""

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from channels.inbound import MESSAGE, Call, Forged, Heard, Reach, Settings, Told, Word, bytes_of, detail, digest, secret
from channels.machines import is_program
from channels.mail_replies import of_header_block, replies
from channels.said import Said, parsed

WORDS: dict[str, Word] = {
    "processed": "accepted",
    "deferred": "delayed",
    "delivered": "delivered",
    "bounce": "bounced",
    "dropped": "refused",
    "spamreport": "complained",
    "open": "opened",
    "click": "clicked",
    "unsubscribe": "unsubscribed",
    "group_unsubscribe": "unsubscribed",
    "group_resubscribe": "resubscribed",
}
# A global unsubscribe stops every mail there, one of a group the mailings of that group (its page "Manage Unsubscribes").
REACH: dict[str, Reach] = {"unsubscribe": "channel", "group_unsubscribe": "marketing", "group_resubscribe": "marketing"}
_SIGNATURE = "x-twilio-email-event-webhook-signature"
_TIMESTAMP = "x-twilio-email-event-webhook-timestamp"


def read(call: Call, settings: Settings) -> Heard:
    """Verify the signature over timestamp and body, then read events or a mail. Raises Forged, Unfitting."""
    _check_signature(call, settings)
    return Heard(_reply(call) if call.is_form else [_event(call, each) for each in call.events()])


def _check_signature(call: Call, settings: Settings) -> None:
    timestamp = call.header(_TIMESTAMP)
    key = _public_key(secret(settings, "webhook_public_key"))
    if not call.is_recent(timestamp):
        raise Forged("the timestamp is not of now")
    try:
        key.verify(bytes_of(call.header(_SIGNATURE)), timestamp.encode("ascii") + call.body, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        raise Forged("the signature is not right") from None


def _public_key(written: bytes) -> ec.EllipticCurvePublicKey:
    try:
        key = serialization.load_der_public_key(bytes_of(written.decode("utf-8", "replace").strip()))
    except ValueError:
        raise Forged("webhook_public_key of this account is not the verification key that SendGrid shows") from None
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise Forged("webhook_public_key of this account is of another kind than SendGrid's")
    return key


def _event(call: Call, event: Said) -> Told:
    kind = event.word("event")
    return Told(
        event_id=event.word("sg_event_id") or digest(event.raw),
        kind=WORDS.get(kind, "unknown"),
        word=kind,
        occurred_at=call.moment(event.word("timestamp")),
        message_id=event.our_id(MESSAGE),
        # Its message id is what the send call answered, and more behind a dot.
        ref=event.word("sg_message_id").partition(".")[0],
        address=event.word("email"),
        detail=detail(
            hard=event.word("type") != "blocked" if kind == "bounce" else None,
            code=event.word("bounce_classification") or (event.word("reason") if kind == "dropped" else ""),
            status=event.word("status"),
            url=event.text("url") if kind == "click" else "",
            machine=kind in {"open", "click"} and _is_machine(event),
            reach=REACH.get(kind),
        ),
        raw=event.raw,
    )


def _is_machine(event: Said) -> bool:
    """Its own word for Apple's proxies, and ours. Of other events `ip` is SendGrid's own."""
    return event.value("sg_machine_open") is True or is_program(event.text("useragent"), event.word("ip"))


def _reply(call: Call) -> list[Told]:
    fields = call.fields()
    headers = of_header_block(fields.get("headers", ""))
    sender = headers.get("from", "") or fields.get("from", "")
    return replies("", "inbound", call.at, headers, _written(call, fields), sender)


def _written(call: Call, fields: dict[str, str]) -> str:
    """The text, which comes in the bytes of the mail; a field beside it says which character set they are in."""
    try:
        charset = parsed(fields.get("charsets", "").encode()).word("text")
    except ValueError:
        charset = ""
    return (call.fields(charset) if charset else fields).get("text", "")
