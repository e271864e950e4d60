"""The terms of one Send: the hours of the journey or else the app's, and the caps of both."""

from collections.abc import Mapping
from typing import Any

from activities.app_settings import AppQuietHours, AppSendWindow, limits_of
from activities.rules import Terms
from activities.zones import PHONE_CHANNELS, Located, locate
from journeys.language.messages import Cap, MessageClass, QuietHours, SendWindow
from journeys.language.permitted import Hours
from storage.standing import Person, Standing

GENERAL = "general"


def terms_of(
    *,
    channel: str,
    message_class: MessageClass,
    topic: str,
    located: Located,
    settings: Mapping[str, Any],
    quiet_hours: QuietHours | None,
    send_window: SendWindow | None,
    caps: tuple[Cap, ...] | None,
    allowed_recipients: frozenset[str] | None,
    only_answers: bool = False,
) -> Terms:
    """Fill in what the order leaves open from the app's settings. Hours of a journey stand instead of the app's, its caps beside them."""
    limits = limits_of(settings)
    quiet = (quiet_hours,) if quiet_hours else tuple(each for each in limits.quiet_hours if _is_for(each, channel, located))
    windows = (send_window,) if send_window else tuple(each for each in limits.send_windows if _is_for(each, channel, located))
    return Terms(
        channel=channel,
        message_class=message_class,
        topic=topic,
        zone=located.zone,
        hours=Hours(quiet, windows),
        caps=(*limits.caps, *(caps or ())),
        allowed_recipients=allowed_recipients,
        only_answers=only_answers,
    )


def topic_of(topic: str | None, message_class: MessageClass, settings: Mapping[str, Any]) -> str:
    """Every marketing message has a topic: the app's default is `general`."""
    return topic or (str(settings.get("topic") or GENERAL) if message_class == "marketing" else "")


def located_of(channel: str, person: Person | None, standing: Standing, address: str | None = None) -> Located:
    """Where the recipient is taken to be: of the number that is written to, or else of any that the person has."""
    phone = address if channel in PHONE_CHANNELS and address else standing.phone
    timezone, attributes = (person.timezone, person.attributes) if person else (None, {})
    return locate(timezone, phone, attributes, standing.settings)


def _is_for(hours: AppQuietHours | AppSendWindow, channel: str, located: Located) -> bool:
    return hours.channel in {None, channel} and hours.country in {None, located.country}
