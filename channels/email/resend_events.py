"""What Resend tells, signed as Standard Webhooks (its headers are named svix-)."""

from typing import Any

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
    "email.sent": "accepted",
    "email.delivered": "delivered",
    "email.delivery_delayed": "delayed",
    "email.bounced": "bounced",
    "email.failed": "refused",
    "email.suppressed": "refused",
    "email.complained": "complained",
    "email.opened": "opened",
    "email.clicked": "clicked",
}
_VERSION = "v1,"


def read(call: Call, settings: Settings) -> Heard:
    """Verify the signature over id, timestamp and body, then read the event. Raises Forged, Unfitting."""
    key = bytes_of(secret(settings, "webhook_secret").decode().removeprefix("whsec_"))
    id_, timestamp = call.header("svix-id"), call.header("svix-timestamp")
    if not key or not id_ or not call.is_recent(timestamp):
        raise Forged("no key, no id, or a timestamp that is not of now")
    expected = hmac_sha256(key, f"{id_}.{timestamp}.".encode() + call.body)
    given = [bytes_of(each.removeprefix(_VERSION)) for each in call.header("svix-signature").split(" ")[:10] if each.startswith(_VERSION)]
    _prove_one(given, expected)
    return Heard([_event(call, id_, next(iter(objects(members(call.body))), {}))])


def _prove_one(given: list[bytes], expected: bytes) -> None:
    """While a secret is replaced there are two signatures; one must be right."""
    for each in given:
        try:
            return prove(given=each, expected=expected)
        except Forged:
            continue
    raise Forged("the signature is not right")


def _event(call: Call, id_: str, event: dict[str, Any]) -> Told:
    kind = word(event, "type")
    recipients = inner(event, "data", "to")
    return Told(
        event_id=id_,
        kind=WORDS.get(kind, "unknown"),
        word=kind,
        occurred_at=moment(word(event, "created_at"), call.at),
        message_id=our_id(_tag(inner(event, "data", "tags"))),
        ref=word(event, "data", "email_id") or None,
        address=word({"to": recipients[0]}, "to") or None if isinstance(recipients, list) and len(recipients) == 1 else None,
        detail=detail(
            [
                ("hard", word(event, "data", "bounce", "type") != "Transient" if kind == "email.bounced" else None),
                ("code", word(event, "data", "bounce", "subType") or word(event, "data", "failed", "reason")),
                ("url", long_text(event, "data", "click", "link")[:2000] if kind == "email.clicked" else None),
            ]
        ),
        raw=raw_of(event),
    )


def _tag(tags: Any) -> str:
    """Tags come as an object, and came as a list of names and values."""
    if isinstance(tags, dict):
        return word(tags, MESSAGE)
    return next((word(each, "value") for each in objects(tags) if word(each, "name") == MESSAGE), "")
