"""The command `sojourn`. A command group is one file here and one line in COMMANDS or GROUPS; errors are words with a remedy.

A group file holds `app = typer.Typer(help=...)` with its commands; a single command is a plain function of the file's name.
"""

import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

import typer
from pydantic import ValidationError
from rich.markup import escape

from cli import api, dev, doctor, keys, migrate, worker
from cli.console import notes, out
from journeys.language.errors import ConfigurationError, Invalid, SojournError, Unavailable

# In the order of `sojourn --help`.
COMMANDS: tuple[Callable[..., Any], ...] = (dev.dev, doctor.doctor, api.api, worker.worker, migrate.migrate)
GROUPS: dict[str, typer.Typer] = {"keys": keys.app}

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)


@app.callback()
def sojourn() -> None:
    """Journeys as code: run, publish, watch and mend them."""


for command in COMMANDS:
    app.command()(command)
for name, group in GROUPS.items():
    app.add_typer(group, name=name)


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
        app(list(arguments), prog_name="sojourn")
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
