"""Moments as people write them at the terminal."""

import re
from datetime import UTC, datetime, timedelta

from journeys.language.errors import Refused

_AGO = re.compile(r"(\d+)([hdw])")
_UNITS = {"h": "hours", "d": "days", "w": "weeks"}


def moment(written: str | None) -> str | None:
    """A moment as the API takes it: a day or time without a zone is UTC, and 7d is seven days ago."""
    if written is None:
        return None
    if ago := _AGO.fullmatch(written):
        return (datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})).isoformat()
    try:
        found = datetime.fromisoformat(written)
    except ValueError:
        raise Refused(f"{written} is no moment: write 2026-11-01, 2026-11-01T09:00Z, or 7d, 24h, 2w") from None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).isoformat()
