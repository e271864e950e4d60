"""Makes people, events and names for a list out of rows, as an order says; or tells why a row is none. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import orjson

from activities.imports.order import Column, ImportOrder
from activities.imports.values import Clock, Convert, Unfit, converter
from activities.imports.windows import BadRow, Row
from journeys.language.errors import Invalid, Problem
from storage.attributes import COLUMN_KEYS, LOCALE, TIMEZONE
from storage.endpoints import normalised
from storage.item_rules import ITEM_BYTES, broken, broken_event_name, broken_id, is_locale, zones

ADDRESSED = ("email", "sms", "whatsapp", "voice", "push", "webhook")
_ADDRESS_TRAITS = {"email": "email", "phone": "sms"}
# How people write these columns, and what they mean.
_KNOWN_NAMES = {
    "user_id": "user_id", "userid": "user_id", "email": "email", "phone": "phone", "timezone": "timezone", "locale": "locale",
    "updated_at": "updated_at",
}  # fmt: skip
_KNOWN_EVENT_NAMES = {
    "user_id": "user_id", "userid": "user_id", "event": "event", "event_id": "event_id", "messageid": "event_id",
    "occurred_at": "occurred_at", "timestamp": "occurred_at",
}  # fmt: skip
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FUTURE = timedelta(minutes=5)


class Held(NamedTuple):
    """An address that a row gives its person. `is_active` False: it is kept and not written to."""

    channel: str
    address: str
    device: Mapping[str, Any] = {}
    is_active: bool = True


class PersonRow(NamedTuple):
    """What a row says of a person as of `at`; a value of None removes the attribute. `opted_out`: the channels that they have left."""

    line: int
    user_id: str
    at: datetime
    values: Mapping[str, Any]
    addresses: Sequence[Held] = ()
    opted_out: Sequence[str] = ()


class EventRow(NamedTuple):
    """What a row says that somebody did. `event_id` None: the row has none; `base` is then what tells it from other rows."""

    line: int
    user_id: str
    name: str
    occurred_at: datetime
    properties: Mapping[str, Any]
    event_id: str | None
    base: bytes


@dataclass(frozen=True)
class Place:
    """One line of the mapping, ready: where a value goes, and what it goes through."""

    column: str
    target: str
    path: tuple[str, ...]
    convert: Convert | None
    clock: Clock


class _Bad(Exception):
    def __init__(self, found: Sequence[BadRow]) -> None:
        self.found = found
        super().__init__()


class Layout:
    """The mapping of one import. `columns` are those of a CSV file; JSON lines may have others in each line."""

    def __init__(self, order: ImportOrder, columns: Sequence[str]) -> None:
        self._order = order
        self._zone = ZoneInfo(order.timezone)
        given = {each.column: self._place(each) for each in order.columns}
        known = _KNOWN_EVENT_NAMES if order.what == "events" else _KNOWN_NAMES
        taken = {each.target for each in given.values()}
        self._known = {name: target for name, target in known.items() if target not in taken}
        self._places: dict[str, Place | None] = {**given}
        self._nested = [each for each in given.values() if "." in each.column and each.column not in columns]
        self.columns = columns

    def place_of(self, column: str) -> Place | None:
        """Where the values of this column go; None: nowhere."""
        if column not in self._places:
            self._places[column] = self._unnamed(column)
        return self._places[column]

    def _unnamed(self, column: str) -> Place | None:
        target = self._known.get(column.lower().replace(" ", "_"))
        if target is not None:
            return self._place(Column(target, column))
        # So an export can be imported as it is.
        if "." in column and _is_target(self._order.what, column):
            return self._place(Column(column, column))
        if self._order.rest == "ignored" or self._order.what == "list":
            return None
        return self._place(Column(f"{self.kept}.{column}", column), path=(column,))

    @property
    def kept(self) -> str:
        return "properties" if self._order.what == "events" else "attributes"

    def _place(self, column: Column, path: tuple[str, ...] | None = None) -> Place:
        head, _, rest = column.to.partition(".")
        clock = Clock(self._zone, column.format)
        steps = path or (tuple(rest.split(".")) if rest else ())
        return Place(column.column, head if rest else column.to, steps, converter(column, self._zone, self._order.separator), clock)

    def targets(self) -> set[str]:
        """What the columns of the header, and those that were named, give."""
        named = [self.place_of(column) for column in (*self.columns, *(each.column for each in self._order.columns))]
        return {place.target for place in named if place is not None}

    def gather(self, row: Row) -> "_Gathered":
        found = _Gathered(row.line)
        for column, value in row.values.items():
            place = self.place_of(column)
            if place is not None:
                found.put(place, value)
        for place in self._nested:
            if place.column not in row.values and (value := _inside(row.values, place.column)) is not _NOWHERE:
                found.put(place, value)
        return found


class _Gathered:
    """The values of one row by where they go, and what is wrong with them."""

    def __init__(self, line: int) -> None:
        self.line = line
        self.plain: dict[str, tuple[Place, Any]] = {}
        self.kept: dict[str, Any] = {}
        self.addresses: list[tuple[Place, Any]] = []
        self.bad: list[BadRow] = []

    def put(self, place: Place, value: Any) -> None:
        if not place.path:
            if value != "":
                self.plain[place.target] = (place, value)
        elif place.target == "address":
            self.addresses.append((place, value))
        else:
            self._keep(place, value)

    def _keep(self, place: Place, value: Any) -> None:
        try:
            converted = value if place.convert is None or value is None else place.convert(value)
        except Unfit as unfit:
            self.refuse(place.column, unfit.code, unfit.words)
            return
        inside = self.kept
        for step in place.path[:-1]:
            inside = inside.setdefault(step, {})
            if not isinstance(inside, dict):
                self.refuse(place.column, "two_values", "another column gives a value where this one needs an object")
                return
        inside[place.path[-1]] = converted

    def text(self, target: str) -> str | None:
        place, value = self.plain.get(target, (None, None))
        if place is None or value is None:
            return None
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if not isinstance(value, str):
            self.refuse(place.column, "no_text", "a text")
            return None
        return value

    def instant(self, target: str) -> datetime | None:
        place, value = self.plain.get(target, (None, None))
        if place is None or value is None:
            return None
        try:
            found = place.clock.instant(value)
        except Unfit as unfit:
            self.refuse(place.column, unfit.code, unfit.words)
            return None
        if found < _EPOCH:
            self.refuse(place.column, "time_before_1970", "a time after 1970")
        return found

    def id(self, target: str) -> str:
        found = self.text(target)
        code = "required" if not found else broken_id(found)
        if code and not self.bad:
            self.refuse(self.column(target), code, _ID_WORDS[code])
        return found or ""

    def column(self, target: str) -> str:
        return self.plain[target][0].column if target in self.plain else target

    def refuse(self, field: str, code: str, words: str) -> None:
        self.bad.append(BadRow(self.line, field, code, words))

    def check(self) -> None:
        """Raises _Bad when something is wrong."""
        limit = broken(self.kept)
        if limit is not None:
            self.refuse(".".join(str(step) for step in limit[0][::-1]), limit[1], "see the limits of attributes and properties")
        elif len(orjson.dumps(self.kept)) > ITEM_BYTES:
            self.refuse("", "item_too_large", f"all values of a row together may have {ITEM_BYTES:,} bytes")
        if self.bad:
            raise _Bad(self.bad)


_ID_WORDS = {
    "required": "a row names its user",
    "id_too_long": "256 bytes at most",
    "invalid_id": "no control characters and nothing invisible",
}


def person_of(layout: Layout, row: Row, as_of: datetime) -> PersonRow | list[BadRow]:
    """The person of a row, or what is wrong with it."""
    found = layout.gather(row)
    user_id, at = found.id("user_id"), found.instant("updated_at") or as_of
    addresses = _addresses(found)
    _beside(found)
    try:
        found.check()
    except _Bad as bad:
        return list(bad.found)
    return PersonRow(row.line, user_id, min(at, as_of), found.kept, addresses)


def _addresses(found: _Gathered) -> list[Held]:
    held = []
    for name, channel in _ADDRESS_TRAITS.items():
        if name in found.plain:
            place, value = found.plain[name]
            found.kept[name] = value
            held += _address(found, place.column, channel, value)
    for place, value in found.addresses:
        held += _address(found, place.column, place.path[0], value)
    return held


def _address(found: _Gathered, column: str, channel: str, value: Any) -> list[Held]:
    if value is None:
        return []
    try:
        return [Held(channel, normalised(channel, value.strip() if isinstance(value, str) else ""))]
    except Invalid as invalid:
        for problem in invalid.problems:
            found.refuse(column, problem.code, problem.message)
        return []


def _beside(found: _Gathered) -> None:
    """Zone and language stand beside the attributes, and are decided by the same clock."""
    if not COLUMN_KEYS.isdisjoint(found.kept):
        found.refuse("", "reserved_trait_name", "map these columns to timezone and locale")
    zone, locale = found.text("timezone"), found.text("locale")
    if zone is not None:
        if zone not in zones():
            found.refuse(found.column("timezone"), "invalid_timezone", "an IANA zone such as Europe/Berlin")
        found.kept[TIMEZONE] = zone
    if locale is not None:
        if not is_locale(locale):
            found.refuse(found.column("locale"), "invalid_locale", "a language such as de or de-DE")
        found.kept[LOCALE] = locale


def event_of(layout: Layout, row: Row, name: str | None, now: datetime) -> EventRow | list[BadRow]:
    """The event of a row, or what is wrong with it."""
    found = layout.gather(row)
    user_id, occurred_at = found.id("user_id"), found.instant("occurred_at")
    if occurred_at is None and not found.bad:
        found.refuse(found.column("occurred_at"), "required", "a row says when it was")
    if occurred_at is not None and occurred_at > now + _FUTURE:
        found.refuse(found.column("occurred_at"), "time_in_future", "an event has happened: look at its zone")
    event = name or found.text("event")
    code = "required" if not event else broken_event_name(event)
    if code:
        found.refuse(found.column("event"), code, "a name of your own, 256 bytes at most; the names of Sojourn's own events are taken")
    event_id = found.id("event_id") if "event_id" in found.plain else None
    try:
        found.check()
    except _Bad as bad:
        return list(bad.found)
    assert event is not None
    assert occurred_at is not None
    said = orjson.dumps([user_id, event, occurred_at.isoformat(), found.kept], option=orjson.OPT_SORT_KEYS)
    return EventRow(row.line, user_id, event, occurred_at, found.kept, event_id, sha256(said).digest()[:16])


def name_of(layout: Layout, row: Row) -> PersonRow | list[BadRow]:
    """Whom a row puts on a list, or what is wrong with it."""
    found = layout.gather(row)
    user_id = found.id("user_id")
    return found.bad or PersonRow(row.line, user_id, _EPOCH, {})


Read = Callable[[Row], PersonRow | EventRow | list[BadRow]]


def problems_of(order: ImportOrder) -> list[Problem]:
    """What is wrong with an order as it stands, before any file is looked at."""
    found = []
    if (order.file is None) == (order.url is None):
        found.append(Problem("/file", "file_or_url", "name the file that was uploaded, or a url: one of the two"))
    if order.timezone not in zones():
        found.append(Problem("/timezone", "invalid_timezone", "an IANA zone such as Europe/Berlin"))
    if order.what == "list" and order.segment is None:
        found.append(Problem("/segment", "required", "name the static segment that they are put on"))
    if order.what == "events" and order.segment is not None:
        found.append(Problem("/segment", "not_for_events", "events put nobody on a list: leave it out"))
    if order.pinpoint and (order.columns or order.what != "users"):
        found.append(Problem("/pinpoint", "has_its_own_mapping", "Pinpoint's files have their own columns: ask for users, without columns"))
    if order.event is not None and (order.what != "events" or broken_event_name(order.event)):
        found.append(Problem("/event", "invalid_event_name", "for events: a name of your own"))
    return [*found, *_column_problems(order)]


def _column_problems(order: ImportOrder) -> list[Problem]:
    found = []
    seen: set[str] = set()
    for place, column in enumerate(order.columns):
        if column.to in seen:
            found.append(Problem(f"/columns/{place}/to", "named_twice", "another line gives this already"))
        seen.add(column.to)
        if not _is_target(order.what, column.to):
            found.append(Problem(f"/columns/{place}/to", "unknown_target", _TARGETS[order.what]))
        if column.format is not None and column.type != "date" and column.to not in _MOMENTS:
            found.append(Problem(f"/columns/{place}/format", "only_for_dates", "only a date has a format"))
    return found


_MOMENTS = {"occurred_at", "updated_at"}
_TARGETS = {
    "users": f"one of user_id, email, phone, timezone, locale, updated_at, attributes.NAME, and address.CHANNEL of {', '.join(ADDRESSED)}",
    "events": "one of user_id, event, event_id, occurred_at, and properties.NAME",
    "list": "only user_id",
}


def _is_target(what: str, to: str) -> bool:
    head, dot, rest = to.partition(".")
    if what == "list":
        return to == "user_id"
    if what == "events":
        return to in {"user_id", "event", "event_id", "occurred_at"} or (head == "properties" and all(rest.split(".")))
    if head == "address":
        return rest in ADDRESSED
    return to in {*_KNOWN_NAMES.values()} or (bool(dot) and head == "attributes" and all(rest.split(".")))


def missing_in(order: ImportOrder, columns: Sequence[str]) -> list[Problem]:
    """What a CSV file lacks, by its header: columns that the order names, and what every row needs."""
    found = [
        Problem(f"/columns/{place}/column", "no_such_column", "the file's header does not have this column")
        for place, each in enumerate(order.columns)
        if each.column not in columns
    ]
    given = Layout(order, columns).targets()
    needed = {"users": ["user_id"], "list": ["user_id"], "events": ["user_id", "occurred_at", *([] if order.event else ["event"])]}
    words = "no column of the file gives this: name it (a file without a line of headers: give header)"
    return found or [Problem("/columns", f"no_{each}", f"{each}: {words}") for each in needed[order.what] if each not in given]


_NOWHERE = object()


def _inside(values: Mapping[str, Any], path: str) -> Any:
    found: Any = values
    for step in path.split("."):
        if not isinstance(found, dict) or step not in found:
            return _NOWHERE
        found = found[step]
    return found
