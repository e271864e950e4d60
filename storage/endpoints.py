"""Addresses of people: how each channel writes one, and who holds it. A device belongs to one person, a mailbox may belong to several."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any

import orjson
import phonenumbers
from email_validator import EmailNotValidError, validate_email
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from journeys.language.errors import Invalid, Problem
from storage.database import Connection
from storage.ids import address_hash
from storage.subscriptions import subscription_as_kept

PUSH = "push"
WITHOUT_ADDRESS = frozenset({"in_app", "custom"})
"""Channels whose messages go to the person as such: nobody has to register an address, and none can be suppressed."""
THE_USER = "user"
"""The target of such a message."""
UNSIGNED = "unsigned"
"""Reason of an inactive endpoint: a browser key brought it to a known person without a signed user id."""
GONE = "gone"
"""Reason of an inactive device: its provider said that the app is not there any more, or its browser has taken the subscription back."""
IMPORTED = "imported"
"""Reason of an inactive endpoint: the file that brought it says that it is not used."""
REPLACED = "replaced"
"""Reason of an inactive device: its provider knows it by another address, which is an endpoint of its own."""

# No dot at an end or beside another, nothing that needs quotes, and at most 64 characters.
_PLAIN_LOCAL = re.compile(r"(?=.{1,64}\Z)[A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*")
_MOST_EMAIL = 254
_PHONE = re.compile(r"\+[0-9][0-9 ().\-/]{4,30}")
_PHONE_CHANNELS = frozenset({"sms", "whatsapp", "voice"})
_MOST_BYTES = 4096
_DELETE = 0x7F


@lru_cache(maxsize=65536)
def normalised(channel: str, address: str) -> str:
    """The one way in which a channel writes this address: email in lower case, phones as E.164. Raises Invalid, without the address.

    Nothing is looked up: no DNS, no deliverability.
    """
    if channel == "email":
        return _email(address)
    if channel in _PHONE_CHANNELS:
        return _phone(address)
    if channel == PUSH and address.startswith(("{", "http")):
        return subscription_as_kept(address)
    if not address or len(address.encode()) > _MOST_BYTES or not _is_one_visible_word(address):
        raise _invalid("invalid_address", "an address has no spaces or control characters and at most 4,096 bytes")
    return address


def _email(address: str) -> str:
    if "=?" in address:  # an encoded word: some Pythons write it as a header of its own
        raise _invalid("invalid_email", "one address, such as name@example.com")
    # The library takes its time for the domain, and most addresses of an import share theirs.
    local, _, domain = address.rpartition("@")
    if _PLAIN_LOCAL.fullmatch(local) and len(address) <= _MOST_EMAIL and address.isascii() and (known := _plain_domain(domain)):
        return f"{local}@{known}".lower()
    return _whole_email(address)


@lru_cache(maxsize=4096)
def _plain_domain(domain: str) -> str:
    """The one way to write a domain in ASCII; empty where the whole address must be looked at."""
    try:
        written = _whole_email(f"a@{domain}").removeprefix("a@")
    except Invalid:
        return ""
    return written if written.isascii() else ""


def _whole_email(address: str) -> str:
    try:
        # Receivers do not tell apart Ann@ and ann@, so suppressions must not either.
        return validate_email(address, check_deliverability=False).normalized.lower()
    except (EmailNotValidError, UnicodeError, ValueError):
        raise _invalid("invalid_email", "one address, such as name@example.com") from None


def _phone(address: str) -> str:
    # The library reads letters and digits of every script as a number; a phone that a person typed so is a mistake.
    if not _PHONE.fullmatch(address):
        raise _invalid("invalid_phone", "a number with its country code, such as +4915112345678")
    try:
        number = phonenumbers.parse(address, None)
    except phonenumbers.NumberParseException:
        raise _invalid("invalid_phone", "a number with its country code, such as +4915112345678") from None
    is_premium = phonenumbers.number_type(number) == phonenumbers.PhoneNumberType.PREMIUM_RATE
    if number.extension or is_premium or not phonenumbers.is_possible_number(number):
        raise _invalid("invalid_phone", "a number that can receive messages, with its country code")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _is_one_visible_word(address: str) -> bool:
    return all(" " < character != chr(_DELETE) for character in address)


def _invalid(code: str, words: str) -> Invalid:
    return Invalid([Problem("", code, words)])


@dataclass(frozen=True)
class Confirmed:
    """An address that a person has, as of `confirmed_at`; `address` is normalised."""

    user_id: int
    channel: str
    address: str
    confirmed_at: datetime
    device: Mapping[str, Any] = field(default_factory=dict)


_ITEMS = """
    unnest(CAST(:users AS bigint[]), CAST(:channels AS text[]), CAST(:addresses AS text[]), CAST(:hashes AS bytea[]),
           CAST(:devices AS text[]), CAST(:confirmed AS timestamptz[])) AS i (user_id, channel, address, hash, device, confirmed_at)
"""
_INSERT = f"""
    INSERT INTO endpoints AS e (app, user_id, channel, address, address_hash, device, confirmed_at)
    SELECT :app, i.user_id, i.channel, i.address, i.hash, CAST(i.device AS jsonb), i.confirmed_at
    FROM {_ITEMS} ORDER BY i.channel, i.hash, i.user_id
"""
MAILBOX_STANDS = """
    ON CONFLICT (app, user_id, channel, address_hash) DO UPDATE SET
        confirmed_at = greatest(e.confirmed_at, excluded.confirmed_at), updated_at = now(),
        device = CASE WHEN excluded.device = '{}' OR excluded.confirmed_at < e.confirmed_at THEN e.device ELSE excluded.device END,
        state = CASE WHEN e.reason = 'unsigned' THEN 'active' ELSE e.state END,
        reason = CASE WHEN e.reason = 'unsigned' THEN NULL ELSE e.reason END
"""
"""What an insert of addresses (as `e`) does to one that is there."""
DEVICE_STANDS = """
    ON CONFLICT (app, address_hash) WHERE channel = 'push' DO UPDATE SET
        user_id = excluded.user_id, device = excluded.device, confirmed_at = excluded.confirmed_at,
        state = 'active', reason = NULL, updated_at = now()
    WHERE e.confirmed_at <= excluded.confirmed_at
"""
_CONFIRM = text(_INSERT + MAILBOX_STANDS)
_CONFIRM_DEVICES = text(_INSERT + DEVICE_STANDS)


async def confirm(connection: Connection, app: str, confirmed: Sequence[Confirmed]) -> None:
    """Store addresses, or that they still hold. The people's rows must be locked. A device token moves to who confirmed it last."""
    mailboxes = {(c.user_id, c.channel, c.address): c for c in sorted(_not_push(confirmed), key=lambda c: c.confirmed_at)}
    devices = {c.address: c for c in sorted((c for c in confirmed if c.channel == PUSH), key=lambda c: c.confirmed_at)}
    for statement, rows in ((_CONFIRM, mailboxes.values()), (_CONFIRM_DEVICES, devices.values())):
        if rows:
            await connection.execute(statement, _parameters(app, list(rows)))


# In order of id, as every locker of several people does.
_LOCK_OWNERS = text(
    "SELECT u.id FROM users u WHERE u.app = :app AND u.id IN (SELECT e.user_id FROM endpoints e"
    " WHERE e.app = :app AND e.channel = 'push' AND e.address_hash = ANY(CAST(:hashes AS bytea[]))) ORDER BY u.id FOR NO KEY UPDATE"
)
_DEACTIVATE = text("""
    UPDATE endpoints SET state = 'inactive', reason = :reason, updated_at = now()
    WHERE app = :app AND channel = 'push' AND address_hash = :hash AND state = 'active'
        AND (CAST(:dead_since AS timestamptz) IS NULL OR confirmed_at <= :dead_since)
""")
_MOVE = text("""
    UPDATE endpoints SET address = :address, address_hash = :new_hash, updated_at = now()
    WHERE app = :app AND channel = 'push' AND address_hash = :hash
""")


async def lock_owners(connection: Connection, app: str, digests: Iterable[bytes]) -> None:
    """Lock the people of several devices at once, before any of these is written to."""
    await connection.execute(_LOCK_OWNERS, {"app": app, "hashes": sorted(digests)})


async def deactivate_device(connection: Connection, app: str, digest: bytes, *, dead_since: datetime | None) -> None:
    """Use a device no more, because its provider says that it is gone; one that was confirmed after `dead_since` is alive again.

    It is used again when it is confirmed again.
    """
    await lock_owners(connection, app, [digest])
    await connection.execute(_DEACTIVATE, {"app": app, "hash": digest, "reason": GONE, "dead_since": dead_since})


async def move_device(connection: Connection, app: str, digest: bytes, address: str) -> None:
    """Keep the address by which the provider knows a device from now on. Where it is an endpoint already, the old one is used no more."""
    await lock_owners(connection, app, [digest])
    new_hash = address_hash(app, PUSH, address)
    try:
        async with connection.begin_nested():
            await connection.execute(_MOVE, {"app": app, "hash": digest, "address": address, "new_hash": new_hash})
    except IntegrityError:
        await connection.execute(_DEACTIVATE, {"app": app, "hash": digest, "reason": REPLACED, "dead_since": None})


def _not_push(confirmed: Sequence[Confirmed]) -> list[Confirmed]:
    return [c for c in confirmed if c.channel != PUSH]


def _parameters(app: str, rows: Sequence[Confirmed]) -> dict[str, Any]:
    return {
        "app": app,
        "users": [c.user_id for c in rows],
        "channels": [c.channel for c in rows],
        "addresses": [c.address for c in rows],
        "hashes": [address_hash(app, c.channel, c.address) for c in rows],
        "devices": [orjson.dumps(c.device).decode() for c in rows],
        "confirmed": [c.confirmed_at for c in rows],
    }


_NEWEST = text("""
SELECT DISTINCT ON (channel) channel, address FROM endpoints
WHERE app = :app AND user_id = :user_id AND state = 'active' ORDER BY channel, confirmed_at DESC, id DESC
""")


async def newest_active(connection: Connection, app: str, user_id: int) -> dict[str, str]:
    """The most recently confirmed active address of each channel."""
    return {row.channel: row.address for row in await connection.execute(_NEWEST, {"app": app, "user_id": user_id})}
