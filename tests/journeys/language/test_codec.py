"""Journeys as JSON: nothing is lost on the way, and one journey has one text."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from pydantic import TypeAdapter, ValidationError
from temporalio.contrib.pydantic import pydantic_data_converter

from journeys import onboarding
from journeys.catalogue import JOURNEYS
from journeys.language import Journey, Send, Update, Wait, days, email, event, prop, trait
from journeys.language.check import problems
from journeys.language.codec import content_hash, from_json, json_schema, to_json
from journeys.language.conditions import Condition
from tests.journeys.journey_strategies import journeys
from tests.journeys.strategies import conditions

ROOT = Path(__file__).resolve().parents[3]
SCHEMA = ROOT / "docs" / "reference" / "journey.schema.json"
_CONDITIONS: TypeAdapter[Condition] = TypeAdapter(Condition)


@dataclass
class Parcel:
    """A plain dataclass with a journey inside, as workflow inputs are."""

    journey: Journey
    number: int = 1


@given(journeys())
def test_the_round_trip_through_json_is_the_identity(journey: Journey) -> None:
    read = from_json(to_json(journey))
    assert read == journey
    assert hash(read) == hash(journey)
    assert to_json(read) == to_json(journey)


@given(conditions())
def test_conditions_alone_come_back_the_same(condition: Condition) -> None:
    assert _CONDITIONS.validate_json(_CONDITIONS.dump_json(condition, exclude_none=True)) == condition


@settings(max_examples=20)
@given(journeys())
def test_every_journey_fits_the_published_schema(journey: Journey) -> None:
    _SCHEMA.validate(json.loads(to_json(journey)))


def test_the_published_schema_is_the_one_of_the_code() -> None:
    remedy = "write it anew: python -m journeys.language.codec > docs/reference/journey.schema.json"
    assert json.loads(SCHEMA.read_text()) == json_schema(), remedy


def test_the_content_hash_does_not_depend_on_the_order_of_a_dict() -> None:
    written, shuffled = ({"plan": "gold", "n": {"a": 1, "b": [trait("x")]}}, {"n": {"b": [trait("x")], "a": 1}, "plan": "gold"})
    assert content_hash(_updating(written)) == content_hash(_updating(shuffled))


@pytest.mark.parametrize("seed", ["0", "1", "4242"])
def test_the_content_hash_is_the_same_under_every_hash_seed(seed: str) -> None:
    code = "from journeys.catalogue import JOURNEYS; from journeys.language.codec import content_hash; print(*map(content_hash, JOURNEYS))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [content_hash(journey) for journey in JOURNEYS]


def test_a_key_kind_in_an_authors_object_is_no_tag() -> None:
    journey = _updating({"kind": "trait", "path": "plan"})
    assert from_json(to_json(journey)) == journey


def test_a_real_journey_is_small_enough_to_travel_with_each_enrollment() -> None:
    sizes = sorted(len(to_json(journey)) for journey in JOURNEYS)
    assert sizes[len(sizes) // 2] < 2000  # bytes
    assert sizes[-1] < 3500


def test_reading_stored_json_runs_no_checks() -> None:
    stored = _with_a_wait_of_nothing()
    assert problems(from_json(stored))


def test_decoding_a_journey_inside_another_dataclass_runs_no_checks() -> None:
    journey = from_json(_with_a_wait_of_nothing())
    parcel = TypeAdapter(Parcel).validate_json(TypeAdapter(Parcel).dump_json(Parcel(journey)))
    assert parcel.journey == journey


def test_temporals_converter_carries_a_journey_unchanged() -> None:
    journey = from_json(_with_a_wait_of_nothing())
    converter = pydantic_data_converter.payload_converter
    assert converter.from_payloads(converter.to_payloads([Parcel(journey)]), [Parcel])[0].journey == journey


def test_an_unknown_field_is_refused_rather_than_forgotten() -> None:
    stored = json.loads(to_json(JOURNEYS[0]))
    stored["steps"][0]["only_on_sundays"] = True
    with pytest.raises(ValidationError, match="only_on_sundays"):
        from_json(json.dumps(stored))


def test_a_field_that_equals_its_default_is_still_written() -> None:
    keyed = Journey("keyed", starts_on=event("x"), key=prop("a"), holdout=0, steps=[Send("hello", email("hello"))])
    stored = json.loads(to_json(keyed))
    assert stored["key"] == {"kind": "prop", "path": "a"}
    assert stored["holdout"] == 0


def _updating(attributes: dict[str, Any]) -> Journey:
    return Journey("updating", starts_on=event("x"), steps=[Update("set", attributes)])


def _with_a_wait_of_nothing() -> bytes:
    journey = Journey("stricter", starts_on=event("x"), steps=[Wait("pause", days(1)), Send("hello", email("hello"))])
    stored = json.loads(to_json(journey))
    stored["steps"][0]["duration"]["seconds"] = 0
    return json.dumps(stored).encode()


_SCHEMA = Draft202012Validator(json_schema())


STORED = sorted((ROOT / "tests" / "journeys" / "stored").glob("*.json"))


@pytest.mark.parametrize("file", STORED, ids=lambda file: file.stem)
def test_what_an_earlier_version_wrote_is_read_and_keeps_its_hash(file: Path) -> None:
    """These files are never changed: people are inside such definitions, and `apply` compares hashes."""
    text = file.read_bytes().strip()
    assert to_json(from_json(text)) == text


def test_what_has_not_been_rewritten_since_is_still_written_so() -> None:
    """The file of 0.1 is this journey: the same Python makes the same value and the same hash."""
    stored = (ROOT / "tests" / "journeys" / "stored" / "0.1-onboarding.json").read_bytes()
    assert from_json(stored) == onboarding.journey
    assert content_hash(from_json(stored)) == content_hash(onboarding.journey)
