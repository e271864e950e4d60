"""What Sinch tells of texts, and texts that people send us. Signed by HMAC, or by Basic authentication, as Sinch sets it up on request."""

from base64 import b64encode
from datetime import timedelta

from channels.inbound import Call, Forged, Heard, Settings, Told, Word, detail, digest, hmac_sha256, prove, reply, secret, with_plus
from channels.said import Said

WORDS: dict[str, Word] = {
    "queued": "accepted",
    "dispatched": "accepted",
    "delivered": "delivered",
    "aborted": "refused",
    "rejected": "refused",
    "cancelled": "refused",
    "deleted": "refused",
    "failed": "bounced",
    "expired": "bounced",
    "unknown": "bounced",
}
# Of its table of delivery receipt codes: no such subscriber.
_DEAD = ("402", "407")
# Texts, pictures with text (its body has parts), and bytes that are no text.
_WRITTEN, _BINARY = "mo_", "mo_binary"
_SIGNATURE = "x-sinch-webhook-signature"
# Its repeats, of nearly a day in all, carry the signature of the first.
_TOLERANCE = timedelta(hours=24)


def read(call: Call, settings: Settings) -> Heard:
    """Verify the HMAC where there is one, else the password; then read a report or a text. Raises Forged, Unfitting."""
    key = secret(settings, "webhook_secret")
    if call.header(_SIGNATURE):
        _check_signature(call, key)
    else:
        prove(given=call.password, expected=key)
    event = call.event()
    if not event:
        return Heard()
    return Heard([_reply(call, event)] if event.word("type").startswith(_WRITTEN) else _reports(call, event))


def _check_signature(call: Call, key: bytes) -> None:
    nonce, timestamp = call.header("x-sinch-webhook-signature-nonce"), call.header("x-sinch-webhook-signature-timestamp")
    if not call.is_recent(timestamp, _TOLERANCE):
        raise Forged("the timestamp is not of now")
    signed = call.body + f".{nonce}.{timestamp}".encode()
    prove(given=call.header(_SIGNATURE), expected=b64encode(hmac_sha256(key, signed)).decode("ascii"))


def _reports(call: Call, event: Said) -> list[Told]:
    """A report of one recipient, or of all recipients of a batch by status."""
    if "statuses" not in event:
        return [_report(call, event, event, event.word("recipient"), event.raw)]
    return [
        # Of the others' numbers nothing is kept with this one's.
        _report(call, event, status, recipient, Said({name: status.word(name) for name in ("code", "status")}).raw)
        for status in event.each("statuses")
        for recipient in status.words("recipients")[:1000] or [""]
    ]


def _report(call: Call, event: Said, status: Said, recipient: str, raw: str) -> Told:
    said, code = status.word("status").lower(), status.word("code")
    kind = WORDS.get(said, "unknown")
    batch = event.word("batch_id")
    return Told(
        event_id=digest(batch, recipient, said, code),
        kind=kind,
        word=said,
        occurred_at=call.moment(event.word("at")),
        message_id=event.our_id("client_reference"),
        ref=batch,
        address=with_plus(recipient),
        detail=detail(hard=code in _DEAD if kind == "bounced" else None, code=code),
        raw=raw,
    )


def _reply(call: Call, event: Said) -> Told:
    at = call.moment(event.word("received_at"))
    text = "" if event.word("type") == _BINARY else event.text("body") or event.text("body", "message")
    return reply(event.word("id") or digest(event.raw), "inbound", at, with_plus(event.word("from")), text)
