from pathlib import Path

import pytest

from tests.activities.campaigns.blast import Blast
from tests.activities.town import Town


@pytest.fixture
def blast(town: Town, tmp_path: Path) -> Blast:
    return Blast(town, tmp_path / "lanes")
