"""Whom texts are from and who may get them."""

import pytest

from channels.base import Rejected
from channels.sms.text import Senders, text_of
from tests.channels.sms.rig import SENDERS, text


def test_a_country_has_its_own_sender_and_the_others_the_default() -> None:
    assert text_of(text(address="+447400123456"), SENDERS, longest=1600).sender == "ACME"
    assert text_of(text(address="+4915112345678"), SENDERS, longest=1600).sender == "+15005550006"


def test_a_person_always_gets_the_same_number_of_a_pool_and_the_pool_is_used() -> None:
    pool = Senders(tuple(f"+1500555000{digit}" for digit in range(10)))
    numbers = [f"+49151{number:08d}" for number in range(200)]
    first = [text_of(text(address=number), pool, longest=1600).sender for number in numbers]
    assert first == [text_of(text(address=number), pool, longest=1600).sender for number in numbers]
    assert len(set(first)) == 10


@pytest.mark.parametrize(
    "address", ["+33612345678", "015112345678", "+49", "ann@example.org", "", "+4915112345678;ext=3", "+999999999999999"]
)
def test_what_is_no_number_or_in_a_closed_country_is_refused(address: str) -> None:
    with pytest.raises(Rejected):
        text_of(text(address=address), SENDERS, longest=1600)


def test_only_india_gets_the_ids_of_dlt() -> None:
    assert text_of(text(address="+919876543210"), SENDERS, longest=1600).dlt == ("1201", "1007")
    assert text_of(text(), SENDERS, longest=1600).dlt is None


@pytest.mark.parametrize("body", ["", "   ", "x" * 1601])
def test_an_empty_or_endless_text_is_refused(body: str) -> None:
    with pytest.raises(Rejected):
        text_of(text(body), SENDERS, longest=1600)
