"""The preference centre: everything that somebody may choose, behind a link that only their messages hold. No script, no login, no cookie.

Looking changes nothing, for scanners follow links. A form of another site cannot act here: it would have to know the signed address.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qs

from fastapi import Request
from fastapi.responses import HTMLResponse

from activities.choices import Choices, Chooser, Wish, choices_of
from api.body import read_raw
from api.errors import Malformed
from api.readers import Visit, page_router, read, show, visit
from api.strict import Db
from api.subscriptions import confirm_links
from channels.links import PREFERENCES_PATH, Preferences, read_preferences
from journeys.language.errors import Invalid
from storage import consents, people, topics
from storage.consents import Shown
from storage.database import Connection, Database
from storage.notify import DIRECT
from storage.people import EndpointRow
from storage.standing import lock_person

router = page_router()
MOST_BYTES = 100_000
MOST_FIELDS = 2_000
_FORM = frozenset({"application/x-www-form-urlencoded", ""})


@dataclass(frozen=True)
class _Desk:
    """Who sits before the page, with everything that it shows."""

    by: Visit
    choices: Choices
    addresses: Sequence[EndpointRow]
    proven: str | None

    def blocked(self) -> list[str]:
        """Channels on which nothing can reach them, whatever they choose."""
        reachable = {row.channel for row in self.addresses if row.state == "active" and row.suppression is None}
        return sorted({row.channel for row in self.addresses} - reachable)


@router.get(f"{PREFERENCES_PATH}{{token}}", response_class=HTMLResponse, summary="The preference centre")
async def show_preferences(request: Request, database: Db, token: str) -> HTMLResponse:
    """Shows how every topic stands on every channel, as the rules before a send see it. Changes nothing."""
    return await _look(request, database, read(request, read_preferences, token))


@router.post(f"{PREFERENCES_PATH}{{token}}", response_class=HTMLResponse, summary="Save preferences")
async def save_preferences(request: Request, database: Db, token: str) -> HTMLResponse:
    """Records what the person changed, and nothing of what they left as it was; it holds for every send that has not begun."""
    asked = read(request, read_preferences, token)
    form = _form(await read_raw(request, most_bytes=MOST_BYTES, types=_FORM))
    try:
        page = await _save(request, database, asked, form)
    except Invalid:
        # The app has no template to ask for a confirmation with. That is for its makers to mend, and the person must hear of it in words.
        page = await _look(request, database, asked, "not_saved")
    request.app.state.notify(DIRECT)
    return page


async def _save(request: Request, database: Database, asked: Preferences, form: Mapping[str, list[str]]) -> HTMLResponse:
    async with database.transaction(asked.app) as connection:
        # The lock that a claim takes: a message that is claimed after this answer keeps to it.
        await lock_person(connection, asked.app, asked.user_id)
        said = await _choose(connection, request, await _desk(connection, request, asked), form)
        return _page(await _desk(connection, request, asked), said)


async def _look(request: Request, database: Database, asked: Preferences, said: str = "") -> HTMLResponse:
    async with database.transaction(asked.app) as connection:
        return _page(await _desk(connection, request, asked), said)


async def _choose(connection: Connection, request: Request, desk: _Desk, form: Mapping[str, list[str]]) -> str:
    """Do what the form asks, and return the key of the words that tell it."""
    words, links = desk.by.words, confirm_links(request)
    is_all = form.get("do") == ["leave_all"]
    # Of what they saw its words are kept, and neither address nor browser.
    shown = Shown(words["everything_lead"] if is_all else words["preferences_lead"])
    chooser = Chooser(connection, desk.by.app, desk.by.user_id, shown, links, desk.proven)
    if is_all:
        await chooser.leave_all()
        return "left_everything"
    return "saved" if await chooser.choose(desk.choices, list(_wishes(form))) else "unchanged"


async def _desk(connection: Connection, request: Request, asked: Preferences) -> _Desk:
    by = await visit(connection, request, asked.app, asked.user_id)
    addresses = await people.addresses(connection, asked.app, by.user_id)
    declared = await topics.of_app(connection, asked.app)
    said = await consents.in_force(connection, asked.app, by.user_id)
    proven = next((row.channel for row in addresses if row.id == asked.endpoint_id), None)
    return _Desk(by, choices_of(declared, said, {row.channel for row in addresses}), addresses, proven)


def _form(raw: bytes) -> Mapping[str, list[str]]:
    try:
        return parse_qs(raw.decode(), max_num_fields=MOST_FIELDS, strict_parsing=bool(raw))
    except ValueError:
        raise Malformed("this is no form of ours") from None


def _wishes(form: Mapping[str, list[str]]) -> Iterator[Wish]:
    """What each box was when the page was made (`shown`: channel/on/topic), and whether it is ticked (`on`: channel/topic)."""
    ticked = set(form.get("on", ()))
    for each in form.get("shown", ()):
        channel, state, topic = [*each.split("/", 2), "", ""][:3]
        yield Wish(channel, topic, was_on=state == "on", is_on=f"{channel}/{topic}" in ticked)


def _page(desk: _Desk, said: str) -> HTMLResponse:
    is_pending = any(choice.stands == "pending" for offer in desk.choices.offers for choice in offer.choices)
    key = "saved_pending" if said == "saved" and is_pending else said
    values = {
        "said": desk.by.words[key] if key else "",
        "offers": desk.choices.offers,
        "channels": desk.choices.channels,
        "closed": {choice.channel for choice in desk.choices.channels if choice.stands == "off"},
        "blocked": [desk.by.words["blocked"].format(channel=desk.by.channel(channel)) for channel in desk.blocked()],
        "channel_words": desk.by.channel,
    }
    return show("preferences.html", desk.by, values)
