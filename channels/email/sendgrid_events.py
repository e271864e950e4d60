"""What SendGrid tells: its Event Webhook (JSON), and mails that people sent to us (Inbound Parse, a form). Both signed by ECDSA."""

from email import message_from_bytes, policy
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from channels.inbound import (
    MESSAGE,
    Call,
    Forged,
    Heard,
    Settings,
    Told,
    Word,
    bytes_of,
    detail,
    digest,
    form,
    long_text,
    members,
    moment,
    objects,
    our_id,
    raw_of,
    secret,
    word,
)  # fmt: skip
from channels.mail_replies import address_of, answered, is_automatic, of_header_block, own_words

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
_SIGNATURE = "x-twilio-email-event-webhook-signature"
_TIMESTAMP = "x-twilio-email-event-webhook-timestamp"


def read(call: Call, settings: Settings) -> Heard:
    """Verify the signature over timestamp and body, then read events or a mail. Raises Forged, Unfitting."""
    _check_signature(call, settings)
    kind = call.header("content-type").partition(";")[0].strip().lower()
    if kind in {"multipart/form-data", "application/x-www-form-urlencoded"}:
        return Heard(_reply(call, fields_of(call, kind)))
    return Heard([_event(call, each) for each in objects(members(call.body))])


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


def _event(call: Call, event: dict[str, Any]) -> Told:
    kind = word(event, "event")
    raw = raw_of(event)
    return Told(
        event_id=word(event, "sg_event_id") or digest(raw),
        kind=WORDS.get(kind, "unknown"),
        word=kind,
        occurred_at=moment(word(event, "timestamp"), call.at),
        message_id=our_id(word(event, MESSAGE)),
        # Its message id is what the send call answered, and more behind a dot.
        ref=word(event, "sg_message_id").partition(".")[0] or None,
        address=word(event, "email") or None,
        detail=_detail(kind, event),
        raw=raw,
    )


def _detail(kind: str, event: dict[str, Any]) -> dict[str, Any]:
    return detail(
        [
            ("hard", word(event, "type") != "blocked" if kind == "bounce" else None),
            ("code", word(event, "bounce_classification") or (word(event, "reason") if kind == "dropped" else "")),
            ("status", word(event, "status")),
            ("url", long_text(event, "url")[:2000] if kind == "click" else None),
            ("machine", True if event.get("sg_machine_open") is True else None),
        ]
    )


def fields_of(call: Call, kind: str) -> dict[str, str]:
    """The texts of a form, however it is written; files are left out."""
    if kind == "application/x-www-form-urlencoded":
        return form(call.body)
    head = b"content-type: " + call.header("content-type").encode("ascii", "replace") + b"\r\n\r\n"
    parts = message_from_bytes(head + call.body, policy=policy.compat32)
    return {str(part.get_param("name", "", "content-disposition")): _text(part) for part in parts.walk() if not part.get_filename()}


def _text(part: Any) -> str:
    payload = part.get_payload(decode=True)
    return payload.decode("utf-8", "replace") if isinstance(payload, bytes) else ""


def _reply(call: Call, fields: dict[str, str]) -> list[Told]:
    headers = of_header_block(fields.get("headers", ""))
    if is_automatic(headers):
        return []
    text = own_words(fields.get("text", ""))
    sender = address_of(headers.get("from", "") or fields.get("from", ""))
    answers = answered(headers.get("in-reply-to", ""), headers.get("references", ""))
    event_id = digest(headers.get("message-id", ""), sender, text)
    return [Told(event_id, "replied", "inbound", call.at, address=sender or None, detail={"text": text, "answers": answers})]
