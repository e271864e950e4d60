"""What a log line may hold: ids, codes and times; never an address, a key, or anything that a caller wrote."""

import json
from collections.abc import Iterator

import httpx
import pytest
import structlog

from cli.logs import configure_logs
from storage.database import Database


@pytest.fixture
def _json_logs() -> Iterator[None]:
    configure_logs()
    structlog.configure(cache_logger_on_first_use=False)
    yield
    structlog.reset_defaults()


@pytest.mark.usefixtures("_json_logs")
def test_a_field_that_is_not_on_the_list_is_dropped(capsys: pytest.CaptureFixture[str]) -> None:
    structlog.get_logger().info("sent", message_id="m1", address="ann@example.com", attributes={"plan": "pro"})
    line = json.loads(capsys.readouterr().out)
    assert {name: value for name, value in line.items() if name != "timestamp"} == {"event": "sent", "level": "info", "message_id": "m1"}


@pytest.mark.usefixtures("_json_logs")
async def test_nothing_that_a_caller_wrote_is_logged(
    manager: httpx.AsyncClient, database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    await manager.put("/v1/users/secret-person", json={"attributes": {"secret-name": "secret-value"}})
    await manager.post("/v1/users/secret-person/endpoints", json={"channel": "email", "address": "secret@example.com"})
    await manager.get("/v1/messages", params={"user_id": "secret-person"})
    await manager.get("/nowhere/secret-path")
    async with database.transaction() as connection:
        await connection.exec_driver_sql("ALTER TABLE users RENAME TO users_away")
    assert (await manager.get("/v1/users/secret-person")).status_code == 500
    written = capsys.readouterr().out
    assert [json.loads(line)["event"] for line in written.splitlines()] == ["request"] * 4 + ["unexpected", "request"]
    assert "secret-" not in written
    assert "sj_secret" not in written


@pytest.mark.usefixtures("_json_logs")
async def test_an_unexpected_error_says_where_it_came_from(
    manager: httpx.AsyncClient, database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    async with database.transaction() as connection:
        await connection.exec_driver_sql("ALTER TABLE users RENAME TO users_away")
    answer = await manager.get("/v1/users")
    line = json.loads(capsys.readouterr().out.splitlines()[0])
    assert line["request_id"] == answer.json()["request_id"]
    assert any(frame.startswith("people.py:") for frame in line["frames"])
