"""Journeys, conditions, sources and campaigns as JSON: canonical bytes, hashes, the published schemas. Reading checks only types."""

import hashlib
import json
import sys
from typing import Annotated, Any

from pydantic import PlainSerializer, TypeAdapter

from journeys.language.campaigns import Campaign
from journeys.language.conditions import AnyCondition, Condition
from journeys.language.journey import Journey
from journeys.language.sources import Source

_JOURNEYS = TypeAdapter(Journey)
_CONDITIONS: TypeAdapter[AnyCondition] = TypeAdapter(Condition)
_SOURCES = TypeAdapter(Source)
_CAMPAIGNS = TypeAdapter(Campaign)


def to_json(journey: Journey) -> bytes:
    """One journey has one text: keys sorted, no spaces, UTF-8; fields that are None or have no steps are left out."""
    return _canonical(plain(journey))


def plain(journey: Journey) -> dict[str, Any]:
    """The same as values of JSON."""
    dumped: dict[str, Any] = _JOURNEYS.dump_python(journey, mode="json", exclude_none=True)
    return dumped


Definition = Annotated[Journey, PlainSerializer(plain)]
"""A journey in a larger value, as short as it is stored: what is not set is left out."""


def from_json(text: bytes | str) -> Journey:
    """Read a stored definition. Stricter rules of later must never stop people inside, so `problems` is not asked.

    Raises pydantic's ValidationError for what is no journey of this version's format.
    """
    return _JOURNEYS.validate_json(text)


def content_hash(journey: Journey) -> str:
    """SHA-256 in hex over the canonical JSON."""
    return hashlib.sha256(to_json(journey)).hexdigest()


def condition_to_json(condition: AnyCondition) -> bytes:
    """A condition as a journey has it: one text for each, as `to_json` writes."""
    return _canonical(_CONDITIONS.dump_python(condition, mode="json", exclude_none=True))


def condition_from_json(text: bytes | str) -> AnyCondition:
    """Read a stored condition. Raises pydantic's ValidationError for what is none of this version's format."""
    return _CONDITIONS.validate_json(text)


def condition_hash(condition: AnyCondition) -> str:
    """SHA-256 in hex over its canonical JSON."""
    return hashlib.sha256(condition_to_json(condition)).hexdigest()


def source_to_json(source: Source) -> bytes:
    """A source as its version is stored: one text for each, as `to_json` writes."""
    return _canonical(_SOURCES.dump_python(source, mode="json", exclude_none=True))


def source_from_json(text: bytes | str) -> Source:
    """Read a source. Raises pydantic's ValidationError for what is none; what `source_problems` finds is not asked."""
    return _SOURCES.validate_json(text)


def source_hash(source: Source) -> str:
    """SHA-256 in hex over its canonical JSON."""
    return hashlib.sha256(source_to_json(source)).hexdigest()


def campaign_to_json(campaign: Campaign) -> bytes:
    """A campaign: one text for each, as `to_json` writes."""
    return _canonical(_CAMPAIGNS.dump_python(campaign, mode="json", exclude_none=True))


def campaign_from_json(text: bytes | str) -> Campaign:
    """Read a stored campaign; `campaign_problems` is not asked. Raises pydantic's ValidationError for what is none of this format."""
    return _CAMPAIGNS.validate_json(text)


def campaign_hash(campaign: Campaign) -> str:
    """SHA-256 in hex over its canonical JSON."""
    return hashlib.sha256(campaign_to_json(campaign)).hexdigest()


def campaign_of_run(definition: str, local_at: str | None) -> str:
    """A stored campaign as one of its runs sends it: to each person when their own clock shows `local_at`, or at once."""
    plainly = json.loads(definition)
    return _canonical({**plainly, "local_at": local_at} if local_at else plainly).decode()


def _canonical(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def json_schema() -> dict[str, Any]:
    """What docs/reference/journey.schema.json holds. Every node says its kind: that is how it is read."""
    return _with_kinds(_JOURNEYS.json_schema())


def campaign_schema() -> dict[str, Any]:
    """What docs/reference/campaign.schema.json holds; `local_at`, which only the definition of a run has, is left out."""
    schema = _CAMPAIGNS.json_schema()
    del schema["properties"]["local_at"]
    return _with_kinds({**schema, "description": "One campaign. What its fields say stands in docs/how-to/campaigns.md."})


def _with_kinds(schema: dict[str, Any]) -> dict[str, Any]:
    for node in schema["$defs"].values():
        if "kind" in node.get("properties", {}):
            node["required"] = sorted({*node.get("required", ()), "kind"})
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


if __name__ == "__main__":
    made = campaign_schema() if sys.argv[1:] == ["campaign"] else json_schema()
    print(json.dumps(made, indent=1, sort_keys=True))  # noqa: T201 - the one use of this module as a program
