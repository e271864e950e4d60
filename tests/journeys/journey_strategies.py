"""Random journeys that pass all checks. Conditions and facts are in strategies.py."""

from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from journeys.language import (
    ALWAYS,
    Arm,
    Call,
    Cap,
    Case,
    Enter,
    Exit,
    If,
    Journey,
    QuietHours,
    Repeat,
    Send,
    SendWindow,
    Split,
    Switch,
    Update,
    Wait,
    WaitFor,
    at,
    best_time,
    cron,
    date,
    days,
    email,
    event,
    every,
    function,
    hours,
    on,
    once,
    prop,
    push,
    request,
    requested,
    schedule,
    segment,
    sms,
    trait,
)
from journeys.language.events import Events
from journeys.language.steps import AnyStep
from journeys.language.walk import all_steps, always_leaves
from tests.journeys.strategies import CAUGHT, DURATIONS, EVENTS, Known, conditions, expressions, json_values, whens, wheres

OTHER_CAPS = [Cap(2, per="week", topic="news"), Cap(9, per="month", counts="everything")]


@st.composite
def events_nodes(draw: DrawFn, known: Known = CAUGHT) -> Events:
    names = draw(st.lists(st.sampled_from(EVENTS), min_size=1, max_size=2, unique=True))
    joined = event(names[0])
    for name in names[1:]:
        joined = joined | event(name)
    if draw(st.booleans()):
        joined = joined.where(draw(wheres(known)))
    return joined.any_key() if draw(st.integers(0, 4)) == 0 else joined


@dataclass
class _Writer:
    """Writes the steps of one journey, each with an id of its own."""

    draw: DrawFn
    is_run_now: bool
    left: int
    names: list[str] = field(default_factory=list)

    def name(self, kind: str) -> str:
        self.left -= 1
        self.names.append(f"{kind}_{len(self.names)}")
        return self.names[-1]

    def steps(self, known: Known, depth: int, least: int = 0) -> list[AnyStep]:
        written: list[AnyStep] = []
        for _ in range(self.draw(st.integers(least, 3))):
            if self.left <= 0 and len(written) >= least:
                break
            step = self.step(known, depth)
            written.append(step)
            known = known.with_inside(_inside(step))
            if always_leaves(step):
                break
        return written

    def step(self, known: Known, depth: int) -> AnyStep:
        simple = [self.send, self.wait, self.wait, self.wait_for]
        nested = [self.wait_for, self.choice, self.switch, self.split, self.repeat] if depth < 3 else []
        later = [self.update, self.call, self.enter] if not self.is_run_now else []
        rare = [self.leave] if depth else []
        return self.draw(st.sampled_from([*simple, *nested, *later, *rare]))(known, depth)

    def send(self, known: Known, depth: int) -> AnyStep:
        message = self.draw(st.sampled_from((email("welcome"), sms("nps"), push("welcome", provider=None if self.is_run_now else "other"))))
        name = self.name("send")
        limits: dict[str, Any] = {}
        if not self.is_run_now:
            limits["quiet_hours"] = self.draw(st.sampled_from((None, QuietHours("21:00", "08:00", then="skip"))))
            limits["send_window"] = self.draw(st.sampled_from((None, SendWindow("09:00", "17:00", days=["monday", "friday"]))))
            limits["topic"] = self.draw(st.sampled_from((None, "surveys")))
            limits["to"] = self.draw(st.one_of(st.none(), st.just("a@example.com"), expressions(known)))
        return Send(name, message, otherwise=self.maybe(known, name, depth), **limits)

    def maybe(self, known: Known, name: str, depth: int, *, catches: bool = False) -> list[AnyStep]:
        inside = replace(known, begun=(*known.begun, name), catching=(*known.catching, name) if catches else known.catching)
        return self.steps(inside, depth + 1) if depth < 3 and self.left > 0 and self.draw(st.booleans()) else []

    def moment(self, known: Known) -> Any:
        moved = self.draw(whens(known).filter(lambda when: when.kind not in ("ago", "ahead")))
        return self.draw(st.sampled_from((at("09:00"), on("monday", "02:30"), best_time(within=hours(24)), moved)))

    def limit(self, known: Known, word: str) -> dict[str, Any]:
        is_long = self.draw(st.integers(0, 2)) > 0
        return {word: self.draw(st.sampled_from(DURATIONS[:5]))} if is_long else {"until": self.moment(known)}

    def wait(self, known: Known, depth: int) -> AnyStep:
        name = self.name("wait")
        reset = self.draw(st.one_of(st.none(), st.none(), events_nodes(known)))
        limit = self.limit(known, "duration")
        then = self.maybe(known, name, depth, catches=reset is not None)
        past = self.maybe(known, name, depth, catches=reset is not None) if "until" in limit else []
        return Wait(name, **limit, reset_by=reset, then=then, if_past=past)

    def wait_for(self, known: Known, depth: int) -> AnyStep:
        name = self.name("wait_for")
        since = self.draw(st.sampled_from((None, "entry", "now", *known.begun)))
        limit = self.limit(known, "within")
        inside = {"since": since, "otherwise": self.maybe(known, name, depth, catches=True), **limit}
        if self.draw(st.integers(0, 2)) == 0:
            cases = [
                Case(self.draw(events_nodes(known)), self.maybe(known, name, depth, catches=True))
                for _ in range(self.draw(st.integers(1, 2)))
            ]
            return WaitFor(name, cases=cases, **inside)
        return WaitFor(name, self.draw(events_nodes(known)), then=self.maybe(known, name, depth, catches=True), **inside)

    def choice(self, known: Known, depth: int) -> AnyStep:
        name = self.name("if")
        return If(name, self.draw(conditions(known)), then=self.maybe(known, name, depth), otherwise=self.maybe(known, name, depth))

    def switch(self, known: Known, depth: int) -> AnyStep:
        name = self.name("switch")
        cases = [Case(self.draw(conditions(known)), self.maybe(known, name, depth)) for _ in range(self.draw(st.integers(1, 2)))]
        return Switch(name, cases=cases, otherwise=self.maybe(known, name, depth))

    def split(self, known: Known, depth: int) -> AnyStep:
        name = self.name("split")
        weight = self.draw(st.sampled_from((0, 33.33, 50, 100)))
        weights = (weight, round(100 - weight, 2))
        return Split(name, arms=[Arm(f"arm_{each}", weights[each], self.maybe(known, name, depth)) for each in range(2)])

    def repeat(self, known: Known, depth: int) -> AnyStep:
        name = self.name("repeat")
        inner = replace(known, begun=(*known.begun, name))
        body = self.steps(inner, depth + 1, least=1)
        until = self.draw(st.one_of(st.none(), conditions(known.with_inside([each for step in body for each in _inside(step)]))))
        return Repeat(name, body, times=self.draw(st.integers(1, 3)), until=until)

    def update(self, known: Known, _depth: int) -> AnyStep:
        values = st.one_of(json_values, expressions(known))
        return Update(self.name("update"), self.draw(st.dictionaries(st.sampled_from(("plan", "kind", "n")), values, min_size=1)))

    def call(self, known: Known, depth: int) -> AnyStep:
        name = self.name("call")
        action: Any = request("POST", "https://example.com/hook", json={"user": self.draw(expressions(known)), "kind": [None, 1.5]})
        if self.draw(st.booleans()):
            action = function("open_support_ticket", {"n": self.draw(json_values)})
        return Call(name, action, otherwise=self.maybe(known, name, depth))

    def enter(self, known: Known, _depth: int) -> AnyStep:
        return Enter(self.name("enter"), "another", {"n": self.draw(expressions(known))})

    def leave(self, _known: Known, _depth: int) -> AnyStep:
        return Exit(self.name("exit"), "enough")


def _inside(step: AnyStep) -> list[AnyStep]:
    return list(all_steps([step]))


@st.composite
def journeys(draw: DrawFn, *, is_run_now: bool = False) -> Journey:
    """A journey that passes all checks. `is_run_now`: only what this version runs (entries by event; no provider, Update, Call, Enter)."""
    outside = Known(is_entered=False)
    starts: Any = draw(st.one_of(st.just(event("signed_up")), st.just(event("signed_up").where(draw(wheres(outside))))))
    steps = _Writer(draw, is_run_now, left=10).steps(Known(), 0, least=1)
    known = Known().with_inside([each for step in steps for each in _inside(step)])
    ends = draw(st.sampled_from((None, None, "events", "condition", "both")))
    way_out: Any = draw(events_nodes(known)) if ends in ("events", "both") else None
    if ends in ("condition", "both"):
        condition = draw(conditions(known))
        way_out = condition if way_out is None else way_out | condition
    optional: dict[str, Any] = {}
    if not is_run_now:
        starts = draw(
            st.sampled_from((starts, segment("lapsed"), _SCHEDULES[len(list(all_steps(steps))) % len(_SCHEDULES)], requested(), _DATE))
        )
        optional = {
            "caps": draw(st.sampled_from((None, [], [Cap(3, per=days(7), channel="email"), Cap(1, per="day")], OTHER_CAPS))),
            "send_window": draw(st.sampled_from((None, SendWindow("22:00", "12:00", then="skip")))),
            "quiet_hours": draw(st.sampled_from((None, QuietHours("21:00", "08:00")))),
            "holdout": draw(st.sampled_from((0, 10, 2.5))),
        }
    return Journey(
        draw(st.sampled_from(("onboarding", "a", "win-back-2"))),
        starts_on=starts,
        steps=steps,
        key=prop("n") if isinstance(starts, Events) and draw(st.booleans()) else None,
        again_after=draw(st.sampled_from((None, ALWAYS, days(7)))),
        exits_on=way_out,
        goal=draw(st.sampled_from((None, event("order_placed").within(days(14))))),
        **optional,
    )


_SCHEDULES = (
    schedule(cron("0 9 * * 1"), segment="vip", zone="Europe/Berlin", per_second=100),
    schedule(once("2031-12-01T09:00"), segment="vip", overlap="wait"),
    schedule(every(hours(6)), segment="vip", overlap="skip"),
)
_DATE = date(trait("renews_on") - days(7), every="year")
