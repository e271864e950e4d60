"""The kind `backtest`: a journey played against what is recorded of real people. Only reads; its result is what it has counted."""

from datetime import UTC, datetime
from typing import Any

from activities.backtest.play import play_people
from activities.backtest.setting import Asked, Setting, written
from activities.backtest.tally import Tally, bounded, busiest, merge
from activities.jobs.work import Work
from storage import apps, enrollments, past
from storage.database import Connection
from storage.jobs import Job, Progress
from storage.past import Wanted

PEOPLE_A_PIECE = 2_000
EVERYBODY = 10_000


async def backtest(work: Work, job: Job) -> Progress:
    """Play for the next people. The cursor holds the last one's id, what was fixed at the beginning, and messages by the minute."""
    async with work.database.transaction() as connection:
        begun = job.cursor or await _begin(connection, job)
        setting = Setting.of(begun["setting"])
        wanted = _wanted(setting)
        people = await past.people(connection, wanted, begun["after"], PEOPLE_A_PIECE)
    played: Tally = {}
    for part in await work.cores.spread(play_people, begun["setting"], people):
        played = merge(played, part)
    minutes = bounded(merge(begun["minutes"], played.pop("minutes", {})))
    tally = merge((job.result or {}).get("counts", {}), played)
    last = people[-1].id if people else begun["after"]
    return Progress(
        cursor={**begun, "after": last, "minutes": minutes},
        done=job.done + len(people),
        total=begun["total"],
        result=_result(setting, tally, minutes),
        is_finished=len(people) < PEOPLE_A_PIECE,
    )


async def _begin(connection: Connection, job: Job) -> dict[str, Any]:
    """Fix what must not change while pieces are played: the end of the time, the app's defaults, and how many people are looked at."""
    given = dict(job.parameters)
    now = await enrollments.database_now(connection)
    until = datetime.fromisoformat(given["until"]) if given.get("until") else now
    sample = await _sample(connection, job.app, given.get("of_ten_thousand", EVERYBODY), given.pop("most_people", None))
    given |= {"app": job.app, "of_ten_thousand": sample, "until": min(until, now).astimezone(UTC).isoformat()}
    setting = written(Asked(**given, settings=await apps.settings(connection, job.app)))
    return {"after": 0, "minutes": {}, "setting": setting, "total": await past.count(connection, job.app, sample)}


async def _sample(connection: Connection, app: str, of_ten_thousand: int, most_people: int | None) -> int:
    """How many of every 10,000 people are looked at, so that there are hardly more than `most_people`."""
    if most_people is None:
        return of_ten_thousand
    everybody = max(1, await past.count(connection, app))
    return min(of_ten_thousand, max(1, EVERYBODY * most_people // everybody))


def _wanted(setting: Setting) -> Wanted:
    asked = setting.asked
    return Wanted(
        app=asked.app,
        journey=setting.journey.name,
        names=setting.names,
        since=asked.since,
        until=asked.until,
        with_messages=setting.with_messages,
        of_ten_thousand=asked.of_ten_thousand,
    )


def _result(setting: Setting, tally: Tally, minutes: dict[str, int]) -> dict[str, Any]:
    asked = setting.asked
    return {
        "journey": setting.journey.name,
        "since": asked.since and asked.since.isoformat(),
        "until": asked.until.isoformat(),
        "sample_percent": asked.of_ten_thousand / 100,
        "counts": tally,
        "busiest_minute": busiest(minutes),
        "assumed": setting.assumed(),
    }
