"""Which version of a run's message those get who waited for a winner."""

from uuid import UUID

from sqlalchemy import text

from storage.database import Connection

_OF_RUN = text("SELECT winner FROM campaign_runs WHERE app = :app AND id = :run_id")


async def of_run(connection: Connection, app: str, run_id: UUID) -> str | None:
    """The version that goes to the rest; None while nobody has decided."""
    winner: str | None = (await connection.execute(_OF_RUN, {"app": app, "run_id": run_id})).scalar()
    return winner
