"""Reading bodies: caps, gzip, strict JSON, and the limits of values."""

import gzip
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import orjson
import pytest
from fastapi import Request
from hypothesis import given
from hypothesis import strategies as st

from api.body import broken_rule, is_plain, is_small, parse, read_json, read_raw
from api.errors import Malformed, TooLarge, UnsupportedMediaType
from journeys.language.errors import Invalid


def request(*chunks: bytes, headers: Mapping[str, str] | None = None) -> Request:
    given_headers = {"content-type": "application/json", **(headers or {})}
    scope = {"type": "http", "headers": [(name.encode(), value.encode()) for name, value in given_headers.items()]}

    async def messages() -> AsyncIterator[dict[str, Any]]:
        for chunk in chunks:
            yield {"type": "http.request", "body": chunk, "more_body": True}
        yield {"type": "http.request", "body": b"", "more_body": False}

    stream = messages()
    return Request(scope, stream.__anext__)


async def test_a_body_is_read_from_its_chunks() -> None:
    assert await read_json(request(b'{"a"', b": 1}")) == {"a": 1}


async def test_a_declared_length_above_the_cap_is_refused_before_a_byte_is_read() -> None:
    with pytest.raises(TooLarge):
        await read_raw(request(headers={"content-length": "999"}), most_bytes=100)


async def test_a_body_without_length_is_refused_when_it_passes_the_cap() -> None:
    with pytest.raises(TooLarge):
        await read_raw(request(b"x" * 60, b"x" * 60), most_bytes=100)


async def test_gzip_is_inflated_up_to_the_cap() -> None:
    packed = {"content-encoding": "gzip"}
    assert await read_json(request(gzip.compress(b'{"a": 1}'), headers=packed)) == {"a": 1}
    with pytest.raises(TooLarge):
        await read_raw(request(gzip.compress(bytes(10_000_000)), headers=packed), most_bytes=100_000)


@pytest.mark.parametrize("packed", [b"no gzip", gzip.compress(b"{}", mtime=0)[:-4], gzip.compress(b"{}", mtime=0) + b"more"])
async def test_a_broken_gzip_stream_is_malformed(packed: bytes) -> None:
    with pytest.raises(Malformed):
        await read_raw(request(packed, headers={"content-encoding": "gzip"}), most_bytes=100)


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "text/html"},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": "application/json; charset=utf-16"},
        {"content-encoding": "br"},
        {"content-encoding": "gzip, gzip"},
    ],
)
async def test_another_type_or_encoding_is_refused(headers: dict[str, str]) -> None:
    with pytest.raises(UnsupportedMediaType):
        await read_raw(request(b"{}", headers=headers), most_bytes=100)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"{} {}",
        b"[1,]",
        b"{'a': 1}",
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b'{"a": 1e400}',
        b'{"a": "\xff"}',
        b"\xef\xbb\xbf{}",  # a BOM
        '{"a": 1}'.encode("utf-16"),
        b"[" * 2000 + b"]" * 2000,
        b'{"a": ' + b"1" * 5000 + b"}",
        b'{"a": "\\ud800", "b": NaN}',  # the exact parser is as strict
        b'{"a": 12345678901234567890, "b": 1e400}',
        b"[" * 2000 + b'"\\ud800"' + b"]" * 2000,
        b'{"a": "\\ud800\n"}',  # a control character inside a string
    ],
)
def test_what_is_no_json_is_malformed(raw: bytes) -> None:
    with pytest.raises(Malformed):
        parse(raw)


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "pointer", "code"),
    [
        ({"a": {"b": ["x\x00y"]}}, "/a/b/0", "nul"),
        ({"a": {"b\x00": 1}}, "/a", "nul"),  # a bad key is not named
        ({"a": "\ud800"}, "/a", "lone_surrogate"),
        ({"a": {"\udfff": 1}}, "/a", "lone_surrogate"),
        ({"a": nested(32)}, "/a" + "/0" * 31, "too_deep"),
        ({str(n): 1 for n in range(501)}, "", "too_many_keys"),
        ({"a": {"k" * 129: 1}}, "/a", "key_too_long"),
        ({"a": {"é" * 65: 1}}, "/a", "key_too_long"),  # bytes, not characters
        ({"a": "x" * 8193}, "/a", "string_too_long"),
        ({"a": "é" * 4097}, "/a", "string_too_long"),
        ({"a": 2**53 + 1}, "/a", "integer_too_large"),
        ({"a": -(2**53) - 1}, "/a", "integer_too_large"),
        ({"a~b/c": 2**60}, "/a~0b~1c", "integer_too_large"),
    ],
)
def test_a_broken_limit_is_named_with_its_place(value: Any, pointer: str, code: str) -> None:
    broken = broken_rule(value)
    assert broken is not None
    assert (broken.pointer, broken.code) == (pointer, code)


@pytest.mark.parametrize(
    "value",
    [{"a": nested(31)}, {"k" * 128: "x" * 8192}, {"a": 2**53, "b": -(2**53)}, {str(n): 1 for n in range(500)}, "é" * 4096, "\U0001f600"],
)
def test_what_stands_at_the_limit_passes(value: Any) -> None:
    assert broken_rule(value) is None


def test_an_integer_that_orjson_would_round_is_seen() -> None:
    broken = broken_rule(parse(b'{"a": 18446744073709551616, "b": "\\ud83d\\ude00"}'))
    assert broken is not None
    assert broken.code == "integer_too_large"


def test_a_lone_surrogate_reaches_the_limits_and_spares_its_neighbours() -> None:
    good, bad = parse(b'[{"a": "\\ud83d\\ude00"}, {"a": "\\ud83d"}]')
    assert broken_rule(good) is None
    assert broken_rule(bad) is not None


async def test_a_broken_limit_is_invalid() -> None:
    with pytest.raises(Invalid):
        await read_json(request(b'{"a": "\\u0000"}'))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


@given(json_values)
def test_any_json_parses_and_what_passes_the_limits_can_be_stored(value: Any) -> None:
    parsed = parse(json.dumps(value).encode())
    if broken_rule(parsed) is None:
        assert b"\\u0000" not in orjson.dumps(parsed)


@given(json_values)
def test_the_quick_look_never_passes_what_breaks_a_limit(value: Any) -> None:
    raw = json.dumps({"a": value}).encode()
    item = parse(raw)
    if is_plain(raw) and len(raw) <= 8192 and is_small(item):
        assert broken_rule(item) is None


@pytest.mark.parametrize("raw", [b'{"a": 9007199254740993}', b'{"a": "\\u0000"}', b'{"a": "\\uD800"}', b'{"a": "\\ud800"}'])
def test_bytes_that_may_hold_a_broken_rule_are_not_plain(raw: bytes) -> None:
    assert not is_plain(raw)


@given(st.binary())
def test_any_bytes_parse_or_are_malformed(raw: bytes) -> None:
    try:
        parse(raw)
    except Malformed:
        return
