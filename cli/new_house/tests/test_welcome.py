"""The journey's brief, as tests: no server, no clock."""

from journeys.language import days, hours, rehearse
from journeys.welcome import journey


def test_who_begins_is_left_in_peace() -> None:
    assert rehearse(journey, [(days(2), "project_created")]).sent == ["hello"]


def test_who_does_not_begin_gets_a_hint() -> None:
    assert rehearse(journey, calls={"contact": {"name": "Grace"}}).sent == ["hello", "hint"]


def test_who_leaves_hears_no_more() -> None:
    played = rehearse(journey, [(hours(5), "account_closed")])
    assert played.sent == ["hello"]
    assert played.ended == "exited: account_closed"
