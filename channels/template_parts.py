"""Which files of a template make which channel's message, and the way from a file to what Jinja reads (MJML and CSS done once)."""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from jinja2.exceptions import TemplateSyntaxError

from channels import template_voice, template_whatsapp
from channels.base import Rejected
from channels.email import labels
from channels.email.attachments import MOST, media_type
from channels.email.plain_text import plain_text
from channels.in_app import content as in_app
from channels.template_files import BadFile, Part, nested, toml
from channels.template_language import language
from channels.template_layouts import composed
from channels.template_locales import DEFAULT_LOCALE, in_locale, normal
from channels.template_tags import spans
from channels.wishes import Wish, wish_of

__all__ = ["KNOWN_FILES", "SETTINGS_FILE", "BadFile", "Part", "TemplateSettings", "channels_of", "nested", "parts", "settings"]

SETTINGS_FILE = "template.toml"
_SETTINGS = frozenset(
    {
        *("from", "reply_to", "topic", "required", "defaults", "locale", "sample", "tracking", "utm", "voice", "dlt_template_id"),
        *("headers", "tags", "attachments"),
    }
)
_DEFAULT_ROOTS = ("user", "device", "entry", "captured", "app", "source")
_SMS_FILE = "sms.txt"
# As the operators of India's DLT register it; they all give numbers.
DLT_TEMPLATE_ID = r"[0-9]{4,30}"
_FILES = {"sms": (_SMS_FILE,), "voice": (template_voice.FILE,), "whatsapp": (template_whatsapp.TEXT_FILE, template_whatsapp.TABLE_FILE)}
_TABLE_FILES = {"push": "push.toml", "in_app": "in_app.toml", "webhook": "webhook.toml", "custom": "custom.toml"}
_TABLE_PARTS = {"webhook": ("url", "body")}
_TABLE_REQUIRED = {"webhook": ("url", "body")}
_PUSH_TEXTS = ("title", "body", "url", "image", "sound", "collapse", "priority")
_PUSH_NUMBERS = ("badge", "ttl")
_PUSH_LISTS = ("optional", "providers")
PUSH_FIELDS = (*_PUSH_TEXTS, *_PUSH_NUMBERS, *_PUSH_LISTS, "silent", "data")
EMAIL_FILES = ("subject.txt", "body.mjml", "body.html", "body.txt")
KNOWN_FILES = frozenset({SETTINGS_FILE, *EMAIL_FILES, *(file for several in _FILES.values() for file in several)}) | frozenset(
    _TABLE_FILES.values()
)

_MARK = re.compile(r"<!--\s*sjx(\d+)x\s*-->|sjx(\d+)x")


@dataclass(frozen=True)
class TemplateSettings:
    """template.toml. `sender`, `reply_to` and `voice` stand as they are written; `required` and `sample` use the roots of variables.

    `wish` is what it says of tracking: `tracking = false`, or `tracking = { opens = false }`, and `[utm]`. `dlt_template_id` is under what
    number the text is registered in India. `headers` and `tags` are those of a mail; a header may have Jinja.
    `attachments` are the files of the folder that go with a mail, each with its content type. `defaults` has a value for a dotted name
    that may be missing; `locale` is the language of the files that name none.
    """

    sender: str | None = None
    reply_to: str | None = None
    topic: str | None = None
    required: tuple[str, ...] = ()
    sample: Mapping[str, Any] | None = None
    wish: Wish = field(default_factory=Wish)
    voice: Mapping[str, Any] = field(default_factory=dict)
    dlt_template_id: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    attachments: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    locale: str = DEFAULT_LOCALE


def channels_of(files: Mapping[str, str]) -> tuple[str, ...]:
    """The channels that a template has content for, sorted."""
    has = {"email"} if any(name in files for name in EMAIL_FILES) else set()
    has |= {channel for channel, file in _TABLE_FILES.items() if file in files}
    has |= {channel for channel, several in _FILES.items() if any(file in files for file in several)}
    return tuple(sorted(has))


def parts(files: Mapping[str, str], channel: str) -> list[Part]:
    """The parts of one channel, ready for Jinja, of the files without a locale. Empty where the template has none of it. Raises BadFile."""
    plain = in_locale(files, "")
    if channel not in channels_of(plain):
        return []
    read = _READERS.get(channel)
    return [_composed(part, plain) for part in (read(plain) if read else _table(plain, channel))]


def _composed(part: Part, files: Mapping[str, str]) -> Part:
    source = composed(part.file, files, part.source)
    return part if source == part.source else replace(part, source=source, is_composed=True)


def settings(files: Mapping[str, str]) -> TemplateSettings:
    """Read template.toml, or its defaults where there is none. Raises BadFile."""
    table = toml(files, SETTINGS_FILE) if SETTINGS_FILE in files else {}
    unknown = sorted(set(table) - _SETTINGS)
    if unknown:
        raise BadFile(SETTINGS_FILE, f"unknown setting {', '.join(unknown)}; known are {', '.join(sorted(_SETTINGS))}")
    required, sample, voice = table.get("required", []), table.get("sample", {}), table.get("voice", {})
    if not (isinstance(required, list) and all(isinstance(path, str) for path in required) and isinstance(sample, dict)):
        raise BadFile(SETTINGS_FILE, "required is a list of dotted names, sample a table")
    if not isinstance(voice, dict):
        raise BadFile(SETTINGS_FILE, "voice is a table with name and language")
    if not all(isinstance(table.get(name, ""), str) for name in ("from", "reply_to", "topic")):
        raise BadFile(SETTINGS_FILE, "from, reply_to and topic are texts")
    return TemplateSettings(
        sender=table.get("from"),
        reply_to=table.get("reply_to"),
        topic=table.get("topic"),
        required=tuple(required),
        sample=sample,
        wish=_wish(table),
        voice=voice,
        dlt_template_id=_dlt(table),
        headers=_labels(table, "headers", labels.MOST_HEADERS, labels.header_name, labels.header_text),
        tags=_labels(table, "tags", labels.MOST_TAGS, labels.tag_name, labels.tag_text),
        attachments=_attachments(table, files),
        defaults=_defaults(table),
        locale=_locale(table),
    )


def _locale(table: Mapping[str, Any]) -> str:
    found = table.get("locale", DEFAULT_LOCALE)
    if not isinstance(found, str) or not normal(found):
        raise BadFile(SETTINGS_FILE, "locale is the language of the files without one, like en or de-AT")
    return normal(found)


def _defaults(table: Mapping[str, Any]) -> Mapping[str, Any]:
    """Dotted names with their values, whether they were written as tables or as names in quotes."""
    found = table.get("defaults", {})
    flat = dict(_flat(found)) if isinstance(found, dict) else {}
    if not isinstance(found, dict) or any(path.partition(".")[0] not in _DEFAULT_ROOTS or "." not in path for path in flat):
        raise BadFile(SETTINGS_FILE, f"[defaults] gives values to names that begin with {', '.join(_DEFAULT_ROOTS)}, like user.first_name")
    return flat


def _flat(table: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value


def _dlt(table: Mapping[str, Any]) -> str | None:
    found = table.get("dlt_template_id")
    if found is not None and not (isinstance(found, str) and re.fullmatch(DLT_TEMPLATE_ID, found)):
        raise BadFile(SETTINGS_FILE, "dlt_template_id is the number, as a text, under which the operator in India has registered the text")
    return found


def _labels(
    table: Mapping[str, Any], what: str, most: int, named: Callable[[str], str], written: Callable[[str], str]
) -> Mapping[str, str]:
    found = table.get(what, {})
    if not isinstance(found, dict) or not all(isinstance(text, str) for text in found.values()) or len(found) > most:
        raise BadFile(SETTINGS_FILE, f"[{what}] is a table of texts, {most} at most")
    for name, text in found.items():
        try:
            named(name)
            written(text)
            labels.distinct(found)
        except ValueError as error:
            raise BadFile(SETTINGS_FILE, f"{what}.{name}: {error}"[:200]) from error
    return found


def _attachments(table: Mapping[str, Any], files: Mapping[str, str]) -> Mapping[str, str]:
    found = table.get("attachments", {})
    if not isinstance(found, dict) or not all(isinstance(kind, str) for kind in found.values()) or len(found) > MOST:
        raise BadFile(SETTINGS_FILE, f"[attachments] is a table of files with their content types, {MOST} at most")
    for name, kind in found.items():
        if name not in files or name in KNOWN_FILES:
            raise BadFile(SETTINGS_FILE, f"attachments.{name}: there is no such file beside those that make the message")
        try:
            media_type(kind)
        except Rejected as error:
            raise BadFile(SETTINGS_FILE, f"attachments.{name}: {error.answer}") from error
    return found


def _wish(table: Mapping[str, Any]) -> Wish:
    try:
        return wish_of(table.get("tracking"), table.get("utm"))
    except ValueError as error:
        raise BadFile(SETTINGS_FILE, str(error)) from error


def _sms(files: Mapping[str, str]) -> list[Part]:
    text, dlt = Part("text", _SMS_FILE, files[_SMS_FILE].strip()), settings(files).dlt_template_id
    return [text, Part("dlt_template_id", SETTINGS_FILE, dlt)] if dlt else [text]


def _voice(files: Mapping[str, str]) -> list[Part]:
    return template_voice.parts(files, SETTINGS_FILE, settings(files).voice)


def _email(files: Mapping[str, str]) -> list[Part]:
    if "subject.txt" not in files:
        raise BadFile("subject.txt", "is missing: a mail needs a subject")
    if "body.mjml" in files and "body.html" in files:
        raise BadFile("body.html", "stands beside body.mjml: keep one of them")
    found = [Part("subject", "subject.txt", files["subject.txt"].strip())]
    if "body.txt" in files:
        found.append(Part("text", "body.txt", files["body.txt"]))
    if "body.mjml" in files:
        found.append(Part("html", "body.mjml", _from_mjml(composed("body.mjml", files)), is_html=True))
    if "body.html" in files:
        found.append(Part("html", "body.html", _with_inline_css(composed("body.html", files)), is_html=True))
    if len(found) == 1:
        raise BadFile("body.txt", "is missing: a mail needs body.txt, body.mjml or body.html")
    if "body.txt" not in files:
        found += _text_of(found[-1])
    own = settings(files)
    return [
        *found,
        *(Part(f"headers.{name}", SETTINGS_FILE, text) for name, text in own.headers.items()),
        *(Part(f"tags.{name}", SETTINGS_FILE, text) for name, text in own.tags.items()),
        *_attached(files, own.attachments),
    ]


def _text_of(html: Part) -> list[Part]:
    """The plain text of a mail that has only HTML. Where Jinja stands so that it cannot be taken out of the tags, there is none."""
    hidden, kept = _hide_jinja(html.source)
    text = _show_jinja(plain_text(hidden), kept)
    try:
        language(html=False).parse(text)
    except TemplateSyntaxError:
        return []
    return [Part("text", html.file, text, is_composed=True)] if text else []


def _attached(files: Mapping[str, str], attachments: Mapping[str, str]) -> Iterator[Part]:
    """Three for each, under its number, since a name has a dot."""
    for number, (name, kind) in enumerate(attachments.items()):
        yield Part(f"attachments.{number}.name", SETTINGS_FILE, name)
        yield Part(f"attachments.{number}.type", SETTINGS_FILE, kind)
        yield Part(f"attachments.{number}.text", name, files[name])


def _table(files: Mapping[str, str], channel: str) -> list[Part]:
    file = _TABLE_FILES[channel]
    table = toml(files, file)
    if channel == "in_app":
        return _in_app(table, file)
    if channel == "custom":
        return _custom(table, file)
    unknown = sorted(set(table) - set(_TABLE_PARTS[channel]))
    if unknown:
        raise BadFile(file, f"unknown field {', '.join(unknown)}; known are {', '.join(_TABLE_PARTS[channel])}")
    absent = [name for name in _TABLE_REQUIRED[channel] if not isinstance(table.get(name), str)]
    if absent or not all(isinstance(text, str) for text in table.values()):
        raise BadFile(file, f"needs texts for {', '.join(_TABLE_REQUIRED[channel])}")
    return [Part(name, file, table[name].strip()) for name in _TABLE_PARTS[channel] if name in table]


def _push(files: Mapping[str, str]) -> list[Part]:
    """Numbers may be written as such or as Jinja; each member of `data` is a part, called data.<key>; lists are joined by commas."""
    file = _TABLE_FILES["push"]
    table = toml(files, file)
    if unknown := sorted(set(table) - set(PUSH_FIELDS)):
        raise BadFile(file, f"unknown field {', '.join(unknown)}; known are {', '.join(PUSH_FIELDS)}")
    if not table.get("silent") and not {"title", "body"} <= set(table):
        raise BadFile(file, "needs texts for title, body, unless it is silent")
    data = table.pop("data", {})
    if not isinstance(data, dict) or not all(isinstance(value, str) for value in data.values()):
        raise BadFile(file, "data is a table of texts")
    sources = {name: _push_source(file, name, value) for name, value in table.items()} | {f"data.{key}": data[key] for key in data}
    return [Part(name, file, source) for name, source in sources.items() if source]


def _push_source(file: str, name: str, value: object) -> str:
    match value:
        case bool() if name == "silent":
            return "true" if value else ""
        case str() if name in _PUSH_TEXTS or name in _PUSH_NUMBERS:
            return value.strip()
        case int() if name in _PUSH_NUMBERS and not isinstance(value, bool):
            return str(value)
        case list() if name in _PUSH_LISTS and all(isinstance(each, str) for each in value):
            return ",".join(value)
    kind = "true or false" if name == "silent" else "a list of names" if name in _PUSH_LISTS else "a text"
    raise BadFile(file, f"{name} is {kind}{' or a number' if name in _PUSH_NUMBERS else ''}")


def _in_app(table: Mapping[str, Any], file: str) -> list[Part]:
    try:
        return [Part(name, file, source) for name, source in in_app.sources(table)]
    except ValueError as error:
        raise BadFile(file, str(error)) from error


def _custom(table: Mapping[str, Any], file: str) -> list[Part]:
    """`function` stands as it is written; each of its fields is a part, called fields.<name>."""
    function, fields = table.get("function"), table.get("fields", {})
    if not isinstance(function, str) or not function.isidentifier() or not set(table) <= {"function", "fields"}:
        raise BadFile(file, "names the registered function in `function`, and what it is given in [fields]; there is nothing else")
    if not isinstance(fields, dict) or not all(isinstance(text, str) for text in fields.values()):
        raise BadFile(file, "fields is a table of texts")
    return [Part("function", file, function), *(Part(f"fields.{name}", file, text.strip()) for name, text in fields.items())]


def function_of(files: Mapping[str, str]) -> str | None:
    """The registered function that delivers this template on the custom channel; None where it has none, or cannot be read."""
    try:
        return next((part.source for part in parts(files, "custom") if part.name == "function"), None)
    except BadFile:
        return None


def _from_mjml(source: str) -> str:
    import mrml  # noqa: PLC0415 - only the process that reads templates needs it

    hidden, kept = _hide_jinja(source)
    try:
        return _show_jinja(mrml.to_html(hidden).content, kept)
    except OSError as error:
        raise BadFile("body.mjml", f"is not MJML: {error}"[:200]) from error


def _with_inline_css(source: str) -> str:
    if "<style" not in source:
        return source
    import css_inline  # noqa: PLC0415 - as mrml

    hidden, kept = _hide_jinja(source)
    try:
        return _show_jinja(css_inline.inline(hidden, load_remote_stylesheets=False, keep_at_rules=True), kept)
    except css_inline.InlineError as error:
        raise BadFile("body.html", f"has styles that cannot be read: {error}"[:200]) from error


def _hide_jinja(source: str) -> tuple[str, list[str]]:
    """Put marks where Jinja stands. Parsers of HTML move text out of tables and escape quotes in attributes; marks survive both.

    A block between two tags becomes a comment, which may stand anywhere; one within text stays text, because some elements drop comments.
    """
    found = list(spans(source))
    # A comparison in Jinja is no angle of HTML, and a value counts as text.
    markup = _replaced(source, found, [("x" if source.startswith("{{", start) else " ") * (end - start) for start, end in found])
    between = _between_tags(markup)
    marks = [
        f"<!--sjx{number}x-->" if not source.startswith("{{", start) and between(start) else f"sjx{number}x"
        for number, (start, end) in enumerate(found)
    ]
    return _replaced(source, found, marks), [source[start:end] for start, end in found]


def _replaced(text: str, found: Sequence[tuple[int, int]], instead: Sequence[str]) -> str:
    pieces, at = [], 0
    for (start, end), put in zip(found, instead, strict=True):
        pieces += [text[at:start], put]
        at = end
    return "".join(pieces) + text[at:]


def _between_tags(markup: str) -> Callable[[int], bool]:
    """Tells of a place that is space whether all the space around it lies between two tags of HTML."""
    runs = [found.span() for found in re.finditer(r"\s+", markup)]
    starts = [start for start, _ in runs]

    def is_between(place: int) -> bool:
        start, end = runs[bisect_right(starts, place) - 1]
        return markup[start - 1 : start] in ("", ">") and markup[end : end + 1] in ("", "<")

    return is_between


def _show_jinja(source: str, kept: list[str]) -> str:
    return _MARK.sub(lambda found: kept[int(found[1] or found[2])], source)


_READERS: Mapping[str, Callable[[Mapping[str, str]], list[Part]]] = {
    "email": _email,
    "push": _push,
    "sms": _sms,
    "voice": _voice,
    "whatsapp": template_whatsapp.parts,
}
