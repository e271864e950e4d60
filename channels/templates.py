"""Templates as authors write them: a mapping of file name to text, from journeys/templates/<name>/. Used by check, apply and publish."""

import hashlib
from collections.abc import Mapping

import orjson
from jinja2.exceptions import TemplateSyntaxError

from channels import template_checks, template_layouts, template_parts
from channels.push.checks import push_problems
from channels.sms.segments import foreign, segments
from channels.template_parts import BadFile, TemplateSettings
from journeys.language.errors import Problem

__all__ = [
    "SETTINGS_FILE",
    "BadFile",
    "TemplateSettings",
    "channels_of",
    "content_hash",
    "notes",
    "problems",
    "settings",
    "shows_unsubscribe",
    "with_shared",
]

channels_of = template_parts.channels_of
settings = template_parts.settings
SETTINGS_FILE = template_parts.SETTINGS_FILE


def problems(name: str, files: Mapping[str, str]) -> list[Problem]:
    """Everything that is wrong with a template of one's own, each with its remedy; pointers are templates/<name>/<file>.

    The template is compiled and its sample filled in here, without limits: for templates of strangers use Renderer.problems.
    """
    found = [Problem(f"templates/{name}/{found.file}", found.code, found.message) for found in template_checks.findings(files)]
    return found + push_problems(name, template_checks.push_sample(files))


def notes(name: str, files: Mapping[str, str]) -> list[Problem]:
    """What its author may want to know of a template without problems: a text whose sample is charged as several."""
    if "sms" not in channels_of(files):
        return []
    sample = template_checks.sample_of(files, "sms")
    counted, outside = segments(sample), foreign(sample)
    shorter = segments("".join("?" if character in outside else character for character in sample)).count
    pointer = f"templates/{name}/sms.txt"
    if counted.count > shorter:
        named = ", ".join(f"{character} (U+{ord(character):04X})" for character in outside[:3])
        why = f"the sample is {counted.count} segments because of {named}, which the alphabet of texts lacks; without it {shorter}"
        return [Problem(pointer, "costly_characters", why)]
    if counted.count > 1:
        return [Problem(pointer, "several_segments", f"the sample is {counted.count} segments ({counted.encoding}), and each is charged")]
    return []


def shows_unsubscribe(files: Mapping[str, str]) -> bool:
    """Tell whether each body of the mail shows links.unsubscribe, as marketing mail must. False for a template that cannot be read."""
    try:
        return template_checks.shows_unsubscribe(files)
    except (BadFile, TemplateSyntaxError):
        return False


def with_shared(files: Mapping[str, str], shared: Mapping[str, str]) -> dict[str, str]:
    """The files of a template with the layouts and partials (named `_layouts/...`, `_partials/...`) that it uses, in every language.

    A version is published with them, so it never changes when they do.
    """
    return {**files, **{name: shared[name] for name in sorted(template_layouts.named_in(files.values(), shared))}}


def content_hash(files: Mapping[str, str]) -> str:
    """SHA-256 in hexadecimal over names and texts: what publishing is idempotent by."""
    return hashlib.sha256(orjson.dumps(dict(files), option=orjson.OPT_SORT_KEYS)).hexdigest()
