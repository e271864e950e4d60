"""Finds the winner of a run whose versions were tested on a share of its people, and lets the rest have it."""

from dataclasses import replace
from uuid import UUID

import structlog

from journeys.language.campaigns import REST
from journeys.language.durations import seconds
from journeys.language.events import Goal
from journeys.language.experiments import LookAgain, NoWinner, Suspect, Winner, what_next
from storage import campaign_results, campaign_sends, campaign_winners, campaigns
from storage.campaign_winners import ToDecide
from storage.database import Connection, Database

AT_ONCE = 20
CHUNKS_AT_ONCE = 200
_log = structlog.get_logger()


class Winners:
    """Asks the rule of each such run when it is due. Any number of processes may: who decides first has decided."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def look(self) -> list[tuple[str, UUID]]:
        """Look at what is due, each run in a transaction of its own; returns (app, run) of those that are decided now."""
        async with self._database.transaction() as connection:
            waiting = await campaign_winners.to_look_at(connection, most=AT_ONCE)
        decided = []
        for each in waiting:
            async with self._database.transaction() as connection:
                if await _look(connection, each):
                    decided.append((each.app, each.run_id))
        return decided + await self._let_go() + await self._skip_who_gets_nothing()

    async def _let_go(self) -> list[tuple[str, UUID]]:
        async with self._database.transaction() as connection:
            return await campaign_winners.let_go(connection, most=AT_ONCE)

    async def _skip_who_gets_nothing(self) -> list[tuple[str, UUID]]:
        async with self._database.transaction() as connection:
            found = await campaign_winners.without(connection, most=AT_ONCE)
        for app, run_id in found:
            gone = CHUNKS_AT_ONCE
            while gone == CHUNKS_AT_ONCE:
                async with self._database.transaction() as connection:
                    gone = await campaign_sends.skip_left(connection, app, run_id, reason="no_winner", most=CHUNKS_AT_ONCE, step=REST)
        return found


def _as_long_for_all(goal: Goal, waiting: ToDecide) -> Goal:
    """Who was sent it later has had less time, who was left out at once more: of each only so much counts as the last one has had."""
    since_s = int((waiting.now - waiting.tested_at).total_seconds())
    return replace(goal, within=min(goal.within, seconds(since_s), key=lambda each: each.seconds))


async def _look(connection: Connection, waiting: ToDecide) -> bool:
    """Whether it is decided now."""
    campaign = campaigns.read(waiting.definition)
    experiment = campaign.experiment
    # Without versions, goal and rule nobody waits: check refuses that.
    assert experiment is not None
    assert experiment.winner is not None
    app, run_id = waiting.app, waiting.run_id
    goal = _as_long_for_all(experiment.goal, waiting)
    counts = await campaign_results.exposed(connection, app, run_id, goal, at=waiting.now)
    match what_next(experiment, counts, waiting.tested_at, waiting.now):
        case LookAgain(look_at, because):
            await campaign_winners.look_again(connection, app, run_id, look_at, because)
        case Suspect():
            await campaign_winners.look_again(connection, app, run_id, None, "suspect")
            _log.warning("a campaign's people are not spread as the weights say", app=app, run=str(run_id))
        case Winner(variant):
            return await campaign_winners.decide(connection, app, run_id, variant, "winner")
        case NoWinner(variant):
            return await campaign_winners.decide(connection, app, run_id, variant, experiment.winner.otherwise)
    return False
