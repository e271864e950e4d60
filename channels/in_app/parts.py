"""The fields of an in-app message as they are when it is sent: links, lengths and numbers checked, defaults filled in."""

import re
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from channels.in_app.content import length_of

Placement = Literal["banner", "modal", "fullscreen", "inbox"]
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]{0,40}):[^\s\x00-\x1f\x7f]+", re.IGNORECASE)
# What a browser would run in the page of whoever shows the link.
_SCRIPTS = frozenset({"javascript", "data", "vbscript", "blob", "file", "filesystem"})


def _is_link(value: str) -> str:
    found = _SCHEME.fullmatch(value)
    if found is None or found[1].lower() in _SCRIPTS:
        raise ValueError("write a whole address: https://... or a deep link of the app")
    return value


def _is_web_link(value: str) -> str:
    if not value.startswith(("https://", "http://")):
        raise ValueError("write a whole address: https://...")
    return _is_link(value)


def _is_length_of_time(value: str) -> str:
    length_of(value)
    return value


Link = Annotated[str, Field(max_length=2000), AfterValidator(_is_link)]
WebLink = Annotated[str, Field(max_length=2000), AfterValidator(_is_web_link)]
Name = Annotated[str, Field(min_length=1, max_length=128)]
Value = Annotated[str, Field(max_length=256)] | bool | int | float


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class InAppButton(_Part):
    """What can be pressed. Without `url` it closes the message."""

    text: Annotated[str, Field(min_length=1, max_length=64, examples=["See the offer"])]
    url: Link | None = Field(None, examples=["https://shop.example/offer"])


class InAppCaps(_Part):
    """How often it is shown at most. `total` is counted here, `daily` and `session` by the client."""

    daily: Annotated[int, Field(ge=1, le=100)] | None = None
    session: Annotated[int, Field(ge=1, le=100)] | None = None
    total: Annotated[int, Field(ge=1, le=1000)] | None = Field(None, examples=[3])


class InAppDisplay(_Part):
    """When the client shows it: at this event, on this screen, when every attribute has one of its values. What is absent always holds."""

    event: Name | None = Field(None, examples=["cart_viewed"])
    screen: Name | None = Field(None, examples=["checkout"])
    attributes: Annotated[dict[Name, Annotated[list[Value], Field(min_length=1, max_length=50)]], Field(max_length=20)] = Field(
        default_factory=dict, examples=[{"plan": ["free", "trial"]}]
    )


class InAppParts(_Part):
    """Plain text, never HTML. Of several messages the lowest `priority` comes first."""

    title: Annotated[str, Field(max_length=200)] | None = None
    body: Annotated[str, Field(min_length=1, max_length=4000)]
    url: Link | None = None
    image: WebLink | None = None
    buttons: Annotated[list[InAppButton], Field(max_length=2)] = Field(default_factory=list)
    data: Annotated[dict[Name, Annotated[str, Field(max_length=1000)]], Field(max_length=20)] = Field(default_factory=dict)
    placement: Placement = "modal"
    inbox: bool = Field(default=False, description="keep it in the inbox too; placement inbox shows it nowhere else")
    priority: Annotated[int, Field(ge=1, le=100)] = 50
    expires: Annotated[str, AfterValidator(_is_length_of_time)] = "30d"
    caps: InAppCaps = Field(default_factory=InAppCaps)
    display: InAppDisplay = Field(default_factory=InAppDisplay)

    @property
    def expires_in(self) -> timedelta:
        return length_of(self.expires)

    def shown(self) -> dict[str, Any]:
        """What a client needs to show it; absent is what was not said."""
        return self.model_dump(include={"title", "body", "url", "image", "buttons", "data", "caps", "display"}, exclude_none=True)
