"""Bring back a cart worth at least 20 that has gone quiet, with or without a discount.

The messages show `captured.went_quiet`, the cart as it was last changed, and not `entry`, the cart as it was when it began. What rings
keeps the night: who filled a cart at two in the morning is not woken at three on the next.
"""

from journeys.language import Arm, If, Journey, QuietHours, Send, Split, Wait, days, email, event, has, hours, prop, push, sms

NIGHT = QuietHours("21:00", "08:00")

journey = Journey(
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
        If(
            "has_app",
            has("push"),
            then=[Send("nudge", push("cart-nudge"), quiet_hours=NIGHT)],
            otherwise=[Send("text", sms("cart-text"), quiet_hours=NIGHT)],
        ),
    ],
)
