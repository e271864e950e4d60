import json

import pytest

from api.publishing import compare, entry_words, read
from journeys.language import ALWAYS, Arm, Journey, Send, Split, codec, days, email, event, hours, prop
from journeys.language.errors import Invalid
from storage.journeys import JourneyState


def journey(name: str = "welcome", **more: object) -> Journey:
    return Journey(name, starts_on=event("signed_up"), steps=[Send("hello", email("hello"))], **more)  # type: ignore[arg-type]


def split(reminder: int) -> Journey:
    arms = [Arm("reminder", reminder, [Send("a", email("hello"))]), Arm("discount", 100 - reminder, [Send("b", email("hello"))])]
    return Journey("offer", starts_on=event("signed_up"), steps=[Split("arms", arms=arms)])


def live(one: Journey, **more: object) -> JourneyState:
    state = {"accepts_entries": True, "paused_at": None, "retired_at": None, "inside": {1: 3, 2: 4}}
    return JourneyState(name=one.name, live_version=2, live_hash=codec.content_hash(one), **(state | more))  # type: ignore[arg-type]


def written(*several: Journey) -> list[object]:
    return read([json.loads(codec.to_json(one)) for one in several])  # type: ignore[return-value]


def changes(after: list[Journey], before: list[JourneyState], definitions: list[Journey] = []) -> list[tuple[str, str]]:  # noqa: B006
    stored = {one.name: codec.to_json(one).decode() for one in definitions}
    return [(change.name, change.change) for change in compare(written(*after), before, stored)]  # type: ignore[arg-type]


def test_what_is_new_changed_same_and_gone_is_told_apart() -> None:
    now = [live(journey("same")), live(journey("changed")), live(journey("gone")), live(journey("long-gone"), retired_at="then")]
    after = [journey("same"), journey("changed", holdout=10), journey("new")]
    assert changes(after, now) == [("changed", "changed"), ("gone", "retired"), ("new", "new"), ("same", "same")]


def test_a_retired_journey_that_is_written_again_comes_back() -> None:
    assert changes([journey()], [live(journey(), retired_at="then")]) == [("welcome", "back")]


def test_a_change_says_how_many_people_are_inside() -> None:
    assert compare(written(journey()), [live(journey(holdout=1))], {})[0].inside == {1: 3, 2: 4}  # type: ignore[arg-type]


def test_a_change_says_what_differs() -> None:
    [change] = compare(written(journey(holdout=10)), [live(journey())], {"welcome": codec.to_json(journey()).decode()})  # type: ignore[arg-type]
    assert [each.words for each in change.differences] == ["holdout is 10, was 0"]


def test_a_journey_that_only_has_another_name_is_a_new_one_and_says_so() -> None:
    stored = {"hello": codec.to_json(journey("hello")).decode()}
    new, gone = sorted(compare(written(journey("welcome")), [live(journey("hello"))], stored), key=lambda each: each.change)  # type: ignore[arg-type]
    assert (new.name, new.change, new.renamed_from) == ("welcome", "new", "hello")
    assert (gone.name, gone.change) == ("hello", "retired")


def test_a_journey_of_other_steps_is_no_renamed_one() -> None:
    stored = {"offer": codec.to_json(split(50)).decode()}
    assert [change.renamed_from for change in compare(written(journey()), [live(split(50))], stored)] == [None, None]  # type: ignore[arg-type]


def test_a_change_of_weights_says_how_many_change_their_arm() -> None:
    after, before = split(30), split(50)
    [change] = compare(written(after), [live(before)], {"offer": codec.to_json(before).decode()})  # type: ignore[arg-type]
    assert change.arms == ("arms: 20 % of people change their arm",)


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (journey(), "each user once in a lifetime"),
        (journey(key=prop("order_id")), "each user and key once in a lifetime"),
        (journey(again_after=days(7)), "each user again 7 days after the last time they entered"),
        (journey(again_after=hours(36)), "each user again 36 hours after the last time they entered"),
        (journey(again_after=ALWAYS), "each user again whenever they are not inside"),
    ],
)
def test_how_often_a_person_may_enter_is_said_in_words(one: Journey, words: str) -> None:
    assert entry_words(one) == words


def test_all_problems_of_all_journeys_are_told_at_once() -> None:
    with pytest.raises(Invalid) as raised:
        read([{"kind": "journey", "name": "a"}, {"kind": "journey", "name": "B b", "starts_on": 1, "steps": []}, {}])
    assert {problem.pointer.split("/")[2] for problem in raised.value.problems} == {"0", "1", "2"}
