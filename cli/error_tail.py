"""Finds, in the log of a part, the lines that a person at the terminal should see."""

from pathlib import Path

import orjson

_LOUD = {"error", "critical"}
MOST_LINES = 20


class ErrorTail:
    """Follows one log file from its end on. JSON lines count by their level; every other line is a program's own cry and counts too."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._position = log.stat().st_size if log.exists() else 0
        self._rest = b""

    def new_errors(self) -> list[str]:
        """Give the errors written since the last call, in words; at most MOST_LINES, the rest is in the log."""
        if not self._log.exists():
            return []
        with self._log.open("rb") as file:
            file.seek(self._position)
            read = file.read()
            self._position = file.tell()
        *lines, self._rest = (self._rest + read).split(b"\n")
        loud = [words for line in lines if (words := _words(line))]
        left_out = len(loud) - MOST_LINES
        return loud if left_out <= 0 else [*loud[:MOST_LINES], f"... and {left_out} more lines in {self._log}"]


def _words(line: bytes) -> str:
    """Give a line as a person should read it, empty when it is no error."""
    try:
        fields = orjson.loads(line)
    except orjson.JSONDecodeError:
        return line.decode(errors="replace").rstrip()
    if not isinstance(fields, dict) or fields.get("level") not in _LOUD:
        return ""
    rest = " ".join(f"{name}={value}" for name, value in fields.items() if name not in {"level", "event", "timestamp"})
    return f"{fields.get('event', '')} {rest}".strip()
