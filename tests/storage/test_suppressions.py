"""A suppressed address stays so with its first reason, and suppressing waits for claims of everybody who has it."""

import asyncio

from storage import suppressions
from storage.database import Database
from storage.ids import address_hash
from storage.standing import lock_address, lock_person
from tests.activities.town import APP, build

ADDRESS = "ann@example.com"
DIGEST = address_hash(APP, "email", ADDRESS)


async def test_the_first_reason_of_a_suppression_stays(database: Database) -> None:
    await build(database)
    async with database.transaction(APP) as connection:
        await suppressions.suppress(connection, APP, "email", DIGEST, reason="bounce", source="ses")
        await suppressions.suppress(connection, APP, "email", DIGEST, reason="manual", source="ann")
        found = await suppressions.get(connection, APP, "email", DIGEST)
        assert found is not None
        assert (found.reason, found.source) == ("bounce", "ses")
        assert await suppressions.release(connection, APP, "email", DIGEST)
        assert not await suppressions.release(connection, APP, "email", DIGEST)


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
