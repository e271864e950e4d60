"""Mail through Resend.

| answer                              | verdict                                                                             |
|-------------------------------------|-------------------------------------------------------------------------------------|
| 200 with id                         | sent                                                                                |
| 409 concurrent_idempotent_requests  | Ambiguous: another try of this message is under way there, and may go out           |
| 409 invalid_idempotent_request      | Ambiguous, and never repeated: it has taken this id before, with other content      |
| all else                            | channels/provider_api.py                                                            |

Our id is the Idempotency-Key, which Resend remembers for 24 hours: what may have gone out is sent again, and goes out once. It is also the
tag `sojourn_message`, which comes back in its events.
It reads names in its own way: that of the sender plainly, as it is refused where it is encoded or in quotes (one with a comma is refused in
any form); that of Reply-To encoded, but not in quotes.
It sends through SES, whose Message-ID it tells nobody; References stays as it is, and who answers repeats it (RFC 5322, 3.6.4).
"""

from dataclasses import dataclass
from datetime import timedelta

import orjson

from channels.base import Ambiguous, Outgoing, Receipt, Rejected
from channels.email.headers import in_one_line
from channels.email.letter import Letter, letter
from channels.fields import Token
from channels.provider_api import ProviderApi, refusal

_CONFLICT = 409
_UNDER_WAY = "concurrent_idempotent_requests"
_KEPT = (_UNDER_WAY, "invalid_idempotent_request")
_ONLY_SENDS = "restricted_api_key"
# Of the whole message (its API's page "Send Email").
_LARGEST = 40_000_000


@dataclass(frozen=True)
class ResendAccount:
    """`webhook_secret` (whsec_...) proves its events. `base_url` only for a stand-in."""

    api_key: Token
    webhook_secret: str = ""
    base_url: str = ""


class Resend:
    name = "resend"
    channel = "email"
    repeats_for = timedelta(hours=23)
    """It keeps a key for 24 hours; what is on its way must not come after that."""

    def __init__(self, account: ResendAccount) -> None:
        self._headers = {"authorization": f"Bearer {account.api_key}", "content-type": "application/json"}
        self._api = ProviderApi(account.base_url or "https://api.resend.com")

    async def send(self, outgoing: Outgoing) -> Receipt:
        message_id = str(outgoing.message_id)
        body = orjson.dumps(_asked(letter(outgoing), message_id))
        if len(body) > _LARGEST:
            raise Rejected("the mail is larger than the 40 MB that Resend takes")
        answer = await self._api.post("/emails", outgoing, content=body, headers={**self._headers, "idempotency-key": message_id})
        if answer.is_success:
            return Receipt(answer.reference("id"))
        name = answer.members().get("name")
        if answer.status == _CONFLICT:
            raise Ambiguous(f"HTTP 409 {name}", may_repeat=name == _UNDER_WAY) if name in _KEPT else Ambiguous("HTTP 409")
        raise refusal(answer, name)

    async def verify(self) -> None:
        """Its domains. A key that may only send is refused by name, which says that it holds."""
        answer = await self._api.look("/domains", self._headers)
        name = answer.members().get("name")
        if not answer.is_success and name != _ONLY_SENDS:
            raise refusal(answer, name)

    async def close(self) -> None:
        await self._api.close()


def _asked(mail: Letter, message_id: str) -> dict[str, object]:
    asked = {
        "from": f"{mail.sender_name} <{mail.sender}>" if mail.sender_name else mail.sender,
        "to": [mail.recipient],
        "reply_to": in_one_line(mail.reply_to_name, mail.reply_to, may_be_quoted=False) if mail.reply_to else None,
        "subject": mail.subject,
        "text": mail.text,
        "html": mail.html,
        "attachments": [{"filename": each.name, "content": each.content, "content_type": each.type} for each in mail.attachments] or None,
    }
    return {name: value for name, value in asked.items() if value is not None} | {
        "headers": {"References": mail.own_id, **dict(mail.extra)},
        "tags": [{"name": name, "value": text} for name, text in (("sojourn_message", message_id), *mail.tags)],
    }
