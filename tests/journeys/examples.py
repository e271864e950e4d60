"""The eight journeys that the language must be able to say."""

from journeys.language import (
    ALWAYS,
    Arm,
    Call,
    Case,
    Exit,
    If,
    Journey,
    Repeat,
    Send,
    Split,
    Switch,
    Wait,
    WaitFor,
    ago,
    at,
    captured,
    days,
    did,
    email,
    entry,
    event,
    function,
    has,
    hours,
    last_did,
    prop,
    push,
    segment,
    sms,
    trait,
)

onboarding = Journey(
    "onboarding",
    starts_on=event("signed_up"),
    exits_on=event("account_closed"),
    goal=event("order_placed").within(days(14)),
    steps=[
        Send("welcome", email("welcome")),
        Wait("settle_in", days(1)),
        Send("guide", push("app-guide"), otherwise=[Send("guide_mail", email("app-guide"))]),
        WaitFor(
            "browsed",
            event("product_viewed"),
            within=days(7),
            then=[
                WaitFor(
                    "bought", event("order_placed"), since="entry", within=hours(3), otherwise=[Send("coupon", sms("first-order-coupon"))]
                ),
            ],
        ),
    ],
)
activation = Journey(
    "activation",
    starts_on=event("workspace_created"),
    goal=event("report_shared").within(days(30)),
    steps=[
        Repeat(
            "nudges",
            times=3,
            until=did("report_shared", since="entry"),
            steps=[
                Wait("morning", until=at("09:00")),
                Switch(
                    "next_thing",
                    cases=[
                        Case(~did("source_connected", since="entry"), [Send("connect", email("connect-a-source"))]),
                        Case(~did("report_made", since="entry"), [Send("make", email("make-a-report"))]),
                    ],
                    otherwise=[Send("share", email("share-your-report"))],
                ),
                Wait("think", days(2)),
            ],
        ),
    ],
)
cart = Journey(
    "cart-recovery",
    starts_on=event("cart_updated").where(prop("total") >= 20),
    exits_on=event("order_placed") | event("cart_updated").where(prop("total") < 20),
    again_after=days(7),
    holdout=10,
    steps=[
        Wait("went_quiet", hours(1), reset_by=event("cart_updated")),
        Split(
            "offer",
            arms=[
                Arm("reminder", 50, [Send("reminder", email("cart-reminder"))]),
                Arm("discount", 50, [Send("discount", email("cart-discount"))]),
            ],
        ),
        Wait("second_chance", days(1)),
        If("has_app", has("push"), then=[Send("nudge", push("cart-nudge"))], otherwise=[Send("text", sms("cart-text"))]),
    ],
)
order = Journey(
    "order-status",
    starts_on=event("order_placed"),
    key=prop("order_id"),
    exits_on=event("order_cancelled"),
    message_class="transactional",
    steps=[
        Send("confirmed", email("order-confirmed")),
        WaitFor(
            "shipped",
            event("order_shipped"),
            within=days(10),
            then=[
                Send("on_its_way", sms("order-shipped")),
                WaitFor(
                    "arrived",
                    event("order_delivered"),
                    since="entry",
                    until=captured("shipped", "promised_on") + days(1),
                    then=[Exit("done", "delivered")],
                    otherwise=[Send("sorry", email("order-late"))],
                ),
            ],
            otherwise=[Call("chase", function("open_support_ticket"))],
        ),
    ],
)
winback = Journey(
    "win-back",
    starts_on=segment("lapsed"),
    exits_on=event("order_placed"),
    again_after=days(180),
    holdout=10,
    steps=[
        Send("missed", email("we-miss-you")),
        Wait("think", days(5)),
        If(
            "valuable",
            (trait("lifetime_value") >= 200) & last_did("order_placed").before(ago(days(90))),
            then=[Send("offer", email("win-back-20"))],
            otherwise=[Send("news", email("whats-new"))],
        ),
    ],
)
appointment = Journey(
    "appointment",
    starts_on=event("appointment_booked") | event("appointment_moved"),
    exits_on=event("appointment_cancelled") | event("appointment_moved"),
    again_after=ALWAYS,
    key=prop("appointment_id"),
    message_class="transactional",
    steps=[
        Send("booked", email("appointment-booked")),
        Wait("day_before", until=entry("starts_at") - hours(24), then=[Send("tomorrow", sms("appointment-tomorrow"))]),
        WaitFor(
            "confirmed",
            event("appointment_confirmed"),
            since="entry",
            until=entry("starts_at") - hours(2),
            otherwise=[Send("soon", sms("appointment-soon"))],
        ),
    ],
)
renewal = Journey(
    "renewal",
    starts_on=event("subscription_renewing"),
    key=prop("subscription_id"),
    again_after=ALWAYS,
    exits_on=event("subscription_cancelled"),
    message_class="transactional",
    steps=[
        Send("notice", email("renewal-notice")),
        Wait("due", until=entry("renews_at")),
        Repeat(
            "dunning",
            times=4,
            until=captured("outcome", "$event") == "payment_succeeded",
            steps=[
                Call("charge", function("charge_card")),
                WaitFor(
                    "outcome",
                    cases=[
                        Case(event("payment_succeeded"), [Send("paid", email("receipt"))]),
                        Case(event("payment_failed"), [Send("failed", email("payment-failed")), Wait("retry_in", days(3))]),
                    ],
                    within=hours(6),
                    since="charge",
                ),
            ],
        ),
        If(
            "unpaid",
            ~(captured("outcome", "$event") == "payment_succeeded"),
            then=[Call("suspend", function("suspend_subscription")), Send("suspended", email("suspended"))],
        ),
    ],
)
nps = Journey(
    "nps",
    starts_on=event("order_delivered"),
    again_after=days(90),
    topic="surveys",
    steps=[
        Wait("try_it", days(10)),
        Repeat(
            "ask",
            times=2,
            until=captured("answer", "score").exists(),
            steps=[
                Send("question", email("nps")),
                WaitFor("answer", event("survey_answered"), since="entry", within=days(4)),
            ],
        ),
        Switch(
            "score",
            cases=[
                Case(captured("answer", "score") >= 9, [Send("review", email("leave-a-review"))]),
                Case(captured("answer", "score") >= 7, [Send("thanks", email("nps-thanks"))]),
                Case(captured("answer", "score").exists(), [Call("ticket", function("open_support_ticket"))]),
            ],
        ),
    ],
)
EXAMPLES = (onboarding, activation, cart, order, winback, appointment, renewal, nps)
