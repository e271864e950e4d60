"""The moment of a `best_time`, written down with what it goes by: once, so that whoever asks again hears the same."""

from datetime import datetime
from typing import Any

from activities.questions import MomentWanted
from journeys.language.best_hours import next_best
from journeys.language.durations import BestTime
from journeys.language.facts import Facts
from journeys.language.zones import utc_to_local, zone_of
from storage import outcomes
from storage.database import Connection

PREFIX = "$best:"
"""Before the step's name, because a Wait itself writes nothing."""


async def best_time(connection: Connection, wanted: MomentWanted, moment: BestTime, facts: Facts, now: datetime) -> datetime:
    """Return the moment that is stored for this visit, or find and store it. What starts a Wait over asks anew, and is not stored."""
    started_over = wanted.captured[wanted.step].id if wanted.step in wanted.captured else ""
    if not wanted.step:
        return datetime.fromisoformat(_verdict(moment, facts, now, started_over)["until"])
    key = wanted.app, wanted.enrollment_id, PREFIX + wanted.step, wanted.visit
    stored = await outcomes.stored(connection, *key)
    if stored is None or stored["started_over"] != started_over:
        found = _verdict(moment, facts, now, started_over)
        stored = await outcomes.write(connection, *key, found) if stored is None else found
    return datetime.fromisoformat(stored["until"])


def _verdict(moment: BestTime, facts: Facts, now: datetime, started_over: str) -> dict[str, Any]:
    best, zone = facts.best_hours, zone_of(facts.timezone)
    until = next_best(best, now, moment.within.timedelta, zone) if best else now
    hour = utc_to_local(until, zone).hour
    return {
        "kind": "best_time",
        "until": until.isoformat(),
        "is_now": until == now,
        "zone": facts.timezone or "UTC",
        "hour": hour,
        "known_by": best.known_by if best else "nothing",
        "seen": best.seen[hour] if best else 0,
        "of": sum(best.seen) if best else 0,
        "started_over": started_over,
    }
