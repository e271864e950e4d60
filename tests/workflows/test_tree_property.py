"""Random journeys live the same on Temporal and in rehearsal: the same sends, skips, ways, times, ends and captured events."""

import asyncio
import os
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from journeys.language.walk import all_steps
from storage.database import Database
from tests.workflows.both_worlds import Told, Worlds, rehearsed, worlds
from tests.workflows.tree_cases import Case, cases, smaller

CASES = int(os.environ.get("SOJOURN_TREE_CASES", "80"))
SEED = int(os.environ.get("SOJOURN_TREE_SEED", "4"))
AT_ONCE = 12
MOST_SHRINKS = int(os.environ.get("SOJOURN_TREE_SHRINKS", "60"))


def drawn(number: int, start: int) -> list[Case]:
    """So many random lives, always the same ones for one seed; most of them in journeys of several steps."""
    found: list[Case] = []

    @seed(start)
    @settings(max_examples=number * 2, phases=[Phase.generate], database=None, suppress_health_check=list(HealthCheck))
    @given(cases())
    def collect(case: Case) -> None:
        if len(list(all_steps(case.journey.steps))) > 2 or len(found) % 8 == 0:
            found.append(case)

    collect()
    return found[:number]


async def lived(place: Worlds, case: Case) -> tuple[Told, Told, str]:
    app = f"c{uuid4().hex[:10]}"
    in_rehearsal, played = rehearsed(case, app, "ann")
    on_temporal = await place.told_on_temporal(case, app, "ann")
    return on_temporal, in_rehearsal, played.timeline


# A signal during a local activity makes the worker drop the task; the activity may have ended by itself meanwhile.
@pytest.mark.filterwarnings("ignore:Cannot find activity to cancel")
async def test_random_lives_are_the_same_in_both_worlds(database: Database, temporal: str, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = asyncio.Semaphore(AT_ONCE)
    async with worlds(database, temporal, monkeypatch) as place:

        async def differs(case: Case) -> Case | None:
            async with gate:
                on_temporal, in_rehearsal, _ = await lived(place, case)
                return case if on_temporal != in_rehearsal else None

        found = await asyncio.gather(*(differs(case) for case in drawn(CASES, SEED)))
        wrong = [case for case in found if case is not None]
        if wrong:
            pytest.fail(f"{len(wrong)} of {len(found)} differ (seed {SEED}); the smallest of the first:\n" + await _shrunk(place, wrong[0]))


async def _shrunk(place: Worlds, case: Case) -> str:
    """Take away what can be taken away while the Worlds still differ, greedily, and print what is left."""
    left = MOST_SHRINKS
    is_smaller = True
    while is_smaller and left:
        is_smaller = False
        for candidate in smaller(case):
            left -= 1
            on_temporal, in_rehearsal, _ = await lived(place, candidate)
            if on_temporal != in_rehearsal:
                case, is_smaller = candidate, True
                break
            if not left:
                break
    on_temporal, in_rehearsal, timeline = await lived(place, case)
    return f"{case}\n\nON TEMPORAL\n{on_temporal}\n\nIN REHEARSAL\n{in_rehearsal}\n{timeline}"
