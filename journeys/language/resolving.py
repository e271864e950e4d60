"""What a payload gives away: its JSON with every expression read out of given facts."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import quote

from journeys.language.conditions import ExpressionNode
from journeys.language.facts import Facts
from journeys.language.payloads import URL_PLACE, Items, Json, Object, Payload, pairs, url_places
from journeys.language.reading import value
from journeys.language.steps import Request

USER_ID = "user_id"


def naming(facts: Facts, user_id: str | None) -> Facts:
    """The facts that payloads read: `trait("user_id")` is the caller's own id of the person, as `user.user_id` in templates."""
    return replace(facts, attributes={**facts.attributes, USER_ID: user_id})


def resolved(given: Json, facts: Facts, at: datetime) -> Any:
    """The plain JSON value, as of a moment. What is missing is null; an instant (`last_did`) is ISO 8601 text."""
    match given:
        case Object():
            return {key: resolved(inner, facts, at) for key, inner in given.pairs}
        case Items():
            return [resolved(inner, facts, at) for inner in given.items]
        case ExpressionNode():
            found = value(given, facts, at)
            return found.isoformat() if isinstance(found, datetime) else found
        case _:
            return given


def object_of(payload: Payload, facts: Facts, at: datetime) -> dict[str, Any]:
    """The same of an object: the properties of an Enter, the arguments of a function."""
    return {key: resolved(given, facts, at) for key, given in pairs(payload)}


def changes(attributes: Payload, facts: Facts, at: datetime) -> dict[str, Any]:
    """What an Update writes. None removes an attribute where the author wrote None; an expression that reads nothing changes nothing."""
    read = {key: (given, resolved(given, facts, at)) for key, given in pairs(attributes)}
    return {key: found for key, (given, found) in read.items() if found is not None or given is None}


def url_of(request: Request, facts: Facts, at: datetime) -> str | None:
    """The request's URL with each {place} filled in, percent-encoded. None when a value is missing, or is no text and no number."""
    given = dict(pairs(request.fill)) if request.fill is not None else {}
    texts = {name: _as_text(resolved(given.get(name), facts, at)) for name in url_places(request.url)}
    if None in texts.values():
        return None
    return URL_PLACE.sub(lambda place: quote(texts[place[1]] or "", safe=""), request.url)


def headers_of(request: Request, facts: Facts, at: datetime) -> Mapping[str, str]:
    """The request's headers as text; one whose value is missing is left out."""
    read = {name: _as_text(resolved(given, facts, at)) for name, given in (pairs(request.headers) if request.headers is not None else ())}
    return {name: text for name, text in read.items() if text is not None}


def _as_text(found: Any) -> str | None:
    match found:
        case bool():
            return "true" if found else "false"
        case str():
            return found or None
        case int() | float():
            return str(found)
        case _:
            return None
