"""Fixtures that several rooms share: a real Postgres, one migrated database copied for each test that asks for it."""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings as hypothesis_settings
from temporalio.bridge.worker import Worker as BridgeWorker
from temporalio.worker._workflow import _WorkflowWorker

from cli.children import stop_child
from cli.embedded_postgres import EmbeddedPostgres, free_port
from cli.memory import spare_the_collector
from cli.temporal_binary import temporal_binary
from cli.temporal_server import DevServer
from storage.database import Database
from storage.migrations.runner import migrate
from tests.clean_database import TEMPLATE, CleanDatabases

# A test that is given no Temporal of its own must not find the one that a developer runs.
os.environ.setdefault("TEMPORAL_ADDRESS", "127.0.0.1:1")

hypothesis_settings.register_profile("sojourn", deadline=None, max_examples=int(os.environ.get("SOJOURN_EXAMPLES", "100")), print_blob=True)
hypothesis_settings.load_profile("sojourn")


# Here processes, clocks and a browser are real, and a machine that is busy for a moment is none of the code's doing.
_REAL_CLOCKS = ("workflows", "crash", "browser", "cli", "deploy")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever fails there is run once more, and the summary says RERUN: a chance to look into, not to be waved through."""
    for item in items:
        if Path(str(item.fspath)).relative_to(Path(__file__).parent).parts[0] in _REAL_CLOCKS:
            item.add_marker(pytest.mark.flaky(reruns=1, only_rerun="."))


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """One cluster for the test run; durability is off here because only tests that kill Postgres need it (they start their own)."""
    with tempfile.TemporaryDirectory(prefix="sojourn-pg-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        server = EmbeddedPostgres(Path(folder) / "data", free_port())
        server.start(options="-c fsync=off -c synchronous_commit=off -c max_connections=300")
        server.create_database(TEMPLATE)
        asyncio.run(migrate(server.database_url(TEMPLATE)))
        yield server
        server.stop("immediate")


@pytest.fixture(scope="session")
def clean_databases(postgres: EmbeddedPostgres) -> CleanDatabases:
    return CleanDatabases(postgres)


@pytest.fixture
async def database_url(clean_databases: CleanDatabases) -> AsyncIterator[str]:
    """The URL of a fresh migrated database with one app, `demo`."""
    yield await clean_databases.give()
    await clean_databases.take_back()


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database(database_url)
    async with opened.transaction() as connection:
        await connection.exec_driver_sql("INSERT INTO apps (id, name) VALUES ('demo', 'Demo')")
    yield opened
    await opened.close()


@pytest.fixture(scope="session")
def temporal() -> Iterator[str]:
    """The address of one Temporal dev server for the test run, in memory, where tests may skip time."""
    suspect_deadlocks_only_after(seconds=30)
    leave_a_core_that_does_not_end(after_s=30)
    with tempfile.TemporaryDirectory(prefix="sojourn-temporal-") as folder:
        server = DevServer(temporal_binary(print), free_port(), Path(folder) / "temporal.log", with_virtual_time=True)
        child = server.start()
        yield server.address
        stop_child(child)


def suspect_deadlocks_only_after(seconds: int) -> None:
    """After two seconds the SDK strikes a workflow task with an exception wherever it stands; a busy machine is no deadlock."""
    made = _WorkflowWorker.__init__

    def patient(worker: _WorkflowWorker, **named: Any) -> None:
        made(worker, **named)
        worker._deadlock_timeout_seconds = seconds

    _WorkflowWorker.__init__ = patient  # type: ignore[method-assign, assignment]


def leave_a_core_that_does_not_end(after_s: float) -> None:
    """The SDK's last step of a shutdown has been seen to wait for good, with nothing left to do: one in thousands of workers."""
    made = BridgeWorker.finalize_shutdown

    async def patient(worker: BridgeWorker) -> None:
        await asyncio.wait_for(made(worker), after_s)

    BridgeWorker.finalize_shutdown = patient  # type: ignore[method-assign, assignment]


def pytest_collection_finish() -> None:
    """Thousands of tests live as long as the run; a full collection that walks them all stops every task for half a second and more."""
    spare_the_collector()
