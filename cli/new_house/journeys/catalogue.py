"""The journeys of this house: a file each, and a name here."""

from journeys import welcome

JOURNEYS = (welcome.journey,)
