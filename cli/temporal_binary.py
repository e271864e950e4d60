"""The one place that finds the Temporal binary, for dev, tests and bench alike.

In this order: TEMPORAL_CLI_PATH; `temporal` on PATH when it is new enough; the cached one; the SDK's download; a Go build of the pinned
module in deploy/temporal-cli.
"""

import asyncio
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path

import httpx
from temporalio.testing import WorkflowEnvironment

from journeys.language.errors import ConfigurationError

SERVER = (1, 32, 0)
CLI_RELEASE = "v1.9.0"  # the release that carries SERVER; its Go module is not served, hence the module of our own
DOWNLOAD_HOST = "https://temporal.download"
GO_ELSEWHERE = "/usr/local/go/bin/go"  # where Go's installer puts it, often not on PATH
MODULE = Path(__file__).resolve().parents[1] / "deploy" / "temporal-cli"
_REMEDY = (
    "Install the Temporal CLI (server 1.32 or later) and put it on PATH or name it in TEMPORAL_CLI_PATH, "
    "or install Go (https://go.dev/dl) so that it can be built."
)

Say = Callable[[str], None]


def temporal_binary(say: Say) -> Path:
    """Find a Temporal binary with server 1.32 or later, getting one if there is none; `say` is told what takes time.

    Raises ConfigurationError with the remedy.
    """
    found = _named() or _on_path(say)
    if found is not None:
        return found
    target = cached_binary()
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with _only_one(target.parent / "lock", say):
        if not target.exists() and not _download(target, say):
            _build(target, say)
    return target


def cached_binary() -> Path:
    return cache_folder() / f"temporal-{'.'.join(map(str, SERVER))}" / "temporal"


def cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sojourn"


def server_version(binary: Path | str) -> tuple[int, int, int] | None:
    """Ask a binary for the version of the server inside; None when it does not answer as Temporal does."""
    try:
        done = subprocess.run([binary, "--version"], capture_output=True, text=True, check=False, timeout=30)  # noqa: S603 - named by the user
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.search(r"Server (\d+)\.(\d+)\.(\d+)", done.stdout)
    return (int(match[1]), int(match[2]), int(match[3])) if match else None


def _named() -> Path | None:
    named = os.environ.get("TEMPORAL_CLI_PATH")
    if not named:
        return None
    version = server_version(named)
    if version is None:
        raise ConfigurationError(f"TEMPORAL_CLI_PATH names {named}, which does not run or is no Temporal CLI. {_REMEDY}")
    if version < SERVER:
        raise ConfigurationError(
            f"TEMPORAL_CLI_PATH names {named} with server {_words(version)}: {_words(SERVER)} or later is needed. {_REMEDY}"
        )
    return Path(named)


def _on_path(say: Say) -> Path | None:
    found = shutil.which("temporal")
    if found is None:
        return None
    version = server_version(found)
    if version is not None and version >= SERVER:
        return Path(found)
    says = f"has server {_words(version)}" if version else "does not say its version"
    say(f"{found} {says}: not used, {_words(SERVER)} or later is needed")
    return None


def _download(target: Path, say: Say) -> bool:
    """Let the SDK download its dev server; False where its host cannot be reached."""
    try:
        httpx.head(DOWNLOAD_HOST, timeout=5.0)
    except httpx.HTTPError:
        return False
    say(f"downloading the Temporal CLI {CLI_RELEASE} (once; it is kept in {target.parent})")
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        try:
            asyncio.run(_start_once(folder))
        except (RuntimeError, TimeoutError) as error:
            say(f"the download failed: {error}")
            return False
        downloaded = next(Path(folder).glob("temporal-*"))
        downloaded.replace(target)
    return True


async def _start_once(folder: str) -> None:
    # The SDK has no download of its own: starting a server once is its way to get the file.
    starting = WorkflowEnvironment.start_local(download_dest_dir=folder, dev_server_download_version=CLI_RELEASE)
    async with await asyncio.wait_for(starting, 300):
        pass


def _build(target: Path, say: Say) -> None:
    go = shutil.which("go") or shutil.which(GO_ELSEWHERE)
    if go is None:
        raise ConfigurationError(f"There is no Temporal binary here, {DOWNLOAD_HOST} cannot be reached, and there is no Go. {_REMEDY}")
    if not MODULE.exists():
        raise ConfigurationError(f"{MODULE} is missing: run this from a checkout of Sojourn. {_REMEDY}")
    say("building Temporal with Go: about six minutes on two cores, once")
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        # In a copy, because -mod=mod may write to go.mod.
        shutil.copytree(MODULE, Path(folder) / "module")
        built = Path(folder) / "temporal"
        words = _run_with_progress(
            [go, "build", "-v", "-mod=mod", "-trimpath", "-ldflags", "-s -w", "-o", str(built), "github.com/temporalio/cli/cmd/temporal"],
            Path(folder) / "module",
            say,
        )
        if server_version(built) is None:
            raise ConfigurationError(f"Go could not build Temporal:\n{words}\n{_REMEDY}")
        built.replace(target)


def _run_with_progress(command: list[str], folder: Path, say: Say) -> str:
    """Run `go build -v`, telling how far it is every ten seconds; give back its last lines."""
    started = told = time.monotonic()
    downloaded = compiled = 0
    last: list[str] = []
    # Another value of CGO_ENABLED would compile most of the tree again.
    environment = {**os.environ, "CGO_ENABLED": "0"}
    with subprocess.Popen(  # noqa: S603 - go, found on PATH
        command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as building:
        assert building.stderr is not None
        for line in building.stderr:
            downloaded += line.startswith("go: downloading")
            compiled += not line.startswith("go: ")
            last = [*last[-19:], line.rstrip()]
            if time.monotonic() - told >= 10:  # noqa: PLR2004 - seconds
                told = time.monotonic()
                say(f"  {told - started:3.0f} s: {downloaded} modules downloaded, {compiled} packages compiled")
    return "\n".join(last)


@contextmanager
def _only_one(lock: Path, say: Say) -> Iterator[None]:
    """Two commands at once must not build twice: the second waits and finds the first one's file."""
    with lock.open("w") as held:
        try:
            flock(held, LOCK_EX | LOCK_NB)
        except BlockingIOError:
            say("another command is getting the Temporal binary: waiting for it")
            flock(held, LOCK_EX)
        yield


def _words(version: tuple[int, int, int]) -> str:
    return ".".join(map(str, version))
