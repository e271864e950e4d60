"""A Temporal dev server as a child process, used by dev, tests and bench alike."""

import asyncio
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.client import Client
from temporalio.service import RPCError

from cli.children import start_child, stop_child
from journeys.language.errors import ConfigurationError

SEARCH_ATTRIBUTES = ("SojournApp", "SojournJourney", "SojournUser")


@dataclass(frozen=True)
class DevServer:
    """How one dev server is started. Without `database` it keeps everything in memory; without `ui_port` it has no Web UI.

    `with_virtual_time` lets tests skip time, and fires timers without the server's usual second of delay.
    """

    binary: Path
    port: int
    log: Path
    ui_port: int | None = None
    database: Path | None = None
    with_virtual_time: bool = False

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def command(self) -> list[str]:
        listening = ["--ip", "127.0.0.1", "--port", str(self.port), "--log-level", "warn"]
        ui = ["--headless"] if self.ui_port is None else ["--ui-port", str(self.ui_port)]
        kept = [] if self.database is None else ["--db-filename", str(self.database)]
        attributes = [part for name in SEARCH_ATTRIBUTES for part in ("--search-attribute", f"{name}=Keyword")]
        values = [part for value in self._dynamic_values() for part in ("--dynamic-config-value", value)]
        return [str(self.binary), "server", "start-dev", *listening, *ui, *kept, *attributes, *values]

    def start(self) -> subprocess.Popen[bytes]:
        """Start it and wait until it serves. Raises ConfigurationError with the server's own words when it does not."""
        server = start_child(self.command(), self.log)
        try:
            asyncio.run(self.wait_until_healthy(server))
        except BaseException:
            stop_child(server)
            raise
        return server

    async def wait_until_healthy(self, server: subprocess.Popen[bytes], timeout_s: float = 30) -> None:
        """Wait until the server answers and knows our search attributes (its UI port answers earlier)."""
        deadline = time.monotonic() + timeout_s
        # The child is asked too, because another server may have taken the port and be the one that answers.
        while not (await _serves(self.address) and server.poll() is None):
            if server.poll() is not None or time.monotonic() > deadline:
                words = self.log.read_text(errors="replace")[-2000:]
                raise ConfigurationError(f"the Temporal server did not start on {self.address} ({self.log}):\n{words}")
            await asyncio.sleep(0.05)

    def _dynamic_values(self) -> list[str]:
        # The dev server answers visibility slowly by default and delays every timer by up to a second; both are for big clusters.
        values = ['history.timerProcessorMaxTimeShift="10ms"', "frontend.namespaceRPS=100000", "frontend.namespaceRPS.visibility=1000"]
        return [*values, "frontend.WorkflowTimeSkippingEnabled=true"] if self.with_virtual_time else values


async def _serves(address: str) -> bool:
    try:
        client = await Client.connect(address)
        known = await client.operator_service.list_search_attributes(ListSearchAttributesRequest(namespace="default"))
    except (RPCError, RuntimeError):
        return False
    return set(SEARCH_ATTRIBUTES) <= set(known.custom_attributes)
