"""The journeys, segments and campaigns of this house: a file each, and a line here."""

from journeys import activation, appointment, cart_recovery, nps, onboarding, order_status, renewal, win_back
from journeys.campaigns import whats_new
from journeys.segments import lapsed

JOURNEYS = (
    onboarding.journey,
    activation.journey,
    cart_recovery.journey,
    order_status.journey,
    win_back.journey,
    appointment.journey,
    renewal.journey,
    nps.journey,
)

SEGMENTS = (lapsed.segment,)

CAMPAIGNS = (whats_new.campaign,)
