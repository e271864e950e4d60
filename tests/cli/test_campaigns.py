"""`sojourn campaigns` against a served API, and campaigns in files through check, plan and apply."""

from pathlib import Path

import pytest
from fastapi import FastAPI
from rich.text import Text

from cli import campaign_results
from cli.campaign_progress import moves
from storage.database import Database
from tests.api.campaigning import end_runs, tally
from tests.cli.conftest import Command

GOLDEN = 'from journeys.language import Segment, trait\nsegment = Segment("golden", trait("plan") == "gold")\n'
SALE = """
from journeys.language import email
from journeys.language.campaigns import Campaign, once
campaign = Campaign("spring-sale", "golden", email("spring-sale"))
"""
TESTED = """
from journeys.language import days, email, event, hours
from journeys.language.campaigns import Campaign, Version, WinnerRule
MAIL = email("spring-sale")
campaign = Campaign(
    "spring-sale",
    "golden",
    versions=[Version("plain", 50, MAIL), Version("bold", 50, MAIL)],
    goal=event("order_placed").within(days(3)),
    winner=WinnerRule(20, hours(2), hours(24)),
    holdout=10,
)
"""
TEMPLATE = {
    "template.toml": 'from = "a@example.com"\nrequired = ["user.first_name"]\n[sample.user]\nfirst_name = "Sam"\n',
    "subject.txt": "Spring, {{ user.first_name }}",
    "body.txt": "Hello. {{ links.unsubscribe }}",
}


@pytest.fixture
async def room(served: FastAPI) -> Path:
    room = Path("journeys")
    for folder in ("segments", "campaigns", "templates/spring-sale"):
        (room / folder).mkdir(parents=True)
    (room / "segments" / "golden.py").write_text(GOLDEN)
    (room / "campaigns" / "spring_sale.py").write_text(SALE)
    for name, text in TEMPLATE.items():
        (room / "templates" / "spring-sale" / name).write_text(text)
    return room


async def run_id(database: Database) -> str:
    async with database.transaction() as connection:
        return str((await connection.exec_driver_sql("SELECT id FROM campaign_runs ORDER BY began_at DESC LIMIT 1")).scalar_one())


async def test_a_campaign_in_a_file_is_checked_planned_and_published_as_a_draft(sojourn: Command, room: Path) -> None:
    assert "0 journeys, 1 segment, 1 campaign and 1 template are in order." in await sojourn("check")
    assert "+ campaign spring-sale: new, a draft" in await sojourn("plan", "--no-history")
    assert "Published: 3 changes." in await sojourn("apply")
    assert await sojourn("plan", "--no-history") == "Nothing differs from what is live."
    assert "spring-sale  draft" in await sojourn("campaigns", "list")
    (room / "campaigns" / "spring_sale.py").write_text(SALE.replace('"golden", ', '"golden", holdout=5, message='))
    told = await sojourn("plan", "--no-history")
    assert "~ campaign spring-sale: changed (published last: version 1)\n    ~ holdout is 5, was 0" in told


async def test_a_plan_warns_of_a_segment_that_is_slow_to_count(sojourn: Command, room: Path) -> None:
    written = GOLDEN.replace("import Segment, trait", "import Segment, did").replace('trait("plan") == "gold"', 'did("x")')
    (room / "segments" / "golden.py").write_text(written)
    assert "    slow: did('x') looks at all of these events that there are" in await sojourn("plan", "--no-history")
    assert "warning: did('x') looks at all of these events" in await sojourn("check")


async def test_what_is_wrong_with_a_campaign_is_told_with_its_file(sojourn: Command, room: Path) -> None:
    (room / "campaigns" / "spring_sale.py").write_text(SALE.replace("email(", "push(").replace("import email", "import push"))
    told = await sojourn("check", code=1)
    assert "campaigns/spring_sale.py:4" in told
    assert "has nothing for push" in told
    (room / "campaigns" / "spring_sale.py").write_text(SALE.replace("))", '), when=once("2026-02-30T09:00"))'))
    assert "there is no such day" in await sojourn("check", code=1)
    (room / "campaigns" / "spring_sale.py").write_text(SALE.replace("golden", "nowhere"))
    assert "no file here writes a segment nowhere" in await sojourn("check")
    assert "there is no segment nowhere" in await sojourn("apply", code=1)
    on = SALE.replace("import email", "import email, segment").replace("))", '), when=segment("afar"))')
    (room / "campaigns" / "spring_sale.py").write_text(on)
    assert "no file here writes a segment afar" in await sojourn("check")
    asked = 'from journeys.language import Segment, sql\nsegment = Segment("golden", sql("SELECT user_id FROM users"))\n'
    (room / "segments" / "golden.py").write_text(asked)
    (room / "campaigns" / "spring_sale.py").write_text(on.replace("afar", "golden"))
    assert "nobody notices who comes into the segment golden" in await sojourn("plan", "--no-history", code=1)


async def test_a_kept_plan_holds_only_while_the_campaign_is_as_it_was(sojourn: Command, room: Path) -> None:
    await sojourn("plan", "--no-history", "--out", "kept")
    (room / "campaigns" / "spring_sale.py").write_text(SALE.replace('"golden", ', '"golden", holdout=5, message='))
    await sojourn("apply")
    assert "campaign spring-sale was published (version 1)" in await sojourn("apply", "kept", code=1)


async def test_a_check_shows_messages_and_names_who_lacks_something(sojourn: Command, room: Path) -> None:
    await sojourn("apply")
    await sojourn("users", "set", "ann", '{"plan": "gold", "first_name": "Ann"}')
    told = await sojourn("campaigns", "check", "spring-sale")
    assert "spring-sale goes to 1 person." in told
    assert "ann: message, email\n    subject: Spring, Ann" in told
    await sojourn("users", "set", "bob", '{"plan": "gold"}')
    told = await sojourn("campaigns", "check", "spring-sale", code=1)
    assert "bob: message, email, not made: missing_variable:user.first_name" in told
    assert "1 person would be skipped, for want of user.first_name (spring-sale, email): bob" in told
    for user_id in ("cid", "dan"):
        await sojourn("users", "set", user_id, '{"plan": "gold", "first_name": ""}')
    told = await sojourn("campaigns", "check", "spring-sale", "--named", "2", code=1)
    assert "3 people would be skipped" in told
    assert ", 1 more" in told


async def test_a_check_says_why_somebody_gets_nothing(sojourn: Command, room: Path) -> None:
    await sojourn("apply")
    await sojourn("users", "set", "ann", '{"plan": "silver"}')
    assert "ann: nothing, not in the segment" in await sojourn("campaigns", "check", "spring-sale", "--user", "ann")


async def test_a_campaign_on_an_event_is_tried_out_with_what_the_event_says(sojourn: Command, room: Path) -> None:
    on = SALE.replace("import email", "import email, event").replace("))", '), when=event("order_placed"))')
    (room / "campaigns" / "spring_sale.py").write_text(on)
    sample = 'from = "a@example.com"\nrequired = ["entry.total"]\n[sample.entry]\ntotal = 1\n'
    for name, said in {"template.toml": sample, "subject.txt": "Thanks for {{ entry.total }}"}.items():
        (room / "templates" / "spring-sale" / name).write_text(said)
    await sojourn("apply")
    await sojourn("users", "set", "ann", '{"plan": "gold"}')
    assert "not made: missing_variable:entry.total; --data gives the event's properties" in await sojourn(
        "campaigns", "check", "spring-sale"
    )
    data = ("--data", '{"total": 20}')
    assert "subject: Thanks for 20" in await sojourn("campaigns", "check", "spring-sale", *data)
    assert "1 on the way: " in await sojourn("campaigns", "test", "spring-sale", "me@example.com", *data)
    assert "properties are a JSON object" in await sojourn("campaigns", "check", "spring-sale", "--data", "20", code=1)


async def test_a_check_says_whose_version_comes_later(sojourn: Command, room: Path) -> None:
    version = 'Version("{}", 50, email("spring-sale"), after=hours(9))'
    versions = f"versions=[{version.format('bold')}, {version.format('plain')}])"
    written = SALE.replace('email("spring-sale"))', versions).replace("import email", "import email, hours")
    (room / "campaigns" / "spring_sale.py").write_text(written.replace("import Campaign", "import Campaign, Version"))
    await sojourn("apply")
    await sojourn("users", "set", "ann", '{"plan": "gold", "first_name": "Ann"}')
    assert ", email, 9:00:00 after the run begins\n    subject: Spring, Ann" in await sojourn("campaigns", "check", "spring-sale")


async def test_a_test_is_sent_to_addresses_of_ones_own(sojourn: Command, room: Path) -> None:
    await sojourn("apply")
    assert "1 on the way: " in await sojourn("campaigns", "test", "spring-sale", "me@example.com")


async def test_a_campaign_is_launched_paused_resumed_and_stopped(sojourn: Command, room: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await sojourn("apply")
    assert "has no run yet" in await sojourn("campaigns", "watch", "spring-sale", code=1)
    monkeypatch.setattr("typer.confirm", lambda _: False)
    assert "nothing was launched" in await sojourn("campaigns", "launch", "spring-sale", code=1)
    told = await sojourn("campaigns", "launch", "spring-sale", "--yes")
    assert told == "spring-sale is running. Watch it with `sojourn campaigns watch spring-sale`."
    for act, state in (("pause", "paused"), ("resume", "running"), ("stop", "stopped")):
        assert f"spring-sale is {state}." in await sojourn("campaigns", act, "spring-sale")
    assert "this campaign is stopped" in await sojourn("campaigns", "pause", "spring-sale", code=1)
    assert "say so with `again`" in await sojourn("campaigns", "launch", "spring-sale", "--yes", code=1)
    shown = await sojourn("campaigns", "show", "spring-sale")
    assert "launched: version 1" in shown
    assert "stop version 1, by " in shown


async def test_a_time_is_told_in_the_zone_in_which_it_counts(sojourn: Command, room: Path) -> None:
    when = 'email("spring-sale"), when=once("2099-12-01T09:00", local=True))'
    (room / "campaigns" / "spring_sale.py").write_text(SALE.replace('email("spring-sale"))', when))
    await sojourn("apply")
    told = await sojourn("campaigns", "launch", "spring-sale", "--yes")
    assert "is scheduled; the next run: 2099-12-01 09:00 on everybody's own clock." in told


async def test_a_run_is_watched_to_its_end_and_what_failed_is_sent_again(sojourn: Command, room: Path, database: Database) -> None:
    await sojourn("apply")
    await sojourn("campaigns", "launch", "spring-sale", "-y")
    async with database.transaction() as connection:
        rows = (("message", "planned", "", 12), ("message", "sent", "", 9), ("message", "unknown", "", 1))
        await tally(
            connection, await run_id(database), *rows, ("message", "skipped", "unsubscribed", 2), ("message", "skipped", "no_endpoint", 5)
        )
        await end_runs(connection)
        await connection.exec_driver_sql("UPDATE campaigns SET state = 'finished'")
    told = await sojourn("campaigns", "watch", "spring-sale")
    assert "finished: 12 of 12 messages done, 9 sent" in told
    assert "unconfirmed, and not sent again: 1 (`sojourn unconfirmed list`)" in told
    assert "skipped: no_endpoint 5, unsubscribed 2" in told
    assert "begins. Watch it with" in await sojourn("campaigns", "resend", "spring-sale")
    assert "what failed in " in await sojourn("campaigns", "show", "spring-sale")


async def test_what_a_run_waits_for_is_told_when_nothing_leaves(
    sojourn: Command, room: Path, database: Database, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    await sojourn("apply")
    await sojourn("campaigns", "launch", "spring-sale", "-y")
    waits = (
        ("quiet_hours", 6, "2099-12-01T08:00:00Z"),
        ("quiet_hours", 1, "2099-12-01T09:00:00Z"),
        ("not_due", 2, "2099-12-01T18:00:00Z"),
        ("too_many_bounces", 1, "2099-12-01T07:00:00Z"),
        ("no_winner_yet", 3, "infinity"),
    )
    async with database.transaction() as connection:
        await connection.exec_driver_sql("UPDATE campaign_runs SET state = 'running', planned_at = now()")
        for reason, messages, due_at in waits:
            await connection.exec_driver_sql(
                "INSERT INTO campaign_chunks (app, run_id, step, message_ids, due_at, waits_for) SELECT 'demo', id, 'message',"
                f" array_fill(gen_random_uuid(), ARRAY[{messages}]), '{due_at}', '{reason}' FROM campaign_runs"
            )
    told = (
        "7 wait for quiet hours to end, the next at 2099-12-01 08:00 UTC",
        "3 wait for a winner",
        "2 wait for the time of version message, the next at 2099-12-01 18:00 UTC",
        "1 waits because too many of the account's marketing mails bounced, so marketing waits, the next at 2099-12-01 07:00 UTC",
    )
    shown = await sojourn("campaigns", "show", "spring-sale")
    assert "".join(f"    {line}\n" for line in told).rstrip() in shown
    async with database.transaction() as connection:
        await connection.exec_driver_sql("UPDATE campaign_chunks SET due_at = now()")
        await connection.exec_driver_sql("UPDATE campaign_runs SET state = 'paused'")
    assert "13 wait because sending is paused" in await sojourn("campaigns", "show", "spring-sale")
    async with database.transaction() as connection:
        await connection.exec_driver_sql("UPDATE campaign_runs SET state = 'running'")
    assert "wait" not in (await sojourn("campaigns", "show", "spring-sale")).replace("waits", "")


def test_the_bar_says_what_a_run_waits_for_only_while_nothing_leaves() -> None:
    wait = {"version": "message", "reason": "local_time", "messages": 7, "next_at": "2099-12-01T08:00:00Z"}
    going = {"version": "message", "reason": "busy", "messages": 1, "next_at": None}
    told = {"state": "running", "per_second": 5.0, "ends_at": None, "waits": [wait]}
    assert moves(told) == "7 wait for their own clocks to show the campaign's time, the next at 2099-12-01 08:00 UTC"
    assert moves({**told, "waits": [wait, going]}) == ", 5 a second"


async def test_a_campaign_is_submitted_and_not_approved_by_the_same_key(sojourn: Command, room: Path) -> None:
    await sojourn("apply")
    assert "spring-sale is in review" in await sojourn("campaigns", "submit", "spring-sale")
    assert "another key" in await sojourn("campaigns", "approve", "spring-sale", code=1)


async def test_a_review_is_sent_back_and_a_campaign_that_stands_still_is_deleted(sojourn: Command, room: Path) -> None:
    await sojourn("apply")
    await sojourn("campaigns", "submit", "spring-sale")
    told = await sojourn("campaigns", "send-back", "spring-sale")
    assert told == "spring-sale is draft. Ask for another review with `sojourn campaigns submit spring-sale`."
    await sojourn("campaigns", "launch", "spring-sale", "-y")
    assert "this campaign is running: stop it first" in await sojourn("campaigns", "delete", "spring-sale", code=1)
    await sojourn("campaigns", "stop", "spring-sale")
    assert await sojourn("campaigns", "delete", "spring-sale") == "spring-sale is deleted."
    assert "None: no campaign is published." in await sojourn("campaigns", "list")


async def test_versions_are_listed_with_what_they_send(sojourn: Command, room: Path) -> None:
    await sojourn("apply")
    await sojourn("campaigns", "launch", "spring-sale", "-y")
    (room / "campaigns" / "spring_sale.py").write_text(TESTED)
    await sojourn("apply")
    second, first = (await sojourn("campaigns", "versions", "spring-sale")).splitlines()[1:]
    assert (second.split()[0], "plain 50 %, bold 50 %" in second, "launched" in second) == ("2", True, False)
    assert (first.split()[:2], "golden" in first, "email spring-sale" in first) == (["1", "launched"], True, True)


async def test_a_run_that_nothing_decides_by_itself_is_decided_by_hand(sojourn: Command, room: Path, database: Database) -> None:
    (room / "campaigns" / "spring_sale.py").write_text(TESTED)
    await sojourn("apply")
    await sojourn("campaigns", "launch", "spring-sale", "-y")
    told = await sojourn("campaigns", "results", "spring-sale")
    assert [line.split()[:2] for line in told.splitlines()[1:3]] == [["plain", "0"], ["bold", "0"]]
    assert "the rest" not in told
    async with database.transaction() as connection:
        await connection.exec_driver_sql("UPDATE campaign_runs SET state = 'running', planned_at = now()")
        await connection.exec_driver_sql(
            "INSERT INTO campaign_chunks (app, run_id, step, message_ids, due_at, waits_for)"
            " SELECT 'demo', id, 'rest', ARRAY[gen_random_uuid()], 'infinity', 'no_winner_yet' FROM campaign_runs"
        )
        await connection.exec_driver_sql(
            "INSERT INTO campaign_winners (app, run_id, tested_at, because) SELECT 'demo', id, now(), 'suspect' FROM campaign_runs"
        )
    run = await run_id(database)
    assert f"`sojourn campaigns results spring-sale --run {run}` says why" in await sojourn("campaigns", "show", "spring-sale")
    suspect = "the rest wait: nothing is decided by itself, because people are not spread as the weights say"
    assert suspect in await sojourn("campaigns", "results", "spring-sale", "--run", run)
    assert "name the version that the rest get, or say --nothing" in await sojourn("campaigns", "winner", "spring-sale", code=1)
    assert "the versions are plain, bold" in await sojourn("campaigns", "winner", "spring-sale", "loud", code=1)
    decided = await sojourn("campaigns", "winner", "spring-sale", "bold")
    assert decided == f"The rest of run {run} get version bold. Watch it with `sojourn campaigns watch spring-sale`."
    assert "the rest get version bold: somebody decided so" in await sojourn("campaigns", "results", "spring-sale")
    assert "decided already" in await sojourn("campaigns", "winner", "spring-sale", "--nothing", code=1)


async def test_a_run_without_a_goal_has_no_results(sojourn: Command, room: Path) -> None:
    await sojourn("apply")
    await sojourn("campaigns", "launch", "spring-sale", "-y")
    assert "this run has no goal" in await sojourn("campaigns", "results", "spring-sale", code=1)


def test_results_say_which_version_is_better_and_what_the_rest_wait_for() -> None:
    def share(n: int, of: int) -> dict[str, float]:
        return {"n": n, "of": of, "rate": n / of, "low": n / of - 0.01, "high": n / of + 0.01}

    better = {"rate": 0.05, "low": 0.02, "high": 0.08, "p": 0.01}
    plain = {
        "version": "plain",
        "people": 5000,
        "sent": 4900,
        "converted": share(500, 5000),
        "against_first": None,
        "against_holdout": better,
    }
    bold = {
        "version": "bold",
        "people": 5000,
        "sent": 4800,
        "converted": share(750, 5000),
        "against_first": better,
        "against_holdout": None,
    }
    out = {"version": "holdout", "people": 100, "sent": 0, "converted": share(5, 100), "against_first": None, "against_holdout": None}
    undecided = {"version": None, "because": "not_clear", "look_at": "2026-12-01T09:10:00Z", "decided_at": None}
    told = {"versions": [plain, bold], "held_out": out, "is_mismatched": True, "winner": undecided}
    said = [Text.from_markup(line).plain for line in campaign_results.lines(told, "sale")]
    assert said == [
        "version                    people     sent  converted",
        "  plain                     5,000    4,900        500  10.0 % (9.0 to 11.0 %)",
        "    against who was held out      +5.0 points (+2.0 to +8.0)  better",
        "  bold                      5,000    4,800        750  15.0 % (14.0 to 16.0 %)",
        "    against plain                 +5.0 points (+2.0 to +8.0)  better",
        "  held out                    100        0          5  5.0 % (4.0 to 6.0 %)",
        "  a version has more or fewer people than its weight says: trust no result",
        "the rest wait: no version is surely ahead; it is looked at again at 2026-12-01 09:10 UTC",
        "In brackets: where the truth lies, at 95 %, however often you look.",
    ]
    nothing = {"version": None, "because": "nothing", "decided_at": "2026-12-01T09:10:00Z"}
    assert campaign_results.winner(nothing, "sale") == "the rest get nothing: no version had surely won in time"


async def test_what_the_events_of_a_campaign_led_to_is_told(
    sojourn: Command, room: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    on = SALE.replace("import email", "import email, segment").replace("))", '), when=segment("golden"))')
    (room / "campaigns" / "spring_sale.py").write_text(on)
    await sojourn("apply")
    asked: list[str] = []

    def confirm(question: str) -> bool:
        asked.append(question)
        return True

    monkeypatch.setattr("typer.confirm", confirm)
    assert "Watch it with `sojourn campaigns show spring-sale`." in await sojourn("campaigns", "launch", "spring-sale")
    assert asked == ["Launch version 1 of spring-sale on its events, among 0 people?"]
    async with database.transaction() as connection:
        for version, state, reason, messages in (
            ("a", "sent", "", 1700),
            ("a", "skipped", "no_endpoint", 2),
            ("b", "rejected", "invalid", 3),
            ("b", "deferred", "", 4),
        ):
            await connection.exec_driver_sql(
                f"INSERT INTO triggered_tallies VALUES ('demo', 'spring-sale', 1, '{version}', '{state}', '{reason}', {messages})"
            )
    shown = await sojourn("campaigns", "show", "spring-sale")
    assert "since its launch: 1,709 messages, 1,700 sent, 4 still to leave\nskipped: no_endpoint 2\nrefused, or given up: 3" in shown
    assert "    a: 1,702 messages, 1,700 sent\n    b: 7 messages, 0 sent" in shown
