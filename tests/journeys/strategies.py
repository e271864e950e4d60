"""Random conditions, journeys and facts, from small pools so that what is asked and what is known often meet."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from operator import and_, invert, or_
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from journeys.language import (
    Call,
    Send,
    Wait,
    WaitFor,
    ago,
    ahead,
    captured,
    clicked,
    days,
    delivered,
    device,
    did,
    entry,
    has,
    hours,
    in_segment,
    last_did,
    location,
    minutes,
    near,
    opened,
    prop,
    sample,
    seconds,
    sent,
    subscribed,
    trait,
)
from journeys.language.conditions import Channel, Compare, Condition, ConditionNode, Contains, ExpressionNode, StartsWith, When
from journeys.language.durations import Duration
from journeys.language.facts import EndpointFact, EventFact, Facts, MessageFact
from journeys.language.steps import AnyStep

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
EVENTS = ("order_placed", "product_viewed", "cart_updated")
PATHS = ("plan", "n", "score", "tags", "tags.0", "items.0.price", "city.name", "renews_on", "location", "ärger", "$event", "no.such")
CHANNELS: tuple[Channel, ...] = ("email", "sms", "push", "voice", "in_app", "whatsapp", "webhook")
SEGMENTS = ("lapsed", "vip")
TOPICS = ("general", "surveys")
TEMPLATES = ("welcome", "nps")
ZONES = (None, "UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Mars/Olympus", "Pacific/Apia")
TIMES = (
    *("2026-03-02", "2026-03-02T12:00:00Z", "2026-03-02T12:00:00.000001Z", "2026-03-02 13:00+01:00", "2024-02-29", "1600-01-01"),
    *("2026-03-29T02:30", "2026-10-25T02:30:00", "2026-03-08T02:15", "2026-11-01T01:15", "9999-12-31T23:59:59-14:00"),
    *("2026-03-02T12:00:00.123456789z", "2026-03-02T12:00:00.1234567891Z", "2026-03-02T24:00", "2026-03-02T12:00:60Z"),
    *("2026-02-30", "2026-13-01", "20260302", "2026-03-02T12", "soon", ""),
)
DURATIONS = (days(1), hours(3), days(30), seconds(1), minutes(90), days(3650))

_WORDS = ("gold", "silver", "go", "", "7", "true", "ä", "Z", "z", "😀", *EVENTS, *TIMES)
texts = st.one_of(st.sampled_from(_WORDS), st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=4))
integers = st.one_of(st.integers(-3, 10), st.integers(-(2**53), 2**53))
floats = st.one_of(
    st.sampled_from((0.1, 0.2, 0.3, 1.0, 7.0, -0.0, 1e22, 5e-324, 1.5, 1e300)), st.floats(allow_nan=False, allow_infinity=False)
)
_COMMON = ("gold", "go", "7", "", 7, 7.0, 1, 0.1, True, False, "2026-03-02", "2026-03-02T12:00:00Z")
scalars: SearchStrategy[Any] = st.one_of(st.sampled_from(_COMMON), st.sampled_from(_COMMON), texts, integers, floats, st.booleans())
durations: SearchStrategy[Duration] = st.sampled_from(DURATIONS)
clocks = st.sampled_from(("00:00", "02:30", "09:00", "23:59"))
_KEYS = st.sampled_from(("name", "price", "kind", "0"))
json_values: SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), scalars),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_KEYS, inner, max_size=2)),
    max_leaves=4,
)


@dataclass(frozen=True)
class Known:
    """What a place of a journey may name: steps that capture, steps that send, all steps that began; and whether steps must be run."""

    catching: tuple[str, ...] = ()
    sending: tuple[str, ...] = ()
    begun: tuple[str, ...] = ()
    is_entered: bool = True

    def with_inside(self, steps: Sequence[AnyStep]) -> "Known":
        known = self
        for step in steps:
            catches = isinstance(step, (WaitFor, Call)) or (isinstance(step, Wait) and step.reset_by is not None)
            known = replace(
                known,
                catching=(*known.catching, step.id) if catches else known.catching,
                sending=(*known.sending, step.id) if isinstance(step, Send) else known.sending,
                begun=(*known.begun, step.id),
            )
        return known


CAUGHT = Known(catching=("answer", "shipped"), sending=("welcome",), begun=("welcome", "answer", "shipped"))
"""What stand-alone conditions may name; `facts` knows of it."""


@st.composite
def expressions(draw: DrawFn, known: Known = CAUGHT, *, of_event: bool = False) -> Any:
    path = draw(st.sampled_from(PATHS))
    kinds: list[Any] = [prop(path)]
    if not of_event:
        kinds = [trait(path), device(path), location("country"), last_did(draw(st.sampled_from(EVENTS)))]
    if known.is_entered:
        kinds.append(entry(path))
        kinds += [captured(step, path) for step in known.catching]
    return draw(st.sampled_from(kinds))


@st.composite
def whens(draw: DrawFn, known: Known = CAUGHT, *, of_event: bool = False) -> When:
    moment: Any = draw(expressions(known, of_event=of_event))
    for _ in range(draw(st.integers(0, 2))):
        moment = moment.at(draw(clocks)) if draw(st.booleans()) else moment - draw(durations)
    literals: list[Any] = [NOW, NOW + timedelta(days=draw(st.integers(-30, 30))), NOW.date()]
    if not of_event:
        literals += [ago(draw(durations)), ahead(draw(durations))]
    chosen = draw(st.sampled_from([moment, moment, *literals]))
    return trait("n").before(chosen).right


@st.composite
def comparisons(draw: DrawFn, known: Known = CAUGHT, *, of_event: bool = False) -> ConditionNode:  # noqa: PLR0911 - a case a comparison
    left: ExpressionNode = draw(expressions(known, of_event=of_event))
    right: Any = draw(st.one_of(scalars, expressions(known, of_event=of_event)))
    is_time = left.kind == "last_did" and not isinstance(right, ExpressionNode)  # type: ignore[attr-defined]
    match draw(st.integers(0, 8)):
        case 0 | 1 if not is_time:
            return Compare(left, draw(st.sampled_from(("==", "!="))), right)  # type: ignore[arg-type]
        case 2 | 3 if not is_time and not isinstance(right, bool):
            return Compare(left, draw(st.sampled_from(("<", "<=", ">", ">="))), right)  # type: ignore[arg-type]
        case 4:
            return left.is_in(draw(st.lists(scalars, min_size=1, max_size=3)))
        case 5:
            return Contains(left, right)  # type: ignore[arg-type]
        case 6 if isinstance(right, (str, ExpressionNode)):
            return StartsWith(left, right)  # type: ignore[arg-type]
        case 7:
            return left.before(draw(whens(known, of_event=of_event)))
        case 8:
            return left.after(draw(whens(known, of_event=of_event)))
        case _:
            return left.exists()


def wheres(known: Known = CAUGHT) -> SearchStrategy[Any]:
    """What can be asked of an event."""
    return _combined(comparisons(known, of_event=True), leaves=3)


def _combined(leaf: SearchStrategy[Any], leaves: int) -> SearchStrategy[Any]:
    return st.recursive(leaf, _joined, max_leaves=leaves)


def _joined(inner: SearchStrategy[Any]) -> SearchStrategy[Any]:
    return st.one_of(st.builds(and_, inner, inner), st.builds(or_, inner, inner), st.builds(invert, inner))


@st.composite
def dids(draw: DrawFn, known: Known = CAUGHT) -> ConditionNode:
    total = prop("n") if draw(st.booleans()) else None
    low, high = sorted((draw(st.sampled_from((1, 2, 0.3, 2.5))), draw(st.sampled_from((1, 2, 3, 20)))))
    both: dict[str, Any] = {"at_least": low, "at_most": high}
    wanted = draw(st.sampled_from([["at_least"], ["at_most"], ["at_least", "at_most"], *([[""]] if total is None else [])]))
    bounds = {name: bound for name, bound in both.items() if name in wanted}
    windows: list[dict[str, Any]] = [{}, {"last": draw(durations)}, {"between": (draw(whens(known)), draw(whens(known)))}]
    if known.is_entered:
        windows.append({"since": "entry"})
    where = draw(st.one_of(st.none(), wheres(known)))
    then: dict[str, Any] = {"then": draw(st.sampled_from(EVENTS)), "within": draw(durations)}
    if draw(st.booleans()):
        then["then_where"] = draw(wheres(known))
    sequence = draw(st.sampled_from([{}, then]))
    return did(draw(st.sampled_from(EVENTS)), where=where, total=total, **bounds, **draw(st.sampled_from(windows)), **sequence)


@st.composite
def leaf_conditions(draw: DrawFn, known: Known = CAUGHT) -> ConditionNode:
    asks_message: Any = draw(st.sampled_from((sent, delivered, opened, clicked)))
    about: dict[str, str] = {"template": draw(st.sampled_from(TEMPLATES))}
    if draw(st.booleans()) and known.sending:
        about = {"step": draw(st.sampled_from(known.sending))}
    chosen: ConditionNode = draw(
        st.one_of(
            comparisons(known),
            comparisons(known),
            dids(known),
            dids(known),
            st.builds(near, st.floats(-90, 90), st.floats(-180, 180), st.sampled_from((1.0, 500, 30000))),
            st.sampled_from(CHANNELS).map(has),
            st.just(asks_message(**about)),
            st.sampled_from(SEGMENTS).map(in_segment),
            st.sampled_from(TOPICS).map(subscribed),
            st.builds(sample, st.sampled_from((0, 0.01, 33.33, 50, 99.99, 100)), salt=st.sampled_from((None, "spring"))),
        )
    )
    return chosen


def conditions(known: Known = CAUGHT) -> SearchStrategy[Condition]:
    """The whole vocabulary, combined."""
    return _combined(leaf_conditions(known), leaves=4)


# Facts ------------------------------------------------------------------------------------------------------------------------------

_LIMITS = [NOW, NOW - timedelta(microseconds=1), NOW + timedelta(microseconds=1)]
_LIMITS += [NOW + sign * each.timedelta for each in DURATIONS for sign in (-1, 1)]
instants = st.one_of(
    st.sampled_from(_LIMITS), st.sampled_from(_LIMITS), st.integers(-50 * 86400, 50 * 86400).map(lambda s: NOW + timedelta(seconds=s))
)
properties: SearchStrategy[dict[str, Any]] = st.dictionaries(
    st.sampled_from(("plan", "n", "score", "tags", "renews_on", "ärger")), json_values, max_size=4
)
places: SearchStrategy[Any] = st.one_of(
    json_values,
    st.fixed_dictionaries(
        {"latitude": st.one_of(st.floats(-90, 90), json_values), "longitude": st.one_of(st.floats(-180, 180), json_values)},
        optional={"country": texts},
    ),
)
attributes: SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "plan": json_values,
        "n": json_values,
        "score": json_values,
        "tags": st.one_of(st.lists(scalars, max_size=3), json_values),
        "items": st.one_of(st.just([{"price": 7}]), json_values),
        "city": st.one_of(st.just({"name": "gold"}), json_values),
        "renews_on": st.one_of(st.sampled_from(TIMES), json_values),
        "ärger": json_values,
        "location": places,
    },
)


@st.composite
def event_facts(draw: DrawFn, name: str | None = None) -> EventFact:
    identity = draw(st.uuids()).hex
    return EventFact(identity, name or draw(st.sampled_from(EVENTS)), draw(instants), draw(properties))


@st.composite
def message_facts(draw: DrawFn) -> MessageFact:
    return MessageFact(
        source=draw(st.sampled_from(("this", "another"))),
        step=draw(st.sampled_from(("welcome", "question"))),
        template=draw(st.one_of(st.none(), st.sampled_from(TEMPLATES))),
        sent_at=draw(st.one_of(st.none(), instants)),
        delivered_at=draw(st.one_of(st.none(), instants)),
        opened_at=draw(st.one_of(st.none(), instants)),
        clicked_at=draw(st.one_of(st.none(), instants)),
    )


@st.composite
def facts(draw: DrawFn) -> Facts:
    """What may be known of somebody whose enrollment's source is `this` and whose steps `answer` and `shipped` may have captured."""
    entered = draw(st.one_of(st.none(), event_facts("signed_up")))
    return Facts(
        attributes=draw(attributes),
        timezone=draw(st.sampled_from(ZONES)),
        endpoints=tuple(draw(st.lists(_endpoints, max_size=3))),
        events=tuple(draw(st.lists(event_facts(), max_size=5))),
        messages=tuple(draw(st.lists(message_facts(), max_size=3))),
        segments=frozenset(draw(st.sets(st.sampled_from(SEGMENTS)))),
        unsubscribed_topics=frozenset(draw(st.sets(st.sampled_from(TOPICS)))),
        entry=entered,
        entered_at=None if entered is None else entered.occurred_at,
        captured=draw(st.dictionaries(st.sampled_from(("answer", "shipped")), event_facts())),
        source="this",
        app="demo",
        subject=draw(st.uuids()).hex,
    )


_endpoints = st.builds(EndpointFact, st.sampled_from(CHANNELS), instants, properties)
