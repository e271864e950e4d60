"""A town with many people and a campaign: planned, and sent by lanes as a process has them."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from activities.campaigns.lanes import CampaignLanes, House
from activities.campaigns.order import RunOrder, Standing
from activities.campaigns.planning import CampaignRuns
from activities.campaigns.recovering import JournalLane
from journeys.language import email, trait
from journeys.language.campaigns import Campaign
from journeys.language.codec import campaign_of_run, campaign_to_json, condition_hash, condition_to_json
from journeys.language.segments import mentions
from storage import campaign_runs, segments
from storage.campaign_runs import Wait
from tests.activities.town import APP, Town

_PEOPLE = """
WITH p AS (INSERT INTO users (app, user_id, attributes, timezone)
  SELECT 'demo', 'p' || n, jsonb_build_object('tier', 'blast', 'n', n), CAST(:zone AS text)
  FROM generate_series(CAST(:first AS integer), CAST(:last AS integer)) n
  RETURNING id, user_id)
INSERT INTO endpoints (app, user_id, channel, address, address_hash, confirmed_at)
SELECT 'demo', id, 'email', user_id || '@example.com',
  sha256(length_prefixed('demo', 'email', user_id || '@example.com')), clock_timestamp() FROM p
"""
_EARLIER = """
UPDATE campaign_runs SET definition = jsonb_set(definition::jsonb, '{local_at}',
  to_jsonb(to_char((definition::jsonb ->> 'local_at')::timestamp - CAST(:by AS interval), 'YYYY-MM-DD"T"HH24:MI:SS.US')))::text
WHERE id = CAST(CAST(:run_id AS text) AS uuid)
"""


@dataclass
class Blast:
    town: Town
    folder: Path
    lanes: int = 4
    people: int = 0
    orders: list[RunOrder] = field(default_factory=list)
    through: Mapping[str, Any] = field(default_factory=dict)
    """What it delivers with in place of the town's: fields of Delivery."""

    async def add_people(self, many: int, *, zone: str | None = None) -> None:
        await self.town.run(_PEOPLE, first=self.people + 1, last=self.people + many, zone=zone)
        self.people += many

    async def begin(self, *, repeats: UUID | None = None, local_at: str | None = None, **settings: Any) -> RunOrder:
        """Write a run down, as launching does."""
        campaign = Campaign("spring-sale", "everybody", **{"message": email("welcome"), **settings})
        run_id = uuid4()
        async with self.town.database.transaction() as connection:
            condition = trait("tier") == "blast"
            text = condition_to_json(condition).decode()
            await segments.publish(connection, APP, "everybody", text, condition_hash(condition), mentions(condition))
            definition = campaign_of_run(campaign_to_json(campaign).decode(), local_at)
            await campaign_runs.begin(connection, APP, run_id, campaign=campaign.name, version=1, definition=definition, repeats=repeats)
        self.orders.append(RunOrder(APP, str(run_id)))
        return self.orders[-1]

    async def launch(self, **settings: Any) -> RunOrder:
        order = await self.begin(**settings)
        await self.runs.plan(order)
        return order

    @property
    def runs(self) -> CampaignRuns:
        return CampaignRuns(self.town.database)

    def process(self) -> CampaignLanes:
        """A fresh process."""
        delivery = replace(self.town.delivery(), **self.through)
        return CampaignLanes(House(self.town.database, delivery, self.folder, self.lanes))

    async def send(self, order: RunOrder) -> None:
        await self.process().send(order)

    async def look(self, order: RunOrder) -> Standing:
        return await self.runs.look(order)

    async def recover(self) -> int:
        return await JournalLane(self.town.database, self.folder, self.town.timing).look()

    async def waits(self, order: RunOrder) -> list[Wait]:
        async with self.town.database.transaction() as connection:
            return await campaign_runs.waits(connection, APP, UUID(order.run_id))

    async def change(self, order: RunOrder, state: campaign_runs.State) -> bool:
        async with self.town.database.transaction() as connection:
            return await campaign_runs.change(connection, APP, UUID(order.run_id), state)

    async def tallies(self, order: RunOrder) -> dict[tuple[str, str | None], int]:
        async with self.town.database.transaction() as connection:
            found = await campaign_runs.tallies(connection, APP, UUID(order.run_id))
        counted: Counter[tuple[str, str | None]] = Counter()
        for each in found:
            counted[each.state, each.reason] += each.messages
        return {key: number for key, number in counted.items() if number}

    async def ends(self) -> Mapping[tuple[str, str | None], int]:
        """What the ledger's rows have come to."""
        return Counter(await self.town.states())

    async def let_leases_end(self, by: timedelta = timedelta(minutes=5)) -> None:
        await self.town.run("UPDATE campaign_chunks SET due_at = due_at - CAST(:by AS interval)", by=by)
        await self.town.age_claims()

    async def pass_time(self, order: RunOrder, by: timedelta) -> None:
        """Everything that a run waits for, the time on people's own walls too, comes so much earlier."""
        await self.let_leases_end(by)
        await self.town.run(_EARLIER, run_id=order.run_id, by=by)
