"""What a template may say: Jinja without globals, calls of attributes only as its sandbox allows, chosen filters, strict variables.

Read by the renderer and by its child processes; knows nothing of channels. Limits of time and memory are not here but in render_child.py:
Jinja's sandbox has none.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, tzinfo
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache
from importlib.resources import files
from io import BytesIO
from pathlib import Path
from re import fullmatch
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import StrictUndefined, pass_context
from jinja2.exceptions import SecurityError, TemplateRuntimeError, UndefinedError
from jinja2.filters import FILTERS
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import missing

from channels import template_formats
from channels.template_locales import DEFAULT_LOCALE, normal
from channels.template_lookups import UNKNOWN, Asked, Lookup, tolerant

ROOTS = frozenset({"user", "device", "entry", "captured", "visit", "links", "app", "source", "locale", "zone"})
OUTPUT_LIMIT = 1_000_000
_kept_zones: dict[str, bytes] = {}
_LARGEST_NUMBER = 2.0**63
_PRECISION = 15
_PLAIN_PLACES = 8

# Jinja's own filters whose cost is in proportion to what they are given. `safe` is not among them: values come from strangers.
_OF_JINJA = (
    *("abs", "capitalize", "escape", "e", "first", "float", "int", "items", "join", "last", "length", "count", "list", "lower"),
    *("max", "min", "replace", "reverse", "slice", "sort", "string", "striptags", "sum", "title", "tojson", "trim", "truncate"),
    *("unique", "upper", "urlencode", "wordcount"),
)


class MissingVariable(UndefinedError):
    """A variable has no value. The message is its dotted path."""


class TooLarge(TemplateRuntimeError):
    """The output, or a list that is looped over, is larger than a message can be."""


class Missing(StrictUndefined):
    """An absent or null value: an error wherever it is used, but for `default` and `is defined`. Its attributes are missing too."""

    __slots__ = ()

    def __init__(
        self, hint: str | None = None, obj: Any = missing, name: str | None = None, exc: type[TemplateRuntimeError] = MissingVariable
    ) -> None:
        super().__init__(hint or name, obj, name, MissingVariable if exc is UndefinedError else exc)

    def path(self, attribute: object) -> str:
        return f"{self._undefined_hint}.{attribute}"

    @property
    def whole_path(self) -> str:
        return str(self._undefined_hint)


class MissingKey(Missing):
    """A key by which a source was to be asked and that has no value: that is what is told, whatever was wanted of the row."""

    __slots__ = ()

    def path(self, attribute: object) -> str:  # noqa: ARG002 - the key is what is missing
        return str(self._undefined_hint)


class Named(dict[str, Any]):
    """A mapping that knows its path, so that what is missing in it can be named in full."""

    def __init__(self, path: str, values: Mapping[str, Any]) -> None:
        super().__init__(values)
        self.at_path = path


class Language(ImmutableSandboxedEnvironment):
    """The environment: attributes of mappings are always their items (`entry.items` is the list of items, not a method)."""

    # Intercepted operators are not folded while compiling either: {{ 'a' * 10**9 }} would hang there.
    intercepted_binops = frozenset({"*", "**", "%"})

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, Mapping):
            return _item(obj, attribute)
        if isinstance(obj, Missing):
            return type(obj)(obj.path(attribute))
        if obj is UNKNOWN:
            return obj
        return super().getattr(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if obj is UNKNOWN or argument is UNKNOWN:
            return UNKNOWN
        if isinstance(obj, Lookup) and isinstance(argument, Missing):
            return MissingKey(argument.whole_path)
        if isinstance(obj, Mapping):
            return _item(obj, str(argument))
        if isinstance(obj, Missing):
            return type(obj)(obj.path(argument))
        value = super().getitem(obj, argument)
        return Missing(str(argument)) if value is None else value

    def call_binop(self, _context: Any, operator: str, left: Any, right: Any) -> Any:
        """Only numbers are multiplied: text times a number is a bomb, and so is a power."""
        if left is UNKNOWN or right is UNKNOWN:
            return UNKNOWN
        if operator == "**" or not (_is_number(left) and _is_number(right)):
            raise SecurityError(f"{operator} is for numbers only, and powers are not there")
        if operator == "%":
            return left % right
        product = left * right
        if abs(product) > _LARGEST_NUMBER:
            raise SecurityError("a number is too large")
        return product


def language(*, html: bool, asks: bool = False) -> Language:
    """Make the environment for HTML (values are escaped) or for plain text; `asks` for templates that look something up in sources."""
    made = Language(autoescape=html, undefined=Missing, keep_trailing_newline=False, trim_blocks=True, lstrip_blocks=True)
    made.globals.clear()
    made.filters = {name: FILTERS[name] for name in _OF_JINJA} | _OURS
    if asks:
        made.filters = {name: tolerant(render) for name, render in made.filters.items()}
    made.tests = {name: test for name, test in made.tests.items() if name not in ("filter", "test")}
    return made


def named(variables: Mapping[str, Any], asked: set[Asked] | None = None) -> dict[str, Any]:
    """The variables as templates get them: only known roots, null roots left out. `asked` takes down what sources are asked for."""
    given = {
        root: Named(root, value) if isinstance(value, Mapping) else value
        for root, value in variables.items()
        if root in ROOTS and value is not None
    }
    return given | {"source": Lookup(given.get("source") or {}, asked)}


def filled_in(variables: Mapping[str, Any], defaults: Mapping[str, Any]) -> Mapping[str, Any]:
    """The variables with a value for each dotted name of `defaults` that is null, empty or not there. What is given is not changed."""
    for path, value in defaults.items():
        if lookup(variables, path) in (None, ""):
            variables = _with(variables, path.split("."), value)
    return variables


def _with(table: Mapping[str, Any], way: Sequence[str], value: Any) -> Mapping[str, Any]:
    name, *rest = way
    inner = table.get(name)
    if not rest:
        return {**table, name: value}
    # What stands where a table should be is the caller's, and stays.
    return {**table, name: _with(inner or {}, rest, value)} if inner in (None, "") or isinstance(inner, Mapping) else table


def lookup(variables: Mapping[str, Any], path: str) -> Any:
    """The value at a dotted path, or None."""
    value: Any = variables
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _item(mapping: Mapping[str, Any], key: str) -> Any:
    if isinstance(mapping, Lookup):
        value, path = mapping[key], mapping.path(key)
    else:
        value, path = mapping.get(key), f"{mapping.at_path}.{key}" if isinstance(mapping, Named) else key
    if value is None:
        return Missing(path)
    return Named(path, value) if type(value) is dict else value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _default(value: Any, instead: Any = "", _also_false: bool = False) -> Any:
    """Null and empty text count as missing: "Hello ," is never what an author meant."""
    return instead if isinstance(value, Missing) or value is None or value == "" else value


def _one(value: Any) -> Any:
    """The first of a list, or "" of an empty one; what is no list is itself."""
    if not isinstance(value, list | tuple):
        return value
    return "" if not value or value[0] is None else value[0]


def _many(value: Any) -> Any:
    """A list; a value that is none is a list of it, and an empty text one of nothing."""
    if isinstance(value, list | tuple | Missing):
        return value
    return [] if value is None or value == "" else [value]


def _decimals(value: Any, places: int = 2) -> str:
    """A number with so many decimals, halves rounded up: 12.5 is 12.50."""
    return str(Decimal(str(value)).quantize(Decimal(1).scaleb(-_places(places)), rounding=ROUND_HALF_UP))


def _plain(value: Any) -> str:
    """A number without needless zeros, with eight decimals at most: 7, 7.3, 2.17391304."""
    return f"{round(Decimal(str(value)), _PLAIN_PLACES):f}".rstrip("0").rstrip(".") or "0"


def _round(value: Any, places: int = 0) -> Any:
    return round(value, _places(places)) if places else round(value)


def _places(places: int) -> int:
    if not (isinstance(places, int) and 0 <= places <= _PRECISION):
        raise SecurityError("between 0 and 15 decimals")
    return places


@pass_context
def _date(context: Context, value: Any, pattern: str | None = None, locale: str | None = None) -> str:
    """An ISO 8601 date or time in words: 24 November 2026. The pattern is short, long, full, time, or strftime's, without widths."""
    if pattern is not None and fullmatch(r"(?:[^%]|%-?[a-zA-Z%]){0,100}", pattern) is None:
        raise SecurityError("a date pattern has only letters behind its percent signs")
    return template_formats.day(_moment(value), pattern, _locale(context, locale))


@pass_context
def _local(context: Context, value: Any, zone: str | None = None) -> date:
    """A moment on the clock of the person's zone, or of another. A date, or a time without an offset, is on it already."""
    moment = _moment(value)
    if not isinstance(moment, datetime) or moment.tzinfo is None:
        return moment
    return moment.astimezone(_zone(str(zone or context.get("zone") or "UTC")))


@lru_cache(maxsize=1024)
def _zone(name: str) -> tzinfo:
    return ZoneInfo.from_file(BytesIO(_kept_zones[name]), key=name) if name in _kept_zones else ZoneInfo(name)


def keep_zones() -> None:
    """Read all zones, for a process that can open no file afterwards."""
    folder = Path(str(files("tzdata"))) / "zoneinfo"
    for name in (folder.parent / "zones").read_text().split():
        _kept_zones[name] = (folder / name).read_bytes()


@pass_context
def _money(context: Context, value: Any, currency: str, locale: str | None = None) -> str:
    return template_formats.money(value, str(currency), _locale(context, locale), breaks=not context.eval_ctx.autoescape)


@pass_context
def _number(context: Context, value: Any, places: int = 0, locale: str | None = None) -> str:
    return template_formats.number(value, _places(places), _locale(context, locale), breaks=not context.eval_ctx.autoescape)


@pass_context
def _plural(context: Context, value: Any, *forms: str, locale: str | None = None, **named: str) -> str:
    """`plural("item", "items")`, or by name: one, few, many, other."""
    given = {**dict(zip(("one", "other"), forms, strict=False)), **named}
    if "other" not in given or not set(given) <= set(template_formats.FORMS) or len(forms) > 2:  # noqa: PLR2004 - those two
        raise SecurityError("plural has a form for one and a form for others, or forms named one, few, many and other")
    return str(template_formats.plural(value, given, _locale(context, locale)))


def _moment(value: Any) -> date:
    if isinstance(value, date):
        return value
    return datetime.fromisoformat(str(value))


def _locale(context: Context, given: str | None) -> str:
    return normal(str(given or context.get("locale") or "")) or DEFAULT_LOCALE


def _at_most(values: Any, limit: int) -> Any:
    if len(values) > limit:
        raise TooLarge("a list is too long to be written out")
    return values


_OURS = {
    "at_most": _at_most,
    "d": _default,
    "date": _date,
    "decimals": _decimals,
    "default": _default,
    "local": _local,
    "many": _many,
    "money": _money,
    "number": _number,
    "one": _one,
    "plain": _plain,
    "plural": _plural,
    "round": _round,
}
