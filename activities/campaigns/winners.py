"""Finds the winner of a run whose versions were tested on a share of its people, and lets the rest have it."""

import structlog

from activities.rounds import rounds
from journeys.language.experiments import LookAgain, NoWinner, Suspect, Winner, what_next
from storage import campaign_results, campaign_winners, campaigns
from storage.campaign_winners import ToDecide
from storage.database import Connection, Database

EVERY_S = 5.0
AT_ONCE = 20
_log = structlog.get_logger()


class WinnerLane:
    """Asks the rule of each such run when it is due. Any number of processes may run it: who decides first has decided."""

    def __init__(self, database: Database, *, every_s: float = EVERY_S) -> None:
        self._database = database
        self._every_s = every_s

    async def run(self) -> None:
        """Run until cancelled."""
        await rounds(self.pass_once, self._every_s, "winner_lane_waits")

    async def pass_once(self) -> None:
        """Look at what is due, each run in a transaction of its own."""
        async with self._database.transaction() as connection:
            waiting = await campaign_winners.to_look_at(connection, most=AT_ONCE)
        for each in waiting:
            async with self._database.transaction() as connection:
                await _look(connection, each)


async def _look(connection: Connection, waiting: ToDecide) -> None:
    experiment = campaigns.read(waiting.definition).experiment
    # Without versions, goal and rule nobody waits: check refuses that.
    assert experiment is not None
    assert experiment.winner is not None
    app, run_id = waiting.app, waiting.run_id
    counts = await campaign_results.exposed(connection, app, run_id, experiment.goal, at=waiting.now)
    match what_next(experiment, counts, waiting.tested_at, waiting.now):
        case LookAgain(look_at, because):
            await campaign_winners.look_again(connection, app, run_id, look_at, because)
        case Suspect():
            await campaign_winners.look_again(connection, app, run_id, None, "suspect")
            _log.warning("a campaign's people are not spread as the weights say", app=app, run=str(run_id))
        case Winner(variant):
            await campaign_winners.decide(connection, app, run_id, variant, "winner")
        case NoWinner(variant):
            await campaign_winners.decide(connection, app, run_id, variant, experiment.winner.otherwise)
