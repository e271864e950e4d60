"""What Resend tells, signed as Standard Webhooks (its headers are named svix-)."""

from channels.inbound import MESSAGE, Call, Forged, Heard, Settings, Told, Word, bytes_of, detail, hmac_sha256, prove, secret
from channels.machines import is_program
from channels.said import Said, our_id

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
# Those of SES, through which it sends.
_SOFT = ("Transient", "Undetermined")
_HITS = {"email.opened": "open", "email.clicked": "click"}
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
    return Heard([_event(call, id_, call.event())])


def _prove_one(given: list[bytes], expected: bytes) -> None:
    """While a secret is replaced there are two signatures; one must be right."""
    for each in given:
        try:
            return prove(given=each, expected=expected)
        except Forged:
            continue
    raise Forged("the signature is not right")


def _event(call: Call, id_: str, event: Said) -> Told:
    kind, mail = event.word("type"), event.at("data")
    recipients = mail.words("to")
    hit = mail.at(_HITS.get(kind, ""))
    return Told(
        event_id=id_,
        kind=WORDS.get(kind, "unknown"),
        word=kind,
        occurred_at=call.moment(event.word("created_at")),
        message_id=our_id(_tag(mail)),
        ref=mail.word("email_id"),
        # Ours have one; of more nobody knows whom the event is about.
        address=recipients[0] if len(recipients) == 1 else "",
        detail=detail(
            hard=mail.word("bounce", "type") not in _SOFT if kind == "email.bounced" else None,
            code=mail.word("bounce", "subType") or mail.word("failed", "reason"),
            url=mail.text("click", "link") if kind == "email.clicked" else "",
            machine=is_program(hit.text("userAgent"), hit.word("ipAddress")),
        ),
        raw=event.raw,
    )


def _tag(mail: Said) -> str:
    """Tags come as an object, and came as a list of names and values."""
    return mail.word("tags", MESSAGE) or next((each.word("value") for each in mail.each("tags") if each.word("name") == MESSAGE), "")
