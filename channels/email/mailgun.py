"""Mail through Mailgun, as raw MIME.

| answer                    | verdict                    |
|---------------------------|----------------------------|
| 200 with id               | sent                       |
| all else                  | channels/provider_api.py   |

It knows no idempotency key; our id goes out as the variable `sojourn_message` (`v:`) and comes back in its events.
"""

from base64 import b64encode
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote, urlencode

from channels.base import NotSent, Outgoing, Receipt, Rejected, Sought
from channels.email import mime
from channels.email.labels import Pairs, tags_of
from channels.inbound import MESSAGE
from channels.provider_api import ProviderApi, refusal
from channels.said import Said

_URLS = {"us": "https://api.mailgun.net", "eu": "https://api.eu.mailgun.net"}
# 25 MB is what Mailgun takes of one message (its documentation of sending).
_LARGEST = 25_000_000


@dataclass(frozen=True)
class MailgunAccount:
    """`domain` is the sending domain, and `region` where it lives. `webhook_signing_key` proves its events."""

    api_key: str
    domain: str
    region: Literal["us", "eu"] = "us"
    webhook_signing_key: str = ""
    base_url: str = ""


class Mailgun:
    name = "mailgun"
    channel = "email"

    def __init__(self, account: MailgunAccount) -> None:
        basic = b64encode(f"api:{account.api_key}".encode()).decode("ascii")
        self._headers = {"authorization": f"Basic {basic}"}
        self._path = f"/v3/{quote(account.domain, safe='')}/messages.mime"
        self._domain_path = f"/v4/domains/{quote(account.domain, safe='')}"
        self._events = f"/v3/{quote(account.domain, safe='')}/events"
        self._api = ProviderApi(account.base_url or _URLS[account.region])

    async def send(self, outgoing: Outgoing) -> Receipt:
        mail = mime.build(outgoing)
        if len(mail.message) > _LARGEST:
            raise Rejected("the mail is larger than the 25 MB that Mailgun takes")
        # The message's own id in the boundary: it cannot stand in quoted-printable text after "=_".
        boundary = f"=_{outgoing.message_id}"
        tags = tags_of(outgoing.content.parts)
        fields = (("to", mail.recipient), ("v:sojourn_message", str(outgoing.message_id)), *_tagging(tags))
        content = _form(boundary, fields, mail.message)
        headers = {**self._headers, "content-type": f'multipart/form-data; boundary="{boundary}"'}
        answer = await self._api.post(self._path, outgoing, content=content, headers=headers)
        if answer.is_success:
            return Receipt(answer.reference("id"))
        raise refusal(answer)

    async def verify(self) -> None:
        """The sending domain: whether the key holds, and Mailgun lets the domain send. A domain's own sending key may not read this."""
        answer = await self._api.get(self._domain_path, self._headers)
        if Said(answer.members()).word("domain", "state") != "active":
            raise NotSent("the domain is not active at Mailgun: look at its DNS records there")

    async def find(self, sought: Sought) -> Receipt | None:
        """By its events of that address since shortly before: our id stands among their variables."""
        since = {"recipient": sought.address, "begin": f"{sought.claimed_at.timestamp() - 60:.0f}", "ascending": "yes", "limit": "300"}
        answer = await self._api.look(f"{self._events}?{urlencode(since)}", self._headers)
        if not answer.is_success:
            raise NotSent(f"HTTP {answer.status}")
        for event in Said(answer.members()).each("items"):
            if event.our_id("user-variables", MESSAGE) == sought.message_id:
                reference = event.word("message", "headers", "message-id")
                return Receipt(f"<{reference.strip('<>')}>" if reference else None)
        return None

    async def close(self) -> None:
        await self._api.close()


def _tagging(tags: Pairs) -> Pairs:
    """Its own tags are for its statistics; variables come back in events."""
    return (*(("o:tag", f"{name}:{text}") for name, text in tags), *((f"v:{name}", text) for name, text in tags))


def _form(boundary: str, fields: Pairs, message: bytes) -> bytes:
    named = [f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in fields]
    file = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="message"; filename="message.mime"\r\nContent-Type: message/rfc822\r\n\r\n'
    )
    return "".join(named).encode() + file.encode() + message + f"\r\n--{boundary}--\r\n".encode()
