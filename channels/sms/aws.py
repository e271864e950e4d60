"""Texts through AWS End User Messaging SMS (`SendTextMessage` of its v2 API).

| answer                                                              | verdict                          |
|---------------------------------------------------------------------|----------------------------------|
| 200 with MessageId                                                  | sent                             |
| ThrottlingException, ServiceQuotaExceededException                  | NotSent, with Retry-After        |
| ConflictException: the number has opted out                         | Rejected, listed                 |
| ConflictException: our protect configuration blocks the receiver    | Rejected                         |
| AccessDeniedException, ConflictException, ResourceNotFoundException | NotSent: the account's trouble   |
| ValidationException                                                 | Rejected                         |
| InternalServerException                                             | Ambiguous                        |
| all else                                                            | channels/provider_api.py         |

It knows no idempotency key; our id goes out in the Context and comes back in its events.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

import orjson

from channels.base import NotSent, Outgoing, Receipt, Rejected, at_cost
from channels.provider_api import Answer, ProviderApi, refusal
from channels.sigv4 import AwsCredentials, signed_headers
from channels.sms.text import Senders, Text, text_of
from channels.tariff import NO_LIMIT, TextTariff

_LONGEST = 1600
_NOT_NOW = (
    "ThrottlingException",
    "ServiceQuotaExceededException",
    "AccessDeniedException",
    "ConflictException",
    "ResourceNotFoundException",
)
_OPTED_OUT = "DESTINATION_PHONE_NUMBER_OPTED_OUT"
_BLOCKED = (
    "DESTINATION_PHONE_NUMBER_BLOCKED_BY_PROTECT_NUMBER_OVERRIDE",
    "DESTINATION_COUNTRY_BLOCKED_BY_PROTECT_CONFIGURATION",
)


@dataclass(frozen=True)
class AwsAccount(AwsCredentials):
    """`configuration_set` is what AWS publishes its events by, `topics` are the SNS topics that may bring them."""

    configuration_set: str = ""
    topics: tuple[str, ...] = ()
    allow_sns_version_1: bool = False
    base_url: str = ""

    @property
    def url(self) -> str:
        return self.base_url or f"https://sms-voice.{self.region}.amazonaws.com"


class AwsSms:
    name = "aws"
    channel = "sms"

    def __init__(self, account: AwsAccount, senders: Senders, tariff: TextTariff = NO_LIMIT) -> None:
        self._account = account
        self._senders = senders
        self._tariff = tariff
        self._api = ProviderApi(account.url)

    async def send(self, outgoing: Outgoing) -> Receipt:
        text = text_of(outgoing, self._senders, self._tariff, longest=_LONGEST)
        asked = self._asked(text, outgoing)
        with at_cost(text.cost):
            return Receipt(await post_target(self._api, "SendTextMessage", self._account, asked, outgoing), cost=text.cost)

    async def verify(self) -> None:
        """DescribeAccountAttributes: whether the credentials hold."""
        await self._api.ask("/", b"{}", target_headers(self._api, "DescribeAccountAttributes", self._account, b"{}"))

    async def close(self) -> None:
        await self._api.close()

    def _asked(self, text: Text, outgoing: Outgoing) -> dict[str, object]:
        dlt = {"IN_ENTITY_ID": text.dlt[0], "IN_TEMPLATE_ID": text.dlt[1]} if text.dlt else {}
        optional = {"ConfigurationSetName": self._account.configuration_set, "DestinationCountryParameters": dlt}
        return {
            "DestinationPhoneNumber": text.recipient,
            "OriginationIdentity": text.sender,
            "MessageBody": text.body,
            "MessageType": "PROMOTIONAL" if outgoing.message_class == "marketing" else "TRANSACTIONAL",
            "Context": {"sojourn_message": str(outgoing.message_id)},
            **{name: value for name, value in optional.items() if value},
        }


async def post_target(api: ProviderApi, operation: str, account: AwsAccount, asked: dict[str, object], outgoing: Outgoing) -> str:
    """Call one operation, of texts or of calls, and read its answer by the table above; return the id of the message."""
    body = orjson.dumps(asked)
    answer = await api.post("/", outgoing, content=body, headers=target_headers(api, operation, account, body))
    if answer.is_success:
        return answer.reference("MessageId")
    raise _refused(answer)


def target_headers(api: ProviderApi, operation: str, account: AwsAccount, body: bytes) -> dict[str, str]:
    """The signed headers of one operation."""
    headers = {"content-type": "application/x-amz-json-1.0", "x-amz-target": f"PinpointSMSVoiceV2.{operation}"}
    return signed_headers(account, "sms-voice", api.url("/"), headers, body, datetime.now(UTC))


def _refused(answer: Answer) -> Exception:
    members = answer.members()
    code, reason = str(members.get("__type") or "").rpartition("#")[2], members.get("Reason")
    if code == "ConflictException" and (reason == _OPTED_OUT or reason in _BLOCKED):
        return Rejected(f"HTTP {answer.status} {code} {reason}", is_listed=reason == _OPTED_OUT)
    if code in _NOT_NOW:
        return NotSent(f"HTTP {answer.status} {code}", answer.retry_after_s, is_throttle=code == _NOT_NOW[0])
    return refusal(answer, code)
