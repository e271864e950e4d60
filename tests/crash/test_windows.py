"""Real SIGKILLs at named moments, held open by a lock, by a mail server that waits, or by a COMMIT that waits for a standby."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from journeys.language import If, Journey, Send, Wait, email, event, seconds, trait
from journeys.language.errors import Unavailable
from storage.database import Connection, Database
from tests.crash.errands import TEMPLATES
from tests.crash.stack import Stack, running

pytestmark = [pytest.mark.e2e, pytest.mark.crash]

GOLD = Journey(
    "gold",
    starts_on=event("ordered"),
    steps=[
        Wait("breathe", seconds(1)),
        If("is_gold", trait("plan") == "gold", then=[Send("for_gold", email("greeting"))], otherwise=[Send("for_others", email("thanks"))]),
    ],
)
NEWS = Journey("news", starts_on=event("subscribed"), steps=[Send("greet", email("greeting"))])
RECEIPT = Journey("receipt", starts_on=event("paid"), message_class="transactional", steps=[Send("greet", email("greeting"))])
# An activity that a killed worker had just been given comes again after its timeout of a minute.
WITHIN_S = 180.0
_NUMBERS = count(1)


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with running() as started:
        started.publish((GOLD, NEWS, RECEIPT), TEMPLATES)
        yield started


class Scene:
    """One person on the stack, and the levers that hold a moment open."""

    def __init__(self, stack: Stack, database: Database, http: httpx.AsyncClient) -> None:
        self.stack = stack
        self.database = database
        self.http = http
        self.user = f"person-{next(_NUMBERS)}"

    def batch(self, *events: str, **traits: Any) -> list[dict[str, Any]]:
        """One batch: who it is, and what they did. The same again has the same ids."""
        number = next(_NUMBERS)
        known = {
            "type": "identify",
            "userId": self.user,
            "messageId": f"{number}-i",
            "traits": {"email": f"{self.user}@example.com", **traits},
        }
        return [known, *({"type": "track", "userId": self.user, "messageId": f"{number}-{name}", "event": name} for name in events)]

    async def post(self, batch: list[dict[str, Any]]) -> httpx.Response:
        return await self.http.post("/v1/batch", auth=(self.stack.write_key, ""), json={"batch": batch})

    async def accepted(self, batch: list[dict[str, Any]]) -> dict[str, Any]:
        """Post as a client does: again after any error, until it is taken."""
        async with asyncio.timeout(WITHIN_S):
            while True:
                try:
                    answer = await self.post(batch)
                except httpx.TransportError:
                    await asyncio.sleep(0.1)
                    continue
                if answer.status_code == httpx.codes.OK:
                    told: dict[str, Any] = answer.json()
                    return told
                assert answer.status_code == httpx.codes.SERVICE_UNAVAILABLE
                await asyncio.sleep(0.1)

    async def rows(self, statement: str, **values: Any) -> list[Any]:
        async with self.database.transaction() as connection:
            return list((await connection.execute(text(statement), {"user": self.user, **values})).all())

    @asynccontextmanager
    async def locked(self, statement: str) -> AsyncIterator[Connection]:
        """Hold the lock that `statement` takes."""
        async with self.database.transaction() as connection:
            assert (await connection.execute(text(statement), {"user": self.user})).all()
            yield connection

    async def ended(self) -> str:
        """Wait until the person is out of their journey, and return why."""
        rows = await until(lambda: self.rows(f"SELECT end_reason FROM {_OWN_ENROLLMENTS} AND e.state = 'closed'"))
        assert len(rows) == 1
        return str(rows[0].end_reason)

    async def words(self, kind: str) -> list[str]:
        """The lines of one kind in their timeline, the oldest first."""
        lines = await asyncio.to_thread(self.stack.timeline, self.user)
        return [str(line["words"]) for line in reversed(lines) if line["kind"] == kind]

    def mails(self, told: str = "taken") -> list[str]:
        """What the mail server took for them (subjects), or answered."""
        lines = self.stack.mail_lines()
        own = [line for line in lines if line["told"] == "taken" and line["to"] == f"{self.user}@example.com"]
        if told == "taken":
            return [line["subject"] for line in own]
        return [line["id"] for line in lines if line["told"] == told and line["id"] in {each["id"] for each in own}]

    async def until_mailed(self, told: str) -> None:
        """Wait until the mail server has taken or answered the person's mail."""
        async with asyncio.timeout(WITHIN_S):
            while not self.mails(told):  # noqa: ASYNC110 - the mail server is another process
                await asyncio.sleep(0.01)

    @property
    def hold(self) -> Path:
        """While it exists the mail server keeps its answers back."""
        return self.stack.mails / "hold"


_OWN = "app = 'demo' AND user_id = (SELECT i.user_id FROM identities i WHERE i.app = 'demo' AND i.value = :user)"
_OWN_ENROLLMENTS = f"enrollments e WHERE e.{_OWN}"
_IS_INSIDE = f"SELECT 1 FROM {_OWN_ENROLLMENTS} AND e.state = 'open'"
_IS_DECIDED = f"SELECT 1 FROM step_outcomes o WHERE o.step = 'is_gold' AND o.enrollment_id = (SELECT e.id FROM {_OWN_ENROLLMENTS})"
# The transaction that takes a batch is the one that writes event ids; Temporal's commits wait as well.
_ACCEPTED_AND_UNANSWERED = """
SELECT 1 FROM pg_stat_activity a JOIN pg_locks l ON l.pid = a.pid
WHERE a.datname = current_database() AND a.wait_event = 'SyncRep'
  AND l.relation = CAST('event_ids' AS regclass) AND l.mode = 'RowExclusiveLock'
"""
_OPEN_TRANSACTIONS = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND state <> 'idle' AND pid <> pg_backend_pid()"
_LOCK_PERSON = "SELECT id FROM users WHERE app = 'demo' AND user_id = :user FOR NO KEY UPDATE"
_LOCK_MESSAGE = f"SELECT id FROM messages m WHERE m.{_OWN} FOR UPDATE"


async def until(happens: Callable[[], Awaitable[Any]]) -> Any:
    """Wait for something that another process does, and return it. Our own connection may have died with Postgres."""
    deadline = time.monotonic() + WITHIN_S
    while time.monotonic() < deadline:
        with suppress(Unavailable):
            if found := await happens():
                return found
        await asyncio.sleep(0.01)
    raise AssertionError("it did not happen in time")


@asynccontextmanager
async def scenes(stack: Stack, number: int) -> AsyncIterator[list[Scene]]:
    database = Database(stack.postgres.url, pool_size=10)
    async with httpx.AsyncClient(base_url=stack.url, timeout=20) as http:
        yield [Scene(stack, database, http) for _ in range(number)]
    (stack.mails / "hold").unlink(missing_ok=True)
    await database.close()


@pytest.fixture
async def scene(stack: Stack) -> AsyncIterator[Scene]:
    async with scenes(stack, 1) as [one]:
        yield one


# One SIGKILL of a worker, met by four people at four moments -----------------------------------------------------------------


@dataclass(frozen=True)
class Killed:
    """`decided`: their If is committed, its workflow task is not. `branched`: so, and the branch's mail is with the mail server, which
    has not answered. `told` and `paid`: the mail server has answered 250, and the worker is not done with writing that down.
    """

    decided: Scene
    branched: Scene
    told: Scene
    paid: Scene


@pytest.fixture(scope="module")
async def killed(stack: Stack) -> AsyncIterator[Killed]:
    """Bring four people to their moments, kill the worker, change what the Ifs read, and wait until all four are through."""
    async with scenes(stack, 4) as people:
        met = Killed(*people)
        met.told.hold.touch()
        async with AsyncExitStack() as locks:
            await met.decided.accepted(met.decided.batch("ordered", plan="gold"))
            # Entering takes the person's lock too, so it has to be over. The Send behind the If waits for it; the If itself only reads.
            await until(lambda: met.decided.rows(_IS_INSIDE))
            await locks.enter_async_context(met.decided.locked(_LOCK_PERSON))
            await met.branched.accepted(met.branched.batch("ordered", plan="gold"))
            await until(lambda: met.decided.rows(_IS_DECIDED))
            await met.branched.until_mailed("taken")
            await locks.enter_async_context(met.branched.locked(_LOCK_MESSAGE))
            await met.told.accepted(met.told.batch("subscribed"))
            await met.paid.accepted(met.paid.batch("paid"))
            for scene in (met.told, met.paid):
                await scene.until_mailed("taken")
                # Whoever would settle waits for the row.
                await locks.enter_async_context(scene.locked(_LOCK_MESSAGE))
            met.told.hold.unlink()
            for scene in (met.told, met.paid):
                await scene.until_mailed("answered")
            stack.kill("worker")
        for gold in (met.decided, met.branched):
            await gold.accepted(gold.batch(plan="free"))
        stack.start("worker")
        assert [await scene.ended() for scene in people] == ["completed"] * 4
        yield met


async def test_who_was_decided_upon_walks_one_branch_though_the_answer_would_be_another_now(killed: Killed) -> None:
    scene = killed.decided
    assert scene.mails() == ["greeting"]
    assert await scene.words("step") == ["gold: is_gold: the user's plan is gold? yes"]
    assert await scene.words("message") == ['email "greeting": sent (gold: for_gold)']


async def test_who_got_the_mail_of_one_branch_does_not_get_that_of_the_other(killed: Killed) -> None:
    scene = killed.branched
    assert scene.mails() == ["greeting"]
    assert await scene.words("step") == ["gold: is_gold: the user's plan is gold? yes"]
    [words] = await scene.words("message")
    assert words.startswith('email "greeting": unconfirmed: it may have gone out')


async def test_a_marketing_mail_whose_answer_nobody_wrote_down_is_unconfirmed_and_never_sent_again(killed: Killed) -> None:
    assert killed.told.mails() == ["greeting"]
    [words] = await killed.told.words("message")
    assert words.startswith('email "greeting": unconfirmed: it may have gone out')


async def test_a_transactional_mail_whose_answer_nobody_wrote_down_goes_out_once_more_and_says_so(killed: Killed) -> None:
    scene = killed.paid
    assert scene.mails() == ["greeting", "greeting"]
    assert len(set(scene.mails("answered"))) == 1, "both carry the same Message-ID, so that the receiver's mailbox may fold them"
    assert await scene.words("message") == ['email "greeting": sent (it may have come twice) (receipt: greet)']


# A batch is being accepted ---------------------------------------------------------------------------------------------------


@asynccontextmanager
async def commits_wait(scene: Scene) -> AsyncIterator[None]:
    """Let every COMMIT wait for a standby that does not exist: it is on disk, and nobody is told. The worker sleeps meanwhile."""
    worker = scene.stack.children["worker"]
    await _fall_asleep(scene, worker.pid)
    try:
        _configure(scene, "ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
        yield
    finally:
        _configure(scene, "ALTER SYSTEM RESET synchronous_standby_names")
        os.kill(worker.pid, signal.SIGCONT)


async def _fall_asleep(scene: Scene, pid: int) -> None:
    """Stop the process between two transactions: what it locks nobody could take any more."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            os.kill(pid, signal.SIGSTOP)
            if not await scene.rows(_OPEN_TRANSACTIONS):
                return
            os.kill(pid, signal.SIGCONT)
            await asyncio.sleep(0.05)


def _configure(scene: Scene, statement: str) -> None:
    for each in (statement, "SELECT pg_reload_conf()"):
        scene.stack.postgres._psql(each)


async def _begin_to_accept(scene: Scene, batch: list[dict[str, Any]]) -> "asyncio.Task[httpx.Response]":
    """Post a batch and come back when its COMMIT is on disk and unanswered."""
    posted = asyncio.create_task(scene.post(batch))

    async def is_waiting() -> bool:
        assert not posted.done(), posted.result().text
        return bool(await scene.rows(_ACCEPTED_AND_UNANSWERED))

    await until(is_waiting)
    return posted


async def _was_taken_once(scene: Scene) -> None:
    assert await scene.ended() == "completed"
    assert scene.mails() == ["greeting"]
    assert await scene.words("event") == ["was identified", "did subscribed"]
    assert await scene.words("entered") == ["entered news (version 1) by subscribed"]
    assert await scene.words("not_entered") == []
    assert await scene.words("message") == ['email "greeting": sent (news: greet)']


async def test_a_batch_whose_transaction_died_with_postgres_is_taken_once_when_it_comes_again(scene: Scene) -> None:
    """The batch waits for a lock that we hold, in the middle of its transaction."""
    await scene.accepted(scene.batch())
    batch = scene.batch("subscribed")
    await _kill_postgres_during(scene, batch)
    assert await scene.accepted(batch) == {"success": True}, "nothing of it was committed"
    assert await scene.ended() == "completed"
    assert scene.mails() == ["greeting"]


async def _kill_postgres_during(scene: Scene, batch: list[dict[str, Any]]) -> None:
    # Our own connection, which holds the lock, dies with the server.
    with suppress(Unavailable):
        async with scene.locked(_LOCK_PERSON):
            posted = asyncio.create_task(scene.post(batch))
            await until(lambda: scene.rows("SELECT 1 FROM pg_locks WHERE NOT granted"))
            await asyncio.to_thread(scene.stack.kill, "postgres")
    await asyncio.to_thread(scene.stack.start, "postgres")
    answer = await posted
    assert answer.status_code == httpx.codes.SERVICE_UNAVAILABLE
    assert "retry-after" in answer.headers


async def test_a_batch_whose_commit_was_on_disk_when_postgres_died_is_folded_when_it_comes_again(scene: Scene) -> None:
    batch = scene.batch("subscribed")
    async with commits_wait(scene):
        posted = await _begin_to_accept(scene, batch)
        await asyncio.to_thread(scene.stack.kill, "postgres")
        assert (await posted).status_code == httpx.codes.SERVICE_UNAVAILABLE
        await asyncio.to_thread(scene.stack.start, "postgres")
    told = await scene.accepted(batch)
    assert {line["code"] for line in told["results"]} == {"duplicate"}
    await _was_taken_once(scene)


async def test_a_batch_whose_api_died_after_the_commit_is_folded_when_it_comes_again(scene: Scene) -> None:
    batch = scene.batch("subscribed")
    async with commits_wait(scene):
        posted = await _begin_to_accept(scene, batch)
        scene.stack.kill("api")
        with pytest.raises(httpx.TransportError):
            await posted
    scene.stack.start("api")
    told = await scene.accepted(batch)
    assert {line["code"] for line in told["results"]} == {"duplicate"}
    await _was_taken_once(scene)
