"""Codes that a person types in to show that an address is theirs: limits, what the message says, and one way after the other.

Codes are kept only as keyed hashes, and the message's content is deleted when it has left. A new code ends the one before it.
"""

import asyncio
import hmac
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID, uuid4

import phonenumbers
from pydantic import Field, TypeAdapter

from activities.rounds import rounds
from journeys.language.errors import Refused
from storage import apps, direct_sends
from storage import one_time_codes as codes
from storage.database import Connection, Database
from storage.direct_sends import DirectSend
from storage.ids import length_prefixed
from storage.one_time_codes import MOST_TRIES, NewCode, OpenCode

__all__ = ["MOST_TRIES", "AskedTooOften", "Asking", "CodeLane", "Issued", "Pepper", "Way", "is_right", "issue", "rules_of"]

PHONE_CHANNELS = frozenset({"sms", "voice", "whatsapp"})
LOOK_EVERY = timedelta(seconds=3)
NEXT_WAY_AFTER = timedelta(seconds=30)
_NEIGHBOURS = 3
_MINUTE, _HOUR, _DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
_FAILED = frozenset({"rejected", "skipped", "given_up"})
_UNDER_WAY = frozenset({"planned", "deferred", "claimed"})

Way = tuple[str, str]
"""Channel and address."""


class AskedTooOften(Refused):
    """More codes were asked for than the limits allow. Come back after `retry_after_s` seconds."""

    def __init__(self, retry_after_s: float) -> None:
        self.retry_after_s = retry_after_s
        super().__init__("too many codes were asked for")


@dataclass(frozen=True)
class CodeRules:
    """The setting `otp` of an app. `countries` are those to whose numbers codes may go (ISO 3166): without one to none.

    The limits on persons count by every address that a code may go to, whether it is needed or not. `neighbours_per_hour` is for numbers
    that differ only in their last three digits: whoever is paid for texts walks through them.
    """

    countries: tuple[Annotated[str, Field(pattern="^[A-Z]{2}$")], ...] = ()
    seconds_between: Annotated[int, Field(ge=0, le=3600)] = 30
    per_hour: Annotated[int, Field(ge=1, le=1000)] = 5
    per_day: Annotated[int, Field(ge=1, le=1000)] = 10
    neighbours_per_hour: Annotated[int, Field(ge=1, le=10_000)] = 20
    per_minute_in_all: Annotated[int, Field(ge=1, le=1_000_000)] = 600


_RULES: TypeAdapter[CodeRules] = TypeAdapter(CodeRules)


@dataclass(frozen=True)
class Asking:
    """What a code is asked for with. `ways` empty: the user is not known, which nobody is told."""

    whom: str
    ways: Sequence[Way]
    user_id: int | None = None
    length: int = 6
    lives: timedelta = timedelta(minutes=10)
    template: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Issued:
    id: UUID
    expires_at: datetime


class Pepper:
    """Hashes codes and who they are for under a key made from the installation's secret: the table alone tells neither."""

    def __init__(self, secret: str) -> None:
        self._key = hmac.digest(secret.encode(), b"sojourn one-time codes", "sha256")

    def of_code(self, number: UUID, code: str) -> bytes:
        return self._digest("code", str(number), code)

    def of_whom(self, app: str, whom: str) -> bytes:
        return self._digest("whom", app, whom)

    def of_prefix(self, app: str, prefix: str) -> bytes:
        return self._digest("prefix", app, prefix)

    def _digest(self, *parts: str) -> bytes:
        return hmac.digest(self._key, length_prefixed(*parts), "sha256")


def rules_of(settings: Mapping[str, Any]) -> CodeRules:
    """The limits of an app, from its settings."""
    return _RULES.validate_python(settings.get("otp", {}))


def country_of(number: str) -> str:
    """The country of a number in E.164; empty where it has none."""
    return phonenumbers.region_code_for_number(phonenumbers.parse(number)) or ""


async def issue(connection: Connection, app: str, pepper: Pepper, asking: Asking) -> Issued:
    """Write a code, end the one before it, and plan its first message. Raises AskedTooOften.

    Whether anybody is there makes no difference to the answer, nor to the limits.
    """
    settings = await apps.settings(connection, app)
    whom, neighbourhoods = pepper.of_whom(app, asking.whom), _neighbourhoods_of(app, pepper, asking.ways)
    # Whoever fails by a first address of their own on purpose is counted by the second.
    people = list(dict.fromkeys([whom, *(pepper.of_whom(app, f"{channel}:{address}") for channel, address in asking.ways)]))
    new = NewCode(
        id=uuid4(),
        whom=whom,
        counted_by=[*people, *neighbourhoods],
        user_id=asking.user_id,
        ways=asking.ways,
        length=asking.length,
        template=asking.template,
        data=asking.data,
        lives=asking.lives,
    )
    await codes.lock(connection, new.counted_by)
    await _refuse_too_many(connection, app, rules_of(settings), people, neighbourhoods)
    expires_at = await codes.insert(connection, app, new)
    if asking.ways:
        await _send(connection, pepper, _first(app, new), settings)
    return Issued(new.id, expires_at)


async def is_right(connection: Connection, app: str, pepper: Pepper, number: UUID, code: str) -> bool:
    """Whether this is the code: one try of five. Unknown, expired, used and tried too often are all simply not right."""
    typed = await codes.typed(connection, app, number)
    kept = typed.code_hash if typed is not None and typed.code_hash is not None else bytes(32)
    if not hmac.compare_digest(kept, pepper.of_code(number, code)):
        if typed is not None and typed.is_last:
            await codes.close(connection, app, number)
        return False
    await codes.verified(connection, app, number)
    return True


def _neighbourhoods_of(app: str, pepper: Pepper, ways: Sequence[Way]) -> list[bytes]:
    numbers = [address for channel, address in ways if channel in PHONE_CHANNELS]
    return list(dict.fromkeys(pepper.of_prefix(app, number[:-_NEIGHBOURS]) for number in numbers))


async def _refuse_too_many(
    connection: Connection, app: str, rules: CodeRules, people: Sequence[bytes], neighbourhoods: Sequence[bytes]
) -> None:
    for span, most in ((timedelta(seconds=rules.seconds_between), 1), (_HOUR, rules.per_hour), (_DAY, rules.per_day)):
        _judge(await codes.count_of(connection, app, people, span, most), most, span)
    counted = await codes.count_of(connection, app, neighbourhoods, _HOUR, rules.neighbours_per_hour)
    _judge(counted, rules.neighbours_per_hour, _HOUR)
    _judge(await codes.count_of_app(connection, app, _MINUTE, rules.per_minute_in_all), rules.per_minute_in_all, _MINUTE)


def _judge(counted: codes.Counted, most: int, span: timedelta) -> None:
    if span and counted.n >= most and counted.oldest_at and counted.now:
        raise AskedTooOften((counted.oldest_at + span - counted.now).total_seconds())


def _first(app: str, new: NewCode) -> OpenCode:
    return OpenCode(
        app, new.id, new.user_id, new.ways, 0, new.length, new.template, new.data, None, None, False, timedelta(0), new.lives
    )  # fmt: skip


async def _send(connection: Connection, pepper: Pepper, code: OpenCode, settings: Mapping[str, Any]) -> None:
    """Plan the next message, with a code of its own."""
    channel, address = code.ways[min(code.sends, len(code.ways) - 1)]
    digits = "".join(secrets.choice("0123456789") for _ in range(code.length))
    minutes = max(1, round(code.left / _MINUTE))
    if code.template is not None:
        content: dict[str, Any] = {"template": code.template, "data": {**code.data, "code": digits, "minutes": minutes}}
    else:
        content = {"parts": _words(channel, digits, minutes, await apps.name(connection, code.app), settings)}
    content["tracking"] = False
    request = f"otp:{code.id}:{code.sends}"
    send = DirectSend(code.app, request, channel, "transactional", content, code.user_id, address, holds_for=code.left)
    planned = await direct_sends.plan_direct(connection, send)
    await codes.sent(
        connection,
        code.app,
        code.id,
        code_hash=pepper.of_code(code.id, digits),
        message_id=planned.ids[0],
        look_after=LOOK_EVERY,
    )


def _words(channel: str, digits: str, minutes: int, app_name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What a message says for which no template is named."""
    lasts = f"{minutes} minute{'' if minutes == 1 else 's'}"
    match channel:
        case "email":
            sender = {name: settings[name] for name in ("from", "reply_to") if settings.get(name)}
            text = f"Your code is {digits}.\n\nIt is valid for {lasts}. If you did not ask for it, nothing needs to be done.\n"
            return {"subject": f"{digits} is your code for {app_name}", "text": text, **sender}
        case "voice":
            spoken = ", ".join(digits)
            return {"text": f"Your code for {app_name} is: {spoken}. Once more: {spoken}."}
        case _:
            return {"text": f"{digits} is your code for {app_name}. It is valid for {lasts}."}


class CodeLane:
    """Looks whether codes went out, and sends a new one by the next way where one did not. Any number of processes may run it."""

    def __init__(self, database: Database, pepper: Pepper, woken: asyncio.Event, *, every_s: float = 1.0) -> None:
        self._database = database
        self._pepper = pepper
        self._woken = woken
        self._every_s = every_s

    async def run(self) -> None:
        """Run until cancelled."""
        await rounds(self.pass_once, self._every_s, "code_lane_waits")

    async def pass_once(self) -> int:
        """Look at what is due; return how many codes that were."""
        async with self._database.transaction() as connection:
            due = await codes.due(connection)
        for app, number in due:
            async with self._database.transaction() as connection:
                code = await codes.take(connection, app, number)
                if code is not None:
                    await self._go_on(connection, code)
        return len(due)

    async def _go_on(self, connection: Connection, code: OpenCode) -> None:
        match what_next(code):
            case "close":
                await codes.close(connection, code.app, code.id)
            case "next":
                await direct_sends.drop(connection, code.app, [code.message_id] if code.message_id else [], reason="superseded")
                await _send(connection, self._pepper, code, await apps.settings(connection, code.app))
                self._woken.set()
            case wait:
                await codes.look_again(connection, code.app, code.id, wait)


def what_next(code: OpenCode) -> timedelta | Literal["close", "next"]:
    """Wait so long, send by the next way, or be done.

    A message of which nobody knows after half a minute is followed by a new code by the next way, or by the same one once more.
    One that waits while there is no other way may leave for as long as its code is right; one that went out may bounce for as long, and
    whoever notes that makes the code due.
    """
    if code.left <= timedelta(0):
        return "close"
    has_failed = code.state is None or code.state in _FAILED or code.has_bounced
    is_late = code.since_send >= NEXT_WAY_AFTER
    has_way = code.sends < len(code.ways)
    if code.state == "sent" and not code.has_bounced:
        return code.left if has_way else "close"
    if not has_failed and not is_late:
        return LOOK_EVERY
    if has_way or (code.state == "unknown" and code.sends == len(code.ways)):
        return "next"
    return NEXT_WAY_AFTER if code.state in _UNDER_WAY else "close"
