"""The page of rehearsals names every key that a file may have."""

from pathlib import Path

import pytest

from cli.scenarios import KEYS

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "how-to" / "rehearse.md").read_text()


@pytest.mark.parametrize("key", sorted({key for keys in KEYS.values() for key in keys}))
def test_every_key_is_documented(key: str) -> None:
    assert f"`{key}`" in PAGE
