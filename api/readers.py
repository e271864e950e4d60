"""What the pages for people without a login share: who opens one, in which language, and what it says when there is nothing to show."""

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse
from fastapi.routing import APIRoute

from api.errors import retry_after
from api.html import page
from api.page_words import language_of, languages
from channels.links import preferences_url
from journeys.language.errors import NotFound, Unavailable
from settings import Settings
from storage import apps, people
from storage.database import Connection

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


class PageRoute(APIRoute):
    """Errors are pages in the reader's words. A forged link and one for somebody who is gone are not told apart."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        answer = super().get_route_handler()

        async def answer_with_a_page(request: Request) -> Response:
            try:
                return await answer(request)
            except NotFound:
                return _note(request, "unknown", status=404)
            except Unavailable as away:
                later = _note(request, "later", status=503)
                later.headers["Retry-After"] = retry_after(away.retry_after_s)
                return later

        return answer_with_a_page


def page_router() -> APIRouter:
    """Make a router of pages that links in messages open."""
    return APIRouter(tags=["Links in messages"], route_class=PageRoute)


def read(request: Request, reader: Callable[..., Asked | None], token: str) -> Asked:
    """What a token asks for, by one of the readers of channels/links.py; also one that was signed before the secret was changed.

    Raises NotFound where we did not sign it.
    """
    settings: Settings = request.app.state.settings
    secret, *retired = settings.link_secrets
    asked = reader(secret, token, retired=retired)
    if asked is None:
        raise NotFound("no such link")
    return asked


async def visit(connection: Connection, request: Request, app: str, user_id: int) -> Visit:
    """Who opens the page. Raises NotFound when there is nobody (any more) whom the link was for."""
    reader = await people.reader(connection, app, user_id)
    if reader is None:
        raise NotFound("nobody is there")
    language = language_of(reader.locale, request.headers.get("accept-language", ""))
    return Visit(app, await apps.name(connection, app), reader.id, language)


def show(name: str, by: Visit, values: Mapping[str, Any], **filled: str) -> HTMLResponse:
    """Render a page in the visitor's language. `filled` goes into its words: {topic}, {channel}."""
    words = {key: text.format_map({"topic": "", "channel": "", **filled}) for key, text in by.words.items()}
    return page(name, {"lang": by.language, "app": by.app_name, "words": words, **values})


def choices_path(request: Request, by: Visit, endpoint_id: int | None) -> str:
    """Where this person finds everything that they may choose: on this host, whatever it is called from outside."""
    settings: Settings = request.app.state.settings
    return preferences_url("", settings.secret.get_secret_value(), by.app, by.user_id, endpoint_id)


def _note(request: Request, what: str, *, status: int) -> HTMLResponse:
    """A page that says only one thing, in the language that the browser asks for."""
    language = language_of(None, request.headers.get("accept-language", ""))
    words = languages()[language]
    return page("note.html", {"lang": language, "heading": words[what], "lead": words[f"{what}_lead"]}, status=status)
