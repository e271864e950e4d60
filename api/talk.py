"""What content of one's own may say on WhatsApp and in calls, as POST /v1/messages takes it."""

from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError


class _Parts(BaseModel):
    model_config = ConfigDict(extra="forbid")


def _numbered(variables: Any) -> Any:
    return {str(place): value for place, value in enumerate(variables, 1)} if isinstance(variables, list) else variables


Variables = Annotated[
    dict[Annotated[str, Field(pattern="^[a-z0-9_]{1,60}$")], Annotated[str, Field(min_length=1, max_length=1024)]],
    BeforeValidator(_numbered),
]
Link = Annotated[str | None, Field(pattern="^https://", max_length=2000)]
Short = Annotated[str | None, Field(min_length=1, max_length=1024)]


class _OneOf(_Parts):
    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if len(self.model_dump(exclude_none=True)) != 1:
            raise PydanticCustomError("one_of", "exactly one of the fields is needed")
        return self


class Header(_OneOf):
    text: Short = None
    image: Link = None
    video: Link = None
    document: Link = None


class Button(_OneOf):
    url: Short = None
    payload: Short = None


class Approved(_Parts):
    """A template that WhatsApp has approved, filled in: variables as a list, or by their names."""

    name: Annotated[str, Field(pattern="^[a-z0-9_]{1,512}$")]
    language: Annotated[str, Field(pattern="^[a-z]{2,3}(_[A-Z]{2})?$")]
    body: Variables = Field(default_factory=dict)
    header: Header | None = None
    buttons: dict[Annotated[str, Field(pattern="^[0-9]$")], Button] = Field(default_factory=dict)
    content_sid: Annotated[str | None, Field(pattern="^HX[0-9a-f]{32}$")] = None
    content_variables: Variables | None = None


class WhatsappParts(_Parts):
    """`text` answers who wrote within 24 hours, `template` may begin; with both the one that fits is sent."""

    text: Annotated[str | None, Field(min_length=1, max_length=4096)] = None
    template: Approved | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.text is None and self.template is None:
            raise PydanticCustomError("no_body", "text or template is needed")
        return self


class VoiceParts(_Parts):
    """`text` as it is, or `ssml`; said by `voice` in `language`, else by those of the account."""

    text: Annotated[str | None, Field(min_length=1, max_length=3000)] = None
    ssml: Annotated[str | None, Field(min_length=1, max_length=6000)] = None
    voice: Annotated[str | None, Field(pattern=r"^[A-Za-z][A-Za-z0-9.\-]{0,60}$")] = None
    language: Annotated[str | None, Field(pattern="^[a-z]{2,3}-[A-Z]{2}$")] = None

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        if (self.text is None) == (self.ssml is None):
            raise PydanticCustomError("one_content", "text or ssml, one of the two")
        return self
