"""The doors for events: the paths of the Segment spec, and /v1/history for imports that start nothing. 200 means committed.

Segment's libraries drop a call on 400 and repeat it on everything else, so these doors answer 200, 400, 401, 429 and 503, nothing else.
"""

import json
import random
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request, Response

from api import limits, metrics
from api.auth import is_signed, key_ring, written_key
from api.body import broken_rule, is_plain, parse, read_raw
from api.errors import Answer, Forbidden, TooManyRequests, Unauthenticated, answer_to, problem, problem_of, retry_after
from api.ingest_words import said
from api.segment import KINDS, Envelope, Read, read_item
from journeys.language.errors import Invalid, Problem, SojournError, Unavailable
from storage import events, keys
from storage.database import Connection
from storage.events import Accepted, Trust
from storage.item_rules import read_time
from storage.keys import StoredKey

BATCH_BYTES = 500 * 1024
HISTORY_BYTES = 10 * 1024 * 1024
MOST_IN_FLIGHT = 256
# The limit on outbox rows stops bulk before it stops people who are on the page right now.
BULK_SHARE = 0.9
_OUTBOX_READ_EVERY_S = 5.0

router = APIRouter(tags=["Events"])


@dataclass(frozen=True)
class Door:
    """One path. `kind` of a single call, None for a batch. Segment's doors squeeze every refusal into what its libraries understand."""

    name: str
    kind: str | None = None
    is_history: bool = False

    @property
    def most_bytes(self) -> int:
        return HISTORY_BYTES if self.is_history else BATCH_BYTES

    @property
    def types(self) -> frozenset[str]:
        # Browsers post text/plain to spare themselves the question beforehand (the CORS preflight).
        return frozenset({"application/json"}) if self.is_history else frozenset({"application/json", "text/plain", ""})


DOORS = (*(Door(kind, kind) for kind in KINDS), Door("batch"), Door("import"), Door("history", is_history=True))
_TOO_MANY = Answer(429, "too_many_requests", "Too many requests are being answered: try again")
_CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "Retry-After, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, X-Request-Id",
}
_PREFLIGHT = {
    **_CORS,
    "Access-Control-Allow-Methods": "POST",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, Content-Encoding",
    "Access-Control-Max-Age": "86400",
}
_SUCCESS = b'{"success":true}'


def _door(door: Door) -> Callable[[Request], Coroutine[Any, Any, Response]]:
    async def accept_events(request: Request) -> Response:
        response = await _answer(request, door)
        if not door.is_history:
            response.headers.update(_CORS)
        return response

    return accept_events


async def _preflight() -> Response:
    return Response(status_code=HTTPStatus.NO_CONTENT, headers=_PREFLIGHT)


for _each in DOORS:
    for _path in (f"/v1/{_each.name}", f"/v1/{_each.name}/"):
        _is_listed = not _path.endswith("/")
        router.add_api_route(_path, _door(_each), methods=["POST"], name=_each.name, include_in_schema=_is_listed, **said(_each.name))
        if not _each.is_history:
            router.add_api_route(_path, _preflight, methods=["OPTIONS"], include_in_schema=False)


async def _answer(request: Request, door: Door) -> Response:
    state = request.app.state
    in_flight = getattr(state, "ingest_in_flight", 0)
    if in_flight >= MOST_IN_FLIGHT:
        seconds = retry_after(1 + random.random())  # noqa: S311 - spreads the callers
        return problem(request, _TOO_MANY, headers={"Retry-After": seconds, "X-RateLimit-Reset": seconds})
    state.ingest_in_flight = in_flight + 1
    try:
        return await _take(request, door)
    except SojournError as error:
        return _refusal(request, door, error)
    finally:
        state.ingest_in_flight -= 1


def _refusal(request: Request, door: Door, error: SojournError) -> Response:
    response = problem_of(request, error)
    if door.is_history:
        return response
    if isinstance(error, Forbidden):
        return problem_of(request, Unauthenticated("this key sends no events"))
    if isinstance(error, TooManyRequests):
        response.headers["X-RateLimit-Reset"] = response.headers["Retry-After"]
        return response
    if isinstance(error, Invalid):
        # A single call: its first broken rule is the code that the library shows.
        first = error.problems[0]
        answer = Answer(400, first.code, answer_to(error).title)
        return problem(request, answer, errors=[{"pointer": p.pointer, "code": p.code} for p in error.problems])
    if response.status_code not in {400, 401, 503}:
        return problem(request, replace(answer_to(error), status=400), detail=str(error))
    return response


async def _take(request: Request, door: Door) -> Response:
    await _admit(request, door)
    key = await _key_of_header(request, door)
    raw = await read_raw(request, most_bytes=door.most_bytes, types=door.types)
    body = parse(raw)
    if type(body) is not dict:
        raise Invalid([Problem("", "not_an_object")])
    key = key or await _key_of_body(request, door, body)
    limits.take(request, key.id, "ingest")
    if "ingest" not in key.scopes:
        raise Forbidden("this needs a key with the scope ingest")
    envelope = replace(_envelope(request, door, key, body), is_plain=is_plain(raw))
    batch = read_batch([body] if door.kind else _items(body), envelope)
    if door.kind and batch.refused:
        raise Invalid(batch.refused[0])
    taken = await _accept(request, key.app, batch, envelope)
    _count(door, batch, taken)
    return Response(_told(door, batch, taken), media_type="application/json")


async def _accept(request: Request, app: str, batch: "Batch", envelope: Envelope) -> list[Accepted]:
    if not batch.good:
        return []
    items = [read.incoming for read in batch.good.values()]

    async def accept(connection: Connection) -> list[Accepted]:
        return await events.accept(connection, app, items, received_at=envelope.received_at, is_history=envelope.is_history)

    began_at = time.perf_counter()
    taken = await request.app.state.database.run(accept, app)
    metrics.INGEST_SECONDS.observe(time.perf_counter() - began_at)
    if any(accepted.is_told for accepted in taken):
        request.app.state.notify()
    return list(taken)


# Who may come in --------------------------------------------------------------------------------------------------------


async def _admit(request: Request, door: Door) -> None:
    """Refuse while more waits for the relay than the limit: by number, never by age, because Temporal may be away for a day."""
    state = request.app.state
    now = time.monotonic()
    read_at, rows = getattr(state, "outbox_rows", (-_OUTBOX_READ_EVERY_S, 0))
    if now - read_at >= _OUTBOX_READ_EVERY_S:
        async with state.database.transaction() as connection:
            rows = await events.waiting(connection)
        state.outbox_rows = (now, rows)
    if rows >= state.settings.outbox_limit * (1 if door.kind else BULK_SHARE):
        raise Unavailable("too many events wait to be told to journeys", retry_after_s=random.uniform(5, 15))  # noqa: S311 - spreads the callers


async def _key_of_header(request: Request, door: Door) -> StoredKey | None:
    """The key of the Authorization header. None where the body may hold one instead: some libraries send a token of another kind."""
    written = written_key(request)
    if not door.is_history and keys.parse(written or "") is None:
        return None
    key = await key_ring(request).key(written or "")
    if door.is_history and key.kind != "secret":
        raise Forbidden("history is imported with a secret key")
    return key


async def _key_of_body(request: Request, door: Door, body: Mapping[str, Any]) -> StoredKey:
    written = body.get("writeKey")
    key = await key_ring(request).key(written if type(written) is str and not door.is_history else "")
    if key.kind == "secret":
        raise Forbidden("a secret key stands in the Authorization header only")
    return key


def _trust_of(request: Request, key: StoredKey) -> Callable[[str | None, object], Trust]:
    """Servers are believed. A browser is believed about a user id that a server has signed for it."""
    settings = request.app.state.settings

    def weigh(user_id: str | None, token: object) -> Trust:
        if key.kind != "public":
            return "server"
        is_proven = user_id is not None and type(token) is str and is_signed(settings, key.app, token, user_id)
        return "signed" if is_proven else "public"

    return weigh


# What came in, and what became of it ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Batch:
    """The items of one request by their position: those that can be taken, and what is wrong with the others."""

    good: Mapping[int, Read]
    refused: Mapping[int, list[Problem]]


def read_batch(raw_items: Sequence[Any], envelope: Envelope) -> Batch:
    """Read each item by itself: a bad one costs only itself."""
    good: dict[int, Read] = {}
    refused: dict[int, list[Problem]] = {}
    for index, raw in enumerate(raw_items):
        try:
            good[index] = read_item(raw, envelope)
        except Invalid as error:
            refused[index] = list(error.problems)
    return Batch(good, refused)


def _items(body: Mapping[str, Any]) -> list[Any]:
    items = body.get("batch")
    if type(items) is not list:
        raise Invalid([Problem("/batch", "not_a_list" if "batch" in body else "required")])
    return items


def _envelope(request: Request, door: Door, key: StoredKey, body: Mapping[str, Any]) -> Envelope:
    """What the items share. Of a single call the body is the item, and has its own context and sentAt."""
    own = Envelope(datetime.now(UTC), door.kind, is_history=door.is_history, trust=_trust_of(request, key))
    if door.kind:
        return own
    context, sent_at = body.get("context"), body.get("sentAt")
    broken = [] if context is None or type(context) is dict else [Problem("/context", "not_an_object")]
    limit = broken_rule(context)
    if limit is not None:
        broken.append(Problem(f"/context{limit.pointer}", limit.code))
    if sent_at is not None and read_time(sent_at) is None:
        broken.append(Problem("/sentAt", "invalid_time"))
    if broken:
        raise Invalid(broken)
    return replace(own, context=context or {}, sent_at=read_time(sent_at))


def _told(door: Door, batch: Batch, taken: Sequence[Accepted]) -> bytes:
    """Exactly {"success": true} when there is nothing to add."""
    results = [line for index, problems in batch.refused.items() for line in [_refused(index, problems)]]
    for (index, read), accepted in zip(batch.good.items(), taken, strict=True):
        results += [{"index": index, "status": 200, "code": code} for code in _notes(read, accepted)]
    if not results and not door.is_history:
        return _SUCCESS
    results.sort(key=lambda line: line["index"])
    # ASCII, because a pointer may name a key that UTF-8 cannot hold.
    return json.dumps({"success": True, "accepted": len(taken), "results": results}, separators=(",", ":")).encode()


def _notes(read: Read, accepted: Accepted) -> list[str]:
    """duplicate: known already, the first stays. withheld: the key may not set the addresses, consents or joins that stand there."""
    if accepted.verdict != "new":
        return ["duplicate"]
    return [*read.notes, *(["withheld"] if accepted.is_withheld else [])]


def _refused(index: int, problems: Sequence[Problem]) -> dict[str, Any]:
    errors = [{"pointer": f"/batch/{index}{problem.pointer}", "code": problem.code} for problem in problems]
    return {"index": index, "status": 422, "code": problems[0].code, "errors": errors}


def _count(door: Door, batch: Batch, taken: Sequence[Accepted]) -> None:
    outcomes = Counter(accepted.verdict for accepted in taken)
    for verdict, number in outcomes.items():
        metrics.INGEST_ITEMS.labels(door.name, verdict).inc(number)
    if batch.refused:
        metrics.INGEST_ITEMS.labels(door.name, "refused").inc(len(batch.refused))
