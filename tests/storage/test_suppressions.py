"""A suppressed address stays so with its strongest reason, and suppressing waits for claims of everybody who has it."""

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest

from storage import suppressions
from storage.database import Database
from storage.ids import address_hash
from storage.standing import lock_address, lock_person
from storage.suppressions import STOP, Reason
from tests.activities.town import APP, build

ADDRESS = "ann@example.com"
DIGEST = address_hash(APP, "email", ADDRESS)


Said = tuple[Reason, str]
BOUNCED: Said = ("bounce", "ses")
LISTED: Said = ("provider", "twilio")
STOPPED: Said = ("manual", STOP)
BLOCKED: Said = ("manual", "ann")
COMPLAINED: Said = ("complaint", "ses")
WEAK = (BOUNCED, LISTED, STOPPED)


async def say(database: Database, *said: Said, at_once: bool = False) -> None:
    """Each in a transaction of its own, by either way to suppress."""
    for reason, source in said:
        async with database.transaction(APP) as connection:
            if at_once:
                await suppressions.suppress_all(connection, APP, "email", {DIGEST: reason}, source=source)
            else:
                await suppressions.suppress(connection, APP, "email", DIGEST, reason=reason, source=source)


async def stands(database: Database) -> Said | None:
    async with database.transaction(APP) as connection:
        found = await suppressions.get(connection, APP, "email", DIGEST)
    return (found.reason, found.source) if found else None


async def start(database: Database) -> bool:
    async with database.transaction(APP) as connection:
        return await suppressions.release_told(connection, APP, "email", DIGEST)


async def test_a_block_by_hand_stays_in_whatever_order_it_came_and_no_start_frees_it(database: Database) -> None:
    town = await build(database)
    for place, order in enumerate(permutations((*WEAK, BLOCKED))):
        await town.run("DELETE FROM suppressions")
        await say(database, *order, at_once=place % 2 == 0)
        assert await stands(database) == BLOCKED, order
        assert not await start(database)
        assert await stands(database) == BLOCKED, order


@pytest.mark.parametrize("first", [COMPLAINED, BLOCKED])
@pytest.mark.parametrize("weak", WEAK)
async def test_of_a_block_and_a_complaint_the_first_stays_over_all_that_is_weaker(database: Database, first: Said, weak: Said) -> None:
    await build(database)
    await say(database, weak, first, *({COMPLAINED, BLOCKED} - {first}), weak)
    assert await stands(database) == first
    async with database.transaction(APP) as connection:
        assert await suppressions.release(connection, APP, "email", DIGEST)
        assert not await suppressions.release(connection, APP, "email", DIGEST)


async def test_of_what_a_start_frees_the_first_reason_stays(database: Database) -> None:
    await build(database)
    for first, second in permutations(WEAK, 2):
        await say(database, first, second)
        assert await stands(database) == first
        assert await start(database)
        assert await stands(database) is None


async def test_a_block_that_comes_while_a_start_is_heard_is_not_lost(database: Database) -> None:
    await build(database)
    await say(database, BOUNCED)
    async with database.transaction(APP) as connection:
        await suppressions.release_told(connection, APP, "email", DIGEST)
        blocking = asyncio.create_task(say(database, BLOCKED))
        done, _ = await asyncio.wait([blocking], timeout=0.3)
        assert not done
    await blocking
    assert await stands(database) == BLOCKED


@pytest.mark.parametrize(
    ("said", "by", "left"),
    [
        (LISTED, "twilio", None),
        (BOUNCED, "ses", None),
        (BOUNCED, "twilio", BOUNCED),
        (STOPPED, STOP, STOPPED),
        (BLOCKED, "ann", BLOCKED),
        (COMPLAINED, "ses", COMPLAINED),
    ],
)
async def test_a_provider_takes_back_what_it_told_itself_and_nothing_of_people(
    database: Database, said: Said, by: str, left: Said | None
) -> None:
    await build(database)
    await say(database, said)
    for before, stays in ((datetime.now(UTC) - timedelta(minutes=1), said), (datetime.now(UTC) + timedelta(minutes=1), left)):
        async with database.transaction(APP) as connection:
            await suppressions.take_back(connection, APP, "email", DIGEST, source=by, before=before)
        assert await stands(database) == stays


async def test_suppressing_waits_for_a_claim_of_whoever_has_the_address(database: Database) -> None:
    town = await build(database)
    await town.endpoint(address=ADDRESS)
    async with database.transaction() as claim:
        await lock_person(claim, APP, town.user_id)
        suppressing = asyncio.create_task(town.suppress(ADDRESS))
        done, _ = await asyncio.wait([suppressing], timeout=0.3)
        assert not done
    await suppressing


async def test_suppressing_waits_for_a_send_to_the_bare_address(database: Database) -> None:
    town = await build(database)
    async with database.transaction() as claim:
        await lock_address(claim, DIGEST)
        suppressing = asyncio.create_task(town.suppress(ADDRESS))
        done, _ = await asyncio.wait([suppressing], timeout=0.3)
        assert not done
    await suppressing
