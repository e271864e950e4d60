"""`sojourn rehearse`: what a person reads, what a file may say, and what it says of a wrong one."""

import os
from pathlib import Path

import pytest

from cli.sojourn import run

JOURNEY = """
from journeys.language import *
journey = Journey("trial", starts_on=event("trial_started") | event("trial_renewed"), steps=[
    Send("hello", email("hello")),
    Split("offer", arms=[
        Arm("plain", 50, []),
        Arm("gift", 50, [Call("wrap", function("wrap"), otherwise=[Send("sorry", email("sorry"))])]),
    ]),
    WaitFor("began", event("project_created"), within=days(3), since="entry", otherwise=[Send("hint", push("hint"))]),
])
"""
WHOLE = """
description = "takes the gift"
starts_at = 2026-07-01T09:00:00
entered_by = "trial_renewed"
refused = ["hint"]

[user]
user_id = "ada"
timezone = "Europe/Berlin"
attributes = { plan = "pro" }
channels = ["email", "push"]
refuses = ["sms"]
unsubscribed_topics = ["news"]
segments = ["vip"]

[entry]
total = 3

[arms]
offer = "gift"

[calls.wrap]
"$failed" = "out of paper"

[[events]]
after = "1d 2h"
name = "page_viewed"
properties = { path = "/" }

[expect]
sent = ["hello", "sorry"]
skipped = { hint = "rejected" }
called = ["wrap"]
entered = []
ended = "completed"
"""


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A house with one journey, in the folder where commands run."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "journeys" / "rehearsals" / "trial").mkdir(parents=True)
    (tmp_path / "journeys" / "trial.py").write_text(JOURNEY)
    return tmp_path / "journeys"


def said(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    capsys.readouterr()
    ended = run(["rehearse", *arguments])
    printed = capsys.readouterr()
    assert ended == code, printed.out + printed.err
    return printed.out + printed.err


def keep(room: Path, name: str, text: str) -> None:
    (room / "rehearsals" / "trial" / f"{name}.toml").write_text(text)


@pytest.mark.usefixtures("room")
def test_days_local_times_and_reasons_are_read_at_a_glance(capsys: pytest.CaptureFixture[str]) -> None:
    told = said(capsys, "trial", "--timezone", "Asia/Tokyo", "--refused", "hint", "--arm", "offer=plain")
    assert told.splitlines() == [
        "trial plain",
        "somebody; Asia/Tokyo",
        "",
        "Monday 2 March 2026",
        "  21:00  entry  trial_started",
        "  21:00  hello  email hello sent",
        "  21:00  began  wait for project_created, 3 days at most",
        "Thursday 5 March 2026, day 4",
        "  21:00  began  did not come",
        "  21:00  hint   push hint not sent: the provider refused it for good (rejected)",
        "  21:00  end    completed",
        "",
        "Sent: hello.",
        "Not sent: hint, because the provider refused it for good (rejected).",
        "Arms: offer: plain.",
        "Ended: completed.",
    ]


def test_a_file_says_who_and_what_and_what_must_come_of_it(room: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keep(room, "gift", WHOLE)
    told = said(capsys, "trial", "gift")
    assert "trial gift: takes the gift\nada; Europe/Berlin; plan=pro; reached by email, push; opted out of sms; " in told
    assert "Wednesday 1 July 2026\n  09:00  entry        trial_renewed\n" in told
    assert "Thursday 2 July 2026, day 2\n  11:00  page_viewed  came\n" in told
    assert told.endswith("As expected.\n")


def test_options_come_on_top_of_the_file(room: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keep(room, "gift", WHOLE)
    told = said(capsys, "trial", "gift", "--event", "2h project_created", "--starts-at", "2026-01-01T08:00:00", code=1)
    assert "Thursday 1 January 2026\n  08:00  entry" in told
    assert "Not as expected: skipped: expected hint (rejected), came nothing" in told


def test_without_a_rehearsal_the_plain_one_is_played_and_the_others_are_listed(room: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keep(room, "gift", WHOLE)
    keep(room, "broken", "x = 1")
    told = said(capsys, "trial")
    assert "trial plain: nothing happens but the entry" in told
    assert "played with sojourn rehearse trial NAME:\n  broken  cannot be read: play it to see why\n  gift    takes the gift\n" in told


def test_a_file_called_plain_is_the_plain_one(room: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keep(room, "plain", 'description = "what most people do"')
    assert "trial plain: what most people do" in said(capsys, "trial")


def test_all_are_played_and_a_difference_fails_the_run(room: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keep(room, "gift", WHOLE)
    keep(room, "quiet", 'description = "nothing is expected"')
    assert "1 rehearsal came out as expected. 1 rehearsal expected nothing: add [expect] to them." in said(capsys, "--all")
    keep(room, "gift", WHOLE.replace('"hello", "sorry"', '"hello"'))
    keep(room, "quiet", "x = 1")
    told = said(capsys, "trial", "--all", code=1)
    assert "Not as expected: sent: expected hello, came hello, sorry" in told
    assert "2 of 2 rehearsals did not come out as expected." in told


def test_a_file_that_cannot_be_read_fails_the_run_of_all(room: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (room / "broken.py").write_text("1 / 0")
    assert "Not played: broken.py cannot be read. `sojourn check` says why." in said(capsys, "--all", code=1)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = ", "rehearsals/trial/wrong.toml: this is no TOML: "),
        ("x = 1", "rehearsals/trial/wrong.toml: x: there is no such key here: known are description, starts_at, user, "),
        ("[user]\nname = 1", "user.name: there is no such key here: known are user_id, attributes, timezone, channels, "),
        ('[user]\ntimezone = "Berlin"', "user.timezone: write an IANA zone, such as Europe/Berlin"),
        ('[user]\nchannels = ["mail"]', "user.channels.0: it must be 'email', 'sms', "),
        ('[[events]]\nname = "x"', "events.0.after: it is missing: write after = a number with w, d, h, m or s, such as 2d, 1d 12h or 90m"),
        ('[[events]]\nafter = "1d"', 'events.0.name: it is missing: write name = "product_viewed", the event that happens'),
        ('[[events]]\nafter = "soon"\nname = "x"', "events.0.after: write a number with w, d, h, m or s, such as 2d, 1d 12h or 90m"),
        ('refused = ["hell"]', "refused: the journey has no hell that could stand here: there are hello, wrap, sorry, hint"),
        ("[calls]\nhello = {}", "calls: the journey has no hello that could stand here: there are wrap"),
        ('[arms]\noffer = "gft"', "arms.offer: the journey has no gft that could stand here: there are plain, gift"),
        ('entered_by = "x"', "entered_by: the journey has no x that could stand here: there are trial_renewed, trial_started"),
        ('[expect]\nsent = ["x"]', "expect.sent: the journey has no x that could stand here: there are hello, sorry, hint"),
    ],
)
def test_a_wrong_file_is_told_with_its_key_and_the_remedy(room: Path, capsys: pytest.CaptureFixture[str], text: str, words: str) -> None:
    keep(room, "wrong", text)
    assert words in said(capsys, "trial", "wrong", code=1)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["trial", "later"], "trial has no rehearsal later; there are plain. Add journeys/rehearsals/trial/later.toml"),
        (["tril"], "there is no journey tril; there are trial"),
        ([], "name a journey, or --all; there are trial"),
        (["trial", "--event", "later"], "--event: write it as '2d product_viewed' or '3h paid {\"total\": 20}'"),
        (["trial", "--entry", "[1]"], "--entry: properties are a JSON object"),
        (["trial", "--timezone", "Berlin"], "--timezone: write an IANA zone, such as Europe/Berlin"),
    ],
)
@pytest.mark.usefixtures("room")
def test_a_wrong_word_on_the_command_line_is_told_with_the_remedy(
    capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert words in said(capsys, *arguments, code=1)


def test_the_rehearsals_of_this_house_come_out_as_expected(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).resolve().parents[2])
    assert os.environ.get("SOJOURN_HOUSE") is None
    assert "came out as expected." in said(capsys, "--all").splitlines()[-1]
