"""Sources at the terminal: listed, given rows and headers, and asked."""

import asyncio
import io
from pathlib import Path
from typing import Any

import pytest

from cli.client import client
from cli.sojourn import run
from tests.cli.conftest import Command

KEPT = {"origin": {"kind": "rows", "key": "sku"}}
ASKED = {"origin": {"kind": "http", "url": "https://api.example.com/{key}", "headers": ["Authorization"]}}


async def publish(name: str, definition: dict[str, Any]) -> None:
    def put() -> None:
        with client() as api:
            api.put(f"/v1/sources/{name}", {"definition": definition})

    await asyncio.to_thread(put)


@pytest.mark.usefixtures("served")
async def test_rows_are_uploaded_and_looked_at(sojourn: Command, tmp_path: Path) -> None:
    assert "None:" in await sojourn("sources", "list")
    await publish("product", KEPT)
    table = tmp_path / "products.csv"
    table.write_text("sku,name\nA-1,Chair [red]\n")
    assert "1 rows." in await sojourn("sources", "upload", "product", str(table))
    assert '"name": "Chair [red]"' in await sojourn("sources", "look", "product", "A-1")
    assert "nothing for this key" in await sojourn("sources", "look", "product", "A-2")
    listed = await sojourn("sources", "list")
    assert "product" in listed
    assert "rows kept here by sku" in listed
    assert "asked by no template" in await sojourn("sources", "show", "product")
    assert '"key": "sku"' in await sojourn("sources", "show", "product", "--json")


@pytest.mark.usefixtures("served")
async def test_secret_headers_come_from_stdin_and_are_not_shown(sojourn: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    await publish("product", ASKED)
    monkeypatch.setattr("sys.stdin", io.StringIO("Bearer s3cret\n"))
    told = await sojourn("sources", "headers", "product")
    assert "Authorization: set" in told
    assert "s3cret" not in told
    assert "secret header Authorization: set" in await sojourn("sources", "show", "product")


def test_a_file_that_is_not_there_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["sources", "upload", "product", "nowhere.csv"]) == 1
    assert "there is no file nowhere.csv" in capsys.readouterr().err
