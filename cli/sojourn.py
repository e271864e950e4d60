"""The command `sojourn`: a command is one line in COMMANDS, a group of commands one line in GROUPS. Errors are words with a remedy.

A command's file holds a function of the command's name; a group's file holds `app = typer.Typer(help=...)` with its commands.
"""

import os
import sys
from collections.abc import Sequence
from importlib import import_module

import typer
from pydantic import ValidationError
from rich.markup import escape

from cli.console import notes, out
from journeys.language.errors import ConfigurationError, Invalid, SojournError, Unavailable

# In the order of `sojourn --help`: the command, and the file where it lies. A file is imported only when its command is asked for, because
# Temporal, SQL and HTTP libraries take seconds, and `check` needs none of them.
COMMANDS = {
    "dev": "cli.dev",
    "init": "cli.init",
    "check": "cli.check",
    "rehearse": "cli.rehearse",
    "draw": "cli.draw",
    "plan": "cli.plan",
    "apply": "cli.plan",
    "report": "cli.report",
    "holdout": "cli.holdout",
    "why": "cli.why",
    "send": "cli.send",
    "sandbox": "cli.sandbox",
    "pause": "cli.pause",
    "resume": "cli.pause",
    "doctor": "cli.doctor",
    "api": "cli.api",
    "worker": "cli.worker",
    "migrate": "cli.migrate",
}
GROUPS = {
    "keys": "cli.keys",
    "providers": "cli.providers",
    "users": "cli.users",
    "topics": "cli.topics",
    "suppressions": "cli.suppressions",
    "journeys": "cli.journeys",
    "segment": "cli.segment",
    "sources": "cli.sources",
    "campaigns": "cli.campaigns",
    "import": "cli.imports",
    "export": "cli.exports",
    "templates": "cli.templates",
    "enrollments": "cli.enrollments",
    "quarantine": "cli.quarantine",
    "unconfirmed": "cli.unconfirmed",
    "replies": "cli.replies",
    "jobs": "cli.jobs",
}


def command_line(name: str) -> typer.Typer:
    """Make the command line with the one command that was named, or with all when there is none of that name (`--help`)."""
    known = {**COMMANDS, **GROUPS}
    wanted = [name] if name in known else list(known)
    app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)
    app.callback()(sojourn)
    for command in wanted:
        file = import_module(known[command])
        if command in GROUPS:
            app.add_typer(file.app, name=command)
        else:
            app.command(command)(getattr(file, command))
    return app


def sojourn() -> None:
    """Journeys as code: run, publish, watch and mend them."""


def main() -> None:
    """Run the command line and end the process."""
    code = run(sys.argv[1:])
    # An interpreter that winds down under a Temporal client sometimes dies with a signal after its work is done (sdk-python issue 300).
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run one command and give its exit code: 0 done, 1 refused or failed, 2 wrong usage, 130 interrupted."""
    try:
        command_line(arguments[0] if arguments else "")(list(arguments), prog_name="sojourn")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # noqa: BLE001 - the last place: a person reads words, not a traceback
        _tell(error)
        return 1
    finally:
        out.file.flush()
    return 0


def _tell(error: Exception) -> None:
    if os.environ.get("SOJOURN_TRACEBACK"):
        notes.print_exception()
        return
    notes.print(f"[bold red]sojourn:[/] {escape(_words(error))}")


def _words(error: Exception) -> str:
    match error:
        case ValidationError():
            return "\n".join(f"{_variable(problem['loc'])}: {problem['msg']}" for problem in error.errors(include_input=False))
        case Invalid():
            return "not accepted:\n" + str(error)
        case Unavailable():
            return f"{error}. Is everything running? `sojourn doctor` looks. Nothing was changed; try again."
        case ConfigurationError() | SojournError():
            return str(error)
        case OSError():
            return f"{error}. `sojourn doctor` looks whether everything that is needed runs."
        case _:
            return f"failed with {type(error).__name__}: {error}\nThis is a defect. SOJOURN_TRACEBACK=1 shows where; please report it."


def _variable(location: tuple[int | str, ...]) -> str:
    return "SOJOURN_" + "_".join(str(part) for part in location).upper()


if __name__ == "__main__":
    main()
