"""Campaigns that are to be published: read, checked, looked at with what they name, compared with what is there. Pure: no SQL, no clock."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import orjson
from pydantic import ValidationError

from api import segment_publishing
from api.completeness import missing_around
from api.errors import pointer
from journeys.language.campaigns import Campaign
from journeys.language.check_campaigns import campaign_problems
from journeys.language.codec import campaign_from_json, campaign_hash, campaign_to_json
from journeys.language.conditions import AnyCondition
from journeys.language.errors import Invalid, Problem
from storage.campaigns import StoredCampaign


@dataclass(frozen=True)
class WrittenCampaign:
    """A campaign to be published, read and checked by itself."""

    campaign: Campaign

    @property
    def name(self) -> str:
        return self.campaign.name

    @property
    def text(self) -> str:
        return campaign_to_json(self.campaign).decode()

    @property
    def hash(self) -> str:
        return campaign_hash(self.campaign)


@dataclass(frozen=True)
class CampaignChange:
    """What becomes of one campaign; `version` is what was published last, `differences` say what its next version changes."""

    name: str
    change: Literal["new", "changed", "same"]
    version: int | None
    differences: tuple[str, ...] = ()


@dataclass(frozen=True)
class Surroundings:
    """What campaigns may name; a segment's text is that of a list. `topics` empty: none is declared, so any is good."""

    segments: Mapping[str, AnyCondition | str]
    templates: Mapping[str, Mapping[str, str]]
    topics: Collection[str]
    push_providers: Collection[str] = ()


def read(definition: Mapping[str, Any], place: str) -> WrittenCampaign:
    """Read one definition and check it by itself; `place` is where it stands in the body. Raises Invalid with everything that is wrong."""
    try:
        campaign = campaign_from_json(orjson.dumps(definition))
    except ValidationError as error:
        raise Invalid([Problem(f"{place}{pointer(e['loc'])}", e["type"]) for e in error.errors(include_input=False)]) from error
    if found := campaign_problems(campaign):
        raise Invalid([Problem(place, each.code, f"{each.pointer}: {each.message}") for each in found])
    return WrittenCampaign(campaign)


def read_all(definitions: Sequence[Mapping[str, Any]]) -> list[WrittenCampaign]:
    """Read all that a publication holds. Raises Invalid with every problem of all of them."""
    written: list[WrittenCampaign] = []
    found: list[Problem] = []
    for place, definition in enumerate(definitions):
        try:
            written.append(read(definition, f"/campaigns/{place}"))
        except Invalid as invalid:
            found += invalid.problems
    names = [each.name for each in written]
    found += [
        Problem("/campaigns", "name_twice", f"two campaigns are named {name}") for name in sorted(set(names)) if names.count(name) > 1
    ]
    if found:
        raise Invalid(found)
    return written


def lacking(written: Iterable[WrittenCampaign], around: Surroundings) -> list[Problem]:
    """Find everything that these campaigns name and that is not there, or is not as they need it; pointers are campaign/version."""
    campaigns = [each.campaign for each in written]
    found = missing_around(campaigns, around.templates, push_providers=around.push_providers)
    found += segment_publishing.not_noticed(campaigns, around.segments)
    for campaign in campaigns:
        for segment in campaign.segments:
            if segment not in around.segments:
                words = f"there is no segment {segment}: publish it with this campaign or before, or mend the name"
                found.append(Problem(campaign.name, "no_such_segment", words))
        if campaign.topic is not None and around.topics and campaign.topic not in around.topics:
            words = f"there is no topic {campaign.topic}: declare it with `sojourn topics set`, or mend the name"
            found.append(Problem(campaign.name, "no_such_topic", words))
    return found


def compare(written: Iterable[WrittenCampaign], known: Iterable[StoredCampaign]) -> list[CampaignChange]:
    """Say for each what publishing would change. Campaigns that are not named are left alone."""
    there = {each.name: each for each in known}
    return [_change(each, there.get(each.name)) for each in written]


def _change(written: WrittenCampaign, known: StoredCampaign | None) -> CampaignChange:
    if known is None:
        return CampaignChange(written.name, "new", None)
    if known.hash == written.hash:
        return CampaignChange(written.name, "same", known.version)
    differences = tuple(_differences(orjson.loads(known.definition), orjson.loads(written.text)))
    return CampaignChange(written.name, "changed", known.version, differences)


def _differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    for field in sorted({*before, *after}):
        if before.get(field) != after.get(field):
            yield f"{field} is {_words(after.get(field))}, was {_words(before.get(field))}"


def _words(value: Any) -> str:
    """A field as one says it: what stands in it, without what kind of node it is."""
    match value:
        case None:
            return "not set"
        case {"kind": "message", "channel": channel, "template": template}:
            return f"{channel}: {template}"
        case Mapping():
            return ", ".join(f"{name} {_words(inner)}" for name, inner in value.items() if name != "kind") or "nothing"
        case list():
            return "; ".join(map(_words, value)) or "nothing"
        case _:
            return str(value)
