"""What every SMS provider is told: from whom, to whom, what, and what India's DLT asks for."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

import phonenumbers
from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from channels.base import Cost, Outgoing, Rejected
from channels.fields import Country
from channels.sms.segments import segments
from channels.tariff import TextTariff

_E164 = 15
_LONGEST_SENDER = 256


def _pool(senders: tuple[str, ...]) -> tuple[str, ...]:
    if not senders:
        raise PydanticCustomError("no_sender", "name at least one number or name that messages are from")
    if any(not sender or sender != sender.strip() or len(sender) > _LONGEST_SENDER for sender in senders):
        raise PydanticCustomError("no_sender", "each is a number or a name, without blanks around it")
    return senders


Pool = Annotated[tuple[str, ...], AfterValidator(_pool)]


@dataclass(frozen=True)
class Senders:
    """Whom texts are from. `by_country` (two letters) has pools of numbers or names; `default` serves every other country.

    One person always gets the same number of a pool. `countries` that are not empty are the only ones written to.
    """

    default: Pool
    by_country: Mapping[Country, Pool] = field(default_factory=dict)
    countries: frozenset[Country] = frozenset()
    dlt_entity_id: str = ""

    def sender(self, country: str, recipient: str) -> str:
        """Whom this recipient reads: always the same of a pool."""
        pool = self.by_country.get(country) or self.default
        return pool[int.from_bytes(hashlib.sha256(recipient.encode()).digest()[:4], "big") % len(pool)]

    def recipient(self, address: str) -> tuple[str, str]:
        """The number in E.164 and its country. Raises Rejected for no number, and for a country that is closed."""
        number, country = numbered(address)
        if self.countries and country not in self.countries:
            raise Rejected("the number's country is not among those that this sender writes to")
        return number, country


@dataclass(frozen=True)
class Text:
    """`recipient` is E.164 with its +; `cost` goes by segments; `dlt` holds India's entity and template ids where they are asked for."""

    sender: str
    recipient: str
    country: str
    body: str
    cost: Cost
    dlt: tuple[str, str] | None = None


def text_of(outgoing: Outgoing, senders: Senders, tariff: TextTariff, *, longest: int) -> Text:
    """Read the parts of an SMS. Raises Rejected for no number, a closed country, a body that the provider or the account finds too long."""
    recipient, country = senders.recipient(outgoing.address)
    body = str(outgoing.content.parts["text"])
    if not body.strip() or len(body) > longest:
        raise Rejected(f"the text must have 1 to {longest} characters")
    template = str(outgoing.content.parts.get("dlt_template_id") or "")
    dlt = (senders.dlt_entity_id, template) if country == "IN" and senders.dlt_entity_id and template else None
    return Text(senders.sender(country, recipient), recipient, country, body, _cost(body, country, tariff), dlt)


def _cost(body: str, country: str, tariff: TextTariff) -> Cost:
    counted = segments(body)
    if tariff.max_segments and counted.count > tariff.max_segments:
        raise Rejected(
            f"the text has {counted.count} segments ({counted.encoding}) and the account's max_segments is {tariff.max_segments}"
        )
    return tariff.cost(country, counted.count)


def numbered(address: str) -> tuple[str, str]:
    """A number in E.164 with its +, and its country. Raises Rejected."""
    try:
        number = phonenumbers.parse(address)
    except phonenumbers.NumberParseException as error:
        raise Rejected("not a phone number") from error
    if not phonenumbers.is_possible_number(number) or not address.startswith("+") or len(address) > _E164 + 1:
        raise Rejected("not a phone number in E.164")
    found = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return found, phonenumbers.region_code_for_number(number) or ""
