"""The whole language as JSON: every node occurs and comes back the same; what is wrong is refused by reader and schema; 0.1 still runs."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from pydantic import ValidationError

from journeys.language import Journey, Send, Wait, conditions, days, durations, email, entries, event, events, messages, payloads, steps
from journeys.language.codec import from_json, json_schema, to_json
from journeys.language.nodes import Node
from journeys.language.rehearsal import rehearse
from journeys.language.walk import nodes_in
from tests.journeys.journey_strategies import journeys

STORED = sorted((Path(__file__).parents[1] / "stored").glob("*.json"))
SCHEMA = Draft202012Validator(json_schema())
MODULES = (conditions, durations, entries, events, messages, payloads, steps)
# No journey that a person wrote holds these: they are parts of other texts, or stand for what authors write in another way.
# SQL of an author may stand in segments only.
NOT_DRAWN = {"Always", "Statement"}


def shape(value: Any) -> Any:
    """What a value is made of, without asking any node whether it equals another."""
    if isinstance(value, Node):
        fields = dataclasses.fields(value)  # type: ignore[arg-type]
        return (type(value).__name__, [(each.name, shape(getattr(value, each.name))) for each in fields])
    if isinstance(value, (list, tuple)):
        return [shape(each) for each in value]
    return (type(value).__name__, repr(value))


def test_every_kind_of_node_is_drawn_and_comes_back_with_the_same_shape() -> None:
    drawn: set[str] = set()

    @settings(max_examples=150, phases=[Phase.generate], database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(journeys())
    def there_and_back(journey: Journey) -> None:
        text = to_json(journey)
        assert shape(from_json(text)) == shape(journey)
        SCHEMA.validate(json.loads(text))
        drawn.update(type(node).__name__ for node in nodes_in(journey))

    there_and_back()
    assert sorted(each.__name__ for each in _kinds() if each.__name__ not in drawn | NOT_DRAWN) == []


def _kinds() -> list[type[Node]]:
    found = [each for module in MODULES for each in vars(module).values() if isinstance(each, type) and issubclass(each, Node)]
    return [each for each in found if "kind" in getattr(each, "__dataclass_fields__", {})]


PLAIN: dict[str, Any] = json.loads(
    to_json(
        Journey(
            "plain",
            starts_on=event("x"),
            steps=[Send("hi", email("hi")), Wait("day", days(1))],
        )
    )
)
SEND, WAIT = PLAIN["steps"]
WRONG: dict[str, dict[str, Any]] = {
    "no name": {key: value for key, value in PLAIN.items() if key != "name"},
    "no steps": {key: value for key, value in PLAIN.items() if key != "steps"},
    "a name that is a number": {**PLAIN, "name": 7},
    "a field that nobody knows": {**PLAIN, "stesp": []},
    "a step of no kind": {**PLAIN, "steps": [{key: value for key, value in SEND.items() if key != "kind"}]},
    "a step of an unknown kind": {**PLAIN, "steps": [{**SEND, "kind": "sned"}]},
    "a step that is a text": {**PLAIN, "steps": ["send"]},
    "an unknown channel": {**PLAIN, "steps": [{**SEND, "message": {**SEND["message"], "channel": "pigeon"}}]},
    "an unknown class": {**PLAIN, "message_class": "urgent"},
    "a duration that is a text": {**PLAIN, "steps": [{**WAIT, "duration": "1 day"}]},
    "a condition where a duration belongs": {**PLAIN, "steps": [{**WAIT, "duration": {"kind": "has", "channel": "push"}}]},
    "a clock that shows 25 hours": {**PLAIN, "steps": [{"kind": "wait", "id": "w", "until": {"kind": "at", "time": "25:00"}}]},
    "a day that is none": {**PLAIN, "steps": [{"kind": "wait", "id": "w", "until": {"kind": "on", "weekday": "funday", "time": "09:00"}}]},
    "an unknown operator": {
        **PLAIN,
        "exits_on": {"kind": "compare", "left": {"kind": "trait", "path": "n"}, "op": "=", "right": 1},
    },
    "an empty path": {**PLAIN, "exits_on": {"kind": "exists", "of": {"kind": "trait", "path": ""}}},
    "a weight that is a list": {
        **PLAIN,
        "steps": [{"kind": "split", "id": "s", "arms": [{"kind": "arm", "name": "a", "weight": [50], "steps": []}]}],
    },
    "an unknown method": {
        **PLAIN,
        "steps": [{"kind": "call", "id": "c", "action": {"kind": "request", "method": "STEAL", "url": "https://example.com"}}],
    },
    "an entry of no kind": {**PLAIN, "starts_on": {"name": "x"}},
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_refused_by_the_reader_and_by_the_schema(what: str) -> None:
    assert from_json(json.dumps(PLAIN))
    with pytest.raises(ValidationError):
        from_json(json.dumps(WRONG[what]))
    assert not SCHEMA.is_valid(WRONG[what])


@pytest.mark.parametrize("file", STORED, ids=lambda file: file.stem)
def test_what_0_1_wrote_still_runs_to_an_end(file: Path) -> None:
    journey = from_json(file.read_bytes())
    assert rehearse(journey, entry={"total": 30, "order_id": "A1", "starts_at": "2026-03-09T18:00:00Z"}).ended
