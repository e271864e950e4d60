"""Judges opens and clicks a few seconds after they came: what people did becomes a fact of the message, and an event that journeys hear."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby
from uuid import UUID

import structlog

from journeys.language.errors import Unavailable
from storage import facts, tracking_hits
from storage.database import Connection, Database
from storage.facts import Fact
from storage.notify import OUTBOX
from storage.tracking_hits import Waiting

# Nobody opens a mail as it is being sent, and nobody follows two of its links at once.
AT_ONCE = timedelta(seconds=2)
TOGETHER = timedelta(seconds=1)
_AT_ONCE = "at_once"
_TOGETHER = "several_links"
_log = structlog.get_logger()


@dataclass(frozen=True)
class Pace:
    """When hits are judged. `quiet` is not shorter than TOGETHER, so that links followed together are seen together."""

    rest: timedelta = timedelta(seconds=2)
    quiet: timedelta = TOGETHER
    patience: timedelta = timedelta(seconds=15)
    poll_s: float = 1.0
    most: int = 500


class HitLane:
    """Any number of processes may run one; one of them judges at a time. `notify` wakes the relay after a commit."""

    def __init__(self, database: Database, notify: Callable[[str], None], pace: Pace | None = None) -> None:
        self._database = database
        self._notify = notify
        self._pace = pace or Pace()

    async def run(self) -> None:
        """Run until cancelled. While Postgres is away hits wait there, or with the api that could not write them."""
        while True:
            try:
                judged = await self.pass_once()
            except Unavailable as away:
                _log.warning("hits_wait", reason=str(away))
                judged = 0
            if judged < self._pace.most:
                await asyncio.sleep(self._pace.poll_s)

    async def pass_once(self) -> int:
        """Judge what is due; return how many hits that were."""
        judged = await self._database.run(self._judge)
        if judged:
            self._notify(OUTBOX)
        return judged

    async def _judge(self, connection: Connection) -> int:
        pace = self._pace
        due = await tracking_hits.due(connection, rest=pace.rest, quiet=pace.quiet, patience=pace.patience, most=pace.most)
        for app, of_app in groupby(due, lambda each: each.hit.app):
            await facts.record_all(connection, app, told(list(of_app)))
        if due:
            await tracking_hits.drop(connection, due)
        return len(due)


def told(hits: Sequence[Waiting]) -> list[tuple[UUID, Fact]]:
    """What hits say of their messages. A person who clicked has opened, whether or not their program loads pictures."""
    several = _followed_together(hits)
    found: list[tuple[UUID, Fact]] = []
    for each in hits:
        machine = each.hit.machine or (_TOGETHER if each in several else "") or (_AT_ONCE if _is_at_once(each) else "")
        found += [(each.hit.message_id, fact) for fact in _facts(each, machine)]
    return found


def _followed_together(hits: Iterable[Waiting]) -> set[Waiting]:
    clicks: dict[UUID, list[Waiting]] = {}
    for each in hits:
        if each.hit.kind == "click":
            clicks.setdefault(each.hit.message_id, []).append(each)
    return {
        one
        for of_message in clicks.values()
        for one in of_message
        for other in of_message
        if one.hit.link != other.hit.link and abs(one.at - other.at) <= TOGETHER
    }


def _is_at_once(each: Waiting) -> bool:
    return each.hit.kind == "open" and each.sent_at is not None and each.at - each.sent_at < AT_ONCE


def _facts(each: Waiting, machine: str) -> list[Fact]:
    """The same link again within a minute has the same event id, and is one event."""
    minute = each.minute.isoformat()
    opened = Fact("opened", each.at, f"open {minute}", is_machine=bool(machine))
    if each.hit.kind == "open":
        return [opened]
    name = each.hit.link.hex()
    detail = {"link": name} | ({"url": each.url} if each.url else {})
    return [opened, Fact("clicked", each.at, f"click {name} {minute}", is_machine=bool(machine), detail=detail)]
