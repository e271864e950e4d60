"""Direct sends: a row committed before the answer, and a lane that finds it again whatever dies."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from activities import direct_claims, rules
from activities.breaker import Bounds
from activities.direct import DirectLane, Lanes
from activities.rules import Known, Ruling, Target, Terms
from activities.unknowns import Sweeper
from channels.base import End, Outgoing, Watch
from channels.render import Renderer
from storage import templates
from storage.database import Connection
from storage.direct_sends import DirectSend, plan_direct
from tests.activities.provider import Provider
from tests.activities.town import APP, Town


def lane_of(town: Town) -> DirectLane:
    return DirectLane(town.database, town.delivery(), asyncio.Event())


def code_for(address: str | None = "eve@example.com", *, request: str = "r-1", user_id: int | None = None) -> DirectSend:
    return DirectSend(APP, request, "email", "transactional", {"parts": {"subject": "Your code", "text": "123456"}}, user_id, address)


async def ask(town: Town, send: DirectSend) -> bool:
    async with town.database.transaction(APP) as connection:
        return (await plan_direct(connection, send)).is_new


async def make_due(town: Town) -> None:
    await town.run("UPDATE open_messages SET due_at = clock_timestamp() WHERE kind = 'direct'")


async def test_a_direct_send_to_an_address_goes_out_once(town: Town) -> None:
    assert await ask(town, code_for())
    assert await lane_of(town).pass_once() == 1
    assert await lane_of(town).pass_once() == 0
    assert town.provider.taken == ["eve@example.com"]
    assert town.provider.seen[0].content.parts["text"] == "123456"
    assert await town.states() == [("sent", None)]
    assert await town.listed() == []
    assert await town.run("SELECT 1 FROM direct_sends") == []


async def test_the_same_request_again_plans_nothing(town: Town) -> None:
    asked = await asyncio.gather(*(ask(town, code_for()) for _ in range(8)))
    assert sorted(asked) == [False] * 7 + [True]
    assert len(await town.rows()) == 1


async def test_a_direct_send_to_a_user_fills_the_live_template(town: Town) -> None:
    await town.endpoint()
    await ask(town, DirectSend(APP, "r-2", "email", "transactional", {"template": "welcome", "data": {"code": "7"}}, town.user_id))
    await lane_of(town).pass_once()
    variables = town.provider.seen[0].content.parts["variables"]
    assert variables["user"] == {"plan": "gold", "user_id": "ann"}
    assert variables["entry"] == {"code": "7"}


async def test_a_suppressed_address_gets_no_direct_send(town: Town) -> None:
    await ask(town, code_for())
    await town.suppress("eve@example.com")
    await lane_of(town).pass_once()
    assert await town.states() == [("skipped", "suppressed")]
    assert town.provider.record == []
    assert await town.listed() == []


async def test_a_direct_send_waits_while_the_provider_is_away(town: Town) -> None:
    town.provider.script[:] = ["not_sent", "ok"]
    await ask(town, code_for())
    await lane_of(town).pass_once()
    assert await town.states() == [("planned", "not_sent")]
    assert await lane_of(town).pass_once() == 0, "backoff"
    await make_due(town)
    await lane_of(town).pass_once()
    assert await town.states() == [("sent", None)]


async def test_after_72_hours_a_direct_send_is_given_up(town: Town) -> None:
    await ask(town, code_for())
    await town.run("UPDATE messages SET planned_at = planned_at - interval '73 hours'")
    await lane_of(town).pass_once()
    assert await town.states() == [("skipped", "gave_up")]
    assert town.provider.record == []


async def test_a_paused_app_holds_direct_sends(town: Town) -> None:
    await ask(town, code_for())
    await town.run("UPDATE apps SET paused_at = now()")
    await lane_of(town).pass_once()
    assert await town.states() == [("planned", None)]
    await town.run("UPDATE apps SET paused_at = NULL")
    await make_due(town)
    await lane_of(town).pass_once()
    assert await town.states() == [("sent", None)]


async def test_an_ambiguous_direct_send_goes_out_once_more_and_says_so(town: Town) -> None:
    town.provider.script[:] = ["ambiguous"]
    await ask(town, code_for())
    sweeper = Sweeper(town.database, town.timing)
    await lane_of(town).pass_once()
    assert await town.states() == [("unknown", "unconfirmed")]
    assert (await sweeper.sweep()).planned_again == 0, "two minutes first"
    await town.age_unknowns()
    assert (await sweeper.sweep()).planned_again == 1
    await lane_of(town).pass_once()
    await town.age_unknowns()
    assert (await sweeper.sweep()).planned_again == 0, "only once"
    assert len(town.provider.record) == 2
    assert [(row.state, row.maybe_doubled) for row in await town.rows()] == [("unknown", True)]
    await town.age_unknowns(timedelta(hours=73))
    assert (await sweeper.sweep()).given_up == 1
    assert await town.states() == [("given_up", "unconfirmed")]
    assert await town.listed() == []


async def test_two_lanes_never_take_the_same_message(town: Town) -> None:
    for number in range(40):
        await ask(town, code_for(f"p{number}@example.com", request=str(number)))
    lanes = [lane_of(town) for _ in range(3)]
    for _ in range(4):
        await asyncio.gather(*(lane.pass_once() for lane in lanes))
    assert sorted(town.provider.taken) == sorted(f"p{number}@example.com" for number in range(40))


async def test_the_lane_is_woken_at_once(town: Town) -> None:
    woken = asyncio.Event()
    running = asyncio.create_task(DirectLane(town.database, town.delivery(), woken, Lanes(poll_s=3600)).run())
    await asyncio.sleep(0.05)
    await ask(town, code_for())
    woken.set()
    await asyncio.wait_for(town.provider.called.wait(), 5)
    running.cancel()
    await asyncio.wait([running])


async def test_a_lane_that_is_stopped_ends_what_it_has_begun(town: Town) -> None:
    town.provider.script[:] = ["hang"]
    await ask(town, code_for())
    running = asyncio.create_task(lane_of(town).run())
    await asyncio.wait_for(town.provider.called.wait(), 5)
    running.cancel()
    town.provider.released.set()
    await asyncio.wait([running])
    assert await town.states() == [("sent", None)]


async def test_a_message_that_nobody_can_make_does_not_stop_the_lane(town: Town) -> None:
    await ask(town, code_for(request="r-1"))
    await town.run("UPDATE direct_sends SET content = '{}'")
    await ask(town, code_for("bob@example.com", request="r-2"))
    await lane_of(town).pass_once()
    assert town.provider.taken == ["bob@example.com"]


@dataclass
class Crowded(Provider):
    """Takes many at once, and remembers how many each time."""

    crowds: list[int] = field(default_factory=list)

    async def send_all(self, outgoings: Sequence[Outgoing], watch: Watch) -> list[End]:
        self.crowds.append(len(outgoings))
        ends: list[End] = []
        for place, outgoing in enumerate(outgoings):
            assert watch.begins(place)
            ends.append(await self.send(outgoing))
            watch.ended(place, ends[-1])
        return ends


def news_for(number: int) -> DirectSend:
    news = {"parts": {"subject": "News", "text": "There is some."}}
    return DirectSend(APP, f"n-{number}", "email", "marketing", news, None, f"p{number}@example.com")


async def test_marketing_leaves_as_a_crowd_and_a_code_beside_it_by_itself(town: Town) -> None:
    town.provider = crowded = Crowded()
    for number in range(5):
        await ask(town, news_for(number))
    await ask(town, code_for())
    await lane_of(town).pass_once()
    assert (crowded.crowds, len(crowded.taken)) == ([5], 6)
    assert {state for state, _ in await town.states()} == {"sent"}


async def test_one_of_a_crowd_that_nobody_can_make_keeps_none_of_the_others(town: Town) -> None:
    town.provider = crowded = Crowded()
    for number in range(5):
        await ask(town, news_for(number))
    await town.run("UPDATE direct_sends SET content = '{}' WHERE message_id = (SELECT min(message_id::text)::uuid FROM direct_sends)")
    await lane_of(town).pass_once()
    assert (crowded.crowds, len(crowded.taken)) == ([], 4)
    assert sorted(state for state, _ in await town.states()) == ["claimed", *["sent"] * 4]


async def test_of_two_messages_to_one_person_the_second_meets_a_cap_that_the_first_has_used(town: Town) -> None:
    await town.endpoint()
    await town.run("UPDATE apps SET settings = settings || :caps", caps={"caps": [{"kind": "cap", "at_most": 1, "per": "day"}]})
    for number in range(2):
        news = {"parts": {"subject": "News", "text": str(number)}}
        await ask(town, DirectSend(APP, f"n-{number}", "email", "marketing", news, town.user_id))
    await lane_of(town).pass_once()
    assert sorted(await town.states(), key=str) == [("sent", None), ("skipped", "capped")]
    assert len(town.provider.taken) == 1


async def test_who_was_found_to_be_somebody_else_is_judged_as_that_one(town: Town) -> None:
    await town.endpoint()
    await ask(town, code_for(None, user_id=town.user_id))
    await ask(town, code_for("bob@example.com", request="r-2"))
    survivor = (await town.run("INSERT INTO users (app, user_id) VALUES ('demo', 'anna') RETURNING id"))[0].id
    await town.run("UPDATE endpoints SET user_id = :to", to=survivor)
    await town.run("UPDATE users SET merged_into = :to WHERE id = :id", to=survivor, id=town.user_id)
    assert await lane_of(town).pass_once() == 2
    assert sorted(town.provider.taken) == ["ann@example.com", "bob@example.com"]


async def test_a_message_that_is_slow_keeps_none_of_its_neighbours_unsettled(town: Town) -> None:
    town.provider.script[:] = ["hang", "ok"]
    await ask(town, code_for("slow@example.com", request="slow"))
    for number in range(3):
        await ask(town, code_for(f"p{number}@example.com", request=str(number)))
    running = asyncio.create_task(lane_of(town).pass_once())
    while [state for state, _ in await town.states()].count("sent") < 3:  # noqa: ASYNC110 - the ledger is what is asked
        await asyncio.sleep(0.02)
    assert not running.done()
    running.cancel()
    town.provider.released.set()
    await asyncio.wait([running])


async def test_while_a_provider_is_away_one_message_of_a_chunk_asks_whether_it_is_back(town: Town) -> None:
    town.bounds = Bounds(failures=2, first_pause_s=0)
    town.provider.script[:] = ["not_sent"]
    lane = lane_of(town)
    for number in range(10):
        await ask(town, code_for(f"p{number}@example.com", request=str(number)))
    await lane.pass_once()
    before = len(town.provider.record)
    await make_due(town)
    await lane.pass_once()
    assert len(town.provider.record) == before + 1
    assert {state for state, _ in await town.states()} == {"planned"}


async def test_a_message_that_cannot_be_judged_is_left_and_its_neighbours_go_out(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    def strict(terms: Terms, target: Target, known: Known) -> Ruling:
        assert target.address != "eve@example.com"
        return rules.ruling(terms, target, known)

    monkeypatch.setattr(direct_claims, "ruling", strict)
    await ask(town, code_for(request="r-1"))
    await ask(town, code_for("bob@example.com", request="r-2"))
    await lane_of(town).pass_once()
    assert town.provider.taken == ["bob@example.com"]
    assert sorted(state for state, _ in await town.states()) == ["planned", "sent"]


async def test_a_chunk_that_needs_a_new_template_reads_it_once(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = []

    async def counted(connection: Connection, app: str, name: str, version: int) -> object:
        reads.append(name)
        return await read_version(connection, app, name, version)

    read_version = templates.version
    monkeypatch.setattr(templates, "version", counted)
    for number in range(20):
        await ask(town, DirectSend(APP, f"r-{number}", "email", "transactional", {"template": "welcome"}, None, f"p{number}@example.com"))
    await lane_of(town).pass_once()
    assert len(town.provider.taken) == 20
    assert reads == ["welcome"]


async def test_a_repeat_that_is_refused_leaves_open_whether_the_first_arrived(town: Town) -> None:
    town.provider.script[:] = ["ambiguous", "rejected"]
    await ask(town, code_for())
    await lane_of(town).pass_once()
    await town.age_unknowns()
    await Sweeper(town.database, town.timing).sweep()
    await lane_of(town).pass_once()
    assert [(row.state, row.reason, row.answer) for row in await town.rows()] == [("given_up", "unconfirmed", "550 no such mailbox")]
    assert await town.listed() == []


async def test_an_address_that_the_provider_keeps_on_its_own_list_is_suppressed_as_such(town: Town) -> None:
    town.provider.script[:] = ["listed", "dead_address"]
    for number in range(2):
        await ask(town, code_for(f"{number}@example.com", request=f"r-{number}"))
    await lane_of(town).pass_once()
    kept = await town.run("SELECT reason, source FROM suppressions ORDER BY reason")
    assert [(row.reason, row.source) for row in kept] == [("bounce", "scripted"), ("provider", "scripted")]


async def test_every_dead_address_of_a_chunk_is_suppressed_and_says_by_whom(town: Town) -> None:
    town.provider.script[:] = ["dead_address", "ok", "dead_address"]
    for number in range(3):
        await ask(town, code_for(f"p{number}@example.com", request=str(number)))
    await lane_of(town).pass_once()
    assert [(row.reason, row.source) for row in await town.run("SELECT reason, source FROM suppressions")] == [("bounce", "scripted")] * 2


async def test_a_code_is_taken_before_the_newsletters_that_were_planned_before_it(town: Town) -> None:
    await town.endpoint()
    for number in range(30):
        news = {"parts": {"subject": "News", "text": str(number)}}
        await ask(town, DirectSend(APP, f"n-{number}", "email", "marketing", news, None, f"p{number}@example.com"))
    await ask(town, code_for())
    lane = DirectLane(town.database, town.delivery(), asyncio.Event(), Lanes(chunk=10))
    assert await lane.pass_once(with_bulk=False) == 1
    assert town.provider.taken == ["eve@example.com"]
    assert await lane.pass_once(with_bulk=False) == 0
    await ask(town, code_for("bob@example.com", request="r-2"))
    assert await lane.pass_once() == 10
    assert "bob@example.com" in town.provider.taken


async def test_while_every_other_lane_hangs_with_bulk_a_code_goes_out(town: Town) -> None:
    town.provider.script[:] = ["hang", "hang", "ok"]
    for number in range(2):
        news = {"parts": {"subject": "News", "text": str(number)}}
        await ask(town, DirectSend(APP, f"n-{number}", "email", "marketing", news, None, f"p{number}@example.com"))
    running = asyncio.create_task(DirectLane(town.database, town.delivery(), asyncio.Event(), Lanes(count=2, chunk=1, poll_s=0.05)).run())
    while len(town.provider.record) < 2:  # noqa: ASYNC110 - the provider's own record is what is asked
        await asyncio.sleep(0.02)
    await ask(town, code_for())
    async with asyncio.timeout(30):
        while "eve@example.com" not in town.provider.taken:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    running.cancel()
    town.provider.released.set()
    await asyncio.wait([running])


async def test_marketing_mail_that_is_given_as_it_is_shows_the_address_by_which_its_reader_leaves(town: Town) -> None:
    await town.endpoint()
    place = "{{ links.unsubscribe }}"
    news = {"parts": {"subject": "News", "text": f"Leave: {place}", "html": f'<a href="{place}">Leave</a> {{{{ other }}}}'}}
    await ask(town, DirectSend(APP, "n-1", "email", "marketing", news, town.user_id, topic="news"))
    await lane_of(town).pass_once()
    [outgoing] = town.provider.seen
    assert outgoing.unsubscribe_url
    assert outgoing.content.parts["text"] == f"Leave: {outgoing.unsubscribe_url}"
    assert outgoing.content.parts["html"] == f'<a href="{outgoing.unsubscribe_url}">Leave</a> {{{{ other }}}}'


FILE = {"name": "a.pdf", "type": "application/pdf", "content": "JVBERi0xLjcK"}


@pytest.mark.parametrize("what", [{"parts": {"subject": "Bill", "text": "x"}}, {"template": "welcome"}])
async def test_files_leave_with_their_mail_and_are_forgotten_with_it(town: Town, what: dict[str, object]) -> None:
    await ask(town, DirectSend(APP, "b-1", "email", "transactional", {**what, "attachments": [FILE]}, None, "eve@example.com"))
    await lane_of(town).pass_once()
    [outgoing] = town.provider.seen
    assert outgoing.content.parts["attachments"] == [FILE]
    assert await town.run("SELECT * FROM direct_sends") == []


async def test_files_of_a_template_and_of_its_caller_go_together(town: Town) -> None:
    toml = 'from = "a@acme.example"\nattachments = {"terms.txt" = "text/plain"}'
    files = {"subject.txt": "Bill", "body.txt": "x", "terms.txt": "Pay.", "template.toml": toml}
    async with town.database.transaction() as connection:
        await templates.publish(connection, APP, "bill", files, "bill")
    what = {"template": "bill", "attachments": [FILE]}
    await ask(town, DirectSend(APP, "b-1", "email", "transactional", what, None, "eve@example.com"))
    renderer = Renderer(children=1, wall_s=20)
    await DirectLane(town.database, replace(town.delivery(), renderer=renderer), asyncio.Event()).pass_once()
    await renderer.close()
    [outgoing] = town.provider.seen
    assert [each["name"] for each in outgoing.content.parts["attachments"]] == ["terms.txt", "a.pdf"]


async def test_of_many_mails_with_files_few_are_in_hand_at_once(town: Town) -> None:
    town.provider.script[:] = ["hang"]
    for number in range(6):
        what = {"parts": {"subject": "Bill", "text": "x"}, "attachments": [FILE]}
        await ask(town, DirectSend(APP, f"b-{number}", "email", "transactional", what, None, f"p{number}@example.com"))
    running = asyncio.create_task(lane_of(town).pass_once())
    while len(town.provider.seen) < 4:  # noqa: ASYNC110 - the provider is what is asked
        await asyncio.sleep(0.02)
    await asyncio.sleep(0.1)
    assert len(town.provider.seen) == 4
    town.provider.released.set()
    await running
    assert await town.states() == [("sent", None)] * 6
