"""Equality and hash of the language's values: by shape, never by asking an expression for `==`."""

import pytest

from journeys.language import Journey, Send, captured, days, email, event, hours, prop, push, trait
from journeys.language.conditions import Compare
from journeys.language.nodes import Node


def _keyed(path: str) -> Journey:
    return Journey("keyed", starts_on=event("x"), key=prop(path), steps=[Send("hello", email("hello"))])


def test_journeys_that_differ_only_in_an_expression_differ() -> None:
    assert _keyed("a") != _keyed("b")
    assert _keyed("a") == _keyed("a")
    assert len({_keyed("a"), _keyed("b"), _keyed("a")}) == 2


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (trait("n") == 1, trait("n") == True),  # noqa: E712 - that 1 and True differ is the point
        (trait("n") == 1, trait("n") == 1.0),
        (trait("n") == 1, trait("n") == "1"),
        (trait("n") == 1, trait("n") != 1),
        (trait("n").is_in([1]), trait("n").is_in([1, 1])),
        (prop("a").exists(), trait("a").exists()),
        (trait("a").before(trait("b")), trait("a").after(trait("b"))),
        (event("a"), event("a").any_key()),
        (email("a"), push("a")),
    ],
)
def test_values_of_another_shape_are_not_equal(left: Node, right: Node) -> None:
    assert left != right
    assert not left == right  # noqa: SIM201 - both operators are ours


def test_values_of_one_shape_are_equal_and_hash_alike() -> None:
    left, right = (captured("a", "x") >= 9) & prop("b").exists(), (captured("a", "x") >= 9) & prop("b").exists()
    assert left == right
    assert hash(left) == hash(right)
    assert days(1) == hours(24)


def test_a_value_never_equals_what_is_no_value() -> None:
    assert days(1) != 86400
    assert event("a") != "a"


def test_comparing_an_expression_builds_a_condition() -> None:
    assert isinstance(trait("a") == 1, Compare)
    assert isinstance(trait("a") != trait("b"), Compare)
