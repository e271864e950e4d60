"""What the house runs."""

from journeys.catalogue import JOURNEYS
from journeys.language.check import not_run_yet, problems, warnings


def test_the_house_runs_three_journeys_of_different_names() -> None:
    assert [journey.name for journey in JOURNEYS] == ["onboarding", "cart-recovery", "order-status"]


def test_nothing_is_wrong_with_them() -> None:
    for journey in JOURNEYS:
        assert problems(journey) == warnings(journey) == not_run_yet(journey) == []
