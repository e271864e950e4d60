"""The stage on which enrollments are tested."""

from collections.abc import AsyncIterator

import pytest

from storage.database import Database
from tests.workflows.stage import Stage, stage


@pytest.fixture
async def scene(database: Database, temporal: str) -> AsyncIterator[Stage]:
    async with stage(database, temporal) as opened:
        yield opened
