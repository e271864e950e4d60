"""What can be wrong with one step, given what comes before it."""

import re
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal

from journeys.language.check_conditions import conditions_in
from journeys.language.durations import Duration
from journeys.language.errors import Problem
from journeys.language.events import Events
from journeys.language.findings import Place
from journeys.language.nodes import fields_of
from journeys.language.payloads import pairs, url_places
from journeys.language.steps import AnyStep, Call, Enter, Exit, If, Repeat, Request, Send, Split, Switch, Update, Wait, WaitFor
from journeys.language.walk import all_steps

_TEMPLATE = re.compile(r"[a-z0-9]+([-_][a-z0-9]+)*")
_URL = re.compile(r"https?://[^\s/]+\S*")


def step_problems(step: AnyStep, place: Place, longest: Duration) -> Iterator[Problem]:
    """Find what is wrong with a step itself, not with the steps inside it. `longest` is how long an enrollment may last."""
    match step:
        case Send():
            yield from _send(step, place)
        case Wait():
            yield from _wait(step, place, longest)
        case WaitFor():
            yield from _wait_for(step, place, longest)
        case Switch():
            yield from _switch(step, place)
        case Split():
            yield from _split(step, place)
        case Repeat():
            yield from _repeat(step, place)
        case Update():
            yield from _update(step, place)
        case Call():
            if isinstance(step.action, Request):
                yield from _request(step.action, place)
        case Exit():
            if not step.reason.strip():
                yield place.problem("no_reason", "an Exit needs a reason, which people read in reports: write one, such as delivered")
        case If() | Enter():
            pass
    reach = place.repeating(all_steps(step.steps)) if isinstance(step, Repeat) else place
    if isinstance(step, Wait) and step.reset_by is not None:
        # Its moment is computed again from the event that started it over; before, from the entry event.
        reach = place.repeating([step])
    for _, value in fields_of(step):
        yield from conditions_in(value, reach)


def _update(step: Update, place: Place) -> Iterator[Problem]:
    names = [name for name, _ in pairs(step.attributes)]
    if not names:
        yield place.problem(
            "nothing_to_update", 'an Update without attributes does nothing: name one, such as {"plan": "pro"}, or remove the step'
        )
    for name in names:
        if not name or name.startswith("$"):
            yield place.problem("attribute_name", f"an attribute cannot be called {name!r}: write a name that does not begin with $")


def _request(request: Request, place: Place) -> Iterator[Problem]:
    if not _URL.fullmatch(request.url):
        yield place.problem("no_url", "a request needs a whole URL: write it with https:// or http:// at the beginning")
        return
    places, given = url_places(request.url), {name for name, _ in pairs(request.fill)} if request.fill is not None else set()
    if url_places("/".join(request.url.split("/")[:3])):
        yield place.problem("host_from_data", "the host of a URL is not filled in: write it out, and use {names} in path and query only")
    for name in sorted(set(places) ^ given):
        remedy = f"give fill={{{name!r}: ...}}" if name in places else f"write {{{name}}} in the URL, or take it out of fill="
        yield place.problem("url_not_filled", f"the URL and fill= differ in {name}: {remedy}")


def _send(step: Send, place: Place) -> Iterator[Problem]:
    if not _TEMPLATE.fullmatch(step.message.template):
        yield place.problem(
            "template_name",
            "a template's name is small letters and digits joined by hyphens: write it as its folder is called, like order-shipped",
        )
    if isinstance(step.to, str) and not step.to.strip():
        yield place.problem("no_address", "to= is empty: write an address or an expression, or take it out for the user's own address")


def _wait(step: Wait, place: Place, longest: Duration) -> Iterator[Problem]:
    if (step.duration is None) == (step.until is None):
        yield place.problem("duration_or_until", "a Wait has a duration or until=, and not both: write one of them")
    if step.if_past and step.until is None:
        yield place.problem("if_past_without_until", "a duration is never past: take if_past= out, or wait with until=")
    yield from _length(step.duration, place, longest)


def _wait_for(step: WaitFor, place: Place, longest: Duration) -> Iterator[Problem]:
    if (step.events is None) == (not step.cases):
        yield place.problem("events_or_cases", "a WaitFor has events or cases=, and not both: write one of them")
    if step.cases and step.then:
        yield place.problem("then_beside_cases", "with cases= each event has its own steps: move then= into them")
    if not all(isinstance(case.when, Events) for case in step.cases):
        yield place.problem("case_without_event", "a Case of a WaitFor begins with event(...): use a Switch for conditions")
    if (step.within is None) == (step.until is None):
        yield place.problem("within_or_until", "a WaitFor has within= or until=, and not both: write one of them")
    if step.since not in (None, "entry", "now") and step.since not in place.earlier:
        yield place.problem("since_unknown", f'since={step.since!r} names no earlier step: name one, or "entry" or "now"')
    yield from _length(step.within, place, longest)


def _length(duration: Duration | None, place: Place, longest: Duration) -> Iterator[Problem]:
    if duration is not None and duration.seconds <= 0:
        yield place.problem("no_duration", "a wait must be longer than 0: remove the step, or name a duration")
    if duration is not None and duration.seconds > longest.seconds:
        yield place.problem("longer_than_journey", "this wait is longer than the journey's ends_after: shorten it, or raise ends_after")


def _switch(step: Switch, place: Place) -> Iterator[Problem]:
    if not step.cases:
        yield place.problem("no_cases", "a Switch needs at least one case: write cases=[Case(condition, [...])]")
    if any(isinstance(case.when, Events) for case in step.cases):
        yield place.problem("case_with_event", "a Case of a Switch begins with a condition: use a WaitFor for events")


def _split(step: Split, place: Place) -> Iterator[Problem]:
    weights = [Decimal(str(arm.weight)) for arm in step.arms]
    if any(weight < 0 or weight * 100 % 1 for weight in weights):
        yield place.problem(
            "weight_percent", "a weight is a percentage of 0 or more with two decimals at most: write 50 for half of the people"
        )
    if sum(weights) != 100:
        yield place.problem("weights_not_100", f"the weights sum to {sum(weights)}: make them 100")
    for name, count in Counter(arm.name for arm in step.arms).items():
        if count > 1:
            yield place.problem("arm_not_unique", f"{count} arms are called {name!r}: give each its own name")


def _repeat(step: Repeat, place: Place) -> Iterator[Problem]:
    if step.times is None and step.until is None:
        yield place.problem("no_end", "this Repeat would never end: write times= or until=")
    if step.times is not None and step.times < 1:
        yield place.problem("no_times", "times= must be 1 or more: write how often, or remove the Repeat")
    if not step.steps:
        yield place.problem("no_steps", "a Repeat needs at least one step: write it in the list behind the id")
    if step.times is None and step.until is not None and not any(isinstance(each, (Wait, WaitFor)) for each in step.steps):
        yield place.problem("never_waits", "without times= each pass must wait: add a Wait or WaitFor to its steps, or times=")
