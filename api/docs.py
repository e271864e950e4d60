"""/docs: the OpenAPI description as a page of our own, so that it opens without a script and without anybody else's server."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from api.documentation import SECRET, TAGS, WRITE
from api.html import page

router = APIRouter(include_in_schema=False)
Schema = Mapping[str, Any]


@router.get("/")
async def lead_to_docs() -> RedirectResponse:
    """Whoever opens the address itself finds the page that says what is here."""
    return RedirectResponse("/docs")


@router.get("/docs")
async def show_docs(request: Request) -> HTMLResponse:
    """Every operation with its parameters, fields and an example."""
    schema = request.app.openapi()
    return page("docs.html", {"info": schema["info"], "sections": _sections(schema, str(request.base_url).rstrip("/"))})


def _sections(schema: Schema, url: str) -> list[dict[str, Any]]:
    return [
        {"name": tag, "id": tag.lower().replace(" ", "-"), "words": words, "operations": list(_operations(schema, tag, url))}
        for tag, (words, _) in TAGS.items()
    ]


def _operations(schema: Schema, tag: str, url: str) -> Iterator[dict[str, Any]]:
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            if operation["tags"][0] == tag:
                yield {
                    "method": method.upper(),
                    "path": path,
                    "summary": operation["summary"],
                    "description": operation["description"],
                    "parameters": operation.get("parameters", []),
                    "fields": _fields(schema, _shape(operation.get("requestBody", {}).get("content", {}))),
                    "answer": _fields(schema, _answer(operation)),
                    "statuses": [(status, answer["description"]) for status, answer in operation["responses"].items()],
                    "keys": [_key_words(key, scopes) for each in operation["security"] for key, scopes in each.items()],
                    "example": _curl(schema, url, method.upper(), path, operation),
                }


def _key_words(key: str, scopes: Sequence[str]) -> str:
    return f"{key} with scope {scopes[0]}" if key == SECRET else key


def _answer(operation: Schema) -> Schema:
    return next((_shape(answer.get("content", {})) for status, answer in operation["responses"].items() if status < "300"), {})


def _shape(content: Schema) -> Schema:
    shape: Schema = content.get("application/json", {}).get("schema", {})
    return shape


def _resolved(schema: Schema, shape: Schema) -> Schema:
    while "$ref" in shape:
        shape = schema["components"]["schemas"][shape["$ref"].rsplit("/", 1)[1]]
    return shape


def _fields(schema: Schema, shape: Schema) -> list[dict[str, Any]]:
    whole = _resolved(schema, shape)
    required = whole.get("required", [])
    return [
        {"name": name, "type": _type(schema, member), "is_required": name in required, "description": member.get("description", "")}
        for name, member in whole.get("properties", {}).items()
    ]


def _type(schema: Schema, member: Schema) -> str:
    if "anyOf" in member:
        return " or ".join(dict.fromkeys(_type(schema, each) for each in member["anyOf"]))
    if "enum" in member:
        return " | ".join(str(value) for value in member["enum"])
    if "$ref" in member:
        return str(member["$ref"].rsplit("/", 1)[1])
    if member.get("type") == "array":
        return f"list of {_type(schema, member.get('items', {}))}"
    return str(member.get("format") or member.get("type", "any"))


def _curl(schema: Schema, url: str, method: str, path: str, operation: Schema) -> str:
    """A call that can be pasted; examples of the fields stand for values."""
    for parameter in operation.get("parameters", []):
        if parameter["in"] == "path":
            path = path.replace(f"{{{parameter['name']}}}", str(_example(parameter.get("schema", {}), parameter)))
    parts = ["curl"] + ([f"-X {method}"] if method not in {"GET", "POST"} else [])
    keys = [key for each in operation["security"] for key in each]
    if WRITE in keys:
        parts.append("-u $SOJOURN_WRITE_KEY:")
    elif keys:
        parts.append('-H "Authorization: Bearer $SOJOURN_KEY"')
    if (body := _body(schema, operation)) is not None:
        parts.append(f"-H 'Content-Type: application/json' -d '{json.dumps(body, ensure_ascii=False)}'")
    elif method == "POST":
        parts.append("-X POST")
    return " ".join([*parts, url + path])


def _body(schema: Schema, operation: Schema) -> Any:
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if content is None:
        return None
    if "example" in content:
        return content["example"]
    members = _resolved(schema, content["schema"]).get("properties", {})
    return {name: member["examples"][0] for name, member in members.items() if "examples" in member}


def _example(*shapes: Schema) -> Any:
    for shape in shapes:
        if "example" in shape:
            return shape["example"]
        if "examples" in shape:
            return shape["examples"][0]
    return 1 if shapes and shapes[0].get("type") == "integer" else "..."
