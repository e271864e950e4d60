"""What can be wrong with a campaign by itself; what it names (segment, templates) is looked at where that is known."""

import re
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from journeys.language import experiments
from journeys.language.check_conditions import conditions_in
from journeys.language.check_hours import hours_problems
from journeys.language.conditions import Captured, Entry
from journeys.language.cron_fields import NoCron, fields_of
from journeys.language.durations import Duration, days, hours
from journeys.language.entries import SegmentEntry
from journeys.language.errors import Problem
from journeys.language.events import Event, Events, Goal
from journeys.language.experiments import Experiment, Variant
from journeys.language.findings import Place
from journeys.language.listening import LEFT
from journeys.language.messages import Message
from journeys.language.segments import named_in
from journeys.language.timing import AtTimes, Once, Recurring
from journeys.language.walk import nodes_in
from journeys.language.zones import zone_of

if TYPE_CHECKING:
    from datetime import tzinfo

    from journeys.language.campaigns import Campaign

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_VERSION = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}")
_TEMPLATE = re.compile(r"[a-z0-9]+([-_][a-z0-9]+)*")
_RESERVED = ("message", "rest")
_LONGEST_NAME = 63
_ALL_ZONES = hours(28)
# Caps look so far back, by the time in the ids of messages: the beginning of their run.
_LONGEST_AFTER = days(30)
USUAL_LASTS = hours(72)
"""For so long a run's messages may leave unless it says otherwise; what an event sends is tried for no longer."""
_OF_RUNS = ("winner", "most_people", "per_second", "quiet_hours", "send_window", "caps")
# Weights are checked also where nothing is measured.
_ANY_GOAL = Goal(Events([Event("any")]), days(1))


def campaign_problems(campaign: "Campaign") -> list[Problem]:
    """Find everything that is wrong with a campaign by itself; an empty list means none."""
    place = Place(campaign.name)
    return [
        *_names(campaign, place),
        *_messages(campaign, place),
        *_experiment(campaign, place),
        *_numbers(campaign, place),
        *hours_problems(campaign.quiet_hours, campaign.send_window, place),
        *_when(campaign, place.at("when")),
    ]


def _names(campaign: "Campaign", place: Place) -> Iterator[Problem]:
    if not _NAME.fullmatch(campaign.name) or len(campaign.name) > _LONGEST_NAME:
        yield place.problem(
            "name_not_kebab", "a campaign's name is small letters and digits joined by hyphens, 63 at most: write it like spring-sale"
        )
    if not campaign.segment:
        yield place.problem("no_segment", "a campaign goes to a segment: name one that there is")


def _messages(campaign: "Campaign", place: Place) -> Iterator[Problem]:
    if (campaign.message is None) == (not campaign.versions):
        yield place.problem("one_message_or_versions", "a campaign has a message, or versions of it: write one of the two")
    for message in [campaign.message] if campaign.message else []:
        yield from _message(message, place)
    names = [each.name for each in campaign.versions]
    for each in campaign.versions:
        where = place.at(each.name)
        if not _VERSION.fullmatch(each.name):
            yield where.problem("version_not_plain", "a version's name is letters, digits, _ and -, and begins with a letter")
        if each.name in _RESERVED:
            yield where.problem("version_reserved", "message and rest have a meaning in a campaign's results: choose another name")
        yield from _message(each.message, where)
        if each.after is not None and not 0 <= each.after.seconds <= _LONGEST_AFTER.seconds:
            yield where.problem("after_too_long", "after is so long after the run begins: from 0 to 30 days, such as hours(3)")
    if len(set(names)) < len(names):
        yield place.at("versions").problem("version_not_unique", "each version has a name of its own")


def _messages_of(campaign: "Campaign") -> list[Message]:
    return [*([campaign.message] if campaign.message else []), *(each.message for each in campaign.versions)]


def _message(message: Message, place: Place) -> Iterator[Problem]:
    if not _TEMPLATE.fullmatch(message.template):
        yield place.problem("template_not_plain", "a template's name is that of its folder in journeys/templates/")


def _experiment(campaign: "Campaign", place: Place) -> Iterator[Problem]:
    if campaign.winner is not None and (not campaign.versions or campaign.goal is None):
        yield place.at("winner").problem(
            "winner_of_nothing", "a winner is one of several versions, found by a goal: write versions= and goal="
        )
    if campaign.versions:
        variants = [Variant(each.name, each.weight) for each in campaign.versions]
        experiment = Experiment(variants, campaign.goal or _ANY_GOAL, winner=campaign.winner, holdout=campaign.holdout)
        for problem in experiments.problems(experiment):
            if problem.code != "variant_not_unique":
                yield place.at(problem.pointer.split("/")[1].replace("variants", "versions")).problem(problem.code, problem.message)
    elif not 0 <= campaign.holdout < 100 or Decimal(str(campaign.holdout)) * 100 % 1:
        yield place.problem("holdout_percent", "a percentage from 0 to below 100, with two decimals at most")
    if campaign.goal is not None:
        yield from _about_one_event(campaign.goal, place.at("goal"))


def _about_one_event(value: Any, place: Place) -> Iterator[Problem]:
    if any(isinstance(each, (Entry, Captured)) for each in nodes_in(value)):
        yield place.problem("of_an_enrollment", "a campaign has no enrollment, so entry and captured are not known: ask prop and literals")
    else:
        yield from conditions_in(value, place)


def _numbers(campaign: "Campaign", place: Place) -> Iterator[Problem]:
    if campaign.per_second is not None and campaign.per_second <= 0:
        yield place.problem("no_rate", "per_second is how many messages may leave in a second: more than 0, or leave it out")
    if campaign.most_people is not None and campaign.most_people < 1:
        yield place.problem("no_people", "most_people is how many people it goes to at most: 1 or more, or leave it out")
    if campaign.lasts.seconds <= 0:
        yield place.problem("no_duration", "lasts must be longer than 0: write a length of time, such as hours(24)")
    yield from _too_short(campaign, place)
    for cap in campaign.caps or ():
        if isinstance(cap.per, Duration) and cap.per.seconds <= 0:
            yield place.problem("no_duration", "a cap's per must be longer than 0: write a length of time, such as days(7)")


def _too_short(campaign: "Campaign", place: Place) -> Iterator[Problem]:
    """What has not left when a run is over is skipped."""
    latest = max((each.after.seconds for each in campaign.versions if each.after is not None), default=0)
    left_s = campaign.lasts.seconds - latest
    if latest and left_s <= 0:
        yield place.at("versions").problem("after_the_end", "the run is over before its last version is sent: make lasts longer than after")
    elif campaign.winner is not None and campaign.winner.until.seconds >= left_s:
        yield place.at("winner").problem(
            "winner_after_end",
            "the run is over before the rest gets anything: make lasts longer than the longest after and the winner's until together",
        )
    if isinstance(campaign.when, (Once, Recurring)) and campaign.when.local and left_s < _ALL_ZONES.seconds:
        yield place.problem(
            "lasts_too_short",
            "a time goes round the world in 26 hours: with local=True lasts is 28 hours or more, beside the longest after",
        )


def _when(campaign: "Campaign", place: Place) -> Iterator[Problem]:
    match campaign.when:
        case Events() | SegmentEntry():
            yield from _about_one_event(campaign.when, place)
            yield from _of_who_has_left(campaign, place)
            for name in _OF_RUNS:
                if getattr(campaign, name) is not None:
                    yield place.problem(
                        "not_on_events", f"{name} is of runs, and an event sends one message at once: leave it out, or set it for the app"
                    )
            if campaign.goal is not None:
                yield place.problem(
                    "not_on_events", "goal is of runs: of what an event sends messages are counted, and no results made: leave it out"
                )
            if campaign.lasts.seconds > USUAL_LASTS.seconds:
                yield place.problem("not_on_events", "what an event sends is tried for 72 hours at most: make lasts 72 hours or shorter")
            if any(each.provider for each in _messages_of(campaign)):
                yield place.problem("not_on_events", "provider= is of runs: what an event sends goes by the app's accounts")
            if any(each.after is not None for each in campaign.versions):
                yield place.problem(
                    "not_on_events", "after= is of runs, and an event sends at once: write a journey that waits and then sends"
                )
        case Once() | Recurring():
            yield from _at_times(campaign.when, place)
        case None:
            pass
    if campaign.local_at is not None:
        yield place.problem("local_at_of_a_run", 'local_at is set by the run: write when=once("2026-12-01T09:00", local=True)')


def _of_who_has_left(campaign: "Campaign", place: Place) -> Iterator[Problem]:
    for each in campaign.trigger.any_of if campaign.trigger else ():
        if each.name == LEFT and named_in(each.where) == {campaign.segment}:
            yield place.problem(
                "left_its_segment",
                f"who has left {campaign.segment} is not in it, so this writes to nobody: let it go to the segment in which they are then",
            )


def _at_times(when: AtTimes, place: Place) -> Iterator[Problem]:
    if _is_unknown(zone_of(when.zone)):
        yield place.problem("no_such_zone", "zone is no zone of the IANA database: write it like Europe/Berlin")
    if when.local and when.zone != "UTC":
        yield place.problem("local_and_zone", "local=True is everybody's own clock, so there is no zone: leave one of the two out")
    if isinstance(when, Once):
        yield from _is_a_day(when, place)
        return
    try:
        if fields_of(when.cron).never_come():
            yield place.problem("cron_never", "this cron names days that no month has: name one that comes")
    except NoCron as bad:
        yield place.problem("bad_cron", f"this is no cron: {bad}")
    if when.first is not None and when.last is not None and when.last < when.first:
        yield place.problem("last_before_first", "last is a date before first: nothing would ever begin")


def _is_a_day(when: Once, place: Place) -> Iterator[Problem]:
    try:
        date.fromisoformat(when.at[:10])
    except ValueError:
        yield place.problem("no_such_day", "there is no such day: mend the date")


def _is_unknown(zone: "tzinfo") -> bool:
    return zone is zone_of(None)
