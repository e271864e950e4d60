"""Finding somebody, a copy of them, and their removal, from the command line."""

from pathlib import Path

import orjson
import pytest

from tests.cli.conftest import Command


@pytest.mark.usefixtures("served")
async def test_users_are_found_by_what_is_known_of_them(sojourn: Command) -> None:
    for user, plan in (("ann", "pro"), ("bob", "free")):
        await sojourn("users", "set", user, f'{{"plan": "{plan}", "email": "{user}@example.com"}}')
    found = await sojourn("users", "list", "--attribute", "plan=pro")
    assert "ann" in found
    assert "bob" not in found
    assert "bob" in await sojourn("users", "list", "--address", "bob@example.com")


@pytest.mark.usefixtures("served")
async def test_a_copy_of_somebody_is_written_to_a_file(sojourn: Command) -> None:
    await sojourn("users", "set", "ann", '{"plan": "pro"}')
    assert "Written to ann.json" in await sojourn("users", "export", "ann", "--to", "ann.json")
    assert orjson.loads(_read("ann.json"))["user"]["attributes"] == {"plan": "pro"}


def _read(name: str) -> bytes:
    return Path(name).read_bytes()


@pytest.mark.usefixtures("served")
async def test_somebody_is_removed_for_good_and_nobody_by_mistake(sojourn: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    await sojourn("users", "set", "ann", '{"plan": "pro"}')
    monkeypatch.setattr("typer.confirm", lambda _words: False)
    await sojourn("users", "erase", "ann", code=1)
    assert '"plan"' in await sojourn("users", "show", "ann")
    assert "Removed: 1 identities, 1 users" in await sojourn("users", "erase", "ann", "--yes")
    assert "there is no user ann" in await sojourn("users", "erase", "ann", "--yes", code=1)
