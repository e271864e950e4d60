"""The terms of one Send: the journey's, or else the app's defaults from its settings."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import TypeAdapter

from activities.rules import Terms
from journeys.language.messages import Cap, MessageClass, QuietHours

GENERAL = "general"
UTC_ZONE = ZoneInfo("UTC")
_QUIET_HOURS: TypeAdapter[QuietHours | None] = TypeAdapter(QuietHours | None)
_CAPS: TypeAdapter[tuple[Cap, ...]] = TypeAdapter(tuple[Cap, ...])


def terms_of(
    *,
    channel: str,
    message_class: MessageClass,
    topic: str,
    timezone: str | None,
    settings: Mapping[str, Any],
    quiet_hours: QuietHours | None,
    caps: tuple[Cap, ...] | None,
    allowed_recipients: frozenset[str] | None,
) -> Terms:
    """Fill in what the order leaves open. `settings` are the app's: quiet_hours and caps as the journey language writes them."""
    return Terms(
        channel=channel,
        message_class=message_class,
        topic=topic,
        zone=zone_of(timezone, settings),
        quiet_hours=quiet_hours or _QUIET_HOURS.validate_python(settings.get("quiet_hours")),
        caps=_CAPS.validate_python(settings.get("caps", ())) if caps is None else caps,
        allowed_recipients=allowed_recipients,
    )


def topic_of(topic: str | None, message_class: MessageClass, settings: Mapping[str, Any]) -> str:
    """Every marketing message has a topic: the app's default is `general`."""
    return topic or (str(settings.get("topic") or GENERAL) if message_class == "marketing" else "")


def zone_of(timezone: str | None, settings: Mapping[str, Any]) -> ZoneInfo:
    """The person's zone, else the app's, else UTC; a name that this machine's zone data does not know counts as none."""
    of_app = settings.get("timezone")
    return (timezone and _known(timezone)) or (isinstance(of_app, str) and _known(of_app)) or UTC_ZONE


@lru_cache(maxsize=1024)
def _known(name: str) -> ZoneInfo | None:
    """Looked for on the disk, so what is not there is remembered too."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return None
