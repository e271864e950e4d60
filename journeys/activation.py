"""From a new workspace to the first shared report: at most three nudges, each for the step that is missing.

Sharing ends it at once, also on the morning on which the next nudge is due: a Repeat's `until` alone is read only between two passes.
36 hours before a nine o'clock make it every second morning: two days after nine, the next nine o'clock is already a day further on.
"""

from journeys.language import Case, Journey, Repeat, Send, Switch, Wait, at, days, did, email, event, hours

journey = Journey(
    "activation",
    starts_on=event("workspace_created"),
    exits_on=event("report_shared") | event("workspace_deleted"),
    goal=event("report_shared").within(days(30)),
    steps=[
        Repeat(
            "nudges",
            times=3,
            steps=[
                Wait("work", hours(36)),
                Wait("morning", until=at("09:00")),
                Switch(
                    "next_thing",
                    cases=[
                        Case(~did("source_connected", since="entry"), [Send("connect", email("connect-a-source"))]),
                        Case(~did("report_made", since="entry"), [Send("make", email("make-a-report"))]),
                    ],
                    otherwise=[Send("share", email("share-your-report"))],
                ),
            ],
        ),
    ],
)
