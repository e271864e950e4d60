"""Fixtures of the ledger's tests."""

import pytest

from storage.database import Database
from tests.activities.town import Town, build


@pytest.fixture
async def town(database: Database) -> Town:
    return await build(database)
