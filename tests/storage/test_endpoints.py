"""How each channel writes an address; what the rows do is in test_events.py."""

import pytest

from journeys.language.errors import Invalid
from storage.endpoints import normalised


@pytest.mark.parametrize(
    ("channel", "written", "stored"),
    [
        ("email", "Ann@Example.COM", "ann@example.com"),  # receivers do not tell them apart
        ("email", "ann+news@example.com", "ann+news@example.com"),
        ("email", "ü@exämple.de", "ü@exämple.de"),
        ("sms", "+49 151 1234-5678", "+4915112345678"),
        ("sms", "+1 (415) 555-2671", "+14155552671"),
        ("push", "a:b-C_1", "a:b-C_1"),
    ],
)
def test_an_address_has_one_way_of_writing(channel: str, written: str, stored: str) -> None:
    assert normalised(channel, written) == stored


@pytest.mark.parametrize(
    ("channel", "written", "code"),
    [
        ("email", "", "invalid_email"),
        ("email", "a@example.com,b@example.com", "invalid_email"),  # one address
        ("email", "a@example.com\r\nBcc: c@example.com", "invalid_email"),
        ("email", "=?utf-8?q?a=40b?=@example.com", "invalid_email"),  # an encoded word
        ("email", "alice@example.org)bob@evil.com", "invalid_email"),
        ("email", '"a b"@example.com', "invalid_email"),
        ("email", "a" * 250 + "@example.com", "invalid_email"),
        ("sms", "+", "invalid_phone"),
        ("sms", "+12345", "invalid_phone"),
        ("sms", "+1234567890123456", "invalid_phone"),
        ("sms", "015112345678", "invalid_phone"),  # whose country?
        ("sms", "+٤٩١٥١١٢٣٤٥٦٧٨", "invalid_phone"),
        ("sms", "+1-800-FLOWERS", "invalid_phone"),
        ("sms", "+1 415 555 2671 ext. 5", "invalid_phone"),
        ("sms", "+1 900 555 1234", "invalid_phone"),  # premium rate
        ("push", "two words", "invalid_address"),
        ("push", "x" * 4097, "invalid_address"),
        ("push", "a\x7fb", "invalid_address"),
    ],
)
def test_what_is_no_address_is_refused_without_being_repeated(channel: str, written: str, code: str) -> None:
    with pytest.raises(Invalid) as refused:
        normalised(channel, written)
    assert refused.value.problems[0].code == code
    assert not written.strip("+") or written not in str(refused.value)
