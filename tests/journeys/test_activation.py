"""A new workspace: every second morning, three times at most, one nudge for what is missing: a source, a report, sharing it."""

from datetime import UTC, datetime

from journeys.activation import journey
from journeys.language import Person, days, hours, rehearse
from tests.journeys.briefs import sent_at


def test_who_does_nothing_is_nudged_three_times_to_connect_a_source() -> None:
    idle = rehearse(journey)
    assert idle.sent == ["connect", "connect", "connect"]
    assert idle.ended == "completed"


def test_each_nudge_is_for_the_step_that_is_missing() -> None:
    busy = rehearse(journey, [(days(2), "source_connected"), (days(4), "report_made")])
    assert busy.sent == ["connect", "make", "share"]


def test_nudges_come_at_nine_on_every_second_morning() -> None:
    nudged = [f"{line.at:%a %H:%M}" for line in rehearse(journey).lines if line.words.endswith(" sent")]
    assert nudged == ["Wed 09:00", "Fri 09:00", "Sun 09:00"]


def test_nine_is_nine_where_they_live() -> None:
    assert sent_at(rehearse(journey, user=Person(timezone="America/New_York")), "connect") == "Wed 2026-03-04 14:00"


def test_the_night_when_the_clocks_change_makes_no_extra_nudge() -> None:
    before_winter_time = datetime(2026, 10, 23, 10, 0, tzinfo=UTC)
    nudged = rehearse(journey, user=Person(timezone="Europe/Berlin"), starts_at=before_winter_time)
    assert [f"{line.at:%a %H:%M}" for line in nudged.lines if line.words.endswith(" sent")] == ["Sun 08:00", "Tue 08:00", "Thu 08:00"]


def test_who_works_ahead_is_only_asked_to_share() -> None:
    ahead = rehearse(journey, [(hours(1), "source_connected"), (hours(2), "report_made")])
    assert ahead.sent == ["share", "share", "share"]


def test_sharing_ends_it_even_on_the_morning_of_the_next_nudge() -> None:
    shared = rehearse(journey, [(hours(1), "source_connected"), (hours(2), "report_made"), (hours(44), "report_shared")])
    assert shared.sent == []
    assert shared.ended == "exited: report_shared"


def test_a_deleted_workspace_is_left_in_peace() -> None:
    assert rehearse(journey, [(days(3), "workspace_deleted")]).sent == ["connect"]
