"""What the server says about itself: /docs and /openapi.json, with tags, keys, and the shape of every error."""

from collections.abc import Iterable, Sequence
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field

from api.auth import KeyFor
from api.examples import add_examples

SECRET, WRITE, PUBLIC, CLIENT = "secret key", "write key", "public key", "client token"
# tag -> (what stands under it, which keys open it); in the order of the page.
TAGS: dict[str, tuple[str, tuple[str, ...]]] = {
    "Events": ("Where events come in: the paths of the Segment spec, and history.", (WRITE, PUBLIC, SECRET)),
    "Users": ("Who your users are, what is known of them, and what happened to them.", (SECRET,)),
    "Endpoints": ("Addresses of users.", (SECRET,)),
    "Consents": ("What users agreed to and withdrew.", (SECRET,)),
    "Suppressions": ("Addresses that nothing may be sent to.", (SECRET,)),
    "Journeys": ("What is published, and publishing.", (SECRET,)),
    "Templates": ("What messages say, in versions.", (SECRET,)),
    "Sources": ("Outside data that templates look up by a key.", (SECRET,)),
    "Segments": ("Named conditions over users, and lists of people.", (SECRET,)),
    "Campaigns": ("One message to a segment, from draft to finished.", (SECRET,)),
    "Files": ("What is uploaded to be imported, and what exports have made.", (SECRET,)),
    "Imports": ("Users, events and lists out of files, and people into files.", (SECRET,)),
    "Enrollments": ("Who is in which journey, and where they stand.", (SECRET,)),
    "Jobs": ("Long work: how far it is, stopping it and going on.", (SECRET,)),
    "One-time codes": ("Codes that show that an address is somebody's.", (SECRET,)),
    "Messages": ("Sending directly, and what became of every message.", (SECRET,)),
    "Tracking": ("Which opens and clicks are counted, and where links lead on their way.", (SECRET,)),
    "In-app": ("What a user's own client shows: messages to show now, and an inbox.", (CLIENT,)),
    "Pausing": ("The big switches.", (SECRET,)),
    "App": ("Its settings: who mails are from, when and how often messages may leave.", (SECRET,)),
    "Keys": ("API keys and what they may do.", (SECRET,)),
    "Providers": ("Accounts at providers, through which messages leave.", (SECRET,)),
    "Provider webhooks": ("For providers alone, which prove who they are; the key in the address finds the account.", ()),
    "Replies": ("What people wrote back that a person must look at.", (SECRET,)),
    "Sandbox": ("What would have left.", (SECRET,)),
    "Links in messages": ("Pages that receivers open; the signed link is the key.", ()),
    "Running it": ("For whoever runs Sojourn. Keep them inside your network.", ()),
}
# Where one operation asks for more than its neighbours.
_KEYS = {"/v1/history": (SECRET,)}
_DESCRIPTION = """
Send events with any Segment library; manage everything else with a **secret key** (`Authorization: Bearer sj_secret_...`).

Errors are `application/problem+json` (RFC 9457) with a stable `code`, a `request_id`, and for each broken rule a pointer and a code; they
never repeat a value. Lists are pages: ask again with `cursor` set to `next`. `503` and `429` say in `Retry-After` when to come back;
`RateLimit-Remaining` says how often the key may still ask.

A secret key may be limited to **scopes**: `ingest`, `send`, `read`, `manage`, `erase`, `keys`. Each operation names the one that it needs.
""".strip()
_SCHEMES = {
    SECRET: {"type": "http", "scheme": "bearer", "description": "sj_secret_...: for your servers, everything but browsers"},
    WRITE: {"type": "http", "scheme": "basic", "description": "sj_write_... as user, any password: for events from your servers"},
    CLIENT: {"type": "http", "scheme": "bearer", "description": "from POST /v1/users/{user_id}/client-token: for one user's client"},
    PUBLIC: {"type": "http", "scheme": "basic", "description": "sj_public_... as user, any password: for events from browsers and apps"},
}


class BrokenRule(BaseModel):
    """One broken rule of a request."""

    pointer: str = Field(description="where in the body (RFC 6901); with `in`, the name of a parameter", examples=["/attributes/plan"])
    code: str = Field(description="which rule; stable", examples=["string_too_long"])
    message: str | None = Field(None, description="what to do, for people")
    place: str | None = Field(None, alias="in", description="query, path or header, when it is not the body")


class Problem(BaseModel):
    """Every error (RFC 9457)."""

    type: str = Field(examples=["about:blank"])
    title: str = Field(examples=["Some values break a rule"])
    status: int = Field(examples=[422])
    code: str = Field(description="what went wrong; stable", examples=["invalid"])
    message: str = Field(description="the title or the detail: Segment's libraries read this")
    detail: str | None = None
    errors: list[BrokenRule] | None = None
    request_id: str = Field(description="as in X-Request-Id and in our logs", examples=["0f6c1f0c9f5e4c3f8a1d2b3c4d5e6f70"])


def install(app: FastAPI, routers: Sequence[APIRouter]) -> None:
    """Let /openapi.json be made here, once."""
    made: dict[str, Any] = {}

    def openapi() -> dict[str, Any]:
        if not made:
            made.update(_openapi(app, routers))
        return made

    app.openapi = openapi  # type: ignore[method-assign]  # the way that FastAPI documents


def _openapi(app: FastAPI, routers: Sequence[APIRouter]) -> dict[str, Any]:
    tags = [{"name": name, "description": words} for name, (words, _) in TAGS.items()]
    schema = get_openapi(title="Sojourn", version=app.version, description=_DESCRIPTION, routes=app.routes, tags=tags)
    shapes = schema["components"]["schemas"]
    for shape in (BrokenRule, Problem):
        whole = shape.model_json_schema(ref_template="#/components/schemas/{model}")
        whole.pop("$defs", None)
        shapes[shape.__name__] = whole
    for unused in ("HTTPValidationError", "ValidationError"):
        shapes.pop(unused, None)
    schema["components"]["securitySchemes"] = _SCHEMES
    scopes = scopes_of(routers)
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            _finish(path, operation, scopes.get((method.upper(), path)))
            add_examples(operation, shapes)
    return schema


def scopes_of(routers: Iterable[APIRouter]) -> dict[tuple[str, str], str]:
    """What a secret key must be allowed to do, by method and path; only operations that take nothing but secret keys are in it."""
    found: dict[tuple[str, str], str] = {}
    for route in (route for router in routers for route in router.routes if isinstance(route, APIRoute)):
        keys = [each.call for each in route.dependant.dependencies if isinstance(each.call, KeyFor)]
        found |= {(method, route.path_format): key.scope(method) for key in keys for method in route.methods or ()}
    return found


def _finish(path: str, operation: dict[str, Any], scope: str | None) -> None:
    """Name the keys and what they must be allowed to do, and let every error be a Problem."""
    keys = (SECRET,) if scope else _KEYS.get(path, TAGS[operation["tags"][0]][1])
    operation["security"] = [{key: [] if key == CLIENT else [scope or "ingest"]} for key in keys]
    for status, answer in operation["responses"].items():
        if status >= "400":
            answer["content"] = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
