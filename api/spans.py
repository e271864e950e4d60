"""Spans of time as requests name them."""

from datetime import datetime

from journeys.language.errors import Invalid, Problem


def must_have_zones(**moments: datetime | None) -> None:
    """A time without a zone is another moment for everybody who reads it. Raises Invalid, which names the parameter."""
    for name, moment in moments.items():
        if moment is not None and moment.tzinfo is None:
            raise Invalid([Problem(f"/{name}", "no_zone", "say in which zone: 2026-11-01T00:00:00Z")])
