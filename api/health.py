"""For whoever runs Sojourn: does it live, may it be given work, and the figures for Prometheus. No key is needed."""

import asyncio
import time
from collections.abc import Iterator
from typing import Any

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import CollectorRegistry
from pydantic import BaseModel

from journeys.language.errors import Unavailable
from storage import health
from storage.database import Database
from storage.health import Gauges

READY_WITHIN_S = 0.3
GAUGES_KEPT_FOR_S = 15.0

router = APIRouter(tags=["Running it"])


class Health(BaseModel):
    """What was looked at, in words."""

    status: str


@router.get("/livez", summary="Is the process alive?")
async def livez() -> Health:
    """Answers as long as the process can answer at all. Restart it when it does not."""
    return Health(status="alive")


@router.get(
    "/readyz", summary="May it be given requests?", responses={503: {"description": "Not now: Postgres, the schema, or shutting down"}}
)
async def readyz(request: Request) -> Health:
    """Ready means: Postgres answers within 300 ms, the schema is the one this code needs, and the process is not shutting down.

    Temporal is not asked: events are accepted while it is down and told to the journeys afterwards.
    """
    if request.app.state.draining:
        raise Unavailable("shutting down", retry_after_s=5)
    if not await _is_current(request.app.state.database):
        raise Unavailable("the database is not at the newest migration: run `sojourn migrate`", retry_after_s=5)
    return Health(status="ready")


@router.get("/startupz", summary="Has it started?", responses={503: {"description": "Still waiting for Postgres or a migration"}})
async def startupz(request: Request) -> Health:
    """Answers 200 once Postgres has been reached with the right schema, and from then on whatever happens."""
    if not getattr(request.app.state, "has_started", False):
        await readyz(request)
        request.app.state.has_started = True
    return Health(status="started")


_FIGURES: dict[str, Any] = {"content": {"text/plain": {"schema": {"type": "string"}, "example": "sojourn_postgres_up 1.0\n"}}}


@router.get("/metrics", summary="Figures for Prometheus", response_class=Response, responses={200: _FIGURES})
async def metrics(request: Request) -> Response:
    """What this process counted, and what stands in Postgres (read at most every 15 seconds). Keep this path inside your network."""
    return Response(await asyncio.to_thread(generate_latest, await _registry(request)), media_type=CONTENT_TYPE_LATEST)


async def _is_current(database: Database) -> bool:
    try:
        async with asyncio.timeout(READY_WITHIN_S), database.transaction() as connection:
            return await health.is_current(connection)
    except TimeoutError as error:
        raise Unavailable("the database takes too long to answer") from error


class _Snapshot:
    """Figures from Postgres beside those of the process, for one scrape."""

    def __init__(self, gauges: Gauges | None) -> None:
        self._gauges = gauges

    def collect(self) -> Iterator[Metric]:
        yield from REGISTRY.collect()
        yield GaugeMetricFamily("sojourn_postgres_up", "1 when the figures below could be read", value=float(self._gauges is not None))
        if self._gauges is not None:
            yield from _families(self._gauges)


def _families(gauges: Gauges) -> Iterator[Metric]:
    yield GaugeMetricFamily("sojourn_outbox_rows", "Events that journeys have not been told of yet", value=gauges.outbox_depth)
    yield GaugeMetricFamily("sojourn_outbox_age_seconds", "How long the oldest of them has waited", value=gauges.outbox_age_seconds)
    yield _labelled("sojourn_enrollments_open", "People inside each journey", ("app", "journey"), gauges.inside)
    names = ("app", "channel", "state", "reason")
    yield _labelled("sojourn_messages", "Messages of the enrollments and requests that began in the last day", names, gauges.messages)
    troubles = ("app", "channel", "account", "trouble")
    words = "Accounts that are away or told us to wait; no account: the installation's provider"
    yield _labelled("sojourn_account_trouble", words, troubles, gauges.accounts_in_trouble)
    yield _labelled("sojourn_quarantine_rows", "Events that could not be told and need a person", ("app",), gauges.quarantined)


def _labelled(name: str, words: str, labels: tuple[str, ...], rows: list[tuple[object, ...]]) -> Metric:
    family = GaugeMetricFamily(name, words, labels=labels)
    for *values, number in rows:
        family.add_metric([str(value) for value in values], float(str(number)))
    return family


async def _registry(request: Request) -> CollectorRegistry:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Snapshot(await _gauges(request)))
    return registry


async def _gauges(request: Request) -> Gauges | None:
    """Read the figures, or take those of a moment ago: several scrapers must not multiply the work."""
    state = request.app.state
    read_at, kept = getattr(state, "gauges", (float("-inf"), None))
    if time.monotonic() - read_at < GAUGES_KEPT_FOR_S:
        return kept
    try:
        async with state.database.transaction() as connection:
            found: Gauges | None = await health.gauges(connection)
    except Unavailable:
        found = None
    state.gauges = (time.monotonic(), found)
    return found
