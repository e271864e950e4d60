"""How each channel writes an address; what the rows do is in test_events.py."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from journeys.language.errors import Invalid
from storage import endpoints
from storage.endpoints import normalised

P256DH = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
SECRET = "BTBZMqHH6r4Tts7J_aSIgg"
SUBSCRIPTION = (
    f'{{"endpoint": "https://push.example/abc", "expirationTime": null, "keys": {{"p256dh": "{P256DH}=", "auth": "{SECRET}=="}}}}'
)
KEPT = f'{{"endpoint":"https://push.example/abc","keys":{{"auth":"{SECRET}","p256dh":"{P256DH}"}}}}'


@pytest.mark.parametrize(
    ("channel", "written", "stored"),
    [
        ("email", "Ann@Example.COM", "ann@example.com"),  # receivers do not tell them apart
        ("email", "ann+news@example.com", "ann+news@example.com"),
        ("email", "ü@exämple.de", "ü@exämple.de"),
        ("sms", "+49 151 1234-5678", "+4915112345678"),
        ("sms", "+1 (415) 555-2671", "+14155552671"),
        ("push", "a:b-C_1", "a:b-C_1"),
        ("push", SUBSCRIPTION, KEPT),
        ("push", KEPT, KEPT),
        ("push", SUBSCRIPTION.replace("keys", "extra").replace('"extra"', '"extra": 3, "keys"'), KEPT),
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
        ("push", "https://push.example/abc", "invalid_subscription"),  # a subscription without its keys
        ("push", "{", "invalid_subscription"),
        ("push", "{}", "invalid_subscription"),
        ("push", '{"endpoint": 3, "keys": []}', "invalid_subscription"),
        ("push", KEPT.replace("https://", "http://"), "invalid_subscription"),
        ("push", KEPT.replace("https://", "https://user@"), "invalid_subscription"),
        ("push", KEPT.replace("push.example", "[::1"), "invalid_subscription"),
        ("push", KEPT.replace("push.example", "push.example:99999"), "invalid_subscription"),
        ("push", KEPT.replace("abc", "a b"), "invalid_subscription"),
        ("push", KEPT.replace("abc", "x" * 2000), "invalid_subscription"),
        ("push", KEPT.replace(P256DH, P256DH[:-4]), "invalid_subscription"),
        ("push", KEPT.replace(P256DH, "A" * 87), "invalid_subscription"),  # no point: it begins with 4
        ("push", KEPT.replace(SECRET, "AAAA"), "invalid_subscription"),
        ("push", KEPT.replace(SECRET, "größe"), "invalid_subscription"),
        ("push", "{" * 5000, "invalid_subscription"),
    ],
)
def test_what_is_no_address_is_refused_without_being_repeated(channel: str, written: str, code: str) -> None:
    with pytest.raises(Invalid) as refused:
        normalised(channel, written)
    assert refused.value.problems[0].code == code
    assert not written.strip("+") or written not in str(refused.value)


LOCALS = st.text(st.sampled_from("aZ0._+-'\"@ é"), max_size=66) | st.integers(60, 70).map("x".__mul__)
DOMAINS = st.sampled_from(
    ["example.com", "EXAMPLE.com", "a..b", "", "localhost", "example.test", "xn--bcher-kva.example", "bücher.de", "[1.2.3.4]"]
)


@given(LOCALS, DOMAINS | st.integers(180, 250).map(lambda n: ".".join(["d" * 60] * (n // 61)) + ".com"))
def test_the_quick_look_at_an_email_sees_what_the_long_one_sees(local: str, domain: str) -> None:
    address = f"{local}@{domain}"
    assert _outcome(endpoints._email, address) == _outcome(endpoints._whole_email, address)


def _outcome(read: Callable[[str], str], address: str) -> str | None:
    try:
        return read(address)
    except Invalid:
        return None
