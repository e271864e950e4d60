"""What is wrong with the push of a template, as far as it can be known before anybody gets it."""

from collections.abc import Mapping

from pydantic import ValidationError

from channels import template_parts
from channels.push.payload import first_fault, gathered
from channels.push.sayable import PROVIDERS, cannot_say
from channels.template_parts import BadFile
from journeys.language.errors import Problem

_FILE = "push.toml"


def push_problems(name: str, sample: Mapping[str, str]) -> list[Problem]:
    """Look at what the fields of template `name` came to with its sample (empty: there is no push)."""
    if not sample:
        return []
    pointer = f"templates/{name}/{_FILE}"
    try:
        gathered(sample)
    except ValidationError as error:
        return [Problem(pointer, "bad_push", first_fault(error))]
    named = _listed(sample.get("providers", ""))
    unknown = [
        Problem(pointer, "unknown_provider", f"there is no {each}; there are {', '.join(PROVIDERS)}") for each in named - {*PROVIDERS}
    ]
    return unknown + [Problem(pointer, "cannot_say", words) for each in sorted(named) for words in unsayable(each, sample)]


def unsayable(provider: str, sources: Mapping[str, str]) -> list[str]:
    """What a push with these fields says that the provider cannot say, in words with the remedy."""
    fields = {name.partition(".")[0] for name in sources} - _listed(sources.get("optional", ""))
    return [f"{provider} cannot say {field} ({why}): {_remedy(field)}" for field, why in cannot_say(provider, fields).items()]


def sources_of(files: Mapping[str, str]) -> dict[str, str]:
    """The fields of a template's push as they are written; empty where it has none, or none that can be read."""
    try:
        return {part.name: part.source for part in template_parts.parts(files, "push")}
    except BadFile:
        return {}


def _remedy(field: str) -> str:
    return "take it out" if field == "silent" else 'take it out, or let it be left out there: optional = ["' + field + '"]'


def _listed(text: str) -> set[str]:
    return set(text.split(",")) - {""}
