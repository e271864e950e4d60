"""Arms and holdout: the hash is the assignment, and these numbers never change."""

import pytest

from journeys.language import Arm, Journey, Split, Wait, days, event
from journeys.language.assign import arm, bucket, in_holdout

THIRDS = Split("offer", arms=[Arm("a", 33.33, []), Arm("b", 33.33, []), Arm("c", 33.34, [])])
JOURNEY = Journey("cart-recovery", starts_on=event("x"), holdout=2.5, steps=[Wait("w", days(1))])
PEOPLE = [f"user-{number}" for number in range(100_000)]


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (("demo", "cart-recovery", "offer", "u1"), 8439),
        (("demo", "cart-recovery", "$holdout", "u1"), 7237),
        (("demo", "cart-recovery", "offer", "ümlaut-😀"), 1122),
        (("d", "emocart-recovery", "offer", "u1"), 6824),  # the parts are length-prefixed, so this is another person's hash
        (("demo", "onboarding", "offer", ""), 3718),
    ],
)
def test_golden_vectors(parts: tuple[str, str, str, str], expected: int) -> None:
    assert bucket(*parts) == expected


def test_percentages_hold_over_100_000_ids() -> None:
    counts = {"a": 0, "b": 0, "c": 0}
    for user in PEOPLE:
        counts[arm(THIRDS, "demo", "cart-recovery", user).name] += 1
    assert all(abs(count - 33_333) < 600 for count in counts.values()), counts
    assert abs(sum(in_holdout(JOURNEY, "demo", user) for user in PEOPLE) - 2_500) < 200


def test_ranges_are_contiguous_in_the_declared_order() -> None:
    split = Split("offer", arms=[Arm("first", 10, []), Arm("rest", 90, [])])
    for user in PEOPLE[:2_000]:
        expected = "first" if bucket("demo", "j", "offer", user) < 1_000 else "rest"
        assert arm(split, "demo", "j", user).name == expected


def test_an_arm_of_nothing_gets_nobody() -> None:
    split = Split("offer", arms=[Arm("off", 0, []), Arm("on", 100, [])])
    assert {arm(split, "demo", "j", user).name for user in PEOPLE[:2_000]} == {"on"}


def test_arm_and_holdout_are_independent() -> None:
    held_out = [user for user in PEOPLE if in_holdout(JOURNEY, "demo", user)]
    share = sum(arm(THIRDS, "demo", "cart-recovery", user).name == "a" for user in held_out) / len(held_out)
    assert 0.29 < share < 0.38
