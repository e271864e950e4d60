"""The app's own settings, read once into types: what holds where a journey says nothing, and what holds for all of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any

import orjson
from pydantic import BeforeValidator, TypeAdapter
from pydantic import Field as Bound

from journeys.language.assign import AppHoldout
from journeys.language.conditions import Channel
from journeys.language.messages import Cap, QuietHours, SendWindow
from journeys.language.nodes import KW_ONLY, node

Country = Annotated[str, Bound(pattern="^[A-Z]{2}$")]


@node
class AppQuietHours(QuietHours):
    """Quiet hours of the app; of one channel, for people of one country, or for everything."""

    _: KW_ONLY
    channel: Channel | None = None
    country: Country | None = None


@node
class AppSendWindow(SendWindow):
    """A send window of the app; of one channel, for people of one country, or for everything."""

    _: KW_ONLY
    channel: Channel | None = None
    country: Country | None = None


def _as_list(value: Any) -> Any:
    """One alone may be written without its list, as it was before there could be several."""
    return [] if value is None else [value] if isinstance(value, dict) else value


@dataclass(frozen=True)
class Limits:
    """What an app sets for messages to leave."""

    quiet_hours: Annotated[Sequence[AppQuietHours], BeforeValidator(_as_list)] = ()
    send_windows: Annotated[Sequence[AppSendWindow], BeforeValidator(_as_list)] = ()
    caps: Sequence[Cap] = ()


_LIMITS = TypeAdapter(Limits)
_NAMES = ("quiet_hours", "send_windows", "caps")


def limits_of(settings: Any) -> Limits:
    """Read the limits among an app's settings. Raises pydantic's ValidationError, which names the place."""
    set_ = {name: settings[name] for name in _NAMES if settings.get(name) is not None}
    return _parsed(orjson.dumps(set_, option=orjson.OPT_SORT_KEYS)) if set_ else _NONE


def holdout_of(settings: Mapping[str, Any]) -> AppHoldout | None:
    """Who is held out of all marketing; None where nobody is."""
    found = settings.get("holdout")
    return AppHoldout(found["percent"], found.get("salt") or "") if found else None


@lru_cache(maxsize=1024)
def _parsed(written: bytes) -> Limits:
    return _LIMITS.validate_json(written)


_NONE = Limits()
