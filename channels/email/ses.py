"""Mail through Amazon SES v2, as raw MIME.

| answer                                                        | verdict                                          |
|---------------------------------------------------------------|--------------------------------------------------|
| 200 with MessageId                                            | sent                                             |
| TooManyRequests 429, LimitExceeded 400                        | NotSent, with Retry-After where it is there      |
| AccountSuspended, SendingPaused, MailFromDomainNotVerified 400 | NotSent: the account's trouble, nothing is lost  |
| MessageRejected, BadRequest, NotFound                         | Rejected                                         |
| all else                                                      | channels/provider_api.py                         |

SES knows no idempotency key; our id goes out as the tag `sojourn_message` and comes back in its events. It replaces our
Message-ID by one that begins with the id that it answers.
"""

from base64 import b64encode
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from channels.base import NotSent, Outgoing, Receipt, Rejected
from channels.email import mime
from channels.email.labels import tags_of
from channels.provider_api import Answer, ProviderApi, refusal
from channels.said import Said
from channels.sigv4 import AwsCredentials, signed_headers

_PATH = "/v2/email/outbound-emails"
_ACCOUNT_PATH = "/v2/email/account"
_THROTTLED = ("TooManyRequestsException", "LimitExceededException", "ThrottlingException")
_ACCOUNT = ("AccountSuspendedException", "SendingPausedException", "MailFromDomainNotVerifiedException")
# 40 MB is what SES takes of a raw message, after base64 (SES v2 quotas).
_LARGEST = 40_000_000


@dataclass(frozen=True)
class SesAccount(AwsCredentials):
    """`configuration_set` is what SES publishes its events by, `topics` are the SNS topics that may bring them."""

    configuration_set: str = ""
    topics: tuple[str, ...] = ()
    allow_sns_version_1: bool = False
    base_url: str = ""


class Ses:
    name = "ses"
    channel = "email"

    def __init__(self, account: SesAccount) -> None:
        self._account = account
        self._api = ProviderApi(account.base_url or f"https://email.{account.region}.amazonaws.com")

    async def send(self, outgoing: Outgoing) -> Receipt:
        body = self._body(outgoing)
        headers = {"content-type": "application/json"}
        signed = signed_headers(self._account, "ses", self._api.url(_PATH), headers, body, datetime.now(UTC))
        answer = await self._api.post(_PATH, outgoing, content=body, headers=signed)
        if answer.is_success:
            return Receipt(answer.reference("MessageId"))
        code = _code(answer)
        if code in _THROTTLED or code in _ACCOUNT:
            raise NotSent(f"HTTP {answer.status} {code}", answer.retry_after_s, is_throttle=code in _THROTTLED)
        raise refusal(answer, code)

    async def verify(self) -> None:
        """GetAccount: whether the credentials hold and AWS lets the account send."""
        if (await self._get_account()).get("SendingEnabled") is not True:
            raise NotSent("SES does not let this account send: look at its reputation page")

    async def per_second(self) -> float | None:
        """The account's quota: what comes faster SES throttles, and over the day's quota it drops."""
        rate = Said(await self._get_account()).value("SendQuota", "MaxSendRate")
        return float(rate) if isinstance(rate, int | float) and rate > 0 else None

    async def _get_account(self) -> dict[str, Any]:
        url = self._api.url(_ACCOUNT_PATH)
        headers = signed_headers(self._account, "ses", url, {}, b"", datetime.now(UTC), method="GET")
        return (await self._api.get(_ACCOUNT_PATH, headers)).members()

    async def close(self) -> None:
        await self._api.close()

    def _body(self, outgoing: Outgoing) -> bytes:
        mail = mime.build(outgoing)
        if mail.needs_utf8:
            raise Rejected("SES takes no address whose local part is beyond ASCII")
        raw = b64encode(mail.message).decode("ascii")
        if len(raw) > _LARGEST:
            raise Rejected("the mail is larger than the 40 MB that SES takes")
        asked: dict[str, object] = {
            "FromEmailAddress": mail.sender,
            "Destination": {"ToAddresses": [mail.recipient]},
            "Content": {"Raw": {"Data": raw}},
            "EmailTags": [
                {"Name": name, "Value": text}
                for name, text in (("sojourn_message", str(outgoing.message_id)), *tags_of(outgoing.content.parts))
            ],
        }
        if self._account.configuration_set:
            asked["ConfigurationSetName"] = self._account.configuration_set
        return orjson.dumps(asked)


def _code(answer: Answer) -> str:
    """The error's name: in a header, or in the body of some of its front doors."""
    members = answer.members()
    named = answer.headers.get("x-amzn-errortype") or members.get("__type") or members.get("code") or ""
    return str(named).partition(":")[0].rpartition("#")[2]
