"""Keeps up who is in the segments that somebody listens to, and tells who came in or went out: `segment_entered`, `segment_left`.

Whatever changes a person leaves a note in its own transaction (migration 0023). This lane takes notes, reads the segments that they name
for those people, and writes what became of it and the events in one transaction: what is taken is done, or is there again.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import attrgetter

import structlog
from prometheus_client import Counter, Histogram

from journeys.language.errors import Unavailable
from journeys.language.listening import ENTERED, LEFT
from storage import events, segment_census, segment_follows, segment_members, segment_people
from storage.database import Connection, Database
from storage.enrollments import database_now
from storage.events import Own
from storage.ids import length_hash
from storage.notify import OUTBOX
from storage.segment_follows import Follow
from storage.segment_members import Answer, Moved, Note, ReadingFailed
from storage.segments import Definition

MOVES = Counter("sojourn_segment_moves_total", "People who came into a followed segment, or went out of one", ["direction"])
FAILED = Counter("sojourn_segment_readings_failed_total", "Readings of a followed segment that Postgres could not do; each is tried again")
LAG = Histogram(
    "sojourn_segment_lag_seconds", "From a change to the readings of segments that it led to", buckets=(0.1, 0.25, 0.5, 1, 2, 5, 30, 300)
)
Now = Callable[[Connection], Awaitable[datetime]]
_log = structlog.get_logger()


@dataclass(frozen=True)
class Pace:
    """How many notes, and how many people of a census, one transaction takes; while it is quiet, how often it looks."""

    notes: int = 200
    people: int = 200_000
    due: int = 1000
    poll_s: float = 0.2


class EnteringLane:
    """Any number of processes may run one. `notify` wakes the relay after a commit; `now` is the database's clock, but in tests."""

    def __init__(self, database: Database, notify: Callable[[str], None], pace: Pace | None = None, now: Now = database_now) -> None:
        self._database = database
        self._notify = notify
        self._pace = pace or Pace()
        self._now = now

    async def run(self) -> None:
        """Run until cancelled. A census takes seconds, so notes are read beside it. While Postgres is away they wait there."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._again_and_again(self._pass_of_notes))
            group.create_task(self._again_and_again(self._pass_of_census))

    async def _again_and_again(self, one_pass: Callable[[], Awaitable[bool]]) -> None:
        while True:
            try:
                is_more = await one_pass()
            except Unavailable as away:
                _log.warning("segments_wait", reason=str(away))
                is_more = False
            if not is_more:
                await asyncio.sleep(self._pace.poll_s)

    async def pass_once(self) -> bool:
        """Follow what was published, read whom notes name, and go on with a census. Says whether there is more to do at once."""
        is_more = await self._pass_of_notes()
        return await self._pass_of_census() or is_more

    async def _pass_of_notes(self) -> bool:
        await self._database.run(self._settle)
        await self._database.run(self._note_due)
        notes, told = await self._database.run(self._read_noted)
        if told:
            self._notify(OUTBOX)
        return notes == self._pace.notes

    async def _pass_of_census(self) -> bool:
        return await self._database.run(self._take_census)

    async def _settle(self, connection: Connection) -> None:
        for app in await segment_follows.take_published(connection):
            await segment_follows.settle(connection, app)
        await segment_follows.mark_unread(connection)

    async def _note_due(self, connection: Connection) -> None:
        """Only while few notes wait: what happens now must not queue behind a midnight at which a hundred thousand are due."""
        if await segment_members.waiting(connection, self._pace.notes) < self._pace.notes:
            await segment_members.note_due(connection, await self._now(connection), self._pace.due)

    async def _read_noted(self, connection: Connection) -> tuple[int, int]:
        """How many notes were taken, and how many people were told of."""
        notes = await segment_members.take(connection, self._pace.notes)
        told = 0
        for app, of_app in groupby(sorted(notes, key=attrgetter("app")), attrgetter("app")):
            told += await _Reading(connection, app, self._now).read(list(of_app))
        for note in notes:
            if not note.is_history:
                LAG.observe(note.waited_s)
        return len(notes), told

    async def _take_census(self, connection: Connection) -> bool:
        """Some of those who are in a newly followed segment already: nobody is told of them. False where nothing is to be done."""
        unread = await segment_follows.next_unread(connection)
        if unread is None:
            return False
        app, follow = unread
        meant = (await segment_follows.definitions(connection, app, [follow.segment])).get(follow.segment, {})
        if segment_follows.fingerprint(meant) != follow.fingerprint:
            return False  # published a moment ago: the census begins anew
        after, at = follow.read_to or 0, await self._now(connection)
        people, last = await segment_people.next_people(connection, app, after=after, most=self._pace.people)
        try:
            counted = await segment_census.take(connection, app, follow.segment, meant, after=after, last=last, at=at)
            _count(counted.entered, counted.gone)
        except ReadingFailed as failed:
            _tell_of(failed, app, follow.segment)
            await segment_census.take_later(connection, app, follow.segment, after=after, last=last)
        is_done = people < self._pace.people
        await segment_follows.advance(connection, app, follow.segment, None if is_done else last)
        if is_done:
            await segment_census.tell_the_planner(connection)
        return True


@dataclass(frozen=True)
class _Read:
    """What one segment says of people; `is_told`: of whom it is told when they move."""

    segment: str
    answers: Sequence[Answer]
    is_told: Mapping[int, bool]


class _Reading:
    """What the notes of one app come to."""

    def __init__(self, connection: Connection, app: str, now: Now) -> None:
        self._connection = connection
        self._app = app
        self._now = now

    async def read(self, notes: Sequence[Note]) -> int:
        """Read everybody noted, then write who moved, under the lock of their rows alone; return how many were told. Raises Contended.

        Ingest waits for a lock of a person, so nobody is locked while segments are read.
        """
        follows = await segment_follows.followed(self._connection, self._app)
        noted = {note.user_id for note in notes}
        now = await events.known_now(self._connection, self._app, noted)
        await segment_members.forget(self._connection, self._app, {each for each in noted if now.get(each) != each})
        at = await self._now(self._connection)
        readings = await self._ask(follows, notes, now, at)
        movers = {each.user_id for reading in readings for each in reading.answers if each.moves}
        locked = await events.lock_now(self._connection, self._app, movers)
        own = [event for reading in readings for event in await self._write(reading, locked, at)]
        return await events.tell(self._connection, self._app, own) if own else 0

    async def _ask(self, follows: Sequence[Follow], notes: Sequence[Note], now: Mapping[int, int], at: datetime) -> Sequence[_Read]:
        meant = await segment_follows.definitions(self._connection, self._app, [each.segment for each in follows])
        readings = []
        for follow in follows:
            if follow.is_busy:
                theirs = [note for note in notes if note.segment in (None, follow.segment)]
                await segment_members.put_off(self._connection, self._app, follow.segment, theirs)
                continue
            is_told = _people(notes, now, follow)
            # Published a moment ago: everybody is read again, these too.
            if is_told and segment_follows.fingerprint(meant.get(follow.segment, {})) == follow.fingerprint:
                answers = await _read(self._connection, self._app, follow.segment, meant[follow.segment], is_told, at)
                readings.append(_Read(follow.segment, answers, is_told))
        return readings

    async def _write(self, reading: _Read, locked: Mapping[int, int], at: datetime) -> Sequence[Own]:
        """Without those who turned out to be somebody else since: there is a note of who they are."""
        sure = [each for each in reading.answers if not each.moves or locked.get(each.user_id) == each.user_id]
        moved = await segment_members.write(self._connection, self._app, reading.segment, sure, at)
        _count(sum(each.is_in for each in moved), sum(not each.is_in for each in moved))
        return [_event(each, at) for each in moved if reading.is_told[each.user_id]]


def _people(notes: Iterable[Note], now: Mapping[int, int], follow: Follow) -> Mapping[int, bool]:
    """Whom to read in a segment, and whether what comes of it is told. The census comes to the others."""
    found: dict[int, bool] = defaultdict(bool)
    for note in notes:
        person = now.get(note.user_id)
        if note.segment in (None, follow.segment) and person is not None and follow.has_read(person):
            found[person] |= not note.is_history
    return found


async def _read(
    connection: Connection, app: str, segment: str, meant: Mapping[str, Definition], people: Iterable[int], at: datetime
) -> Sequence[Answer]:
    try:
        return await segment_members.read(connection, app, segment, meant, people, at)
    except ReadingFailed as failed:
        # One segment that cannot be read must not keep the others from being read.
        _tell_of(failed, app, segment)
        await segment_members.read_later(connection, app, segment, people)
        return ()


def _tell_of(failed: ReadingFailed, app: str, segment: str) -> None:
    _log.error("segment_not_read", app=app, segment=segment, reason=str(failed.__cause__).splitlines()[0][:200])
    FAILED.inc()


def _count(entered: int, gone: int) -> None:
    MOVES.labels("in").inc(entered)
    MOVES.labels("out").inc(gone)


def _event(moved: Moved, at: datetime) -> Own:
    name = ENTERED if moved.is_in else LEFT
    return Own(length_hash(name, moved.segment, str(moved.user_id), at.isoformat()), moved.user_id, name, at, {"segment": moved.segment})
