"""What Meta tells of WhatsApp messages, and what people write back. Signed by HMAC over the raw body with the secret of the Meta app."""

from channels.inbound import Call, Forged, Heard, Reach, Settings, Told, Word, detail, digest, hmac_sha256, prove, reply, secret, with_plus
from channels.said import Said

WORDS: dict[str, Word] = {
    "sent": "accepted",
    "delivered": "delivered",
    "read": "opened",
    "failed": "bounced",
    "deleted": "unknown",
    "warning": "unknown",
}
# Its page of error codes: the person has stopped our marketing. Other templates and answers still reach them.
OPTED_OUT: dict[str, Reach] = {"131050": "marketing"}


def read(call: Call, settings: Settings) -> Heard:
    """Answer the question with which Meta tries the address; else verify the signature and read. Raises Forged, Unfitting."""
    if call.method == "GET":
        return _challenge(call, settings)
    expected = "sha256=" + hmac_sha256(secret(settings, "app_secret"), call.body).hex()
    prove(given=call.header("x-hub-signature-256"), expected=expected)
    told: list[Told] = []
    for value in (change.at("value") for entry in call.event().each("entry") for change in entry.each("changes")):
        # One app of Meta may speak for several numbers; each account of ours has one.
        if value.word("metadata", "phone_number_id") == str(settings.get("phone_number_id", "")):
            told += [_status(call, each) for each in value.each("statuses")]
            told += [_reply(call, each) for each in value.each("messages")]
    return Heard(told)


def _challenge(call: Call, settings: Settings) -> Heard:
    if call.query("hub.mode") != "subscribe":
        raise Forged("not a question of Meta's")
    prove(given=call.query("hub.verify_token"), expected=secret(settings, "verify_token"))
    return Heard(answer=call.query("hub.challenge")[:200])


def _status(call: Call, status: Said) -> Told:
    kind, code = status.word("status"), status.word("errors", 0, "code")
    word: Word = "unsubscribed" if code in OPTED_OUT else WORDS.get(kind, "unknown")
    return Told(
        event_id=f"{status.word('id')}/{kind}",
        kind=word,
        word=kind,
        occurred_at=call.moment(status.word("timestamp")),
        message_id=status.our_id("biz_opaque_callback_data"),
        ref=status.word("id"),
        address=with_plus(status.word("recipient_id")),
        # Why a number cannot be reached is not said precisely enough to give it up.
        detail=detail(hard=False if word == "bounced" else None, code=code, reach=OPTED_OUT.get(code)),
        raw=status.raw,
    )


def _reply(call: Call, message: Said) -> Told:
    chosen = message.at("interactive", message.word("interactive", "type"))
    text = message.text("text", "body") or message.text("button", "text") or chosen.text("title")
    event_id, at = message.word("id") or digest(message.raw), call.moment(message.word("timestamp"))
    return reply(event_id, message.word("type"), at, with_plus(message.word("from")), text, ref=message.word("context", "id"))
