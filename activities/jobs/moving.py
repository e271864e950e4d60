"""The job that moves people to another version: it asks each workflow whether it can, and with `dry_run` leaves it at that."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from temporalio.client import Client, WorkflowQueryFailedError, WorkflowQueryRejectedError
from temporalio.service import RPCError

from activities.jobs.walk import PAGE, each, selected
from activities.jobs.work import Work
from activities.move_orders import MOVABLE, MOVE, Movable, MoveOrder
from activities.telling import is_gone, tell
from journeys.language.codec import from_json
from storage import interventions, journeys, passages
from storage.jobs import Job, Progress
from storage.passages import Passage

ANSWER_WITHIN_S = 10.0
LOOK_EVERY_S = 0.5
MOST_LOOKS = 60


@dataclass(frozen=True)
class Walked:
    """Where a move is: who comes next, how many were told to move, and how often it has looked whether they have."""

    position: str | None = None
    told: int = 0
    looks: int = 0
    is_through: bool = False


async def ask(client: Client, passage: Passage, order: MoveOrder) -> Movable:
    """Whether one person can be moved, by what their workflow knows."""
    if passage.state == "starting":
        return Movable(passage.version, None, None, "starting")
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            handle = client.get_workflow_handle(passage.workflow_id)
            asked: Movable = await handle.query(MOVABLE, order, result_type=Movable)
            return asked
    except (WorkflowQueryFailedError, WorkflowQueryRejectedError, TimeoutError):
        return Movable(passage.version, None, None, "no_answer")
    except RPCError as error:
        if is_gone(error):
            return Movable(passage.version, None, None, "ended")
        raise


async def moves(work: Work, job: Job) -> Progress:
    """Ask, and tell, a page of people; after the last, count who has moved until everybody who was told has answered."""
    walked = Walked(**job.cursor) if job.cursor else Walked()
    return await _look(work, job, walked) if walked.is_through else await _walk(work, job, walked)


async def _walk(work: Work, job: Job, walked: Walked) -> Progress:
    asked = selected(job)
    async with work.database.transaction() as connection:
        total = await passages.count(connection, job.app, asked) if job.cursor is None else None
        position = UUID(walked.position) if walked.position else None
        page = await passages.page(connection, job.app, asked, position=position, most=PAGE, forward=True)
        order = await _order(connection, job)
    versions = set(job.parameters["from"])
    meant = [passage for passage in page if passage.version in versions]
    found: dict[UUID, Movable] = {}

    async def act(passage: Passage) -> str:
        found[passage.id] = answer = await ask(work.client, passage, replace(order, request=f"{job.id}/{passage.id}"))
        if answer.reason is None and not job.parameters["dry_run"]:
            await tell(work.client, passage.workflow_id, MOVE, [replace(order, request=f"{job.id}/{passage.id}")], f"{job.id}/{passage.id}")
        return answer.reason or "can"

    answers = await each(meant, act)
    is_last = len(page) < PAGE
    told = walked.told + answers.count("can")
    cursor = Walked(str(page[-1].id) if page else walked.position, told, is_through=is_last)
    is_finished = is_last and (bool(job.parameters["dry_run"]) or told == 0)
    result = _counted(job.result, [found[passage.id] for passage in meant])
    return Progress(vars(cursor), job.done + len(page), total, result, is_finished=is_finished)


async def _look(work: Work, job: Job, walked: Walked) -> Progress:
    """Count what workflows have written down. Who is in the middle of a send moves when that has ended, and is said to be waiting."""
    await asyncio.sleep(LOOK_EVERY_S)
    async with work.database.transaction() as connection:
        done = await interventions.of_job(connection, job.app, job.id)
    moved = sum(each.people for each in done if each.outcome == "done")
    refused = {str(each.reason): each.people for each in done if each.outcome == "refused"}
    waiting = walked.told - moved - sum(refused.values())
    result = {**dict(job.result), "moved": moved, "refused_since": refused, "waiting": waiting}
    cursor = replace(walked, looks=walked.looks + 1)
    return Progress(vars(cursor), job.done, None, result, is_finished=waiting <= 0 or cursor.looks >= MOST_LOOKS)


def _counted(before: Any, answers: Sequence[Movable]) -> dict[str, Any]:
    """{"can": [{"step", "to", "people"}], "cannot": [{"reason", "step", "to", "people"}]}, added to what was counted before."""
    counts: dict[str, dict[tuple[str, ...], int]] = {"can": {}, "cannot": {}}
    for kind, names in (("can", ("step", "to")), ("cannot", ("reason", "step", "to"))):
        for line in (before or {}).get(kind, ()):
            counts[kind][tuple(line[name] for name in names)] = line["people"]
    for answer in answers:
        where = (answer.step or "", answer.to or "")
        kind, key = ("can", where) if answer.reason is None else ("cannot", (answer.reason, *where))
        counts[kind][key] = counts[kind].get(key, 0) + 1
    return {
        "can": _lines(counts["can"], ("step", "to")),
        "cannot": _lines(counts["cannot"], ("reason", "step", "to")),
    }


def _lines(counts: Mapping[tuple[str, ...], int], names: Sequence[str]) -> list[dict[str, Any]]:
    return [{**dict(zip(names, key, strict=True)), "people": people} for key, people in sorted(counts.items())]


async def _order(connection: Any, job: Job) -> MoveOrder:
    stored = await journeys.version(connection, job.app, job.parameters["where"]["journey"], job.parameters["to"])
    return MoveOrder(
        request="",
        journey=from_json(stored.definition),
        version=stored.version,
        steps=job.parameters["steps"],
        only_at=job.parameters["at"],
        done_by=job.parameters["done_by"],
        job_id=str(job.id),
    )
