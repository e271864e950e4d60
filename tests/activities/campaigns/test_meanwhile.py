"""What happens while lanes send: hours that are the campaign's own, somebody who leaves, a far end that hangs."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from temporalio.testing import ActivityEnvironment

from channels.base import Content
from channels.email.connection import SmtpServer
from channels.email.smtp import Smtp
from journeys.language.messages import QuietHours, SendWindow
from storage.campaign_plans import CHUNK
from tests.activities.campaigns.blast import Blast
from tests.channels.email.scripted_server import ScriptedServer, scripted
from tests.channels.email.test_many import PIPELINING

# Their walls are 14 hours apart, so that hours around the one's now are far from the other's.
EAST, MIDDLE = "Pacific/Kiritimati", "Etc/UTC"
HOUR = timedelta(hours=1)
ALL_DAY = '{"quiet_hours": [{"kind": "quiet_hours", "start": "00:00", "end": "23:59"}]}'
NEVER_OPEN = '{"send_windows": [{"kind": "send_window", "start": "00:00", "end": "00:01", "days": ["%s"]}]}'


def on_the_wall(moment: datetime) -> str:
    return f"{moment:%H:%M}"


async def test_quiet_hours_of_the_campaign_stand_in_the_place_of_the_apps(blast: Blast) -> None:
    await blast.town.run("UPDATE apps SET settings = CAST(:quiet AS text)::jsonb", quiet=ALL_DAY)
    await blast.add_people(3, zone=EAST)
    await blast.add_people(2, zone=MIDDLE)
    now = datetime.now(ZoneInfo(EAST))
    ends = (now + 2 * HOUR).replace(second=0, microsecond=0)
    order = await blast.launch(quiet_hours=QuietHours(on_the_wall(now - 2 * HOUR), on_the_wall(ends)))
    await blast.send(order)
    assert await blast.ends() == {("deferred", "quiet_hours"): 3, ("sent", None): 2}
    assert sorted(blast.town.provider.taken) == ["p4@example.com", "p5@example.com"]
    assert {row.deferred_until for row in await blast.town.rows() if row.state == "deferred"} == {ends}
    assert (await blast.look(order)).due_at == ends


@pytest.mark.parametrize(("hours", "reason"), [("quiet_hours", "quiet_hours"), ("send_window", "outside_window")])
async def test_hours_of_the_campaign_hold_where_the_app_has_none(blast: Blast, hours: str, reason: str) -> None:
    await blast.add_people(3, zone=EAST)
    await blast.add_people(2, zone=MIDDLE)
    now = datetime.now(ZoneInfo(EAST if hours == "quiet_hours" else MIDDLE))
    kind = QuietHours if hours == "quiet_hours" else SendWindow
    order = await blast.launch(**{hours: kind(on_the_wall(now - 2 * HOUR), on_the_wall(now + 2 * HOUR), then="skip")})
    await blast.send(order)
    assert await blast.ends() == {("skipped", reason): 3, ("sent", None): 2}


async def test_the_campaigns_own_window_stands_in_the_place_of_the_apps(blast: Blast) -> None:
    """The app's window is open on a day that is today for nobody."""
    now = datetime.now(ZoneInfo(MIDDLE))
    await blast.town.run("UPDATE apps SET settings = CAST(:window AS text)::jsonb", window=NEVER_OPEN % f"{now + 4 * 24 * HOUR:%A}".lower())
    await blast.add_people(3, zone=EAST)
    await blast.add_people(2, zone=MIDDLE)
    opens = (now - 2 * HOUR).replace(second=0, microsecond=0)
    order = await blast.launch(send_window=SendWindow(on_the_wall(opens), on_the_wall(now + 2 * HOUR)))
    await blast.send(order)
    assert await blast.ends() == {("deferred", "outside_window"): 3, ("sent", None): 2}
    assert sorted(blast.town.provider.taken) == ["p4@example.com", "p5@example.com"]
    [until] = {row.deferred_until for row in await blast.town.rows() if row.state == "deferred"}
    assert on_the_wall(until.astimezone(ZoneInfo(EAST))) == on_the_wall(opens)


class Mails:
    """A renderer of mails that all say the same."""

    async def render(self, *_of: object, **_given: Mapping[str, Any]) -> Content:
        return Content("email", {"subject": "News", "text": "Hello", "from": "Acme <hello@acme.example>"})


async def test_who_leaves_while_lanes_send_gets_nothing_from_the_next_claim_on(blast: Blast) -> None:
    """The mail server hangs in the middle of the first chunk; whoever of a later one says stop meanwhile is not written to."""
    await blast.add_people(3 * CHUNK)
    async with scripted(EHLO=PIPELINING) as server:
        server.hangs_at = 20
        mails = Smtp(SmtpServer("127.0.0.1", server.port, tls="none", connections=1))
        blast.lanes, blast.through = 1, {"adapters": {"email": mails}, "renderer": Mails()}
        order = await blast.launch()
        sending = asyncio.create_task(blast.send(order))
        await asyncio.wait_for(server.is_hanging.wait(), 30)
        claimed, waiting = [[row for row in await blast.town.rows() if row.state == state] for state in ("claimed", "planned")]
        assert (len(claimed), len(waiting)) == (CHUNK, 2 * CHUNK)
        blast.town.user_id = waiting[-1].user_id
        await blast.town.say("withdrawn", channel="email", topic="general")
        server.goes_on.set()
        await sending
        await mails.close()
    everybody = {row.user_id: f"{row.user_id_given}@example.com" for row in await blast.town.run(_PEOPLE)}
    left = everybody.pop(blast.town.user_id)
    assert Counter(written_to(server)) == Counter(everybody.values()), f"everybody once, but not {left}"
    ends: dict[tuple[str, str | None], int] = {("sent", None): 3 * CHUNK - 1, ("skipped", "unsubscribed"): 1}
    assert await blast.ends() == ends
    assert await blast.tallies(order) == {("planned", None): 3 * CHUNK, **ends}


_PEOPLE = "SELECT id AS user_id, user_id AS user_id_given FROM users WHERE attributes ->> 'tier' = 'blast'"


def written_to(server: ScriptedServer) -> list[str]:
    return [line.partition("<")[2].partition(">")[0] for line in server.seen if line.startswith("RCPT")]


async def test_the_heart_of_the_activity_beats_while_the_far_end_hangs(blast: Blast) -> None:
    """Without it a worker that is killed would be noticed only when its slice of time is over."""
    await blast.add_people(1)
    blast.town.provider.is_held = True
    order = await blast.launch()
    environment, beats = ActivityEnvironment(), asyncio.Semaphore(0)
    environment.on_heartbeat = lambda *_details: beats.release()
    sending = asyncio.create_task(environment.run(blast.process().send, order))
    await blast.town.provider.called.wait()
    async with asyncio.timeout(30):
        for _ in range(3):
            await beats.acquire()
    blast.town.provider.released.set()
    await sending
    assert await blast.ends() == {("sent", None): 1}
