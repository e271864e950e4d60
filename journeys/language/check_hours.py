"""What can be wrong with the hours in which messages may leave."""

from collections.abc import Iterator
from datetime import timedelta

from journeys.language.errors import Problem
from journeys.language.findings import Place
from journeys.language.messages import QuietHours, SendWindow
from journeys.language.permitted import Hours, leave_none, length_of

# On the day on which clocks go back by an hour or two, what is put off still waits for 24 hours at most.
_LONGEST_QUIET = timedelta(hours=22)


def hours_problems(quiet: QuietHours | None, window: SendWindow | None, place: Place) -> Iterator[Problem]:
    """Find what is wrong with quiet hours and a send window that hold together."""
    if quiet is not None and length_of(quiet) > _LONGEST_QUIET:
        yield place.problem("quiet_too_long", "these quiet hours last longer than 22 hours: leave two hours of the day in which to send")
    if window is not None and window.days is not None and (not window.days or len(set(window.days)) < len(window.days)):
        yield place.problem("window_days", "days= names each weekday of the window once: write them, or leave it out for every day")
    elif leave_none(Hours((quiet,) if quiet else (), (window,) if window else ())):
        yield place.problem("never_permitted", "the send window lies inside the quiet hours: let them leave some time in which to send")
