"""Where `sojourn dev` leaves the URL and the keys of the Sojourn that runs here, and where other commands find them."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(".sojourn")


@dataclass(frozen=True)
class LocalKeys:
    """What a command needs to speak to the Sojourn of this folder. `write_key` is for events, `secret_key` for everything else."""

    url: str
    app: str
    write_key: str
    secret_key: str


def read_keys(folder: Path = FOLDER) -> LocalKeys | None:
    """Read what the last `sojourn dev` in this folder left; None if there was none."""
    file = folder / "keys.toml"
    if not file.exists():
        return None
    return LocalKeys(**tomllib.loads(file.read_text()))


def keep_keys(keys: LocalKeys, folder: Path = FOLDER) -> None:
    file = folder / "keys.toml"
    lines = [f'{name} = "{value}"' for name, value in vars(keys).items()]
    file.touch(mode=0o600)
    file.write_text("\n".join(["# Written by `sojourn dev`. Only for development.", *lines, ""]))
