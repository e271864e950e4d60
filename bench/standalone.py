"""The production shape without containers: a Temporal server of its own with Postgres persistence, from binaries in the cache folder.

`go install go.temporal.io/server/cmd/server@v1.32.0 go.temporal.io/server/cmd/tools/sql@v1.32.0` makes the binaries; they go into
<cache>/temporal-server-1.32.0/. Temporal needs the extension btree_gin, so its Postgres is an installed one.
"""

import asyncio
import random
import socket
import subprocess
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from google.protobuf.duration_pb2 import Duration
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.api.workflowservice.v1 import ListNamespacesRequest, RegisterNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError

from cli.children import start_child, stop_child
from cli.embedded_postgres import EmbeddedPostgres
from cli.temporal_binary import SERVER, cache_folder
from cli.temporal_server import SEARCH_ATTRIBUTES

BINARIES = cache_folder() / f"temporal-server-{'.'.join(map(str, SERVER))}"
# Matching and history keep these as SMALLINT.
LOWEST_PORT, HIGHEST_PORT = 20_000, 32_000
ROLES = ("FRONTEND", "HISTORY", "MATCHING", "WORKER")


def installed_postgres() -> Path | None:
    """Find the binaries of an installed PostgreSQL with btree_gin, the newest first."""
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name), reverse=True):
        if Path(f"/usr/share/postgresql/{folder.parent.name}/extension/btree_gin.control").exists():
            return folder
    return None


def is_there() -> bool:
    return all((BINARIES / name).exists() for name in ("server", "sql")) and installed_postgres() is not None


@dataclass(frozen=True)
class StandaloneTemporal:
    """One server on `postgres`, whose databases it makes. `folder` keeps its configuration and log."""

    postgres: EmbeddedPostgres
    folder: Path
    port: int
    history_shards: int = 512

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> subprocess.Popen[bytes]:
        """Make the schemas unless they are there, start the server, and make namespace and search attributes."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for database, schema in (("temporal", "temporal"), ("temporal_visibility", "visibility")):
            self._make_schema(database, schema)
        settings = self.folder / "dynamic-config.yaml"
        settings.write_text((Path(__file__).parents[1] / "deploy" / "temporal" / "dynamic-config.yaml").read_text())
        server = start_child(
            [str(BINARIES / "server"), "--allow-no-auth", "start"], self.folder / "temporal.log", environment=self._environment(settings)
        )
        try:
            asyncio.run(self._make_ready())
        except BaseException:
            stop_child(server)
            raise
        return server

    def _make_schema(self, database: str, schema: str) -> None:
        at = ["--plugin", "postgres12_pgx", "--ep", "127.0.0.1", "-p", str(self.postgres.port), "-u", "sojourn", "--db", database]
        for step in (["create"], ["setup-schema", "-v", "0.0"], ["update-schema", "--schema-name", f"postgresql/v12/{schema}"]):
            subprocess.run([BINARIES / "sql", "--quiet", *at, *step], check=True, capture_output=True)

    def _environment(self, settings: Path) -> dict[str, str]:
        ports = {f"{role}_GRPC_PORT": str(self.port + 2 * i) for i, role in enumerate(ROLES)}
        members = {f"{role}_MEMBERSHIP_PORT": str(self.port + 2 * i + 1) for i, role in enumerate(ROLES)}
        return {
            **ports, **members,
            "FRONTEND_HTTP_PORT": str(self.port + 2 * len(ROLES)), "DB": "postgres12_pgx", "DB_PORT": str(self.postgres.port),
            "POSTGRES_SEEDS": "127.0.0.1", "POSTGRES_USER": "sojourn", "POSTGRES_PWD": "", "NUM_HISTORY_SHARDS": str(self.history_shards),
            "BIND_ON_IP": "127.0.0.1", "DYNAMIC_CONFIG_FILE_PATH": str(settings),
        }  # fmt: skip

    async def _make_ready(self, timeout_s: float = 60) -> None:
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                return await self._make_namespace(await Client.connect(self.address))
            except (RPCError, RuntimeError):
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.2)

    async def _make_namespace(self, client: Client) -> None:
        kept_for = Duration()
        kept_for.FromTimedelta(timedelta(days=3))
        namespaces = await client.workflow_service.list_namespaces(ListNamespacesRequest())
        if "default" not in {one.namespace_info.name for one in namespaces.namespaces}:
            await client.workflow_service.register_namespace(
                RegisterNamespaceRequest(namespace="default", workflow_execution_retention_period=kept_for)
            )
        keyword = IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD
        await client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(namespace="default", search_attributes=dict.fromkeys(SEARCH_ATTRIBUTES, keyword))
        )


def free_base() -> int:
    """Find a port with ten free ones after it, low enough for Temporal's tables."""
    while True:
        base = random.randrange(LOWEST_PORT, HIGHEST_PORT, 10)
        if all(_is_free(base + i) for i in range(10)):
            return base


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0
