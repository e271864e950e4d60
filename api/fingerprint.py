"""What a plan was made against, so that apply can tell whether it still is so. Pure."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from api.campaign_publishing import WrittenCampaign
from api.publishing import Written
from api.segment_publishing import WrittenSegment
from api.source_publishing import WrittenSource
from channels.templates import content_hash
from storage.campaigns import StoredCampaign
from storage.journeys import JourneyState
from storage.segments import StoredSegment
from storage.sources import StoredSource
from storage.templates import StoredTemplate


class LiveJourney(BaseModel):
    """What is live of one journey, as far as publishing would touch it or be touched by it."""

    model_config = ConfigDict(extra="forbid")

    version: int
    hash: str
    accepts_entries: bool
    is_paused: bool
    is_retired: bool


class LiveTemplate(BaseModel):
    """The live version of a template."""

    model_config = ConfigDict(extra="forbid")

    version: int
    hash: str


class LiveSegment(BaseModel):
    """The live version of a segment that has a condition."""

    model_config = ConfigDict(extra="forbid")

    version: int
    hash: str


class LiveSource(BaseModel):
    """The live version of a source, and the rows that are kept for it."""

    model_config = ConfigDict(extra="forbid")

    version: int
    hash: str
    rows: str | None


class LiveCampaign(BaseModel):
    """The newest version of a campaign."""

    model_config = ConfigDict(extra="forbid")

    version: int
    hash: str


class Basis(BaseModel):
    """Everything that a plan was made against."""

    model_config = ConfigDict(extra="forbid")

    is_paused: bool = Field(description="nothing of the app leaves")
    journeys: dict[str, LiveJourney]
    templates: dict[str, LiveTemplate]
    segments: dict[str, LiveSegment] = {}
    sources: dict[str, LiveSource] = {}
    campaigns: dict[str, LiveCampaign] = {}


def basis_of(
    states: Sequence[JourneyState],
    templates: Mapping[str, StoredTemplate],
    segments: Sequence[StoredSegment],
    sources: Sequence[StoredSource],
    campaigns: Sequence[StoredCampaign],
    *,
    is_paused: bool,
) -> Basis:
    """The world as it is."""
    return Basis(
        is_paused=is_paused,
        journeys={
            state.name: LiveJourney(
                version=state.live_version,
                hash=state.live_hash,
                accepts_entries=state.accepts_entries,
                is_paused=state.paused_at is not None,
                is_retired=state.retired_at is not None,
            )
            for state in states
        },
        templates={name: LiveTemplate(version=stored.version, hash=stored.hash) for name, stored in templates.items()},
        segments={
            each.name: LiveSegment(version=each.version, hash=each.hash)
            for each in segments
            if each.version is not None and each.hash is not None
        },
        sources={each.name: LiveSource(version=each.version, hash=each.hash, rows=each.rows_hash) for each in sources},
        campaigns={each.name: LiveCampaign(version=each.version, hash=each.hash) for each in campaigns},
    )


def fingerprint(
    basis: Basis,
    written: Sequence[Written],
    templates: Mapping[str, Mapping[str, str]],
    segments: Sequence[WrittenSegment],
    sources: Sequence[WrittenSource],
    campaigns: Sequence[WrittenCampaign],
    *,
    paused: bool,
) -> str:
    """SHA-256 over what is live and what is to be published: the same only for the same plan."""
    published = {
        "journeys": {each.journey.name: each.hash for each in written},
        "templates": {name: content_hash(files) for name, files in templates.items()},
        "segments": {each.name: each.hash for each in segments},
        "sources": {each.name: [each.hash, each.rows and each.rows.hash] for each in sources},
        "campaigns": {each.name: each.hash for each in campaigns},
        "paused": paused,
    }
    text = json.dumps([basis.model_dump(), published], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def news(planned: Basis, now: Basis) -> list[str]:
    """What has changed since the plan was made, in words; empty when nothing has."""
    found = [f"sending was {'paused' if now.is_paused else 'resumed'}"] if planned.is_paused != now.is_paused else []
    for name in sorted({*planned.journeys, *now.journeys}):
        found += [f"journey {name} {words}" for words in _journey_news(planned.journeys.get(name), now.journeys.get(name))]
    for name in sorted({*planned.templates, *now.templates}):
        found += [f"template {name} {words}" for words in _version_news(planned.templates.get(name), now.templates.get(name))]
    for name in sorted({*planned.segments, *now.segments}):
        found += [f"segment {name} {words}" for words in _version_news(planned.segments.get(name), now.segments.get(name))]
    for name in sorted({*planned.sources, *now.sources}):
        found += [f"source {name} {words}" for words in _source_news(planned.sources.get(name), now.sources.get(name))]
    for name in sorted({*planned.campaigns, *now.campaigns}):
        found += [f"campaign {name} {words}" for words in _version_news(planned.campaigns.get(name), now.campaigns.get(name))]
    return found


def _source_news(planned: LiveSource | None, now: LiveSource | None) -> list[str]:
    found = _version_news(planned, now)
    return found or (["has other rows"] if planned and now and planned.rows != now.rows else [])


def _journey_news(planned: LiveJourney | None, now: LiveJourney | None) -> list[str]:
    found = _version_news(planned, now)
    if planned is None or now is None:
        return found
    switches = (
        (planned.is_retired, now.is_retired, "was retired", "is back"),
        (planned.is_paused, now.is_paused, "was paused", "was resumed"),
        (planned.accepts_entries, now.accepts_entries, "takes entries again", "takes no entries any more"),
    )
    return found + [yes if after else no for before, after, yes, no in switches if before != after]


def _version_news(planned: Any, now: Any) -> list[str]:
    if planned is None:
        return [f"was published (version {now.version})"]
    if now is None:
        return ["is gone"]
    if (planned.version, planned.hash) != (now.version, now.hash):
        return [f"is at version {now.version}; the plan was made at version {planned.version}"]
    return []
