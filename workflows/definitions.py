"""Published definitions, parsed once: a version never changes."""

from journeys.language.codec import from_json
from journeys.language.journey import Journey
from storage import journeys
from storage.database import Connection
from storage.journeys import StoredVersion

MOST = 2000


class Definitions:
    """Parsed journeys by (app, journey, version); forgets all when there are too many, which is rare and cheap."""

    def __init__(self) -> None:
        self._parsed: dict[tuple[str, str, int], Journey] = {}

    async def of(self, connection: Connection, app: str, name: str, version: int) -> Journey:
        """The definition of this version. Raises NotFound."""
        known = self._parsed.get((app, name, version))
        return known or self.parse(await journeys.version(connection, app, name, version))

    def parse(self, stored: StoredVersion) -> Journey:
        key = (stored.app, stored.journey, stored.version)
        if key not in self._parsed:
            if len(self._parsed) >= MOST:
                self._parsed.clear()
            self._parsed[key] = from_json(stored.definition)
        return self._parsed[key]
