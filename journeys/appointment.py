"""Confirm an appointment, remind on the day before, and again two hours before who has not confirmed.

What is due in the past is left out: who books for this afternoon is not told "tomorrow", and who books an hour ahead gets no second
message at once. `starts_at` carries the offset of the place (`2026-12-03T14:30:00+01:00`), so the messages show the wall there.
A moved appointment ends the old enrollment and starts one for the new time, with words of its own.
"""

from journeys.language import ALWAYS, If, Journey, Send, Wait, WaitFor, ahead, days, email, entry, event, hours, prop, sms

journey = Journey(
    "appointment",
    starts_on=event("appointment_booked") | event("appointment_moved"),
    exits_on=event("appointment_cancelled") | event("appointment_moved"),
    again_after=ALWAYS,
    key=prop("appointment_id"),
    message_class="transactional",
    steps=[
        If(
            "is_moved",
            entry("$event") == "appointment_moved",
            then=[Send("moved", email("appointment-moved"))],
            otherwise=[Send("booked", email("appointment-booked"))],
        ),
        Wait(
            "day_before",
            until=(entry("starts_at") - days(1)).at("17:00"),
            then=[Send("tomorrow", sms("appointment-tomorrow"), otherwise=[Send("tomorrow_mail", email("appointment-tomorrow"))])],
        ),
        If(
            "still_ahead",
            entry("starts_at").after(ahead(hours(2))),
            then=[
                WaitFor(
                    "confirmed",
                    event("appointment_confirmed"),
                    since="entry",
                    until=entry("starts_at") - hours(2),
                    otherwise=[Send("soon", sms("appointment-soon"))],
                ),
            ],
        ),
    ],
)
