"""Tell that a subscription renews, charge when it is due, and try up to four times before it is suspended.

Nobody is charged twice by it: without word of a charge it is not tried again blindly, a person looks instead (`no_word`), and money that
comes between two tries ends them. A new card is tried at once. An event without a date that can be read charges nobody. Each try is one
visit of `charge`, made at least once with one key: the payment provider has to honour that key.
"""

from journeys.language import (
    ALWAYS,
    Call,
    Exit,
    If,
    Journey,
    Repeat,
    Send,
    Wait,
    WaitFor,
    ago,
    captured,
    days,
    email,
    entry,
    event,
    function,
    hours,
    prop,
)

SUBSCRIPTION = {"subscription_id": entry("subscription_id")}
paid = (captured("outcome", "$event") == "payment_succeeded") | (captured("meanwhile", "$event") == "payment_succeeded")

journey = Journey(
    "renewal",
    starts_on=event("subscription_renewing"),
    key=prop("subscription_id"),
    again_after=ALWAYS,
    exits_on=event("subscription_cancelled"),
    message_class="transactional",
    steps=[
        If("no_date", ~entry("renews_at").after(ago(days(1))), then=[Exit("undated", "no date to renew on")]),
        Send("notice", email("renewal-notice")),
        Wait("due", until=entry("renews_at")),
        Repeat(
            "dunning",
            times=4,
            until=paid,
            steps=[
                Call("charge", function("charge_card", SUBSCRIPTION)),
                WaitFor(
                    "outcome",
                    event("payment_succeeded") | event("payment_failed"),
                    since="charge",
                    within=hours(6),
                    otherwise=[
                        Call("no_word", function("open_support_ticket", {"about": "no word of a charge", **SUBSCRIPTION})),
                        Exit("unclear", "no word of the charge"),
                    ],
                ),
                If(
                    "refused",
                    captured("outcome", "$event") == "payment_failed",
                    then=[
                        Send("failed", email("payment-failed")),
                        WaitFor(
                            "meanwhile",
                            event("payment_succeeded") | event("payment_method_updated"),
                            since="outcome",
                            within=days(3),
                        ),
                    ],
                ),
            ],
        ),
        If(
            "is_paid",
            paid,
            then=[Send("paid", email("receipt"))],
            otherwise=[
                Call(
                    "suspend",
                    function("suspend_subscription", SUBSCRIPTION),
                    otherwise=[Exit("not_suspended", "could not be suspended")],
                ),
                Send("suspended", email("suspended")),
            ],
        ),
    ],
)
