"""What is wrong with a template, found by reading it and by filling in its sample. Runs in a child process for templates of strangers."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from jinja2 import nodes
from jinja2.exceptions import TemplateSyntaxError

from channels import template_language, template_parts
from channels.template_language import Language, MissingVariable
from channels.template_parts import BadFile, Part, TemplateSettings
from channels.template_variables import Mention, mentions
from channels.template_writing import written
from channels.voice.speech import BadSsml, spoken

# Given with every message. links.unsubscribe only with marketing mail, where it must be shown, so it needs no default.
_ALWAYS_THERE = frozenset({"visit", "app.name", "user.user_id", "links.unsubscribe", "links.preferences"})
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
    """Everything that is wrong with a template, in the order of files and lines."""
    try:
        settings = template_parts.settings(files)
    except BadFile as error:
        return [*_unknown(files, ()), Finding(error.file, "bad_file", str(error))]
    found = list(_unknown(files, settings.attachments))
    channels = template_parts.channels_of(files)
    if not channels:
        found.append(
            Finding(template_parts.SETTINGS_FILE, "no_content", "no channel has content: add subject.txt and body.txt, or sms.txt, ...")
        )
    used: set[str] = set()
    for channel in channels:
        found += _of_channel(files, channel, settings, used)
    return found + list(_unused(settings, used))


def shows_unsubscribe(files: Mapping[str, str]) -> bool:
    """Tell whether every body of the mail shows links.unsubscribe, as marketing mail must. Raises BadFile, TemplateSyntaxError."""
    bodies = [part for part in template_parts.parts(files, "email") if part.name in ("text", "html")]
    return all(any(mention.path == "links.unsubscribe" for mention in _mentions(part)) for part in bodies)


def push_sample(files: Mapping[str, str]) -> dict[str, str]:
    """What the fields of a push come to with the sample; empty where there is no push, or something is wrong that `findings` tells."""
    try:
        parts, settings = template_parts.parts(files, "push"), template_parts.settings(files)
        if any(_of_channel(files, "push", settings, set())):
            return {}
    except BadFile:
        return {}
    variables = template_language.named(_with_sample(settings))
    return {part.name: written(template_language.language(html=False).from_string(part.source), variables) for part in parts}


def _of_channel(files: Mapping[str, str], channel: str, settings: TemplateSettings, used: set[str]) -> list[Finding]:
    try:
        parts = template_parts.parts(files, channel)
    except BadFile as error:
        return [Finding(error.file, "bad_file", str(error))]
    found: list[Finding] = []
    for part in parts:
        found += _of_part(part, settings, used)
    return found or list(_of_sample(parts, settings))


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
    elif not (mention.is_covered or mention.path in _ALWAYS_THERE or _is_required(mention.path, settings)):
        remedy = f"write {{{{ {mention.path} | default(...) }}}}"
        if "[]" not in mention.path:
            remedy += " or name it under required in template.toml"
        yield Finding(part.file, "no_default", f"{where}{mention.path} may be missing: {remedy}")


def _of_sample(parts: list[Part], settings: TemplateSettings) -> Iterator[Finding]:
    """Fill in the sample, as a reader of a preview would."""
    variables = template_language.named(_with_sample(settings))
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


def sample_of(files: Mapping[str, str], channel: str) -> str:
    """The first part of a channel filled in with the sample, for a template without findings."""
    part = template_parts.parts(files, channel)[0]
    variables = template_language.named(_with_sample(template_parts.settings(files)))
    return written(template_language.language(html=part.is_html).from_string(part.source), variables)


def _with_sample(settings: TemplateSettings) -> dict[str, Any]:
    sample = settings.sample or {}
    return {
        root: {**_table(_STANDING.get(root)), **_table(sample.get(root))} if root != "visit" else sample.get(root, 1)
        for root in template_language.ROOTS
    }


def _table(value: object) -> dict[str, Any]:
    return dict(value) if isinstance(value, Mapping) else {}


def _is_required(path: str, settings: TemplateSettings) -> bool:
    return path in settings.required


def _unused(settings: TemplateSettings, used: set[str]) -> Iterator[Finding]:
    for path in settings.required:
        if path not in used:
            yield Finding(
                template_parts.SETTINGS_FILE, "required_unused", f"{path} is required and nowhere used: remove it, or mend its spelling"
            )


def _unknown(files: Iterable[str], attached: Iterable[str]) -> Iterator[Finding]:
    known = ", ".join(sorted(template_parts.KNOWN_FILES))
    for file in sorted(set(files) - template_parts.KNOWN_FILES - set(attached)):
        yield Finding(file, "unknown_file", f"{file} belongs to no channel; known are {known}")


def _mentions(part: Part) -> list[Mention]:
    return mentions(template_language.language(html=part.is_html).parse(part.source))


def _line(part: Part, line: int) -> str:
    # MJML and inlined styles move lines about; a wrong number is worse than none.
    return "" if part.is_html else f"line {line}: "
