"""Caps against a slow counter, over every zone, on days of 23 and of 25 hours, in weeks and months: not one too many, not one too few."""

import random
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from activities.rules import Go, Known, Ruling, Skip, Target, Terms, look_back, ruling
from journeys.language.durations import Duration, hours
from journeys.language.messages import CalendarPeriod, Cap
from storage.standing import Claimed
from tests.journeys.language.test_permitted import EVERY_ZONE, changes, utc

ANN = Target("ann@example.com", b"ann")
PERIODS: tuple[CalendarPeriod, ...] = ("day", "week", "month")


def same_period(period: CalendarPeriod, one: datetime, other: datetime) -> bool:
    """By the dates that the wall shows."""
    match period:
        case "day":
            return one.date() == other.date()
        case "week":
            return one.isocalendar()[:2] == other.isocalendar()[:2]
        case "month":
            return (one.year, one.month) == (other.year, other.month)


def counts(cap: Cap, claimed: Claimed, now: datetime, zone: ZoneInfo) -> bool:
    if cap.counts == "marketing" and claimed.message_class == "transactional":
        return False
    if (cap.channel and cap.channel != claimed.channel) or (cap.topic and cap.topic != claimed.topic):
        return False
    if isinstance(cap.per, Duration):
        return now - claimed.at < cap.per.timedelta
    return same_period(cap.per, claimed.at.astimezone(zone), now.astimezone(zone))


def expected(terms: Terms, known: Known) -> Ruling:
    for cap in terms.caps:
        concerns = cap.channel in {None, terms.channel} and cap.topic in {None, terms.topic}
        if concerns and sum(counts(cap, each, known.now, terms.zone) for each in known.claimed) >= cap.at_most:
            return Skip("capped")
    return Go()


def some_cap(random_: random.Random) -> Cap:
    return Cap(
        random_.randint(0, 4),
        per=random_.choice([*PERIODS, *PERIODS, hours(random_.randint(1, 200))]),
        channel=random_.choice([None, None, "email", "sms"]),
        topic=random_.choice([None, None, "general", "news"]),
        counts=random_.choice(["marketing", "everything"]),
    )


def some_claimed(random_: random.Random, now: datetime) -> Claimed:
    """Most of them near: the day's edges are what is easily wrong."""
    ago = timedelta(minutes=random_.choice([random_.randint(0, 1_600), random_.randint(0, 1_600), random_.randint(0, 60_000)]))
    is_marketing = random_.random() < 0.8
    return Claimed(
        random_.choice(["email", "sms"]),
        now - ago,
        random_.choice(["general", "news"]) if is_marketing else None,
        "marketing" if is_marketing else "transactional",
    )


def test_in_every_zone_around_every_change_of_clocks_caps_count_as_a_slow_counter_does() -> None:
    random_, capped, counted = random.Random(5), 0, 0
    for name in EVERY_ZONE:
        zone = ZoneInfo(name)
        for change in changes(zone) or [utc("2026-03-29T01:00")]:
            for _ in range(3):
                now = change + timedelta(minutes=random_.randint(-1_500, 1_500))
                caps = [some_cap(random_) for _ in range(random_.randint(1, 2))]
                terms = Terms("email", "marketing", "general", zone, caps=caps)
                known = Known(now, claimed=[some_claimed(random_, now) for _ in range(random_.randint(0, 6))])
                wanted = expected(terms, known)
                assert ruling(terms, ANN, known) == wanted, (name, now, caps, known.claimed)
                since = look_back(caps, now, zone)
                assert since is not None
                seen = Known(now, claimed=[each for each in known.claimed if each.at >= since])
                assert ruling(terms, ANN, seen) == wanted
                counted, capped = counted + 1, capped + (wanted != Go())
    assert counted > 9_000
    assert counted / 5 < capped < counted * 4 / 5


def test_a_day_of_23_and_of_25_hours_is_one_day() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    for midnight, length in ((utc("2026-03-28T23:00"), 23), (utc("2026-10-24T22:00"), 25)):
        first, last = midnight, midnight + timedelta(hours=length) - timedelta(seconds=1)
        terms = Terms("email", "marketing", "general", berlin, caps=[Cap(1, per="day")])
        assert ruling(terms, ANN, Known(last, claimed=[Claimed("email", first, "general")])) == Skip("capped")
        assert ruling(terms, ANN, Known(last, claimed=[Claimed("email", first - timedelta(seconds=1), "general")])) == Go()
        assert ruling(terms, ANN, Known(last + timedelta(seconds=1), claimed=[Claimed("email", last, "general")])) == Go()
