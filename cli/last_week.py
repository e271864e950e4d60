"""What journeys that are to be published would have sent last week: a backtest over a sample of people, within seconds."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

from cli.client import Client
from cli.console import notes

MOST_PEOPLE = 5_000
WITHIN_S = 30.0
LOOK_EVERY_S = 0.2


def last_week(sojourn: Client, publication: Any, answer: Any) -> dict[str, str]:
    """In a line for each journey that is new or changed and that events start; nothing where no worker runs."""
    if not answer["has_worker"]:
        return {}
    touched = {each["name"] for each in answer["journeys"] if each["change"] in {"new", "changed", "back"}}
    since = (datetime.now(UTC) - timedelta(days=7)).isoformat()
    begun = {
        definition["name"]: sojourn.post("/v1/backtests", {"definition": definition, "since": since, "most_people": MOST_PEOPLE})["id"]
        for definition in publication["journeys"]
        if definition["name"] in touched and definition["starts_on"]["kind"] == "events"
    }
    if not begun:
        return {}
    with notes.status("looking at last week"):
        until = time.monotonic() + WITHIN_S
        return {name: _line(_ended(sojourn, job_id, until)) for name, job_id in begun.items()}


def _ended(sojourn: Client, job_id: str, until: float) -> Any:
    """The job when it is over; one that takes too long is stopped."""
    while True:
        job = sojourn.get(f"/v1/jobs/{job_id}")
        if job["state"] != "running":
            return job
        if time.monotonic() > until:
            return sojourn.post(f"/v1/jobs/{job_id}/stop")
        time.sleep(LOOK_EVERY_S)


def _line(job: Any) -> str:
    if job["state"] != "done":
        return f"not known within {WITHIN_S:.0f} seconds; ask with `sojourn rehearse JOURNEY --over-history --since ...`"
    result = job["result"]
    counts, percent = result["counts"], result["sample_percent"]
    people, entered, sent = counts.get("people", 0), counts.get("people_entered", 0), counts.get("sent", 0)
    looked = f"of {people:,} people" if percent >= 100 else f"of a sample of {people:,} people ({percent:g} %)"  # noqa: PLR2004 - all of them
    return f"{entered:,} {looked} would have entered, and {sent:,} {'message' if sent == 1 else 'messages'} been sent"
