"""Amazon Pinpoint's Handlebars as Jinja. What has no translation is told with its line, and stands as a comment where it was.

Pinpoint's values are texts, and one that is missing prints nothing: so the Jinja gives each a default, and reads numbers out of texts.
Its attributes are lists of texts, of which one that is printed without a number is the first: here they may be lists or single values.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

_TAG = re.compile(
    r"\{\{\{(?P<raw>.*?)\}\}\}|\{\{~?!--.*?--~?\}\}|\{\{~?!.*?\}\}|\{\{(?P<left>~?)(?P<sign>[#^/>&]?)(?P<said>.*?)(?P<right>~?)\}\}",
    re.DOTALL,
)
_WORD = re.compile(
    r"""\s*(?:(?P<open>\()|(?P<close>\))|(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(?P<number>-?[0-9]+(?:\.[0-9]+)?)(?=[\s)]|$)
    |(?P<key>[A-Za-z_]\w*)=|(?P<path>(?:\.\./)*(?:@?[A-Za-z_][\w-]*|\[[^\]]*\]|\.)(?:[./](?:[\w-]+|\[[^\]]*\]))*))""",
    re.VERBOSE,
)
_STEP = re.compile(r"\[([^\]]*)\]|([^./\[\]]+)")
_IDENTIFIER = re.compile(r"[A-Za-z_]\w*")

_HELD = {"User.UserAttributes": ("user",), "Attributes": ("device", "attributes"), "Metrics": ("device", "metrics")}
_OF_DEVICE = {
    "AppVersion": "app_version",
    "Make": "manufacturer",
    "Model": "model",
    "ModelVersion": "model_version",
    "Platform": "os",
    "PlatformVersion": "os_version",
}
_PLACES = {f"Location.{name}": f"user.location.{name.lower()}" for name in ("City", "Country", "Region", "Latitude", "Longitude")}
_SINGLE = {
    "User.UserId": "user.user_id",
    "Demographic.Locale": "locale",
    "Demographic.Timezone": "zone",
    "Location.PostalCode": "user.location.postal_code",
    **_PLACES,
    **{f"Demographic.{theirs}": f"device.{ours}" for theirs, ours in _OF_DEVICE.items()},
}
_WITHOUT_PLACE = {
    **dict.fromkeys(
        ("Address", "ChannelType", "CreationDate", "EffectiveDate", "EndpointStatus", "Id", "OptOut", "RequestId"), "endpoints"
    ),
    **dict.fromkeys(("Demographic", "Location", "User"), "endpoints"),
    **dict.fromkeys(("Recommendations", "RecommendationItems"), "recommendations"),
}
_COMPARED = {"eq": "==", "neq": "!=", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_CALCULATED = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/", "modulo": "%"}
_FILTERED = {"upper": "upper", "lower": "lower", "capitalize": "title", "capitalizeFirst": "capitalize", "stripTags": "striptags"}
_STYLES = {"full": "full", "long": "long", "medium": "long", "short": "short"}
_PATTERN = re.compile(r"'([^']*)'|([A-Za-z])\2*|[^A-Za-z']+")
_LETTERS = {
    "yyyy": "%Y",
    "yy": "%y",
    "MMMM": "%B",
    "MMM": "%b",
    "MM": "%m",
    "M": "%-m",
    "dd": "%d",
    "d": "%-d",
    "EEEE": "%A",
    "EEE": "%a",
    "E": "%a",
    "HH": "%H",
    "H": "%-H",
    "hh": "%I",
    "h": "%-I",
    "mm": "%M",
    "ss": "%S",
    "a": "%p",
}


class _Untranslatable(Exception):
    """The message says what has no translation, and what to write instead."""


@dataclass(frozen=True)
class Untranslated:
    """A place that somebody must look at. `line` counts from 1."""

    line: int
    message: str


@dataclass
class Translated:
    """The Jinja, what could not be translated, and what reads differently."""

    text: str
    untranslated: list[Untranslated] = field(default_factory=list)


@dataclass(frozen=True)
class _Call:
    """A path with its arguments; without any it may be a value."""

    path: str
    args: "tuple[_Value, ...]" = ()
    named: "Mapping[str, _Value]" = field(default_factory=dict)


@dataclass(frozen=True)
class _Literal:
    value: str | float | int | bool


_Value = _Call | _Literal


def translated(source: str, defaults: Mapping[str, object] | None = None) -> Translated:
    """Translate one text. `defaults` has a value for Jinja's paths (user.first_name) that need none in the text."""
    return _Translator(defaults or {}).translated(source)


def path_of(name: str) -> str:
    """Pinpoint's name of a variable as the dotted path that it has here. Raises ValueError where it has none."""
    try:
        return ".".join(_way(name))
    except _Untranslatable as error:
        raise ValueError(str(error)) from error


class _Translator:
    """Knows the blocks it is in: what ends them, and the name that `this` has."""

    def __init__(self, defaults: Mapping[str, object]) -> None:
        self._defaults = defaults
        self._blocks: list[tuple[str, str]] = []
        self._items: list[str] = []

    def translated(self, source: str) -> Translated:
        made, pieces, at = Translated(""), list[str](), 0
        for tag in _TAG.finditer(source):
            pieces.append(_plain(source[at : tag.start()]))
            try:
                pieces.append(self._tag(tag))
            except _Untranslatable as error:
                made.untranslated.append(Untranslated(source.count("\n", 0, tag.start()) + 1, str(error)))
                pieces.append(_comment(tag[0]))
            at = tag.end()
        for name, _ in self._blocks:
            made.untranslated.append(Untranslated(source.count("\n") + 1, f"{{{{#{name}}}}} is never ended: add {{{{/{name}}}}}"))
        made.text = "".join([*pieces, _plain(source[at:])])
        return made

    def _tag(self, tag: re.Match[str]) -> str:  # noqa: PLR0911 - one return for each sign of Handlebars
        if tag["raw"] is not None:
            return self._shown(_parsed(tag["raw"]))
        if tag["said"] is None:
            return ""
        said, left, right = tag["said"].strip(), "-" * bool(tag["left"]), "-" * bool(tag["right"])
        match tag["sign"]:
            case "#":
                return self._opened(said, left, right)
            case "/":
                return self._ended(said, left, right)
            case "^":
                return self._inverted(said, left, right)
            case ">":
                raise _Untranslatable("partials are files here: put it into journeys/templates/_partials/ and include it")
            case _ if said == "else":
                return self._otherwise(left, right)
            case _:
                return self._shown(_parsed(said), left, right)

    def _opened(self, said: str, left: str, right: str) -> str:
        name, _, rest = said.partition(" ")
        try:
            begun, end = self._block(name, rest)
        except _Untranslatable:
            # What is inside is translated all the same, and its end is no fault of its own.
            self._blocks.append((name, ""))
            raise
        self._blocks.append((name, end))
        return f"{{%{left} {begun} {right}%}}"

    def _block(self, name: str, rest: str) -> tuple[str, str]:
        match name:
            case "if":
                return f"if {self._truth(_only(rest, name))}", "endif"
            case "unless":
                return f"if not ({self._truth(_only(rest, name))})", "endif"
            case "each":
                items = self._path(_only(rest, name), "[]")
                self._items.append(f"item{len(self._items) or ''}")
                return f"for {self._items[-1]} in {items}", "endfor"
            case _ if name in {*_COMPARED, "and", "or", "not"}:
                return f"if {self._truth(_parsed(f'{name} {rest}'))}", "endif"
            case "*inline":
                raise _Untranslatable("partials within a template are files here: put it into journeys/templates/_partials/")
            case _:
                raise _Untranslatable(f"there is no block {name}: write it as if or for")

    def _ended(self, name: str, left: str, right: str) -> str:
        if not self._blocks or self._blocks[-1][0].lstrip("*") != name:
            raise _Untranslatable(f"{{{{/{name}}}}} ends nothing that was begun: take it out")
        begun, end = self._blocks.pop()
        if begun == "each" and end:
            self._items.pop()
        return f"{{%{left} {end} {right}%}}" if end else ""

    def _inverted(self, said: str, left: str, right: str) -> str:
        if not said:
            return self._otherwise(left, right)
        self._blocks.append((said, "endif"))
        return f"{{%{left} if not ({self._truth(_parsed(said))}) {right}%}}"

    def _otherwise(self, left: str, right: str) -> str:
        if not self._blocks:
            raise _Untranslatable("{{else}} stands in no block: take it out")
        return f"{{%{left} else {right}%}}" if self._blocks[-1][1] else ""

    def _shown(self, value: _Value, left: str = "", right: str = "") -> str:
        said = self._text(value)
        if isinstance(value, _Call) and value.path in {*_CALCULATED, "floor", "ceiling", "round"}:
            said = f"({said}) | plain"
        return f"{{{{{left} {said} {right}}}}}"

    def _text(self, value: _Value) -> str:
        """An expression that may be printed."""
        match value:
            case _Literal(literal):
                return _written(literal)
            case _Call(path) if not value.args and not value.named:
                return self._path(value, "")
            case _Call(path, args, named) if path in {*_COMPARED, "and", "or", "not", "yesno"}:
                of = _Call(path, args) if path != "yesno" else _first(value)
                yes, no = (self._text(named.get(name, _Literal(word))) for name, word in _ANSWERS[path == "yesno"])
                return f"{yes} if {self._truth(of)} else {no}"
            case _Call():
                return _helper(value)(self, value)

    def _truth(self, value: _Value) -> str:
        match value:
            case _Call(path, args) if path in _COMPARED:
                kind = self._said if path in ("eq", "neq") else self._number
                one, other = (kind(each) for each in _so_many(value, 2))
                return f"{one} {_COMPARED[path]} {other}"
            case _Call("and" | "or", args) if len(args) > 1:
                return f" {value.path} ".join(f"({self._truth(each)})" for each in args)
            case _Call("not"):
                return f"not ({self._truth(_first(value))})"
            case _:
                return self._text(value)

    def _said(self, value: _Value) -> str:
        """As a text, because Pinpoint's attributes are texts."""
        return json.dumps(str(value.value), ensure_ascii=False) if isinstance(value, _Literal) else f"({self._text(value)}) | string"

    def _number(self, value: _Value) -> str:
        match value:
            case _Literal(str() as said):
                return f"({_written(said)} | float)"
            case _Literal(number):
                return _written(number)
            case _Call() if value.args:
                return f"({self._text(value)})"
            case _:
                return f"({self._path(value, 0)} | float)"

    def _path(self, value: _Value, instead: str | int) -> str:
        """A variable with its default. Inside of {{#each}} `this` is the item, and names without a root are its members."""
        if not isinstance(value, _Call) or value.args or value.named:
            raise _Untranslatable("a value must stand here, and no helper: write it in Jinja")
        path = value.path
        if path.startswith("@"):
            return self._of_loop(path)
        up = path.count("../")
        way = path[3 * up :]
        if up < len(self._items) and _root(way) is None:
            item = self._items[len(self._items) - 1 - up]
            steps = [] if way in ("this", ".") else _steps(way.removeprefix("this.").removeprefix("this/"))
            return _with_default([item, *steps], instead) if steps else item
        steps = _way(way)
        said = _joined(steps)
        if said in ("locale", "zone"):
            return said
        return (said if ".".join(steps) in self._defaults else _with_default(steps, instead)) + _taken_as(steps, instead)

    def _of_loop(self, path: str) -> str:
        known = {"@index": "loop.index0", "@first": "loop.first", "@last": "loop.last"}
        if not self._items or path not in known:
            raise _Untranslatable(f"there is no {path}: in a loop there are loop.index, loop.first and loop.last")
        return known[path]

    def dated(self, call: _Call) -> str:
        """dateFormat; a date that is missing prints nothing."""
        value = self._path(_first(call), "")
        given = {name: each.value for name, each in call.named.items() if isinstance(each, _Literal)}
        if not str(given.get("inputFormat", "yyyy-MM-dd")).startswith("yyyy-MM-dd"):
            raise _Untranslatable("dates are read as ISO 8601 (2026-11-24) only: give the attribute so")
        wanted = str(given.get("outputFormat", "medium"))
        style = _STYLES.get(wanted) or _strftime(wanted)
        zone = f' | local("{given["tz"]}")' if "tz" in given else ""
        return f'({value}{zone} | date({json.dumps(style)})) if {value} else ""'

    def filtered(self, call: _Call) -> str:
        return f"({self._text(_first(call))}) | {_FILTERED[call.path]}"

    def calculated(self, call: _Call) -> str:
        one, other = (self._number(each) for each in _so_many(call, 2))
        return f"{one} {_CALCULATED[call.path]} {other}"

    def rounded(self, call: _Call) -> str:
        number = self._number(_first(call))
        return {"round": f"{number} | round", "floor": f"{number} // 1", "ceiling": f"-(-{number} // 1)"}[call.path]

    def cut_short(self, call: _Call) -> str:
        text, width = _so_many(call, 2)
        return f'({self._text(text)}) | truncate({self._text(width)}, true, "...", 0)'

    def part(self, call: _Call) -> str:
        text, *ends = call.args
        if not 1 <= len(ends) <= 2:  # noqa: PLR2004 - where it begins, and where it ends
            raise _Untranslatable("substring has a beginning and perhaps an end")
        return f"({self._text(text)})[{':'.join(self._text(end) for end in ends)}{':' * (len(ends) == 1)}]"

    def replaced(self, call: _Call) -> str:
        text, *what = _so_many(call, 2 if call.path == "cut" else 3)
        old, new = (*what, _Literal(""))[:2]
        return f"({self._text(text)}) | replace({self._text(old)}, {self._text(new)})"

    def joined(self, call: _Call) -> str:
        items, between = _so_many(call, 2)
        return f"{self._path(items, '[]')} | join({self._text(between)})"


_ANSWERS = {True: (("yes", "yes"), ("no", "no")), False: (("yes", "true"), ("no", "false"))}
_HELPERS: Mapping[str, Callable[[_Translator, _Call], str]] = {
    **dict.fromkeys(_FILTERED, _Translator.filtered),
    **dict.fromkeys(_CALCULATED, _Translator.calculated),
    **dict.fromkeys(("round", "floor", "ceiling"), _Translator.rounded),
    **dict.fromkeys(("replace", "cut"), _Translator.replaced),
    "abbreviate": _Translator.cut_short,
    "dateFormat": _Translator.dated,
    "join": _Translator.joined,
    "substring": _Translator.part,
}


def _helper(call: _Call) -> Callable[[_Translator, _Call], str]:
    if call.path not in _HELPERS:
        raise _Untranslatable(f"there is no helper {call.path}: give the value itself with the user or the event")
    return _HELPERS[call.path]


def _so_many(call: _Call, count: int) -> Sequence[_Value]:
    if len(call.args) != count:
        raise _Untranslatable(f"{call.path} has {count} arguments")
    return call.args


def _first(call: _Call) -> _Value:
    if not call.args:
        raise _Untranslatable(f"{call.path} has an argument")
    return call.args[0]


def _only(said: str, name: str) -> _Value:
    if not said.strip():
        raise _Untranslatable(f"{name} has an argument")
    return _parsed(said)


def _parsed(said: str) -> _Value:
    words = list(_words(said))
    value, rest = _sequence(words)
    if rest:
        raise _Untranslatable("its brackets do not match: mend them")
    return value


def _words(said: str) -> Iterator[tuple[str, str]]:
    at = 0
    said = said.strip()
    while at < len(said):
        found = _WORD.match(said, at)
        if found is None:
            raise _Untranslatable("it cannot be read: write it in Jinja")
        yield str(found.lastgroup), found[str(found.lastgroup)]
        at = found.end()
        at += len(said[at:]) - len(said[at:].lstrip())


def _sequence(words: list[tuple[str, str]]) -> tuple[_Value, list[tuple[str, str]]]:
    """A value, or a helper with its arguments, up to a closing bracket or the end."""
    head, rest = _value(words)
    args: list[_Value] = []
    named: dict[str, _Value] = {}
    while rest and rest[0][0] != "close":
        key = rest[0][1] if rest[0][0] == "key" else None
        value, rest = _value(rest[1:] if key else rest)
        if key:
            named[key] = value
        else:
            args.append(value)
    if not args and not named:
        return head, rest
    if not isinstance(head, _Call) or head.args:
        raise _Untranslatable("it cannot be read: write it in Jinja")
    return _Call(head.path, tuple(args), named), rest


def _value(words: list[tuple[str, str]]) -> tuple[_Value, list[tuple[str, str]]]:
    if not words:
        raise _Untranslatable("it is empty or unfinished: take it out, or mend it")
    (kind, said), rest = words[0], words[1:]
    match kind:
        case "open":
            value, rest = _sequence(rest)
            if not rest:
                raise _Untranslatable("its brackets do not match: mend them")
            return value, rest[1:]
        case "text":
            return _Literal(re.sub(r"\\(.)", r"\1", said[1:-1])), rest
        case "number":
            return _Literal(float(said) if "." in said else int(said)), rest
        case "path" if said in ("true", "false"):
            return _Literal(said == "true"), rest
        case "path":
            return _Call(said), rest
        case _:
            raise _Untranslatable("it cannot be read: write it in Jinja")


def _steps(path: str) -> list[str]:
    return [inner if inner is not None else step for inner, step in ((found[1], found[2]) for found in _STEP.finditer(path))]


def _root(path: str) -> str | None:
    """Pinpoint's own name at the beginning of a path, or None for one of the author's."""
    first = _steps(path)[:1]
    return first[0] if first and first[0] in {*_WITHOUT_PLACE, "Attributes", "Metrics"} else None


def _way(path: str) -> list[str]:
    """Names from the root on. An endpoint's attributes and metrics are the device's here; names of the author's own come with the event."""
    steps = _steps(path)
    for prefix, root in _HELD.items():
        before = prefix.split(".")
        if steps[: len(before)] == before and len(steps) > len(before):
            return [*root, *steps[len(before) :]]
    dotted = ".".join(steps)
    if dotted in _SINGLE:
        return _SINGLE[dotted].split(".")
    match _WITHOUT_PLACE.get(steps[0] if steps else ""):
        case "endpoints":
            raise _Untranslatable(f"{dotted} is of an endpoint, which templates do not see: keep it as an attribute of the user")
        case "recommendations":
            raise _Untranslatable(f"{dotted} came from a recommender: ask a source for it, as source.NAME[user.user_id]")
        case _:
            return ["entry", *steps]


def _joined(steps: Sequence[str]) -> str:
    first, *rest = steps
    return first + "".join(
        f".{step}" if _IDENTIFIER.fullmatch(step) else f"[{step if step.isdigit() else json.dumps(step)}]" for step in rest
    )


def _with_default(steps: Sequence[str], instead: str | int) -> str:
    """A number in a path picks of a list, which may be missing itself."""
    number = _number_in(steps)
    said = _joined(steps)
    if number is not None:
        said = f"({_joined(steps[:number])} | default([]){_taken_as(steps[:number], '[]')}){_joined(['', *steps[number:]])}"
    return f"{said} | default({instead if instead == '[]' else json.dumps(instead)})"


def _taken_as(steps: Sequence[str], instead: str | int) -> str:
    """An attribute is a list, also where a single value was kept; printed it is the first of it."""
    match steps:
        case ["user", name, *_]:
            is_attribute = name not in ("user_id", "location")
        case _:
            is_attribute = list(steps[:2]) == ["device", "attributes"]
    if not is_attribute or _number_in(steps) is not None:
        return ""
    return " | many" if instead == "[]" else " | one"


def _number_in(steps: Sequence[str]) -> int | None:
    return next((at for at, step in enumerate(steps) if step.isdigit()), None)


def _written(literal: str | float | bool) -> str:
    return json.dumps(literal, ensure_ascii=False)


def _strftime(pattern: str) -> str:
    said = ""
    for found in _PATTERN.finditer(pattern):
        if found[2] and found[0] not in _LETTERS:
            raise _Untranslatable(f"the date pattern has {found[0]}, which strftime lacks: write a pattern of strftime")
        said += _LETTERS[found[0]] if found[2] else (found[1] if found[1] is not None else found[0]).replace("%", "%%")
    return said


def _plain(text: str) -> str:
    """Text as Jinja prints it."""
    return re.sub(r"\{[{%#]|\{\Z", lambda found: f'{{{{ "{found[0]}" }}}}', text)


def _comment(said: str) -> str:
    return f"{{# not translated: {said.replace('#}', '# }')} #}}"
