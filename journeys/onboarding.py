"""From sign-up to the first order.

A purchase at any time since sign-up saves the coupon (`since="entry"`), while only what is looked at after the guide asks for it. The
coupon comes three hours later whatever the clock shows there: whoever sends texts for real gives it, or the app, quiet hours.
"""

from journeys.language import Journey, Send, Wait, WaitFor, days, email, event, hours, push, sms

journey = Journey(
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
                    "bought",
                    event("order_placed"),
                    since="entry",
                    within=hours(3),
                    otherwise=[Send("coupon", sms("first-order-coupon"))],
                ),
            ],
        ),
    ],
)
