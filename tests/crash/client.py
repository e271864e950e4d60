"""A client that loses nothing: it writes down each call before it makes it, and repeats it with the same ids until it is answered."""

import json
import os
import random
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

Item = Mapping[str, Any]
PATIENCE_S = 60.0


@dataclass
class Journal:
    """Append-only and fsynced: invoke, then ok, fail (refused) or info (no answer: it may or may not have been taken)."""

    path: Path
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def write(self, call: int, phase: str, items: Sequence[Item] = ()) -> None:
        line = json.dumps({"call": call, "phase": phase, "items": list(items)}) + "\n"
        with self._lock, self.path.open("a") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())

    def read(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.path.read_text().splitlines()]


@dataclass
class Client:
    """Posts batches at one door. `tries` counts what had to be repeated."""

    url: str
    write_key: str
    journal: Journal
    repeats: int = 0

    def send(self, call: int, items: Sequence[Item]) -> None:
        """Make one call, again after any error, until it is answered ok or the patience is over."""
        self.journal.write(call, "invoke", items)
        deadline = time.monotonic() + PATIENCE_S
        while (phase := self._try(items)) != "ok":
            self.journal.write(call, phase)
            if phase == "fail" or time.monotonic() > deadline:
                return
            self.repeats += 1
            time.sleep(random.uniform(0.1, 0.4))
        self.journal.write(call, "ok")

    def _try(self, items: Sequence[Item]) -> str:
        try:
            answer = httpx.post(f"{self.url}/v1/batch", auth=(self.write_key, ""), json={"batch": list(items)}, timeout=5)
        except httpx.HTTPError:
            return "info"
        if answer.status_code == httpx.codes.OK and not any(line["status"] == 422 for line in answer.json().get("results", [])):
            return "ok"
        return "info" if answer.is_server_error else "fail"
