"""From sign-up to the first project: a welcome, and a hint from a person for who has not begun in three days."""

from journeys.language import Call, Journey, Send, WaitFor, days, email, event, function

journey = Journey(
    "welcome",
    starts_on=event("signed_up"),
    exits_on=event("account_closed"),
    goal=event("project_created").within(days(14)),
    steps=[
        Send("hello", email("welcome")),
        WaitFor(
            "began",
            event("project_created"),
            since="entry",
            within=days(3),
            otherwise=[
                Call("contact", function("find_contact")),
                Send("hint", email("first-project")),
            ],
        ),
    ],
)
