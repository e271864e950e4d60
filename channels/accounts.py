"""Accounts at providers as people write them down: JSON settings, read strictly, with the fields that nobody is shown again."""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any
from urllib.parse import urlsplit

from pydantic import TypeAdapter, ValidationError

from channels.base import Adapter
from channels.sandbox import Keep, Kept
from channels.sms.text import Senders
from channels.tariff import Tariff
from journeys.language.errors import ConfigurationError, Invalid, Problem

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Kind:
    """One provider of one channel: the dataclass of its account, how its adapter is made, and which fields are secret.

    With `has_senders` the settings also hold `senders`, with a `tariff` its fields, and the adapter takes both beside the account; with
    `keeps` it takes what keeps messages here instead. With `names_host` its settings say where it connects to, and the adapter is told
    whether that may be a stand-in.
    """

    account: type
    make: Callable[..., Adapter]
    secret: tuple[str, ...]
    has_senders: bool = False
    keeps: bool = False
    names_host: bool = False
    tariff: type[Tariff] | None = None

    def fields(self) -> list["AccountField"]:
        """What can be set, in the order of the dataclass. Where the provider calls us back is ours to know."""
        own = [AccountField(each.name, _is_required(each), each.name in self.secret) for each in fields(self.account)]
        senders = [AccountField("senders", is_required=True, is_secret=False)] if self.has_senders else []
        prices = [AccountField(name, is_required=False, is_secret=False) for name in self.tariff_fields]
        return [each for each in own if each.name != "callback_url"] + senders + prices

    @property
    def tariff_fields(self) -> list[str]:
        return [each.name for each in fields(self.tariff)] if self.tariff else []


@dataclass(frozen=True)
class AccountField:
    name: str
    is_required: bool
    is_secret: bool


async def nothing_is_kept(_kept: Kept) -> None:
    """Where an account is only looked at."""
    raise ConfigurationError("a sandbox was used where nothing keeps its messages")


@dataclass(frozen=True)
class Surroundings:
    """What an account takes from where Sojourn runs: where providers reach it, whether a stand-in on loopback may be used.

    `keep` keeps what goes to a sandbox.
    """

    public_url: str
    may_use_stand_ins: bool
    keep: Keep = nothing_is_kept


def callback_url(around: Surroundings, provider: str, inbound_key: str) -> str:
    """Where the provider of one account calls us; the key finds app and account, and cannot be guessed."""
    return f"{around.public_url}/v1/webhooks/{provider}/{inbound_key}"


def adapter_of(kind: Kind, provider: str, settings: Mapping[str, Any], around: Surroundings, *, inbound_key: str = "") -> Adapter:
    """Make the adapter of one account. Raises Invalid with a pointer for each field that is missing, unknown or wrong."""
    known = {each.name for each in kind.fields()}
    problems = [
        Problem(f"/settings/{name}", "unknown_field", f"known are {', '.join(sorted(known))}") for name in sorted(set(settings) - known)
    ]
    problems += [
        Problem(f"/settings/{each.name}", "missing", "must not be empty")
        for each in kind.fields()
        if each.is_required and _is_blank(settings.get(each.name))
    ]
    if kind.has_senders and "senders" not in settings:
        problems.append(Problem("/settings/senders", "missing", "say whom messages are from"))
    if not _may_be_base(settings.get("base_url"), around):
        problems.append(Problem("/settings/base_url", "not_here", "only for a stand-in on loopback, outside production"))
    if problems:
        raise Invalid(problems)
    written = {name: value for name, value in settings.items() if name != "senders" and name not in kind.tariff_fields}
    if any(each.name == "callback_url" for each in fields(kind.account)):
        written["callback_url"] = callback_url(around, provider, inbound_key)
    taken = [_read(kind.account, written, "/settings")]
    if kind.keeps:
        return kind.make(around.keep)
    if kind.has_senders:
        taken.append(_read(Senders, settings.get("senders"), "/settings/senders"))
    if kind.tariff:
        taken.append(_read(kind.tariff, {name: settings[name] for name in kind.tariff_fields if name in settings}, "/settings"))
    return kind.make(*taken, may_use_stand_ins=around.may_use_stand_ins) if kind.names_host else kind.make(*taken)


def _read(shape: type, written: object, pointer: str) -> Any:
    try:
        return TypeAdapter(shape).validate_python(written)
    except ValidationError as error:
        found = [(f"{pointer}/" + "/".join(str(part) for part in each["loc"]), each) for each in error.errors(include_input=False)]
        raise Invalid([Problem(where.rstrip("/"), each["type"], each["msg"]) for where, each in found]) from error


def _is_blank(value: object) -> bool:
    return isinstance(value, str) and not value.strip()


def _may_be_base(url: object, around: Surroundings) -> bool:
    if url in (None, ""):
        return True
    return around.may_use_stand_ins and isinstance(url, str) and urlsplit(url).hostname in _LOOPBACK


def _is_required(field: Any) -> bool:
    return field.default is MISSING and field.default_factory is MISSING
