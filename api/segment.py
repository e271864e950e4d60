"""Reads one call of the Segment spec into what `storage.events.accept` takes, or says which rules it breaks. Pure but for drawing an id.

Codes and pointers are public; pointers are relative to the item. No value is ever repeated.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import uuid4

import orjson

from api.body import broken_rule, is_small
from journeys.language.errors import Invalid, Problem
from storage.consents import EVERY, ConsentRecord
from storage.endpoints import PUSH, normalised
from storage.events import Address, Incoming, Trust
from storage.item_rules import ID_BYTES, ITEM_BYTES, STRING_BYTES, broken_event_name, broken_id, is_locale, is_visible, read_time, zones

KINDS = ("identify", "track", "page", "screen", "group", "alias")
MOST_CONSENTS = 50
FUTURE = timedelta(minutes=5)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# What a library changes when it sends the same call again.
_NOT_THE_CALL = frozenset({"sentAt", "receivedAt", "writeKey", "integrations", "_metadata"})
_NOT_KEPT = frozenset({"traits", "signedUserId"})
_CHANNELS = frozenset({EVERY, "email", "sms", "whatsapp", "voice", "push", "in_app", "webhook", "custom"})
_STATES = frozenset({"granted", "withdrawn"})


@dataclass(frozen=True)
class Envelope:
    """What the items of one request share. `kind`: of a single call, None in a batch. `trust` weighs (user id, signed token).

    `is_plain` is what `api.body` says of the bytes they came in: then a quick look is enough for most items.
    """

    received_at: datetime
    kind: str | None = None
    sent_at: datetime | None = None
    context: Mapping[str, Any] = field(default_factory=dict)
    is_history: bool = False
    is_plain: bool = False
    trust: Callable[[str | None, object], Trust] = lambda _user_id, _token: "server"


@dataclass(frozen=True)
class Read:
    """A good item. `notes` are codes of what its sender should know: no_message_id, time_in_future."""

    incoming: Incoming
    notes: tuple[str, ...] = ()


def read_item(raw: Any, envelope: Envelope) -> Read:
    """Read one call. Raises Invalid with all its problems."""
    if type(raw) is not dict:
        raise Invalid([Problem("", "not_an_object")])
    said = _said_if_shallow(raw) if envelope.is_plain else b""
    if not said or len(said) > STRING_BYTES or not is_small(raw):
        broken = broken_rule(raw)
        if broken is not None:
            raise Invalid([broken])
    said = said or _said(raw)
    if len(said) > ITEM_BYTES:
        raise Invalid([Problem("", "item_too_large")])
    return _Reader(raw, envelope).read(sha256(said).digest()[:16])


def _said_if_shallow(raw: Mapping[str, Any]) -> bytes:
    """Nothing for what is nested deeper than orjson writes, which `broken_rule` then refuses."""
    try:
        return _said(raw)
    except orjson.JSONEncodeError:
        return b""


def _said(raw: Mapping[str, Any]) -> bytes:
    return orjson.dumps({key: value for key, value in raw.items() if key not in _NOT_THE_CALL}, option=orjson.OPT_SORT_KEYS)


class _Reader:
    """One item being read; `problems` gathers everything that is wrong with it."""

    def __init__(self, raw: Mapping[str, Any], envelope: Envelope) -> None:
        self.raw = raw
        self.envelope = envelope
        self.problems: list[Problem] = []
        self.notes: list[str] = []

    def read(self, fingerprint: bytes) -> Read:
        kind = self.envelope.kind or self.kind()
        user_id, anonymous_id = self.id("userId"), self.id("anonymousId")
        own = self.object("context")
        context = {**self.envelope.context, **own} if self.envelope.context else own
        traits = self.traits(kind, context)
        occurred_at = self.occurred_at()
        incoming = Incoming(
            event_id=self.message_id(),
            occurred_at=occurred_at,
            name=self.name(kind),
            user_id=user_id,
            anonymous_id=anonymous_id,
            previous_id=self.previous_id(kind),
            joins=kind in {"identify", "alias"},
            properties=self.properties(kind, traits),
            context=self.kept(context),
            traits=traits,
            timezone=self.timezone(context),
            locale=_locale(context.get("locale")),
            addresses=self.addresses(traits, context),
            consents=self.consents(context) if kind == "identify" else (),
            trust=self.envelope.trust(user_id, context.get("signedUserId")),
            body_hash=fingerprint,
        )
        if user_id is None and (anonymous_id is None or kind == "alias"):
            self.add("/userId", "required")
        if self.problems:
            raise Invalid(self.problems)
        return Read(incoming, tuple(self.notes))

    def add(self, pointer: str, code: str, words: str = "") -> None:
        self.problems.append(Problem(pointer, code, words))

    def kind(self) -> str:
        kind = self.raw.get("type")
        if kind not in KINDS:
            self.add("/type", "required" if kind is None or kind == "" else "unknown_type", f"one of {', '.join(KINDS)}")
            return ""
        return str(kind)

    def id(self, name: str) -> str | None:
        value = self.raw.get(name)
        if value is None or value == "":
            return None
        if type(value) is int:
            return str(value)
        if type(value) is not str:
            self.add(f"/{name}", "not_a_string")
            return None
        code = broken_id(value)
        if code:
            self.add(f"/{name}", code)
        return value

    def message_id(self) -> str:
        given = self.id("messageId")
        if given is None:
            self.notes.append("no_message_id")
            return f"sj-{uuid4().hex}"
        return given

    def previous_id(self, kind: str) -> str | None:
        if kind != "alias":
            return None
        previous = self.id("previousId")
        if previous is None:
            self.add("/previousId", "required")
        return previous

    def name(self, kind: str) -> str | None:
        match kind:
            case "track":
                return self.event_name()
            case "identify":
                return "identified"
            case "page":
                return "page_viewed"
            case "screen":
                return "screen_viewed"
            case "group":
                return "grouped"
            case _:
                return None

    def event_name(self) -> str:
        name = self.raw.get("event")
        if name is None or name == "":
            self.add("/event", "required")
        elif type(name) is not str:
            self.add("/event", "not_a_string")
        elif code := broken_event_name(name):
            words = "this name belongs to an event that Sojourn makes itself" if code == "reserved_event_name" else ""
            self.add("/event", code, words)
        return str(name)

    def object(self, name: str) -> Mapping[str, Any]:
        value = self.raw.get(name)
        if value is None:
            return {}
        if type(value) is not dict:
            self.add(f"/{name}", "not_an_object")
            return {}
        return value

    def traits(self, kind: str, context: Mapping[str, Any]) -> Mapping[str, Any]:
        """Attributes come from identify only. RudderStack's Python library has them in the context alone."""
        if kind != "identify":
            return {}
        beside = context.get("traits")
        traits = {**beside, **self.object("traits")} if type(beside) is dict else self.object("traits")
        for name in ("$timezone", "$locale"):
            if name in traits:
                self.add(f"/traits/{name}", "reserved_trait_name", "context.timezone and context.locale set these")
        return traits

    def properties(self, kind: str, traits: Mapping[str, Any]) -> Mapping[str, Any]:
        if kind == "identify":
            return traits
        if kind == "group":
            return {"groupId": self.group_id(), "traits": self.object("traits")}
        properties = self.object("properties")
        if kind in {"page", "screen"}:
            named = {name: self.raw[name] for name in ("name", "category") if type(self.raw.get(name)) is str}
            return {**named, **properties}
        return properties

    def group_id(self) -> str | None:
        group = self.id("groupId")
        if group is None:
            self.add("/groupId", "required")
        return group

    def occurred_at(self) -> datetime:
        moment = self.corrected()
        if moment is None:
            return self.envelope.received_at
        if moment < _EPOCH:
            self.add("/timestamp", "time_before_1970")
        elif moment > self.envelope.received_at + FUTURE:
            self.notes.append("time_in_future")
            return self.envelope.received_at
        return moment

    def corrected(self) -> datetime | None:
        """What the caller's clock said, minus its error, which `sentAt` tells.

        With both timestamp and originalTimestamp the first was chosen or corrected by somebody already. History keeps its own times.
        """
        chosen, original = self.time("timestamp"), self.time("originalTimestamp")
        sent_at = self.time("sentAt") or self.envelope.sent_at
        moment = chosen or original
        if moment is None or sent_at is None or (chosen and original) or self.envelope.is_history:
            return moment
        try:
            return moment + (self.envelope.received_at - sent_at)
        except OverflowError:
            self.add("/timestamp", "invalid_time")
            return None

    def time(self, name: str) -> datetime | None:
        value = self.raw.get(name)
        if value is None:
            return None
        moment = read_time(value)
        if moment is None:
            self.add(f"/{name}", "invalid_time", "a time in ISO 8601")
        return moment

    def timezone(self, context: Mapping[str, Any]) -> str | None:
        zone = context.get("timezone")
        if zone is None or zone == "":
            return None
        if type(zone) is not str or zone not in zones():
            self.add("/context/timezone", "invalid_timezone", "an IANA zone such as Europe/Berlin")
            return None
        return zone

    def addresses(self, traits: Mapping[str, Any], context: Mapping[str, Any]) -> tuple[Address, ...]:
        device = context.get("device")
        if not traits and device is None:
            return ()
        found = [self.address("/traits/email", "email", traits.get("email"), "invalid_email")]
        found.append(self.address("/traits/phone", "sms", traits.get("phone"), "invalid_phone"))
        if type(device) is dict:
            kept = {key: value for key, value in device.items() if key != "token"} | _software(context)
            found.append(self.address("/context/device/token", PUSH, device.get("token"), "invalid_address", kept))
        return tuple(address for address in found if address is not None)

    def address(self, pointer: str, channel: str, value: Any, code: str, device: Mapping[str, Any] | None = None) -> Address | None:
        if value is None or (channel == PUSH and value == ""):
            return None
        if type(value) is not str:
            self.add(pointer, code)
            return None
        try:
            return Address(channel, normalised(channel, value), device or {})
        except Invalid as refused:
            self.problems += [Problem(pointer, problem.code, problem.message) for problem in refused.problems]
            return None

    def consents(self, context: Mapping[str, Any]) -> tuple[ConsentRecord, ...]:
        given = context.get("consents")
        if given is None:
            return ()
        if type(given) is not list or len(given) > MOST_CONSENTS:
            self.add("/context/consents", "invalid_consent", f"a list of at most {MOST_CONSENTS} objects")
            return ()
        records = [self.consent(index, one, context) for index, one in enumerate(given)]
        return tuple(record for record in records if record is not None)

    def consent(self, index: int, given: Any, context: Mapping[str, Any]) -> ConsentRecord | None:
        known = given if type(given) is dict else {}
        channel, topic, state = known.get("channel", EVERY), known.get("topic", EVERY), known.get("state")
        is_topic = type(topic) is str and 0 < len(topic.encode()) <= ID_BYTES and is_visible(topic)
        if not isinstance(channel, str) or channel not in _CHANNELS or not isinstance(state, str) or state not in _STATES or not is_topic:
            self.add(f"/context/consents/{index}", "invalid_consent", "channel, topic, and state granted or withdrawn")
            return None
        proof = {"messageId": self.raw.get("messageId"), "ip": context.get("ip")}
        return ConsentRecord(
            channel, topic, "granted" if state == "granted" else "withdrawn", "identify", {k: v for k, v in proof.items() if v is not None}
        )

    def kept(self, context: Mapping[str, Any]) -> Mapping[str, Any]:
        kept = context if _NOT_KEPT.isdisjoint(context) else {key: value for key, value in context.items() if key not in _NOT_KEPT}
        return {**kept, "timestampInFuture": True} if "time_in_future" in self.notes else kept


def _locale(value: Any) -> str | None:
    return value if type(value) is str and is_locale(value) else None


def _software(context: Mapping[str, Any]) -> dict[str, Any]:
    """What conditions may ask a device for beside what the library says of it: the system, and the app's version."""
    found: dict[str, Any] = {}
    for name, member, key in (("os", "name", "os"), ("os", "version", "os_version"), ("app", "version", "app_version")):
        part = context.get(name)
        if type(part) is dict and part.get(member) is not None:
            found[key] = part[member]
    return found
