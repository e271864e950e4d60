"""Ask a buyer ten days after delivery how likely they are to recommend us; at most twice, and answer what they say.

A late answer to the first question counts (`since="entry"`). An answer counts when it is one to this survey and has a number: of two
journeys that ask, each hears its own, and a 9 that came as text would otherwise pass for an unhappy customer.
"""

from journeys.language import Call, Case, Exit, Journey, Repeat, Send, Switch, Wait, WaitFor, captured, days, email, event, function, prop

SUPPORT_DESK = "support@example.com"

journey = Journey(
    "nps",
    starts_on=event("order_delivered"),
    exits_on=event("order_returned") | event("account_closed"),
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
                WaitFor(
                    "answer",
                    event("survey_answered").where((prop("survey") == "nps") & (prop("score") >= 0)),
                    since="entry",
                    within=days(4),
                ),
            ],
        ),
        Switch(
            "score",
            cases=[
                Case(captured("answer", "score") >= 9, [Send("review", email("leave-a-review"))]),
                Case(captured("answer", "score") >= 7, [Send("thanks", email("nps-thanks"))]),
                Case(
                    captured("answer", "score").exists(),
                    [
                        Call(
                            "ticket",
                            function("open_support_ticket", {"about": "an unhappy customer", "score": captured("answer", "score")}),
                            otherwise=[Send("told_by_mail", email("nps-unhappy"), to=SUPPORT_DESK, message_class="transactional")],
                        ),
                    ],
                ),
            ],
            otherwise=[Exit("silent", "no answer")],
        ),
    ],
)
