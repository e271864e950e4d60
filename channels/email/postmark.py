"""Mail through Postmark.

| answer                                                            | verdict                            |
|-------------------------------------------------------------------|------------------------------------|
| 200, ErrorCode 0, MessageID                                       | sent                               |
| 422, ErrorCode 406: inactive (bounced, complained, unsubscribed)  | Rejected, listed                   |
| 422, ErrorCode 406, in a stream for marketing alone               | Rejected                           |
| 422, ErrorCode 405 (no credits), 412 (account pending)            | NotSent: the account's trouble     |
| all else                                                          | channels/provider_api.py           |

Each stream has a list of its own, and 406 does not say why the address is on it: whoever left the newsletters through Postmark's link still
gets receipts. Of a bounce and a complaint its events tell besides, and they suppress.

It knows no idempotency key; our id goes out as the metadata `sojourn_message` and comes back in its events. An author's tags are metadata
too; the first is also what Postmark calls the tag, of which it has one. It replaces a Message-ID by its own, unless X-PM-KeepID asks
it not to.
"""

from dataclasses import dataclass
from urllib.parse import urlencode

import orjson

from channels.base import Ambiguous, NotSent, Outgoing, Receipt, Rejected, Sought
from channels.email.letter import Letter, letter
from channels.fields import Token
from channels.inbound import MESSAGE
from channels.provider_api import ProviderApi, refusal
from channels.said import Said

_INACTIVE = 406
_ACCOUNT = (405, 412)
# Of the whole message (its API's page "Email", limits).
_LARGEST = 10_000_000


@dataclass(frozen=True)
class PostmarkAccount:
    """Postmark parts marketing from transactional mail by message streams; these are the ones that a new server has.

    `webhook_secret` is what you make up and put into the address of its webhooks.
    """

    server_token: Token
    transactional_stream: str = "outbound"
    marketing_stream: str = "broadcast"
    webhook_secret: str = ""
    base_url: str = ""


class Postmark:
    name = "postmark"
    channel = "email"

    def __init__(self, account: PostmarkAccount) -> None:
        self._account = account
        self._headers = {"x-postmark-server-token": account.server_token, "content-type": "application/json"}
        self._api = ProviderApi(account.base_url or "https://api.postmarkapp.com")

    async def send(self, outgoing: Outgoing) -> Receipt:
        is_marketing = outgoing.message_class == "marketing"
        stream = self._account.marketing_stream if is_marketing else self._account.transactional_stream
        body = orjson.dumps(_asked(letter(outgoing), str(outgoing.message_id), stream))
        if len(body) > _LARGEST:
            raise Rejected("the mail is larger than the 10 MB that Postmark takes")
        answer = await self._api.post("/email", outgoing, content=body, headers=self._headers)
        code = answer.members().get("ErrorCode")
        if answer.is_success:
            if code != 0:
                raise Ambiguous(f"HTTP {answer.status} with an answer that is not Postmark's")
            return Receipt(answer.reference("MessageID"))
        if code in _ACCOUNT:
            raise NotSent(f"HTTP {answer.status} {code}: Postmark does not send for this account now")
        raise refusal(answer, code, is_listed=code == _INACTIVE and stream == self._account.transactional_stream)

    async def verify(self) -> None:
        """The server that the token belongs to."""
        answer = await self._api.get("/server", self._headers)
        if answer.members().get("DeliveryType") == "Sandbox":
            raise Rejected("the token belongs to a sandbox server, which delivers nothing")

    async def find(self, sought: Sought) -> Receipt | None:
        """By our id among the metadata of what it has sent (its API's page "Messages", outbound message search).

        A search that names no stream looks only into the one called outbound.
        """
        for stream in dict.fromkeys((self._account.transactional_stream, self._account.marketing_stream)):
            asked = {"count": "1", "offset": "0", "messagestream": stream, f"metadata_{MESSAGE}": str(sought.message_id)}
            answer = await self._api.look(f"/messages/outbound?{urlencode(asked)}", self._headers)
            if not answer.is_success:
                raise NotSent(f"HTTP {answer.status}")
            for message in Said(answer.members()).each("Messages"):
                if message.our_id("Metadata", MESSAGE) == sought.message_id:
                    return Receipt(message.word("MessageID") or None)
        return None

    async def close(self) -> None:
        await self._api.close()


def _asked(mail: Letter, message_id: str, stream: str) -> dict[str, object]:
    asked = {
        "From": mail.sender_mailbox,
        "To": mail.recipient,
        "ReplyTo": mail.reply_to_mailbox,
        "Subject": mail.subject,
        "TextBody": mail.text,
        "HtmlBody": mail.html,
        "Tag": next((f"{name}:{text}" for name, text in mail.tags), None),
        "Attachments": [{"Name": each.name, "Content": each.content, "ContentType": each.type} for each in mail.attachments] or None,
    }
    return {name: value for name, value in asked.items() if value is not None} | {
        "Headers": [{"Name": name, "Value": value} for name, value in (("Message-ID", mail.own_id), ("X-PM-KeepID", "true"), *mail.extra)],
        "Metadata": {"sojourn_message": message_id, **dict(mail.tags)},
        "MessageStream": stream,
    }
