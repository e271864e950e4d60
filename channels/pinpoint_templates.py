"""Message templates of Amazon Pinpoint, as `aws pinpoint get-email-template` and its neighbours print them, as files of a template.

What has no place here is told, each with its field and line.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from jinja2.exceptions import TemplateSyntaxError

from channels.handlebars import path_of, translated
from channels.template_language import language
from channels.template_variables import mentions

_NAME = re.compile(r"[^a-z0-9_-]+")
_PUSH = {"Title": "title", "Body": "body", "Url": "url", "Sound": "sound", "ImageUrl": "image", "MediaUrl": "image"}
_PUSH_PLATFORMS = ("Default", "APNS", "GCM", "ADM", "Baidu")
_OWN_ICONS = "icons are the app's own: let it show this one, or give the address in [data]"
_PUSH_WITHOUT_PLACE = {
    "RawContent": "raw content is not there: write what it says as fields of push.toml, or as [data]",
    "ImageIconUrl": _OWN_ICONS,
    "SmallImageIconUrl": _OWN_ICONS,
}
_LOOKS = ("BackgroundColor", "TextColor", "Alignment", "BorderRadius")
_PLACEMENTS = {
    **dict.fromkeys(("TOP_BANNER", "MIDDLE_BANNER", "BOTTOM_BANNER"), "banner"),
    "OVERLAYS": "fullscreen",
    "MOBILE_FEED": "modal",
    "CAROUSEL": "modal",
}
_KINDS = {"EmailTemplateResponse": "EMAIL", "SMSTemplateResponse": "SMS", "PushNotificationTemplateResponse": "PUSH"}
_KINDS |= {"VoiceTemplateResponse": "VOICE", "InAppTemplateResponse": "INAPP"}
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_NO_TRACK = re.compile(r"\sses:no-track(?:=(?:\"[^\"]*\"|'[^']*'|[^\s>]*))?", re.IGNORECASE)
_SES_TAGS = re.compile(r"\sses:tags=(?:\"[^\"]*\"|'[^']*')", re.IGNORECASE)


@dataclass(frozen=True)
class Left:
    """What was not taken over. `place` is Pinpoint's field, with a line where it has several."""

    place: str
    message: str


@dataclass
class Imported:
    """One template: its name here, the files that it has, and what somebody must look at."""

    name: str
    files: dict[str, str] = field(default_factory=dict)
    left: list[Left] = field(default_factory=list)


def imported(answer: Mapping[str, Any]) -> Imported:
    """Read one answer of Pinpoint's, with or without the name around it. Raises ValueError for what is no template."""
    wrapper = next((name for name in _KINDS if isinstance(answer.get(name), dict)), None)
    template = answer[wrapper] if wrapper else answer
    kind, name = _KINDS.get(wrapper or "") or str(template.get("TemplateType", "")).upper(), template.get("TemplateName")
    if kind not in _READERS or not isinstance(name, str) or not name:
        raise ValueError(
            "is no email, sms, push, voice or in-app template of Pinpoint: "
            "it has a TemplateName, and a TemplateType or the name of the answer"
        )
    return _Import(template, _NAME.sub("-", name.lower()).strip("-_")[:63] or "template").read(kind)


class _Import:
    def __init__(self, template: Mapping[str, Any], name: str) -> None:
        self._template = template
        self._made = Imported(name)
        self._defaults = dict(self._substitutions())
        self._settings: dict[str, str] = {}
        self._texts: list[str] = []

    def read(self, kind: str) -> Imported:
        _READERS[kind](self)
        if self._template.get("RecommenderId"):
            self._leave(
                "RecommenderId",
                "recommendations are a source: describe it in journeys/sources/, and write source.NAME[user.user_id] where they stand",
            )
        tables = [f"{key} = {said}" for key, said in self._settings.items() if not key.startswith("[")]
        tables += [f"\n{key}\n{said}" for key, said in self._settings.items() if key.startswith("[")]
        mentioned = {path for text in self._texts for path in _mentioned(text)}
        used = {path: value for path, value in self._defaults.items() if path in mentioned}
        if used:
            tables.append("\n[defaults]\n" + "\n".join(f"{_said(path)} = {_said(value)}" for path, value in used.items()))
        if tables:
            self._made.files["template.toml"] = "\n".join(tables).lstrip() + "\n"
        return self._made

    def email(self) -> None:
        for member, file in (("Subject", "subject.txt"), ("HtmlPart", "body.html"), ("TextPart", "body.txt")):
            if self._has(member):
                self._made.files[file] = self._text(member, self._template[member])
        headers = {each["Name"]: self._text("Headers", each["Value"]) for each in self._template.get("Headers") or ()}
        if headers:
            self._settings["[headers]"] = "\n".join(f"{_said(name)} = {_said(value)}" for name, value in headers.items())

    def sms(self) -> None:
        self._made.files["sms.txt"] = self._text("Body", self._template.get("Body", ""))

    def voice(self) -> None:
        self._made.files["voice.txt"] = self._text("Body", self._template.get("Body", ""))
        known = {"name": self._template.get("VoiceId"), "language": self._template.get("LanguageCode")}
        if any(known.values()):
            self._settings["[voice]"] = "\n".join(f"{key} = {_said(value)}" for key, value in known.items() if value)

    def push(self) -> None:
        platforms = [name for name in _PUSH_PLATFORMS if isinstance(self._template.get(name), dict)]
        fields: dict[str, str] = {}
        for platform in platforms:
            content = self._template[platform]
            for member, ours in _PUSH.items():
                if content.get(member) and ours not in fields:
                    fields[ours] = self._text(f"{platform}.{member}", content[member])
                elif content.get(member) and fields[ours] != self._text(f"{platform}.{member}", content[member]):
                    self._leave(f"{platform}.{member}", "a push says the same on every platform: make a template of its own for this one")
            self._of_push(platform, content)
        for name in ("title", "body"):
            if name not in fields:
                self._leave(name.title(), f"a push has a {name} here: write it into push.toml")
        self._made.files["push.toml"] = _toml(fields)

    def _of_push(self, platform: str, content: Mapping[str, Any]) -> None:
        """What has no place in push.toml. What a tap opens is the app's there: it finds `url` in the data."""
        if content.get("Url") and content.get("Action") == "URL":
            self._leave(f"{platform}.Action", "the browser opened the address; here the app gets it as url, and opens it")
        if content.get("Url") and content.get("Action") == "OPEN_APP":
            self._leave(f"{platform}.Action", "a tap opened the app and no address; take url out where the app would open it")
        for member in content:
            if content[member] and member not in {*_PUSH, "Action"}:
                self._leave(f"{platform}.{member}", _PUSH_WITHOUT_PLACE.get(member, "push.toml has no field for this: give it in [data]"))

    def in_app(self) -> None:
        contents = [each for each in self._template.get("Content") or () if isinstance(each, dict)]
        content = contents[0] if contents else {}
        header, body = (self._said_in(content, f"{name}Config", name) for name in ("Header", "Body"))
        if not body:
            self._leave("BodyConfig", "a message has a body here: write it into in_app.toml, where the header stands in its place")
        fields = {"title": header if body else "", "body": body or header, "image": content.get("ImageUrl") or ""}
        placement = self._placement()
        buttons = [found for name in ("PrimaryBtn", "SecondaryBtn") if (found := self._button(content, name)) is not None]
        self._looks("Content", content)
        if len(contents) > 1:
            self._leave("Content", f"a message says one thing: make templates of their own for the other {len(contents) - 1}")
        data = {name: str(value) for name, value in (self._template.get("CustomConfig") or {}).items()}
        said = _toml({name: text for name, text in (fields | {"placement": placement}).items() if text})
        said += "".join(f"\n[[buttons]]\n{_toml(button)}" for button in buttons)
        self._made.files["in_app.toml"] = said + (f"\n[data]\n{_toml(data)}" if data else "")

    def _said_in(self, content: Mapping[str, Any], config: str, member: str) -> str:
        found = content.get(config) or {}
        self._looks(config, found)
        return self._text(config, str(found.get(member) or ""))

    def _placement(self) -> str:
        layout = str(self._template.get("Layout") or "")
        placement = _PLACEMENTS.get(layout, "")
        if layout not in ("", "OVERLAYS", "MOBILE_FEED"):
            self._leave("Layout", f"{layout} is {placement or 'not known'} here: where and how it lies on the screen is the client's")
        return placement

    def _button(self, content: Mapping[str, Any], name: str) -> dict[str, str] | None:
        button = content.get(name) or {}
        said = button.get("DefaultConfig") or {}
        for platform in ("Android", "IOS", "Web"):
            if button.get(platform):
                self._leave(f"{name}.{platform}", "a button is the same on every platform")
        self._looks(name, said)
        if not said.get("Text"):
            return None
        link = {} if said.get("ButtonAction") == "CLOSE" or not said.get("Link") else {"url": str(said["Link"])}
        return {"text": self._text(name, str(said["Text"])), **link}

    def _looks(self, place: str, said: Mapping[str, Any]) -> None:
        if found := [name for name in _LOOKS if said.get(name)]:
            self._leave(f"{place}.{', '.join(found)}", "how it looks is the client's: give it in [data] if yours reads that")

    def _substitutions(self) -> Iterator[tuple[str, object]]:
        try:
            given = json.loads(self._template.get("DefaultSubstitutions") or "{}")
        except ValueError:
            given = None
        if not isinstance(given, dict):
            self._leave("DefaultSubstitutions", "is no JSON: write the values into [defaults] of template.toml")
            return
        for name, value in given.items():
            try:
                path = path_of(name)
            except ValueError as error:
                self._leave("DefaultSubstitutions", str(error))
                continue
            if path.partition(".")[0] in ("user", "device", "entry"):
                yield path, value
            else:
                self._leave("DefaultSubstitutions", f"{name} is known of everybody, and needs no default")

    def _has(self, member: str) -> bool:
        return bool(self._template.get(member))

    def _text(self, place: str, source: str) -> str:
        if place == "HtmlPart":
            if _SES_TAGS.search(source):
                self._leave(place, "ses:tags are not read; a link to leave is links.unsubscribe")
            source = _NO_TRACK.sub(' data-sojourn-track="off"', _SES_TAGS.sub("", source))
        made = translated(source, self._defaults)
        several = "\n" in source
        for each in made.untranslated:
            self._leave(f"{place}, line {each.line}" if several else place, each.message)
        self._texts.append(made.text)
        return made.text

    def _leave(self, place: str, message: str) -> None:
        left = Left(place, message)
        if left not in self._made.left:
            self._made.left.append(left)


_READERS = {"EMAIL": _Import.email, "SMS": _Import.sms, "PUSH": _Import.push, "VOICE": _Import.voice, "INAPP": _Import.in_app}


def _mentioned(text: str) -> Iterator[str]:
    """A default that nothing uses would be refused."""
    try:
        yield from (mention.path for mention in mentions(language(html=False).parse(text)))
    except TemplateSyntaxError:
        return


def _toml(fields: Mapping[str, str]) -> str:
    return "".join(f"{name if _BARE.fullmatch(name) else _said(name)} = {_said(said)}\n" for name, said in fields.items())


def _said(value: object) -> str:
    """A value as TOML has it, which for texts, numbers, lists and names is how JSON has it."""
    return json.dumps(value if not isinstance(value, dict) and value is not None else str(value), ensure_ascii=False).replace(
        "\x7f", "\\u007f"
    )
