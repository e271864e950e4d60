"""In which zone and country somebody is taken to be, and how that is known: pure over what is recorded of them, and remembered.

Their own zone, else that of their number, else that of the country in their attributes, else the app's, else UTC.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from importlib.resources import files
from typing import Any, Literal
from zoneinfo import ZoneInfo

import phonenumbers
import phonenumbers.timezone

UTC_ZONE = ZoneInfo("UTC")
PHONE_CHANNELS = frozenset({"sms", "whatsapp", "voice"})
KnownBy = Literal["attribute", "phone", "location", "app", "nothing"]

# The zone in which more than nine in ten people of a country live that has several.
_NEARLY_ALL = {
    "BR": "America/Sao_Paulo",
    "CL": "America/Santiago",
    "CN": "Asia/Shanghai",
    "EC": "America/Guayaquil",
    "ES": "Europe/Madrid",
    "GL": "America/Nuuk",
    "KI": "Pacific/Tarawa",
    "KZ": "Asia/Almaty",
    "MN": "Asia/Ulaanbaatar",
    "NZ": "Pacific/Auckland",
    "PF": "Pacific/Tahiti",
    "PG": "Pacific/Port_Moresby",
    "PT": "Europe/Lisbon",
    "UA": "Europe/Kyiv",
}
# The zone in which most of them live; a number that says no more than the country is read so, a country alone is not.
_MOST = {
    "AU": "Australia/Sydney",
    "CA": "America/Toronto",
    "CD": "Africa/Kinshasa",
    "FM": "Pacific/Pohnpei",
    "ID": "Asia/Jakarta",
    "MX": "America/Mexico_City",
    "RU": "Europe/Moscow",
    "US": "America/New_York",
}
_COUNTRY_LENGTH = 2
_SINCE = datetime(2024, 1, 1, tzinfo=UTC)
_SAMPLES = tuple(_SINCE + timedelta(days=5) * each for each in range(7 * 73))


@dataclass(frozen=True)
class Located:
    """`zone_by` says how the zone is known; `country` is its ISO 3166 code, where known."""

    zone: ZoneInfo
    zone_by: KnownBy
    country: str | None = None


def locate(timezone: str | None, phone: str | None, attributes: Mapping[str, Any], settings: Mapping[str, Any]) -> Located:
    """Find the zone of a person. `phone` is E.164, `settings` are the app's. A name that the zone data does not know counts as none."""
    return _locate(timezone, phone, country_of(None, attributes), _text(settings.get("timezone")))


def country_of(number: str | None, attributes: Mapping[str, Any]) -> str | None:
    """Two capital letters: of the number, else of the attribute `country`, else of `location.country`. None where none of them says it."""
    location = attributes.get("location")
    said = [attributes.get("country"), location.get("country") if isinstance(location, Mapping) else None]
    of_number = _country_of(number) if number else None
    return of_number or next((code for each in said if (code := _code(each)) is not None), None)


@lru_cache(maxsize=65536)
def _locate(timezone: str | None, phone: str | None, country: str | None, of_app: str | None) -> Located:
    of_phone = _country_of(phone) if phone else None
    found: list[tuple[str | None, KnownBy]] = [
        (timezone, "attribute"),
        (_zone_of_phone(phone) if phone else None, "phone"),
        (zone_of_country(country) if country else None, "location"),
        (of_app, "app"),
    ]
    for name, known_by in found:
        zone = known_zone(name) if name else None
        if zone is not None:
            return Located(zone, known_by, of_phone or country)
    return Located(UTC_ZONE, "nothing", of_phone or country)


def zone_of_country(country: str) -> str | None:
    """The zone of a country by its ISO 3166 code, where it has one for all, or for nearly all, of its people."""
    zones = _zones_by_country().get(country, ())
    if len(zones) == 1 or (zones and len({_offsets(each) for each in zones}) == 1):
        return zones[0]
    return _NEARLY_ALL.get(country)


@lru_cache(maxsize=1024)
def known_zone(name: str) -> ZoneInfo | None:
    """Looked for on the disk, so what is not there is remembered too."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return None


def _zone_of_phone(phone: str) -> str | None:
    """The zone of the number's prefix; where that has several, the country's, or the one in which most of its people live."""
    number = _parsed(phone)
    if number is None:
        return None
    zones = [zone for zone in phonenumbers.timezone.time_zones_for_number(number) if zone != phonenumbers.timezone.UNKNOWN_TIMEZONE]
    if len(zones) == 1:
        return zones[0]
    country = phonenumbers.region_code_for_number(number)
    return (zone_of_country(country) or _MOST.get(country)) if country else None


@lru_cache(maxsize=65536)
def _country_of(phone: str) -> str | None:
    number = _parsed(phone)
    country = phonenumbers.region_code_for_number(number) if number is not None else None
    # "001" is no country: satellite phones and the like.
    return country if country and country.isalpha() else None


def _parsed(phone: str) -> phonenumbers.PhoneNumber | None:
    try:
        return phonenumbers.parse(phone, None)
    except phonenumbers.NumberParseException:
        return None


def _code(value: object) -> str | None:
    is_one = isinstance(value, str) and len(value) == _COUNTRY_LENGTH and value.isascii() and value.isalpha()
    return str(value).upper() if is_one else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


@lru_cache(maxsize=1)
def _zones_by_country() -> Mapping[str, Sequence[str]]:
    """The table of the zone data: its first and third columns."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for line in (files("tzdata") / "zoneinfo" / "zone.tab").read_text().splitlines():
        if line and not line.startswith("#"):
            country, _, zone, *_ = line.split("\t")
            found[country].append(zone)
    return found


@lru_cache(maxsize=512)
def _offsets(zone: str) -> tuple[timedelta | None, ...]:
    """What tells zones apart that people can tell apart today."""
    return tuple(moment.astimezone(ZoneInfo(zone)).utcoffset() for moment in _SAMPLES)
