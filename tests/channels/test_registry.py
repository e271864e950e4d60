"""The table of providers."""

from importlib import import_module
from pathlib import Path

import pytest

from channels.email.connection import SmtpServer
from channels.readers import READERS
from channels.registry import CHANNELS, KINDS, Providers, adapters, choices
from channels.sandbox import Kept
from journeys.language.errors import ConfigurationError
from tests.channels.contract import AdapterContract

HERE = Path(__file__).parent


async def keep(_kept: Kept) -> None: ...


def providers(**chosen: str) -> Providers:
    return Providers(chosen, SmtpServer("127.0.0.1", 25, tls="none"), webhook_secrets=("whsec_" + "YWJj" * 10,))


def test_a_channel_without_a_choice_is_kept_in_the_sandbox() -> None:
    made = adapters(providers(), keep)
    assert {channel: adapter.name for channel, adapter in made.items()} == dict.fromkeys(CHANNELS, "sandbox")


async def test_a_chosen_provider_is_made() -> None:
    made = adapters(providers(email="smtp", webhook="http"), keep)
    assert (made["email"].name, made["webhook"].name) == ("smtp", "http")
    for adapter in made.values():
        await adapter.close()


def test_an_unknown_provider_names_the_setting_and_the_choices() -> None:
    with pytest.raises(ConfigurationError, match=r"SOJOURN_EMAIL_PROVIDER.*sandbox, smtp"):
        adapters(providers(email="pigeon"), keep)


def test_webhooks_without_a_secret_are_refused_at_the_start() -> None:
    with pytest.raises(ConfigurationError, match="SOJOURN_WEBHOOK_SECRET"):
        adapters(Providers({"webhook": "http"}, SmtpServer("127.0.0.1", 25)), keep)


def test_what_proves_a_provider_is_sealed() -> None:
    """A field that is added to an account and forgotten in its line of the table would be stored and shown in the clear."""
    proofs = {
        (place, field.name): field.is_secret
        for place, kind in KINDS.items()
        for field in kind.fields()
        if field.name.startswith("webhook_") and field.name != "webhook_public_key"
    }
    assert [place for place, is_secret in proofs.items() if not is_secret] == []


def test_every_account_whose_provider_calls_us_has_what_proves_it() -> None:
    proofs = {"topics", "secret", "app_secret"}
    bare = [
        place
        for place, kind in KINDS.items()
        if place in READERS and not any(field.name in proofs or field.name.startswith("webhook_") for field in kind.fields())
    ]
    assert bare == []


def held_to_the_contract() -> set[tuple[str, str]]:
    """Channel and provider of every test class here that inherits the shared contract."""
    files = [file.relative_to(HERE).with_suffix("") for file in HERE.rglob("test_*.py")]
    modules = [import_module(".".join(("tests", "channels", *file.parts))) for file in files]
    classes = [each for module in modules for each in vars(module).values() if isinstance(each, type) and issubclass(each, AdapterContract)]
    return {kind for each in classes for kind in getattr(each, "kinds", ())}


def test_every_adapter_is_held_to_the_shared_contract() -> None:
    of_the_installation = {(channel, provider) for channel in CHANNELS for provider in choices(channel)}
    assert {*KINDS, *of_the_installation} - held_to_the_contract() == set(), "give its test class `kinds` and the contract (contract.py)"
