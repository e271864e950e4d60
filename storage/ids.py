"""Ids that are computed, never drawn: the same in every retry, reset and replay."""

import hashlib
from datetime import datetime
from uuid import UUID


def length_prefixed(*parts: str) -> bytes:
    """Join parts so that no two lists of parts give the same bytes: 4 bytes of big-endian length, then UTF-8."""
    out = bytearray()
    for part in parts:
        raw = part.encode()
        out += len(raw).to_bytes(4, "big") + raw
    return bytes(out)


def time_ordered_id(began_at: datetime, *parts: str) -> UUID:
    """RFC 9562 version 8: 48 bits of milliseconds of `began_at`, then SHA-256 over `parts`. The SQL twin is message_id()."""
    digest = bytearray(hashlib.sha256(length_prefixed(*parts)).digest()[:10])
    digest[0] = (digest[0] & 0x0F) | 0x80
    digest[2] = (digest[2] & 0x3F) | 0x80
    return UUID(bytes=time_bytes(began_at) + bytes(digest))


def time_bytes(moment: datetime) -> bytes:
    """The milliseconds at the beginning of an id."""
    microseconds = round(moment.timestamp() * 1_000_000)
    return (microseconds // 1000).to_bytes(6, "big")


def message_id(began_at: datetime, app: str, source: str, step: str, visit: int, target: str) -> UUID:
    """The ledger's id of one message: (app, source, step, visit, target) behind the start time of its enrollment or run."""
    return time_ordered_id(began_at, app, source, step, str(visit), target)


def enrollment_id(started_at: datetime, app: str, journey: str, entry_event_id: str) -> UUID:
    """One entry event starts at most one enrollment of a journey, so the event names it."""
    return time_ordered_id(started_at, app, "enrollment", journey, entry_event_id)


def address_hash(app: str, channel: str, address: str) -> bytes:
    """What suppressions are looked up by; `address` is already normalised by its channel's rules."""
    return hashlib.sha256(length_prefixed(app, channel, address)).digest()


def event_hash(app: str, event_id: str) -> bytes:
    """16 bytes: the key of the dedupe table."""
    return hashlib.sha256(length_prefixed(app, event_id)).digest()[:16]


def length_hash(*parts: str) -> str:
    """32 hex digits over length-prefixed parts: a name for what is too long or too personal to show."""
    return hashlib.sha256(length_prefixed(*parts)).hexdigest()[:32]
