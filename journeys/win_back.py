"""Ask people back who have not ordered for long; a discount only for those who used to spend.

`did_not(...)` and not `last_did(...).before(...)`: of somebody whose orders were made before Sojourn there is no last order, and a
comparison with nothing is false. One in ten is held out, and the goal says what they are compared by.
"""

from journeys.language import If, Journey, Send, Wait, days, did_not, email, event, segment, trait

journey = Journey(
    "win-back",
    starts_on=segment("lapsed"),
    exits_on=event("order_placed") | event("account_closed"),
    again_after=days(180),
    goal=event("order_placed").within(days(30)),
    holdout=10,
    steps=[
        Send("missed", email("we-miss-you")),
        Wait("think", days(5)),
        If(
            "valuable",
            (trait("lifetime_value") >= 200) & did_not("order_placed", last=days(90)),
            then=[Send("offer", email("win-back-20"))],
            otherwise=[Send("news", email("whats-new"))],
        ),
    ],
)
