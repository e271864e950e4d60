"""What the workflow of a schedule asks for. Fields may be added with a default, never renamed or removed."""

from pydantic.dataclasses import dataclass


@dataclass(frozen=True)
class ScheduleOrder:
    """Which journey's schedule struck."""

    app: str
    journey: str
