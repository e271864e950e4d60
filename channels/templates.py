"""Templates as authors write them: a mapping of file name to text, from journeys/templates/<name>/. Used by check, apply and publish."""

import hashlib
from collections.abc import Mapping

import orjson
from jinja2.exceptions import TemplateSyntaxError

from channels import template_checks, template_parts
from channels.push.checks import push_problems
from channels.template_parts import BadFile, TemplateSettings
from journeys.language.errors import Problem

__all__ = ["SETTINGS_FILE", "BadFile", "TemplateSettings", "channels_of", "content_hash", "problems", "settings", "shows_unsubscribe"]

channels_of = template_parts.channels_of
settings = template_parts.settings
SETTINGS_FILE = template_parts.SETTINGS_FILE


def problems(name: str, files: Mapping[str, str]) -> list[Problem]:
    """Everything that is wrong with a template of one's own, each with its remedy; pointers are templates/<name>/<file>.

    The template is compiled and its sample filled in here, without limits: for templates of strangers use Renderer.problems.
    """
    found = [Problem(f"templates/{name}/{found.file}", found.code, found.message) for found in template_checks.findings(files)]
    return found + push_problems(name, template_checks.push_sample(files))


def shows_unsubscribe(files: Mapping[str, str]) -> bool:
    """Tell whether each body of the mail shows links.unsubscribe, as marketing mail must. False for a template that cannot be read."""
    try:
        return template_checks.shows_unsubscribe(files)
    except (BadFile, TemplateSyntaxError):
        return False


def content_hash(files: Mapping[str, str]) -> str:
    """SHA-256 in hexadecimal over names and texts: what publishing is idempotent by."""
    return hashlib.sha256(orjson.dumps(dict(files), option=orjson.OPT_SORT_KEYS)).hexdigest()
