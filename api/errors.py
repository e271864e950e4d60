"""The one place where errors become HTTP: a table from error to status, and problem+json (RFC 9457) that never repeats a value.

Every answer has `code` and `message` besides the RFC's members: Segment's Python library reads exactly these two.
"""

import json
import math
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from activities.one_time_codes import AskedTooOften
from journeys.language.errors import Conflict, Invalid, NotFound, OutsideSegment, Problem, Refused, SojournError, Unavailable
from storage.segment_people import SqlFailed, TooSlow


class Malformed(Refused):
    """The request cannot be read at all: not JSON, not UTF-8, not gzip. Send well-formed JSON."""


class Unauthenticated(Refused):
    """There is no key in the request, or none that is known: one answer for both."""


class Forbidden(Refused):
    """The key is known but may not do this. Use a key of the kind that the documentation names."""


class TooLarge(Refused):
    """The body is larger than this operation takes. Split it."""


class UnsupportedMediaType(Refused):
    """The body is not of a content type or encoding that this operation takes. Send application/json."""


class TooManyRequests(Refused):
    """The key asks more often than its limit. Come back after `retry_after_s` seconds."""

    def __init__(self, message: str, retry_after_s: float = 1.0) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(message)


class Unreadable(HTTPException):
    """Carries an error through FastAPI while it reads a body: anything else raised there becomes its own 400."""

    def __init__(self, error: SojournError) -> None:
        self.error = error
        super().__init__(status_code=answer_to(error).status)


@dataclass(frozen=True)
class Answer:
    """How one kind of error is told: the HTTP status, a stable word, and a sentence that is the same every time."""

    status: int
    code: str
    title: str


ANSWERS: dict[type[SojournError], Answer] = {
    Malformed: Answer(400, "malformed", "The request cannot be read"),
    Unauthenticated: Answer(401, "unauthenticated", "The key is missing or not known"),
    Forbidden: Answer(403, "forbidden", "This key may not do that"),
    NotFound: Answer(404, "not_found", "There is no such thing in this app"),
    Conflict: Answer(409, "conflict", "The present state does not allow this"),
    TooLarge: Answer(413, "too_large", "The body is too large"),
    UnsupportedMediaType: Answer(415, "unsupported_media_type", "Send application/json"),
    TooManyRequests: Answer(429, "too_many_requests", "Too many requests: try again later"),
    AskedTooOften: Answer(429, "asked_too_often", "Too many codes were asked for: try again later"),
    Invalid: Answer(422, "invalid", "Some values break a rule"),
    OutsideSegment: Answer(422, "outside_segment", "SQL is asked only where a segment is counted"),
    TooSlow: Answer(422, "too_slow", "Who is in the segment was not known within the time"),
    SqlFailed: Answer(422, "sql_fails", "The SQL of a segment cannot be run"),
    Refused: Answer(422, "refused", "The request cannot be carried out"),
    Unavailable: Answer(503, "unavailable", "Sojourn cannot answer now: try again"),
}
UNEXPECTED = Answer(500, "unexpected", "Something went wrong on our side")
# Where these words are fixed sentences of the table, an id of another app and an unknown one give the same bytes.
_WITHOUT_DETAIL = (NotFound, Unauthenticated, Invalid, Unavailable)


def answer_to(error: SojournError) -> Answer:
    """Find the line of the table for an error: that of its nearest ancestor."""
    return next((ANSWERS[kind] for kind in type(error).__mro__ if kind in ANSWERS), UNEXPECTED)


def problem(
    request: Request | None,
    answer: Answer,
    *,
    detail: str = "",
    errors: Iterable[Mapping[str, Any]] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Write one problem+json answer. `errors` are {pointer, code} and whatever explains them; no value of the request."""
    body: dict[str, Any] = {"type": "about:blank", "title": answer.title, "status": answer.status, "code": answer.code}
    body["message"] = detail or answer.title
    if detail:
        body["detail"] = detail
    listed = [dict(error) for error in errors]
    if listed:
        body["errors"] = listed
    body["request_id"] = request_id(request)
    # The standard library's ASCII output also carries what UTF-8 cannot (a lone surrogate in a key that a pointer names).
    return Response(json.dumps(body), answer.status, headers, media_type="application/problem+json")


def problem_of(request: Request | None, error: SojournError) -> Response:
    """Write the answer to an error of the tree."""
    answer = answer_to(error)
    detail = "" if isinstance(error, _WITHOUT_DETAIL) or answer is UNEXPECTED else str(error)
    return problem(request, answer, detail=detail, errors=_listed(error), headers=_headers(error, answer))


def request_id(request: Request | None) -> str:
    """The id of this request, as in its X-Request-Id header and its log lines."""
    return str(getattr(request.state, "request_id", "")) if request is not None else ""


def retry_after(seconds: float) -> str:
    """Seconds for Retry-After, spread up to twice as long so that callers do not come back all at once."""
    return str(max(1, math.ceil(seconds * random.uniform(1, 2))))  # noqa: S311 - spreading load, no secret


def pointer(location: Sequence[str | int]) -> str:
    """Write a path into the body as an RFC 6901 pointer."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in location)


def install(app: FastAPI) -> None:
    """Let every error of this app be told by this file."""
    app.add_exception_handler(SojournError, _on_error)
    app.add_exception_handler(RequestValidationError, _on_validation)
    app.add_exception_handler(HTTPException, _on_http)


async def _on_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, SojournError)
    return problem_of(request, error)


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if isinstance(error, Unreadable):
        return problem_of(request, error.error)
    status = HTTPStatus(error.status_code)
    known = next((answer for answer in ANSWERS.values() if answer.status == status), None)
    return problem(request, known or Answer(status, status.name.lower(), status.phrase), headers=error.headers)


async def _on_validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found = [_broken_rule(item) for item in error.errors()]
    if any(item["code"] == "json_invalid" or (item["code"] == "missing" and item["pointer"] == "") for item in found):
        return problem(request, ANSWERS[Malformed], errors=[{"pointer": "", "code": "json_invalid"}])
    return problem(request, ANSWERS[Invalid], errors=found)


def _broken_rule(item: Mapping[str, Any]) -> dict[str, str]:
    """Say where and which rule; pydantic's own message and input would repeat the value."""
    place, *location = item["loc"]
    told = {"pointer": pointer(location), "code": str(item["type"])}
    return told if place == "body" else {"in": str(place), **told}


def _listed(error: SojournError) -> list[dict[str, str]]:
    problems: tuple[Problem, ...] = error.problems if isinstance(error, Invalid) else ()
    return [{"pointer": p.pointer, "code": p.code} | ({"message": p.message} if p.message else {}) for p in problems]


def _headers(error: SojournError, answer: Answer) -> dict[str, str]:
    if isinstance(error, (Unavailable, TooManyRequests, AskedTooOften)):
        return {"Retry-After": retry_after(error.retry_after_s)}
    return {"WWW-Authenticate": 'Bearer realm="sojourn"'} if answer.status == HTTPStatus.UNAUTHORIZED else {}
