"""What Mailgun tells: its webhooks (JSON with a signature inside), and mails that people sent to us (routes, a form).

Its `failed` says by severity and reason what it is:

| severity, reason                                       | ours                                                 |
|--------------------------------------------------------|------------------------------------------------------|
| temporary: it tries again, for eight hours             | delayed                                              |
| either, `old`: the eight hours are over                | bounced, soft                                        |
| permanent, `suppress-complaint`, `suppress-unsubscribe`| refused: its own list said no, and the address lives |
| permanent, all else: 5xx, no such mailbox, suppressed  | bounced, hard                                        |

https://help.mailgun.com/hc/en-us/articles/28956111811355-Will-Mailgun-retry-my-failed-messages
"""

import json
from datetime import timedelta

from channels.inbound import MESSAGE, Call, Forged, Heard, Reach, Settings, Told, Unfitting, Word, detail, hmac_sha256, prove, secret
from channels.machines import is_program
from channels.mail_replies import replies
from channels.said import Said, our_id

WORDS: dict[str, Word] = {
    "accepted": "accepted",
    "delivered": "delivered",
    "rejected": "refused",
    "complained": "complained",
    "opened": "opened",
    "clicked": "clicked",
    "unsubscribed": "unsubscribed",
}
# Its own links leave all mails of the domain; that of a tag is told of by the same word (its page "Tracking Messages").
REACH: dict[str, Reach] = {"unsubscribed": "channel"}
# It repeats for eight hours with the signature of the first time.
_TOLERANCE = timedelta(hours=9)
# Reasons that end a mail and not its address: our word. By any other a permanent failure is a hard bounce.
REASONS: dict[str, Word] = {
    "old": "bounced",
    "generic-temporary": "bounced",
    "suppress-complaint": "refused",
    "suppress-unsubscribe": "refused",
}


def read(call: Call, settings: Settings) -> Heard:
    """Verify the signature in the body, then read the event or the mail. Raises Forged, Unfitting."""
    if call.is_form:
        fields = call.fields()
        _check_signature(call, Said(fields), settings)
        return Heard(_reply(call, fields))
    body = _body(call)
    _check_signature(call, body.at("signature"), settings)
    return Heard([_event(call, body)])


def _body(call: Call) -> Said:
    """The signature stands in the body, so a body that cannot be read proves nothing."""
    try:
        return call.event()
    except Unfitting as error:
        raise Forged(str(error)) from None


def _check_signature(call: Call, given: Said, settings: Settings) -> None:
    key = secret(settings, "webhook_signing_key")
    timestamp, token = given.word("timestamp"), given.word("token")
    if not token or not call.is_recent(timestamp, _TOLERANCE):
        raise Forged("the timestamp is not of now")
    prove(given=given.word("signature"), expected=hmac_sha256(key, f"{timestamp}{token}".encode()).hex())


def _event(call: Call, body: Said) -> Told:
    event = body.at("event-data")
    kind = event.word("event")
    word = _failed(event) if kind == "failed" else WORDS.get(kind, "unknown")
    message_id = event.word("message", "headers", "message-id").strip("<>")
    return Told(
        event_id=body.word("signature", "token"),
        kind=word,
        word=kind,
        occurred_at=call.moment(event.word("timestamp")),
        message_id=event.our_id("user-variables", MESSAGE) or our_id(message_id),
        ref=f"<{message_id}>" if message_id else "",
        address=event.word("recipient"),
        detail=detail(
            hard=event.word("reason") not in REASONS if word == "bounced" else None,
            code=event.word("reason"),
            status=event.word("delivery-status", "code"),
            url=event.text("url") if kind == "clicked" else "",
            machine=kind in {"opened", "clicked"} and _is_machine(event),
            reach=REACH.get(kind),
        ),
        raw=event.raw,
    )


def _failed(event: Said) -> Word:
    severity, reason = event.word("severity"), event.word("reason")
    if severity == "permanent" or reason == "old":
        return REASONS.get(reason, "bounced")
    return "delayed" if severity == "temporary" else "unknown"


def _is_machine(event: Said) -> bool:
    """Its own word and ours. By `gmail` it also means the proxy that fetches when a person opens: there only ours counts."""
    return event.word("client-info", "bot") not in {"", "gmail"} or is_program(event.text("client-info", "user-agent"), event.word("ip"))


def _reply(call: Call, fields: dict[str, str]) -> list[Told]:
    text = fields.get("stripped-text", "") or fields.get("body-plain", "")
    headers = _headers(fields.get("message-headers", ""))
    return replies(fields["token"], "inbound", call.at, headers, text, fields.get("from", ""), fields.get("sender", ""))


def _headers(written: str) -> dict[str, str]:
    """They come as a list of names and values, in JSON."""
    try:
        found = json.loads(written)
    except (ValueError, RecursionError):
        return {}
    pairs = [pair for pair in found if isinstance(pair, list) and len(pair) == len(("name", "value"))] if isinstance(found, list) else []
    return {str(name).lower(): str(value) for name, value in pairs}
