"""Makes docs/reference/settings.md from the settings themselves: `make docs` writes it, a test holds it."""

from enum import Enum
from pathlib import Path

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from settings import DEVELOPMENT_SECRET, Settings

PAGE = Path(__file__).resolve().parents[1] / "docs" / "reference" / "settings.md"
_HEAD = """# Settings

Every setting is an environment variable, read when a process starts. The value shown is the default. Temporal's own variables
(`TEMPORAL_ADDRESS`, `TEMPORAL_NAMESPACE`, `TEMPORAL_API_KEY`, `TEMPORAL_TLS*`, `TEMPORAL_PROFILE`, `TEMPORAL_CONFIG_FILE`)
are read by its SDK.

This page is made from `settings.py` by `make docs`.

| variable | default | meaning |
|---|---|---|
"""


def page() -> str:
    rows = [f"| `SOJOURN_{name.upper()}` | {_default(field)} | {field.description} |" for name, field in Settings.model_fields.items()]
    return _HEAD + "\n".join(rows) + "\n"


def _default(field: FieldInfo) -> str:
    value = field.default
    if isinstance(value, SecretStr):
        return "a development value" if value.get_secret_value() == DEVELOPMENT_SECRET else ""
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, bool):
        value = str(value).lower()
    return "" if value in ((), "", Path()) else f"`{value}`"


if __name__ == "__main__":
    PAGE.write_text(page())
