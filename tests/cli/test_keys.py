"""Keys are made, listed and revoked without the API."""

from concurrent.futures import ThreadPoolExecutor

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
