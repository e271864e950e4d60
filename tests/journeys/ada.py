"""Ada, what is known of her, and conditions that do and do not hold of her: read by evaluate.py and by SQL."""

from datetime import UTC, datetime, timedelta
from typing import Any

from journeys.language import (
    ago,
    ahead,
    captured,
    clicked,
    days,
    delivered,
    device,
    did,
    did_not,
    entry,
    has,
    hours,
    in_segment,
    last_did,
    location,
    near,
    opened,
    prop,
    sample,
    sent,
    subscribed,
    trait,
)  # fmt: skip
from journeys.language.conditions import Condition
from journeys.language.facts import EndpointFact, EventFact, Facts, MessageFact

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def bought(before: timedelta, **properties: Any) -> EventFact:
    return EventFact(f"bought {before}", "order_placed", NOW - before, properties)


ADA = Facts(
    attributes={
        "plan": "gold", "n": 10, "share": 0.1, "is_new": True, "ordered": "a", "seven": "7", "gone": None, "tags": ["a", 1, True],
        "late": "2026-03-30",
        "nine": "2026-03-23T08:00:00Z",
        "city": {"name": "Ulm"},
        "items": [{"price": 5}, {"price": 7}], "renews_on": "2026-03-10",
        "location": {"country": "DE", "latitude": 48.4, "longitude": 9.99},
    },
    timezone="Europe/Berlin",
    endpoints=(
        EndpointFact("push", NOW - timedelta(days=2), {"os": "iOS"}),
        EndpointFact("push", NOW - timedelta(days=1), {"os": "Android"}),
        EndpointFact("email", NOW),
    ),
    events=(
        bought(timedelta(days=1), amount=0.1, sku="x"), bought(timedelta(days=2), amount=0.2), bought(timedelta(days=40), amount="100"),
        bought(-timedelta(days=1), amount=50),
        EventFact("now", "product_viewed", NOW),
    ),
    messages=(
        MessageFact("this", "welcome", "welcome", sent_at=NOW - timedelta(hours=2), opened_at=NOW + timedelta(hours=1)),
        MessageFact("earlier", "invoice", "invoice", sent_at=NOW),
        MessageFact("earlier", "offer", "win-back", sent_at=NOW - timedelta(days=9), clicked_at=NOW - timedelta(days=8)),
    ),
    segments=frozenset({"vip"}),
    unsubscribed_topics=frozenset({"surveys"}),
    entry=EventFact("e", "signed_up", NOW - timedelta(days=3), {"total": 30}),
    entered_at=NOW - timedelta(days=3),
    captured={"answer": EventFact("a", "survey_answered", NOW, {"score": 9})},
    source="this",
    app="demo",
    subject="ada",
)  # fmt: skip

TRUE: list[Condition] = [
    trait("plan") == "gold",
    trait("plan") != "silver",
    trait("n") == 10.0,
    trait("seven") != 7,  # a number does not equal its text
    trait("share") <= 0.1,
    trait("is_new") == True,  # noqa: E712
    trait("city.name") == "Ulm",
    trait("items.1.price") > 6,
    trait("tags").contains("a"),
    trait("plan").contains("ol"),
    trait("plan").starts_with("go"),
    trait("n").is_in([9, 10]),
    trait("plan").exists(),
    entry("total") >= 20,
    entry("$event") == "signed_up",
    captured("answer", "score") >= 9,
    captured("answer", "$event") == "survey_answered",
    entry("total") > trait("n"),
    device("os") == "Android",  # the device confirmed last
    location("country") == "DE",
    near(48.0, 9.99, 50),
    has("email"),
    last_did("order_placed").before(ago(hours(23))),
    last_did("order_placed").after(ago(days(2))),
    trait("renews_on").before(ahead(days(8))),
    trait("renews_on").after(ahead(days(7))),
    trait("renews_on").before(datetime(2026, 3, 9, 23, 0, 1, tzinfo=UTC)),  # local midnight in Berlin is 23:00 UTC
    trait("renews_on").after(trait("renews_on") - days(1)),
    did("order_placed", at_least=3),
    did("order_placed", at_most=3),
    did("order_placed", last=days(1)),  # the limit counts
    did("order_placed", since="entry", at_least=2, at_most=2),
    did("order_placed", between=(NOW - timedelta(days=2), NOW - timedelta(days=1)), at_most=1),  # the end does not count, the start does
    did("order_placed", where=prop("sku") == "x", at_most=1),
    did("order_placed", total=prop("amount"), at_least=0.3, at_most=0.3),  # exact decimals; the text "100" adds nothing
    did("order_placed", then="order_placed", within=days(1)),  # the limit counts
    did("order_placed", then="order_placed", within=days(1), at_most=1),  # tomorrow's follows nothing as of today
    did("order_placed", then="product_viewed", within=days(2), at_least=2, at_most=2),  # one may follow several
    did("order_placed", then="product_viewed", within=days(60), last=days(1), at_most=1),  # the window is of the first
    did(
        "order_placed", between=(NOW - days(60).timedelta, NOW - days(30).timedelta), then="order_placed", within=days(38)
    ),  # not of what follows
    did(
        "order_placed", then="order_placed", then_where=prop("sku") == "x", within=days(60), total=prop("amount"), at_least=0.2, at_most=0.2
    ),
    did_not("product_viewed", then="product_viewed", within=days(1)),  # nothing follows itself
    did_not("app_opened"),
    did("product_viewed"),  # what occurs at the moment counts
    last_did("product_viewed").after(last_did("order_placed")),
    last_did("product_viewed") > last_did("order_placed"),
    last_did("order_placed") != trait("n"),  # an instant is no JSON value
    last_did("order_placed") == last_did("order_placed"),
    trait("ordered") > "Z",  # by code point: small letters come after capitals
    sent(step="welcome"),
    sent(template="win-back"),
    sent(template="invoice"),  # sent at the moment
    clicked(template="win-back"),
    trait("nine").after((trait("late") - days(8)).at("09:00")),
    trait("nine").before((trait("late") - days(6)).at("09:00")),
    in_segment("vip"),
    subscribed("general"),
    sample(100),
    sample(52.08),  # her bucket is 5207, counted from 0
    sample(10, salt="q4"),
    ~(trait("plan") == "silver"),
    ~(trait("no.such") == "gold"),  # not gold, or no plan
]
FALSE: list[Condition] = [
    trait("no.such") == "gold",
    trait("no.such") != "gold",  # missing data makes a comparison false, != too
    trait("gone") != 1,  # null is missing
    trait("gone").exists(),
    trait("seven") == 7,
    trait("is_new") == 1,
    trait("seven") > 6,
    trait("is_new") >= False,
    trait("tags").contains("1"),
    trait("n").contains(1),
    trait("n").starts_with("1"),
    trait("n").is_in(["10"]),
    trait("items.2.price").exists(),
    trait("nine").before((trait("late") - days(7)).at("09:00")),  # the very moment, seven dates before, across summer time
    trait("nine").after((trait("late") - days(7)).at("09:00")),
    trait("n").before(NOW),  # a number is no time
    trait("plan").after(NOW),
    captured("shipped", "on").exists(),
    prop("n").exists(),
    near(48.0, 9.99, 40),
    has("sms"),
    last_did("order_placed").after(ago(days(1))),  # strict
    last_did("order_placed").before(ago(days(1))),
    last_did("app_opened").before(NOW),
    last_did("app_opened") != trait("n"),
    last_did("order_placed") == trait("n"),
    last_did("order_placed") > trait("n"),
    has("voice"),  # there is one that is not active
    did("order_placed", since="entry", at_least=3),
    did("order_placed", at_least=4),  # tomorrow's does not count today
    did("order_placed", last=hours(1)),
    did("order_placed", between=(trait("no.such"), NOW)),
    did("order_placed", between=(trait("no.such"), NOW), at_most=9),
    did("order_placed", then="order_placed", within=hours(23)),
    did("product_viewed", then="order_placed", within=days(2)),  # tomorrow's is after the moment
    did("order_placed", then="app_opened", within=days(60)),
    did("order_placed", then="order_placed", then_where=prop("sku") == "y", within=days(60)),
    did("app_opened"),
    opened(step="welcome"),  # opened later than now
    delivered(step="welcome"),
    sent(step="offer"),  # another enrollment's
    in_segment("lapsed"),
    subscribed("surveys"),
    sample(0),
    sample(52.07),
    (trait("plan") == "gold") & has("sms"),
]
