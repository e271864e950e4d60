"""What is new, to who used to order and has not for three months. A draft until somebody launches it."""

from journeys.language import QuietHours, days, email, event, hours
from journeys.language.campaigns import Campaign

campaign = Campaign(
    "whats-new",
    "lapsed",
    email("whats-new"),
    goal=event("order_placed").within(days(7)),
    holdout=10,
    quiet_hours=QuietHours("21:00", "08:00"),
    lasts=hours(48),
)
