"""What /docs says of the doors for events: a sentence and an example for each."""

from typing import Any

from pydantic import BaseModel, Field

_LONG_AGO = "2019-05-04T10:00:00Z"
_WHEN = "2026-11-23T12:00:00Z"
_SAID: dict[str, tuple[str, str, dict[str, Any]]] = {
    "identify": (
        "Say who somebody is",
        "Sets attributes of a user (null removes one) and joins an anonymous past to them. `email` and `phone` become addresses.",
        {"userId": "user-4711", "traits": {"email": "ann@example.com", "plan": "pro"}, "messageId": "m-1", "timestamp": _WHEN},
    ),
    "track": (
        "Say what somebody did",
        "The event that starts and moves journeys. Repeats of a messageId within 30 days change nothing.",
        {"userId": "user-4711", "event": "signed_up", "properties": {"source": "ad"}, "messageId": "m-2", "timestamp": _WHEN},
    ),
    "page": (
        "Say which page was seen",
        "Stored as the event `page_viewed`.",
        {"anonymousId": "a1b2", "name": "Pricing"},
    ),
    "screen": (
        "Say which screen was seen",
        "Stored as the event `screen_viewed`.",
        {"userId": "user-4711", "name": "Cart"},
    ),
    "group": (
        "Say which group somebody belongs to",
        "Stored as the event `grouped`.",
        {"userId": "user-4711", "groupId": "acme", "traits": {"name": "Acme"}, "messageId": "m-5"},
    ),
    "alias": (
        "Say that two ids are one person",
        "Joins what is known of both.",
        {"previousId": "a1b2", "userId": "user-4711"},
    ),
    "batch": (
        "Send many at once",
        "Each item is a call of one of the kinds above. A bad item is named in `results` and takes nothing else with it.",
        {"batch": [{"type": "track", "userId": "user-4711", "event": "signed_up", "messageId": "m-7"}], "sentAt": _WHEN},
    ),
    "import": (
        "Send many at once, by another name",
        "The same as /v1/batch, because Segment's Java library posts its live events here. For history see /v1/history.",
        {"batch": [{"type": "identify", "userId": "user-4711", "traits": {"plan": "pro"}, "messageId": "m-8"}]},
    ),
    "history": (
        "Import what happened before",
        "The same body, with a secret key. Stored and counted in conditions; starts no journey and moves none. May be repeated.",
        {"batch": [{"type": "track", "userId": "user-4711", "event": "order_placed", "messageId": "o-17", "timestamp": _LONG_AGO}]},
    ),
}


class BrokenItemRule(BaseModel):
    """One broken rule of an item."""

    pointer: str = Field(description="where in the body (RFC 6901)", examples=["/batch/1/traits/email"])
    code: str = Field(description="which rule; stable", examples=["invalid_email"])


class ItemResult(BaseModel):
    """What is to be said of one item of the request."""

    index: int = Field(description="its place in the batch", examples=[1])
    status: int = Field(description="422: it was not taken; 200: it was, and `code` says what else", examples=[422])
    code: str = Field(examples=["invalid_email"])
    errors: list[BrokenItemRule] | None = None


class Received(BaseModel):
    """Everything that is not in `results` with 422 is committed."""

    success: bool = Field(examples=[True])
    accepted: int | None = Field(None, description="how many items were taken, when there is something to say", examples=[1])
    results: list[ItemResult] | None = Field(None, description="what is to be said of single items")


_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"model": Received, "description": "Committed", "content": {"application/json": {"example": {"success": True}}}},
    400: {"description": "The body or an item cannot be taken"},
    401: {"description": "The key is missing or not known"},
    429: {"description": "Too many at once; try again after `Retry-After` seconds"},
    503: {"description": "Try again after `Retry-After` seconds"},
}


def said(door: str) -> dict[str, Any]:
    """What add_api_route needs to describe a door."""
    summary, description, example = _SAID[door]
    return {
        "summary": summary,
        "description": description,
        "responses": _ANSWERS,
        "openapi_extra": {
            "requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}, "example": example}}}
        },
    }
