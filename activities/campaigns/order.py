"""What the workflow of a run is started with."""

from dataclasses import dataclass


@dataclass(frozen=True)
class RunOrder:
    """Which run it is; everything else stands in its rows."""

    app: str
    run_id: str
