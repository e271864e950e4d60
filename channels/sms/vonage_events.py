"""What Vonage's Messages API tells, and texts that people send us. Signed by a JWT that holds the hash of the body."""

import jwt

from channels.inbound import Call, Forged, Heard, Settings, Told, Word, detail, digest, prove, reply, secret, with_plus
from channels.said import Said

WORDS: dict[str, Word] = {
    "submitted": "accepted",
    "delivered": "delivered",
    "read": "opened",
    "rejected": "bounced",
    "undeliverable": "bounced",
}
# Numbers of its page "SMS delivery errors": the number itself is none.
_DEAD = ("1260", "1290", "1160")
_KEY = "webhook_signature_secret"


def read(call: Call, settings: Settings) -> Heard:
    """Verify the token and that it is of this body and account, then read. Raises Forged, Unfitting."""
    claims = _claims(call, secret(settings, _KEY))
    prove(given=claims.word("payload_hash").lower(), expected=call.body_sha256)
    prove(given=claims.word("api_key"), expected=str(settings.get("api_key", "")))
    event = call.event()
    return Heard([_status(call, event) if "status" in event else _reply(call, event)] if event else [])


def _claims(call: Call, key: bytes) -> Said:
    token = call.credentials("bearer")
    if not token:
        raise Forged("no token: signed webhooks must be on for the application")
    try:
        found = jwt.decode(token, key, algorithms=["HS256"], options={"verify_iat": False, "verify_exp": False, "verify_aud": False})
    except jwt.PyJWTError:
        raise Forged("the token is not right") from None
    claims = Said(found)
    if not call.is_recent(claims.word("iat")):
        raise Forged("the token is not of now")
    return claims


def _status(call: Call, event: Said) -> Told:
    status, sid = event.word("status"), event.word("message_uuid")
    code = event.word("error", "title") or event.word("error", "type").rpartition("#")[2]
    return Told(
        event_id=f"{sid}/{status}" if sid else digest(event.raw),
        kind=WORDS.get(status, "unknown"),
        word=status,
        occurred_at=call.moment(event.word("timestamp")),
        message_id=event.our_id("client_ref"),
        ref=sid,
        address=with_plus(event.word("to")),
        detail=detail(hard=code in _DEAD if WORDS.get(status) == "bounced" else None, code=code),
        raw=event.raw,
    )


def _reply(call: Call, event: Said) -> Told:
    text = event.text("text") or event.text("message", "content", "text")
    event_id, at = event.word("message_uuid") or digest(event.raw), call.moment(event.word("timestamp"))
    return reply(event_id, "inbound", at, with_plus(event.word("from")), text)
