"""Tell a buyer where the order is; tell the shop when it is stuck.

Calling the ticket system is the business of a Call step, which this version does not run yet: until then `chase` writes a mail to
the shop's own support desk.
"""

from journeys.language import Exit, Journey, Send, WaitFor, captured, days, email, event, prop, sms

SUPPORT_DESK = "support@example.com"

journey = Journey(
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
            otherwise=[Send("chase", email("order-stuck"), to=SUPPORT_DESK)],
        ),
    ],
)
