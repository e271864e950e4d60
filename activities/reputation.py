"""Marketing stops by itself before a provider stops the account: too many of its messages bounced, or were called spam.

The thresholds are below those at which providers review an account (SES: 5 % and 0.1 %), and an app can set its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog
from pydantic import TypeAdapter

from activities.rounds import rounds
from storage import reputations
from storage.database import Database
from storage.reputations import Tally

WITHIN = timedelta(days=3)
EVERY_S = 60.0
BOUNCES = "too_many_bounces"
COMPLAINTS = "too_many_complaints"
STOPS = frozenset({BOUNCES, COMPLAINTS})
_log = structlog.get_logger()


@dataclass(frozen=True)
class Thresholds:
    """Shares of what was heard of, at which marketing stops; fewer than `at_least` messages say nothing. Not `stop`: only warn."""

    bounces: float = 0.04
    complaints: float = 0.0008
    at_least: int = 200
    stop: bool = True


_THRESHOLDS = TypeAdapter(Thresholds)


def thresholds_of(settings: Mapping[str, Any]) -> Thresholds:
    """Those of an app."""
    return _THRESHOLDS.validate_python(settings.get("reputation") or {})


def exceeded(heard: int, bounced: int, complained: int, thresholds: Thresholds) -> str | None:
    """Which threshold is reached; None: neither, or too little is known."""
    if heard < thresholds.at_least:
        return None
    if bounced >= thresholds.bounces * heard:
        return BOUNCES
    return COMPLAINTS if complained >= thresholds.complaints * heard else None


def verdict(tally: Tally) -> str | None:
    """Why marketing stops, or None."""
    thresholds = thresholds_of(tally.settings)
    return exceeded(tally.heard, tally.bounced, tally.complained, thresholds) if thresholds.stop else None


class ReputationLane:
    """Judges every account once a minute. Any number of processes may run it."""

    def __init__(self, database: Database, *, every_s: float = EVERY_S) -> None:
        self._database = database
        self._every_s = every_s

    async def run(self) -> None:
        """Run until cancelled."""
        await rounds(self.pass_once, self._every_s, "reputation_lane_waits")

    async def pass_once(self) -> None:
        async with self._database.transaction() as connection:
            found = await reputations.tallies(connection, WITHIN)
        for tally in found:
            stopped_for = verdict(tally)
            async with self._database.transaction() as connection:
                await reputations.judge(connection, tally, stopped_for)
            if stopped_for != tally.stopped_for:
                _log.warning(
                    "marketing_stops" if stopped_for else "marketing_goes_on", app=tally.app, account=tally.account, reason=stopped_for
                )
