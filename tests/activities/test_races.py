"""Sixteen hundred races of leaving against claiming, on connections of their own: who left before a claim is not written to.

Both sides note the database's clock while they hold the same lock, so the two times tell who came first. With the lock taken out the same
judge finds violations, which shows that it can.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from activities import claiming
from activities.campaigns import claiming as campaign_claiming
from activities.campaigns import running
from activities.direct import DirectLane
from activities.orders import SendOrder
from journeys.language.verdict import SendVerdict
from storage import campaign_sends, consents, standing, suppressions
from storage.campaign_sends import Chunk, Recipient
from storage.consents import ConsentRecord
from storage.database import Connection
from storage.direct_sends import DirectSend, plan_direct
from storage.ids import address_hash
from tests.activities.campaigns.blast import Blast
from tests.activities.town import APP, Town, order_of

AT_ONCE = 6


@dataclass(frozen=True)
class Runner:
    """Somebody who is written to and leaves at the same time."""

    user_id: int
    address: str
    enrollment_id: UUID = field(default_factory=uuid4)


async def runners(town: Town, many: int) -> list[Runner]:
    """People with an address each, inside the journey."""
    made = await town.run(
        "INSERT INTO users (app, user_id) SELECT 'demo', gen_random_uuid()::text FROM generate_series(1, :many) RETURNING id", many=many
    )
    found = [Runner(int(row.id), f"runner{row.id}@example.com") for row in made]
    ids = [each.user_id for each in found]
    await town.run(
        "INSERT INTO endpoints (app, user_id, channel, address, address_hash, confirmed_at) SELECT 'demo', g.id, 'email', g.address,"
        " g.hash, now() FROM unnest(CAST(:ids AS bigint[]), CAST(:addresses AS text[]), CAST(:hashes AS bytea[])) AS g (id, address, hash)",
        ids=ids,
        addresses=[each.address for each in found],
        hashes=[address_hash(APP, "email", each.address) for each in found],
    )
    await town.run(
        "INSERT INTO enrollments (app, id, user_id, subject, journey, version, n, workflow_id, entry_event_id, entry_name, entered_at,"
        " state) SELECT 'demo', g.id, g.person, 'x', 'onboarding', 1, 1, g.id::text, g.id::text, 'signed_up', now(), 'open'"
        " FROM unnest(CAST(:ids AS uuid[]), CAST(:people AS bigint[])) AS g (id, person)",
        ids=[each.enrollment_id for each in found],
        people=ids,
    )
    return found


async def leave_topic(connection: Connection, runner: Runner) -> None:
    await consents.record(connection, APP, runner.user_id, ConsentRecord("email", "general", "withdrawn", "test"))


async def leave_everything(connection: Connection, runner: Runner) -> None:
    await consents.record(connection, APP, runner.user_id, ConsentRecord("*", "*", "withdrawn", "test"))


async def be_suppressed(connection: Connection, runner: Runner) -> None:
    digest = address_hash(APP, "email", runner.address)
    await suppressions.suppress(connection, APP, "email", digest, reason="complaint", source="test")


Leaving = Callable[[Connection, Runner], Awaitable[None]]
LEAVING: dict[str, Leaving] = {"topic": leave_topic, "everything": leave_everything, "suppressed": be_suppressed}
# Left, by the database's clock under the lock, before the claim. A claim that never was has no time.
_VIOLATIONS = """
SELECT m.id FROM messages m JOIN consents c ON c.app = m.app AND c.user_id = m.user_id AND c.recorded_at < m.claimed_at
UNION ALL SELECT m.id FROM messages m LEFT JOIN endpoints e ON e.app = m.app AND e.id = m.endpoint_id
JOIN suppressions s ON s.app = m.app AND s.created_at < m.claimed_at
    AND s.address_hash = ANY(suppression_hashes(coalesce(e.address_hash, sha256(length_prefixed(m.app, m.channel, m.address)))))
"""


@asynccontextmanager
async def bounded(slots: asyncio.Semaphore) -> AsyncIterator[None]:
    async with slots:
        await asyncio.sleep(random.uniform(0, 0.004))
        yield


async def leaves(town: Town, runner: Runner, leaving: Leaving, *, late_s: float, open_s: float = 0.002) -> float:
    """Leave, in a transaction that stays open for a moment; return when the commit had come back."""
    await asyncio.sleep(late_s)
    async with town.database.transaction() as connection:
        await leaving(connection, runner)
        await asyncio.sleep(random.uniform(0, open_s))
    return time.monotonic()


async def is_written_to(town: Town, order: SendOrder, *, late_s: float) -> tuple[float, SendVerdict]:
    await asyncio.sleep(late_s)
    began = time.monotonic()
    return began, await town.hands().deliver(order)


async def race_in_a_journey(town: Town, runner: Runner, leaving: Leaving, slots: asyncio.Semaphore) -> bool:
    """Return whether it was sent. Whoever had left for certain before the claim began got nothing."""
    late = random.uniform(-0.01, 0.01)
    async with bounded(slots):
        left_at, (began, verdict) = await asyncio.gather(
            leaves(town, runner, leaving, late_s=max(late, 0)),
            is_written_to(town, order_of(runner.enrollment_id), late_s=max(-late, 0)),
        )
    assert not (left_at < began and verdict.sent)
    return verdict.sent


async def races(town: Town, leaving: Leaving, many: int) -> list[bool]:
    slots = asyncio.Semaphore(AT_ONCE)
    return await asyncio.gather(*(race_in_a_journey(town, runner, leaving, slots) for runner in await runners(town, many)))


@pytest.mark.parametrize("leaving", LEAVING)
async def test_in_200_races_of_each_kind_nothing_is_claimed_for_who_left_before(town: Town, leaving: str) -> None:
    sent = await races(town, LEAVING[leaving], 200)
    assert await town.run(_VIOLATIONS) == []
    assert 10 < sum(sent) < 190, "both sides must win now and then, or it was no race"


async def plan(town: Town, people: Sequence[Runner], *, is_to_addresses: bool) -> None:
    """A direct message for each, to them or to their bare address."""
    async with town.database.transaction(APP) as connection:
        for runner in people:
            whom: dict[str, Any] = {"address": runner.address} if is_to_addresses else {"user_id": runner.user_id}
            await plan_direct(connection, DirectSend(APP, uuid4().hex, "email", "marketing", {"template": "welcome"}, **whom))


@pytest.mark.parametrize("leaving", ["topic", "suppressed"])
async def test_in_200_races_of_each_kind_the_lane_claims_nothing_for_who_left_before(town: Town, leaving: str) -> None:
    lane = DirectLane(town.database, town.delivery(), asyncio.Event())
    people = await runners(town, 200)
    for first in range(0, len(people), AT_ONCE):
        field = people[first : first + AT_ONCE]
        await plan(town, field, is_to_addresses=leaving == "suppressed" and (first // AT_ONCE) % 2 == 0)
        late = [random.uniform(0, 0.05) for _ in field]
        await asyncio.gather(
            lane.pass_once(),
            *(leaves(town, runner, LEAVING[leaving], late_s=late_s) for runner, late_s in zip(field, late, strict=True)),
        )
    assert await town.run(_VIOLATIONS) == []
    states = [state for state, _ in await town.states()]
    assert len(states) == 200
    assert set(states) == {"sent", "skipped"}, "both sides must win now and then, or it was no race"


@pytest.mark.parametrize("leaving", ["topic", "suppressed"])
async def test_without_the_lock_the_same_races_find_violations(town: Town, monkeypatch: pytest.MonkeyPatch, leaving: str) -> None:
    """The time between reading and claiming is drawn out, so that it does not hang on luck."""
    for name in ("_LOCK_PERSON", "_LOCK_ENROLLED"):
        statement = str(getattr(standing, name)).replace("FOR NO KEY UPDATE OF u", "").replace("FOR NO KEY UPDATE", "")
        monkeypatch.setattr(standing, name, text(statement))
    read = standing.read_standing

    async def read_slowly(connection: Connection, asked: standing.Asked) -> standing.Standing:
        found = await read(connection, asked)
        await asyncio.sleep(0.02)
        return found

    monkeypatch.setattr(claiming, "read_standing", read_slowly)

    await races(town, LEAVING[leaving], 60)
    assert await town.run(_VIOLATIONS) != []


JUDGES = ("SQL", "the rules")


@dataclass
class CampaignRaces:
    """A campaign to many, who leave while the lanes lock the chunk that they are in. `open_s`: how long leaving takes at most."""

    blast: Blast
    leaving: Leaving
    open_s: float = 0.002
    runners: dict[int, Runner] = field(default_factory=dict)
    leavers: list[asyncio.Task[float]] = field(default_factory=list)
    # Of two lanes all may leave at once.
    slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(2 * AT_ONCE))

    async def run(self, many: int, monkeypatch: pytest.MonkeyPatch, *, judge: str) -> None:
        monkeypatch.setattr(running, "CHUNK", AT_ONCE)
        if judge == "the rules":
            # Then SQL claims nobody by itself.
            monkeypatch.setattr(campaign_claiming, "NEEDS_CONSENT", {"email"})
        await self.blast.add_people(many)
        order = await self.blast.launch()
        rows = await self.blast.town.run("SELECT user_id, address FROM endpoints WHERE app = 'demo'")
        self.runners = {row.user_id: Runner(row.user_id, row.address) for row in rows}
        lock = campaign_sends.lock_recipients

        async def lock_while_they_leave(connection: Connection, chunk: Chunk) -> list[Recipient]:
            await self._let_leave(connection, chunk)
            await asyncio.sleep(random.uniform(0, 0.02))
            return await lock(connection, chunk)

        monkeypatch.setattr(campaign_sends, "lock_recipients", lock_while_they_leave)
        await self.blast.send(order)
        await asyncio.gather(*self.leavers)

    async def _let_leave(self, connection: Connection, chunk: Chunk) -> None:
        ids = {"ids": chunk.message_ids}
        found = await connection.execute(text("SELECT user_id FROM messages WHERE app = 'demo' AND id = ANY(CAST(:ids AS uuid[]))"), ids)
        self.leavers.extend(asyncio.create_task(self._leaves(self.runners[user_id])) for user_id in found.scalars())

    async def _leaves(self, runner: Runner) -> float:
        async with self.slots:
            return await leaves(self.blast.town, runner, self.leaving, late_s=random.uniform(0, 0.02), open_s=self.open_s)


@pytest.mark.parametrize("judge", JUDGES)
@pytest.mark.parametrize("leaving", LEAVING)
async def test_in_100_races_of_each_kind_a_campaign_claims_nothing_for_who_left_before(
    town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, leaving: str, judge: str
) -> None:
    races = CampaignRaces(Blast(town, tmp_path, lanes=2), LEAVING[leaving])
    await races.run(100, monkeypatch, judge=judge)
    assert len(races.leavers) == 100
    assert await town.run(_VIOLATIONS) == []
    states = [state for state, _ in await town.states()]
    assert len(states) == 100
    assert set(states) == {"sent", "skipped"}, "both sides must win now and then, or it was no race"


@pytest.mark.parametrize("judge", JUDGES)
@pytest.mark.parametrize("leaving", ["topic", "suppressed"])
async def test_without_the_lock_of_a_chunk_the_same_races_find_violations(
    town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, leaving: str, judge: str
) -> None:
    """The time between leaving and its commit is drawn out, so that it does not hang on luck."""
    unlocked = str(campaign_sends._LOCK).replace("FOR NO KEY UPDATE OF u", "")
    monkeypatch.setattr(campaign_sends, "_LOCK", text(unlocked))
    await CampaignRaces(Blast(town, tmp_path, lanes=2), LEAVING[leaving], open_s=0.05).run(60, monkeypatch, judge=judge)
    assert await town.run(_VIOLATIONS) != []
