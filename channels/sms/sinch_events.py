"""What Sinch tells of texts, and texts that people send us. Signed by HMAC, or by Basic authentication, as Sinch sets it up on request."""

from base64 import b64encode
from datetime import timedelta
from typing import Any

from channels.inbound import (
    Call,
    Forged,
    Heard,
    Settings,
    Told,
    Word,
    basic_password,
    detail,
    digest,
    hmac_sha256,
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
_SIGNATURE = "x-sinch-webhook-signature"
# Its repeats, of nearly a day in all, carry the signature of the first.
_TOLERANCE = timedelta(hours=24)


def read(call: Call, settings: Settings) -> Heard:
    """Verify the HMAC where there is one, else the password; then read a report or a text. Raises Forged, Unfitting."""
    key = secret(settings, "webhook_secret")
    if call.header(_SIGNATURE):
        _check_signature(call, key)
    else:
        prove(given=basic_password(call), expected=key)
    event = next(iter(objects(members(call.body))), {})
    if not event:
        return Heard()
    return Heard([_reply(call, event)] if word(event, "type") in {"mo_text", "mo_binary"} else _reports(call, event))


def _check_signature(call: Call, key: bytes) -> None:
    nonce, timestamp = call.header("x-sinch-webhook-signature-nonce"), call.header("x-sinch-webhook-signature-timestamp")
    if not call.is_recent(timestamp, _TOLERANCE):
        raise Forged("the timestamp is not of now")
    signed = call.body + f".{nonce}.{timestamp}".encode()
    prove(given=call.header(_SIGNATURE), expected=b64encode(hmac_sha256(key, signed)).decode("ascii"))


def _reports(call: Call, event: dict[str, Any]) -> list[Told]:
    """A report of one recipient, or of all recipients of a batch by status."""
    if "statuses" not in event:
        return [_report(call, event, event, word(event, "recipient"))]
    return [
        _report(call, event, status, word({"r": recipient}, "r"))
        for status in objects(event["statuses"])
        for recipient in (status.get("recipients") or [""])[:1000]
    ]


def _report(call: Call, event: dict[str, Any], status: dict[str, Any], recipient: str) -> Told:
    said, code = word(status, "status").lower(), word(status, "code")
    kind = WORDS.get(said, "unknown")
    batch = word(event, "batch_id")
    return Told(
        event_id=digest(batch, recipient, said, code),
        kind=kind,
        word=said,
        occurred_at=moment(word(event, "at"), call.at),
        message_id=our_id(word(event, "client_reference")),
        ref=batch or None,
        address=_number(recipient),
        detail=detail([("hard", code in _DEAD if kind == "bounced" else None), ("code", code)]),
        raw=raw_of(event),
    )


def _reply(call: Call, event: dict[str, Any]) -> Told:
    said = {"text": long_text(event, "body")[:2000], "answers": []}
    at = moment(word(event, "received_at"), call.at)
    return Told(word(event, "id") or digest(raw_of(event)), "replied", "inbound", at, address=_number(word(event, "from")), detail=said)


def _number(written: str) -> str | None:
    return f"+{written}" if written.isascii() and written.isdigit() else written or None
