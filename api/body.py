"""Reads a request's body: raw bytes under a cap, gzip under a cap, strict JSON, and the limits that everything below relies on.

Nothing here repeats a value: an error says where, and which rule.
"""

import asyncio
import json
import math
import re
import zlib
from collections.abc import Mapping
from typing import Any, NoReturn

import orjson
from fastapi import Request
from starlette.requests import ClientDisconnect

from api.errors import Malformed, TooLarge, UnsupportedMediaType, pointer
from journeys.language.errors import Invalid, Problem, Unavailable
from storage.item_rules import DEPTH, KEY_BYTES, KEYS, LARGEST_INTEGER, broken

READ_WITHIN_S = 20.0
MOST_BYTES = 1024 * 1024

# What makes long runs of digits visible in one pass: every digit becomes 0, everything else a space.
_ZEROS = bytes(ord("0") if chr(byte).isascii() and chr(byte).isdigit() else ord(" ") for byte in range(256))
_ROUNDED_DIGITS = b"0" * 19
_LARGE_DIGITS = b"0" * len(str(LARGEST_INTEGER))
_MOST_DIGITS = 1000
_JSON = frozenset({"application/json"})


async def read_json(request: Request, *, most_bytes: int = MOST_BYTES, types: frozenset[str] = _JSON) -> Any:
    """Read a management body: JSON within the limits. Raises Malformed, TooLarge, UnsupportedMediaType, or Invalid with a pointer."""
    value = parse(await read_raw(request, most_bytes=most_bytes, types=types))
    broken = broken_rule(value)
    if broken is not None:
        raise Invalid([broken])
    return value


async def read_raw(request: Request, *, most_bytes: int, types: frozenset[str] = _JSON) -> bytes:
    """The body as bytes, inflated when it is gzip; neither form may be longer than `most_bytes`.

    `types` are the content types that may stand there; "" lets it be missing. Raises TooLarge, UnsupportedMediaType, Malformed, and
    Unavailable when the caller takes longer than twenty seconds.
    """
    _check_type(request, types)
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {"identity", "gzip"}:
        raise UnsupportedMediaType("the content encoding is neither gzip nor identity")
    raw = await read_bytes(request, most_bytes=most_bytes)
    return _inflated(raw, most_bytes) if encoding == "gzip" else raw


async def read_bytes(request: Request, *, most_bytes: int) -> bytes:
    """The body exactly as it came, whatever its type: signatures are over these bytes. Raises TooLarge, Malformed, Unavailable."""
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared[:20]) > most_bytes:
        raise TooLarge(_too_large(most_bytes))
    try:
        async with asyncio.timeout(READ_WITHIN_S):
            return await _read(request, most_bytes)
    except TimeoutError:
        raise Unavailable("the body took too long to arrive") from None
    except ClientDisconnect:
        raise Malformed("the connection closed before the body was complete") from None


async def _read(request: Request, most_bytes: int) -> bytes:
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > most_bytes:
            raise TooLarge(_too_large(most_bytes))
        chunks.append(chunk)
    return b"".join(chunks)


def _check_type(request: Request, types: frozenset[str]) -> None:
    kind, _, parameters = request.headers.get("content-type", "").partition(";")
    charset = re.search(r"charset\s*=\s*\"?([^\s;\"]*)", parameters.lower())
    if kind.strip().lower() not in types or (charset and charset[1] not in {"utf-8", "utf8"}):
        raise UnsupportedMediaType("the content type is not application/json in UTF-8")


def _too_large(most_bytes: int) -> str:
    return f"the body may have at most {most_bytes:,} bytes, inflated too"


def _inflated(raw: bytes, most_bytes: int) -> bytes:
    inflater = zlib.decompressobj(wbits=31)
    try:
        plain = inflater.decompress(raw, most_bytes + 1)
    except zlib.error:
        raise Malformed("the body is not gzip") from None
    if len(plain) > most_bytes:
        raise TooLarge(_too_large(most_bytes))
    if not inflater.eof or inflater.unused_data:
        raise Malformed("the gzip stream is not complete, or something follows it")
    return plain


def parse(raw: bytes) -> Any:
    """Parse JSON strictly. Raises Malformed for what is no JSON: NaN, bad UTF-8, a BOM, numbers beyond a double, 1,024 levels.

    Of duplicate keys the last counts. Lone surrogates come through, and integers as they stand, for `broken_rule` to name: so one bad
    item of a batch costs only itself.
    """
    try:
        # orjson turns an integer of 2^64 and more into a float, which would hide that it is too large.
        return _parse_exactly(raw) if _ROUNDED_DIGITS in raw.translate(_ZEROS) else orjson.loads(raw)
    except orjson.JSONDecodeError:
        # orjson refuses a lone surrogate with the whole body.
        if b"\\ud" in raw or b"\\uD" in raw:
            return _parse_exactly(raw)
        raise Malformed("the body is not JSON in UTF-8") from None


def is_plain(raw: bytes) -> bool:
    """Tell from the bytes alone that no NUL, no lone surrogate and no integer beyond 2^53 can be in it; most bodies are so."""
    return b"\\u0000" not in raw and b"\\ud" not in raw and b"\\uD" not in raw and _LARGE_DIGITS not in raw.translate(_ZEROS)


def is_small(value: Mapping[str, Any], level: int = 1) -> bool:
    """Tell quickly that an object breaks no limit of depth, keys and their length. False: it may (`broken_rule` says)."""
    if level > DEPTH or len(value) > KEYS:
        return False
    for key, inner in value.items():
        if len(key) > KEY_BYTES // 4:
            return False
        kind = type(inner)
        if (kind is dict and not is_small(inner, level + 1)) or (kind is list and not _is_small_list(inner, level + 1)):
            return False
    return True


def _is_small_list(value: list[Any], level: int) -> bool:
    if level > DEPTH:
        return False
    for inner in value:
        kind = type(inner)
        if (kind is dict and not is_small(inner, level + 1)) or (kind is list and not _is_small_list(inner, level + 1)):
            return False
    return True


def _parse_exactly(raw: bytes) -> Any:
    try:
        return json.loads(raw.decode(), parse_constant=_refuse, parse_float=_finite, parse_int=_integer)
    except (ValueError, RecursionError):
        raise Malformed("the body is not JSON in UTF-8") from None


def _refuse(_word: str) -> NoReturn:
    raise ValueError


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError
    return number


def _integer(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise ValueError
    return int(digits)


def broken_rule(value: Any) -> Problem | None:
    """The first limit that a JSON value breaks, with where, or None. A key that breaks one is not named, only its object."""
    found = broken(value)
    return None if found is None else Problem(pointer(found[0][::-1]), found[1])
