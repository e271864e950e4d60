"""Starting and stopping child processes that must not outlive their starter."""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


def sojourn(*arguments: str) -> list[str]:
    """Give the command line that runs `sojourn` in this environment, whatever PATH and the working folder hold."""
    return [sys.executable, "-P", "-m", "cli.sojourn", *arguments]


def start_child(
    command: Sequence[str], log: Path, *, environment: Mapping[str, str] | None = None, keep_open: Collection[int] = ()
) -> subprocess.Popen[bytes]:
    """Start a program whose output goes to `log`, in a session of its own: Ctrl-C on the terminal reaches only the starter.

    It inherits the file descriptors in `keep_open`. On Linux the kernel ends it when its starter dies, SIGKILL included; call it from
    the main thread, because the kernel watches the thread.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        return subprocess.Popen(  # noqa: S603 - our own programs
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=keep_open,
            env={**os.environ, **(environment or {})},
            preexec_fn=die_with_parent,  # noqa: PLW1509 - one prctl call, from the main thread
        )


def stop_child(child: subprocess.Popen[bytes], timeout_s: float = 15) -> None:
    """Ask a child to end, and end it by force if it has not after `timeout_s`."""
    if child.poll() is not None:
        return
    child.send_signal(signal.SIGTERM)
    try:
        child.wait(timeout_s)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def die_with_parent() -> None:
    """On Linux: the kernel tells this process to end when its parent's thread does."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
