"""What a mail can be given as it is, and what of it is judged before it is accepted."""

from base64 import b64decode
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from channels.base import Rejected
from channels.email import labels
from channels.email.attachments import MOST, MOST_BYTES, file_name, media_type
from channels.email.headers import mailbox, safe_text
from channels.email.way_out import PLACE, bodies_without
from journeys.language.errors import Invalid, Problem
from storage import apps
from storage.database import Connection

MOST_TEXT = 500_000
Text = Annotated[str, Field(min_length=1, max_length=MOST_TEXT)]


def _file_name(text: str) -> str:
    try:
        return file_name(text)
    except Rejected as error:
        raise PydanticCustomError("bad_file_name", "1 to 100 printable characters, without a path") from error


def _media_type(text: str) -> str:
    try:
        return media_type(text)
    except Rejected as error:
        raise PydanticCustomError("bad_content_type", "as in application/pdf: small letters, no parameters") from error


def _base64(text: str) -> str:
    try:
        b64decode(text, validate=True)
    except ValueError as error:
        raise PydanticCustomError("not_base64", "the file's bytes in base64 (RFC 4648, section 4), in one line") from error
    return text


class FileOfMail(BaseModel):
    """One file that goes with a mail."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, AfterValidator(_file_name), Field(examples=["invoice.pdf"])]
    type: Annotated[str, AfterValidator(_media_type), Field(examples=["application/pdf"])]
    content: Annotated[str, AfterValidator(_base64), Field(min_length=4, description="in base64", examples=["JVBERi0xLjcK"])]


def _fit_into_a_mail(files: list[FileOfMail]) -> list[FileOfMail]:
    if sum(len(file.content) for file in files) * 3 // 4 > MOST_BYTES:
        raise PydanticCustomError("too_large", "the files of a mail may have 7 MB in all: send a link to what is larger")
    return files


FilesOfMail = Annotated[list[FileOfMail], AfterValidator(_fit_into_a_mail), Field(max_length=MOST)]


def _as(code: str, check: Callable[[str], str]) -> AfterValidator:
    def checked(text: str) -> str:
        try:
            return check(text)
        except ValueError as error:
            raise PydanticCustomError(code, str(error)) from error

    return AfterValidator(checked)


def _written_once(headers: dict[str, str]) -> dict[str, str]:
    try:
        labels.distinct(headers)
    except ValueError as error:
        raise PydanticCustomError("written_twice", str(error)) from error
    return headers


Headers = Annotated[
    dict[Annotated[str, _as("bad_header_name", labels.header_name)], Annotated[str, _as("unsafe_header", labels.header_text)]],
    AfterValidator(_written_once),
    Field(max_length=labels.MOST_HEADERS),
]
Tags = Annotated[
    dict[Annotated[str, _as("bad_tag_name", labels.tag_name)], Annotated[str, _as("bad_tag", labels.tag_text)]],
    Field(max_length=labels.MOST_TAGS),
]


class EmailParts(BaseModel):
    """`html`, `text`, or both. Without `from` the app's."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    subject: Annotated[str, Field(min_length=1, max_length=998)]
    html: Text | None = None
    text: Text | None = None
    sender: Annotated[str | None, Field(alias="from", max_length=320)] = None
    reply_to: Annotated[str | None, Field(max_length=320)] = None
    headers: Headers | None = None
    tags: Tags | None = None

    @model_validator(mode="after")
    def _has_a_body(self) -> Self:
        if self.html is None and self.text is None:
            raise PydanticCustomError("no_body", "html or text is needed")
        return self


def must_show_a_way_out(parts: Mapping[str, Any]) -> None:
    """Raises Invalid for each body of a marketing mail that lacks the place of the unsubscribe link."""
    words = f"marketing mail must show its reader how to leave: write {PLACE} where the address belongs"
    if lacking := bodies_without(parts):
        raise Invalid([Problem(f"/content/{name}", "no_unsubscribe", words) for name in lacking])


async def with_sender(connection: Connection, app: str, parts: dict[str, Any]) -> dict[str, Any]:
    """Check what becomes headers, and take the app's sender where none is named."""
    settings = await apps.settings(connection, app)
    filled = {name: settings[name] for name in ("from", "reply_to") if settings.get(name)} | parts
    if "from" not in filled:
        raise Invalid([Problem("/content/from", "missing", "name a sender, or set the app's")])
    for name, check in (("subject", safe_text), ("from", mailbox), ("reply_to", mailbox)):
        try:
            check(filled.get(name) or "a@example.org")
        except Rejected as error:
            raise Invalid([Problem(f"/content/{name}", "unsafe_header", "one line, without encoded words; one address")]) from error
    return filled
