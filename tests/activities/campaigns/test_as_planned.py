"""A run is sent as it was planned: to the people of then, in the words of then, whatever is edited, or who moves, in the middle."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import pytest

from activities.campaigns.order import RunOrder
from activities.campaigns.winners import Winners
from journeys.language import days, email, event, hours, push, trait, whatsapp
from journeys.language.campaigns import Version
from journeys.language.codec import condition_hash, condition_to_json
from journeys.language.events import Goal
from journeys.language.experiments import WinnerRule
from journeys.language.reasons import FAILED, NOT_SENT
from journeys.language.segments import mentions
from storage import campaign_plans, campaign_winners, joins, segments
from storage.campaign_plans import CHUNK, Planning
from storage.database import Connection
from storage.standing import lock_people
from tests.activities.campaigns.blast import Blast
from tests.activities.town import APP

VERSIONS = (Version("plain", 50, email("plain")), Version("bold", 50, email("bold")))
RULE: Mapping[str, Any] = {"winner": WinnerRule(50, after=hours(1), until=hours(2)), "goal": Goal(event("bought"), days(1))}


async def write(blast: Blast, template: str, version: int = 1, files: Mapping[str, str] | None = None) -> None:
    """Publish a version of a template, which is live from then on."""
    await blast.town.run(
        "WITH t AS (INSERT INTO templates (app, name, live_version) VALUES ('demo', :name, :version)"
        " ON CONFLICT (app, name) DO UPDATE SET live_version = :version)"
        " INSERT INTO template_versions (app, template, version, hash, files) VALUES ('demo', :name, :version, :hash, :files)",
        name=template,
        version=version,
        hash=f"{template}-{version}",
        files=dict(files or {}),
    )


async def write_both(blast: Blast, version: int = 1) -> None:
    for template in ("plain", "bold"):
        await write(blast, template, version)


async def steps(blast: Blast, order: RunOrder) -> dict[str, str]:
    """Which version each person of a run gets."""
    rows = await blast.town.run(
        "SELECT u.user_id, m.step FROM messages m JOIN users u ON u.id = m.user_id WHERE m.source = :source",
        source=f"campaign:{order.run_id}",
    )
    return {row.user_id: row.step for row in rows}


def words(blast: Blast) -> dict[str, int]:
    """Which version of the template each address got."""
    return {each.address: each.content.parts["version"] for each in blast.town.provider.seen}


async def ids(blast: Blast) -> dict[str, int]:
    return {row.user_id: row.id for row in await blast.town.run("SELECT user_id, id FROM users WHERE user_id LIKE 'p%'")}


# The people of then ------------------------------------------------------------------------------------------------------


async def test_most_people_are_always_the_same_ones(blast: Blast) -> None:
    await blast.add_people(60)
    first, again = [await steps(blast, await blast.launch(most_people=20)) for _ in range(2)]
    assert (len(first), first) == (20, again)
    assert set(first) != {f"p{n}" for n in range(1, 21)}, "they are drawn, and not the oldest"
    fewer = await steps(blast, await blast.launch(most_people=5))
    assert set(fewer) < set(first), "and those who are fewer are some of them"


async def test_who_leaves_the_segment_after_the_plan_still_gets_it_and_an_edit_of_it_changes_nothing(blast: Blast) -> None:
    await blast.add_people(4)
    order = await blast.launch()
    await blast.town.run("UPDATE users SET attributes = '{}' WHERE user_id = 'p1'")
    nobody = trait("tier") == "nobody"
    async with blast.town.database.transaction() as connection:
        await segments.publish(connection, APP, "everybody", condition_to_json(nobody).decode(), condition_hash(nobody), mentions(nobody))
    await blast.send(order)
    assert sorted(blast.town.provider.taken) == [f"p{n}@example.com" for n in range(1, 5)]


async def join(blast: Blast, survivor: str, loser: str, *, held: asyncio.Event | None = None) -> None:
    """Find one person to be another; with `held` it is committed once that is set."""
    people = await ids(blast)
    async with blast.town.database.transaction() as connection:
        await lock_people(connection, APP, [people[survivor], people[loser]])
        await joins.merge(connection, APP, people[survivor], people[loser])
        if held is not None:
            await held.wait()


async def test_who_is_found_to_be_somebody_else_before_the_claim_gets_it_as_that_one(blast: Blast) -> None:
    await blast.add_people(2)
    await blast.town.run("UPDATE users SET attributes = '{}' WHERE user_id = 'p1'")
    order = await blast.launch()
    await join(blast, "p1", "p2")
    await blast.send(order)
    assert blast.town.provider.taken == ["p2@example.com"]
    [row] = await blast.town.rows()
    assert (row.state, row.user_id) == ("sent", (await ids(blast))["p1"])


async def test_who_is_found_to_be_somebody_else_at_the_claim_is_met_again_as_that_one(blast: Blast) -> None:
    await blast.add_people(2)
    await blast.town.run("UPDATE users SET attributes = '{}' WHERE user_id = 'p1'")
    order, committed = await blast.launch(), asyncio.Event()
    joining = asyncio.create_task(join(blast, "p1", "p2", held=committed))
    await blocked(blast, 0)
    sending = asyncio.create_task(blast.send(order))
    await blocked(blast, 1)
    committed.set()
    await joining
    await sending
    assert blast.town.provider.taken == [], "what was read of them is of before"
    [wait] = await blast.waits(order)
    assert wait.messages == 1
    await blast.let_leases_end()
    await blast.send(order)
    assert blast.town.provider.taken == ["p2@example.com"]
    [row] = await blast.town.rows()
    assert (row.state, row.user_id) == ("sent", (await ids(blast))["p1"])


async def blocked(blast: Blast, many: int) -> None:
    """Until so many wait for a lock that an open transaction holds."""
    waiting = (
        "SELECT count(*) FILTER (WHERE wait_event_type = 'Lock') AS waiting, count(*) FILTER (WHERE state = 'idle in transaction') AS held"
    )
    async with asyncio.timeout(30):
        while True:
            [row] = await blast.town.run(f"{waiting} FROM pg_stat_activity WHERE datname = current_database()")
            if row.held and row.waiting >= many:
                return
            await asyncio.sleep(0.02)


# The words of then -------------------------------------------------------------------------------------------------------


async def test_a_template_that_is_edited_in_the_middle_of_a_run_is_for_the_next_one(blast: Blast) -> None:
    await blast.add_people(30)
    blast.town.user_id = (await ids(blast))["p27"]
    await blast.town.say("granted")
    order = await blast.launch(per_second=10)
    sending = asyncio.create_task(blast.send(order))
    await blast.town.provider.called.wait()
    await write(blast, "welcome", 2)
    await sending
    assert set(words(blast).values()) == {1}, "those too whom the rules are asked about"
    assert len(words(blast)) == 30
    assert {row.template_version for row in await blast.town.rows()} == {1}
    await blast.send(await blast.launch())
    assert set(words(blast).values()) == {2}


async def test_what_waits_keeps_its_words(blast: Blast) -> None:
    await write_both(blast)
    await blast.add_people(80)
    order = await blast.launch(message=None, versions=VERSIONS, **RULE)
    blast.town.provider.script[:] = [*["not_sent"] * 10, "ok"]
    await blast.send(order)
    await write_both(blast, 2)
    async with blast.town.database.transaction() as connection:
        await campaign_winners.decide(connection, APP, UUID(order.run_id), "bold")
    await blast.let_leases_end()
    await blast.send(order)
    assert await blast.ends() == {("sent", None): 80}
    assert set(words(blast).values()) == {1}


@pytest.mark.parametrize("moment", ["before", "while it is written"])
async def test_a_winner_that_is_decided_before_the_plan_is_there_reaches_the_rest(
    blast: Blast, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """The decision is committed before the plan begins, or once it is written and nobody sees it yet."""
    await write_both(blast)
    await blast.add_people(80)
    order = await blast.begin(message=None, versions=VERSIONS, **RULE)

    async def decide() -> None:
        async with blast.town.database.transaction() as connection:
            assert await campaign_winners.decide(connection, APP, UUID(order.run_id), "bold")

    if moment == "before":
        await decide()
    else:
        real = campaign_plans.plan

        async def plan(connection: Connection, planning: Planning) -> bool:
            is_planned = await real(connection, planning)
            await decide()
            return is_planned

        monkeypatch.setattr(campaign_plans, "plan", plan)
    await blast.runs.plan(order)
    winners = Winners(blast.town.database)
    assert await winners.look() == [(APP, UUID(order.run_id))], "and its workflow is told"
    assert await winners.look() == []
    await blast.send(order)
    assert await blast.ends() == {("sent", None): 80}
    waited = {f"{user_id}@example.com" for user_id, step in (await steps(blast, order)).items() if step == "rest"}
    assert {each.content.parts["template"] for each in blast.town.provider.seen if each.address in waited} == {"bold"}


async def test_whether_a_free_text_only_answers_is_asked_of_the_words_of_then(blast: Blast) -> None:
    await write(blast, "chat", 1, {"whatsapp.toml": 'name = "chat"'})
    blast.town.user_id = int((await blast.town.run("SELECT id FROM users WHERE user_id = 'ann'"))[0].id)
    await blast.town.run("UPDATE users SET attributes = '{\"tier\": \"blast\"}' WHERE user_id = 'ann'")
    await blast.town.endpoint("whatsapp", "+4915100000001")
    await blast.town.say("granted", channel="whatsapp")
    order = await blast.launch(message=whatsapp("chat"))
    await write(blast, "chat", 2, {"whatsapp.txt": "Hello"})
    await blast.send(order)
    assert await blast.ends() == {("sent", None): 1}


async def test_a_run_that_an_older_release_planned_goes_by_the_live_version(blast: Blast) -> None:
    await blast.add_people(2)
    order = await blast.launch()
    await blast.town.run("UPDATE campaign_runs SET template_versions = '{}'")
    await write(blast, "welcome", 2)
    await blast.send(order)
    assert set(words(blast).values()) == {2}


# Again -------------------------------------------------------------------------------------------------------------------


async def test_what_failed_is_sent_again_in_the_version_that_each_was_to_get(blast: Blast) -> None:
    """Those who waited get the winner of the first run: none of them waits for one among the failures."""
    await write_both(blast)
    await blast.add_people(2 * CHUNK)
    order = await blast.launch(message=None, versions=VERSIONS, **RULE)
    blast.town.provider.script[:] = ["rejected"]
    await blast.send(order)
    async with blast.town.database.transaction() as connection:
        await campaign_winners.decide(connection, APP, UUID(order.run_id), "bold")
    await blast.let_leases_end()
    await blast.send(order)
    before = await steps(blast, order)
    assert Counter(await blast.ends()) == {("rejected", "rejected"): 2 * CHUNK}
    blast.town.provider.script[:] = ["ok"]
    again = await blast.launch(message=None, versions=VERSIONS, **RULE, repeats=UUID(order.run_id))
    after = await steps(blast, again)
    assert set(before.values()) == {"plain", "bold", "rest"}
    assert after == {user_id: "bold" if step == "rest" else step for user_id, step in before.items()}
    await blast.send(again)
    assert (await blast.tallies(again))["sent", None] == 2 * CHUNK
    sent = {each.address.partition("@")[0]: each.content.parts["template"] for each in blast.town.provider.seen[-2 * CHUNK :]}
    assert sent == after


async def test_who_waited_for_a_winner_that_never_came_waits_in_the_next_run(blast: Blast) -> None:
    await write_both(blast)
    await blast.add_people(40)
    order = await blast.launch(message=None, versions=VERSIONS, **RULE)
    await blast.send(order)
    await blast.town.run("UPDATE messages SET state = 'skipped', reason = 'expired' WHERE step = 'rest'")
    waited = {user_id for user_id, step in (await steps(blast, order)).items() if step == "rest"}
    again = await blast.launch(message=None, versions=VERSIONS, **RULE, repeats=UUID(order.run_id))
    assert await steps(blast, again) == dict.fromkeys(waited, "rest")
    assert {each.reason for each in await blast.waits(again)} == {"no_winner_yet"}


async def test_who_got_it_on_another_device_does_not_get_it_again(blast: Blast) -> None:
    people = await _with_devices(blast)
    order = await blast.launch(message=push("welcome"))
    await blast.town.run("UPDATE messages SET state = 'sent' WHERE target = (SELECT min(target) FROM messages)")
    await blast.town.run("UPDATE messages SET state = 'rejected', reason = 'rejected' WHERE state = 'planned'")
    assert len(people) == 2
    assert await blast.ends() == {("sent", None): 1, ("rejected", "rejected"): 3}
    again = await blast.launch(message=push("welcome"), repeats=UUID(order.run_id))
    assert list(await steps(blast, again)) == ["p2"]


async def _with_devices(blast: Blast) -> dict[str, int]:
    await blast.add_people(2)
    people = await ids(blast)
    for user_id, number in people.items():
        blast.town.user_id = number
        for device in ("a", "b"):
            await blast.town.endpoint("push", f"{device}-{user_id}")
    return people


HAS_NOT_FAILED = {
    *("opted_out", "unsubscribed", "suppressed", "no_consent", "not_confirmed"),  # they want nothing, or their address does
    *("no_endpoint", "inactive_endpoint", "not_allowed_here"),  # there is no address to hand it to
    *("quiet_hours", "outside_window", "never_permitted", "capped"),  # a rule that says: then not at all
    *("held_out", "stopped", "no_winner"),  # the campaign says so
    *("superseded", "exited", "erased", "moved", "no_value_for_url"),  # no message of a campaign has these
    "unconfirmed",  # it may have gone out
}


@pytest.mark.parametrize("code", sorted(NOT_SENT))
def test_of_each_reason_it_is_said_whether_it_is_sent_again(code: str) -> None:
    assert (code in FAILED) != (code in HAS_NOT_FAILED)


async def test_what_could_not_be_made_or_handed_over_is_sent_again_and_nothing_else(blast: Blast) -> None:
    await blast.add_people(len(NOT_SENT))
    order = await blast.launch()
    for number, code in enumerate(sorted(NOT_SENT), 1):
        await blast.town.run(
            "UPDATE messages m SET state = :state, reason = :reason FROM users u WHERE u.id = m.user_id AND u.user_id = :who",
            state="given_up" if code == "unconfirmed" else "rejected" if code == "rejected" else "skipped",
            reason=f"{code}:more" if number % 2 else code,
            who=f"p{number}",
        )
    again = await steps(blast, await blast.launch(repeats=UUID(order.run_id)))
    assert {code for number, code in enumerate(sorted(NOT_SENT), 1) if f"p{number}" in again} == FAILED
