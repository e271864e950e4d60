"""A typed Python client, generated from /openapi.json by openapi-python-client, works: its types hold, and so do its calls."""

import asyncio
import hashlib
import json
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import httpx
import pytest

from cli.temporal_binary import cache_folder
from storage import keys
from storage.database import Database
from tests.api.serving import serving

FOLDER = Path(__file__).parents[1] / "clients" / "generated"


async def run(*command: str | Path, folder: Path) -> None:
    """Run a program and show what it said when it fails."""
    done = await asyncio.to_thread(
        subprocess.run, [str(part) for part in command], cwd=folder, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


async def generator() -> Path:
    """The programs of the generator's environment, installed by its lock into a folder named after it; kept between runs.

    It has one of its own because it wants an older typer than Sojourn does.
    """
    lock = (FOLDER / "requirements.lock").read_bytes()
    folder = cache_folder() / "generated-client" / hashlib.sha256(lock + sys.version.encode()).hexdigest()[:16]
    if not (folder / "installed").exists():
        shutil.rmtree(folder, ignore_errors=True)
        await asyncio.to_thread(venv.create, folder, with_pip=True)
        install = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "--only-binary", ":all:", "-r")
        await run(folder / "bin" / "python", *install, FOLDER / "requirements.lock", folder=folder)
        (folder / "installed").touch()
    return folder / "bin"


@pytest.mark.e2e
async def test_a_generated_client_has_types_that_hold_and_works_on_every_noun(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    programs = await generator()
    async with database.transaction() as connection:
        secret, write = [await keys.create(connection, "demo", kind) for kind in ("secret", "write")]
    with serving(database_url, tmp_path) as served:
        async with httpx.AsyncClient(base_url=served.url) as client:
            (tmp_path / "openapi.json").write_text(json.dumps((await client.get("/openapi.json")).json()))
        options = ("--meta", "none", "--fail-on-warning", "--config", FOLDER / "generator.yaml", "--output-path", "sojourn_client")
        await run(programs / "openapi-python-client", "generate", "--path", "openapi.json", *options, folder=tmp_path)
        shutil.copy(FOLDER / "tour.py", tmp_path)
        strict = ("--strict", "--config-file=", "--cache-dir", "mypy", "--python-executable", programs / "python")
        await run(sys.executable, "-m", "mypy", *strict, "tour.py", "sojourn_client", folder=tmp_path)
        await run(programs / "python", "tour.py", served.url, secret, write, folder=tmp_path)
