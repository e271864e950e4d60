"""Many messages handed over at once: through an account that takes many, or side by side, each with an end of its own."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

import pytest

from activities.breaker import Bounds, Gate
from activities.routes import Wanted
from activities.ways import SIDE_BY_SIDE, Door, Handed, Held, Turn, Way
from channels.base import Ambiguous, Content, End, NotSent, Outgoing, Receipt, Rejected, Watch
from journeys.language.errors import Unavailable
from storage.account_states import AccountKey
from tests.activities.provider import Provider


@dataclass
class Seen:
    begun: list[int] = field(default_factory=list)
    ends: dict[int, End] = field(default_factory=dict)
    stops_at: int | None = None

    def begins(self, place: int) -> bool:
        if place == self.stops_at:
            return False
        self.begun.append(place)
        return True

    def ended(self, place: int, end: End) -> None:
        self.ends[place] = end


@dataclass
class TakesMany(Provider):
    """Hands `ends` out in their order; where they are used up it has a bug."""

    ends: Sequence[End] = ()
    asked: int = 0

    async def send_all(self, outgoings: Sequence[Outgoing], watch: Watch) -> list[End]:
        self.asked += 1
        found: list[End] = []
        for place in range(len(outgoings)):
            end: End = NotSent("stopped")
            if watch.begins(place):
                end = self.ends[place]
            watch.ended(place, end)
            found.append(end)
        return found


def way_of(*adapters: Provider, bounds: Bounds | None = None) -> Way:
    doors = [
        Door(
            f"account-{number}",
            adapter.name,
            adapter=adapter,
            gate=Gate(bounds or Bounds(failures=1)),
            key=AccountKey("demo", "email", f"account-{number}"),
        )
        for number, adapter in enumerate(adapters)
    ]
    return Way("demo", "email", tuple(doors))


async def noted(*_: object) -> bool:
    return True


async def hand_over(way: Way, many: int, seen: Seen) -> list[Handed]:
    outgoings = [
        Outgoing(UUID(int=n), "demo", f"p{n}@example.com", Content("email", {}), "marketing", None, time.monotonic() + 20)
        for n in range(many)
    ]
    wanted = [Wanted(str(n), "marketing", None, None, ()) for n in range(many)]
    return await way.hand_over_all(outgoings, wanted, [Turn(noted)] * many, seen)


async def test_an_account_that_takes_many_is_asked_once() -> None:
    adapter, seen = TakesMany(ends=[Receipt(), Receipt()]), Seen()
    handed = await hand_over(way_of(adapter), 2, seen)
    assert [(each.end, each.door and each.door.name) for each in handed] == [(Receipt(), "account-0")] * 2
    assert (adapter.asked, adapter.record) == (1, [])
    assert seen.ends == {0: Receipt(), 1: Receipt()}


async def test_two_accounts_share_them_message_by_message() -> None:
    first, second = TakesMany(name="one"), TakesMany(name="two")
    handed = await hand_over(way_of(first, second), 40, Seen())
    assert all(isinstance(each.end, Receipt) for each in handed)
    assert (first.asked, second.asked) == (0, 0)
    assert len(first.record) + len(second.record) == 40
    assert first.record, "by weight"
    assert second.record


async def test_a_connection_that_went_away_opens_the_breaker_and_the_next_are_held() -> None:
    adapter = TakesMany(ends=[Receipt(), Ambiguous("cut"), NotSent("cut"), NotSent("cut")])
    way = way_of(adapter)
    ends = [each.end for each in await hand_over(way, 4, Seen())]
    assert [type(end) for end in ends] == [Receipt, Ambiguous, NotSent, NotSent]
    held = await hand_over(way, 2, Seen())
    assert [isinstance(each.end, Held) for each in held] == [True, True]
    assert adapter.asked == 1


GREYLISTED = NotSent("RCPT: 450 greylisted")


@pytest.mark.parametrize("place", [0, 25, 49])
async def test_one_receiver_who_takes_nothing_now_in_each_part_does_not_close_the_account(place: int) -> None:
    ends: list[End] = [Receipt()] * 50
    ends[place] = GREYLISTED
    adapter = TakesMany(ends=ends)
    way = way_of(adapter, bounds=Bounds())
    for _ in range(8):
        handed = await hand_over(way, 50, Seen())
        assert [isinstance(each.end, NotSent) for each in handed].count(True) == 1
    assert adapter.asked == 8
    assert way.doors[0].gate.wait_s() is None


async def test_an_answer_in_the_midst_of_failures_begins_their_row_anew() -> None:
    adapter = TakesMany(ends=[GREYLISTED])
    way = way_of(adapter, bounds=Bounds(failures=3))
    for end in (GREYLISTED, GREYLISTED, Rejected("550 no such user"), GREYLISTED, GREYLISTED):
        adapter.ends = [end]
        await hand_over(way, 1, Seen())
    assert not way.doors[0].gate.is_open
    await hand_over(way, 1, Seen())
    assert way.doors[0].gate.is_open


async def test_parts_that_fail_as_a_whole_open_the_breaker_one_by_one() -> None:
    adapter = TakesMany(ends=[NotSent("no connection")] * 50)
    way = way_of(adapter, bounds=Bounds())
    for _ in range(4):
        await hand_over(way, 50, Seen())
    assert not way.doors[0].gate.is_open
    await hand_over(way, 50, Seen())
    assert way.doors[0].gate.is_open


async def test_what_the_last_of_several_connections_told_counts_and_not_the_last_place() -> None:
    class OverTwo(TakesMany):
        async def send_all(self, outgoings: Sequence[Outgoing], watch: Watch) -> list[End]:
            ends: dict[int, End] = {1: NotSent("450"), 3: NotSent("451"), 0: Receipt(), 2: Receipt()}
            for place, end in ends.items():
                watch.begins(place)
                watch.ended(place, end)
            return [ends[place] for place in range(len(outgoings))]

    way = way_of(OverTwo())
    await hand_over(way, 4, Seen())
    assert not way.doors[0].gate.is_open


async def test_the_longest_wait_that_any_of_many_is_told_closes_the_account() -> None:
    way = way_of(TakesMany(ends=[NotSent("429", 10.0), NotSent("429", 30.0), Receipt()]))
    await hand_over(way, 3, Seen())
    assert 20 < (way.doors[0].gate.wait_s() or 0) <= 30


async def test_an_adapter_with_a_bug_leaves_in_doubt_only_what_had_begun() -> None:
    adapter, seen = TakesMany(ends=[Receipt()]), Seen()
    ends = [each.end for each in await hand_over(way_of(adapter), 3, seen)]
    assert [type(end) for end in ends] == [Receipt, Ambiguous, NotSent]
    assert seen.ends == dict(enumerate(ends))


@pytest.mark.parametrize("adapter", [TakesMany(ends=[Receipt()] * 5), Provider()])
async def test_what_is_stopped_is_held_and_is_no_failure_of_the_account(adapter: Provider) -> None:
    way, seen = way_of(adapter), Seen(stops_at=2)
    handed = await hand_over(way, 3, seen)
    assert [type(each.end) for each in handed] == [Receipt, Receipt, Held]
    assert isinstance(handed[2].end, Held)
    assert handed[2].end.reason == "paused"
    assert not way.doors[0].gate.is_open


async def test_side_by_side_no_more_are_under_way_than_may_die_with_the_process() -> None:
    adapter, seen = Provider(is_held=True), Seen()
    way = way_of(adapter)

    async def let_go() -> None:
        await adapter.called.wait()
        assert len(seen.begun) <= SIDE_BY_SIDE
        adapter.released.set()

    handed, _ = await asyncio.gather(hand_over(way, 40, seen), let_go())
    assert all(isinstance(each.end, Receipt) for each in handed)


async def test_postgres_away_for_one_loses_nothing_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    adapter, seen = Provider(), Seen()
    send = Way.hand_over

    async def away_for_the_second(way: Way, outgoing: Outgoing, wanted: Wanted, turn: Turn) -> Handed:
        if wanted.key == "1":
            raise Unavailable("the database does not answer")
        return await send(way, outgoing, wanted, turn)

    monkeypatch.setattr(Way, "hand_over", away_for_the_second)
    ends = [each.end for each in await hand_over(way_of(adapter), 3, seen)]
    assert [type(end) for end in ends] == [Receipt, NotSent, Receipt]
