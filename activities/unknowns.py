"""One sweeper for journeys, direct sends and lanes: claims whose time is over, messages that stayed unconfirmed, events that came early."""

from dataclasses import dataclass

import structlog

from activities.asking import Asking
from activities.coming_back import match_parked
from activities.rounds import rounds
from activities.sending import Timing
from storage import unconfirmed
from storage.database import Database

_log = structlog.get_logger()


@dataclass(frozen=True)
class Swept:
    """What one pass changed."""

    lapsed: int
    planned_again: int
    given_up: int
    matched: int = 0
    found: int = 0


class Sweeper:
    """Looks every few seconds; any number of processes may run one. `asking` asks providers, before anything is sent once more."""

    def __init__(self, database: Database, timing: Timing, asking: Asking | None = None, *, every_s: float = 5.0) -> None:
        self._database = database
        self._timing = timing
        self._asking = asking
        self._every_s = every_s

    async def run(self) -> None:
        """Run until cancelled."""
        await rounds(self.sweep, self._every_s, "sweeper_waits")

    async def sweep(self) -> Swept:
        """Make one pass over what is due."""
        async with self._database.transaction() as connection:
            timing = self._timing
            lapsed = await unconfirmed.let_claims_lapse(
                connection, repeat_after=timing.unknown_wait, safe_after=timing.repeat_wait, patience=timing.patience
            )
        found = await self._asking.ask() if self._asking is not None else 0
        matched = await self._database.run(match_parked)
        async with self._database.transaction() as connection:
            planned_again = await unconfirmed.plan_again(connection)
        async with self._database.transaction() as connection:
            given_up = await unconfirmed.give_up(connection, patience=self._timing.patience)
        if lapsed or given_up:
            _log.warning("unconfirmed_messages", lapsed=lapsed, given_up=given_up)
        return Swept(lapsed, planned_again, given_up, matched, found)
