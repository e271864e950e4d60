"""What a lane has begun to send, in a small file that outlives its process.

A file holds the chunk that is being sent: its messages with the epochs of their claims, and a mark for each. It is mapped into memory, so a
mark costs no call, and the kernel keeps it when the process is killed. Whoever finds the file of a dead process writes down what it proves:
a message without a mark has not left. Only of those that had begun and were not answered nobody knows: one a connection.
"""

import fcntl
import mmap
import os
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import UUID, uuid4

import orjson

from channels.base import Ambiguous, End, NotSent, Receipt, Rejected
from journeys.language.errors import ConfigurationError
from storage.campaign_sends import Chunk
from storage.messages import Claim

_SIZE = 64 * 1024
_LENGTH = struct.Struct("<I")
_MARKS = 4096
"""How many bytes at the start are for the length and the marks: a chunk has fewer messages."""
_SUFFIX = ".lane"
_FORM = 2
"""Of a page. One of another form, of a release before or after, proves nothing to us: what it claimed runs out and is unconfirmed."""
_HELD, _BEGUN, _SENT, _REJECTED, _NOT_SENT, _UNKNOWN = range(6)


@dataclass(frozen=True)
class Page:
    """What a journal holds: a chunk, the claims in it, and for each what is known: planned (it never left), sent, rejected or unknown."""

    chunk: Chunk
    claims: Sequence[Claim]
    states: Sequence[str]


_STATES: Mapping[int, str] = {
    _HELD: "planned",
    _BEGUN: "unknown",
    _SENT: "sent",
    _REJECTED: "rejected",
    _NOT_SENT: "planned",
    _UNKNOWN: "unknown",
}


class Journal:
    """The journal of one lane: one chunk at a time. As a Watch it is told of what it was opened for, by place."""

    def __init__(self, folder: Path) -> None:
        """Make the file, which is ours until `close`. Raises ConfigurationError where the folder cannot be written to."""
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._path = folder / f"{uuid4().hex}{_SUFFIX}"
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(self._file, _SIZE)
        except OSError as error:
            why = f"{folder} cannot be written to ({error.strerror}): set SOJOURN_LANE_JOURNALS to a folder that can"
            raise ConfigurationError(why) from error
        self._map = mmap.mmap(self._file, _SIZE)

    def open(self, chunk: Chunk, claims: Sequence[Claim]) -> None:
        """Begin a page: nothing of it has left. Call it before the claims are committed."""
        claimed = [(each.id, each.epoch, each.claimed_at) for each in claims]
        text = orjson.dumps([_FORM, chunk.app, chunk.run_id, chunk.id, chunk.epoch, chunk.step, chunk.began_at, claimed], default=str)
        self.clear()
        self._map[_LENGTH.size : _MARKS] = bytes(_MARKS - _LENGTH.size)
        self._map[_MARKS : _MARKS + len(text)] = text
        self._map[: _LENGTH.size] = _LENGTH.pack(len(text))

    def clear(self) -> None:
        """What was open is settled."""
        self._map[: _LENGTH.size] = _LENGTH.pack(0)

    @property
    def page(self) -> Page | None:
        """What is open: with Postgres away for a moment, nobody else knows what became of it."""
        return _page(self._map[:])

    def begins(self, place: int) -> bool:
        self._map[_LENGTH.size + place] = _BEGUN
        return True

    def ended(self, place: int, end: End) -> None:
        self._map[_LENGTH.size + place] = _mark_of(end)

    def close(self) -> None:
        """Give the file up. With an open page it stays, for whoever looks next."""
        is_clear = _LENGTH.unpack(self._map[: _LENGTH.size])[0] == 0
        self._map.close()
        if is_clear:
            self._path.unlink(missing_ok=True)
        os.close(self._file)


def _mark_of(end: End) -> int:
    match end:
        case Receipt():
            return _SENT
        case Rejected():
            return _REJECTED
        case NotSent():
            return _NOT_SENT
        case Ambiguous():
            return _UNKNOWN


@dataclass(frozen=True)
class Left:
    """The journal of a process that is dead. `page` None: it died between two chunks."""

    path: Path
    page: Page | None


def left_behind(folder: Path) -> Iterator[Left]:
    """The journals that nobody holds any more, each locked while it is looked at. Whoever has settled one removes its file."""
    for path in sorted(folder.glob(f"*{_SUFFIX}")):
        with suppress(FileNotFoundError):
            file = os.open(path, os.O_RDWR)
            try:
                if _is_dead(file):
                    yield Left(path, _page(os.pread(file, _SIZE, 0)))
            finally:
                os.close(file)


def _is_dead(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _page(raw: bytes) -> Page | None:
    length = _LENGTH.unpack(raw[: _LENGTH.size])[0] if len(raw) == _SIZE else 0
    if not length:
        return None
    form, *held = orjson.loads(raw[_MARKS : _MARKS + length])
    if form != _FORM:
        return None
    app, run_id, number, epoch, step, began_at, claimed = held
    claims = [Claim(UUID(each), of_epoch, datetime.fromisoformat(claimed_at)) for each, of_epoch, claimed_at in claimed]
    chunk = Chunk(app, UUID(run_id), number, epoch, step, [claim.id for claim in claims], datetime.fromisoformat(began_at))
    marks = raw[_LENGTH.size : _LENGTH.size + len(claims)]
    return Page(chunk, claims, [_STATES[mark] for mark in marks])
