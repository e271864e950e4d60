"""What people lack for a message to be made for them, as SQL over one row of `users`: as a template is filled in."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Text, and_, case, cast, exists, func, literal, or_, select, true
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.sql.selectable import NamedFromClause

from storage.endpoints import PUSH, WITHOUT_ADDRESS
from storage.expressions import APP, Sql, walk
from storage.tables import endpoints, users

_NO_TEXT: Sql = cast(literal('""', Text), JSONB)
# As channels/template_locales.py reads a locale: de_AT.UTF-8 is de-at, and what is none is nothing.
_WRITTEN = "^[^.@]*"
_LOCALE = "^[a-z]{2,3}(?:-[a-z0-9]{2,8}){0,3}$"


@dataclass(frozen=True)
class Need:
    """`user.x`, or `device.x` of the address: a message on this channel is not made without it.

    `readers` are the variants of its template that need it, of all that there are; the empty one is of who reads none of the others.
    """

    variable: str
    channel: str
    readers: Sequence[str] = ("",)
    variants: Sequence[str] = ("",)


def lacks(need: Need) -> Sql:
    """They have nothing, null or an empty text there; of `device`, an address of theirs to which the message goes has."""
    return _has_nothing(need) if set(need.readers) == set(need.variants) else and_(_reads(need), _has_nothing(need))


def _has_nothing(need: Need) -> Sql:
    if need.variable == "user.user_id":
        return users.c.user_id.is_(None)
    root, _, path = need.variable.partition(".")
    if root == "user":
        return _is_nothing(walk(users.c.attributes, path))
    if need.channel in WITHOUT_ADDRESS:
        return true()
    reached = _addresses(need.channel)
    return exists(select(reached.c.device).where(_is_nothing(walk(reached.c.device, path))))


def _reads(need: Need) -> Sql:
    """The most exact of the variants that fit their locale is one of the readers."""
    locale = func.coalesce(func.nullif(users.c.locale, ""), users.c.attributes.op("->>")(literal("locale", Text)), type_=Text)
    written = func.lower(func.replace(func.substring(func.btrim(locale), literal(_WRITTEN, Text)), "_", "-"), type_=Text)
    spoken = func.substring(written, literal(_LOCALE, Text), type_=Text)
    tags = sorted(filter(None, need.variants), key=len, reverse=True)
    return case(*((or_(spoken == tag, func.starts_with(spoken, f"{tag}-")), tag) for tag in tags), else_="").in_(sorted(need.readers))


def _is_nothing(value: Sql) -> Sql:
    return or_(value.is_(None), value == _NO_TEXT)


def _addresses(channel: str) -> NamedFromClause:
    """A push goes to all devices, anything else to the address that was confirmed last."""
    address = endpoints.alias()
    theirs = select(address.c.device).where(
        address.c.app == APP, address.c.user_id == users.c.id, address.c.channel == channel, address.c.state == "active"
    )
    newest = theirs.order_by(address.c.confirmed_at.desc(), address.c.id.desc())
    return newest.limit(None if channel == PUSH else 1).correlate(users).offset(0).subquery()
