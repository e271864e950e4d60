"""What the workflow of a job asks for. Fields may be added with a default, never renamed or removed."""

from pydantic.dataclasses import dataclass


@dataclass(frozen=True)
class JobOrder:
    """Which job is to be worked on."""

    app: str
    job_id: str
