"""300 people go through short journeys while api, worker, Temporal and Postgres are each SIGKILLed once: nothing lost, nobody twice."""

import json
import os
import random
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event

import pytest

from tests.crash import ledger
from tests.crash.client import Client, Journal
from tests.crash.errands import JOURNEYS, PEOPLE_A_CALL, TEMPLATES, buying, entering
from tests.crash.oracle import Verdict, judge
from tests.crash.stack import Stack, running, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.crash]

PEOPLE = int(os.environ.get("SOJOURN_KILL_PEOPLE", "300"))
LANES = 3
CALL_EVERY_S = 2.4
BUY_AFTER_S = 4.0
QUIET_WITHIN_S = 180
PARTS = ("api", "worker", "temporal", "postgres")


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with running() as started:
        started.publish(JOURNEYS, TEMPLATES)
        yield started


class Run:
    """Lanes of calls at a steady pace, and the order and the moments of the kills, all from one seed."""

    def __init__(self, stack: Stack, seed: int) -> None:
        self.stack = stack
        self.seed = seed
        self.random = random.Random(seed)
        self.client = Client(stack.url, stack.write_key, Journal(stack.place / "journal"))
        self.began = time.monotonic()
        self.last_kill = Event()

    def lane(self, number: int) -> None:
        """The last call of each lane comes after the last kill, however long the starts between the kills take."""
        firsts = range(number * PEOPLE_A_CALL, PEOPLE, LANES * PEOPLE_A_CALL)
        calls = [(place * CALL_EVERY_S, first, entering) for place, first in enumerate(firsts)]
        calls += [(place * CALL_EVERY_S + BUY_AFTER_S, first, buying) for place, first in enumerate(firsts)]
        stagger = number * CALL_EVERY_S / LANES
        for place, (due, first, items) in enumerate(sorted(calls, key=lambda call: call[0]), start=1):
            time.sleep(max(0.0, self.began + stagger + due - time.monotonic()))
            if place == len(calls):
                self.last_kill.wait()
            self.client.send(2 * first + (items is buying), items(first))

    def kill_each_once(self, lanes: list[Future[None]]) -> list[str]:
        """Between two kills some calls are answered. Returns the order; a lane that broke is told by its own error."""
        parts = self.random.sample(PARTS, len(PARTS))
        calls = 2 * PEOPLE // PEOPLE_A_CALL
        try:
            for place, part in enumerate(parts, start=1):
                wait_for(lambda reached=calls * place / 6: self._answered() >= reached or any(lane.done() for lane in lanes))  # type: ignore[misc]
                if broken := next((lane for lane in lanes if lane.done()), None):
                    broken.result()
                time.sleep(self.random.uniform(0, 1))
                self.stack.kill(part)
                if place == len(parts):
                    self.last_kill.set()
                time.sleep(self.random.uniform(0, 1.5))
                self.stack.start(part)
        finally:
            self.last_kill.set()
        return parts

    def _answered(self) -> int:
        journal = self.client.journal
        return journal.path.read_text().count('"phase": "ok"') if journal.path.exists() else 0

    def wait_until_quiet(self) -> float:
        """Return how long it took, or the limit: what is open then is stuck."""
        began = time.monotonic()
        while time.monotonic() - began < QUIET_WITHIN_S and self._is_busy():
            time.sleep(0.5)
        return time.monotonic() - began

    def _is_busy(self) -> bool:
        remains = ledger.remains(self.stack)
        return bool(remains.outbox or remains.claims or remains.enrollments)

    def verdict(self) -> Verdict:
        stack = self.stack
        return judge(self.client.journal.read(), ledger.left(stack), ledger.rows(stack), ledger.remains(stack))


def test_nothing_is_lost_and_nobody_is_written_to_twice_though_each_process_is_killed(
    stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Run(stack, int(os.environ.get("SOJOURN_KILL_SEED", "0")) or random.SystemRandom().randrange(1, 10**6))
    with ThreadPoolExecutor(LANES) as pool:
        lanes = [pool.submit(run.lane, number) for number in range(LANES)]
        killed = run.kill_each_once(lanes)
        for lane in lanes:
            lane.result()
    fed_s = time.monotonic() - run.began
    quiet_s = run.wait_until_quiet()
    verdict = run.verdict()
    measured = {
        "seed": run.seed,
        "killed": killed,
        "people": PEOPLE,
        "repeats": run.client.repeats,
        "fed_s": round(fed_s),
        "quiet_s": round(quiet_s),
    }
    with capsys.disabled():
        print("\nkill run:", json.dumps({**measured, **verdict.figures()}))  # noqa: T201 - what the run is for
    assert verdict.is_right, (ledger.ends(stack), verdict)
    assert verdict.expected == PEOPLE * 3
    assert_each_unknown_is_explained(stack)


def assert_each_unknown_is_explained(stack: Stack) -> None:
    """Who asks why somebody has no mail finds the message, and that it may have gone out."""
    for number in sorted(ledger.remains(stack).listed_unknown):
        lines = stack.timeline(ledger.user_of(stack, number))
        line = next(line for line in lines if line["id"] == number)
        assert line["fact"]["reason"] == "unconfirmed"
        assert "may have gone out" in line["words"]
