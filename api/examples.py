"""An example of each body and answer, made from the examples of its fields, so that none can differ from its shape."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from api.errors import ANSWERS

Schema = Mapping[str, Any]

_BY_FORMAT = {
    "date-time": "2026-11-23T12:00:00Z",
    "date": "2026-11-23",
    "uuid": "019a0000-0000-8000-8000-000000000000",
    "uri": "https://example.com/",
}
_BY_TYPE: dict[str, Any] = {"string": "text", "integer": 1, "number": 1.0, "boolean": False, "null": None}
_JSON = "application/json"
_PROBLEM = "application/problem+json"


def add_examples(operation: dict[str, Any], shapes: Mapping[str, Schema]) -> None:
    """Give the body and every answer of an operation an example, where it has none. `shapes`: the components of the description."""
    _fill(operation.get("requestBody", {}), shapes)
    for status, answer in operation["responses"].items():
        _fill(answer, shapes)
        if _PROBLEM in answer.get("content", {}):
            answer["content"][_PROBLEM]["example"] = problem(int(status))


def example(shape: Schema, shapes: Mapping[str, Schema]) -> Any:
    """One value of this shape."""
    if "$ref" in shape:
        return example(shapes[shape["$ref"].rsplit("/", 1)[1]], shapes)
    if shape.get("examples"):
        return shape["examples"][0]
    if "default" in shape:
        return shape["default"]
    for choice in ("const", "enum"):
        if choice in shape:
            return shape[choice] if choice == "const" else shape[choice][0]
    if several := shape.get("anyOf") or shape.get("oneOf"):
        # What may be null is null: an example shows the plain case.
        return None if {"type": "null"} in several else example(several[0], shapes)
    return _by_type(shape, shapes)


def problem(status: int) -> dict[str, Any]:
    """What an error of this status looks like."""
    phrase = HTTPStatus(status)
    known = next((answer for answer in ANSWERS.values() if answer.status == status), None)
    title, code = (known.title, known.code) if known else (phrase.phrase, phrase.name.lower())
    told: dict[str, Any] = {"type": "about:blank", "title": title, "status": status, "code": code, "message": title}
    if status == HTTPStatus.UNPROCESSABLE_ENTITY:
        told["errors"] = [{"pointer": "/channel", "code": "string_pattern_mismatch"}]
    return {**told, "request_id": "0f6c1f0c9f5e4c3f8a1d2b3c4d5e6f70"}


def _fill(part: dict[str, Any], shapes: Mapping[str, Schema]) -> None:
    content = part.get("content", {}).get(_JSON)
    if content is not None and "example" not in content and content.get("schema"):
        content["example"] = example(content["schema"], shapes)


def _by_type(shape: Schema, shapes: Mapping[str, Schema]) -> Any:
    match shape.get("type"):
        case "object":
            members = shape.get("properties", {})
            named = {name: example(member, shapes) for name, member in members.items()}
            return named if members or not isinstance(shape.get("additionalProperties"), Mapping) else {}
        case "array":
            return [example(shape["items"], shapes)] if "$ref" in shape.get("items", {}) else []
        case "string":
            return _BY_FORMAT.get(shape.get("format", ""), "text")
        case kind:
            return max(_BY_TYPE.get(str(kind)), shape["minimum"]) if "minimum" in shape else _BY_TYPE.get(str(kind))
