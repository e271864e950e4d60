"""Retry-After as providers write it."""

from datetime import UTC, datetime

import pytest

from channels.retry_after import retry_after_s

NOW = datetime(2026, 11, 23, 19, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("120", 120.0),
        (" 5 ", 5.0),
        ("0", 0.0),
        ("Mon, 23 Nov 2026 19:01:00 GMT", 60.0),
        ("Mon, 23 Nov 2026 18:59:00 GMT", None),  # past
        ("99999999999999999999", 86_400.0),  # absurd: a day, then ask again
        ("Fri, 31 Dec 9999 23:59:59 GMT", 86_400.0),
        ("-1", None),
        ("1.5", None),
        ("soon", None),
        ("١٢", None),  # digits, but not of the header's alphabet
        ("", None),
        (None, None),
    ],
)
def test_seconds_a_date_or_nothing_that_makes_sense(header: str | None, expected: float | None) -> None:
    assert retry_after_s(header, NOW) == expected
