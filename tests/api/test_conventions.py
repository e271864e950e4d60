"""What every operation keeps to, whoever adds it: repeats, pages, names, examples, errors."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker  # type: ignore[import-untyped]

from api.app import ROUTERS, create_app
from api.documentation import scopes_of
from settings import Settings

SCHEMA = create_app(Settings()).openapi()
OPERATIONS = {f"{method.upper()} {path}": operation for path, methods in SCHEMA["paths"].items() for method, operation in methods.items()}
MANAGED = {f"{method} {path}": OPERATIONS[f"{method} {path}"] for method, path in scopes_of(ROUTERS)}
# A repeat of these does no more than the first: they switch something, or name what they make.
REPEATABLE = {
    "POST /v1/pause": "a switch",
    "POST /v1/resume": "a switch",
    "POST /v1/journeys/{name}/pause": "a switch",
    "POST /v1/journeys/{name}/resume": "a switch",
    "POST /v1/jobs/{job_id}/stop": "a switch",
    "POST /v1/jobs/{job_id}/resume": "a switch",
    "POST /v1/endpoints/{endpoint_id}/activate": "a switch",
    "POST /v1/endpoints/{endpoint_id}/deactivate": "a switch",
    "POST /v1/templates/{name}/activate": "a switch",
    "POST /v1/segments/{name}/activate": "a switch",
    "POST /v1/journeys/plan": "only looks",
    "POST /v1/templates/{name}/preview": "only looks",
    "POST /v1/files": "a file that nothing names does nothing, and is gone after a day",
    "POST /v1/segments/preview": "only looks",
    "POST /v1/campaigns/{name}/submit": "a switch",
    "POST /v1/campaigns/{name}/approve": "a switch",
    "POST /v1/campaigns/{name}/send-back": "a switch",
    "POST /v1/campaigns/{name}/pause": "a switch",
    "POST /v1/campaigns/{name}/resume": "a switch",
    "POST /v1/campaigns/{name}/stop": "a switch",
    "POST /v1/campaigns/{name}/dry-run": "only looks",
    "POST /v1/campaigns/{name}/runs/{run_id}/winner": "what is decided stays so",
    "POST /v1/segments/{name}/members": "who is on the list stays on it, and who is off it stays off",
    "POST /v1/journeys/apply": "the same content again is the same version",
    "POST /v1/users/{user_id}/signature": "stores nothing",
    "POST /v1/users/{user_id}/client-token": "stores nothing",
    "POST /v1/enrollments/{enrollment_id}/move": "who is there already is not moved again",
    "POST /v1/quarantine/release": "what was released is there no more",
    "POST /v1/journeys/{name}/report/rebuild": "counts the same again",
    "POST /v1/providers/{channel}/{name}/verify": "only asks",
    "POST /v1/sources/{name}/look": "only asks",
    "POST /v1/providers/reseal": "what is sealed with the newest key stays",
    "POST /v1/suppressions/rekey": "what is under the newest key stays",
    "POST /v1/enrollments/{enrollment_id}/advance": "the wait that has ended does not end again",
    "POST /v1/enrollments/{enrollment_id}/exit": "ends it once",
    "POST /v1/otp/verify": "each try counts",
    "POST /v1/messages/{message_id}/resolve": "what is resolved stays so",
    "POST /v1/unclear-replies/{reply_id}/decide": "what is decided stays so",
}
# Lists that a person reads in one look.
SHORT = {
    "GET /v1/users/{user_id}/consents": "one user's record",
    "GET /v1/journeys": "a house has tens",
    "GET /v1/topics": "an app has tens",
}


def parameters(operation: Mapping[str, Any]) -> set[str]:
    return {parameter["name"].lower() for parameter in operation.get("parameters", [])}


def test_every_post_that_makes_something_takes_an_idempotency_key() -> None:
    posts = {name for name in MANAGED if name.startswith("POST ")}
    assert {name for name in posts - set(REPEATABLE) if "idempotency-key" not in parameters(OPERATIONS[name])} == set()


def lists() -> Iterator[str]:
    for name, operation in MANAGED.items():
        answer = operation["responses"].get("200", {}).get("content", {}).get("application/json", {}).get("schema", {})
        shape = SCHEMA["components"]["schemas"].get(answer.get("$ref", "").rsplit("/", 1)[-1], {})
        if name.startswith("GET ") and any(part in shape.get("properties", {}) for part in ("items", "history")):
            yield name


def test_every_list_has_pages() -> None:
    found = set(lists())
    assert len(found) > 10
    assert {name for name in found - set(SHORT) if not {"cursor", "limit"} <= parameters(OPERATIONS[name])} == set()


def test_every_operation_has_a_name_of_its_own_for_generated_clients() -> None:
    names = Counter(operation["operationId"] for operation in OPERATIONS.values())
    assert [name for name, times in names.items() if times > 1 or not name.isidentifier()] == []


def test_no_two_shapes_have_one_name() -> None:
    """Two classes of one name become `api__reports__View`, or `View-Input`: generators stumble over them."""
    assert [name for name in SCHEMA["components"]["schemas"] if "__" in name or "-" in name] == []


def contents() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for name, operation in OPERATIONS.items():
        parts = {"body": operation.get("requestBody", {}), **operation["responses"]}
        for place, part in parts.items():
            for kind, content in part.get("content", {}).items():
                if kind != "text/html":
                    yield name, f"{place} {kind}", content


CONTENTS = list(contents())


@pytest.mark.parametrize(("name", "place", "content"), CONTENTS, ids=[f"{name} {place}" for name, place, _ in CONTENTS])
def test_every_body_and_answer_has_an_example_of_its_shape(name: str, place: str, content: dict[str, Any]) -> None:
    assert content["schema"], "no schema"
    shape = {**content["schema"], "components": SCHEMA["components"]}
    Draft202012Validator(shape, format_checker=FormatChecker()).validate(content["example"])


@pytest.mark.parametrize("name", sorted(MANAGED))
def test_every_managing_operation_tells_its_errors_as_problems(name: str) -> None:
    told = MANAGED[name]["responses"]
    assert {"401", "429", "503"} <= set(told)
    assert all("application/problem+json" in answer["content"] for status, answer in told.items() if status >= "400")
