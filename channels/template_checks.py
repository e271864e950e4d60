"""What is wrong with a template, found by reading it and by filling in its sample. Runs in a child process for templates of strangers."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from jinja2 import nodes
from jinja2.exceptions import TemplateSyntaxError

from channels import template_language, template_layouts, template_locales, template_parts, template_whatsapp
from channels.template_language import Language, MissingVariable
from channels.template_parts import BadFile, Part, TemplateSettings
from channels.template_variables import Mention, mentions, source_of
from channels.template_writing import written
from channels.voice.speech import BadSsml, spoken

# Given with every message. links.unsubscribe only with marketing mail, where it must be shown, so it needs no default.
_ALWAYS_THERE = frozenset({"visit", "app.name", "user.user_id", "links.unsubscribe", "links.preferences", "locale", "zone"})
_WRITTEN_TOGETHER = (template_parts.EMAIL_FILES, (template_whatsapp.TEXT_FILE, template_whatsapp.TABLE_FILE))
_PLAIN_ROOTS = frozenset({"visit", "zone", "locale"})
_STANDING = {
    "app": {"name": "Sojourn"},
    "links": {"unsubscribe": "https://example.org/unsubscribe", "preferences": "https://example.org/preferences"},
    "visit": 1,
    "user": {"user_id": "sample"},
}


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong: the file, a stable code, and words with the remedy."""

    file: str
    code: str
    message: str

    def as_row(self) -> dict[str, str]:
        return asdict(self)


def findings(files: Mapping[str, str]) -> list[Finding]:
    """Everything that is wrong with a template, in the order of languages, files and lines."""
    try:
        settings = template_parts.settings(files)
    except BadFile as error:
        return [*_unknown(files, ()), Finding(error.file, "bad_file", str(error))]
    found = [*_unknown(files, settings.attachments), *_of_shared(files), *_of_variants(files)]
    channels = template_parts.channels_of(files)
    if not channels:
        found.append(
            Finding(template_parts.SETTINGS_FILE, "no_content", "no channel has content: add subject.txt and body.txt, or sms.txt, ...")
        )
    used: set[str] = set()
    for locale in _locales(files):
        named = template_locales.chosen(files, locale)
        for channel in channels:
            of_channel = _of_channel(template_locales.in_locale(files, locale), channel, settings, used, locale)
            found += [replace(each, file=named.get(each.file, each.file)) for each in of_channel]
    return list(dict.fromkeys(found)) + list(_unused(settings, used))


def sources_of(files: Mapping[str, str]) -> list[str]:
    """The sources that a template without findings asks, sorted."""
    asked = {
        source_of(mention.path)
        for locale in _locales(files)
        for channel in template_parts.channels_of(files)
        for part in template_parts.parts(template_locales.in_locale(files, locale), channel)
        for mention in _mentions(part)
    }
    return sorted(filter(None, asked))


def shows_unsubscribe(files: Mapping[str, str]) -> bool:
    """Tell whether every body of the mail shows links.unsubscribe, as marketing mail must. Raises BadFile, TemplateSyntaxError."""
    mails = [template_parts.parts(template_locales.in_locale(files, locale), "email") for locale in _locales(files)]
    bodies = [part for mail in mails for part in mail if part.name in ("text", "html")]
    return all(any(mention.path == "links.unsubscribe" for mention in _mentions(part)) for part in bodies)


def required_of(files: Mapping[str, str], channel: str) -> list[str]:
    """What of `required` the message on one channel is not made without, in some language. Raises BadFile, TemplateSyntaxError."""
    needed = {
        mention.path
        for locale in _locales(files)
        for part in template_parts.parts(template_locales.in_locale(files, locale), channel)
        for mention in _mentions(part)
        if not mention.is_covered
    }
    return [path for path in template_parts.settings(files).required if path in needed]


def _locales(files: Mapping[str, str]) -> list[str]:
    return ["", *sorted(template_locales.locales_of(tuple(files)))]


def _of_shared(files: Mapping[str, str]) -> Iterator[Finding]:
    """A fault in a layout or partial is told with its own line, once."""
    for file in sorted(filter(template_layouts.is_shared, files)):
        try:
            template_language.language(html=False).parse(files[file])
        except TemplateSyntaxError as error:
            yield Finding(file, "syntax", f"line {error.lineno}: {error.message}")


def _of_variants(files: Mapping[str, str]) -> Iterator[Finding]:
    for file in sorted(files):
        if template_locales.plain(file) not in files:
            plain = template_locales.plain(file)
            yield Finding(file, "no_default_file", f"{file} has no {plain} beside it, which everybody else would get: add it")
    for locale in _locales(files)[1:]:
        named = template_locales.chosen(files, locale)
        for group in _WRITTEN_TOGETHER:
            written = [file for file in group if file in named]
            missing = [file for file in written if named[file] == file]
            if missing and len(missing) < len(written):
                stem, _, ending = missing[0].rpartition(".")
                words = f"in {locale} this file would stay in the other language: add {stem}.{locale}.{ending}"
                yield Finding(missing[0], "mixed_languages", words)


def push_sample(files: Mapping[str, str]) -> dict[str, str]:
    """What the fields of a push come to with the sample; empty where there is no push, or something is wrong that `findings` tells."""
    try:
        parts, settings = template_parts.parts(files, "push"), template_parts.settings(files)
        if any(_of_channel(template_locales.in_locale(files, ""), "push", settings, set(), "")):
            return {}
    except BadFile:
        return {}
    variables = template_language.named(_with_sample(settings))
    return {part.name: written(template_language.language(html=False).from_string(part.source), variables) for part in parts}


def _of_channel(files: Mapping[str, str], channel: str, settings: TemplateSettings, used: set[str], locale: str) -> list[Finding]:
    try:
        parts = template_parts.parts(files, channel)
    except BadFile as error:
        return [Finding(error.file, "bad_file", str(error))]
    found: list[Finding] = []
    for part in parts:
        found += _of_part(part, settings, used)
    return found or list(_of_sample(parts, settings, locale))


def _of_part(part: Part, settings: TemplateSettings, used: set[str]) -> Iterator[Finding]:
    if part.name == "subject" and "\n" in part.source:
        yield Finding(part.file, "subject_lines", "a subject is one line: join them")
    language = template_language.language(html=part.is_html)
    try:
        tree = language.parse(part.source)
        unknown = list(_unknown_words(language, tree))
        seen = mentions(tree)
    except TemplateSyntaxError as error:
        yield Finding(part.file, "syntax", f"{_line(part, error.lineno)}{error.message}")
        return
    for line, word in unknown:
        yield Finding(part.file, "syntax", f"{_line(part, line)}{word}")
    for mention in seen:
        used.add(mention.path)
        yield from _of_mention(part, mention, settings)


def _unknown_words(language: Language, tree: nodes.Template) -> Iterator[tuple[int, str]]:
    """Filters and tests that are not there; Jinja itself finds those behind an `if` only when it gets there."""
    for node in tree.find_all((nodes.Filter, nodes.Test)):
        known = language.filters if isinstance(node, nodes.Filter) else language.tests
        if isinstance(node, nodes.Filter | nodes.Test) and node.name not in known:
            kind = type(node).__name__.lower()
            yield node.lineno, f"there is no {kind} {node.name}; there are {', '.join(sorted(known))}"


def _of_mention(part: Part, mention: Mention, settings: TemplateSettings) -> Iterator[Finding]:
    where = _line(part, mention.line)
    root = mention.path.partition(".")[0].removesuffix("[]")
    if root not in template_language.ROOTS:
        known = ", ".join(sorted(template_language.ROOTS))
        yield Finding(part.file, "unknown_variable", f"{where}there is no variable {mention.path}; they begin with {known}")
    elif (source := source_of(mention.path)) is not None:
        # What becomes of a row that is not there, the source says (`failing`), or a default of the template's.
        if not source:
            words = "a source is named, and asked for a key: {{ source.product[entry.product_id].name }}"
            yield Finding(part.file, "unnamed_source", f"{where}{words}")
    elif not (mention.is_covered or mention.path in _ALWAYS_THERE or _is_sure(mention.path, settings)):
        remedy = f"write {{{{ {mention.path} | default(...) }}}}"
        if "[]" not in mention.path:
            remedy += " or name it under required or defaults in template.toml"
        yield Finding(part.file, "no_default", f"{where}{mention.path} may be missing: {remedy}")


def _of_sample(parts: list[Part], settings: TemplateSettings, locale: str) -> Iterator[Finding]:
    """Fill in the sample, as a reader of a preview would."""
    variables = template_language.named(_with_sample(settings, locale))
    for part in parts:
        try:
            said = written(template_language.language(html=part.is_html).from_string(part.source), variables)
        except MissingVariable as error:
            yield Finding(part.file, "sample_missing", f"{error} is not in the sample: add it under [sample] in template.toml")
        except Exception as error:  # noqa: BLE001 - whatever the author's expression raises for the author's sample is to be told
            yield Finding(part.file, "sample_fails", f"cannot be filled in with the sample: {type(error).__name__}: {error}"[:300])
        else:
            yield from _of_speech(part, said)


def _of_speech(part: Part, said: str) -> Iterator[Finding]:
    if part.name != "ssml":
        return
    try:
        spoken(said)
    except BadSsml as error:
        yield Finding(part.file, "bad_ssml", f"the SSML cannot be spoken with the sample: {error}")


def samples_of(files: Mapping[str, str], channel: str) -> Iterator[tuple[dict[str, str], dict[str, str]]]:
    """For a template without findings, and each of its languages: the parts of a channel filled in with the sample, and their files."""
    settings = template_parts.settings(files)
    for locale in _locales(files):
        named = template_locales.chosen(files, locale)
        parts = template_parts.parts(template_locales.in_locale(files, locale), channel)
        variables = template_language.named(_with_sample(settings, locale))
        said = {part.name: written(template_language.language(html=part.is_html).from_string(part.source), variables) for part in parts}
        yield said, {part.name: named.get(part.file, part.file) for part in parts}


def _with_sample(settings: TemplateSettings, locale: str = "") -> Mapping[str, Any]:
    sample = settings.sample or {}
    tables = template_language.ROOTS - _PLAIN_ROOTS
    given = {root: {**_table(_STANDING.get(root)), **_table(sample.get(root))} for root in tables}
    plain = {"visit": sample.get("visit", 1), "zone": sample.get("zone", "UTC"), "locale": locale or settings.locale}
    return template_language.filled_in(given | plain, settings.defaults)


def _table(value: object) -> dict[str, Any]:
    return dict(value) if isinstance(value, Mapping) else {}


def _is_sure(path: str, settings: TemplateSettings) -> bool:
    return path in settings.required or path in settings.defaults


def _unused(settings: TemplateSettings, used: set[str]) -> Iterator[Finding]:
    for path in settings.defaults:
        if not any(name == path or name.startswith(f"{path}.") or path.startswith(f"{name}.") for name in used):
            yield Finding(
                template_parts.SETTINGS_FILE, "default_unused", f"{path} has a default and is nowhere used: remove it, or mend its spelling"
            )
        if path in settings.required:
            yield Finding(template_parts.SETTINGS_FILE, "required_has_default", f"{path} is required and has a default: keep one of them")
    for path in settings.required:
        if path not in used:
            yield Finding(
                template_parts.SETTINGS_FILE, "required_unused", f"{path} is required and nowhere used: remove it, or mend its spelling"
            )


def _unknown(files: Mapping[str, str], attached: Iterable[str]) -> Iterator[Finding]:
    known = ", ".join(sorted(template_parts.KNOWN_FILES))
    yield from _never_put_in(files)
    for file in sorted(file for file in files if not template_layouts.is_shared(file)):
        plain = template_locales.plain(file)
        if plain not in template_parts.KNOWN_FILES and plain not in attached:
            yield Finding(file, "unknown_file", f"{file} belongs to no channel; known are {known}")
        elif plain == template_parts.SETTINGS_FILE and file != plain:
            yield Finding(file, "unknown_file", f"{plain} holds for every language: move what it says there")


def _never_put_in(files: Mapping[str, str]) -> Iterator[Finding]:
    shared = {file for file in files if template_layouts.is_shared(file)}
    named = template_layouts.named_in((text for file, text in sorted(files.items()) if file not in shared), files)
    for file in sorted(shared - named):
        yield Finding(file, "unknown_file", f"{file} is nowhere put in: take it out, or mend the name where it is included")


def _mentions(part: Part) -> list[Mention]:
    return mentions(template_language.language(html=part.is_html).parse(part.source))


def _line(part: Part, line: int) -> str:
    # MJML, inlined styles and what is put in move lines about; a wrong number is worse than none.
    return "" if part.is_html or part.is_composed else f"line {line}: "
