"""What templates look up in sources: fetched for many messages at a time, remembered for a while, and given up on as each source says.

A template is rendered, says what it asks, and is rendered again with the answers; nothing is fetched while it runs. Messages that are
rendered at the same moment share one question: one statement for all their keys, or requests side by side.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

import orjson
import structlog

from channels.base import Content
from channels.lookups import CannotBeLookedUp, Lookups, origin_of
from channels.render import Asks, RenderFailed
from channels.template_lookups import Asked
from journeys.language.errors import ConfigurationError, Unavailable
from journeys.language.sources import Http, Rows, Source, Table
from storage import outside_tables, sources
from storage.database import Database
from storage.outside_tables import CannotBeRead
from storage.sealing import Seal
from storage.sources import StoredSource

REMEMBERED_S = 5.0
"""How long a change of a source may take to be heard by every worker."""
_GATHERED_S = 0.005
# For all that one message asks: well within the time of its claim.
_PATIENCE_S = 8.0
_MOST_ROUNDS = 4
_MOST_KEYS = 200
_REMEMBERED_BYTES = 64_000_000
_ABSENT_FOR_S = 60.0
# A source that failed so often in a row is left alone for a moment: who comes meanwhile does not wait for its timeout.
_FAILURES = 3
_LEFT_ALONE_S = 5.0
_log = structlog.get_logger()


class SourceAway(Unavailable):
    """A source does not answer, and says that messages wait for it, for at most so long."""

    def __init__(self, name: str, at_most: timedelta) -> None:
        self.name = name
        self.at_most = at_most
        super().__init__(f"the source {name} does not answer")


@dataclass(frozen=True)
class _Row:
    """What a source has for a key; None: nothing."""

    value: Any


@dataclass(frozen=True)
class _Failed:
    """Why nothing was heard, and whose trouble it is: the source's, that of this key alone, or ours, for which every message waits."""

    why: str
    of: Literal["source", "key", "us"] = "source"


@dataclass(frozen=True)
class _Trouble:
    """How often a source failed in a row, and until when nobody asks it."""

    failures: int = 0
    left_alone_until: float = float("-inf")


_NO_TROUBLE = _Trouble()
_Answer = _Row | _Failed
_Place = tuple[str, str, str]
"""App, source, and what it is now: its version, and its rows."""
Render = Callable[[Mapping[str, Any]], Awaitable[Content]]


class Sources:
    """The sources of every app, as one process asks them. `outside` is the database of tables, where there is one."""

    def __init__(
        self,
        database: Database,
        seal: Seal,
        lookups: Lookups,
        outside: Database | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._seal = seal
        self._lookups = lookups
        self._outside = outside
        self._clock = clock
        self._of_app: dict[str, tuple[float, Mapping[str, StoredSource]]] = {}
        self._being_read: dict[str, asyncio.Task[Mapping[str, StoredSource]]] = {}
        self._remembered = _Memory(clock)
        self._gathering: dict[_Place, dict[str, asyncio.Future[_Answer]]] = {}
        self._under_way: dict[tuple[_Place, str], asyncio.Future[_Answer]] = {}
        self._asking: set[asyncio.Task[None]] = set()
        self._troubles: dict[_Place, _Trouble] = {}

    async def filled(self, app: str, render: Render, known: Mapping[str, Any] | None = None) -> Content:
        """Render with rows by source and key, fetch what the template asks, and render again. `known` are rows that are not fetched.

        Raises RenderFailed (`source_failed:<name>` or `no_source:<name>`), SourceAway, Unavailable.
        """
        rows = {name: dict(given) for name, given in (known or {}).items() if isinstance(given, Mapping)}
        until = self._clock() + _PATIENCE_S
        for _ in range(_MOST_ROUNDS):
            try:
                return await render(rows)
            except Asks as asks:
                asked = asks.asked
            if sum(map(len, rows.values())) + len(asked) > _MOST_KEYS:
                raise RenderFailed("source_failed", why=f"it looks up more than {_MOST_KEYS} keys: shorten a list")
            for (name, key), value in (await self._answers(app, asked, until)).items():
                rows.setdefault(name, {})[key] = value
        raise RenderFailed("source_failed", why=f"its lookups depend on each other more than {_MOST_ROUNDS - 1} deep")

    async def look(self, app: str, name: str, key: str) -> Any:
        """What a template would get for one key now: a row, a default, or None. Raises as `filled` does."""
        return (await self._answers(app, {(name, key)}, self._clock() + _PATIENCE_S))[name, key]

    def forget(self, app: str) -> None:
        """Read the sources of an app anew at the next question: one was changed here."""
        self._of_app.pop(app, None)

    async def close(self) -> None:
        for task in self._asking:
            task.cancel()
        await self._lookups.close()
        if self._outside is not None:
            await self._outside.close()

    async def _answers(self, app: str, asked: Collection[Asked], until: float) -> dict[Asked, Any]:
        live = await self._live(app, {name for name, _ in asked})
        waiting = {each: self._asked(app, live[each[0]], each[1]) for each in sorted(asked)}
        await asyncio.wait(set(waiting.values()), timeout=max(0.0, until - self._clock()))
        answers = {each: future.result() if future.done() else _late(live[each[0]].source) for each, future in waiting.items()}
        _refuse({name: live[name].source for name, _ in asked}, answers)
        return {each: _value(live[each[0]].source, answer) for each, answer in answers.items()}

    async def _live(self, app: str, names: set[str]) -> Mapping[str, StoredSource]:
        """The sources of these names. One that is not known was perhaps published a moment ago, with the template that asks it."""
        read_at, live = self._of_app.get(app, (float("-inf"), {}))
        if self._clock() - read_at >= REMEMBERED_S or not names <= set(live):
            live = await self._read(app)
        if not names <= set(live):
            # Somebody else's reading may have begun before that.
            live = await self._read(app)
        if missing := sorted(names - set(live)):
            raise RenderFailed(f"no_source:{missing[0]}"[:120])
        return live

    async def _read(self, app: str) -> Mapping[str, StoredSource]:
        """Of many who need them at the same moment one reads them, and all go on together."""
        reading = self._being_read.get(app)
        if reading is None:
            reading = self._being_read[app] = asyncio.ensure_future(self._read_now(app))
            reading.add_done_callback(lambda _: self._being_read.pop(app, None))
        return await asyncio.shield(reading)

    async def _read_now(self, app: str) -> Mapping[str, StoredSource]:
        async with self._database.transaction() as connection:
            live = {each.name: each for each in await sources.live(connection, app)}
        self._of_app[app] = (self._clock(), live)
        return live

    def _asked(self, app: str, stored: StoredSource, key: str) -> asyncio.Future[_Answer]:
        """The answer for a key: remembered, under way for somebody else, or asked together with what else is asked at this moment."""
        place = (app, stored.name, f"{stored.version}:{stored.updated_at.timestamp()}")
        future: asyncio.Future[_Answer] = asyncio.get_running_loop().create_future()
        if (remembered := self._remembered.get((place, key))) is not None:
            future.set_result(remembered)
            return future
        if (under_way := self._under_way.get((place, key))) is not None:
            return under_way
        self._under_way[place, key] = future
        if place not in self._gathering:
            self._gathering[place] = {}
            task = asyncio.ensure_future(self._ask_together(place, stored))
            self._asking.add(task)
            task.add_done_callback(self._asking.discard)
        self._gathering[place][key] = future
        return future

    async def _ask_together(self, place: _Place, stored: StoredSource) -> None:
        await asyncio.sleep(_GATHERED_S)
        futures = self._gathering.pop(place)
        answers: Mapping[str, _Answer] = {}
        try:
            answers = await self._ask(place, stored, sorted(futures))
        finally:
            for key, future in futures.items():
                self._under_way.pop((place, key), None)
                if not future.done():
                    future.set_result(answers.get(key, _Failed("this process stops", "us")))

    async def _ask(self, place: _Place, stored: StoredSource, keys: Sequence[str]) -> Mapping[str, _Answer]:
        if self._clock() < self._troubles.get(place, _NO_TROUBLE).left_alone_until:
            return dict.fromkeys(keys, _Failed("it failed a moment ago"))
        answers = await self._fetched(place[0], stored, keys)
        self._note_trouble(place, answers)
        failed = [answer for answer in answers.values() if isinstance(answer, _Failed)]
        if failed:
            reasons = sorted({each.why for each in failed})
            _log.warning("source_failed", app=place[0], source=place[1], keys=len(failed), of=len(keys), reasons=reasons[:3])
        for key, answer in answers.items():
            if isinstance(answer, _Row):
                self._remembered.put((place, key), answer, _lifetime_s(stored.source, answer))
        return answers

    def _note_trouble(self, place: _Place, answers: Mapping[str, _Answer]) -> None:
        """A source that answered is well, whatever it said of a key; our own trouble says nothing of it."""
        failed = [answer.of for answer in answers.values() if isinstance(answer, _Failed) and answer.of != "key"]
        if len(failed) < len(answers):
            self._troubles.pop(place, None)
        elif "us" not in failed:
            failures = self._troubles.get(place, _NO_TROUBLE).failures + len(failed)
            until = self._clock() + _LEFT_ALONE_S if failures >= _FAILURES else _NO_TROUBLE.left_alone_until
            self._troubles[place] = _Trouble(failures, until)

    async def _fetched(self, app: str, stored: StoredSource, keys: Sequence[str]) -> Mapping[str, _Answer]:
        match stored.source.origin:
            case Rows():
                return await self._from_rows(app, stored.name, keys)
            case Table() as table:
                return await self._from_table(app, table, keys)
            case Http() as http:
                return await self._from_http(app, stored, http, keys)

    async def _from_rows(self, app: str, name: str, keys: Sequence[str]) -> Mapping[str, _Answer]:
        try:
            async with self._database.transaction() as connection:
                found = await sources.rows(connection, app, name, keys)
        except Unavailable as away:
            return dict.fromkeys(keys, _Failed(str(away), "us"))
        return {key: _Row(found.get(key)) for key in keys}

    async def _from_table(self, app: str, table: Table, keys: Sequence[str]) -> Mapping[str, _Answer]:
        if self._outside is None:
            return dict.fromkeys(keys, _Failed("SOJOURN_SOURCE_DATABASE_URL is empty"))
        try:
            found = await outside_tables.rows(self._outside, app, table, keys)
        except (CannotBeRead, Unavailable) as failed:
            return dict.fromkeys(keys, _Failed(str(failed)))
        return {key: _Row(found.get(key)) for key in keys}

    async def _from_http(self, app: str, stored: StoredSource, http: Http, keys: Sequence[str]) -> Mapping[str, _Answer]:
        try:
            headers = self._headers(app, stored, http)
        except ConfigurationError as error:
            return dict.fromkeys(keys, _Failed(str(error)))

        async def ask(key: str) -> _Answer:
            try:
                return _Row(await self._lookups.look(http.url, key, headers, http.timeout.seconds))
            except CannotBeLookedUp as failed:
                return _Failed(str(failed), "source" if failed.is_away else "key")

        return dict(zip(keys, await asyncio.gather(*map(ask, keys)), strict=True))

    def _headers(self, app: str, stored: StoredSource, http: Http) -> Mapping[str, str]:
        """Those that the source names. Raises ConfigurationError where one is not set for the host of its URL."""
        if not http.headers:
            return {}
        given = sources.headers(stored, app, self._seal) if stored.origin == origin_of(http.url) else {}
        lacking = [name for name in http.headers if name not in given]
        if lacking:
            raise ConfigurationError(f"the header {lacking[0]} is not set for this host: `sojourn sources headers {stored.name}`")
        return {name: given[name] for name in http.headers}


class _Memory:
    """Answers by place and key until they are too old, the least used forgotten first when there are too many."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._kept: OrderedDict[object, tuple[_Row, float, int]] = OrderedDict()
        self._bytes = 0

    def get(self, at: object) -> _Row | None:
        kept = self._kept.get(at)
        if kept is None or kept[1] <= self._clock():
            return None
        self._kept.move_to_end(at)
        return kept[0]

    def put(self, at: object, row: _Row, lifetime_s: float) -> None:
        if lifetime_s <= 0:
            return
        self._drop(at)
        size = len(orjson.dumps(row.value)) + 500
        self._kept[at] = (row, self._clock() + lifetime_s, size)
        self._bytes += size
        while self._bytes > _REMEMBERED_BYTES:
            self._drop(next(iter(self._kept)))

    def _drop(self, at: object) -> None:
        if at in self._kept:
            self._bytes -= self._kept.pop(at)[2]


def _lifetime_s(source: Source, row: _Row) -> float:
    """Rows that are kept here change only with their source; what a service lacks may be there soon."""
    match source.origin:
        case Rows():
            return 3600.0
        case Http(cache=cache) | Table(cache=cache):
            return cache.seconds if row.value is not None else min(cache.seconds, _ABSENT_FOR_S)


def _late(source: Source) -> _Failed:
    return _Failed("it takes too long", "us" if isinstance(source.origin, Rows) else "source")


def _refuse(named: Mapping[str, Source], answers: Mapping[Asked, _Answer]) -> None:
    """Raises where an answer is missing and its source has no default: who would be skipped anyhow does not wait."""
    failed = [(named[name], answer) for (name, _), answer in answers.items() if isinstance(answer, _Failed)]
    for _, answer in failed:
        if answer.of == "us":
            raise Unavailable(answer.why)
    for source, answer in _of_policy(failed, "skip"):
        raise RenderFailed(f"source_failed:{source.name}", answer.why)
    for source, _ in _of_policy(failed, "wait"):
        raise SourceAway(source.name, source.wait_at_most.timedelta)


def _of_policy(failed: Iterable[tuple[Source, _Failed]], failing: str) -> Iterable[tuple[Source, _Failed]]:
    return ((source, answer) for source, answer in failed if source.failing == failing)


def _value(source: Source, answer: _Answer) -> Any:
    found = answer.value if isinstance(answer, _Row) else None
    return source.default if found is None else found
