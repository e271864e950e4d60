"""What Vonage's Messages API tells, and texts that people send us. Signed by a JWT that holds the hash of the body."""

import hashlib
from typing import Any

import jwt

from channels.inbound import (
    TOLERANCE,
    Call,
    Forged,
    Heard,
    Settings,
    Told,
    Word,
    detail,
    digest,
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
    prove(given=word(claims, "payload_hash").lower(), expected=hashlib.sha256(call.body).hexdigest())
    prove(given=word(claims, "api_key"), expected=str(settings.get("api_key", "")))
    event = next(iter(objects(members(call.body))), {})
    return Heard([_status(call, event) if "status" in event else _reply(call, event)] if event else [])


def _claims(call: Call, key: bytes) -> Any:
    kind, _, token = call.header("authorization").partition(" ")
    if kind.lower() != "bearer":
        raise Forged("no token: signed webhooks must be on for the application")
    try:
        claims = jwt.decode(
            token.strip(), key, algorithms=["HS256"], options={"verify_iat": False, "verify_exp": False, "verify_aud": False}
        )
    except jwt.PyJWTError:
        raise Forged("the token is not right") from None
    issued = claims.get("iat")
    if not isinstance(issued, int | float) or abs(call.at.timestamp() - issued) > TOLERANCE.total_seconds():
        raise Forged("the token is not of now")
    return claims


def _status(call: Call, event: dict[str, Any]) -> Told:
    status = word(event, "status")
    sid = word(event, "message_uuid")
    code = word(event, "error", "title") or word(event, "error", "type").rpartition("#")[2]
    return Told(
        event_id=f"{sid}/{status}" if sid else digest(raw_of(event)),
        kind=WORDS.get(status, "unknown"),
        word=status,
        occurred_at=moment(word(event, "timestamp"), call.at),
        message_id=our_id(word(event, "client_ref")),
        ref=sid or None,
        address=_number(word(event, "to")),
        detail=detail([("hard", code in _DEAD if WORDS.get(status) == "bounced" else None), ("code", code)]),
        raw=raw_of(event),
    )


def _reply(call: Call, event: dict[str, Any]) -> Told:
    text = long_text(event, "text") or long_text(inner(event, "message", "content"), "text")
    said = {"text": text[:2000], "answers": []}
    at = moment(word(event, "timestamp"), call.at)
    return Told(
        word(event, "message_uuid") or digest(raw_of(event)), "replied", "inbound", at, address=_number(word(event, "from")), detail=said
    )


def _number(written: str) -> str | None:
    """Vonage writes E.164 without its +."""
    return f"+{written}" if written.isascii() and written.isdigit() else written or None
