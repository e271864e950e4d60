"""`sojourn check` for people, editors and CI: every problem in its file and line, and the right exit code."""

from pathlib import Path

import orjson
import pytest

from cli import house
from cli.sojourn import run

WRONG = """\
from journeys.language import Journey, Send, Split, Wait, Arm, email, event, days

journey = Journey(
    "wrong",
    starts_on=event(" "),
    holdout=120,
    steps=[
        Wait("soon", days(0)),
        Send("again", email("hello")),
        Split("offer", arms=[Arm("soon", 100, [Send("again", email("hello"))])]),
    ],
)
"""
SOUND = """\
from journeys.language import Journey, Send, email, event

journey = Journey("sound", starts_on=event("x"), steps=[Send("hello", email("{template}"))])
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A house with one sound journey, in the folder where commands run."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "journeys" / "templates" / "hello"
    folder.mkdir(parents=True)
    for name, text in {"template.toml": "", "subject.txt": "Hello", "body.txt": "{{ links.unsubscribe }}"}.items():
        (folder / name).write_text(text)
    (tmp_path / "journeys" / "sound.py").write_text(SOUND.format(template="hello"))
    return tmp_path


def said(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    capsys.readouterr()
    ended = run(["check", *arguments])
    printed = capsys.readouterr()
    assert ended == code, printed.out + printed.err
    return printed.out


@pytest.mark.usefixtures("home")
def test_what_is_in_order_is_counted(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys) == "1 journey and 1 template are in order.\n"
    assert said(capsys, "--format", "github") == "1 journey and 1 template are in order.\n"


def test_every_line_begins_with_file_and_line_as_editors_read_it(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "journeys" / "wrong.py").write_text(WRONG)
    (home / "journeys" / "templates" / "hello" / "subject.txt").write_text("Hello\n{{ nobody")
    assert [line.split(": ")[:3] for line in said(capsys, code=1).splitlines()[:-1]] == [
        ["journeys/templates/hello/subject.txt:1", "error", "a subject is one line"],
        ["journeys/templates/hello/subject.txt:2", "error", "line 2"],
        ["journeys/wrong.py:3", "error", "wrong"],
        ["journeys/wrong.py:5", "error", "wrong/starts_on"],
        ["journeys/wrong.py:8", "error", "wrong/soon"],
        ["journeys/wrong.py:10", "error", "wrong/again"],
    ]


def test_a_folder_elsewhere_is_named_in_full(home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "journeys" / "wrong.py").write_text(WRONG)
    (home / "else").mkdir()
    monkeypatch.chdir(home / "else")
    monkeypatch.setenv("SOJOURN_HOUSE", "..")
    assert f"{home}/journeys/wrong.py:8: error: wrong/soon: a wait must be longer than 0" in said(capsys, code=1)
    monkeypatch.setenv("SOJOURN_HOUSE", str(home))
    assert "wrong.py:8" in said(capsys, code=1)


def test_the_end_says_how_much_and_what_it_means(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "journeys" / "sound.py").write_text(SOUND.format(template="gone"))
    last = said(capsys, code=1).splitlines()[-1]
    assert last == "1 error, 0 warnings; 1 journey and 1 template could be read. Nothing is published until the errors are mended."


def test_github_shows_each_beside_its_line(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "journeys" / "sound.py").write_text(SOUND.format(template="gone"))
    assert said(capsys, "--format", "github", code=1).splitlines()[0] == (
        "::error file=journeys/sound.py,line=3,title=sound/hello (no_template)"
        "::there is no template gone: add journeys/templates/gone/, or mend the name"
    )


def test_what_github_reads_as_its_own_is_written_as_codes(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "journeys" / "a,b:c.py").write_text('raise ValueError("100 %\\nover")')
    told = said(capsys, "--format", "github", code=1).splitlines()[0]
    assert told == (
        "::error file=journeys/a%2Cb%3Ac.py,line=1,title=a%2Cb%3Ac.py (import_failed)::importing it fails with ValueError: 100 %25%0Aover"
    )


def test_a_warning_fails_nothing(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "journeys" / "sound.py").write_text(
        SOUND.format(template="hello").replace('event("x")', 'segment("lapsed")').replace("event", "segment")
    )
    assert said(capsys, "--format", "github").startswith(
        "::warning file=journeys/sound.py,line=3,title=sound/starts_on (segment_not_known)::"
    )
    assert said(capsys).splitlines()[-1] == "1 journey and 1 template are in order. 1 warning."


def test_programs_read_json(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "journeys" / "sound.py").write_text(SOUND.format(template="gone"))
    (home / "journeys" / "broken.py").write_text("def (")
    told = orjson.loads(said(capsys, "--format", "json", code=1))
    assert (told["ok"], told["journeys"], told["templates"], told["functions"]) == (False, ["sound"], ["hello"], [])
    assert told["findings"] == [
        {
            "severity": "error",
            "file": "journeys/broken.py",
            "line": 1,
            "journey": None,
            "step": None,
            "code": "import_failed",
            "message": "Python cannot read this line: invalid syntax",
        },
        {
            "severity": "error",
            "file": "journeys/sound.py",
            "line": 3,
            "journey": "sound",
            "step": "hello",
            "code": "no_template",
            "message": "there is no template gone: add journeys/templates/gone/, or mend the name",
        },
    ]


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("from journeys.language import *\n\n\nWait('w', 'x')", 4),
        (
            (
                "import journeys.language as l\nS = [l.Wait(id='w', duration=l.days(0))]\n"
                "journey = l.Journey('a', starts_on=l.event('x'), steps=S)"
            ),
            2,
        ),
        ("from journeys.language import *\nW = 'w'\njourney: Journey = Journey('a', starts_on=event('x'), steps=[Wait(W, days(0))])", 3),
        ("from journeys.language import *\nfrom journeys._parts import soon\nx = soon()", 3),
        ("\n\n    x = 1", 3),
    ],
)
def test_the_line_is_that_of_the_step_else_of_the_journey_else_of_the_call(home: Path, source: str, line: int) -> None:
    (home / "journeys" / "_parts.py").write_text("from journeys.language import *\n\ndef soon():\n    return Wait('w', 1)\n")
    (home / "journeys" / "other.py").write_text(source)
    assert [(each.file.name, each.line) for each in house.load(home).findings] == [("other.py", line)]


def test_what_cannot_be_planned_is_told_with_its_places(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOJOURN_KEY", "sj_secret_x")
    (home / "journeys" / "sound.py").write_text(SOUND.format(template="gone"))
    assert run(["plan"]) == 1
    assert "journeys/sound.py:3: sound/hello: there is no template gone" in capsys.readouterr().err
