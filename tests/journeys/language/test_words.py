"""What the Temporal UI shows of somebody."""

from datetime import UTC, datetime, timedelta

from journeys.language import Arm, Exit, If, Journey, Repeat, Send, Split, Wait, WaitFor, days, email, event, trait
from journeys.language.facts import EventFact
from journeys.language.verdict import SendVerdict
from journeys.language.words import in_words, put_off_words
from journeys.language.world import Progress, Record

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
JOURNEY = Journey(
    "long",
    starts_on=event("joined"),
    steps=[
        Send("hello", email("hello"), otherwise=[Exit("out", "no way")]),
        If("ask", trait("plan") == "gold", then=[]),
        Split("offer", arms=[Arm("a", 100, [])]),
        Repeat("again", times=2, until=trait("done") == "yes", steps=[WaitFor("answer", event("answered"), within=days(1))]),
        Wait("rest", days(1)),
        Send("bye", email("bye")),
    ],
)


def said(*records: Record, **more: object) -> list[str]:
    progress = Progress(records=list(records), **more)  # type: ignore[arg-type]
    return in_words(progress, "now", JOURNEY).splitlines()


def record(step: str, outcome: str | None = None, visit: int = 1, until: datetime | None = None) -> Record:
    return Record(step, visit, NOON, until, outcome)


def test_each_step_is_told_with_what_it_came_to() -> None:
    captured = {"answer": EventFact("e", "answered", NOON, {})}
    lines = said(
        record("hello", "sent"), record("ask", "0"), record("offer", "a"), record("again:until", "otherwise"),
        record("answer", "0", visit=2), record("rest", until=NOON + timedelta(days=1)), captured=captured,
    )  # fmt: skip
    assert lines == [
        "**Now:** now",
        "",
        "**Next**",
        "- bye (email: bye)",
        "",
        "**So far (UTC)**",
        "- 2026-11-23 12:00 **hello**: email: hello → sent",
        "- 2026-11-23 12:00 **ask**: the user's plan is gold? → yes",
        "- 2026-11-23 12:00 **offer**: split → arm a",
        "- 2026-11-23 12:00 **again:until** → the user's done is yes? no",
        "- 2026-11-23 12:00 **answer** (visit 2): wait for answered up to 1 day → answered came",
        "- 2026-11-23 12:00 **rest**: wait 1 day → until 2026-11-24 12:00",
        "",
        "**Captured (UTC)**",
        "- answer: answered at 2026-11-23 12:00",
    ]


def test_a_wait_for_an_event_names_both_ways_on() -> None:
    lines = said(record("answer", until=NOON))
    assert lines[2:5] == ["**Next**", "- on answered: again (repeat up to 2 times until the user's done is yes)",
                          "- otherwise: again (repeat up to 2 times until the user's done is yes)"]  # fmt: skip


def test_a_send_names_what_happens_when_it_cannot_be_done() -> None:
    assert said(record("hello"))[3:5] == ["- ask (the user's plan is gold?)", "- if it cannot be done: out (exit: no way)"]


def test_a_step_of_another_version_is_still_shown() -> None:
    assert said(record("gone", "sent"))[-1] == "- 2026-11-23 12:00 **gone** → sent"


def test_what_is_put_off_says_why_and_until_when() -> None:
    step = JOURNEY.steps[0]
    assert isinstance(step, Send)
    until = NOON + timedelta(hours=9)
    assert put_off_words(step, SendVerdict("deferred", reasons=("quiet_hours",), until=until)) == (
        "put off: hello, because it was inside the quiet hours (until 2026-11-23 21:00 UTC)"
    )
    assert put_off_words(step, SendVerdict("held", reasons=("paused",), until=until)) == "held: hello, because sending is paused"
