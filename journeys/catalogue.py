"""The journeys that this house runs: a file each, and a line here."""

from journeys import cart_recovery, onboarding, order_status

JOURNEYS = (onboarding.journey, cart_recovery.journey, order_status.journey)
