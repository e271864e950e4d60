"""Header text that tries to break out of its line, and text that only looks as if it did."""

from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.utils import parseaddr

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.base import Rejected
from channels.email import headers

INJECTIONS = [
    "Hello\r\nBcc: eve@evil.example",
    "Hello\nBcc: eve@evil.example",
    "Hello\rBcc: eve@evil.example",
    "Hello\r\n\r\n<script>",
    "Hello\n\tfolded",
    "\r\n",
    "\nBcc: eve@evil.example",
    "Hello\x00",
    "Hello\x0bBcc: eve@evil.example",
    "Hello\x0cBcc: eve@evil.example",
    "Hello\x1cBcc: eve@evil.example",
    "Hello\x7f",
    "=?utf-8?q?a=0ABcc:_e@x?=",  # Python 3.11.7 and 3.12.1 write this out as a real Bcc line
    "=?utf-8?b?YQpCY2M6IGVAeA==?=",
    "a =?UTF-8?Q?=0D=0ABcc:_e@x?= b",
    "=?iso-8859-1?q?x?=",
    "half =?",
]
NOT_ADDRESSES = [
    "",
    "ann",
    "ann@",
    "@example.org",
    "ann@example.org, eve@evil.example",
    "ann@example.org eve@evil.example",
    "ann@example.org;eve@evil.example",
    "alice@example.org)bob@evil.example",
    "ann@example.org\r\nBcc: eve@evil.example",
    "ann@example.org\nRCPT TO:<eve@evil.example>",
    "<ann@example.org>",
    '"ann"@example.org',
    "ann@[127.0.0.1]",
    "ann@exam ple.org",
    "ann@\u2028example.org",
    "=?utf-8?q?ann?=@example.org",
    "a" * 65 + "@example.org",
    "ann@" + "\u0301" + ".example",
]


def parsed(line: bytes, name: str) -> str:
    message = message_from_bytes(line + b"\r\n", policy=policy.default)
    assert message.keys() == [name]
    assert not message.defects
    return str(message[name])


@pytest.mark.parametrize("text", INJECTIONS)
def test_text_that_could_end_its_line_is_refused_everywhere(text: str) -> None:
    with pytest.raises(Rejected):
        headers.unstructured("Subject", text)
    with pytest.raises(Rejected):
        headers.mailbox(f"{text} <hello@acme.example>")


@pytest.mark.parametrize("text", NOT_ADDRESSES)
def test_what_is_not_one_address_is_refused(text: str) -> None:
    with pytest.raises(Rejected):
        headers.address(text)


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=400).filter(lambda text: "=?" not in text))
def test_any_other_subject_arrives_as_it_was_on_lines_that_are_short_enough(text: str) -> None:
    line = headers.unstructured("Subject", text)
    assert all(len(each) <= 78 for each in line.split(b"\r\n"))
    # Space at the ends of a header is nobody's; the library reads runs of other white space as one.
    assert " ".join(parsed(line, "Subject").split()) == " ".join(text.split())


@given(st.text(st.characters(exclude_categories=["Cc", "Cs", "Zs", "Zl", "Zp"], exclude_characters='<>"=\\'), min_size=1, max_size=60))
def test_any_name_of_a_sender_arrives_as_it_was(name: str) -> None:
    # The library's newer parser puts a space between two encoded words of a name (RFC 2047 says none), so its older one reads here.
    written, address = parseaddr(headers.mailbox(f"{name} <hello@acme.example>").replace("\r\n", ""))
    assert (str(make_header(decode_header(written))), address) == (name, "hello@acme.example")


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("hello@acme.example", "hello@acme.example"),
        ("Acme <hello@acme.example>", "Acme <hello@acme.example>"),
        ('"Acme, Ltd." <hello@acme.example>', '"Acme, Ltd." <hello@acme.example>'),
        ("Acme: orders <hello@acme.example>", '"Acme: orders" <hello@acme.example>'),
        ("Größe <hello@acme.example>", "=?utf-8?b?R3LDtsOfZQ==?= <hello@acme.example>"),
        ("hello@bücher.example", "hello@xn--bcher-kva.example"),
    ],
)
def test_a_sender_is_quoted_or_encoded_as_its_name_needs(written: str, expected: str) -> None:
    assert headers.mailbox(written) == expected


def test_a_long_word_without_a_space_is_encoded_rather_than_left_on_one_line() -> None:
    assert parsed(headers.unstructured("Subject", "a" * 500), "Subject") == "a" * 500
