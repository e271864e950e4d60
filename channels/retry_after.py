"""The Retry-After header: seconds or a date (RFC 9110), and what else comes."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_LONGEST_S = 86_400.0


def retry_after_s(header: str | None, now: datetime) -> float | None:
    """Seconds to wait, at most a day; None where the header is absent, past or makes no sense."""
    if not header:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:12]), _LONGEST_S)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - now
    return min(seconds.total_seconds(), _LONGEST_S) if seconds.total_seconds() > 0 else None
