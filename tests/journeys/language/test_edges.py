"""Which moments time alone may change an answer at; that none is missing, tests/activities/test_membership.py shows."""

from datetime import timedelta

import pytest

from journeys.language import ago, ahead, days, did, did_not, has, in_segment, last_did, opened, prop, sample, trait
from journeys.language.conditions import AnyCondition, MessageWas
from journeys.language.edges import Edge, GoesBy, IsToBeTold, IsToCome, Leaves, edges

DAY = timedelta(days=1)
COMES = IsToCome("a")


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ((trait("plan") == "gold") & has("push") & in_segment("vip") & sample(5), ()),
        (did("a"), (COMES,)),
        (did_not("a", last=days(1)), (COMES, Leaves("a", DAY, only_last=True))),
        # Each of them counts, or may be the one that counts: any that leaves may matter.
        (did("a", at_least=2, last=days(1)), (COMES, Leaves("a", DAY))),
        (did("a", where=prop("x") == 1, last=days(1)), (COMES, Leaves("a", DAY))),
        (did("a", then="b", within=days(3), last=days(1)), (COMES, IsToCome("b"), Leaves("a", DAY))),
        (did("a", between=(ago(days(1)), ahead(days(1)))), (COMES, Leaves("a", DAY), Leaves("a", -DAY))),
        (did("a", between=(trait("x"), trait("y"))), (COMES,)),
        (trait("x").before(ago(days(1))), (GoesBy(trait("x").before(ago(days(1))), DAY),)),
        (trait("x").after(ahead(days(1))), (GoesBy(trait("x").after(ahead(days(1))), -DAY),)),
        (trait("x").after(trait("y")), ()),
        (last_did("a").before(ago(days(1))), (GoesBy(last_did("a").before(ago(days(1))), DAY), COMES)),
        (opened(template="t"), (IsToBeTold(MessageWas("opened", template="t")),)),
    ],
)
def test_a_condition_has_these_edges(condition: AnyCondition, found: tuple[Edge, ...]) -> None:
    assert edges([condition, condition]) == found
