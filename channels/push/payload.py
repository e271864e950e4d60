"""What a push says, in one shape for every provider.

What a provider cannot say (sayable.py) is Rejected, or left out where the message allows it.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from channels.base import Outgoing, Rejected
from channels.push.sayable import cannot_say

MESSAGE_KEY = "sojourn_message"
"""Under this name every app finds our id of the message in its data."""

LONGEST_TTL_S = 2_419_200
_SHOWN = ("title", "body", "image", "badge", "sound")
# Ours, Apple's and Google's own names; `url` and `image` stand beside the data.
_RESERVED = ("aps", "url", "image", "from", "message_type", MESSAGE_KEY)
_ADM_SHORTEST_TTL_S = 60
_DATA = "data."
_LISTS = ("optional", "providers")
_RESERVED_STARTS = ("google", "gcm")


def _data_key(key: str) -> str:
    if key in _RESERVED or key.startswith(_RESERVED_STARTS):
        raise PydanticCustomError("reserved_key", "a reserved name: choose another")
    return key


_Key = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_.-]{0,63}$"), AfterValidator(_data_key)]


class Push(BaseModel):
    """One push. `ttl` is in seconds; `silent` shows nothing and only wakes the app; `collapse` replaces an older one of the same name.

    `optional` names fields that a provider which cannot say them may leave out.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: Annotated[str, Field(min_length=1, max_length=1000)] | None = None
    body: Annotated[str, Field(min_length=1, max_length=3000)] | None = None
    image: Annotated[str, Field(pattern="^https://", max_length=2000)] | None = None
    url: Annotated[str, Field(min_length=1, max_length=2000)] | None = None
    data: Annotated[dict[_Key, str], Field(max_length=100)] = {}
    badge: Annotated[int, Field(ge=0, le=99_999)] | None = None
    sound: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    ttl: Annotated[int, Field(ge=0, le=LONGEST_TTL_S)] | None = None
    collapse: Annotated[str, Field(pattern=r"^[!-~]{1,64}$")] | None = None
    silent: bool = False
    priority: Literal["high", "normal"] | None = None
    optional: tuple[Literal["image", "url", "badge", "sound", "ttl", "collapse", "priority"], ...] = ()

    @model_validator(mode="after")
    def _is_shown_or_silent(self) -> Self:
        if self.silent and any(getattr(self, name) is not None for name in _SHOWN):
            raise PydanticCustomError("silent_shows", "a silent push has no title, body, image, badge or sound")
        if not self.silent and (self.title is None or self.body is None):
            raise PydanticCustomError("nothing_to_show", "title and body are needed, unless it is silent")
        return self

    def parts(self) -> dict[str, Any]:
        """As a message's content holds it: only what is said."""
        return self.model_dump(mode="json", exclude_defaults=True)

    @property
    def said(self) -> frozenset[str]:
        """The names of the fields that are used."""
        return frozenset(name for name in type(self).model_fields if getattr(self, name) not in (None, {}, False, ()))


def gathered(texts: Mapping[str, str]) -> dict[str, Any]:
    """The parts of a push from what a template's fields came to; what came to nothing is left out. Raises ValidationError.

    `data.<key>` are members of its data; lists are separated by commas.
    """
    data = {name.removeprefix(_DATA): text for name, text in texts.items() if name.startswith(_DATA)}
    told: dict[str, Any] = {name: text for name, text in texts.items() if text and not name.startswith(_DATA) and name not in _LISTS}
    optional = {"optional": texts["optional"].split(",")} if texts.get("optional") else {}
    return Push.model_validate({**told, **optional, "data": data}).parts()


def push_for(way: str, outgoing: Outgoing) -> Push:
    """Read a push as `way` can say it: a provider, or that of the platform behind it. Raises Rejected and names what it cannot say."""
    push = _read(outgoing.content.parts)
    unsayable = cannot_say(way, push.said) | _cannot_say_so(way, push)
    refused = [f"{name} ({why})" for name, why in unsayable.items() if name not in push.optional]
    if refused:
        raise Rejected(f"{way} cannot say {', '.join(refused)}")
    return push.model_copy(update=dict.fromkeys(unsayable))


def data_with_ids(push: Push, outgoing: Outgoing) -> dict[str, str]:
    """What the app reads beside what is shown: its data, the link, and our id."""
    link = {"url": push.url} if push.url is not None else {}
    return {**push.data, **link, MESSAGE_KEY: str(outgoing.message_id)}


def written(payload: Mapping[str, Any]) -> bytes:
    return orjson.dumps(payload)


def refuse_when_larger(payload: bytes, most: int) -> None:
    """Raise Rejected for a payload that the provider would not take."""
    if len(payload) > most:
        raise Rejected(f"the push is larger than the {most:,} bytes that the provider takes")


def _read(parts: Mapping[str, Any]) -> Push:
    try:
        return Push.model_validate(parts)
    except ValidationError as error:
        raise Rejected(f"the push cannot be read: {first_fault(error)}") from error


def first_fault(error: ValidationError) -> str:
    """The first fault in words, without its value."""
    fault = error.errors(include_input=False, include_url=False, include_context=False)[0]
    return f"{'.'.join(str(part) for part in fault['loc'] if part != '[key]') or 'push'}: {fault['msg']}"[:200]


def _cannot_say_so(way: str, push: Push) -> dict[str, str]:
    """Values that a provider cannot say in a field that it has."""
    if way == "apns" and push.silent and push.priority == "high":
        return {"priority": "what is silent is never urgent there"}
    if way == "adm" and push.ttl is not None and push.ttl < _ADM_SHORTEST_TTL_S:
        return {"ttl": "it keeps a message for a minute at least"}
    return {}
