"""Where `sojourn dev` leaves the URL, the keys and the servers of the Sojourn that runs here, and where other commands find them."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

from settings import Settings

FOLDER = Path(".sojourn")


@dataclass(frozen=True)
class LocalKeys:
    """What a command needs to speak to the Sojourn of this folder. `write_key` is for events, `secret_key` for everything else.

    `database_url` and `temporal_address` are for the few commands that do not go through the API.
    """

    url: str
    app: str
    write_key: str
    secret_key: str
    database_url: str = ""
    temporal_address: str = ""


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


def settings_here() -> Settings:
    """Read the settings; without SOJOURN_DATABASE_URL, the database is the one that `sojourn dev` runs in this folder."""
    settings, local = Settings(), read_keys()
    if local is None or not local.database_url or "database_url" in settings.model_fields_set:
        return settings
    return Settings(database_url=local.database_url)
