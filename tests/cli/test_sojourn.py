"""What a person sees when a command fails."""

import subprocess
import sys
from collections.abc import Callable

import pytest
import typer
from rich.console import Console

from cli import sojourn
from cli.console import notes, out
from cli.sojourn import COMMANDS, GROUPS, command_line, run
from journeys.language.errors import Conflict, Invalid, Problem, Unavailable


@pytest.fixture
def words_of(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[[Exception], str]:
    """Run a command that raises an error, and give what a person reads."""

    def run_and_read(error: Exception) -> str:
        app = typer.Typer(pretty_exceptions_enable=False)

        @app.command()
        def fail() -> None:
            raise error

        monkeypatch.setattr(sojourn, "command_line", lambda _name: app)
        assert run([]) == 1
        return capsys.readouterr().err

    return run_and_read


WORDS = [
    (Conflict("the journey is retired"), "the journey is retired"),  # a fact is told as it is
    (Unavailable("the database does not answer"), "sojourn doctor"),  # an outage names where to look
    (Invalid([Problem("/steps/0", "bad", "a wait of zero")]), "/steps/0: a wait of zero"),  # all problems with their place
    (ConnectionRefusedError("nobody listens"), "nobody listens"),  # the network's own words
    (RuntimeError("surprise"), "This is a defect"),  # ours, not the reader's
]


@pytest.mark.parametrize(("error", "words"), WORDS)
def test_an_error_is_told_in_words(words_of: Callable[[Exception], str], error: Exception, words: str) -> None:
    assert words in words_of(error)


@pytest.mark.parametrize(("error", "_words"), WORDS)
def test_no_error_shows_a_traceback(words_of: Callable[[Exception], str], error: Exception, _words: str) -> None:
    assert "Traceback" not in words_of(error)


def test_brackets_in_an_error_are_printed_and_not_taken_for_colour(words_of: Callable[[Exception], str]) -> None:
    assert "[red]x" in words_of(Conflict("[red]x"))


def test_a_setting_of_the_wrong_type_is_named_without_its_value(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SOJOURN_SMTP_PORT", "a-secret")
    assert run(["migrate"]) == 1
    words = capsys.readouterr().err
    assert "SOJOURN_SMTP_PORT" in words
    assert "a-secret" not in words


def test_an_unknown_command_is_wrong_usage() -> None:
    assert run(["fly"]) == 2


def test_a_command_does_not_pay_for_the_imports_of_others() -> None:
    script = "import sys; from cli.sojourn import run; run(['keys', '--help']); sys.exit('temporalio' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, check=False).returncode == 0


def test_every_command_that_is_listed_is_there() -> None:
    assert {command.name for command in command_line("").registered_commands} == set(COMMANDS)
    assert {group.name for group in command_line("").registered_groups} == set(GROUPS)


def test_help_lists_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    assert "migrate" in capsys.readouterr().out


@pytest.mark.parametrize("console", [out, notes])
def test_what_people_wrote_between_colons_is_no_picture(console: Console) -> None:
    with console.capture() as shown:
        console.print("sale :heart: ends :date:")
    assert shown.get() == "sale :heart: ends :date:\n"


def test_no_help_has_a_picture_in_it() -> None:
    shown = subprocess.run([sys.executable, "-m", "cli.sojourn", "import", "users", "--help"], capture_output=True, text=True, check=True)
    assert "attributes.born:date=Born" in shown.stdout
