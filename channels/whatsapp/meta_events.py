"""What Meta tells of WhatsApp messages, and what people write back. Signed by HMAC over the raw body with the secret of the Meta app."""

from typing import Any

from channels.inbound import (
    Call,
    Forged,
    Heard,
    Settings,
    Told,
    Word,
    detail,
    digest,
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

WORDS: dict[str, Word] = {
    "sent": "accepted",
    "delivered": "delivered",
    "read": "opened",
    "failed": "bounced",
    "deleted": "unknown",
    "warning": "unknown",
}
# Its page of error codes: the person does not want marketing of ours.
_OPTED_OUT = ("131050",)


def read(call: Call, settings: Settings) -> Heard:
    """Answer the question with which Meta tries the address; else verify the signature and read. Raises Forged, Unfitting."""
    if call.method == "GET":
        return _challenge(call, settings)
    expected = "sha256=" + hmac_sha256(secret(settings, "app_secret"), call.body).hex()
    prove(given=call.header("x-hub-signature-256"), expected=expected)
    values = [
        inner(change, "value")
        for entry in objects(inner(next(iter(objects(members(call.body))), {}), "entry"))
        for change in objects(inner(entry, "changes"))
    ]
    told: list[Told] = []
    for value in values:
        # One app of Meta may speak for several numbers; each account of ours has one.
        if word(value, "metadata", "phone_number_id") == str(settings.get("phone_number_id", "")):
            told += [_status(call, each) for each in objects(inner(value, "statuses"))]
            told += [_reply(call, each) for each in objects(inner(value, "messages"))]
    return Heard(told)


def _challenge(call: Call, settings: Settings) -> Heard:
    if call.query("hub.mode") != "subscribe":
        raise Forged("not a question of Meta's")
    prove(given=call.query("hub.verify_token"), expected=secret(settings, "verify_token"))
    return Heard(answer=call.query("hub.challenge")[:200])


def _status(call: Call, status: dict[str, Any]) -> Told:
    kind = word(status, "status")
    code = word(next(iter(objects(status.get("errors"))), {}), "code")
    return Told(
        event_id=f"{word(status, 'id')}/{kind}",
        kind="unsubscribed" if code in _OPTED_OUT else WORDS.get(kind, "unknown"),
        word=kind,
        occurred_at=moment(word(status, "timestamp"), call.at),
        message_id=our_id(word(status, "biz_opaque_callback_data")),
        ref=word(status, "id") or None,
        address=_number(word(status, "recipient_id")),
        # Why a number cannot be reached is not said precisely enough to give it up.
        detail=detail([("hard", False if kind == "failed" else None), ("code", code)]),
        raw=raw_of(status),
    )


def _reply(call: Call, message: dict[str, Any]) -> Told:
    kind = word(message, "type")
    chosen = inner(message, "interactive", word(message, "interactive", "type"))
    text = long_text(message, "text", "body") or long_text(message, "button", "text") or long_text(chosen, "title")
    said = {"text": text[:2000], "answers": [], "ref": word(message, "context", "id")}
    at = moment(word(message, "timestamp"), call.at)
    event_id = word(message, "id") or digest(raw_of(message))
    return Told(event_id, "replied", kind, at, address=_number(word(message, "from")), detail=said)


def _number(written: str) -> str | None:
    """Meta writes E.164 without its +."""
    return f"+{written}" if written.isascii() and written.isdigit() else written or None
