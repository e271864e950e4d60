"""Pages of long lists: newest first, with an opaque cursor that stays right while new rows come in above."""

import base64
import binascii
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar

import orjson
from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field

from journeys.language.errors import Invalid, Problem

Item = TypeVar("Item")
Limit = Annotated[int, Query(ge=1, le=200, description="How many to list at most")]
Cursor = Annotated[str | None, Query(max_length=1000, description="`next` of the page before; leave it out for the first page")]


class Page(BaseModel, Generic[Item]):
    """One page of a list. Ask again with `cursor` set to `next`; without `next` this was the last page."""

    # A parametrised model does not inherit the docstring.
    model_config = ConfigDict(json_schema_extra={"description": "One page; ask again with `cursor` set to `next`, unless that is null."})

    items: list[Item]
    next: str | None = Field(None, description="the cursor of the next page", examples=["WyIyMDI2LTExLTIzIl0"])


def page_of(items: Sequence[Item], limit: int, position: Callable[[Item], Sequence[Any]]) -> tuple[Sequence[Item], str | None]:
    """Cut a list that was read with `limit + 1` to `limit`; the cursor is the position of the last one kept, if more follow."""
    if len(items) <= limit:
        return items, None
    kept = items[:limit]
    return kept, base64.urlsafe_b64encode(orjson.dumps(list(position(kept[-1])))).rstrip(b"=").decode()


def position(cursor: str | None, *kinds: Callable[[Any], Any]) -> list[Any] | None:
    """Read a cursor back into as many values as there are `kinds`, or None for the first page. Raises Invalid."""
    if cursor is None:
        return None
    try:
        values = orjson.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
        return [kind(value) for kind, value in zip(kinds, values, strict=True)]
    except (binascii.Error, ValueError, TypeError) as error:
        raise Invalid([Problem("/cursor", "bad_cursor", "take `next` of the page before as it is")]) from error


def moment(value: Any) -> datetime:
    """Read an instant of a cursor."""
    found = datetime.fromisoformat(value)
    if found.tzinfo is None:
        raise ValueError("an instant has a zone")
    return found


def text(value: Any) -> str:
    """Read a word of a cursor, which must be one that Postgres can hold."""
    if not isinstance(value, str) or "\0" in value:
        raise ValueError("a word was expected")
    return value


def number(value: Any) -> int:
    """Read a whole number of a cursor, within a bigint."""
    if type(value) is not int or abs(value) >= 2**63:
        raise ValueError("a number was expected")
    return value
