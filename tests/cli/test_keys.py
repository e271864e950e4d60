"""Keys are made, listed and revoked without the API."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from cli.sojourn import run
from storage import keys
from storage.database import Database


@pytest.fixture(autouse=True)
def _settings(database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOJOURN_DATABASE_URL", database_url)


@pytest.fixture
def made(capsys: pytest.CaptureFixture[str]) -> str:
    assert run_in_thread("keys", "create", "secret", "--name", "deploys") == 0
    return capsys.readouterr().out.strip()


def run_in_thread(*arguments: str) -> int:
    """A command brings its own event loop, and the test's is running."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(run, arguments).result()


async def test_a_key_that_was_made_works(made: str, database: Database) -> None:
    parts = keys.parse(made)
    assert parts is not None
    async with database.transaction() as connection:
        stored = await keys.find(connection, parts.id)
    assert stored is not None
    assert (stored.app, stored.kind, stored.name) == ("demo", "secret", "deploys")


async def test_the_list_shows_a_key_without_its_secret(made: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_in_thread("keys", "list") == 0
    listed = capsys.readouterr().out
    assert "deploys" in listed
    assert made not in listed


async def test_a_key_with_scopes_and_an_end_is_listed_with_both(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_in_thread("keys", "create", "secret", "--scope", "read", "--scope", "send", "--days", "30") == 0
    capsys.readouterr()
    assert run_in_thread("keys", "list") == 0
    [line] = [line for line in capsys.readouterr().out.splitlines() if "secret" in line]
    assert "read send" in line
    assert line.rstrip()[-16:] > datetime.now(UTC).strftime("%Y-%m-%d")


async def test_scopes_of_a_write_key_are_refused_with_the_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_in_thread("keys", "create", "write", "--scope", "read") == 1
    assert "leave --scope out" in capsys.readouterr().err


async def test_a_rotated_key_works_on_for_a_while_beside_the_new_one(
    made: str, database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    old = keys.parse(made)
    assert old is not None
    assert run_in_thread("keys", "rotate", old.id, "--hours", "2") == 0
    new = keys.parse(capsys.readouterr().out.splitlines()[0].strip())
    assert new is not None
    async with database.transaction() as connection:
        found = [await keys.find(connection, parts.id) for parts in (old, new)]
    assert found[0] is not None
    assert found[1] is not None
    assert found[1].expires_at is None
    assert found[0].expires_at is not None
    assert timedelta(minutes=119) < found[0].expires_at - datetime.now(UTC) <= timedelta(hours=2)


async def test_a_revoked_key_works_no_more(made: str, database: Database) -> None:
    parts = keys.parse(made)
    assert parts is not None
    assert run_in_thread("keys", "revoke", parts.id) == 0
    async with database.transaction() as connection:
        assert await keys.find(connection, parts.id) is None


async def test_a_key_for_an_unknown_app_is_refused_with_the_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_in_thread("keys", "create", "write", "--app", "shop") == 1
    assert "--new-app" in capsys.readouterr().err


async def test_the_first_key_of_a_new_app_can_be_made(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_in_thread("keys", "create", "write", "--app", "shop", "--new-app") == 0
    assert capsys.readouterr().out.startswith("sj_write_")


async def test_revoking_what_does_not_exist_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_in_thread("keys", "revoke", "nothing0") == 1
    assert "no such key" in capsys.readouterr().err
