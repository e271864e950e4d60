"""What Mailgun tells: its webhooks (JSON with a signature inside), and mails that people sent to us (routes, a form)."""

import json
from datetime import timedelta
from typing import Any

from channels.email.sendgrid_events import fields_of
from channels.inbound import (
    MESSAGE,
    Call,
    Forged,
    Heard,
    Settings,
    Told,
    Unfitting,
    Word,
    detail,
    hmac_sha256,
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
    "accepted": "accepted",
    "delivered": "delivered",
    "rejected": "refused",
    "complained": "complained",
    "opened": "opened",
    "clicked": "clicked",
    "unsubscribed": "unsubscribed",
}
# It repeats for eight hours with the signature of the first time.
_TOLERANCE = timedelta(hours=9)
_DEAD = "permanent"
_FORMS = ("multipart/form-data", "application/x-www-form-urlencoded")


def read(call: Call, settings: Settings) -> Heard:
    """Verify the signature in the body, then read the event or the mail. Raises Forged, Unfitting."""
    kind = call.header("content-type").partition(";")[0].strip().lower()
    if kind in _FORMS:
        fields = fields_of(call, kind)
        _check_signature(call, fields, settings)
        return Heard(_reply(call, fields))
    body = _body(call)
    _check_signature(call, inner(body, "signature"), settings)
    return Heard([_event(call, body)])


def _body(call: Call) -> dict[str, Any]:
    """The signature stands in the body, so a body that cannot be read proves nothing."""
    try:
        return next(iter(objects(members(call.body))), {})
    except Unfitting:
        raise Forged("the body is not JSON") from None


def _check_signature(call: Call, given: Any, settings: Settings) -> None:
    key = secret(settings, "webhook_signing_key")
    timestamp, token = word(given, "timestamp"), word(given, "token")
    if not token or not call.is_recent(timestamp, _TOLERANCE):
        raise Forged("the timestamp is not of now")
    prove(given=word(given, "signature"), expected=hmac_sha256(key, f"{timestamp}{token}".encode()).hex())


def _event(call: Call, body: dict[str, Any]) -> Told:
    event = inner(body, "event-data") or {}
    kind = word(event, "event")
    message_id = word(event, "message", "headers", "message-id").strip("<>")
    return Told(
        event_id=word(body, "signature", "token"),
        kind=_word(kind, word(event, "severity")),
        word=kind,
        occurred_at=moment(word(event, "timestamp"), call.at),
        message_id=our_id(word(event, "user-variables", MESSAGE)) or our_id(message_id),
        ref=f"<{message_id}>" if message_id else None,
        address=word(event, "recipient") or None,
        detail=_detail(kind, event),
        raw=raw_of(event),
    )


def _word(kind: str, severity: str) -> Word:
    if kind == "failed":
        return "bounced" if severity == _DEAD else "delayed" if severity == "temporary" else "unknown"
    return WORDS.get(kind, "unknown")


def _detail(kind: str, event: dict[str, Any]) -> dict[str, Any]:
    return detail(
        [
            # "suppress-..." is its own list and says nothing new of the address; "old" is a mail that it gave up after hours.
            ("hard", word(event, "reason") not in {"old", "generic-temporary"} if kind == "failed" else None),
            ("code", word(event, "reason")),
            ("status", word(event, "delivery-status", "code")),
            ("url", long_text(event, "url")[:2000] if kind == "clicked" else None),
            ("machine", True if word(event, "client-info", "bot") else None),
        ]
    )


def _reply(call: Call, fields: dict[str, str]) -> list[Told]:
    headers = _headers(fields.get("message-headers", ""))
    if is_automatic(headers):
        return []
    text = own_words(fields.get("stripped-text", "") or fields.get("body-plain", ""))
    sender = address_of(fields.get("from", "")) or fields.get("sender", "")
    said = {"text": text, "answers": answered(headers.get("in-reply-to", ""), headers.get("references", ""))}
    return [Told(word(fields, "token"), "replied", "inbound", call.at, address=sender or None, detail=said)]


def _headers(written: str) -> dict[str, str]:
    try:
        found = json.loads(written)
    except (ValueError, RecursionError):
        return {}
    pairs = [pair for pair in found if isinstance(pair, list) and len(pair) == len(("name", "value"))] if isinstance(found, list) else []
    return {str(name).lower(): str(value) for name, value in pairs}
