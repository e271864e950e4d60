"""A source: outside data that templates look up by a key while a message is rendered, and what becomes of the message when it fails.

`{{ source.product[entry.product_id].name }}` asks the source `product` for one key. Written in Python it is checked when it is built; read
from JSON it is not.
"""

from collections.abc import Iterator
from functools import wraps
from json import dumps
from re import fullmatch
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field as Bound

from journeys.language.durations import Duration, days, hours, minutes, seconds
from journeys.language.errors import Invalid, Problem
from journeys.language.nodes import KW_ONLY, Node, node

KEY_MARK = "{key}"
LONGEST_TIMEOUT = seconds(5)
LONGEST_CACHE = days(1)
LONGEST_WAIT = days(3)
_DEFAULT_LIMIT = 64 * 1024
_NAME = r"[a-z][a-z0-9_]{0,62}"
_COLUMN = r"[A-Za-z_][A-Za-z0-9_]{0,62}"
_HEADER = r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}"
# Ours to say: the judged address, and how the answer may come.
_OUR_HEADERS = frozenset({"host", "content-length", "transfer-encoding", "connection", "accept", "accept-encoding"})


@node
class Http(Node):
    """A service that answers GET with JSON. `{key}` in the path or query of the URL is the key, percent-encoded.

    `headers` are names; their values are secrets, which are set by API (PUT /v1/sources/{name}/headers) and never stand in a file.
    """

    url: Annotated[str, Bound(max_length=1000)]
    _: KW_ONLY
    headers: Annotated[tuple[str, ...], Bound(max_length=10)] = ()
    cache: Duration = minutes(5)
    timeout: Duration = seconds(2)
    kind: Literal["http"] = "http"


@node
class Table(Node):
    """A table or view of the database that SOJOURN_SOURCE_DATABASE_URL names: one row for each value of the column `key`."""

    table: str
    _: KW_ONLY
    key: str
    cache: Duration = minutes(1)
    timeout: Duration = seconds(2)
    kind: Literal["table"] = "table"


@node
class Rows(Node):
    """Rows that Sojourn keeps: those of the CSV beside the source's file, or uploaded by API. All values of a CSV are texts."""

    _: KW_ONLY
    key: str
    kind: Literal["rows"] = "rows"


Origin = Annotated[Http | Table | Rows, Bound(discriminator="kind")]


def _checked_when_written(cls: type["Source"]) -> type["Source"]:
    build = cls.__init__

    def __init__(self: "Source", *given: Any, **named: Any) -> None:  # noqa: N807 - it becomes the class's own
        build(self, *given, **named)
        if found := source_problems(self):
            raise Invalid(found)

    cls.__init__ = wraps(build)(__init__)  # type: ignore[method-assign]
    return cls


@_checked_when_written
@node
class Source(Node):
    """Outside data by a key. Raises Invalid with every problem when it is written in Python.

    `failing` says what becomes of a message while the source does not answer: `skip` it, `wait` for at most `wait_at_most` and skip it
    then, or render it with `default`, which also stands for a key that the source does not have.
    """

    name: str
    origin: Origin
    _: KW_ONLY
    failing: Literal["skip", "wait", "default"] = "skip"
    default: dict[str, Any] | None = None
    wait_at_most: Duration = hours(1)
    kind: Literal["source"] = "source"


def source_problems(source: Source) -> list[Problem]:
    """Find everything that is wrong with a source; pointers are its name."""
    return [Problem(source.name, code, words) for code, words in _found(source)]


def _found(source: Source) -> Iterator[tuple[str, str]]:
    if not fullmatch(_NAME, source.name):
        yield "bad_source_name", "a source's name is small letters, digits and _, 63 at most, as templates write it: source.product"
    yield from _of_failing(source)
    match source.origin:
        case Http() as origin:
            yield from _of_url(origin.url)
            yield from _of_headers(origin)
            yield from _of_times(origin.timeout, origin.cache)
        case Table() as origin:
            if not fullmatch(rf"({_COLUMN}\.)?{_COLUMN}", origin.table):
                yield "bad_table", "a table is named like products or shop.products"
            yield from _of_column(origin.key)
            yield from _of_times(origin.timeout, origin.cache)
        case Rows() as origin:
            yield from _of_column(origin.key)


def _of_failing(source: Source) -> Iterator[tuple[str, str]]:
    if (source.default is not None) != (source.failing == "default"):
        yield "default_and_failing", 'a default goes with failing="default", and failing="default" with a default: say both or neither'
    if source.default is not None:
        try:
            is_large = len(dumps(source.default, allow_nan=False)) > _DEFAULT_LIMIT
        except (TypeError, ValueError, RecursionError):
            yield "bad_default", "a default holds what JSON can: texts, numbers, true, false, null, lists and objects"
        else:
            if is_large:
                yield "bad_default", "a default is 64 KB at most: shorten it"
    if not 1 <= source.wait_at_most.seconds <= LONGEST_WAIT.seconds:
        yield "bad_wait", "a message waits for a source between a second and three days"


def _of_url(url: str) -> Iterator[tuple[str, str]]:
    try:
        parts = urlsplit(url)
        has_host = bool(parts.hostname) and parts.port != 0
    except ValueError:
        yield "bad_url", "the URL cannot be read: write https://api.example.com/products/{key}"
        return
    if parts.scheme not in ("http", "https") or not has_host or "@" in parts.netloc:
        yield "bad_url", "the URL begins with https:// and a host, without credentials: those go into headers"
    if url.count(KEY_MARK) != 1 or KEY_MARK not in parts.path + parts.query:
        yield "no_key_in_url", "the URL has {key} once, in its path or query: https://api.example.com/products/{key}"


def _of_headers(origin: Http) -> Iterator[tuple[str, str]]:
    for name in origin.headers:
        if not fullmatch(_HEADER, name) or name.lower() in _OUR_HEADERS:
            yield "bad_header", "headers are names of HTTP headers, such as Authorization; those of the connection itself are not yours"
            return
    if len({name.lower() for name in origin.headers}) < len(origin.headers):
        yield "header_twice", "a header is named twice: take one away"
    if origin.headers and origin.url.startswith("http://") and urlsplit(origin.url).hostname not in ("127.0.0.1", "localhost"):
        yield "secret_in_clear", "secret headers go over https only: write https://"


def _of_column(name: str) -> Iterator[tuple[str, str]]:
    if not fullmatch(_COLUMN, name):
        yield "bad_key", "the key is the name of a column: letters, digits and _"


def _of_times(timeout: Duration, cache: Duration) -> Iterator[tuple[str, str]]:
    if not 1 <= timeout.seconds <= LONGEST_TIMEOUT.seconds:
        yield "bad_timeout", "a timeout is between 1 and 5 seconds: the message waits meanwhile"
    if not 0 <= cache.seconds <= LONGEST_CACHE.seconds:
        yield "bad_cache", "an answer is remembered for a day at most"
