"""Mail through SendGrid's Mail Send v3.

| answer                         | verdict                                                       |
|--------------------------------|---------------------------------------------------------------|
| 202 (its id in X-Message-Id)   | sent                                                          |
| 429                            | NotSent until X-RateLimit-Reset (unix time), else Retry-After |
| 413, other 4xx                 | Rejected                                                      |
| all else                       | channels/provider_api.py                                      |

It knows no idempotency key; our id goes out as the custom argument `sojourn_message` and comes back in its events. An author's tags are
categories, for its statistics, and custom arguments, for the events. A Message-ID that it is given stays.
"""

import time
from dataclasses import dataclass
from typing import Literal

import orjson

from channels.base import NotSent, Outgoing, Receipt, Rejected
from channels.email.letter import Letter, letter
from channels.fields import Token
from channels.provider_api import Answer, ProviderApi, refusal

_URLS = {"global": "https://api.sendgrid.com", "eu": "https://api.eu.sendgrid.com"}
_ACCEPTED = 202
_TOO_MANY = 429
_LONGEST_WAIT_S = 3600.0
# Of the whole message (its page "Mail Send", limitations).
_LARGEST = 30_000_000


@dataclass(frozen=True)
class SendgridAccount:
    """`region` is where the account lives. `webhook_public_key` proves its events. `base_url` only for a stand-in."""

    api_key: Token
    region: Literal["global", "eu"] = "global"
    webhook_public_key: str = ""
    base_url: str = ""


class Sendgrid:
    name = "sendgrid"
    channel = "email"

    def __init__(self, account: SendgridAccount) -> None:
        self._headers = {"authorization": f"Bearer {account.api_key}", "content-type": "application/json"}
        self._api = ProviderApi(account.base_url or _URLS[account.region])

    async def send(self, outgoing: Outgoing) -> Receipt:
        body = orjson.dumps(_asked(letter(outgoing), str(outgoing.message_id)))
        if len(body) > _LARGEST:
            raise Rejected("the mail is larger than the 30 MB that SendGrid takes")
        answer = await self._api.post("/v3/mail/send", outgoing, content=body, headers=self._headers)
        if answer.status == _ACCEPTED:
            return Receipt(answer.headers.get("x-message-id"))
        if answer.status == _TOO_MANY:
            raise NotSent("HTTP 429", _wait_s(answer), is_throttle=True)
        raise refusal(answer)

    async def verify(self) -> None:
        """Its scopes: whether the key holds, and may send mail."""
        answer = await self._api.get("/v3/scopes", self._headers)
        if "mail.send" not in (answer.members().get("scopes") or ()):
            raise Rejected("the key lacks the scope mail.send")

    async def close(self) -> None:
        await self._api.close()


def _asked(mail: Letter, message_id: str) -> dict[str, object]:
    bodies = (("text/plain", mail.text), ("text/html", mail.html))
    asked: dict[str, object] = {
        "personalizations": [{"to": [{"email": mail.recipient}], "custom_args": {"sojourn_message": message_id, **dict(mail.tags)}}],
        "from": _person(mail.sender, mail.sender_name),
        "subject": mail.subject,
        "content": [{"type": kind, "value": text} for kind, text in bodies if text is not None],
        "headers": {"Message-ID": mail.own_id, **dict(mail.extra)},
    }
    if mail.reply_to:
        asked["reply_to"] = _person(mail.reply_to, mail.reply_to_name)
    if mail.tags:
        asked["categories"] = [f"{name}:{text}" for name, text in mail.tags]
    if mail.attachments:
        asked["attachments"] = [
            {"content": each.content, "type": each.type, "filename": each.name, "disposition": "attachment"} for each in mail.attachments
        ]
    return asked


def _person(address: str, name: str) -> dict[str, str]:
    return {"email": address, "name": name} if name else {"email": address}


def _wait_s(answer: Answer) -> float | None:
    reset = answer.headers.get("x-ratelimit-reset", "")
    if not (reset.isascii() and reset.isdigit()):
        return answer.retry_after_s
    return min(max(float(reset[:12]) - time.time(), 1.0), _LONGEST_WAIT_S)
