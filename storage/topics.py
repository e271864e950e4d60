"""What people can subscribe to: an app's topics, in the order in which the preference centre shows them."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import text

from storage.database import Connection

GENERAL = "general"


@dataclass(frozen=True)
class Topic:
    """One topic. `double_opt_in` are the channels on which a yes must be confirmed; `is_required`: named, and not offered to leave."""

    name: str
    title: str
    description: str = ""
    channels: tuple[str, ...] = ("email",)
    needs_consent: bool = False
    double_opt_in: tuple[str, ...] = ()
    is_required: bool = False


_DECLARED = text(
    "SELECT name, title, description, channels, needs_consent, double_opt_in, is_required FROM topics WHERE app = :app ORDER BY place"
)
_DEFAULT = text("SELECT coalesce(settings ->> 'topic', 'general') FROM apps WHERE id = :app")
_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended(CAST(:app AS text), 7305214))")
_CLEAR = text("DELETE FROM topics WHERE app = :app")
_DECLARE = text("""
    INSERT INTO topics (app, name, title, description, channels, needs_consent, double_opt_in, is_required, place)
    VALUES (:app, :name, :title, :description, :channels, :needs_consent, :double_opt_in, :is_required, :place)
""")


async def of_app(connection: Connection, app: str) -> list[Topic]:
    """The app's topics in their order. The default topic is always among them, the last unless it was declared."""
    rows = (await connection.execute(_DECLARED, {"app": app})).mappings()
    declared = [Topic(**{**row, "channels": tuple(row["channels"]), "double_opt_in": tuple(row["double_opt_in"])}) for row in rows]
    default = str((await connection.execute(_DEFAULT, {"app": app})).scalar() or GENERAL)
    return declared if default in {topic.name for topic in declared} else [*declared, undeclared(default)]


async def of_name(connection: Connection, app: str, name: str) -> Topic:
    """One topic; one that nobody declared is as every topic is that nothing is said of."""
    return next((topic for topic in await of_app(connection, app) if topic.name == name), undeclared(name))


async def declare(connection: Connection, app: str, topics: Sequence[Topic]) -> None:
    """Replace the app's topics by these. What people said of a topic that is gone stays, and holds."""
    await connection.execute(_LOCK, {"app": app})
    await connection.execute(_CLEAR, {"app": app})
    rows = [
        {**vars(topic), "channels": list(topic.channels), "double_opt_in": list(topic.double_opt_in), "app": app, "place": place}
        for place, topic in enumerate(topics)
    ]
    if rows:
        await connection.execute(_DECLARE, rows)


def undeclared(name: str) -> Topic:
    """A topic that journeys name and nobody described."""
    return Topic(name, name.replace("_", " "))
