"""Tell a buyer where the order is; tell the shop when it is stuck.

An order that is not shipped in ten days is chased and still listened for. A promised day that is missing, or already past when the
parcel leaves, is not promised again: who gets a parcel late is told so once, not "on its way" and "late" in the same minute. A parcel
that arrives before word of its shipping came is announced no more.
"""

from journeys.language import (
    Call,
    Case,
    Exit,
    If,
    Journey,
    Repeat,
    Send,
    WaitFor,
    ago,
    captured,
    days,
    email,
    entry,
    event,
    function,
    prop,
    sms,
)

SUPPORT_DESK = "support@example.com"

journey = Journey(
    "order-status",
    starts_on=event("order_placed"),
    key=prop("order_id"),
    exits_on=event("order_cancelled"),
    message_class="transactional",
    steps=[
        Send("confirmed", email("order-confirmed")),
        Repeat(
            "packing",
            times=3,
            until=captured("shipped", "$event").exists(),
            steps=[
                WaitFor(
                    "shipped",
                    cases=[
                        Case(event("order_shipped"), []),
                        Case(event("order_delivered"), [Exit("unannounced", "delivered")]),
                    ],
                    since="entry",
                    within=days(10),
                    otherwise=[
                        Call(
                            "chase",
                            function("open_support_ticket", {"about": "an order that is not shipped", "order_id": entry("order_id")}),
                            otherwise=[Send("chase_by_mail", email("order-stuck"), to=SUPPORT_DESK)],
                        ),
                    ],
                ),
            ],
        ),
        If("lost", ~captured("shipped", "$event").exists(), then=[Exit("never", "never shipped")]),
        If(
            "in_time",
            captured("shipped", "promised_on").after(ago(days(1))),
            then=[
                Send("on_its_way", sms("order-shipped"), otherwise=[Send("on_its_way_mail", email("order-shipped"))]),
                WaitFor(
                    "arrived",
                    event("order_delivered"),
                    since="entry",
                    until=(captured("shipped", "promised_on") + days(1)).at("09:00"),
                    then=[Exit("done", "delivered")],
                    otherwise=[Send("sorry", email("order-late"))],
                ),
            ],
            otherwise=[Send("at_last", email("order-shipped-undated"))],
        ),
    ],
)
