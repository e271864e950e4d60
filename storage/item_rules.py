"""What ids, names, times and values of users and events may be like, whoever brings them: a call, or a file. Pure.

Nothing here repeats a value: what is broken is told by where it stands and a code.
"""

import re
import unicodedata
import zoneinfo
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import Any

RESERVED = frozenset(
    {
        "page_viewed", "screen_viewed", "identified", "grouped", "message_opened", "message_clicked", "message_replied", "segment_entered",
        "segment_left",
    }
)  # fmt: skip
ITEM_BYTES = 32 * 1024
ID_BYTES = 256
DEPTH = 32
KEYS = 500
KEY_BYTES = 128
STRING_BYTES = 8 * 1024
LARGEST_INTEGER = 2**53

_UNSAFE_ID = re.compile(r"\.\./|%2e%2e", re.IGNORECASE)
_UNSAFE_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
_LOCALE = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{1,8}){0,4}")
_PLAIN_SURROGATES = re.compile("[\ud800-\udfff]")


@lru_cache(maxsize=65536)
def broken_id(value: str) -> str | None:
    """The code of the rule that an id breaks, or None."""
    if len(value.encode()) > ID_BYTES:
        return "id_too_long"
    return None if is_visible(value) and not _UNSAFE_ID.search(value) else "invalid_id"


@lru_cache(maxsize=4096)
def broken_event_name(name: str) -> str | None:
    """The code of the rule that an event's name breaks, or None."""
    if name in RESERVED:
        return "reserved_event_name"
    return None if len(name.encode()) <= ID_BYTES and is_visible(name) else "invalid_event_name"


def is_visible(text: str) -> bool:
    """No control characters, and none that change the direction or the look of what stands around them."""
    if text.isascii():
        return text.isprintable()
    return all(unicodedata.category(character) not in _UNSAFE_CATEGORIES for character in text)


def is_locale(value: str) -> bool:
    return _LOCALE.fullmatch(value) is not None


@cache
def zones() -> frozenset[str]:
    """Every IANA zone that is known here."""
    return frozenset(zoneinfo.available_timezones())


def read_time(value: Any) -> datetime | None:
    """An ISO 8601 time as UTC (without a zone it is UTC), or None when it is none or lies outside what UTC can hold."""
    if type(value) is not str:
        return None
    try:
        moment = datetime.fromisoformat(value)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def broken(value: Any) -> tuple[list[str | int], str] | None:
    """The first limit that a JSON value breaks: (path from the leaf up, code), or None."""
    return _broken(value, 1)


def _broken(value: Any, level: int) -> tuple[list[str | int], str] | None:
    """(path from the leaf up, code). Its callers walk every value of every item: it is written for speed."""
    kind = type(value)
    if kind is str:
        return _broken_text(value)
    if kind is dict:
        return _broken_object(value, level)
    if kind is list:
        return _broken_list(value, level)
    if kind is int and not -LARGEST_INTEGER <= value <= LARGEST_INTEGER:
        return [], "integer_too_large"
    return None


def _broken_text(value: str) -> tuple[list[str | int], str] | None:
    if "\x00" in value:
        return [], "nul"
    # Most text is ASCII, and that is known without looking at it.
    if not value.isascii() and _PLAIN_SURROGATES.search(value):
        return [], "lone_surrogate"
    if len(value) > STRING_BYTES // 4 and len(value.encode()) > STRING_BYTES:
        return [], "string_too_long"
    return None


def _broken_object(value: Mapping[str, Any], level: int) -> tuple[list[str | int], str] | None:
    if level > DEPTH:
        return [], "too_deep"
    if len(value) > KEYS:
        return [], "too_many_keys"
    for key, inner in value.items():
        if len(key) > KEY_BYTES // 4 and len(key.encode(errors="surrogatepass")) > KEY_BYTES:
            return [], "key_too_long"
        broken_key = _broken_text(key)
        if broken_key is not None:
            return broken_key
        found = _broken(inner, level + 1)
        if found is not None:
            found[0].append(key)
            return found
    return None


def _broken_list(value: list[Any], level: int) -> tuple[list[str | int], str] | None:
    if level > DEPTH:
        return [], "too_deep"
    for index, inner in enumerate(value):
        found = _broken(inner, level + 1)
        if found is not None:
            found[0].append(index)
            return found
    return None
