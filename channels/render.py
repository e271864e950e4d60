"""Content from templates: bounded in time, memory and size, whatever a template says.

A template is first read by a child process (render_child.py). What is found there to be harmless (template_vetting.py) is then rendered
in our own process, some ten thousand times a second; everything else in a child, each time.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from jinja2 import Template
from pydantic import ValidationError

from channels import template_language, template_locales, template_vetting
from channels.base import Content
from channels.email.attachments import from_texts
from channels.in_app import content as in_app
from channels.push.checks import push_problems
from channels.push.payload import first_fault, gathered
from channels.render_pool import Children
from channels.template_language import MissingVariable, TooLarge
from channels.template_lookups import Asked
from channels.template_parts import channels_of, nested
from channels.template_writing import written
from journeys.language.errors import Problem, SojournError

_FILES_LIMIT = 256_000
_KEPT = 512
# A template that was too slow is not tried again at once: it would cost its neighbours a child each time.
_SLOW_FOR_S = 30.0

_Key = tuple[str, str, frozenset[tuple[str, str]]]


class RenderFailed(SojournError):
    """The template gives no message for these variables. `code` is the reason that people read in the timeline.

    missing_variable:<name>, template_error, template_too_slow, template_too_large, no_content_for_channel
    """

    def __init__(self, code: str, why: str = "") -> None:
        self.code = code
        self.why = why
        """For authors: where and what, from the template and never from the values."""
        super().__init__(code)


class Asks(RenderFailed):
    """The template looks up what `variables["source"]` does not hold: fetch these, each a source and a key, and render again."""

    def __init__(self, asked: Iterable[Asked]) -> None:
        self.asked = frozenset((source, key) for source, key in asked)
        super().__init__("source_failed", "a source was not asked")


@dataclass(frozen=True)
class Vetted:
    """What was found in a template of anybody: what is wrong (nothing: it may be published), and which sources it asks."""

    problems: list[Problem]
    sources: list[str]


@dataclass(frozen=True)
class _Prepared:
    """A template of one channel, ready to fill. `compiled` where it is harmless, else `parts` go to a child."""

    parts: list[dict[str, Any]]
    compiled: dict[str, Template] | None
    required: tuple[str, ...]
    sender: str | None
    reply_to: str | None
    defaults: Mapping[str, Any]
    locale: str


@dataclass(frozen=True)
class _Refused:
    failure: RenderFailed
    until: float


class Renderer:
    """Renders templates. `close()` ends its child processes.

    Parts of a Content by channel: email {subject, html?, text?, from, reply_to?, headers?, tags?, attachments?}; sms {text};
    whatsapp {text?, template?: {name, language, body?, header?, buttons?, content_sid?, content_variables?}};
    voice {text | ssml, voice?, language?};
    push as channels/push/payload.py says it (Push), without what is not said; in_app as channels/in_app/parts.py says;
    webhook {url, body}.
    """

    def __init__(self, *, children: int = 2, wall_s: float = 1.0) -> None:
        self._children = Children(children, wall_s=wall_s)
        self._known: OrderedDict[_Key, _Prepared | _Refused] = OrderedDict()
        self._being_prepared: dict[_Key, asyncio.Task[_Prepared | _Refused]] = {}
        self._languages = {
            (is_html, asks): template_language.language(html=is_html, asks=asks) for is_html in (False, True) for asks in (False, True)
        }

    async def render(
        self,
        template_name: str,  # noqa: ARG002 - names the template for a reader; what it says is its files
        version: int,  # noqa: ARG002
        files: Mapping[str, str],
        channel: str,
        variables: Mapping[str, Any],
    ) -> Content:
        """Fill a template. Roots of `variables`: user, device, entry, captured, visit, links, app, source, locale, zone.

        `app` holds name, from, reply_to and postal_address: what the template does not say itself. `locale` chooses the variant of
        the files, and reaches them as that in which numbers and dates are written; `zone` is the person's IANA zone; `source` holds rows
        by source and key, None for a key that the source lacks.
        Raises RenderFailed, Asks among it; Unavailable when no child process could answer in time (try again).
        """
        asked = template_locales.normal(str(variables.get("locale") or ""))
        prepared = await self._prepared(files, channel, template_locales.best(asked, template_locales.locales_of(tuple(files))))
        variables = template_language.filled_in(variables, prepared.defaults)
        variables = {**variables, "locale": template_locales.spoken(asked, prepared.locale)}
        for path in prepared.required:
            if template_language.lookup(variables, path) in (None, ""):
                raise RenderFailed(f"missing_variable:{path}")
        parts = _in_process(prepared.compiled, variables) if prepared.compiled else await self._in_child(prepared.parts, variables)
        whole = _whole(channel, parts)
        return Content(channel, whole | _sender(prepared, variables) if channel == "email" else whole)

    async def required(self, files: Mapping[str, str], channel: str, locale: str) -> tuple[str, ...]:
        """Without which variables a message on this channel is not made; `locale` is one of the template's variants, or empty.

        Raises RenderFailed and Unavailable.
        """
        return (await self._prepared(files, channel, locale)).required

    async def problems(self, name: str, files: Mapping[str, str]) -> list[Problem]:
        """What is wrong with a template of anybody, found within the bounds of a child. Empty: it may be published."""
        return (await self.vet(name, files)).problems

    async def vet(self, name: str, files: Mapping[str, str]) -> Vetted:
        """The same, and which sources it asks."""
        if _is_too_large(files):
            words = f"more than {_FILES_LIMIT} characters: shorten it"
            return Vetted([Problem(f"templates/{name}", "template_too_large", words)], [])
        answer = await self._children.ask({"do": "check", "files": dict(files)})
        if "failed" in answer:
            words = "the template takes too much time or memory: make it simpler"
            return Vetted([Problem(f"templates/{name}", answer["failed"], words)], [])
        found = [Problem(f"templates/{name}/{row['file']}", row["code"], row["message"]) for row in answer["findings"]]
        return Vetted(found + push_problems(name, answer["push"]), answer["sources"])

    async def close(self) -> None:
        await self._children.close()

    async def _prepared(self, files: Mapping[str, str], channel: str, locale: str) -> _Prepared:
        # The files themselves are the key: two apps may have a template of the same name and version.
        key = (channel, locale, frozenset(files.items()))
        known = self._known.get(key)
        if known is None or (isinstance(known, _Refused) and time.monotonic() >= known.until):
            known = await self._prepare_once(key, files, channel, locale)
            self._known[key] = known
            if len(self._known) > _KEPT:
                self._known.popitem(last=False)
        self._known.move_to_end(key)
        if isinstance(known, _Refused):
            raise RenderFailed(known.failure.code, known.failure.why)
        return known

    async def _prepare_once(self, key: _Key, files: Mapping[str, str], channel: str, locale: str) -> _Prepared | _Refused:
        """Of many who need a new template at the same moment one asks a child, and the others wait for its answer."""
        task = self._being_prepared.get(key)
        if task is None:
            task = asyncio.ensure_future(self._prepare(template_locales.in_locale(files, locale), channel, locale))
            self._being_prepared[key] = task
            task.add_done_callback(lambda _: self._being_prepared.pop(key, None))
        return await asyncio.shield(task)

    async def _prepare(self, files: Mapping[str, str], channel: str, locale: str) -> _Prepared | _Refused:
        if _is_too_large(files):
            return _Refused(RenderFailed("template_too_large"), float("inf"))
        if channel not in channels_of(files):
            return _Refused(RenderFailed("no_content_for_channel"), float("inf"))
        answer = await self._children.ask({"do": "prepare", "files": dict(files), "channel": channel})
        if "failed" in answer:
            return _Refused(RenderFailed(answer["failed"], answer.get("why", "")), time.monotonic() + _SLOW_FOR_S)
        parts = answer["parts"]
        is_bounded = all(part["is_bounded"] for part in parts)
        compiled = {part["name"]: self._compile(part, answer["asks"]) for part in parts} if is_bounded else None
        sender = (answer["from"], answer["reply_to"])
        return _Prepared(parts, compiled, tuple(answer["required"]), *sender, answer["defaults"], locale or answer["locale"])

    def _compile(self, part: Mapping[str, Any], asks: bool) -> Template:
        language = self._languages[part["is_html"], asks]
        tree = template_vetting.bound_loops(language.parse(part["source"]))
        return Template.from_code(language, language.compile(tree), {})

    async def _in_child(self, parts: list[dict[str, Any]], variables: Mapping[str, Any]) -> dict[str, str]:
        answer = await self._children.ask({"do": "render", "parts": parts, "variables": dict(variables)})
        if "failed" in answer:
            raise RenderFailed(answer["failed"], answer.get("why", ""))
        if "asked" in answer:
            raise Asks(answer["asked"])
        found: dict[str, str] = answer["parts"]
        return found


def _is_too_large(files: Mapping[str, str]) -> bool:
    return sum(len(name) + len(text) for name, text in files.items()) > _FILES_LIMIT


def _in_process(compiled: Mapping[str, Template], variables: Mapping[str, Any]) -> dict[str, str]:
    asked: set[Asked] = set()
    try:
        parts = _filled_in(compiled, template_language.named(variables, asked))
    except RenderFailed:
        # What went wrong with a stand-in may go well with the row.
        if not asked:
            raise
        parts = {}
    if asked:
        raise Asks(asked)
    return parts


def _filled_in(compiled: Mapping[str, Template], given: Mapping[str, Any]) -> dict[str, str]:
    try:
        return {name: written(template, given) for name, template in compiled.items()}
    except MissingVariable as error:
        raise RenderFailed(f"missing_variable:{error}"[:120]) from error
    except TooLarge as error:
        raise RenderFailed("template_too_large") from error
    except Exception as error:
        raise RenderFailed("template_error", type(error).__name__) from error


def _whole(channel: str, parts: Mapping[str, str]) -> dict[str, Any]:
    """What was rendered text by text, as the channel wants it."""
    match channel:
        case "push":
            return _push(parts)
        case "in_app":
            return in_app.assembled(parts)
        case "custom":
            fields = {name.partition(".")[2]: text for name, text in parts.items() if name != "function"}
            return {"function": parts["function"], "fields": fields}
        case "whatsapp":
            return nested(parts)
        case "email":
            whole = nested(parts)
            return whole | ({"attachments": from_texts(whole["attachments"])} if "attachments" in whole else {})
        case _:
            return dict(parts)


def _push(parts: Mapping[str, str]) -> dict[str, Any]:
    try:
        return gathered(parts)
    except ValidationError as error:
        raise RenderFailed("template_error", first_fault(error)) from error


def _sender(prepared: _Prepared, variables: Mapping[str, Any]) -> dict[str, str]:
    """Who the mail is from: the template's word, else the app's."""
    sender = prepared.sender or template_language.lookup(variables, "app.from")
    if not sender:
        raise RenderFailed("missing_variable:app.from")
    reply_to = prepared.reply_to or template_language.lookup(variables, "app.reply_to")
    return {"from": str(sender)} | ({"reply_to": str(reply_to)} if reply_to else {})
