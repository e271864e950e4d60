"""The gate before a provider, on a clock of its own."""

from activities.breaker import Bounds, Entry, Gate, Gates, Outcome

BOUNDS = Bounds(failures=2, first_pause_s=1, longest_pause_s=4, longest_named_s=60, local_slots=2, crowded_wait_s=0.5)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def attempt(gate: Gate, outcome: Outcome, *, retry_after_s: float | None = None) -> None:
    entry = gate.enter()
    assert isinstance(entry, Entry)
    gate.leave(entry, outcome, retry_after_s=retry_after_s)


def test_failures_in_a_row_shut_it_and_one_probe_at_a_time_goes_in() -> None:
    clock = Clock()
    gate = Gate(BOUNDS, clock)
    attempt(gate, Outcome.FAILED)
    attempt(gate, Outcome.ANSWERED)
    attempt(gate, Outcome.FAILED)
    assert not gate.is_open, "the answer between them counts"
    attempt(gate, Outcome.FAILED)
    assert gate.enter() == 1
    clock.now += 1
    probe = gate.enter()
    assert isinstance(probe, Entry)
    assert probe.is_probe
    assert gate.enter() == 0.5, "the probe is still under way"
    gate.leave(probe, Outcome.ANSWERED)
    assert not gate.is_open


def test_what_was_in_flight_when_it_shut_neither_ends_the_probe_nor_lengthens_the_pause() -> None:
    clock = Clock()
    gate = Gate(BOUNDS, clock)
    in_flight = [gate.enter() for _ in range(6)]
    for entry in in_flight[:4]:
        assert isinstance(entry, Entry)
        gate.leave(entry, Outcome.FAILED)
    assert gate.enter() == 1
    clock.now += 1
    assert isinstance(gate.enter(), Entry)
    for entry in in_flight[4:]:
        assert isinstance(entry, Entry)
        gate.leave(entry, Outcome.FAILED)
    assert gate.enter() == 0.5, "the probe is still under way"


def test_each_failed_probe_doubles_the_pause_up_to_the_longest() -> None:
    clock = Clock()
    gate = Gate(BOUNDS, clock)
    attempt(gate, Outcome.FAILED)
    pauses = []
    for _ in range(5):
        attempt(gate, Outcome.FAILED)
        wait_s = gate.enter()
        assert isinstance(wait_s, float | int)
        pauses.append(wait_s)
        clock.now += wait_s
    assert pauses == [1, 2, 4, 4, 4]


def test_a_provider_that_names_a_time_gets_it_but_not_an_absurd_one() -> None:
    gate = Gate(BOUNDS, Clock())
    attempt(gate, Outcome.FAILED, retry_after_s=3)
    assert gate.enter() == 3
    other = Gate(BOUNDS, Clock())
    attempt(other, Outcome.FAILED, retry_after_s=10**9)
    assert other.enter() == 60


async def test_a_slow_provider_holds_only_its_own_local_slots() -> None:
    gates = Gates(BOUNDS, Clock())
    slow = gates.of("slow")
    assert [await slow.take_turn() for _ in range(3)] == [True, True, False]
    assert isinstance(slow.enter(), Entry), "the ordinary activity needs no slot"
    assert await gates.of("quick").take_turn()
    slow.give_turn()
    assert await slow.take_turn()


def test_a_probe_that_sent_nothing_says_nothing() -> None:
    clock = Clock()
    gates = Gates(BOUNDS, clock)
    gate = gates.of("ses")
    attempt(gate, Outcome.FAILED)
    attempt(gate, Outcome.FAILED)
    clock.now += 1
    attempt(gate, Outcome.UNUSED)
    assert gate.is_open
    attempt(gate, Outcome.ANSWERED)
    assert not gate.is_open
