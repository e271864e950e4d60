"""The one interpreter. It walks a journey's steps over a World; Temporal and rehearsals run the same code.

A step that is done is remembered in Progress by (step, visit) and not done again, so a fresh run, handed the Progress of an earlier
one, walks down to where that one stood and goes on.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import assert_never

from journeys.language import assign
from journeys.language.conditions import Condition
from journeys.language.describe import duration_words
from journeys.language.durations import BestTime
from journeys.language.events import Events
from journeys.language.facts import EventFact, Facts
from journeys.language.journey import Journey
from journeys.language.keys import counts
from journeys.language.steps import Call, Enter, Exit, Function, If, Repeat, Send, Split, Step, Switch, Update, Wait, WaitFor
from journeys.language.verdict import CallVerdict, SendVerdict
from journeys.language.walk import all_steps, branches
from journeys.language.words import put_off_words
from journeys.language.world import Errand, Footing, Order, Pass, Progress, Question, Recall, Record, World

KEPT = 20
SEEN = 500
LATE_CLOCKS = timedelta(seconds=60)
COMPLETED = "completed"
CALL_FAILED = "failed"
NOTHING_CAME = ("timeout", "no_moment")


class Ended(Exception):
    """The enrollment is over."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class Player:
    """One enrollment being played. `arrive`, `advance` and `leave` may be called at any time, also while `play` waits."""

    def __init__(
        self,
        journey: Journey,
        world: World,
        *,
        app: str,
        subject: str,
        entry: EventFact,
        started_at: datetime,
        progress: Progress | None = None,
        arms: Mapping[str, str] | None = None,
    ) -> None:
        self.journey = journey
        self.progress = progress or Progress()
        self.standing: Record | None = None
        self._world = world
        self._exits = journey.exit_events
        self._exit_condition = journey.exit_condition
        self._app = app
        self._subject = subject
        self._entry = entry
        self._ends_at = started_at + journey.ends_after.timedelta
        self._arms = arms or {}
        self._records = {(record.step, record.visit): record for record in self.progress.records}
        self._seen = dict.fromkeys(self.progress.seen)
        footing = self.progress.footing or Footing([], {}, [])
        self._visits = Counter(footing.visits)
        self._way = list(footing.path)
        self._passed = set(footing.passed)
        self._goes_on = dict(footing.passes)
        self._listens: Callable[[EventFact], bool] | None = None
        self._is_advanced = False
        self._is_held = False
        self._news = 0
        self._told_end = False

    async def play(self) -> str:
        """Walk to the end and tell the World; return the reason in words."""
        try:
            await self._walk(self.journey.steps, is_tail=True)
            reason = COMPLETED
        except Ended as end:
            reason = end.reason
        self.standing = None
        await self._world.end(reason, is_told=self._told_end)
        return reason

    # What may come at any time ------------------------------------------------------------------------------------------------------

    def arrive(self, event: EventFact) -> None:
        """Take note of an event, once, however often it comes."""
        if event.id in self._seen or event.id == self._entry.id:
            return
        self._seen[event.id] = None
        self.progress.seen = list(self._seen)[-SEEN:]
        if self._is_exit(event):
            self.leave(f"exited: {event.name}")
            return
        self._keep(event)
        if self._listens is not None and self._listens(event):
            self._news += 1

    def advance(self) -> None:
        """Let the wait that is going on end as if its time had come."""
        self._is_advanced = True
        self._news += 1

    def release(self) -> None:
        """Try a held message again now; somebody who waits for anything else goes on waiting."""
        if self._is_held:
            self._news += 1

    def leave(self, reason: str) -> None:
        """End the enrollment as soon as possible; what is being sent may still settle."""
        if self.progress.ending is None:
            self.progress.ending = reason
        self._news += 1

    def _is_exit(self, event: EventFact) -> bool:
        return self._exits is not None and event.occurred_at >= self._entry.occurred_at and self._counts(self._exits, event)

    def _counts(self, events: Events, event: EventFact) -> bool:
        return counts(self.journey.key, events, event, self._facts())

    def _keep(self, event: EventFact) -> None:
        """Keep the earliest 20 of each name; what is beyond, Postgres has."""
        same = [known for known in self.progress.known if known.name == event.name]
        if len(same) >= KEPT:
            if event.name not in self.progress.overflowed:
                self.progress.overflowed.append(event.name)
            latest = max(same, key=_order)
            if _order(latest) <= _order(event):
                return
            self.progress.known.remove(latest)
        self.progress.known.append(event)
        self.progress.known.sort(key=_order)

    # The walk -----------------------------------------------------------------------------------------------------------------------

    async def _walk(self, steps: Sequence[Step], *, is_tail: bool) -> None:
        for place, step in enumerate(steps):
            is_last = is_tail and place == len(steps) - 1
            if self._way:
                await self._find_footing(step, is_tail=is_last)
            elif step.id not in self._passed:
                await self._take(step, is_tail=is_last)

    async def _find_footing(self, step: Step, *, is_tail: bool) -> None:
        """Go down to where a move put them, past everything that is before it."""
        if step.id != self._way[0]:
            return
        self._way.pop(0)
        if not self._way:
            await self._take(step, is_tail=is_tail)
        elif isinstance(step, Repeat):
            await self._repeat(step, self._begin(step.id), goes_on=self._goes_on[step.id])
        else:
            inside = next(branch for branch in branches(step) if any(inner.id == self._way[0] for inner in branch))
            await self._walk(inside, is_tail=is_tail)

    async def _take(self, step: Step, *, is_tail: bool) -> None:
        record = self._begin(step.id)
        if record.outcome is None:
            await self._leave_if_due(record)
        match step:
            case Send():
                await self._send(step, record, is_tail=is_tail)
            case Wait():
                await self._wait(step, record, is_tail=is_tail)
            case WaitFor():
                await self._wait_for(step, record, is_tail=is_tail)
            case If():
                chosen = await self._choose(record, [step.condition])
                await self._walk(step.then if chosen == 0 else step.otherwise, is_tail=is_tail)
            case Switch():
                chosen = await self._choose(record, [case.condition for case in step.cases])
                await self._walk(step.otherwise if chosen is None else step.cases[chosen].steps, is_tail=is_tail)
            case Split():
                await self._walk(self._arm(step, record), is_tail=is_tail)
            case Repeat():
                await self._repeat(step, record)
            case Exit():
                raise Ended(step.reason)
            case Update():
                await self._update(step, record)
            case Call():
                await self._call(step, record, is_tail=is_tail)
            case Enter():
                await self._enter(step, record)
            case _:
                assert_never(step)

    def _begin(self, step: str) -> Record:
        self._visits[step] += 1
        visit = self._visits[step]
        record = self._records.get((step, visit))
        if record is None:
            record = Record(step, visit, self._world.now())
            self._records[step, visit] = record
            self.progress.records.append(record)
        self.standing = record
        return record

    async def _leave_if_due(self, record: Record) -> None:
        self._raise_if_ending()
        if self._exit_condition is None:
            return
        question = Question(f"$exit:{record.step}", record.visit, (self._exit_condition,), dict(self.progress.captured))
        if await self._world.first_that_holds(question) == 0:
            raise Ended("exited: condition")

    def _raise_if_ending(self) -> None:
        if self.progress.ending is not None:
            raise Ended(self.progress.ending)
        if self._world.now() >= self._ends_at:
            raise Ended("ends_after")

    # Steps --------------------------------------------------------------------------------------------------------------------------

    async def _send(self, step: Send, record: Record, *, is_tail: bool) -> None:
        if record.outcome is None:
            is_last = is_tail and not step.otherwise
            verdict = await self._deliver(Order(step, record.visit, dict(self.progress.captured), is_last), record)
            self.progress.last_send_at = verdict.claimed_at or record.began_at
            record.outcome = "sent" if verdict.sent else "not_sent"
            self._told_end = is_last
        if record.outcome == "not_sent":
            await self._walk(step.otherwise, is_tail=is_tail)

    async def _deliver(self, order: Order, record: Record) -> SendVerdict:
        while True:
            verdict = await self._world.send(order, self._woken())
            self._told_end = False
            self._raise_if_ending()
            match verdict.status:
                case "settled":
                    return verdict
                case "exited":
                    raise Ended(", ".join(verdict.reasons) or "exited")
                case "deferred" | "held":
                    record.until = verdict.until or self._world.now()
                    await self._hold(record.until, put_off_words(order.step, verdict), is_held=verdict.status == "held")
                case "again":
                    self._is_advanced = False
                case _:
                    assert_never(verdict.status)

    async def _hold(self, until: datetime, words: str, *, is_held: bool) -> None:
        """Wait to try a message again; one that is held because sending is paused is released by hand."""
        self._is_held = is_held
        try:
            await self._world.wait(until, self._woken(), words)
        finally:
            self._is_held = False
        self._raise_if_ending()

    async def _update(self, step: Update, record: Record) -> None:
        if record.outcome is None:
            await self._world.update(Errand(step, record.visit, dict(self.progress.captured)))
            record.outcome = "updated"

    async def _enter(self, step: Enter, record: Record) -> None:
        if record.outcome is None:
            await self._world.enter(Errand(step, record.visit, dict(self.progress.captured)))
            record.outcome = f"asked to enter {step.journey}"

    async def _call(self, step: Call, record: Record, *, is_tail: bool) -> None:
        if record.outcome is None:
            verdict = await self._call_out(Errand(step, record.visit, dict(self.progress.captured)), record)
            if verdict.status == "done":
                name = step.action.name if isinstance(step.action, Function) else "request"
                # As of when the step began, so that an event which came while the call ran counts for `since` this step.
                self.progress.captured[step.id] = EventFact(f"{step.id}/{record.visit}", name, record.began_at, verdict.result)
            else:
                self.progress.captured.pop(step.id, None)
            record.outcome = "called" if verdict.status == "done" else CALL_FAILED
        if record.outcome == CALL_FAILED:
            await self._walk(step.otherwise, is_tail=is_tail)

    async def _call_out(self, errand: Errand[Call], record: Record) -> CallVerdict:
        while True:
            verdict = await self._world.call(errand, self._woken())
            self._raise_if_ending()
            match verdict.status:
                case "done" | "failed":
                    return verdict
                case "exited":
                    raise Ended(verdict.reason or "exited")
                case "held":
                    record.until = verdict.until or self._world.now()
                    await self._hold(record.until, f"held: {errand.step.id} ({verdict.reason})", is_held=True)
                case "again":
                    self._is_advanced = False
                case _:
                    assert_never(verdict.status)

    async def _wait(self, step: Wait, record: Record, *, is_tail: bool) -> None:
        if record.outcome is None:
            record.outcome = await self._wait_out(step, record)
        if record.outcome == "past":
            await self._walk(step.if_past, is_tail=is_tail)
        elif record.outcome == "waited":
            await self._walk(step.then, is_tail=is_tail)

    async def _wait_out(self, step: Wait, record: Record) -> str:
        since = self._default_since()
        if record.until is None:
            if step.reset_by is not None:
                self.progress.captured[step.id] = self._entry
                self._apply_all(step, step.reset_by, since)
            until = await self._until(step)
            if until is None:
                return "no_moment"
            if until <= self._world.now():
                # The best time may be now, and now has not passed.
                return "waited" if isinstance(step.until, BestTime) else "past"
            record.until = until
        while await self._pause(record.until, _wait_words(step, record.until), step.reset_by, since):
            assert step.reset_by is not None
            self._apply_all(step, step.reset_by, since)
            until = await self._until(step)
            if until is None:
                return "no_moment"
            record.until = until
        return "waited"

    def _apply_all(self, step: Wait, events: Events, since: datetime) -> None:
        """Each event that resets the wait is applied; the last of them is what the step captured."""
        while (event := self._first_that_counts(events, since)) is not None:
            self._apply(step.id, event)

    async def _until(self, step: Wait | WaitFor) -> datetime | None:
        if step.until is not None:
            return await self._world.instant(step.id, step.until, dict(self.progress.captured))
        duration = step.duration if isinstance(step, Wait) else step.within
        assert duration is not None
        return self._world.now() + duration.timedelta

    async def _wait_for(self, step: WaitFor, record: Record, *, is_tail: bool) -> None:
        if record.outcome is None:
            record.outcome = await self._outcome_of(step, record)
            if record.outcome in NOTHING_CAME:
                self.progress.captured.pop(step.id, None)
        if record.outcome in NOTHING_CAME:
            await self._walk(step.otherwise, is_tail=is_tail)
        else:
            await self._walk(step.cases[int(record.outcome)].steps if step.cases else step.then, is_tail=is_tail)

    async def _outcome_of(self, step: WaitFor, record: Record) -> str:
        since = self._since(step, record)
        branches = [case.events for case in step.cases] or [step.events or Events(())]
        any_of = _joined(branches)
        await self._recall_overflowed(any_of, since)
        if record.until is None:
            record.until = await self._until(step)
        if record.until is None:
            return "no_moment"
        words = _wait_for_words(step, any_of, record.until)
        while (event := self._first_that_counts(any_of, since)) is None:
            if not await self._pause(record.until, words, any_of, since):
                return "timeout"
        self._apply(step.id, event)
        return str(next(place for place, events in enumerate(branches) if self._counts(events, event)))

    async def _pause(self, until: datetime, words: str, events: Events | None, since: datetime) -> bool:
        """Wait until an event comes that counts (True) or the time has come (False). Raises Ended as soon as that is known."""
        self._listens = None if events is None else lambda event: self._counts_since(events, event, since)
        self._is_advanced = False
        try:
            if events is not None and self._first_that_counts(events, since) is not None:
                return True
            if until <= self._world.now():
                return False
            woken = await self._world.wait(min(until, self._ends_at), self._woken(), words)
        finally:
            self._listens = None
        self._raise_if_ending()
        if not woken and self._ends_at < until:
            raise Ended("ends_after")
        return woken and not self._is_advanced

    def _woken(self) -> Callable[[], bool]:
        before = self._news
        return lambda: self._news != before

    async def _choose(self, record: Record, conditions: Sequence[Condition]) -> int | None:
        if record.outcome is None:
            question = Question(record.step, record.visit, conditions, dict(self.progress.captured))
            chosen = await self._world.first_that_holds(question)
            record.outcome = "otherwise" if chosen is None else str(chosen)
        return None if record.outcome == "otherwise" else int(record.outcome)

    def _arm(self, step: Split, record: Record) -> Sequence[Step]:
        name = self._arms.get(step.id) or assign.arm(step, self._app, self.journey.name, self._subject).name
        record.outcome = name
        return next(arm.steps for arm in step.arms if arm.name == name)

    async def _repeat(self, step: Repeat, record: Record, *, goes_on: Pass | None = None) -> None:
        """`goes_on`: the pass that a move put them down in."""
        passes = goes_on.done if goes_on else 0
        while goes_on is not None or not await self._is_enough(step, passes):
            inside = [inner.id for inner in all_steps(step.steps)]
            this = goes_on or Pass(passes, {name: self._visits[name] for name in inside})
            self.progress.passes[step.id] = this
            await self._walk(step.steps, is_tail=False)
            self._passed.difference_update(inside)
            self._forget_earlier_passes(step, this.visits)
            passes, goes_on = passes + 1, None
        record.outcome = f"repeated {passes} times"

    def _forget_earlier_passes(self, step: Repeat, before: Mapping[str, int]) -> None:
        """What is captured after a pass is of that pass: a step that it did not come to has captured nothing."""
        first = step.steps[0].id
        if (first, self._visits[first] + 1) in self._records:
            # Walking down to where an earlier run stood: a later pass has begun, and its captures are not to be touched.
            return
        for inner in all_steps(step.steps):
            if self._visits[inner.id] == before.get(inner.id, 0):
                self.progress.captured.pop(inner.id, None)

    async def _is_enough(self, step: Repeat, passes: int) -> bool:
        """`until` is read before the first and after each pass, the last one too: its verdict tells people how it ended."""
        if step.until is not None:
            check = self._begin(f"{step.id}:until")
            if await self._choose(check, [step.until]) == 0:
                return True
        return step.times is not None and passes >= step.times

    # Events -------------------------------------------------------------------------------------------------------------------------

    def _since(self, step: WaitFor, record: Record) -> datetime:
        if step.since is None:
            return self._default_since()
        if step.since == "entry":
            return self._entry.occurred_at
        if step.since == "now":
            return record.began_at
        captured = self.progress.captured.get(step.since)
        if captured is not None:
            return captured.occurred_at
        began = self._records.get((step.since, self._visits[step.since]))
        return began.began_at if began else self._entry.occurred_at

    def _default_since(self) -> datetime:
        return self.progress.last_send_at or self._entry.occurred_at

    def _counts_since(self, events: Events, event: EventFact, since: datetime) -> bool:
        is_in_time = event.occurred_at >= since or (
            event.received_at is not None and event.received_at >= since and event.occurred_at >= since - LATE_CLOCKS
        )
        return is_in_time and self._counts(events, event)

    def _first_that_counts(self, events: Events, since: datetime) -> EventFact | None:
        return next((event for event in self.progress.known if self._counts_since(events, event, since)), None)

    def _apply(self, step: str, event: EventFact) -> None:
        self.progress.known.remove(event)
        self.progress.applied = [*self.progress.applied, event.id][-SEEN:]
        self.progress.captured[step] = event

    async def _recall_overflowed(self, events: Events, since: datetime) -> None:
        """Of names that more events came of than are kept, ask for the earliest that count here."""
        names = [name for name in events.names if name in self.progress.overflowed]
        if not names:
            return
        wanted = Events([each for each in events.any_of if each.name in names])
        recalled = Recall(wanted, since - LATE_CLOCKS, KEPT + len(self.progress.applied), dict(self.progress.captured))
        for event in await self._world.recall(recalled):
            self._seen[event.id] = None
            if event.id not in self.progress.applied and all(event.id != known.id for known in self.progress.known):
                self.progress.known.append(event)
        self.progress.known.sort(key=_order)

    def _facts(self) -> Facts:
        return Facts(entry=self._entry, entered_at=self._entry.occurred_at, captured=self.progress.captured)


def _order(event: EventFact) -> tuple[datetime, int]:
    return (event.occurred_at, event.arrival)


def _joined(branches: Sequence[Events]) -> Events:
    joined = branches[0]
    for other in branches[1:]:
        joined = joined | other
    return joined


def _wait_words(step: Wait, until: datetime) -> str:
    length = f"wait {duration_words(step.duration)}" if step.duration else "wait"
    return f"{length}: {step.id} (until {_at(until)})"


def _wait_for_words(step: WaitFor, events: Events, until: datetime) -> str:
    length = f", {duration_words(step.within)} at most" if step.within else ""
    return f"wait for {' or '.join(events.names)}{length}: {step.id} (until {_at(until)})"


def _at(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
