"""Reads what Amazon Pinpoint exported, or took in: endpoints in CSV with dotted headers, or as JSON lines. Pure.

| Pinpoint                                        | here                                                                        |
|-------------------------------------------------|-----------------------------------------------------------------------------|
| User.UserId, else Id                            | the user; an endpoint with neither makes one named after its address        |
| User.UserAttributes.x                           | the attribute x, a list of texts (`unwrap`: a single one is a text)         |
| Address, ChannelType                            | an address on email, sms, voice or push                                     |
| Attributes, Metrics, Demographic of an endpoint | what is known of its device: `device` in templates, device(...) of a push   |
| Location                                        | the attribute location                                                      |
| Demographic.Timezone, Demographic.Locale        | the user's zone and language                                                |
| OptOut ALL                                      | the user has left the channel                                               |
| EndpointStatus INACTIVE                         | an inactive address                                                         |
| EffectiveDate                                   | as of when the row is, so that what was heard later stays                   |

What has no place here is named in `Taken.not_mapped`, and costs nothing else.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import orjson

from activities.imports.mapping import Held, PersonRow
from activities.imports.windows import BadRow, Row
from journeys.language.errors import Invalid
from storage.attributes import LOCALE, TIMEZONE
from storage.endpoints import normalised
from storage.ids import length_hash
from storage.item_rules import ITEM_BYTES, broken, broken_id, is_locale, read_time, zones

_CHANNELS = {
    "EMAIL": "email",
    "SMS": "sms",
    "VOICE": "voice",
    "GCM": "push",
    "PUSH": "push",
    "BAIDU": "push",
    "ADM": "push",
    "APNS": "push",
    "APNS_SANDBOX": "push",
}
_TYPES = {"GCM": "fcm", "ADM": "adm", "APNS": "apns", "APNS_SANDBOX": "apns"}
_DEVICE = {
    "Platform": "os",
    "PlatformVersion": "os_version",
    "Model": "model",
    "ModelVersion": "model_version",
    "Make": "manufacturer",
    "AppVersion": "app_version",
}
_PLACE = {
    "City": "city",
    "Country": "country",
    "Latitude": "latitude",
    "Longitude": "longitude",
    "PostalCode": "postal_code",
    "Region": "region",
}
_HEADS = frozenset({"Attributes", "Metrics", "Demographic", "Location", "User"})
# Members that tell of Pinpoint itself.
_NOT_OURS = frozenset({"RequestId", "ApplicationId", "CohortId", "CreationDate"})
_KNOWN = _HEADS | _NOT_OURS | {"Id", "Address", "ChannelType", "OptOut", "EffectiveDate", "EndpointStatus"}


class Taken(NamedTuple):
    """What a row came to. `not_mapped`: what of it has no place here."""

    people: Sequence[PersonRow] = ()
    bad: Sequence[BadRow] = ()
    not_mapped: Sequence[str] = ()


def is_pinpoint(columns: Sequence[str], first: Mapping[str, Any]) -> bool:
    """Tell by a CSV file's header, or the first of its JSON lines, whether the file is one of Pinpoint's."""
    names = set(columns) or set(first)
    return "ChannelType" in names or "User.UserId" in names or isinstance(first.get("User"), dict)


def read(row: Row, as_of: datetime, *, unwrap: bool) -> Taken:
    """Read one endpoint, or user ids without one."""
    endpoint = _nested(row.values)
    user = _object(endpoint, "User")
    ids = str(user.get("UserId") or "").split()
    if len(ids) > 1 and not endpoint.get("Address"):
        # The documentation of Pinpoint shows ids of users side by side in one line.
        return Taken([PersonRow(row.line, each, as_of, {}) for each in ids])
    return _Endpoint(row.line, endpoint, as_of, unwrap=unwrap).read()


class _Endpoint:
    def __init__(self, line: int, endpoint: Mapping[str, Any], as_of: datetime, *, unwrap: bool) -> None:
        self.line, self.endpoint, self.as_of, self.unwrap = line, endpoint, as_of, unwrap
        self.bad: list[BadRow] = []
        self.not_mapped: list[str] = [name for name in endpoint if name not in _KNOWN]

    def read(self) -> Taken:
        address = self.address()
        user_id = self.user_id(address)
        values = {name: self.listed(value) for name, value in _object(self.user, "UserAttributes").items()}
        values |= self.location() | self.beside()
        limit = broken(values)
        if limit is not None:
            self.refuse(".".join(str(step) for step in limit[0][::-1]), limit[1], "see the limits of attributes")
        elif len(orjson.dumps(values)) > ITEM_BYTES:
            self.refuse("", "item_too_large", f"all values of a row together may have {ITEM_BYTES:,} bytes")
        if self.bad:
            return Taken(bad=self.bad)
        channel = _CHANNELS.get(self.channel_type)
        has_left = channel is not None and str(self.endpoint.get("OptOut", "")).upper() == "ALL"
        person = PersonRow(self.line, user_id, self.at(), values, [address] if address else [], [channel] if has_left and channel else [])
        return Taken([person], not_mapped=self.not_mapped)

    @property
    def user(self) -> Mapping[str, Any]:
        return _object(self.endpoint, "User")

    @property
    def channel_type(self) -> str:
        return str(self.endpoint.get("ChannelType") or "").upper()

    def user_id(self, address: Held | None) -> str:
        found = str(self.user.get("UserId") or self.endpoint.get("Id") or "")
        if not found and address is not None:
            return f"pinpoint-{length_hash(address.channel, address.address)}"
        code = broken_id(found) if found else "required"
        if code:
            self.refuse("User.UserId", code, "an endpoint names its user, or has an Id or an address; ids have 256 visible bytes at most")
        return found

    def address(self) -> Held | None:
        written = self.endpoint.get("Address")
        if written is None or written == "":
            self.not_mapped += [f"{name} of an endpoint without Address" for name in ("Attributes", "Metrics") if self.endpoint.get(name)]
            return None
        channel = _CHANNELS.get(self.channel_type)
        if channel is None:
            self.not_mapped.append(f"Address of ChannelType {self.channel_type if self.channel_type.isidentifier() else '(none)'}")
            return None
        is_active = str(self.endpoint.get("EndpointStatus", "")).upper() != "INACTIVE"
        try:
            return Held(channel, normalised(channel, str(written)), self.device(), is_active)
        except Invalid as invalid:
            for problem in invalid.problems:
                self.refuse("Address", problem.code, problem.message)
            return None

    def device(self) -> Mapping[str, Any]:
        demographic = _object(self.endpoint, "Demographic")
        known = {ours: demographic[theirs] for theirs, ours in _DEVICE.items() if demographic.get(theirs)}
        attributes = {name: self.listed(value) for name, value in _object(self.endpoint, "Attributes").items()}
        metrics = self.metrics()
        kind = _TYPES.get(self.channel_type)
        parts = {"type": kind, "attributes": attributes, "metrics": metrics}
        return {**known, **{name: part for name, part in parts.items() if part}}

    def metrics(self) -> dict[str, float]:
        found = {}
        for name, value in _object(self.endpoint, "Metrics").items():
            try:
                found[name] = float(value)
            except (TypeError, ValueError):
                self.refuse(f"Metrics.{name}", "no_number", "a number such as 1234.5")
        return found

    def location(self) -> dict[str, Any]:
        given = _object(self.endpoint, "Location")
        found = {ours: given[theirs] for theirs, ours in _PLACE.items() if given.get(theirs) not in (None, "")}
        for name in ("latitude", "longitude"):
            if name in found:
                try:
                    found[name] = float(found[name])
                except (TypeError, ValueError):
                    self.refuse(f"Location.{name.title()}", "no_number", "degrees such as 52.5")
        return {"location": found} if found else {}

    def beside(self) -> dict[str, str]:
        demographic = _object(self.endpoint, "Demographic")
        zone, locale = demographic.get("Timezone"), demographic.get("Locale")
        found = {}
        if zone:
            if zone in zones():
                found[TIMEZONE] = zone
            else:
                self.not_mapped.append("Demographic.Timezone that is no IANA zone")
        if locale:
            if isinstance(locale, str) and is_locale(locale):
                found[LOCALE] = locale
            else:
                self.not_mapped.append("Demographic.Locale that is no language")
        return found

    def at(self) -> datetime:
        return min(read_time(self.endpoint.get("EffectiveDate")) or self.as_of, self.as_of).astimezone(UTC)

    def listed(self, value: Any) -> Any:
        """Pinpoint's attributes are lists of texts, also where a file has one cell for it."""
        values = value if isinstance(value, list) else [value]
        return values[0] if self.unwrap and len(values) == 1 else values

    def refuse(self, field: str, code: str, words: str) -> None:
        self.bad.append(BadRow(self.line, field, code, words))


def _nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted headers as the objects that JSON lines have: User.UserAttributes.x, Attributes.x. A name may itself have dots."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        head, dot, rest = name.partition(".")
        if not dot or head not in _HEADS:
            found[name] = value
        elif head == "User" and rest.startswith("UserAttributes."):
            found.setdefault("User", {}).setdefault("UserAttributes", {})[rest.removeprefix("UserAttributes.")] = value
        else:
            found.setdefault(head, {})[rest] = value
    return found


def _object(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = values.get(name)
    return found if isinstance(found, dict) else {}
