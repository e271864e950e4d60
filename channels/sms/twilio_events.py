"""What Twilio tells of texts, WhatsApp messages and calls, and what people write back. Signed over the public address and the form."""

import hashlib
import hmac
from base64 import b64encode

from channels.inbound import Call, Forged, Heard, Reach, Settings, Told, Word, detail, digest, prove, reply, secret
from channels.said import Said, our_id

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
# No such number, a landline.
_DEAD = ("30005", "30006", "21211", "21614")
# Code of who wrote STOP to Twilio, which then takes nothing for them (its page "21610").
OPTED_OUT: dict[str, Reach] = {"21610": "channel"}
_FILTERED = ("30004", "30007", "30034")
_FAILED = ("undelivered", "failed")
_STATUSES = ("MessageStatus", "SmsStatus", "CallStatus")
_SIDS = ("MessageSid", "SmsSid", "CallSid")
# Twilio reads <Response/> as: say nothing.
SILENCE = '<?xml version="1.0" encoding="UTF-8"?><Response/>'


def read(call: Call, settings: Settings) -> Heard:
    """Verify X-Twilio-Signature, then read a status or a message. Raises Forged, Unfitting."""
    token = secret(settings, "webhook_auth_token") if settings.get("webhook_auth_token") else _auth_token(settings)
    fields = call.fields() if call.is_form else {}
    _check_signature(call, token, fields)
    event = Said(fields) if fields or not call.body else call.event()
    if "Body" in event and "MessageStatus" not in event:
        return Heard([_reply(call, event)], answer=SILENCE)
    return Heard([_status(call, event)] if event else [], answer=SILENCE)


def _auth_token(settings: Settings) -> bytes:
    """An account that sends by its SID has its auth token as its secret; an API key's secret signs nothing."""
    if not str(settings.get("key", "")).startswith("AC"):
        raise Forged("set webhook_auth_token of this account to the auth token: Twilio signs with it, whatever key sends")
    return secret(settings, "secret")


def _check_signature(call: Call, token: bytes, fields: dict[str, str]) -> None:
    expected_body = call.query("bodySHA256")
    if expected_body:
        prove(given=expected_body.lower(), expected=call.body_sha256)
    elif call.body and not fields:
        raise Forged("a body that no signature covers")
    signed = call.url + ("" if expected_body else "".join(f"{name}{fields[name]}" for name in sorted(fields)))
    signature = b64encode(hmac.digest(token, signed.encode("utf-8", "surrogateescape"), hashlib.sha1)).decode("ascii")
    prove(given=call.header("x-twilio-signature"), expected=signature)


def _status(call: Call, event: Said) -> Told:
    status = next(filter(None, map(event.word, _STATUSES)), "").lower()
    sid, code = _sid(event), event.word("ErrorCode")
    word = _word(status, code)
    return Told(
        # A status comes once; they come in any order.
        event_id=f"{sid}/{status}" if sid else digest(event.raw),
        kind=word,
        word=status,
        occurred_at=call.at,
        message_id=our_id(call.query("message")),
        ref=sid,
        address=_address(event.word("To")),
        # Who does not answer a call has a number that lives.
        detail=detail(hard=code in _DEAD if word == "bounced" and status in _FAILED else None, code=code, reach=OPTED_OUT.get(code)),
        raw=event.raw,
    )


def _word(status: str, code: str) -> Word:
    if code in OPTED_OUT:
        return "unsubscribed"
    if code in _FILTERED and status in _FAILED:
        return "refused"
    return WORDS.get(status, "unknown")


def _reply(call: Call, event: Said) -> Told:
    sender, keyword = _address(event.word("From")), event.word("OptOutType")
    return reply(_sid(event) or digest(event.raw), "received", call.at, sender, event.text("Body"), keyword=keyword)


def _sid(event: Said) -> str:
    return next(filter(None, map(event.word, _SIDS)), "")


def _address(written: str) -> str:
    return written.removeprefix("whatsapp:").removeprefix("client:")
