"""The dev server that dev, tests and bench start."""

from pathlib import Path

import pytest
from temporalio.client import Client

from cli.children import stop_child
from cli.embedded_postgres import free_port
from cli.temporal_binary import temporal_binary
from cli.temporal_server import DevServer
from journeys.language.errors import ConfigurationError


async def test_the_server_of_the_test_run_answers_a_client(temporal: str) -> None:
    client = await Client.connect(temporal)
    assert await client.service_client.check_health()


def test_without_a_ui_port_no_web_ui_is_started(tmp_path: Path) -> None:
    server = DevServer(Path("temporal"), 7233, tmp_path / "log")
    assert "--headless" in server.command()


def test_only_test_servers_may_skip_time(tmp_path: Path) -> None:
    flag = "frontend.WorkflowTimeSkippingEnabled=true"
    assert flag not in DevServer(Path("temporal"), 7233, tmp_path / "log").command()
    assert flag in DevServer(Path("temporal"), 7233, tmp_path / "log", with_virtual_time=True).command()


def test_a_server_that_cannot_start_says_why_in_its_own_words(tmp_path: Path) -> None:
    program = tmp_path / "temporal"
    program.write_text("#!/bin/sh\necho 'port is taken'\nexit 1\n")
    program.chmod(0o755)
    with pytest.raises(ConfigurationError, match="port is taken"):
        DevServer(program, free_port(), tmp_path / "log").start()


def test_what_the_server_knew_is_there_after_a_restart(tmp_path: Path) -> None:
    database = tmp_path / "temporal.db"
    server = DevServer(temporal_binary(print), free_port(), tmp_path / "log", database=database)
    stop_child(server.start())
    assert database.exists()
    stop_child(server.start())
