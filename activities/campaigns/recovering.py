"""Writes down what the journals of dead lanes prove; any process of the same machine may do it, again and again."""

from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import structlog

from activities.campaigns.journal import Page, left_behind
from activities.rounds import rounds
from activities.sending import Timing
from storage import campaign_sends
from storage.database import Database
from storage.messages import Claim, Settlement

_log = structlog.get_logger()


class JournalLane:
    """Looks every few seconds for journals that nobody holds."""

    def __init__(self, database: Database, folder: Path, timing: Timing, *, every_s: float = 2.0) -> None:
        self._database = database
        self._folder = folder
        self._timing = timing
        self._every_s = every_s

    async def run(self) -> None:
        """Run until cancelled."""
        await rounds(self.look, self._every_s, "journals_wait")

    async def look(self) -> int:
        """Settle what was left behind, and return how many journals it was. Raises Unavailable; then the file stays."""
        found = 0
        for left in left_behind(self._folder):
            if left.page is not None:
                await settle_page(self._database, left.page, self._timing)
            left.path.unlink(missing_ok=True)
            found += 1
        return found


async def settle_page(database: Database, page: Page, timing: Timing) -> None:
    """Write down what a page proves, however often. Claims that were never committed are nobody's. Raises Unavailable."""
    settlements = [_settlement(*each, timing) for each in zip(page.claims, page.states, strict=True)]
    found = await database.run(partial(campaign_sends.recover, chunk=page.chunk, claims=page.claims, settlements=settlements))
    unconfirmed = sum(each.state == "unknown" for each in found)
    _log.warning("lane_recovered", run=str(page.chunk.run_id), messages=len(found), unconfirmed=unconfirmed)


def _settlement(claim: Claim, state: str, timing: Timing) -> Settlement:
    reason = {"sent": None, "rejected": "rejected", "planned": "not_sent", "unknown": "unconfirmed"}[state]
    due_at = datetime.now(UTC) + timing.patience if state == "unknown" else None
    return Settlement(claim.id, claim.epoch, state, reason, due_at=due_at)
