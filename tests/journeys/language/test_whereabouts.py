"""Where people can be between two steps that write something down."""

from journeys.language import (
    Arm,
    Call,
    Case,
    Enter,
    Exit,
    If,
    Repeat,
    Send,
    Split,
    Switch,
    Update,
    Wait,
    WaitFor,
    days,
    email,
    event,
    function,
    hours,
    prop,
    push,
    trait,
)
from journeys.language.steps import AnyStep
from journeys.language.whereabouts import START, ways_on, whereabouts


def at(*steps: AnyStep) -> dict[tuple[str, str], tuple[str, ...]]:
    return {place: halts.steps for place, halts in whereabouts(steps).items()}


MAIL, BYE = Send("mail", email("mail")), Send("bye", email("bye"))


def test_who_came_through_nothing_yet_stands_at_the_first_step() -> None:
    assert at(MAIL)[START] == ("mail",)
    assert at(Wait("rest", days(1)), MAIL)[START] == ("rest",)


def test_a_wait_is_known_from_the_step_before_it() -> None:
    found = at(MAIL, Wait("rest", days(1)), WaitFor("answer", event("answered"), within=days(2)), BYE)
    assert found["mail", "sent"] == ("rest", "answer")
    assert found["bye", "sent"] == ()


def test_each_way_out_of_a_step_is_followed() -> None:
    mail = Send("mail", email("mail"), otherwise=[Wait("sorry", hours(1)), BYE])
    found = at(mail, Send("next", push("next")))
    assert found["mail", "sent"] == ("next",)
    assert found["mail", "not_sent"] == ("sorry",)
    assert found["bye", "sent"] == ("next",)


def test_decisions_lead_into_their_branches_and_on() -> None:
    ask = If("ask", trait("a") == 1, then=[Wait("yes", days(1))], otherwise=[Exit("out", "no")])
    switch = Switch("which", cases=[Case(trait("a") == 1, [Wait("first", days(1))])], otherwise=[])
    found = at(ask, switch, Wait("end", days(1)))
    assert found["ask", "0"] == ("yes",)
    assert found["ask", "otherwise"] == ()
    assert found["which", "0"] == ("first", "end")
    assert found["which", "otherwise"] == ("end",)


def test_a_split_and_what_needs_no_time_are_passed_through() -> None:
    split = Split("offer", arms=[Arm("a", 50, [Wait("left", days(1))]), Arm("b", 50, [BYE])])
    assert at(MAIL, split)["mail", "sent"] == ("left",)
    found = at(Update("mark", {"a": 1}), Enter("other", "win-back"), Call("ask", function("ask"), otherwise=[BYE]), Wait("end", days(1)))
    assert found["mark", "updated"] == ()
    assert found["other", "asked_to_enter"] == ("ask",)
    assert (found["ask", "done"], found["ask", "failed"]) == (("end",), ("bye",))


def test_a_repeat_leads_back_to_its_beginning() -> None:
    repeat = Repeat("again", times=3, steps=[MAIL, Wait("rest", days(1))])
    assert at(repeat, Wait("end", days(1)))["mail", "sent"] == ("rest", "end")
    until = Repeat("again", times=3, until=trait("a") == 1, steps=[Wait("rest", days(1)), MAIL])
    found = at(until, Wait("end", days(1)))
    assert found["again:until", "0"] == ("end",)
    assert found["again:until", "otherwise"] == ("rest",)


def test_what_comes_next_is_told_for_each_way_on() -> None:
    answer = WaitFor("answer", event("answered").where(prop("a") == 1), within=days(1), then=[MAIL])
    steps = (answer, BYE)
    assert [(way, step.id if step else None) for way, step in ways_on(steps, "answer")] == [
        ("on answered (a is 1)", "mail"),
        ("otherwise", "bye"),
    ]
    assert ways_on(steps, "bye") == [("", None)]
    assert [(way, step and step.id) for way, step in ways_on(steps, "mail")] == [("", "bye")]
