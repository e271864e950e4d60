"""A mail as fields: who it is from and who answers it, in one line each."""

import pytest

from channels.base import Rejected
from channels.email.letter import letter
from tests.channels.email.rig import HELP, NON_ASCII, SENDER, check_mailbox
from tests.channels.messages import mail


def test_long_names_beyond_ascii_stay_in_one_line() -> None:
    found = letter(mail(parts=NON_ASCII))
    check_mailbox(found.sender_mailbox, SENDER, "hello@acme.example")
    check_mailbox(found.reply_to_mailbox or "", HELP, "help@acme.example")


@pytest.mark.parametrize(
    ("written", "address", "name", "mailbox"),
    [
        ("help@acme.example", "help@acme.example", "", "help@acme.example"),
        ("Help <help@acme.example>", "help@acme.example", "Help", "Help <help@acme.example>"),
        ("Help, Ltd. <help@b\u00fccher.example>", "help@xn--bcher-kva.example", "Help, Ltd.", '"Help, Ltd." <help@xn--bcher-kva.example>'),
        (None, None, "", None),
    ],
)
def test_who_answers_is_named_as_the_author_wrote_it(written: str | None, address: str | None, name: str, mailbox: str | None) -> None:
    found = letter(mail(parts={"reply_to": written}))
    assert (found.reply_to, found.reply_to_name, found.reply_to_mailbox) == (address, name, mailbox)


@pytest.mark.parametrize("written", ["Help <help@acme.example>, x@acme.example", "Help\r\nBcc: x <help@acme.example>", "Help"])
def test_what_names_no_single_address_is_refused(written: str) -> None:
    with pytest.raises(Rejected):
        letter(mail(parts={"reply_to": written}))
