"""Whether opens and clicks of a message are counted, and what its links are given: the app's, the template's and the caller's word."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

UTM = ("utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content")
# Where an address can be found and put back. A voice reads addresses aloud, and a webhook's is the message itself.
CHANNELS = ("email", "sms", "whatsapp", "push", "in_app")


@dataclass(frozen=True)
class Wish:
    """What a template or a caller wants; None leaves it to those before. `utm` empty: no parameters."""

    opens: bool | None = None
    clicks: bool | None = None
    utm: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Tracking:
    """What holds for an app. `domain` is where its links lead, https://<domain>; without it they lead to this Sojourn's public address.

    `channels` and `transactional` say where it holds without being asked for. `utm` None: no parameters; a name that is not in it is made
    from app, channel, journey and step. `utm_hosts`: only links to these and their subdomains are given parameters; empty: all.
    """

    opens: bool = True
    clicks: bool = True
    channels: tuple[str, ...] = ("email",)
    transactional: bool = False
    domain: str | None = None
    utm: Mapping[str, str] | None = None
    utm_hosts: tuple[str, ...] = ()


@dataclass(frozen=True)
class About:
    """What is known of a message, for its parameters.

    `journey` may be a campaign, whose `step` is the version; a direct message has neither.
    """

    app_name: str
    channel: str
    message_class: str
    journey: str | None = None
    step: str | None = None
    template: str | None = None


@dataclass(frozen=True)
class Decided:
    """What is done to a message."""

    opens: bool
    clicks: bool
    parameters: tuple[tuple[str, str], ...] = ()

    @property
    def is_nothing(self) -> bool:
        return not (self.opens or self.clicks or self.parameters)


_NOTHING = Wish()
_USUAL = Tracking()


def tracking_of(settings: Mapping[str, Any]) -> Tracking:
    """Read the app's settings, which were checked when they were written."""
    stored: Mapping[str, Any] = settings.get("tracking") or {}
    usual = _USUAL
    if not stored:
        return usual
    return Tracking(
        opens=stored.get("opens", usual.opens),
        clicks=stored.get("clicks", usual.clicks),
        channels=tuple(stored.get("channels", usual.channels)),
        transactional=stored.get("transactional", usual.transactional),
        domain=stored.get("domain"),
        utm=stored.get("utm"),
        utm_hosts=tuple(stored.get("utm_hosts", ())),
    )


def wish_of(tracking: object, utm: object = None) -> Wish:
    """Read what templates and callers write: tracking is a yes, a no, or a table of them; utm a no, or a table. Raises ValueError."""
    if tracking is None and utm is None:
        return _NOTHING
    said = {"opens": tracking, "clicks": tracking} if isinstance(tracking, bool) else tracking or {}
    if not _is_table(said, {"opens", "clicks"}, bool):
        raise ValueError("tracking is true, false, or a table of opens and clicks, each true or false")
    named = {} if utm is False else utm
    if not (named is None or _is_table(named, set(UTM), str)):
        raise ValueError(f"utm is false, or a table of texts for {', '.join(UTM)}")
    return Wish(**said, utm=named)


def _is_table(value: object, names: set[str], kind: type) -> TypeGuard[Mapping[str, Any]]:
    return isinstance(value, Mapping) and set(value) <= names and all(isinstance(each, kind) for each in value.values())


def decided(tracking: Tracking, about: About, wishes: Sequence[Wish]) -> Decided:
    """What the wishes come to; the last one that says something counts."""
    if about.channel not in CHANNELS:
        return Decided(opens=False, clicks=False)
    holds = about.channel in tracking.channels and (tracking.transactional or about.message_class == "marketing")
    opens = _last([holds and tracking.opens, *(wish.opens for wish in wishes)])
    clicks = _last([holds and tracking.clicks, *(wish.clicks for wish in wishes)])
    return Decided(opens and about.channel == "email", clicks, _parameters(tracking, about, wishes))


def _last(said: Sequence[bool | None]) -> bool:
    return next(value for value in reversed(said) if value is not None)


def _parameters(tracking: Tracking, about: About, wishes: Sequence[Wish]) -> tuple[tuple[str, str], ...]:
    given = next((wish.utm for wish in reversed(wishes) if wish.utm is not None), None)
    if given is not None and not given:
        return ()
    if given is None and tracking.utm is None:
        return ()
    made = {
        "utm_source": about.app_name,
        "utm_medium": about.channel,
        "utm_campaign": about.journey or about.template or "",
        "utm_content": about.step or "",
    }
    values = {**made, **(tracking.utm or {}), **(given or {})}
    return tuple((name, values[name]) for name in UTM if values.get(name))
