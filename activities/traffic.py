"""What this process knows of every account, and tells the others through Postgres (storage/account_states.py).

What others found out is known here within `LOOKS_EVERY_S`; slots of an account with a rate are taken from Postgres, and what is sent
through which account is written there, for all who ask at the same time in one statement.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from functools import partial

import structlog

from activities.breaker import Gate
from activities.pacing import Limits, Pace, slowed, take
from activities.together import Together
from journeys.language.errors import Unavailable
from journeys.language.messages import MessageClass
from storage import account_states
from storage.account_states import AccountKey, AccountState
from storage.database import Connection, Database
from storage.messages import Note, note_accounts

_log = structlog.get_logger()
LOOKS_EVERY_S = 0.2
_REMEMBERED_S = 60.0
# The pause of a probe that dies with its worker; a probe that ends says so itself.
_PROBE_FOR = timedelta(seconds=30)


@dataclass(frozen=True)
class Slot:
    """When a message may leave: `at` by the database's clock, `wait_s` from now. Not `is_booked`: ask again then."""

    at: datetime
    wait_s: float
    is_booked: bool = True


class Traffic:
    """One for a process."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._clock = clock
        self._looked_at: dict[str, float] = {}
        self._states: dict[str, dict[AccountKey, AccountState]] = {}
        self._looking: dict[str, asyncio.Lock] = {}
        self._slots: dict[AccountKey, Together[tuple[MessageClass, Limits], Slot]] = {}
        self._notes: dict[str, Together[Note, bool]] = {}
        self._shared: set[AccountKey] = set()
        self._probes: dict[AccountKey, datetime] = {}

    async def look(self, app: str) -> None:
        """Read what the app's accounts are like, unless that was a moment ago. Raises Unavailable."""
        if self._has_looked(app):
            return
        async with self._looking.setdefault(app, asyncio.Lock()):
            if self._has_looked(app):
                return
            async with self._database.transaction() as connection:
                self._states[app] = {state.key: state for state in await account_states.of_app(connection, app)}
            self._looked_at[app] = self._clock()

    def _has_looked(self, app: str) -> bool:
        return self._clock() - self._looked_at.get(app, float("-inf")) < LOOKS_EVERY_S

    def apply(self, key: AccountKey, gate: Gate) -> None:
        """Let the gate know what other workers found out."""
        state = self._states.get(key.app, {}).get(key)
        if state is not None and state.closed_until is not None:
            gate.close_for(self._left_s(state, state.closed_until))
        if state is not None and state.away_until is not None and state.away_until == self._probes.get(key):
            return  # That is our own probe, which keeps the others away and not us.
        if state is not None and state.away_until is not None:
            gate.stay_away(self._left_s(state, state.away_until))
            self._shared.add(key)
        elif key in self._shared:
            self._shared.discard(key)
            gate.reopen()

    def _left_s(self, state: AccountState, until: datetime) -> float:
        return (until - state.now).total_seconds() - (self._clock() - self._looked_at[state.app])

    def stopped_for(self, key: AccountKey) -> str | None:
        """Why no marketing leaves through the account, as far as that was read within the last minute."""
        if self._clock() - self._looked_at.get(key.app, float("-inf")) > _REMEMBERED_S:
            return None
        state = self._states.get(key.app, {}).get(key)
        return state.stopped_for if state is not None else None

    async def may_probe(self, key: AccountKey) -> bool:
        """Whether this process makes the next probe. An account that no one but us found away is ours to probe."""
        if key not in self._shared:
            return True
        async with self._database.transaction() as connection:
            until = await account_states.take_probe(connection, key, _PROBE_FOR)
        if until is not None:
            self._probes[key] = until
        return until is not None

    async def slot(self, key: AccountKey, limits: Limits, message_class: MessageClass) -> Slot:
        """Take the next free slot. Raises Unavailable."""
        slots = self._slots.setdefault(key, Together(partial(self._take, key)))
        return await slots.ask((message_class, limits))

    async def _take(self, key: AccountKey, asked: Sequence[tuple[MessageClass, Limits]]) -> Sequence[Slot]:
        limits = asked[-1][1]
        return await self._database.run(partial(_take, key=key, limits=limits, asked=[each for each, _ in asked]))

    async def note(self, app: str, note: Note) -> bool:
        """Write down which account a message goes through: not the first of its route, or one that takes repeats. Raises Unavailable."""
        return await self._notes.setdefault(app, Together(partial(self._write_down, app))).ask(note)

    async def _write_down(self, app: str, notes: Sequence[Note]) -> Sequence[bool]:
        ours = await self._database.run(lambda connection: note_accounts(connection, app, notes))
        return [each.id in ours for each in notes]

    async def say_closed(self, key: AccountKey, seconds: float) -> None:
        await self._tell(key, lambda connection: account_states.close_for(connection, key, timedelta(seconds=seconds)))

    async def say_slowed(self, key: AccountKey) -> None:
        await self._tell(key, lambda connection: _slow_down(connection, key))

    async def say_away(self, key: AccountKey, seconds: float, trouble: str) -> None:
        self._shared.add(key)
        wait, probe = timedelta(seconds=seconds), self._probes.get(key)
        await self._tell(key, lambda connection: account_states.say_away(connection, key, wait, trouble, probe=probe))

    async def say_back(self, key: AccountKey) -> None:
        """The provider answers. Where nobody had heard that it was away, there is nothing to say."""
        if key in self._shared:
            # What was read before must not shut the gate again while the news is written.
            self._states.get(key.app, {}).pop(key, None)
            await self._tell(key, lambda connection: account_states.say_back(connection, key))

    async def _tell(self, key: AccountKey, write: Callable[[Connection], Awaitable[None]]) -> None:
        """Write news, and read the states anew before the next send. Under the lock of `look`: what is read must not be older."""
        async with self._looking.setdefault(key.app, asyncio.Lock()):
            self._looked_at.pop(key.app, None)
            try:
                await self._database.run(write)
            except Unavailable as away:
                # Every worker finds out by itself, and settling this send waits for Postgres too.
                _log.warning("account_news_lost", app=key.app, channel=key.channel, account=key.account, reason=str(away))


async def _take(connection: Connection, *, key: AccountKey, limits: Limits, asked: Sequence[MessageClass]) -> list[Slot]:
    state = await account_states.lock(connection, key)
    transactional = sum(1 for each in asked if each == "transactional")
    pace, slots = take(_pace(state), limits, transactional, len(asked) - transactional, state.now)
    await _write(connection, key, pace)
    first, second = iter(slots.transactional), iter(slots.marketing)
    return [_slot(next(first if each == "transactional" else second, None), slots.not_before, state.now) for each in asked]


def _slot(at: datetime | None, not_before: datetime, now: datetime) -> Slot:
    moment = not_before if at is None else at
    return Slot(moment, max(0.0, (moment - now).total_seconds()), is_booked=at is not None)


async def _slow_down(connection: Connection, key: AccountKey) -> None:
    state = await account_states.lock(connection, key)
    await _write(connection, key, slowed(_pace(state), state.now))


def _pace(state: AccountState) -> Pace:
    return Pace(**{each.name: getattr(state, each.name) for each in fields(Pace)})


async def _write(connection: Connection, key: AccountKey, pace: Pace) -> None:
    written = {name: value for name, value in vars(pace).items() if name != "closed_until"}
    await account_states.write_pace(connection, key, **written)
