"""One enrollment as one durable workflow: a World of timers, signals and activities around the interpreter, and nothing else."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar, cast

from temporalio import workflow
from temporalio.common import RawValue, RetryPolicy
from temporalio.exceptions import ActivityError, FailureError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.errands import CallOrder, EnterOrder, UpdateOrder
    from activities.move_orders import MOVABLE, MOVE, Movable, MoveGranted, MoveOrder, MoveWanted
    from activities.orders import SendOrder
    from activities.questions import Decision, Ending, EventsWanted, MomentWanted
    from journeys.language.facts import EventFact
    from journeys.language.journey import Journey
    from journeys.language.moving import Moved, Stays, moved, target_of, with_events
    from journeys.language.payloads import Object
    from journeys.language.play import Player
    from journeys.language.steps import Call, Enter, Function, Moment, Update
    from journeys.language.verdict import CallVerdict, SendVerdict
    from journeys.language.words import in_words
    from journeys.language.world import Errand, Order, Question, Recall
    from workflows import inputs
    from workflows.inputs import JOURNEY, EnrollmentInput, Standing

Answer = TypeVar("Answer")

LOCAL_TRY = timedelta(seconds=10)
ONE_TRY = timedelta(seconds=60)
# A Call's worker beats every two seconds.
SIGN_OF_LIFE = timedelta(seconds=15)
PATIENCE = timedelta(hours=72)
# A database that is away is waited for; after ten seconds the wait is a timer, so the workflow task does not stay open.
UNTIL_IT_ANSWERS = RetryPolicy(initial_interval=timedelta(milliseconds=200), maximum_interval=timedelta(minutes=1))
BACKOFF = RetryPolicy(initial_interval=timedelta(seconds=2), maximum_interval=timedelta(minutes=10))


class UnexpectedFailureError(Exception):
    """An activity failed in a way that nobody expects: look at the workflow task's failure, mend the code, deploy."""


@workflow.defn(name=JOURNEY)
class JourneyWorkflow:
    @workflow.init
    def __init__(self, enrollment: EnrollmentInput) -> None:
        self._enrollment = enrollment
        self._words = ""
        self._moves = list(enrollment.moves)
        self._is_waiting = False
        self._player = Player(
            enrollment.journey,
            self,
            app=enrollment.app,
            subject=enrollment.subject,
            entry=enrollment.entry,
            started_at=enrollment.started_at,
            progress=enrollment.progress,
        )
        for event in enrollment.events:
            self._player.arrive(event)

    @workflow.run
    async def run(self, _enrollment: EnrollmentInput) -> str:
        try:
            return await self._player.play()
        except FailureError as error:
            if is_cancelled_exception(error):
                raise
            # A failure that is let out would end this person's journey for good. Any other error only fails the task: it is tried
            # again, visible, until a deploy mends it.
            raise UnexpectedFailureError(str(error)) from error

    @workflow.signal(name="event")
    def on_event(self, event: EventFact) -> None:
        self._player.arrive(event)

    @workflow.signal(name="advance")
    def on_advance(self) -> None:
        self._player.advance()

    @workflow.signal(name="exit")
    def on_exit(self, reason: str) -> None:
        self._player.leave(reason)

    @workflow.signal(name="release")
    def on_release(self) -> None:
        self._player.release()

    @workflow.signal(name=MOVE)
    def on_move(self, order: MoveOrder) -> None:
        self._moves.append(order)

    @workflow.signal(dynamic=True)
    def on_anything_else(self, name: str, _arguments: Sequence[RawValue]) -> None:
        # No arguments: Temporal puts the workflow id, which may have percent signs, into what they would be formatted by.
        workflow.logger.warning("unknown signal", extra={"signal": name})

    @workflow.query(name="standing")
    def standing(self) -> Standing:
        record = self._player.standing
        if record is None:
            return Standing(step=None, words=self._words)
        return Standing(step=record.step, visit=record.visit, since=record.began_at, until=record.until, words=self._words)

    @workflow.query(name=MOVABLE)
    def movable(self, order: MoveOrder) -> Movable:
        result = self._ask_for_move(order)
        record = self._player.standing
        if not self._is_waiting and isinstance(result, Moved):
            result = Stays("sending", result.step)
        reason = result.reason if isinstance(result, Stays) else None
        return Movable(self._enrollment.version, record.step if record else None, result.step or None, reason)

    # The World ----------------------------------------------------------------------------------------------------------------------

    def now(self) -> datetime:
        return workflow.now()

    async def wait(self, until: datetime, woken: Callable[[], bool], words: str) -> bool:
        self._say(words)
        self._start_afresh_if_long()
        self._is_waiting = True
        try:
            return await self._wait(until, woken, words)
        finally:
            self._is_waiting = False

    async def _wait(self, until: datetime, woken: Callable[[], bool], words: str) -> bool:
        while True:
            await self._move_if_asked()
            remaining = (until - workflow.now()) / self._enrollment.wait_scale
            if remaining <= timedelta(0):
                return woken()
            try:
                await workflow.wait_condition(
                    lambda: woken() or self._is_long() or self._has_to_move(), timeout=remaining, timeout_summary=words[:200]
                )
            except TimeoutError:
                return False
            if self._has_to_move():
                # Before what woke it: the row may say the other version already, and the other version decides what the event means.
                continue
            if not woken():
                self._start_afresh_if_long()
            return True

    def _has_to_move(self) -> bool:
        return bool(self._moves) and self._player.progress.ending is None

    async def _move_if_asked(self) -> None:
        """Go on in another version, from where the person waits. A crash before the new run has begun does the same again."""
        while self._has_to_move():
            order = self._moves[0]
            granted = await self._ask("move", self._wanted(order), MoveGranted, summary=f"move to version {order.version}")
            self._moves.pop(0)
            if granted.ended is not None:
                self._player.leave(granted.ended)
            result = self._ask_for_move(order)
            if isinstance(result, Moved):
                self._go_on_in(order, result, granted.events)

    def _wanted(self, order: MoveOrder) -> MoveWanted:
        result = self._ask_for_move(order)
        record = self._player.standing
        reason = result.reason if isinstance(result, Stays) else None
        mine = self._enrollment
        return MoveWanted(mine.app, mine.enrollment_id, order, mine.version, record.step if record else "", result.step, reason)

    def _ask_for_move(self, order: MoveOrder) -> Moved | Stays:
        mine, record = self._enrollment, self._player.standing
        if record is None:
            return Stays("starting", "")
        to = target_of(record.step, order.steps)
        if order.version == mine.version:
            return Stays("same_version", to)
        if order.only_at not in (None, record.step):
            return Stays("elsewhere", to)
        return moved(mine.journey, order.journey, self._player.progress, record, order.steps, app=mine.app, subject=mine.subject)

    def _go_on_in(self, order: MoveOrder, result: Moved, came: Sequence[EventFact]) -> None:
        progress, events = with_events(order.journey, result.progress, came)
        workflow.continue_as_new(
            replace(
                self._enrollment, journey=order.journey, version=order.version, progress=progress, events=events, moves=list(self._moves)
            )
        )

    async def send(self, order: Order, woken: Callable[[], bool]) -> SendVerdict:
        asked = self._send_order(order)
        self._say(f"send {asked.step}: {asked.channel} {asked.template}")
        verdict = await self._try_at_once(asked)
        if verdict.status != "again" or woken():
            return verdict
        return await self._insist(replace(asked, may_wait=True), woken)

    async def _try_at_once(self, order: SendOrder) -> SendVerdict:
        try:
            verdict: SendVerdict = await workflow.execute_local_activity(
                order.channel,
                order,
                result_type=SendVerdict,
                start_to_close_timeout=LOCAL_TRY,
                retry_policy=RetryPolicy(maximum_attempts=1),
                summary=f"{order.step}: {order.channel} {order.template}",
            )
        except FailureError as error:
            # What a local activity raises may come bare, without an ActivityError around it; uncaught it would fail the workflow for good.
            if is_cancelled_exception(error):
                raise
            return SendVerdict("again", reasons=("unavailable",))
        return verdict

    async def _insist(self, order: SendOrder, woken: Callable[[], bool]) -> SendVerdict:
        """The ordinary activity: pending in the UI with what is in the way, retried for 72 hours, cancelled by an exit."""
        self._start_afresh_if_long()
        pending = workflow.start_activity(
            order.channel,
            order,
            result_type=SendVerdict,
            schedule_to_close_timeout=PATIENCE,
            start_to_close_timeout=ONE_TRY,
            retry_policy=BACKOFF,
            summary=f"{order.step}: {order.channel} {order.template}",
        )
        await workflow.wait_condition(lambda: pending.done() or woken())
        if not pending.done():
            pending.cancel()
            return SendVerdict("again")
        try:
            verdict: SendVerdict = await pending
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            return await self._ask("give up", order, SendVerdict)
        return verdict

    async def update(self, errand: Errand[Update]) -> None:
        step = errand.step
        asked = UpdateOrder(
            self._enrollment.app,
            self._enrollment.enrollment_id,
            step.id,
            errand.visit,
            cast("Object", step.attributes),
            errand.captured,
        )
        await self._ask("update", asked, type(None), summary=f"update: {step.id}")

    async def enter(self, errand: Errand[Enter]) -> None:
        step = errand.step
        asked = EnterOrder(
            self._enrollment.app,
            self._enrollment.enrollment_id,
            step.id,
            errand.visit,
            step.journey,
            cast("Object", step.properties),
            errand.captured,
        )
        await self._ask("enter", asked, type(None), summary=f"enter: {step.journey}")

    async def call(self, errand: Errand[Call], woken: Callable[[], bool]) -> CallVerdict:
        """An ordinary activity: pending in the UI with what is in the way, retried for 72 hours, cancelled by an exit."""
        asked = self._call_order(errand)
        words = f"{asked.step}: {_called(errand.step)}"
        self._say(f"call {words}")
        self._start_afresh_if_long()
        pending = workflow.start_activity(
            "call",
            asked,
            result_type=CallVerdict,
            schedule_to_close_timeout=PATIENCE,
            start_to_close_timeout=ONE_TRY,
            heartbeat_timeout=SIGN_OF_LIFE,
            retry_policy=BACKOFF,
            summary=words[:200],
        )
        await workflow.wait_condition(lambda: pending.done() or woken())
        if not pending.done():
            pending.cancel()
            return CallVerdict("again")
        try:
            verdict: CallVerdict = await pending
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            return await self._ask("give up call", asked, CallVerdict, summary=f"give up {asked.step}")
        return verdict

    async def first_that_holds(self, question: Question) -> int | None:
        decision = Decision(
            app=self._enrollment.app,
            enrollment_id=self._enrollment.enrollment_id,
            step=question.step,
            visit=question.visit,
            conditions=tuple(question.conditions),
            captured=question.captured,
        )
        chosen: int | None = await self._ask("decide", decision, int | None, summary=f"decide: {question.step}")  # type: ignore[arg-type]
        return chosen

    async def instant(self, step: str, moment: Moment, captured: Mapping[str, EventFact]) -> datetime | None:
        standing = self._player.standing
        visit = standing.visit if standing else 0
        wanted = MomentWanted(self._enrollment.app, self._enrollment.enrollment_id, moment, captured, step, visit)
        found: datetime | None = await self._ask("compute moment", wanted, datetime | None, summary=f"when: {step}")  # type: ignore[arg-type]
        return found

    async def recall(self, recalled: Recall) -> list[EventFact]:
        wanted = EventsWanted(
            self._enrollment.app,
            self._enrollment.enrollment_id,
            recalled.events,
            recalled.since,
            recalled.most,
            self._enrollment.journey.key,
            recalled.captured,
        )
        return await self._ask("recall events", wanted, list[EventFact])

    async def end(self, reason: str, *, is_told: bool) -> None:
        self._say(f"ended: {reason}")
        if not is_told:
            await self._ask("end", Ending(self._enrollment.app, self._enrollment.enrollment_id, reason), type(None), summary=reason)

    async def _ask(self, activity: str, question: object, answer: type[Answer], *, summary: str | None = None) -> Answer:
        found: Answer = await workflow.execute_local_activity(
            activity,
            question,
            result_type=answer,
            start_to_close_timeout=LOCAL_TRY,
            retry_policy=UNTIL_IT_ANSWERS,
            local_retry_threshold=timedelta(seconds=10),
            summary=summary,
        )
        return found

    # ------------------------------------------------------------------------------------------------------------------------------------

    def _send_order(self, order: Order) -> SendOrder:
        journey: Journey = self._enrollment.journey
        step = order.step
        return SendOrder(
            app=self._enrollment.app,
            enrollment_id=self._enrollment.enrollment_id,
            journey=journey.name,
            step=step.id,
            visit=order.visit,
            channel=step.message.channel,
            template=step.message.template,
            message_class=step.message_class or journey.message_class,
            topic=step.topic or journey.topic,
            entry=self._enrollment.entry,
            captured=order.captured,
            exits_on=journey.exits_on,
            key=journey.key,
            quiet_hours=step.quiet_hours or journey.quiet_hours,
            send_window=step.send_window or journey.send_window,
            caps=None if journey.caps is None else tuple(journey.caps),
            provider=step.message.provider,
            to=step.to,
            closes="completed" if order.is_last else None,
        )

    def _call_order(self, errand: Errand[Call]) -> CallOrder:
        return CallOrder(
            app=self._enrollment.app,
            enrollment_id=self._enrollment.enrollment_id,
            journey=self._enrollment.journey.name,
            step=errand.step.id,
            visit=errand.visit,
            action=errand.step.action,
            entry=self._enrollment.entry,
            captured=errand.captured,
            exits_on=self._enrollment.journey.exits_on,
            key=self._enrollment.journey.key,
        )

    def _say(self, words: str) -> None:
        self._words = words
        workflow.set_current_details(in_words(self._player.progress, words, self._player.journey))

    def _is_long(self) -> bool:
        info = workflow.info()
        return info.get_current_history_length() > inputs.LONG_HISTORY or info.is_continue_as_new_suggested()

    def _start_afresh_if_long(self) -> None:
        """Continue as new with everything that the player remembers; deadlines in it are absolute."""
        if self._is_long():
            workflow.continue_as_new(replace(self._enrollment, progress=self._player.progress, events=[], moves=list(self._moves)))


def _called(step: Call) -> str:
    """What is called, without what may stand in a URL behind its path."""
    action = step.action
    return action.name if isinstance(action, Function) else f"{action.method} {action.url.partition('?')[0]}"
