"""What the pages for people without a login share: who opens one, in which language, and what it is filled in with."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from fastapi import Request
from fastapi.responses import HTMLResponse

from api.html import page
from api.page_words import language_of, languages
from channels.links import preferences_url
from settings import Settings
from storage import apps, people
from storage.consents import Shown
from storage.database import Connection, Database

Asked = TypeVar("Asked")


@dataclass(frozen=True)
class Visit:
    """Somebody who has opened a page through a link that we signed."""

    app: str
    app_name: str
    user_id: int
    language: str

    @property
    def words(self) -> Mapping[str, str]:
        return languages()[self.language]

    def channel(self, name: str) -> str:
        """What people call a channel."""
        return self.words["every_channel" if name == "*" else name]


async def visit(connection: Connection, request: Request, app: str, user_id: int) -> Visit | None:
    """Who opens the page; None when there is nobody (any more) whom the link was for."""
    reader = await people.reader(connection, app, user_id)
    if reader is None:
        return None
    language = language_of(reader.locale, request.headers.get("accept-language", ""))
    return Visit(app, await apps.name(connection, app), reader.id, language)


def show(name: str, by: Visit, values: Mapping[str, Any], **filled: str) -> HTMLResponse:
    """Render a page in the visitor's language. `filled` goes into its words: {topic}, {channel}."""
    words = {key: text.format_map({"topic": "", "channel": "", **filled}) for key, text in by.words.items()}
    return page(name, {"lang": by.language, "app": by.app_name, "words": words, **values})


def unknown(request: Request) -> HTMLResponse:
    """The page for a link that is not ours, or is for somebody who is gone: the two are not told apart."""
    language = language_of(None, request.headers.get("accept-language", ""))
    return page("unknown_link.html", {"lang": language, "words": languages()[language]}, status=404)


def shown_here(text: str) -> Shown:
    """What a page of ours keeps of a choice: its words, and neither address nor browser."""
    return Shown(text=text)


def secret_of(request: Request) -> str:
    """What signs the links."""
    settings: Settings = request.app.state.settings
    return settings.secret.get_secret_value()


def read(request: Request, reader: Callable[..., Asked | None], token: str) -> Asked | None:
    """What a token asks for, by one of the readers of channels/links.py; also one that was signed before the secret was changed."""
    settings: Settings = request.app.state.settings
    secret, *retired = settings.link_secrets
    return reader(secret, token, retired=retired)


def database_of(request: Request) -> Database:
    """The process's database."""
    database: Database = request.app.state.database
    return database


def choices_path(request: Request, by: Visit, endpoint_id: int | None) -> str:
    """Where this person finds everything that they may choose: on this host, whatever it is called from outside."""
    return preferences_url("", secret_of(request), by.app, by.user_id, endpoint_id)
