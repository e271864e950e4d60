"""Templates at the terminal: listed, previewed, and those of Pinpoint made files."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from cli.client import client
from cli.sojourn import run
from tests.cli.conftest import Command

CODE = {"TemplateName": "Code", "Body": "Your code: {{code}}", "DefaultSubstitutions": '{"code": "-"}'}
MAIL = {"TemplateName": "code", "Subject": "Your code", "TextPart": "{{md5 code}}"}


@pytest.mark.usefixtures("served")
async def test_a_message_is_shown_as_it_would_leave(sojourn: Command) -> None:
    assert "None:" in await sojourn("templates", "list")
    files = {
        "template.toml": 'from = "a@acme.example"',
        "subject.txt": "BUY NOW, ANN",
        "subject.de.txt": "Hallo [b]",
        **dict.fromkeys(("body.txt", "body.de.txt"), "{{ entry.code | default('') }}"),
    }

    def publish() -> Any:
        with client() as api:
            return api.post("/v1/templates/welcome/versions", {"files": files})

    await asyncio.to_thread(publish)
    assert "welcome" in await sojourn("templates", "list")
    shown = await sojourn("templates", "preview", "welcome", "--data", '{"entry": {"code": "A-17"}}')
    assert "subject\nBUY NOW, ANN\n" in shown
    assert "text (4 bytes)\nA-17" in shown
    assert "subject: the subject is all in capitals, as spam is" in shown
    assert "Hallo [b]" in await sojourn("templates", "preview", "welcome", "--locale", "de-AT")


@pytest.mark.usefixtures("served")
async def test_a_template_is_rolled_back_to_an_older_version(sojourn: Command) -> None:
    def publish() -> None:
        with client() as api:
            for said in ("first", "second"):
                api.post("/v1/templates/note/versions", {"files": {"sms.txt": said}})

    await asyncio.to_thread(publish)
    assert [line.split()[:2] for line in (await sojourn("templates", "versions", "note")).splitlines()[1:]] == [["2", "live"], ["1", "sms"]]
    assert "note: version 1 is live" in await sojourn("templates", "activate", "note", "1")
    assert "first" in await sojourn("templates", "preview", "note", "--channel", "sms")


def test_pinpoints_templates_become_files_that_pass_check(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("one.json").write_text(json.dumps({"SMSTemplateResponse": CODE}))
    Path("several.json").write_text(
        "\n".join(json.dumps(each) for each in ({"EmailTemplateResponse": MAIL}, CODE | {"TemplateType": "SMS"}))
    )
    assert run(["templates", "import-pinpoint", "one.json", "several.json"]) == 0
    told = capsys.readouterr().out
    assert "code: sms.txt, template.toml" in told
    assert "  TextPart: there is no helper md5" in told
    assert "3 read, 1 place to look at." in told
    room = Path("journeys/templates/code")
    assert (room / "sms.txt").read_text() == "Your code: {{ entry.code }}"
    assert sorted(file.name for file in room.iterdir()) == ["body.txt", "sms.txt", "subject.txt", "template.toml"]
    assert run(["templates", "import-pinpoint", "one.json"]) == 1
    assert "--replace" in capsys.readouterr().err
    assert run(["templates", "import-pinpoint", "one.json", "--replace"]) == 0
    capsys.readouterr()
    Path("journeys/catalogue.py").write_text("JOURNEYS = ()\n")
    assert run(["check"]) == 0
    assert "1 template" in capsys.readouterr().out


@pytest.mark.parametrize("said", ["{", "[]x", '{"TemplateName": "a"}', "[1]"])
def test_what_is_no_template_of_pinpoints_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bad.json").write_text(said)
    assert run(["templates", "import-pinpoint", "bad.json"]) == 1
    assert "bad.json" in capsys.readouterr().err
    assert not Path("journeys").exists()
