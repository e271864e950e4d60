"""Segments at their edges, as 3GPP TS 23.038 has them."""

import pytest

from channels.sms.segments import Segments, segments


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a" * 160, Segments("gsm7", 1)),
        ("a" * 161, Segments("gsm7", 2)),
        ("a" * 306, Segments("gsm7", 2)),
        ("a" * 307, Segments("gsm7", 3)),
        ("€" * 80, Segments("gsm7", 1)),
        ("€" * 81, Segments("gsm7", 2)),
        # An escape and its character stay together, so each segment holds 76 of them and one place is left over.
        ("€" * 153, Segments("gsm7", 3)),
        ("ä" * 160, Segments("gsm7", 1)),
        ("ç" * 70, Segments("ucs2", 1)),  # the alphabet has only the capital
        ("ç" * 71, Segments("ucs2", 2)),
        ("大" * 134, Segments("ucs2", 2)),
        ("大" * 135, Segments("ucs2", 3)),
        ("🎈" * 35, Segments("ucs2", 1)),
        ("🎈" * 36, Segments("ucs2", 2)),
        ("a" * 159 + "大", Segments("ucs2", 3)),
        ("", Segments("gsm7", 1)),
    ],
)
def test_a_text_is_cut_as_carriers_cut_it(text: str, expected: Segments) -> None:
    assert segments(text) == expected
