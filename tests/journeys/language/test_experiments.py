"""What becomes of the rest of a campaign's people, and when: the winner, once it is sure, and never what only seems so."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from journeys.language import days, event, hours
from journeys.language.assign import bucket
from journeys.language.experiments import (
    Experiment,
    Exposed,
    LookAgain,
    NoWinner,
    Suspect,
    Variant,
    Winner,
    WinnerRule,
    part_of,
    problems,
    what_next,
)

SENT = datetime(2026, 11, 26, 9, tzinfo=UTC)
RULE = WinnerRule(20, hours(2), hours(24))
GOAL = event("order_placed").within(hours(24))
TWO = Experiment([Variant("plain", 50), Variant("bold", 50)], GOAL, winner=RULE)
THREE = Experiment([Variant("plain", 34), Variant("bold", 33), Variant("long", 33)], GOAL, winner=RULE)


def got(people: int, converted: int) -> Exposed:
    """A variant that was sent to all who were to get it."""
    return Exposed(people, converted, people)


CLEARLY = {"plain": got(5_000, 480), "bold": got(5_000, 640)}
NOT_CLEARLY = {"plain": got(5_000, 480), "bold": got(5_000, 540)}


def after(hour: float, counts: Mapping[str, Exposed], experiment: Experiment = TWO) -> object:
    return what_next(experiment, counts, SENT, SENT + timedelta(hours=hour))


def winner(counts: Mapping[str, Exposed], experiment: Experiment = THREE) -> str | None:
    found = after(3, counts, experiment)
    return found.variant if isinstance(found, Winner) else None


# A winner ---------------------------------------------------------------------------------------------------------------------------------


def test_a_variant_that_is_surely_better_goes_to_the_rest_with_the_interval_that_decided() -> None:
    found = after(3, CLEARLY)
    assert isinstance(found, Winner)
    assert found.variant == "bold"
    assert found.against["bold"].low > 0


def test_what_a_usual_interval_would_call_better_waits() -> None:
    assert after(3, NOT_CLEARLY) == LookAgain(SENT + timedelta(hours=3, minutes=10), "not_clear")


def test_nobody_wins_before_its_time_however_clear_it_is() -> None:
    assert after(1.99, CLEARLY) == LookAgain(SENT + timedelta(hours=2), "too_early")
    assert isinstance(after(2, CLEARLY), Winner)


def test_nobody_wins_with_too_few_people_in_any_variant() -> None:
    few = {"plain": got(199, 10), "bold": got(201, 190)}
    assert after(3, few) == LookAgain(SENT + timedelta(hours=3, minutes=10), "too_few")
    assert isinstance(after(3, {**few, "plain": got(200, 10)}), Winner)
    assert after(3, {}) == LookAgain(SENT + timedelta(hours=3, minutes=10), "too_few")


def test_a_variant_that_was_sent_to_too_few_of_its_people_is_not_judged() -> None:
    hardly = {"plain": got(5_000, 640), "bold": Exposed(5_000, 100, 199)}
    assert after(3, hardly) == LookAgain(SENT + timedelta(hours=3, minutes=10), "too_few")
    assert winner({**hardly, "bold": Exposed(5_000, 100, 200), "long": got(5_000, 100)}) == "plain"


def test_variants_are_compared_by_all_who_were_to_get_them() -> None:
    """Of those whom bold could reach more ordered than of those whom plain could; it reached a fifth of its people."""
    reached = {"plain": got(5_000, 1_500), "bold": Exposed(5_000, 600, 1_000)}
    found = after(3, reached)
    assert isinstance(found, Winner)
    assert found.variant == "plain"


def test_of_several_better_ones_the_best_goes() -> None:
    counts = {"plain": got(5_000, 480), "bold": got(5_000, 640), "long": got(5_000, 660)}
    assert winner(counts) == "long"
    assert winner({**counts, "long": got(5_000, 470)}) == "bold"


def test_the_control_wins_when_all_others_are_surely_worse() -> None:
    worse = {"plain": got(5_000, 640), "bold": got(5_000, 480), "long": got(5_000, 450)}
    assert winner(worse) == "plain"
    assert winner({**worse, "long": got(5_000, 630)}) is None


def test_the_more_variants_the_more_it_takes() -> None:
    counts = {"plain": got(5_000, 480), "bold": got(5_000, 590), "long": got(5_000, 480)}
    many = [Variant("plain", 10), *(Variant(f"v{n}", 10) for n in range(9))]
    assert winner(counts, TWO) == "bold"
    assert winner({"plain": got(5_000, 480), "v0": got(5_000, 590)} | {f"v{n}": got(5_000, 480) for n in range(1, 9)},
                  replace(TWO, variants=many)) is None  # fmt: skip


# No winner --------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("otherwise", "sent"), [("control", "plain"), ("leader", "bold"), ("nothing", None)])
def test_when_the_time_is_over_the_rest_get_what_the_rule_says_and_it_is_called_no_winner(otherwise: str, sent: str | None) -> None:
    rule = TypeAdapter(WinnerRule).validate_python({**vars(RULE), "otherwise": otherwise})
    assert after(24, NOT_CLEARLY, replace(TWO, winner=rule)) == NoWinner(sent, "not_clear")
    assert after(24, {"bold": got(3, 1)}, replace(TWO, winner=rule)) == NoWinner(sent, "too_few")


def test_the_last_look_is_at_the_end_and_not_behind_it() -> None:
    assert after(23.95, NOT_CLEARLY) == LookAgain(SENT + timedelta(hours=24), "not_clear")


def test_a_winner_that_is_sure_in_the_last_moment_still_wins() -> None:
    assert isinstance(after(48, CLEARLY), Winner)


def test_people_who_are_not_spread_as_the_weights_say_make_no_winner_and_no_fallback() -> None:
    lost = {"plain": got(5_000, 480), "bold": got(4_500, 640)}
    assert [after(hour, lost) for hour in (1, 3, 24)] == [Suspect()] * 3


def test_an_experiment_without_a_rule_leaves_no_rest_to_ask_about() -> None:
    with pytest.raises(ValueError, match="winner rule"):
        after(3, CLEARLY, replace(TWO, winner=None))


# Never below its threshold ----------------------------------------------------------------------------------------------------------------


@given(
    st.lists(st.tuples(st.integers(0, 3_000), st.floats(0, 1)), min_size=2, max_size=4),
    st.floats(0, 60),
    st.sampled_from(["control", "leader", "nothing"]),
)
def test_any_winner_had_its_time_its_people_and_an_interval_on_its_side(
    found: list[tuple[int, float]], hour: float, otherwise: str
) -> None:
    names = ["plain", *(f"v{n}" for n in range(1, len(found)))]
    rule = TypeAdapter(WinnerRule).validate_python({**vars(RULE), "otherwise": otherwise})
    experiment = Experiment([Variant(name, 100 / len(names)) for name in names], GOAL, winner=rule)
    counts = {name: got(people, round(people * rate)) for name, (people, rate) in zip(names, found, strict=True)}
    match after(hour, counts, experiment):
        case Winner(variant, against):
            assert hour >= 2
            assert min(each.people for each in counts.values()) >= 200
            assert all(each.is_less for each in against.values()) if variant == "plain" else against[variant].is_more
        case NoWinner():
            assert hour >= 24
        case LookAgain(look_at):
            assert SENT + timedelta(hours=hour) < look_at <= SENT + timedelta(hours=24)


# Who gets what ----------------------------------------------------------------------------------------------------------------------------


def test_a_share_gets_variants_by_their_weights_some_are_held_out_and_the_rest_waits() -> None:
    experiment = replace(THREE, holdout=10)
    got: dict[str, int] = {}
    for n in range(50_000):
        part = part_of(experiment, "demo", "spring-sale", f"user-{n}")
        name = part if isinstance(part, str) else part.name
        got[name] = got.get(name, 0) + 1
    expected = {"held_out": 5_000, "rest": 36_000, "plain": 3_060, "bold": 2_970, "long": 2_970}
    assert {name: abs(got[name] - count) < 250 for name, count in expected.items()} == dict.fromkeys(expected, True), got


def test_without_a_rule_everybody_gets_a_variant_and_the_same_as_with_one() -> None:
    for n in range(2_000):
        user = f"user-{n}"
        with_rule, without = part_of(THREE, "demo", "sale", user), part_of(replace(THREE, winner=None), "demo", "sale", user)
        assert without in THREE.variants
        assert with_rule in {"rest", without}
        assert (with_rule == "rest") is (bucket("demo", "$campaign/sale", "$tested", user) >= 2_000)


# What is wrong ----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("experiment", "wrong"),
    [
        (THREE, []),
        (replace(TWO, winner=None), []),
        (replace(TWO, variants=[Variant("plain", 100)]), [("/variants", "too_few_variants")]),
        (replace(TWO, variants=[]), [("/variants", "too_few_variants"), ("/variants", "weights_not_100")]),
        (replace(TWO, variants=[Variant("plain", 50), Variant("plain", 50)]), [("/variants", "variant_not_unique")]),
        (replace(TWO, variants=[Variant("plain", 33.335), Variant("bold", 66.665)]),
            [("/variants/0/weight", "weight_percent"), ("/variants/1/weight", "weight_percent")]),
        (replace(TWO, variants=[Variant("plain", 0), Variant("bold", 100)]), [("/variants/0/weight", "weight_percent")]),
        (replace(TWO, variants=[Variant("plain", 50), Variant("bold", 40)]), [("/variants", "weights_not_100")]),
        (replace(TWO, holdout=100), [("/holdout", "holdout_percent")]),
        (replace(TWO, goal=event("x").within(hours(0))), [("/goal/within", "no_duration")]),
        (replace(TWO, winner=replace(RULE, tested=100)), [("/winner/tested", "tested_percent")]),
        (replace(TWO, winner=replace(RULE, tested=0.005)), [("/winner/tested", "tested_percent")]),
        (replace(TWO, winner=replace(RULE, after=-hours(1))), [("/winner/after", "no_duration")]),
        (replace(TWO, winner=replace(RULE, after=days(2))), [("/winner/until", "until_before_after")]),
        (replace(TWO, winner=replace(RULE, at_least=0)), [("/winner/at_least", "no_people")]),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_place(experiment: Experiment, wrong: list[tuple[str, str]]) -> None:
    assert [(each.pointer, each.code) for each in problems(experiment)] == wrong


def test_json_round_trip_is_the_identity() -> None:
    adapter = TypeAdapter(Experiment)
    for experiment in (TWO, replace(THREE, winner=None, holdout=2.5)):
        assert adapter.validate_json(adapter.dump_json(experiment, exclude_none=True)) == experiment
