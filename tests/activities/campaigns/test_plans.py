"""The plan of a run puts everybody where journeys/language/assign.py does: out of all marketing, held out, waiting, or into a version."""

import random
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from activities.campaigns.order import RunOrder
from activities.campaigns.planning import CampaignRuns
from journeys.language import days, email, event, hours, sql, trait
from journeys.language.assign import AppHoldout, in_app_holdout
from journeys.language.campaigns import ONLY, REST, Campaign, Version, WinnerRule
from journeys.language.codec import campaign_to_json, condition_hash, condition_to_json
from journeys.language.experiments import Experiment, Variant, part_of
from journeys.language.segments import mentions
from storage import apps, campaign_runs, segments
from storage.database import Database
from tests.activities.campaigns.blast import Blast

KNOWN, ANONYMOUS, UNNAMED = 240, 60, 10
SETTINGS = 40
GOAL = event("order_placed").within(days(1))
EVERYBODY = trait("plan") == "gold"
_PEOPLE = text("""
WITH made AS (
  INSERT INTO users (app, user_id, attributes)
  SELECT 'demo', CASE WHEN n <= :known THEN 'user ' || n || 'é' END, '{"plan": "gold"}'
  FROM generate_series(1, CAST(:known AS integer) + :anonymous + :unnamed) n RETURNING id, user_id
), reached AS (
  INSERT INTO endpoints (app, user_id, channel, address, address_hash, confirmed_at)
  SELECT 'demo', id, 'email', id || '@example.com', sha256(convert_to(id::text, 'UTF8')), now() FROM made
)
INSERT INTO identities (app, kind, value, user_id, created_at)
SELECT 'demo', 'a', 'anonymous ' || age || ' of ' || id, id, now() - make_interval(days => age)
FROM (SELECT id FROM made WHERE user_id IS NULL ORDER BY id LIMIT :anonymous) a, generate_series(1, 2) age
""")
# The oldest of somebody's anonymous ids is what they are drawn by, where no other is known.
_SUBJECTS = text("""
SELECT u.id, coalesce(u.user_id, (SELECT 'anonymous 2 of ' || u.id FROM identities i WHERE i.user_id = u.id LIMIT 1), u.id::text) AS subject
FROM users u
""")
_PLACED = text("SELECT user_id, step, reason, state FROM messages WHERE source = :source")


@dataclass(frozen=True)
class Drawn:
    """Settings drawn by chance."""

    campaign: Campaign
    app_holdout: AppHoldout | None


def percent(chance: random.Random, least: float = 0.01) -> float:
    return round(chance.uniform(least, 99.98), chance.choice((0, 1, 2))) or 1.0


def weights(chance: random.Random, many: int) -> list[float]:
    cuts = sorted(chance.sample(range(1, 10_000), many - 1))
    return [(end - begin) / 100 for begin, end in zip([0, *cuts], [*cuts, 10_000], strict=True)]


def drawn(chance: random.Random) -> Drawn:
    holdout = AppHoldout(percent(chance), chance.choice(("", "2027", "é"))) if chance.random() < 0.6 else None
    settings: dict[str, Any] = {"holdout": percent(chance) if chance.random() < 0.6 else 0}
    settings["message_class"] = chance.choice(("marketing", "marketing", "transactional"))
    many = chance.choice((0, 2, 3, 5))
    if not many:
        return Drawn(Campaign(f"sale-{chance.randrange(1000)}", "golden", email("sale"), **settings), holdout)
    settings["versions"] = [Version(f"v{place}", weight, email("sale")) for place, weight in enumerate(weights(chance, many))]
    if chance.random() < 0.7:
        settings |= {"goal": GOAL, "winner": WinnerRule(percent(chance), hours(1), hours(24))}
    return Drawn(Campaign(f"sale-{chance.randrange(1000)}", "golden", **settings), holdout)


def expected(settings: Drawn, subject: str) -> tuple[str | None, str | None]:
    """The reason for which somebody is held out, or the version for which they are written to; as read from Python alone."""
    campaign, holdout = settings.campaign, settings.app_holdout
    if holdout and campaign.message_class == "marketing" and in_app_holdout(holdout, "demo", subject):
        return "app_holdout", None
    variants = [Variant(each.name, each.weight) for each in campaign.versions] or [Variant(ONLY, 100)]
    part = part_of(Experiment(variants, GOAL, winner=campaign.winner, holdout=campaign.holdout), "demo", campaign.name, subject)
    if part == "held_out":
        return "held_out", None
    return None, REST if part == "rest" else part.name


@pytest.fixture
async def subjects(database: Database) -> dict[int, str]:
    """Everybody, by what they are drawn by."""
    async with database.transaction() as connection:
        await connection.execute(_PEOPLE, {"known": KNOWN, "anonymous": ANONYMOUS, "unnamed": UNNAMED})
        await segments.publish(
            connection, "demo", "golden", condition_to_json(EVERYBODY).decode(), condition_hash(EVERYBODY), mentions(EVERYBODY)
        )
        return {row.id: row.subject for row in await connection.execute(_SUBJECTS)}


async def plan(database: Database, run_id: UUID, settings: Drawn) -> dict[int, tuple[str | None, str | None]]:
    holdout = settings.app_holdout
    async with database.transaction() as connection:
        await apps.set_setting(connection, "demo", "holdout", {"percent": holdout.percent, "salt": holdout.salt} if holdout else None)
        written = campaign_to_json(settings.campaign).decode()
        await campaign_runs.begin(connection, "demo", run_id, campaign=settings.campaign.name, version=1, definition=written)
    await CampaignRuns(database).plan(RunOrder("demo", str(run_id)))
    async with database.transaction() as connection:
        found = (await connection.execute(_PLACED, {"source": f"campaign:{run_id}"})).all()
    assert {(row.reason is None, row.state) for row in found} <= {(True, "planned"), (False, "skipped")}
    return {row.user_id: (row.reason, None if row.reason else row.step) for row in found}


async def test_python_and_the_plan_agree_on_everybody_whatever_the_settings(database: Database, subjects: dict[int, str]) -> None:
    chance, seen = random.Random(110), set[str | None]()
    assert len(subjects) == KNOWN + ANONYMOUS + UNNAMED
    for number in range(SETTINGS):
        settings = drawn(chance)
        placed = await plan(database, UUID(int=number + 1), settings)
        assert placed == {person: expected(settings, subject) for person, subject in subjects.items()}, settings
        seen |= {each for pair in placed.values() for each in pair}
    assert {"app_holdout", "held_out", REST, ONLY, "v0", "v4"} <= seen


async def test_who_is_held_out_of_the_app_is_written_down_as_such_and_gets_what_is_transactional(
    database: Database, subjects: dict[int, str]
) -> None:
    holdout = AppHoldout(30, "2027")
    out = {person for person, subject in subjects.items() if in_app_holdout(holdout, "demo", subject)}
    assert 0 < len(out) < len(subjects)
    marketing = await plan(database, UUID(int=1), Drawn(Campaign("sale", "golden", email("sale")), holdout))
    assert {person for person, (reason, _) in marketing.items() if reason == "app_holdout"} == out
    assert {step for person, (_, step) in marketing.items() if person not in out} == {ONLY}
    receipt = Campaign("sale", "golden", email("sale"), message_class="transactional")
    assert set((await plan(database, UUID(int=2), Drawn(receipt, holdout))).values()) == {(None, ONLY)}


async def test_the_plan_is_made_within_a_bound_of_memory(blast: Blast) -> None:
    """The segment asks Postgres itself, in the statement that plans."""
    await blast.add_people(4)
    await blast.town.run(
        "INSERT INTO identities (app, kind, value, user_id) SELECT app, 'u', user_id, id FROM users WHERE user_id LIKE 'p%'"
    )
    order = await blast.begin()
    condition = sql("SELECT user_id FROM users WHERE user_id LIKE 'p%' AND current_setting('work_mem') = '256MB'")
    async with blast.town.database.transaction() as connection:
        written = condition_to_json(condition).decode()
        await segments.publish(connection, "demo", "everybody", written, condition_hash(condition), mentions(condition))
    await blast.runs.plan(order)
    assert await blast.tallies(order) == {("planned", None): 4}
    [[here]] = await blast.town.run("SELECT current_setting('work_mem')")
    assert here != "256MB", "what holds everywhere would show nothing"
