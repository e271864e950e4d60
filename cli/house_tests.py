"""For the tests of a team's house, named in its pyproject.toml: its journeys and functions can be imported there as in the house.

`from journeys.welcome import journey` finds the team's own file before one of Sojourn's of the same name.
"""

import sys

import pytest

import journeys


def pytest_configure(config: pytest.Config) -> None:
    """Put the house where Python finds it."""
    journeys.__path__.insert(0, str(config.rootpath / "journeys"))
    # Behind everything else: folders like tests/ are also elsewhere.
    sys.path.append(str(config.rootpath))
