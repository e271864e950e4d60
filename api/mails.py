"""What a mail can be given as it is, and what of it is judged before it is accepted."""

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from channels.base import Rejected
from channels.email.headers import mailbox, safe_text
from channels.email.way_out import PLACE, bodies_without
from journeys.language.errors import Invalid, Problem
from storage import apps
from storage.database import Connection

MOST_TEXT = 500_000
Text = Annotated[str, Field(min_length=1, max_length=MOST_TEXT)]


class EmailParts(BaseModel):
    """`html`, `text`, or both. Without `from` the app's."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    subject: Annotated[str, Field(min_length=1, max_length=998)]
    html: Text | None = None
    text: Text | None = None
    sender: Annotated[str | None, Field(alias="from", max_length=320)] = None
    reply_to: Annotated[str | None, Field(max_length=320)] = None

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
