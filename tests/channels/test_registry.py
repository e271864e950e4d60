"""The table of providers."""

import pytest

from channels.email.connection import SmtpServer
from channels.registry import CHANNELS, Providers, adapters
from channels.sandbox import Kept
from journeys.language.errors import ConfigurationError


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
