"""What Twilio tells of texts, WhatsApp messages and calls, and what people write back. Signed over the public address and the form."""

import hashlib
import hmac
from base64 import b64encode

from channels.inbound import (
    Call,
    Forged,
    Heard,
    Settings,
    Told,
    Word,
    detail,
    digest,
    form,
    members,
    objects,
    our_id,
    prove,
    raw_of,
    secret,
    word,
)  # fmt: skip

WORDS: dict[str, Word] = {
    "accepted": "accepted",
    "scheduled": "accepted",
    "queued": "accepted",
    "sending": "accepted",
    "sent": "accepted",
    "delivered": "delivered",
    "read": "opened",
    "undelivered": "bounced",
    "failed": "bounced",
    "canceled": "refused",
    # of calls
    "initiated": "accepted",
    "ringing": "accepted",
    "in-progress": "delivered",
    "completed": "delivered",
    "busy": "bounced",
    "no-answer": "bounced",
}
# No such number, a landline; and who has opted out is told of as such.
_DEAD = ("30005", "30006", "21211", "21614")
_OPTED_OUT = "21610"
_FILTERED = ("30004", "30007", "30034")
# Twilio reads <Response/> as: say nothing.
SILENCE = '<?xml version="1.0" encoding="UTF-8"?><Response/>'
_FORM = "application/x-www-form-urlencoded"


def read(call: Call, settings: Settings) -> Heard:
    """Verify X-Twilio-Signature, then read a status or a message. Raises Forged, Unfitting."""
    token = secret(settings, "webhook_auth_token") if settings.get("webhook_auth_token") else _auth_token(settings)
    fields = form(call.body) if call.header("content-type").partition(";")[0].strip().lower() == _FORM else {}
    _check_signature(call, token, fields)
    if not fields and call.body:
        fields = {name: word(each, name) for each in objects(members(call.body))[:1] for name in each}
    if "Body" in fields and "MessageStatus" not in fields:
        return Heard(_reply(call, fields), answer=SILENCE)
    return Heard([_status(call, fields)] if fields else [], answer=SILENCE)


def _auth_token(settings: Settings) -> bytes:
    """An account that sends by its SID has its auth token as its secret; an API key's secret signs nothing."""
    if not str(settings.get("key", "")).startswith("AC"):
        raise Forged("set webhook_auth_token of this account to the auth token: Twilio signs with it, whatever key sends")
    return secret(settings, "secret")


def _check_signature(call: Call, token: bytes, fields: dict[str, str]) -> None:
    expected_body = call.query("bodySHA256")
    if expected_body:
        prove(given=expected_body.lower(), expected=hashlib.sha256(call.body).hexdigest())
    elif call.body and not fields:
        raise Forged("a body that no signature covers")
    signed = call.url + ("" if expected_body else "".join(f"{name}{fields[name]}" for name in sorted(fields)))
    signature = b64encode(hmac.digest(token, signed.encode("utf-8", "surrogateescape"), hashlib.sha1)).decode("ascii")
    prove(given=call.header("x-twilio-signature"), expected=signature)


def _status(call: Call, fields: dict[str, str]) -> Told:
    status = (fields.get("MessageStatus") or fields.get("SmsStatus") or fields.get("CallStatus") or "").lower()
    sid = word(fields, "MessageSid") or word(fields, "SmsSid") or word(fields, "CallSid")
    code = word(fields, "ErrorCode")
    return Told(
        # A status comes once; they come in any order.
        event_id=f"{sid}/{status}" if sid else digest(raw_of(fields)),
        kind=_word(status, code),
        word=status,
        occurred_at=call.at,
        message_id=our_id(call.query("message")),
        ref=sid or None,
        address=_address(fields.get("To", "")) or None,
        detail=detail([("hard", code in _DEAD if status in {"undelivered", "failed"} else None), ("code", code)]),
        raw=raw_of(fields),
    )


def _word(status: str, code: str) -> Word:
    if code == _OPTED_OUT:
        return "unsubscribed"
    if code in _FILTERED and status in {"undelivered", "failed"}:
        return "refused"
    return WORDS.get(status, "unknown")


def _reply(call: Call, fields: dict[str, str]) -> list[Told]:
    sid = word(fields, "MessageSid") or word(fields, "SmsSid")
    said = {"text": fields.get("Body", "").replace("\x00", "")[:2000], "keyword": word(fields, "OptOutType"), "answers": []}
    return [
        Told(sid or digest(raw_of(fields)), "replied", "received", call.at, address=_address(fields.get("From", "")) or None, detail=said)
    ]


def _address(written: str) -> str:
    return written.removeprefix("whatsapp:").removeprefix("client:")[:100]
