"""What every SMS provider is told: from whom, to whom, what, and what India's DLT asks for."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import phonenumbers

from channels.base import Outgoing, Rejected

_E164 = 15


@dataclass(frozen=True)
class Senders:
    """Whom texts are from. `by_country` (two letters) has pools of numbers or names; `default` serves every other country.

    One person always gets the same number of a pool. `countries` that are not empty are the only ones written to.
    """

    default: tuple[str, ...]
    by_country: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    countries: frozenset[str] = frozenset()
    dlt_entity_id: str = ""


@dataclass(frozen=True)
class Text:
    """`recipient` is E.164 with its +; `dlt` holds India's entity and template ids where the country asks for them."""

    sender: str
    recipient: str
    country: str
    body: str
    dlt: tuple[str, str] | None = None


def text_of(outgoing: Outgoing, senders: Senders, *, longest: int) -> Text:
    """Read the parts of an SMS. Raises Rejected for no number, a country that is closed, or a body longer than the provider takes."""
    recipient, country = _number(outgoing.address)
    if senders.countries and country not in senders.countries:
        raise Rejected("the number's country is not among those that this sender writes to")
    body = str(outgoing.content.parts["text"])
    if not body.strip() or len(body) > longest:
        raise Rejected(f"the text must have 1 to {longest} characters")
    template = str(outgoing.content.parts.get("dlt_template_id") or "")
    dlt = (senders.dlt_entity_id, template) if country == "IN" and senders.dlt_entity_id and template else None
    return Text(_sender(senders, country, recipient), recipient, country, body, dlt)


def _number(address: str) -> tuple[str, str]:
    try:
        number = phonenumbers.parse(address)
    except phonenumbers.NumberParseException as error:
        raise Rejected("not a phone number") from error
    if not phonenumbers.is_possible_number(number) or not address.startswith("+") or len(address) > _E164 + 1:
        raise Rejected("not a phone number in E.164")
    found = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return found, phonenumbers.region_code_for_number(number) or ""


def _sender(senders: Senders, country: str, recipient: str) -> str:
    pool = senders.by_country.get(country) or senders.default
    return pool[int.from_bytes(hashlib.sha256(recipient.encode()).digest()[:4], "big") % len(pool)]
