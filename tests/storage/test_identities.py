"""Who is who: the plan that a batch makes of its items, without a database. What becomes of the rows is in test_events.py."""

import pytest

from storage.identities import ANONYMOUS, KNOWN, Key, Mention, Plan, keys_of, plan

ADA: dict[Key, tuple[int, str | None]] = {(KNOWN, "ada"): (1, "ada")}
GUEST: dict[Key, tuple[int, str | None]] = {(ANONYMOUS, "x"): (2, None)}
BOTH = ADA | GUEST


def identify(user: str, device: str, *, is_trusted: bool = True) -> Mention:
    return Mention(user, device, joins=True, is_trusted=is_trusted)


def alias(previous: str, user: str, *, may_join_known: bool = False) -> Mention:
    return Mention(user, previous_id=previous, joins=True, may_join_known=may_join_known)


def joins(made: Plan) -> list[tuple[int | None, int | None]]:
    return [(join.survivor.id, join.loser.id) for join in made.joins]


def missing(made: Plan) -> dict[Key, int | None]:
    return {key: person.survivor.id for key, person in made.missing.items()}


def test_people_who_are_known_need_nothing() -> None:
    made = plan([Mention("ada"), Mention(anonymous_id="x")], BOTH)
    assert ([person.id for person in made.people], made.missing, made.joins) == ([1, 2], {}, [])


def test_two_mentions_of_a_stranger_are_one_new_person() -> None:
    made = plan([Mention("eve"), Mention("eve", "x")], {})
    assert made.people[0] is made.people[1]
    assert missing(made) == {(KNOWN, "eve"): None}


def test_identify_joins_the_guest_to_the_known_person() -> None:
    made = plan([Mention(anonymous_id="x"), identify("ada", "x"), Mention(anonymous_id="x")], BOTH)
    assert joins(made) == [(1, 2)]
    assert {person.survivor.id for person in made.people} == {1}


def test_identify_gives_a_guest_their_first_name_without_a_join() -> None:
    made = plan([identify("eve", "x")], GUEST)
    assert (joins(made), missing(made)) == ([], {(KNOWN, "eve"): 2})
    assert made.people[0].user_id == "eve"
    assert made.people[0].is_promoted


def test_a_device_that_nobody_knows_yet_is_attached() -> None:
    assert missing(plan([identify("ada", "new")], ADA)) == {(ANONYMOUS, "new"): 1}


def test_a_batch_that_invents_everybody_makes_one_person() -> None:
    made = plan([Mention(anonymous_id="x"), Mention("eve"), identify("eve", "x")], {})
    assert len({person.survivor for person in made.people}) == 1
    assert set(made.missing) == {(ANONYMOUS, "x"), (KNOWN, "eve")}


def test_two_guests_of_one_person_are_joined_each_once() -> None:
    known = BOTH | {(ANONYMOUS, "y"): (3, None)}
    made = plan([identify("ada", "x"), identify("ada", "y"), identify("ada", "x")], known)
    assert joins(made) == [(1, 2), (1, 3)]


def test_a_name_that_came_earlier_in_the_batch_goes_to_the_stored_guest() -> None:
    made = plan([Mention("eve"), identify("eve", "x")], GUEST)
    assert {person.survivor.id for person in made.people} == {2}
    assert made.people[1].is_promoted


@pytest.mark.parametrize(("may_join", "expected"), [(True, [(1, 4)]), (False, [])])
def test_only_a_servers_alias_joins_two_known_people(may_join: bool, expected: list[tuple[int, int]]) -> None:
    known = ADA | {(KNOWN, "old"): (4, "old")}
    made = plan([alias("old", "ada", may_join_known=may_join)], known)
    assert (joins(made), made.withheld) == (expected, set() if may_join else {0})


def test_a_device_of_a_known_person_stays_with_them() -> None:
    known = ADA | {(ANONYMOUS, "x"): (5, "bob"), (KNOWN, "bob"): (5, "bob")}
    made = plan([identify("ada", "x"), Mention(anonymous_id="x")], known)
    assert (joins(made), [person.id for person in made.people]) == ([], [1, 5])


def test_an_alias_takes_the_anonymous_id_before_the_user_id() -> None:
    known = BOTH | {(KNOWN, "x"): (6, "x")}
    assert joins(plan([alias("x", "ada", may_join_known=True)], known)) == [(1, 2)]


def test_a_browser_that_is_not_believed_joins_without_trust() -> None:
    (join,) = plan([identify("ada", "x", is_trusted=False)], BOTH).joins
    assert not join.is_trusted
    assert not plan([identify("eve", "x", is_trusted=False)], GUEST).people[0].is_promotion_trusted


def test_keys_come_sorted_and_only_where_they_matter() -> None:
    mentions = [Mention("b", "x"), Mention("a"), identify("a", "y"), alias("p", "a")]
    assert keys_of(mentions) == [("a", "p"), ("a", "y"), ("u", "a"), ("u", "b"), ("u", "p")]
