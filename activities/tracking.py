"""Puts counted links and a pixel into a rendered message, and remembers first where the links lead."""

import html
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from urllib.parse import urlsplit
from uuid import UUID

from activities.together import Together
from channels.base import Content
from channels.rewriting import MOST_LINKS, destination, rewrite_html, rewrite_text, with_parameters, with_pixel
from channels.templates import SETTINGS_FILE, settings
from channels.tracking import Mark, Signer, link_hash
from channels.wishes import About, Decided, Tracking, Wish, decided, tracking_of
from storage import tracked_links
from storage.database import Database
from storage.tracked_links import SentLink

_KNOWN = 100_000
_NO_WISH = Wish()


@dataclass(frozen=True)
class Sent:
    """A message about to leave: what it is, what holds for its app, and what its template (`files`) and its caller want."""

    app: str
    message_id: UUID
    about: About
    app_settings: Mapping[str, object] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    wish: Wish = _NO_WISH


class Tracker:
    """One for a process. `public_url` is where this Sojourn is reached; links to itself (leaving, preferences) are never counted."""

    def __init__(self, database: Database, public_url: str, secret: str) -> None:
        self._links = _Links(database)
        self._public_url = public_url.rstrip("/")
        self._secret = secret

    async def track(self, content: Content, sent: Sent) -> Content:
        """The content as it leaves. Raises Unavailable when it cannot be remembered where the links lead: nothing may leave then."""
        tracking = tracking_of(sent.app_settings)
        what = decided(tracking, sent.about, (_wish_in(sent.files), sent.wish))
        if what.is_nothing:
            return content
        base = f"https://{tracking.domain}" if tracking.domain else self._public_url
        ours = (f"{self._public_url}/", f"{base}/")
        rewriter = _Rewriter(Signer(base, self._secret), sent, what, tracking, ours, self._links.know)
        parts = rewriter.parts(content)
        await self._links.remember(list(rewriter.links.values()))
        return Content(content.channel, parts)


@dataclass
class _Rewriter:
    """One message's. `links` are those that it holds, by the hash of where they lead."""

    signer: Signer
    sent: Sent
    what: Decided
    tracking: Tracking
    ours: tuple[str, ...]
    is_known: Callable[[str, bytes, str], bool]
    links: dict[bytes, SentLink] = field(default_factory=dict)

    def parts(self, content: Content) -> dict[str, object]:
        """The parts with their links replaced; email: html and text, push and in_app: url, texts: text."""
        parts = dict(content.parts)
        if parts.get("html"):
            parts["html"] = rewrite_html(parts["html"], self._replace)
        if parts.get("text"):
            parts["text"] = rewrite_text(parts["text"], self._replace)
        if parts.get("url"):
            parts["url"] = self._replace(parts["url"], parts["url"]) or parts["url"]
        if self.what.opens and parts.get("html"):
            parts["html"] = with_pixel(parts["html"], self.signer.open_url(Mark(self.sent.app, self.sent.message_id)))
        return parts

    def _replace(self, written: str, meant: str) -> str | None:
        if meant.startswith(self.ours):
            return None
        plain = destination(meant)
        if plain is None or plain.startswith(self.ours):
            return None
        url = with_parameters(plain, self.what.parameters) if self._is_given_parameters(plain) else plain
        if not self.what.clicks or (counted := self._counted(url, written, meant)) is None:
            return None if url == plain else url
        return counted

    def _counted(self, url: str, written: str, meant: str) -> str | None:
        link = link_hash(self.sent.app, url)
        if link not in self.links:
            if len(self.links) >= MOST_LINKS:
                return None
            is_shared = self.is_known(self.sent.app, link, url) or self._stands_in_template(written, meant)
            self.links[link] = SentLink(self.sent.app, link, url, None if is_shared else self.sent.message_id)
        return self.signer.click_url(Mark(self.sent.app, self.sent.message_id, link))

    def _stands_in_template(self, written: str, meant: str) -> bool:
        """What an author wrote out says nothing of a person; whatever was filled in may."""
        forms = {written, meant, html.escape(meant)}
        return any(form in text for text in self.sent.files.values() for form in forms)

    def _is_given_parameters(self, url: str) -> bool:
        hosts = self.tracking.utm_hosts
        if not self.what.parameters or not hosts:
            return bool(self.what.parameters)
        host = urlsplit(url).hostname or ""
        return any(host == each or host.endswith(f".{each}") for each in hosts)


class _Links:
    """Remembers where links lead: what many messages share once a process, and what comes at the same time in one statement."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: OrderedDict[tuple[str, bytes], str] = OrderedDict()
        self._writing: Together[list[SentLink], None] = Together(self._write)

    def know(self, app: str, link: bytes, url: str) -> bool:
        """Tell whether this address is remembered as one for all messages."""
        return self._known.get((app, link)) == url

    async def remember(self, links: list[SentLink]) -> None:
        """Return when they are in Postgres. Raises Unavailable."""
        new = [link for link in links if link.message_id is not None or not self.know(link.app, link.hash, link.url)]
        if not new:
            return
        await self._writing.ask(new)

    async def _write(self, asked: Sequence[list[SentLink]]) -> Sequence[None]:
        links = [link for new in asked for link in new]
        await self._database.run(partial(tracked_links.remember, links=links))
        self._note(links)
        return [None] * len(asked)

    def _note(self, links: list[SentLink]) -> None:
        for link in links:
            if link.message_id is None:
                self._known[link.app, link.hash] = link.url
        while len(self._known) > _KNOWN:
            self._known.popitem(last=False)


def _wish_in(files: Mapping[str, str]) -> Wish:
    return _wish_in_text(files[SETTINGS_FILE]) if SETTINGS_FILE in files else _NO_WISH


@lru_cache(maxsize=1024)
def _wish_in_text(text: str) -> Wish:
    return settings({SETTINGS_FILE: text}).wish
