"""Accounts as people write them: every kind can be made, and what is wrong is named."""

from typing import Any

import pytest

from channels.accounts import Surroundings, adapter_of
from channels.registry import KINDS
from journeys.language.errors import Invalid
from tests.channels.push.keys import P256, SERVICE_ACCOUNT

HERE = Surroundings("https://sojourn.example", may_use_stand_ins=True)
SENDERS = {"default": ["+15005550006"], "by_country": {"GB": ["ACME"]}, "countries": ["GB"]}
AWS = {"region": "eu-west-1", "access_key_id": "AKIDEXAMPLE", "secret_access_key": "secret"}
GOOD: dict[tuple[str, str], dict[str, Any]] = {
    ("email", "mailgun"): {"api_key": "key", "domain": "mg.acme.example", "region": "eu"},
    ("email", "postmark"): {"server_token": "token"},
    ("email", "resend"): {"api_key": "key"},
    ("email", "sendgrid"): {"api_key": "key"},
    ("email", "ses"): {**AWS, "configuration_set": "events"},
    ("email", "smtp"): {"host": "smtp.example.com", "username": "acme", "password": "secret"},
    ("push", "adm"): {"client_id": "id", "client_secret": "secret"},
    ("push", "apns"): {"key_id": "ABC123DEFG", "team_id": "DEF123GHIJ", "topic": "example.acme", "private_key": P256},
    ("push", "fcm"): {"service_account": SERVICE_ACCOUNT},
    ("push", "web_push"): {"private_key": P256, "subject": "mailto:push@acme.example"},
    ("sms", "aws"): {**AWS, "senders": SENDERS},
    ("sms", "sinch"): {"service_plan_id": "plan", "api_token": "token", "senders": SENDERS},
    ("sms", "twilio"): {"account_sid": "AC1", "key": "SK1", "secret": "secret", "senders": SENDERS},
    ("sms", "vonage"): {"api_key": "key", "api_secret": "secret", "senders": SENDERS},
    ("voice", "aws"): {**AWS, "senders": SENDERS, "voice": "Amy", "valid_s": 600},
    ("voice", "twilio"): {"account_sid": "AC1", "key": "SK1", "secret": "secret", "senders": SENDERS, "voice": "Amy", "language": "en-GB"},
    ("webhook", "http"): {"secrets": ["whsec_" + "YWJj" * 10]},
    ("whatsapp", "meta"): {"phone_number_id": "106540352242922", "access_token": "token", "app_secret": "secret", "verify_token": "word"},
    ("whatsapp", "twilio"): {"account_sid": "AC1", "key": "SK1", "secret": "secret", "senders": SENDERS},
}
PRICED = {"prices": {"DE": "0.0725", "*": "0.1"}, "currency": "EUR"}

# A sandbox is at nobody's and keeps no secret.
AT_PROVIDERS = sorted(name for name, kind in KINDS.items() if not kind.keeps)


def wrong(channel: str, provider: str, settings: dict[str, Any], around: Surroundings = HERE) -> list[str]:
    with pytest.raises(Invalid) as invalid:
        adapter_of(KINDS[channel, provider], provider, settings, around)
    return [problem.pointer for problem in invalid.value.problems]


@pytest.mark.parametrize(("channel", "provider"), AT_PROVIDERS)
async def test_every_kind_of_account_makes_an_adapter_of_its_channel(channel: str, provider: str) -> None:
    adapter = adapter_of(KINDS[channel, provider], provider, GOOD[channel, provider], HERE)
    assert (adapter.channel, adapter.name) == (channel, provider)
    await adapter.close()


@pytest.mark.parametrize(("channel", "provider"), AT_PROVIDERS)
def test_every_kind_keeps_something_secret_and_its_secrets_are_fields_of_it(channel: str, provider: str) -> None:
    kind = KINDS[channel, provider]
    secret = {field.name for field in kind.fields() if field.is_secret}
    assert secret
    assert secret == set(kind.secret)
    shown = [field.name for field in kind.fields() if not field.is_secret]
    # Vonage's api_key is a name; its api_secret is the secret.
    assert provider == "vonage" or not any(word in name for name in shown for word in ("secret", "token", "api_key"))


def test_what_is_missing_unknown_or_wrong_is_named() -> None:
    assert wrong("email", "ses", {"region": "eu-west-1", "access_key_id": "AKID"}) == ["/settings/secret_access_key"]
    assert wrong("email", "ses", {**AWS, "colour": "red"}) == ["/settings/colour"]
    assert wrong("email", "ses", {**AWS, "region": "eu-west-1.evil.example/"}) == ["/settings/region"]
    assert wrong("email", "mailgun", {**GOOD["email", "mailgun"], "region": "moon"}) == ["/settings/region"]
    assert wrong("push", "apns", {**GOOD["push", "apns"], "private_key": SERVICE_ACCOUNT}) == ["/settings/private_key"]
    assert wrong("push", "fcm", {"service_account": P256}) == ["/settings/service_account"]
    assert wrong("push", "web_push", {"private_key": "YQ", "subject": "push@acme.example"}) == [
        "/settings/private_key",
        "/settings/subject",
    ]
    assert wrong("sms", "sinch", {"service_plan_id": "plan", "api_token": "token"}) == ["/settings/senders"]


@pytest.mark.parametrize("url", ["http://169.254.169.254", "https://evil.example", "http://localhost.evil.example", "file:///etc/passwd"])
def test_no_account_leads_into_somebody_elses_network(url: str) -> None:
    assert wrong("email", "resend", {"api_key": "key", "base_url": url}) == ["/settings/base_url"]


def test_in_production_there_are_no_stand_ins() -> None:
    production = Surroundings("https://sojourn.example", may_use_stand_ins=False)
    assert wrong("email", "resend", {"api_key": "key", "base_url": "http://127.0.0.1:9"}, production) == ["/settings/base_url"]


async def test_prices_and_the_longest_text_stand_beside_the_senders() -> None:
    kind = KINDS["sms", "twilio"]
    await adapter_of(kind, "twilio", {**GOOD["sms", "twilio"], **PRICED, "max_segments": 3}, HERE).close()
    assert {"prices", "currency", "max_segments"} <= {each.name for each in kind.fields()}


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"prices": {"DE": "0.07"}}, "/settings"),  # no currency
        ({**PRICED, "prices": {"Germany": "0.07"}}, "/settings/prices/Germany/[key]"),
        ({**PRICED, "prices": {"UK": "0.07"}}, "/settings/prices/UK/[key]"),
        ({**PRICED, "prices": {"DE": "-1"}}, "/settings/prices/DE"),
        ({**PRICED, "currency": "Euro"}, "/settings/currency"),
        ({"max_segments": 0}, "/settings/max_segments"),
    ],
)
def test_prices_that_are_none_are_named(changes: dict[str, Any], pointer: str) -> None:
    assert wrong("sms", "twilio", {**GOOD["sms", "twilio"], **changes}) == [pointer]


def test_only_texts_have_segments() -> None:
    assert wrong("voice", "twilio", {**GOOD["voice", "twilio"], "max_segments": 2}) == ["/settings/max_segments"]


TEXTING = [(channel, provider) for channel, provider in AT_PROVIDERS if KINDS[channel, provider].has_senders]


@pytest.mark.parametrize(("channel", "provider"), TEXTING)
@pytest.mark.parametrize(
    ("senders", "pointer"),
    [
        ({"default": []}, "default"),
        ({"default": [""]}, "default"),
        ({"default": ["+15005550006", " "]}, "default"),
        ({"default": ["+15005550006\n"]}, "default"),  # as a file ends
        ({"by_country": {"GB": []}}, "by_country/GB"),
        ({"by_country": {"gb": ["ACME"]}}, "by_country/gb/[key]"),
        ({"by_country": {"UK": ["ACME"]}}, "by_country/UK/[key]"),  # well-formed, and nobody's
        ({"by_country": {"*": ["ACME"]}}, "by_country/*/[key]"),
        ({"countries": ["de"]}, "countries/0"),
        ({"countries": ["DE", "UK"]}, "countries/1"),
        ({"countries": [""]}, "countries/0"),
    ],
)
def test_senders_that_no_message_could_be_from_are_named(channel: str, provider: str, senders: dict[str, Any], pointer: str) -> None:
    settings = GOOD[channel, provider]
    found = wrong(channel, provider, {**settings, "senders": {"default": ["+15005550006"], **senders}})
    assert found == [f"/settings/senders/{pointer}"]


def test_what_is_wrong_with_senders_is_told_with_the_remedy() -> None:
    with pytest.raises(Invalid) as invalid:
        adapter_of(KINDS["sms", "vonage"], "vonage", {**GOOD["sms", "vonage"], "senders": {"default": [], "countries": ["UK"]}}, HERE)
    assert [problem.message for problem in invalid.value.problems] == [
        "name at least one number or name that messages are from",
        "not a country of ISO 3166: two capital letters, such as DE (the United Kingdom is GB)",
    ]


@pytest.mark.parametrize(("channel", "provider"), AT_PROVIDERS)
def test_what_is_needed_is_not_empty(channel: str, provider: str) -> None:
    for field in KINDS[channel, provider].fields():
        if field.is_required and isinstance(GOOD[channel, provider][field.name], str):
            assert wrong(channel, provider, {**GOOD[channel, provider], field.name: " "}) == [f"/settings/{field.name}"]


@pytest.mark.parametrize(
    ("channel", "provider", "field"),
    [
        ("email", "postmark", "server_token"),
        ("email", "resend", "api_key"),
        ("email", "sendgrid", "api_key"),
        ("email", "ses", "access_key_id"),
        ("email", "ses", "session_token"),
        ("sms", "sinch", "api_token"),
        ("whatsapp", "meta", "access_token"),
    ],
)
@pytest.mark.parametrize("written", ["re_••••••", "two words", "copied\n"])
def test_a_credential_that_no_header_holds_is_named_and_not_shown(channel: str, provider: str, field: str, written: str) -> None:
    with pytest.raises(Invalid) as invalid:
        adapter_of(KINDS[channel, provider], provider, {**GOOD[channel, provider], field: written}, HERE)
    assert [problem.pointer for problem in invalid.value.problems] == [f"/settings/{field}"]
    assert written.strip() not in str(invalid.value)


@pytest.mark.parametrize(
    ("channel", "provider", "field", "written"),
    [
        ("email", "smtp", "connections", 0),
        ("email", "smtp", "port", 0),
        ("voice", "aws", "valid_s", 0),
        ("voice", "aws", "voice", "Amy-Neural"),  # would be refused of every call
        ("voice", "twilio", "ring_s", 0),
        ("voice", "twilio", "ring_s", 601),
        ("whatsapp", "meta", "version", "23"),
    ],
)
def test_what_a_provider_would_refuse_of_every_message_is_no_setting(channel: str, provider: str, field: str, written: object) -> None:
    assert wrong(channel, provider, {**GOOD[channel, provider], field: written}) == [f"/settings/{field}"]
