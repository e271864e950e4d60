"""A campaign of mails through worker processes, as the two benchmarks of it share it: people, servers, workers and a run to its end."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid4

from pydantic import TypeAdapter
from sqlalchemy import text

from bench.draining import FILES
from cli.children import sojourn, start_child, stop_child
from cli.embedded_postgres import EmbeddedPostgres, free_port
from journeys.language import email, trait
from journeys.language.campaigns import Campaign
from journeys.language.codec import condition_hash, condition_to_json
from journeys.language.errors import Unavailable
from journeys.language.segments import mentions
from storage import campaign_runs, segments, templates
from storage.database import Database
from workflows.campaign_starter import CampaignStarter
from workflows.client import connect

QUEUE = "sojourn"
SUPPRESSED = 100
"""Of so many people one is suppressed, and another has left the topic."""
_SETTINGS = {"caps": [{"kind": "cap", "at_most": 1000, "per": "day"}], "postal_address": "1 Way"}
_PEOPLE = text("""
WITH made AS (
  INSERT INTO users (app, user_id, attributes)
  SELECT 'demo', 'user-' || n, jsonb_build_object('name', 'Ann ' || n, 'plan', 'gold')
  FROM generate_series(CAST(:first AS integer), CAST(:last AS integer)) n RETURNING id
), at AS (
  INSERT INTO endpoints (app, user_id, channel, address, address_hash, confirmed_at)
  SELECT 'demo', id, 'email', 'ann' || id || '@example.org',
    sha256(length_prefixed('demo', 'email', 'ann' || id || '@example.org')), now() FROM made
), left_topic AS (
  INSERT INTO consents (app, user_id, channel, topic, state, source) SELECT 'demo', id, 'email', 'general', 'withdrawn', 'bench'
  FROM made WHERE id % :every = 1
)
INSERT INTO suppressions (app, channel, address_hash, reason, source)
SELECT 'demo', 'email', (suppression_hashes(sha256(length_prefixed('demo', 'email', 'ann' || id || '@example.org'))))[1], 'manual', 'bench'
FROM made WHERE id % :every = 0
""")


async def prepare(database: Database) -> None:
    """An app with a cap, its template, and a segment with everybody in it."""
    async with database.transaction() as connection:
        await connection.execute(text("INSERT INTO apps (id, name, settings) VALUES ('demo', 'Demo', :settings)"), {"settings": _SETTINGS})
        await templates.publish(connection, "demo", "news", dict(FILES), "hash")
        everybody = trait("plan") == "gold"
        written = condition_to_json(everybody).decode()
        await segments.publish(connection, "demo", "everybody", written, condition_hash(everybody), mentions(everybody))


async def fill(database: Database, people: int) -> None:
    """Let there be so many people in all."""
    async with database.transaction() as connection:
        there: int = (await connection.execute(text("SELECT count(*) FROM users"))).scalar_one()
    for first in range(there + 1, people + 1, 50_000):
        async with database.transaction() as connection:
            await connection.execute(_PEOPLE, {"first": first, "last": min(first + 49_999, people), "every": SUPPRESSED})
    async with database.engine.connect() as plain:
        await (await plain.execution_options(isolation_level="AUTOCOMMIT")).execute(text("VACUUM ANALYZE"))


@contextmanager
def sink(place: Path, environment: Mapping[str, str] | None = None) -> Iterator[tuple[int, int]]:
    """Its port and process id."""
    port = free_port()
    child = start_child([sys.executable, "-m", "bench.sinks", "smtp", str(port)], place / "sink.log", environment=environment)
    try:
        yield port, child.pid
    finally:
        stop_child(child)


def start_worker(place: Path, server: EmbeddedPostgres, smtp_port: int, connections: int, *, many: int = 1) -> subprocess.Popen[bytes]:
    environment = {
        "SOJOURN_DATABASE_URL": server.url,
        "SOJOURN_EMAIL_PROVIDER": "smtp",
        "SOJOURN_SMTP_PORT": str(smtp_port),
        "SOJOURN_SMTP_TLS": "none",
        "SOJOURN_SMTP_CONNECTIONS": str(connections),
        "SOJOURN_ALLOWED_RECIPIENTS": "@example.org",
        "SOJOURN_LANE_JOURNALS": str(place / "journals"),
    }
    return start_child(sojourn("worker", "--processes", str(many)), place / "worker.log", environment=environment)


@contextmanager
def workers(place: Path, server: EmbeddedPostgres, smtp_port: int, *, connections: int = 10, many: int = 2) -> Iterator[int]:
    """So many processes of one command; its process id."""
    child = start_worker(place, server, smtp_port, connections, many=many)
    try:
        yield child.pid
    finally:
        stop_child(child)


@dataclass(frozen=True)
class Done:
    """A run to its end: seconds until it was planned, and until all was settled."""

    run_id: UUID
    planned_s: float
    lasted_s: float
    sent: int


async def launch(database: Database, *, most: int | None = None) -> UUID:
    campaign = Campaign("news", "everybody", email("news"), most_people=most)
    run_id = uuid4()
    async with database.transaction() as connection:
        definition = TypeAdapter(Campaign).dump_json(campaign, exclude_none=True).decode()
        await campaign_runs.begin(connection, "demo", run_id, campaign="news", version=1, definition=definition)
    await CampaignStarter(await connect(()), QUEUE).look("demo", run_id)
    return run_id


async def run(database: Database, *, most: int | None = None) -> Done:
    """Launch, and wait until nothing is left."""
    began = time.perf_counter()
    run_id = await launch(database, most=most)
    planned_s = 0.0
    while True:
        async with database.transaction() as connection:
            found = await campaign_runs.get(connection, "demo", run_id)
            left = await campaign_runs.left(connection, "demo", run_id)
        assert found is not None
        if found.planned_at is not None and not planned_s:
            planned_s = time.perf_counter() - began
        if found.planned_at is not None and not left.chunks:
            break
        await asyncio.sleep(0.1)
    lasted_s = time.perf_counter() - began
    async with database.transaction() as connection:
        tallies = await campaign_runs.tallies(connection, "demo", run_id)
    return Done(run_id, planned_s, lasted_s, sum(each.messages for each in tallies if each.state == "sent"))


async def until_finished(database: Database) -> None:
    """Wait for the end of every run. Whatever is killed meanwhile, the answer comes."""
    while True:
        with suppress(Unavailable):
            async with database.transaction() as connection:
                states = set((await connection.execute(text("SELECT state FROM campaign_runs"))).scalars())
            if states <= {"finished", "stopped"}:
                return
        await asyncio.sleep(0.5)


def setting(name: str, default: int) -> int:
    return int(os.environ.get(f"SOJOURN_BENCH_{name}", str(default)))
