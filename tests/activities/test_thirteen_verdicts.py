"""Five thousand sends through the direct lane against a provider that answers in every way it can (reliability, section 3)."""

import asyncio
import os
from collections import Counter
from datetime import timedelta
from typing import Any
from uuid import UUID

from activities.breaker import Bounds
from activities.direct import DirectLane, Lanes
from activities.sending import Timing
from activities.unknowns import Sweeper
from storage import message_pages
from storage.database import Database
from storage.direct_sends import DirectSend, plan_direct
from tests.activities.several import Several
from tests.activities.town import APP, build
from tests.activities.verdicts_provider import TAKEN, scripted_postmark

SENDS = int(os.environ.get("SOJOURN_VERDICT_SENDS", "5000"))
SEED = int(os.environ.get("SOJOURN_SEED", "13"))
LONGEST_NAMED_S = 2.0
TIMING = Timing(send_s=4.0, claim_s=20.0, unknown_wait=timedelta(seconds=1))
BOUNDS = Bounds(failures=5, first_pause_s=0.05, longest_pause_s=0.5, longest_named_s=LONGEST_NAMED_S, crowded_wait_s=0.2)
PARTS = {"from": "Demo <demo@example.com>", "subject": "Hi", "text": "Ho"}


async def test_thirteen_verdicts_lose_nothing_double_nothing_and_keep_every_429(database: Database, database_url: str) -> None:
    many = Database(database_url, pool_size=40, wait_s=30)
    async with scripted_postmark(SEED, SENDS) as (provider, watched):
        town = await build(many)
        town.timing = TIMING
        several = Several(town, BOUNDS)
        several.adapter("only", watched)
        await _plan(many)
        await _deliver_all(several)
        rows = await town.rows()
        async with many.transaction() as connection:
            found = await message_pages.page(
                connection, APP, user_id=None, state="unknown", journey=None, channel=None, before=None, most=SENDS
            )
        listed = {each.id for each in found}
    await many.close()
    taken = Counter(line.message_id for line in provider.log if line.verdict in TAKEN)
    states = Counter((row.state, row.message_class) for row in rows)
    print(f"seed {SEED}: {SENDS} sends, {len(provider.log)} requests, {dict(states)}, {len(watched.closures)} closures")  # noqa: T201
    assert provider.left == [] or len(provider.log) >= SENDS, "the script was played"
    assert {row.state for row in rows} <= {"sent", "rejected", "unknown", "given_up"}, "nothing is left behind"
    assert len(rows) == SENDS, "lost before it was planned"
    assert [row.id for row in rows if not taken[str(row.id)] and not _is_told(row, listed)] == [], "lost"
    assert set(taken) <= {str(row.id) for row in rows}, "phantom"
    assert [row.id for row in rows if row.message_class == "marketing" and taken[str(row.id)] > 1] == [], "doubled"
    assert [row.id for row in rows if taken[str(row.id)] > 1 + row.maybe_doubled] == [], "doubled and not marked"
    assert [row.id for row in rows if taken[str(row.id)] and row.state == "rejected"] == []
    assert watched.broken_rules(provider.log, LONGEST_NAMED_S) == []
    assert len(provider.log) <= 3 * SENDS


def _is_told(row: Any, listed: set[UUID]) -> bool:
    """Whoever looks learns that it did not arrive, or may not have: it is among the unconfirmed, or has failed with a reason."""
    return row.id in listed if row.state == "unknown" else row.state in {"rejected", "given_up"} and bool(row.reason)


async def _plan(database: Database) -> None:
    async def some(numbers: range) -> None:
        async with database.transaction() as connection:
            for number in numbers:
                message_class = "transactional" if number % 2 else "marketing"
                send = DirectSend(APP, f"r-{number}", "email", message_class, {"parts": PARTS}, None, f"p{number}@example.com")
                await plan_direct(connection, send)

    await asyncio.gather(*(some(range(start, SENDS, 8)) for start in range(8)))


async def _deliver_all(several: Several) -> None:
    """The lanes of one worker, and the sweeper, until nobody waits for anything but for the provider's word."""
    delivery = several.delivery()
    lanes = [asyncio.create_task(DirectLane(several.town.database, delivery, asyncio.Event(), Lanes(poll_s=0.05)).run())]
    sweeper = Sweeper(several.town.database, TIMING)
    try:
        while await several.town.run(
            "SELECT 1 FROM open_messages o JOIN messages m ON m.id = o.message_id WHERE o.kind <> 'unknown'"
            " OR (m.message_class = 'transactional' AND NOT m.maybe_doubled) LIMIT 1"
        ):
            await sweeper.sweep()
            await asyncio.sleep(0.3)
    finally:
        for lane in lanes:
            lane.cancel()
        await asyncio.wait(lanes)
