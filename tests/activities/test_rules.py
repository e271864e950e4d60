"""Whether a message may leave: a table of persons and terms, each row with its reason, and what must hold for any of them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.rules import Defer, Go, Known, Ruling, Skip, Target, Terms, look_back, ruling
from journeys.language.durations import days, hours
from journeys.language.messages import Cap, QuietHours, SendWindow
from journeys.language.permitted import Hours
from storage.standing import Claimed, Consent

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
PUSH_URL = "https://push.example/abc"
BROWSER = Target('{"endpoint":"https://push.example/aBc","keys":{"auth":"a","p256dh":"b"}}')
ANN = Target("ann@example.com", b"ann")


def terms(channel: str = "email", message_class: str = "marketing", topic: str = "general", **more: object) -> Terms:
    return Terms(channel, message_class, topic, BERLIN, **more)  # type: ignore[arg-type]


def no(channel: str, topic: str, order: int = 1) -> Consent:
    return Consent(channel, topic, is_granted=False, order=order)


def yes(channel: str, topic: str, order: int = 1) -> Consent:
    return Consent(channel, topic, is_granted=True, order=order)


def pending(channel: str, topic: str, order: int = 1) -> Consent:
    return Consent(channel, topic, is_granted=False, order=order, stands="pending")


def needed(topic: str) -> Consent:
    return Consent("*", topic, is_granted=False, order=0, stands="needed")


def said(*consents: Consent) -> Known:
    return Known(NOON, consents)


def claimed(channel: str, at: datetime) -> Known:
    return Known(NOON, claimed=[Claimed(channel, at)])


def at(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 3, day, hour, minute, tzinfo=UTC)


NOTHING = Known(NOON)
OF_NEWS = Known(NOON, claimed=[Claimed("email", NOON - timedelta(minutes=5), "news")])
OF_NEED = Known(NOON, claimed=[Claimed("email", NOON - timedelta(minutes=5), None, "transactional")])
FEBRUARY_23H, FEBRUARY_22H = datetime(2026, 2, 28, 23, tzinfo=UTC), datetime(2026, 2, 28, 22, 59, tzinfo=UTC)
ANNS_IS_BAD = Known(NOON, suppressed=frozenset({b"ann"}))
NEEDED = "transactional"
OTHERWISE_NOT = SendWindow("14:00", "18:00", then="skip")
AFTERNOON = SendWindow("14:00", "18:00")
LUNCH = QuietHours("12:00", "14:00")  # 11:00 to 13:00 UTC in winter
AFTER_LUNCH = Defer(at(2, 13), "quiet_hours")

CASES: list[tuple[str, Terms, Target, Known, Ruling]] = [
    ("nothing against it", terms(), ANN, NOTHING, Go()),
    ("no endpoint", terms(), Target(None), NOTHING, Skip("no_endpoint")),
    ("an inactive endpoint", terms(), Target("a@b.c", is_active=False), NOTHING, Skip("inactive_endpoint")),
    ("suppressed", terms(), ANN, ANNS_IS_BAD, Skip("suppressed")),
    ("suppressed, transactional too", terms("email", NEEDED), ANN, ANNS_IS_BAD, Skip("suppressed")),
    ("another's suppression", terms(), Target("bob@example.com", b"bob"), ANNS_IS_BAD, Go()),
    ("opted out of the channel", terms(), ANN, said(no("email", "*")), Skip("opted_out")),
    ("opted out of everything", terms(), ANN, said(no("*", "*")), Skip("opted_out")),
    ("left all marketing", terms(), ANN, said(no("*", "*marketing")), Skip("unsubscribed")),
    ("left all marketing of another channel", terms(), ANN, said(no("sms", "*marketing")), Go()),
    ("left all marketing, then took a topic again", terms(), ANN, said(no("*", "*marketing"), yes("email", "general", 2)), Go()),
    ("took a topic, then left all marketing", terms(), ANN, said(yes("email", "general"), no("*", "*marketing", 2)), Skip("unsubscribed")),
    ("left all marketing, transactional", terms("email", NEEDED), ANN, said(no("*", "*marketing")), Go()),
    ("a text after leaving all marketing", terms("sms"), ANN, said(yes("sms", "*", 1), no("sms", "*marketing", 2)), Skip("unsubscribed")),
    ("asked for and not confirmed", terms(), ANN, said(pending("email", "general")), Skip("not_confirmed")),
    ("not confirmed, transactional", terms("email", NEEDED), ANN, said(pending("email", "general")), Go()),
    ("not confirmed of another topic", terms(), ANN, said(pending("email", "news")), Go()),
    ("confirmed", terms(), ANN, said(pending("email", "general"), yes("email", "general", 2)), Go()),
    ("asked for again after leaving", terms(), ANN, said(no("email", "general"), pending("email", "general", 2)), Skip("not_confirmed")),
    ("not confirmed on a closed channel", terms(), ANN, said(no("email", "*"), pending("email", "general", 2)), Skip("opted_out")),
    ("a topic that needs a yes", terms(), ANN, said(needed("general")), Skip("no_consent")),
    ("a topic that needs a yes and has it", terms(), ANN, said(needed("general"), yes("email", "general")), Go()),
    ("a topic that needs a yes, and the channel has it", terms(), ANN, said(needed("general"), yes("email", "*")), Go()),
    ("a topic that needs a yes, left", terms(), ANN, said(needed("general"), no("email", "general")), Skip("unsubscribed")),
    ("opted out, then in again", terms(), ANN, said(no("*", "*"), yes("email", "*", 2)), Go()),
    ("in, then out of everything", terms(), ANN, said(yes("email", "*"), no("*", "*", 2)), Skip("opted_out")),
    ("a closed channel is closed to transactional", terms("sms", NEEDED), ANN, said(no("sms", "*")), Skip("opted_out")),
    ("left the topic", terms(), ANN, said(no("email", "general")), Skip("unsubscribed")),
    ("left the topic on every channel", terms(), ANN, said(no("*", "general")), Skip("unsubscribed")),
    ("left another topic", terms(), ANN, said(no("email", "news")), Go()),
    ("a topic is nothing to transactional", terms("email", NEEDED), ANN, said(no("email", "general")), Go()),
    ("sms marketing without consent", terms("sms"), ANN, NOTHING, Skip("no_consent")),
    ("whatsapp marketing without consent", terms("whatsapp"), ANN, NOTHING, Skip("no_consent")),
    ("voice marketing without consent", terms("voice"), ANN, NOTHING, Skip("no_consent")),
    ("push needs none", terms("push"), ANN, NOTHING, Go()),
    ("in-app needs none", terms("in_app"), ANN, NOTHING, Go()),
    ("sms marketing with consent for the channel", terms("sms"), ANN, said(yes("sms", "*")), Go()),
    ("sms marketing with consent for the topic", terms("sms"), ANN, said(yes("sms", "general")), Go()),
    ("consent for email is none for sms", terms("sms"), ANN, said(yes("email", "*")), Skip("no_consent")),
    ("sms transactional needs none", terms("sms", NEEDED), ANN, NOTHING, Go()),
    ("not on this environment's list", terms(allowed_recipients=frozenset({"bob@example.com"})), ANN, NOTHING, Skip("not_allowed_here")),
    ("on the list by domain, in any case", terms(allowed_recipients=frozenset({"@example.com"})), Target("A@Example.com"), NOTHING, Go()),
    ("a domain is matched whole", terms(allowed_recipients=frozenset({"@ample.com"})), ANN, NOTHING, Skip("not_allowed_here")),
    ("a browser is on the list by the URL of its subscription", terms(allowed_recipients=frozenset({PUSH_URL})), BROWSER, NOTHING, Go()),
    ("a browser that is not on the list", terms(allowed_recipients=frozenset({"x"})), BROWSER, NOTHING, Skip("not_allowed_here")),
    ("on an empty list is nobody", terms(allowed_recipients=frozenset()), ANN, NOTHING, Skip("not_allowed_here")),
    ("quiet hours wait", terms(hours=Hours([LUNCH])), ANN, NOTHING, AFTER_LUNCH),
    ("quiet hours skip", terms(hours=Hours([QuietHours("12:00", "14:00", then="skip")])), ANN, NOTHING, Skip("quiet_hours")),
    ("outside quiet hours", terms(hours=Hours([QuietHours("21:00", "08:00")])), ANN, NOTHING, Go()),
    ("quiet hours are nothing to transactional", terms("email", NEEDED, hours=Hours([LUNCH])), ANN, NOTHING, Go()),
    ("outside the window waits", terms(hours=Hours((), [AFTERNOON])), ANN, NOTHING, Defer(at(2, 13), "outside_window")),
    ("outside the window skips", terms(hours=Hours((), [OTHERWISE_NOT])), ANN, NOTHING, Skip("outside_window")),
    ("inside the window", terms(hours=Hours((), [SendWindow("09:00", "18:00")])), ANN, NOTHING, Go()),
    ("a window is nothing to transactional", terms("email", NEEDED, hours=Hours((), [OTHERWISE_NOT])), ANN, NOTHING, Go()),
    ("no moment is left", terms(hours=Hours([LUNCH], [SendWindow("12:00", "14:00")])), ANN, NOTHING, Skip("never_permitted")),
    ("capped", terms(caps=[Cap(1, per=days(7))]), ANN, claimed("sms", at(1, 12)), Skip("capped")),
    ("the cap's time has rolled on", terms(caps=[Cap(1, per=days(1))]), ANN, claimed("sms", at(1, 12)), Go()),
    ("a cap of another channel", terms(caps=[Cap(0, per=days(7), channel="sms")]), ANN, NOTHING, Go()),
    ("a channel's cap counts it alone", terms(caps=[Cap(1, per=days(7), channel="email")]), ANN, claimed("sms", at(2, 11)), Go()),
    ("a cap of the day: after its midnight", terms(caps=[Cap(1, per="day")]), ANN, claimed("email", at(1, 23)), Skip("capped")),
    ("a cap of the day: the evening before", terms(caps=[Cap(1, per="day")]), ANN, claimed("email", at(1, 22, 59)), Go()),
    ("a cap of the week: on its Monday", terms(caps=[Cap(1, per="week")]), ANN, claimed("email", at(1, 23)), Skip("capped")),
    ("a cap of the week: the Sunday before", terms(caps=[Cap(1, per="week")]), ANN, claimed("email", at(1, 22, 59)), Go()),
    ("a cap of the month: on its first day", terms(caps=[Cap(1, per="month")]), ANN, claimed("email", FEBRUARY_23H), Skip("capped")),
    ("a cap of the month: the month before", terms(caps=[Cap(1, per="month")]), ANN, claimed("email", FEBRUARY_22H), Go()),
    ("a cap of another topic", terms(caps=[Cap(0, per="day", topic="news")]), ANN, NOTHING, Go()),
    ("a topic's cap counts it alone", terms(caps=[Cap(1, per="day", topic="general")]), ANN, OF_NEWS, Go()),
    ("a topic's cap is reached", terms(topic="news", caps=[Cap(1, per="day", topic="news")]), ANN, OF_NEWS, Skip("capped")),
    ("transactional ones use up no cap", terms(caps=[Cap(1, per="day")]), ANN, OF_NEED, Go()),
    ("unless the cap counts everything", terms(caps=[Cap(1, per="day", counts="everything")]), ANN, OF_NEED, Skip("capped")),
    ("the strictest of several caps", terms(caps=[Cap(9, per="day"), Cap(1, per=days(7))]), ANN, claimed("sms", at(1, 12)), Skip("capped")),
    ("caps are nothing to transactional", terms("email", NEEDED, caps=[Cap(0, per=hours(1))]), ANN, NOTHING, Go()),
    ("what forbids comes before what delays", terms(hours=Hours([LUNCH])), ANN, ANNS_IS_BAD, Skip("suppressed")),
    ("quiet hours come before caps", terms(hours=Hours([LUNCH]), caps=[Cap(0, per=days(1))]), ANN, NOTHING, AFTER_LUNCH),
]


@pytest.mark.parametrize(("terms_", "target", "known", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_rules(terms_: Terms, target: Target, known: Known, expected: Ruling) -> None:
    assert ruling(terms_, target, known) == expected


consents = st.lists(
    st.builds(
        Consent, st.sampled_from(["email", "sms", "*"]), st.sampled_from(["general", "news", "*"]), st.booleans(), st.integers(0, 50)
    ),
    unique_by=(lambda each: each.order, lambda each: (each.channel, each.topic)),
)
any_terms = st.builds(
    Terms,
    channel=st.sampled_from(["email", "sms"]),
    message_class=st.sampled_from(["marketing", "transactional"]),
    topic=st.sampled_from(["general", "news"]),
    zone=st.just(BERLIN),
    hours=st.sampled_from([Hours(), Hours([LUNCH]), Hours([QuietHours("12:00", "14:00", then="skip")]), Hours((), [AFTERNOON])]),
    caps=st.lists(st.builds(Cap, st.integers(0, 2), per=st.sampled_from([days(1), "day"])), max_size=2),
)
moments = st.integers(0, 72 * 60).map(lambda minutes: NOON - timedelta(minutes=minutes))
any_known = st.builds(
    Known,
    now=st.just(NOON),
    consents=consents,
    suppressed=st.sampled_from([frozenset[bytes](), frozenset({b"ann"})]),
    claimed=st.lists(st.builds(Claimed, st.sampled_from(["email", "sms"]), moments)),
)


@given(any_terms, any_known)
def test_what_is_forbidden_never_goes(given_terms: Terms, known: Known) -> None:
    """Transactional skips topics, caps and quiet hours, never suppression; more consent never forbids; a deferral lies ahead."""
    verdict = ruling(given_terms, ANN, known)
    if known.suppressed:
        assert verdict == Skip("suppressed")
    if given_terms.message_class == "transactional":
        assert verdict in (Go(), Skip("suppressed"), Skip("opted_out"))
    if isinstance(verdict, Defer):
        assert NOON < verdict.until <= NOON + timedelta(hours=24)
    if isinstance(verdict, Go):
        others = [each for each in known.consents if (each.channel, each.topic) != ("*", "*")]
        assert ruling(given_terms, ANN, replace(known, consents=[*others, yes("*", "*", 99)])) == Go()


@given(any_terms, any_known)
def test_caps_need_no_more_than_what_they_look_back_on(given_terms: Terms, known: Known) -> None:
    since = look_back(given_terms.caps, NOON, BERLIN)
    seen = [each for each in known.claimed if since is not None and each.at > since]
    assert ruling(given_terms, ANN, known) == ruling(given_terms, ANN, replace(known, claimed=seen))
