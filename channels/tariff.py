"""What a provider charges, as the team writes it into its account, and what one message comes to by it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Annotated

from pydantic import AfterValidator, Field

from channels.base import Cost
from channels.fields import country

EVERY = "*"


def _priced(code: str) -> str:
    return code if code == EVERY else country(code)


Price = Annotated[Decimal, Field(ge=0, max_digits=12, decimal_places=6)]


@dataclass(frozen=True)
class Tariff:
    """`prices` of one unit by country (two letters; * for every other), in `currency` (ISO 4217)."""

    prices: Mapping[Annotated[str, AfterValidator(_priced)], Price] = field(default_factory=dict)
    currency: Annotated[str, Field(pattern="^([A-Z]{3})?$")] = ""

    def __post_init__(self) -> None:
        if self.prices and not self.currency:
            raise ValueError("prices need a currency, such as EUR")

    def cost(self, country: str, units: int = 1) -> Cost:
        """What so many units cost there. A country without a price is counted and not priced."""
        price = self.prices.get(country, self.prices.get(EVERY))
        return Cost(units) if price is None else Cost(units, price * units, self.currency)


@dataclass(frozen=True)
class TextTariff(Tariff):
    """Of texts, which are charged by segment. One of more than `max_segments` is not sent."""

    max_segments: Annotated[int, Field(ge=1, le=20)] | None = None


NO_PRICES = Tariff()
NO_LIMIT = TextTariff()
