"""Whom texts are from and who may get them."""

from decimal import Decimal

import pytest

from channels.base import Cost, Rejected
from channels.sms.text import Senders, text_of
from channels.tariff import NO_LIMIT, TextTariff
from tests.channels.sms.rig import SENDERS, text


def test_a_country_has_its_own_sender_and_the_others_the_default() -> None:
    assert text_of(text(address="+447400123456"), SENDERS, NO_LIMIT, longest=1600).sender == "ACME"
    assert text_of(text(address="+4915112345678"), SENDERS, NO_LIMIT, longest=1600).sender == "+15005550006"


def test_a_person_always_gets_the_same_number_of_a_pool_and_the_pool_is_used() -> None:
    pool = Senders(tuple(f"+1500555000{digit}" for digit in range(10)))
    numbers = [f"+49151{number:08d}" for number in range(200)]
    first = [text_of(text(address=number), pool, NO_LIMIT, longest=1600).sender for number in numbers]
    assert first == [text_of(text(address=number), pool, NO_LIMIT, longest=1600).sender for number in numbers]
    assert len(set(first)) == 10


@pytest.mark.parametrize(
    "address", ["+33612345678", "015112345678", "+49", "ann@example.org", "", "+4915112345678;ext=3", "+999999999999999"]
)
def test_what_is_no_number_or_in_a_closed_country_is_refused(address: str) -> None:
    with pytest.raises(Rejected):
        text_of(text(address=address), SENDERS, NO_LIMIT, longest=1600)


def test_only_india_gets_the_ids_of_dlt() -> None:
    assert text_of(text(address="+919876543210"), SENDERS, NO_LIMIT, longest=1600).dlt == ("1201", "1007")
    assert text_of(text(), SENDERS, NO_LIMIT, longest=1600).dlt is None


@pytest.mark.parametrize("body", ["", "   ", "x" * 1601])
def test_an_empty_or_endless_text_is_refused(body: str) -> None:
    with pytest.raises(Rejected):
        text_of(text(body), SENDERS, NO_LIMIT, longest=1600)


def test_a_text_costs_its_segments_at_the_price_of_its_country() -> None:
    tariff = TextTariff({"DE": Decimal("0.0725"), "*": Decimal("0.1")}, "EUR")
    assert text_of(text("x" * 161), SENDERS, tariff, longest=1600).cost == Cost(2, Decimal("0.1450"), "EUR")
    assert text_of(text("x", address="+447400123456"), SENDERS, tariff, longest=1600).cost == Cost(1, Decimal("0.1"), "EUR")
    assert text_of(text("x"), SENDERS, TextTariff({"GB": Decimal(1)}, "EUR"), longest=1600).cost == Cost(1)


def test_a_text_of_more_segments_than_the_account_pays_for_is_refused_with_both_numbers() -> None:
    tariff = TextTariff(max_segments=2)
    assert text_of(text("x" * 306), SENDERS, tariff, longest=1600).cost.units == 2
    with pytest.raises(Rejected, match=r"3 segments \(gsm7\).*max_segments is 2"):
        text_of(text("x" * 307), SENDERS, tariff, longest=1600)
    with pytest.raises(Rejected, match=r"3 segments \(ucs2\).*max_segments is 2"):
        text_of(text("大" * 135), SENDERS, tariff, longest=1600)
