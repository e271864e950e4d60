"""Moving somebody to another version: where they are put down, what goes on, and what never happens twice."""

# ruff: noqa: ARG002 - the pretence takes what a World is given, and does little with it

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, note
from hypothesis import strategies as st

from journeys.language import (
    Arm,
    Exit,
    If,
    Journey,
    Repeat,
    Send,
    Split,
    Wait,
    WaitFor,
    captured,
    days,
    email,
    event,
    has,
    hours,
    minutes,
    prop,
    push,
    sms,
)
from journeys.language.assign import arm
from journeys.language.facts import EventFact
from journeys.language.moving import Moved, Stays, moved, with_events
from journeys.language.play import Player
from journeys.language.rehearsal import MONDAY_NOON
from journeys.language.steps import AnyStep, Call, Enter, Moment, Update
from journeys.language.verdict import CallVerdict, SendVerdict
from journeys.language.walk import all_steps, branches
from journeys.language.world import Errand, Order, Progress, Question, Recall, Record
from tests.journeys.journey_strategies import journeys

APP, SUBJECT = "demo", "ann"
ENTRY = EventFact("entry", "signed_up", MONDAY_NOON, {"n": 1})


class Interrupted(Exception):
    """The person waits, and the test goes on from there."""


@dataclass
class Pretence:
    """A World in which nothing takes time; the wait of number `stops_at` is where it stops."""

    stops_at: int = 10_000
    clock: datetime = MONDAY_NOON
    sent: list[tuple[str, int]] = field(default_factory=list)
    began: list[str] = field(default_factory=list)
    waits: int = 0
    holds: bool = True
    refuses: tuple[str, ...] = ()

    def now(self) -> datetime:
        return self.clock

    async def wait(self, until: datetime, woken: Callable[[], bool], words: str) -> bool:
        self.waits += 1
        if self.waits > self.stops_at:
            raise Interrupted
        self.clock = max(self.clock, until)
        return woken()

    async def send(self, order: Order, woken: Callable[[], bool]) -> SendVerdict:
        self.sent.append((order.step.id, order.visit))
        if order.step.id in self.refuses:
            return SendVerdict("settled", reasons=("rejected",))
        return SendVerdict("settled", sent=True, claimed_at=self.clock)

    async def update(self, errand: Errand[Update]) -> None:
        self.sent.append((errand.step.id, errand.visit))

    async def call(self, errand: Errand[Call], woken: Callable[[], bool]) -> CallVerdict:
        self.sent.append((errand.step.id, errand.visit))
        return CallVerdict("done", {"value": 1})

    async def enter(self, errand: Errand[Enter]) -> None:
        self.sent.append((errand.step.id, errand.visit))

    async def first_that_holds(self, question: Question) -> int | None:
        return 0 if self.holds and not question.step.startswith("$") else None

    async def instant(self, step: str, moment: Moment, captured: Mapping[str, EventFact]) -> datetime | None:
        return self.clock + timedelta(days=1)

    async def recall(self, recalled: Recall) -> list[EventFact]:
        return []

    async def end(self, reason: str, *, is_told: bool) -> None:
        """Nobody has to be told."""


def player(journey: Journey, world: Pretence, progress: Progress | None = None) -> Player:
    return Player(journey, world, app=APP, subject=SUBJECT, entry=ENTRY, started_at=MONDAY_NOON, progress=progress)


def run(playing: Player) -> str | None:
    """Play to the end (its reason) or to the wait where the world stops (None)."""
    try:
        playing.play().send(None)
    except StopIteration as done:
        return str(done.value)
    except Interrupted:
        return None
    raise AssertionError("nothing here waits")


def journey(*steps: AnyStep, **fields: Any) -> Journey:
    return Journey("tried", **{"starts_on": event("signed_up"), "steps": list(steps), **fields})


def waiting(old: Journey, world: Pretence) -> Player:
    playing = player(old, world)
    assert run(playing) is None
    return playing


def move(playing: Player, new: Journey, **steps: str) -> Moved | Stays:
    assert playing.standing is not None
    return moved(playing.journey, new, playing.progress, playing.standing, steps, app=APP, subject=SUBJECT)


def go_on(new: Journey, result: Moved | Stays, world: Pretence) -> str | None:
    assert isinstance(result, Moved), result
    world.stops_at = 10_000
    return run(player(new, world, result.progress))


WELCOME, GUIDE, COUPON = Send("welcome", email("welcome")), Send("guide", push("guide")), Send("coupon", sms("coupon"))
OLD = journey(WELCOME, Wait("settle_in", days(1)), GUIDE)


def test_who_waits_goes_on_from_the_same_step_with_what_is_new_behind_it() -> None:
    world = Pretence(stops_at=0)
    new = journey(WELCOME, Send("added_before", email("x")), Wait("settle_in", days(1)), COUPON, GUIDE)
    result = move(waiting(OLD, world), new)
    assert go_on(new, result, world) == "completed"
    assert world.sent == [("welcome", 1), ("coupon", 1), ("guide", 1)]


def test_a_wait_keeps_its_moment() -> None:
    world = Pretence(stops_at=0)
    playing = waiting(OLD, world)
    world.clock += timedelta(hours=7)
    new = journey(WELCOME, Wait("settle_in", days(1)), COUPON)
    assert go_on(new, move(playing, new), world) == "completed"
    assert world.clock == MONDAY_NOON + timedelta(days=1)


@pytest.mark.parametrize("name", ["settle_in", "rest"])
def test_a_wait_whose_duration_changed_is_counted_anew_from_when_it_began(name: str) -> None:
    world = Pretence(stops_at=0)
    playing = waiting(OLD, world)
    world.clock += timedelta(hours=7)
    new = journey(WELCOME, Wait(name, hours(36)), COUPON)
    assert go_on(new, move(playing, new, settle_in=name), world) == "completed"
    assert world.clock == MONDAY_NOON + timedelta(hours=36)
    assert world.sent == [("welcome", 1), ("coupon", 1)]


def test_a_wait_that_is_shorter_now_and_over_by_that_ends_at_once() -> None:
    world = Pretence(stops_at=0)
    playing = waiting(OLD, world)
    world.clock += timedelta(hours=7)
    new = journey(WELCOME, Wait("settle_in", hours(2), then=[COUPON]))
    assert go_on(new, move(playing, new), world) == "completed"
    assert (world.clock, world.sent[1:]) == (MONDAY_NOON + timedelta(hours=7), [("coupon", 1)])


def test_a_step_that_is_gone_needs_a_map() -> None:
    new = journey(WELCOME, COUPON)
    playing = waiting(OLD, Pretence(stops_at=0))
    assert move(playing, new) == Stays("no_such_step", "settle_in")
    assert go_on(new, move(playing, new, settle_in="coupon"), Pretence()) == "completed"


def test_nobody_is_put_on_a_step_that_has_begun() -> None:
    playing = waiting(OLD, Pretence(stops_at=0))
    assert move(playing, journey(WELCOME, COUPON), settle_in="welcome") == Stays("already_began", "welcome")


def test_what_was_sent_and_stands_further_on_now_is_passed_over() -> None:
    world = Pretence(stops_at=0)
    new = journey(Wait("settle_in", days(1)), WELCOME, GUIDE)
    assert go_on(new, move(waiting(OLD, world), new), world) == "completed"
    assert world.sent == [("welcome", 1), ("guide", 1)]


def test_a_step_that_was_renamed_counts_as_done() -> None:
    world = Pretence(stops_at=0)
    new = journey(Wait("settle_in", days(1)), Send("hello", email("welcome")), GUIDE)
    assert go_on(new, move(waiting(OLD, world), new, welcome="hello"), world) == "completed"
    assert world.sent == [("welcome", 1), ("guide", 1)]


def test_what_a_renamed_step_captured_is_found_under_the_new_name() -> None:
    old = journey(WaitFor("seen", event("product_viewed"), within=days(1)), Wait("rest", days(1)))
    world = Pretence(stops_at=0)
    playing = player(old, world)
    playing.arrive(EventFact("v", "product_viewed", MONDAY_NOON, {"n": 7}))
    assert run(playing) is None
    new = journey(
        WaitFor("looked", event("product_viewed"), within=days(1)),
        Wait("rest", days(1)),
        If("big", captured("looked", "n") > 1, then=[COUPON]),
    )
    result = move(playing, new, seen="looked")
    assert isinstance(result, Moved)
    assert result.progress.captured["looked"].properties == {"n": 7}


def test_a_step_may_be_wrapped_into_a_branch_and_what_follows_it_is_as_written() -> None:
    world = Pretence(stops_at=0)
    new = journey(If("has_app", has("push"), then=[Wait("settle_in", days(1)), GUIDE], otherwise=[Exit("no", "no app")]), COUPON)
    assert go_on(new, move(waiting(OLD, world), new), world) == "completed"
    assert world.sent == [("welcome", 1), ("guide", 1), ("coupon", 1)]


def test_nobody_changes_their_arm() -> None:
    arms = [Arm("a", 50, [Wait("in_a", days(1)), GUIDE]), Arm("b", 50, [Wait("in_b", days(1)), COUPON])]
    new = journey(WELCOME, Split("offer", arms=arms))
    own = arm(Split("offer", arms=arms), APP, new.name, SUBJECT).name
    other = "b" if own == "a" else "a"
    playing = waiting(OLD, Pretence(stops_at=0))
    assert move(playing, new, settle_in=f"in_{other}") == Stays("other_arm", f"in_{other}")
    assert isinstance(move(playing, new, settle_in=f"in_{own}"), Moved)


def test_another_thing_under_the_same_name_is_not_taken_for_it() -> None:
    playing = waiting(OLD, Pretence(stops_at=0))
    assert move(playing, journey(WELCOME, WaitFor("settle_in", event("x"), within=days(1)))) == Stays("other_kind", "settle_in")


def test_another_key_would_mean_other_events() -> None:
    playing = waiting(OLD, Pretence(stops_at=0))
    assert move(playing, journey(*OLD.steps, key=prop("order_id"))) == Stays("other_key", "settle_in")


def test_who_is_leaving_is_left_alone() -> None:
    playing = waiting(OLD, Pretence(stops_at=0))
    playing.leave("asked support")
    assert move(playing, OLD) == Stays("leaving", "settle_in")


LOOP = Repeat("tries", [Send("ask", email("ask")), Wait("pause", days(1)), Send("chase", sms("chase"))], times=3)


def test_in_a_repeat_the_pass_goes_on_and_the_passes_are_counted() -> None:
    world = Pretence(stops_at=1)
    new_loop = Repeat(
        "tries", [Send("new", email("new")), Send("ask", email("ask")), Wait("pause", days(1)), Send("chase", sms("chase"))], times=3
    )
    playing = waiting(journey(LOOP), world)
    assert world.sent == [("ask", 1), ("chase", 1), ("ask", 2)]
    assert go_on(journey(new_loop), move(playing, journey(new_loop)), world) == "completed"
    assert world.sent[3:] == [("chase", 2), ("new", 1), ("ask", 3), ("chase", 3)]


def test_in_a_repeat_a_step_of_this_pass_is_not_begun_again_but_one_of_an_earlier_pass_is() -> None:
    playing = waiting(journey(LOOP), Pretence(stops_at=1))
    assert move(playing, journey(LOOP), pause="ask") == Stays("already_began", "ask")
    result = move(playing, journey(LOOP), pause="chase")
    world = Pretence()
    assert go_on(journey(LOOP), result, world) == "completed"
    assert world.sent == [("chase", 2), ("ask", 3), ("chase", 3)]


def test_after_a_move_a_run_that_is_continued_goes_on_where_it_stood() -> None:
    world = Pretence(stops_at=1)
    new = journey(WELCOME, LOOP, GUIDE)
    playing = waiting(journey(LOOP), world)
    result = move(playing, new)
    assert isinstance(result, Moved)
    progress = result.progress
    for stop in range(1, 4):
        world.waits, world.stops_at = 0, 1 if stop < 3 else 10_000
        again = player(new, world, progress)
        ended = run(again)
        progress = again.progress
    assert ended == "completed"
    assert world.sent == [("ask", 1), ("chase", 1), ("ask", 2), ("chase", 2), ("ask", 3), ("chase", 3), ("guide", 1)]


def test_what_came_and_was_not_listened_to_completes_the_new_step() -> None:
    world = Pretence(stops_at=0)
    new = journey(
        WELCOME, Wait("settle_in", days(1)), WaitFor("bought", event("order_placed"), within=days(1), since="entry", otherwise=[COUPON])
    )
    result = move(waiting(OLD, world), new)
    assert isinstance(result, Moved)
    progress, arriving = with_events(new, result.progress, [EventFact("o", "order_placed", MONDAY_NOON + timedelta(minutes=1))])
    world.stops_at = 10_000
    playing = player(new, world, progress)
    for each in arriving:
        playing.arrive(each)
    assert run(playing) == "completed"
    assert ("coupon", 1) not in world.sent


def test_an_event_is_applied_once_though_it_is_handed_over_again() -> None:
    old = journey(WaitFor("bought", event("order_placed"), within=days(1)), Wait("rest", days(1)))
    placed = EventFact("o", "order_placed", MONDAY_NOON)
    world = Pretence(stops_at=0)
    playing = player(old, world)
    playing.arrive(placed)
    assert run(playing) is None
    new = journey(Wait("rest", days(1)), WaitFor("again", event("order_placed"), since="entry", within=minutes(5), otherwise=[COUPON]))
    result = move(playing, new)
    assert isinstance(result, Moved)
    progress, arriving = with_events(new, result.progress, [placed])
    assert arriving == []
    world.stops_at = 10_000
    later = player(new, world, progress)
    later.arrive(placed)
    assert run(later) == "completed"
    assert world.sent == [("coupon", 1)]


# Any journey into any other, from any wait ----------------------------------------------------------------------------------------------


def repeated(one: Journey) -> set[str]:
    """Ids inside a Repeat, where a step may come more than once."""
    return {inner.id for step in all_steps(one.steps) if isinstance(step, Repeat) for inner in all_steps(step.steps)}


NAMES = ["send_1", "send_2", "send_3", "send_4", "wait_1", "wait_2", "wait_3", "for_1", "if_1", "repeat_1", "repeat_2", "split_1"]


@st.composite
def shuffled(draw: st.DrawFn) -> Journey:
    """Any of a dozen steps in any order, each inside any other: two of these are like a journey and what became of it by editing."""
    left = draw(st.permutations(NAMES))[: draw(st.integers(8, len(NAMES)))]

    def some(depth: int) -> list[AnyStep]:
        return [step(left.pop(), depth) for _ in range(draw(st.integers(1, 5 if depth == 0 else 2))) if left]

    def maybe(depth: int) -> list[AnyStep]:
        return some(depth + 1) if depth < 3 and draw(st.booleans()) else []

    def step(name: str, depth: int) -> AnyStep:
        match name[:-2]:
            case "send":
                return Send(name, email("welcome"), otherwise=maybe(depth))
            case "wait":
                return Wait(name, draw(st.sampled_from((hours(1), days(1)))), then=maybe(depth))
            case "for":
                return WaitFor(name, event("order_placed"), within=days(1), otherwise=maybe(depth))
            case "if":
                return If(name, has("push"), then=maybe(depth), otherwise=maybe(depth))
            case "split":
                return Split(name, arms=[Arm("a", 50, maybe(depth)), Arm("b", 50, maybe(depth))])
            case _:
                inside = maybe(depth)
                return Repeat(name, inside, times=2) if inside else Wait(name, hours(2))

    return journey(*some(0))


def _same(value: Any, **changes: Any) -> Any:
    """A copy without the checks of a journey as it is written: stored definitions are not checked either."""
    copy = object.__new__(type(value))
    for name in type(value).__dataclass_fields__:
        change = changes.get(name, getattr(value, name))
        object.__setattr__(copy, name, tuple(change) if isinstance(change, list) else change)
    return copy


@given(st.data())
def test_after_any_moves_nothing_that_began_begins_again_and_they_stand_where_the_map_says(data: st.DataObject) -> None:
    first = data.draw(shuffled())
    world = Pretence(stops_at=data.draw(st.integers(0, 2)), holds=data.draw(st.booleans()))
    world.refuses = tuple(data.draw(st.sets(st.sampled_from(NAMES[:4]))))
    playing, versions = player(first, world), [first]
    ended = run(playing)
    for tried in range(6):
        if ended is not None or playing.standing is None:
            return
        new = data.draw(shuffled() if tried else st.one_of(shuffled(), journeys().map(lambda any_: _same(any_, name=first.name, key=None))))
        targets = [step.id for step in all_steps(new.steps)]
        steps = {playing.standing.step: data.draw(st.sampled_from(targets))} if data.draw(st.integers(0, 3)) else {}
        records = [replace(record) for record in playing.progress.records]
        result = move(playing, new, **steps)
        note(f"{versions[-1]!r}\n-> {new!r}\n{playing.standing} {steps} {world.sent} {result}")
        assert playing.progress.records == records, "asking changes nothing"
        if isinstance(result, Stays):
            assert _is_true(result, new, playing)
            continue
        assert result.step == steps.get(playing.standing.step, playing.standing.step)
        began = {record.step for record in records} - repeated(new) - {playing.standing.step}
        assert result.step not in began, "they were put on a step that had begun"
        versions.append(new)
        world.waits, world.stops_at = 0, data.draw(st.integers(0, 2)) if tried < 3 else 60
        playing, ended, taken = _play_on(new, world, result)
        assert taken == result.step
        _assert_nothing_twice(world, versions)


def _assert_nothing_twice(world: Pretence, versions: list[Journey]) -> None:
    assert len(set(world.sent)) == len(world.sent), "a message id would come twice"
    again = set().union(*map(repeated, versions))
    once = [step for step, _ in world.sent if step not in again]
    assert len(set(once)) == len(once), "a step was sent twice"


def _play_on(new: Journey, world: Pretence, result: Moved) -> tuple[Player, str | None, str]:
    """Play on; return the player, the end (None: it waits again) and the step that was taken first."""
    taken: list[str] = []

    class Watched(Player):
        async def _take(self, step: AnyStep, *, is_tail: bool) -> None:
            taken.append(step.id)
            await super()._take(step, is_tail=is_tail)

    playing = Watched(new, world, app=APP, subject=SUBJECT, entry=ENTRY, started_at=MONDAY_NOON, progress=result.progress)
    return playing, run(playing), taken[0]


def _is_true(result: Stays, new: Journey, playing: Player) -> bool:
    assert playing.standing is not None
    ids = [step.id for step in all_steps(new.steps)]
    began = {record.step for record in playing.progress.records}
    match result.reason:
        case "no_such_step":
            return result.step not in ids
        case "already_began":
            return result.step in began
        case "other_arm":
            return any(isinstance(step, Split) and _holds(step, result.step) for step in all_steps(new.steps))
        case "other_kind":
            return result.step in ids and result.step == playing.standing.step
        case _:
            return False


def _holds(step: AnyStep, inner: str) -> bool:
    return any(each.id == inner for branch in branches(step) for each in all_steps(branch))


def test_a_record_of_an_earlier_version_reads_without_footing() -> None:
    assert Progress(records=[Record("a", 1, MONDAY_NOON)]).footing is None
