"""Templates as authors write them: a mapping of file name to text, from journeys/templates/<name>/. Used by check, apply and publish."""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import orjson
from jinja2.exceptions import TemplateSyntaxError

from channels import template_checks, template_layouts, template_parts
from channels.email.remarks import Remark
from channels.email.remarks import remarks as mail_remarks
from channels.push.checks import push_problems
from channels.sms.segments import foreign, segments
from channels.template_parts import BadFile, TemplateSettings
from journeys.language.errors import Problem

__all__ = [
    "SETTINGS_FILE",
    "BadFile",
    "Remark",
    "TemplateSettings",
    "channels_of",
    "content_hash",
    "notes",
    "problems",
    "remarks",
    "required_of",
    "settings",
    "shows_unsubscribe",
    "with_shared",
]

channels_of = template_parts.channels_of
settings = template_parts.settings
SETTINGS_FILE = template_parts.SETTINGS_FILE
_REMARKED = ("email", "sms")


def problems(name: str, files: Mapping[str, str]) -> list[Problem]:
    """Everything that is wrong with a template of one's own, each with its remedy; pointers are templates/<name>/<file>.

    The template is compiled and its sample filled in here, without limits: for templates of strangers use Renderer.problems.
    """
    found = [Problem(f"templates/{name}/{found.file}", found.code, found.message) for found in template_checks.findings(files)]
    return found + push_problems(name, template_checks.push_sample(files))


def notes(name: str, files: Mapping[str, str]) -> list[Problem]:
    """What its author may want to know of a template without problems: how its sample would look to mail programs, and what it costs."""
    found = [
        Problem(f"templates/{name}/{named[remark.part]}", remark.code, remark.message)
        for channel in _REMARKED
        if channel in channels_of(files)
        for said, named in template_checks.samples_of(files, channel)
        for remark in remarks(channel, said)
        if remark.part in named
    ]
    return list(dict.fromkeys(found))


def remarks(channel: str, parts: Mapping[str, Any]) -> list[Remark]:
    """The same of a message as it would leave, by the names of its parts."""
    match channel:
        case "email":
            return mail_remarks(parts)
        case "sms":
            return list(_of_price(str(parts["text"])))
        case _:
            return []


def _of_price(said: str) -> Iterator[Remark]:
    counted, outside = segments(said), foreign(said)
    shorter = segments("".join("?" if character in outside else character for character in said)).count
    if counted.count > shorter:
        named = ", ".join(f"{character} (U+{ord(character):04X})" for character in outside[:3])
        why = f"it is {counted.count} segments because of {named}, which the alphabet of texts lacks; without it {shorter}"
        yield Remark("text", "costly_characters", why)
    elif counted.count > 1:
        yield Remark("text", "several_segments", f"it is {counted.count} segments ({counted.encoding}), and each is charged")


def sources_of(files: Mapping[str, str]) -> list[str]:
    """The sources that a template without problems asks, sorted. Without limits: for templates of strangers use Renderer.vet."""
    return template_checks.sources_of(files) if any("source" in text for text in files.values()) else []


def shows_unsubscribe(files: Mapping[str, str]) -> bool:
    """Tell whether each body of the mail shows links.unsubscribe, as marketing mail must. False for a template that cannot be read."""
    try:
        return template_checks.shows_unsubscribe(files)
    except (BadFile, TemplateSyntaxError):
        return False


def required_of(files: Mapping[str, str], channel: str) -> list[str]:
    """What of `required` the message on one channel is not made without, in some language; nothing of a template that cannot be read."""
    try:
        return template_checks.required_of(files, channel)
    except (BadFile, TemplateSyntaxError):
        return []


def with_shared(files: Mapping[str, str], shared: Mapping[str, str]) -> dict[str, str]:
    """The files of a template with the layouts and partials (named `_layouts/...`, `_partials/...`) that it uses, in every language.

    A version is published with them, so it never changes when they do.
    """
    return {**files, **{name: shared[name] for name in sorted(template_layouts.named_in(files.values(), shared))}}


def content_hash(files: Mapping[str, str]) -> str:
    """SHA-256 in hexadecimal over names and texts: what publishing is idempotent by."""
    return hashlib.sha256(orjson.dumps(dict(files), option=orjson.OPT_SORT_KEYS)).hexdigest()
