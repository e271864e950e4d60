"""What `sojourn doctor` finds, each with its remedy."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from channels.webhook.http import Http
from cli.doctor import Finding, accounts, mail_server, postgres, promises, providers, python, recorded, temporal
from cli.sojourn import run
from journeys.language.errors import ConfigurationError
from settings import Environment, Settings
from storage import account_states, apps
from storage.account_states import AccountKey
from storage.checkup import Checkup
from storage.database import Database
from storage.providers import Traffic
from storage.providers import put as put_account
from storage.sealing import Seal
from tests.channels.email.scripted_server import scripted

PYTHONS = [
    ((3, 11, 7), True),  # seen to let a header through
    ((3, 11, 10), False),  # has the fix
    ((3, 12, 1), True),  # seen to let a header through
    ((3, 12, 5), False),  # has the fix
    ((3, 13, 0), False),  # never had the bug
    ((3, 14, 0), False),
]


@pytest.mark.parametrize(("running", "has_bug"), PYTHONS)
def test_a_python_that_lets_a_mail_header_in_is_named(running: tuple[int, int, int], has_bug: bool) -> None:
    finding = python(running)
    assert ("CVE-2024-6923" in finding.words) is has_bug
    assert finding.is_well


async def test_a_migrated_database_is_well(database_url: str) -> None:
    # The tests' own server may forget: it is made anew each time.
    assert [finding.words for finding in await postgres(database_url) if not finding.is_well and finding.subject != "durability"] == []


async def test_a_postgres_that_may_forget_what_it_has_answered_is_to_be_mended(database: Database, database_url: str) -> None:
    durability = await durability_of(database_url)
    assert durability.words.startswith("fsync and synchronous_commit off: ")
    async with database.transaction() as connection:
        name = (await connection.execute(text("SELECT quote_ident(current_database())"))).scalar_one()
        await connection.execute(text(f"ALTER DATABASE {name} SET synchronous_commit = on"))
    assert "Set fsync to on" in (await durability_of(database_url)).remedy


async def durability_of(database_url: str) -> Finding:
    [found] = [finding for finding in await postgres(database_url) if finding.subject == "durability"]
    assert not found.is_well
    return found


def test_a_postgres_that_keeps_what_it_has_answered_is_well() -> None:
    assert promises(Checkup(150000, "1", "1", has_next_month=True, strays={})).is_well


async def test_an_empty_database_is_told_to_migrate(database: Database, database_url: str) -> None:
    async with database.transaction() as connection:
        await connection.execute(text("DROP TABLE alembic_version"))
    assert "Run `sojourn migrate`." in [finding.remedy for finding in await postgres(database_url)]


async def test_rows_outside_every_month_are_counted(database: Database, database_url: str) -> None:
    async with database.transaction() as connection:
        await connection.execute(
            text("INSERT INTO events (app, received_at, user_id, event_id, name, occurred_at) VALUES ('demo', :at, 1, 'e', 'x', :at)"),
            {"at": datetime(2001, 1, 1, tzinfo=UTC)},
        )
    strays = next(finding for finding in await postgres(database_url) if finding.subject == "strays")
    assert "events (1)" in strays.words
    assert not strays.is_well


async def test_a_postgres_that_is_away_is_one_line_with_its_remedy() -> None:
    findings = await postgres("postgresql+asyncpg://sojourn@127.0.0.1:1/sojourn")
    assert [(finding.subject, "SOJOURN_DATABASE_URL" in finding.remedy) for finding in findings] == [("Postgres", True)]


async def test_a_temporal_that_answers_is_well(temporal_address: None) -> None:
    assert (await temporal()).is_well


async def test_a_temporal_that_is_away_names_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
    assert "TEMPORAL_ADDRESS" in (await temporal()).remedy


# Its email provider is the sandbox.
PRODUCTION = Settings(environment=Environment.PRODUCTION, secret="x" * 32, suppression_keys=("b" * 43 + "=",))


async def put(database: Database, app: str, channel: str, name: str, provider: str, **settings: str) -> None:
    secrets = {key: settings.pop(key) for key in ("api_key",) if key in settings}
    async with database.transaction() as connection:
        await put_account(
            connection, app, Seal(Settings().plain_credential_keys), channel=channel, name=name, provider=provider, traffic=Traffic(),
            settings=settings, secrets=secrets,
        )  # fmt: skip


async def another_app(database: Database) -> None:
    async with database.transaction() as connection:
        await apps.create(connection, "shop")


async def mail(database_url: str) -> Finding:
    [found] = [each for each in providers(PRODUCTION, await recorded(database_url)) if each.subject == "email"]
    return found


async def test_a_production_that_keeps_its_mail_in_the_sandbox_is_told(database: Database, database_url: str) -> None:
    await put(database, "demo", "sms", "main", "sandbox")
    found = await mail(database_url)
    assert "SOJOURN_EMAIL_PROVIDER" in found.remedy
    assert not found.is_well
    [unread] = providers(PRODUCTION, {})
    assert not unread.is_well


async def test_a_production_whose_apps_have_accounts_of_their_own_is_well(database: Database, database_url: str) -> None:
    await put(database, "demo", "email", "main", "sandbox")
    assert await mail(database_url) == Finding("email", "every app has accounts of its own")
    await another_app(database)
    found = await mail(database_url)
    assert not found.is_well
    assert "nothing leaves of shop;" in found.words
    await put(database, "shop", "email", "main", "sandbox")
    assert (await mail(database_url)).is_well


@pytest.mark.parametrize("secret", ["", "whsec_short", f"whsec_{'b' * 43}= hush"])
def test_webhooks_that_cannot_be_signed_are_to_be_mended_because_no_worker_starts(secret: str) -> None:
    settings = Settings(webhook_provider="http", webhook_secret=secret, allowed_recipients=("@example.com",))
    with pytest.raises(ConfigurationError, match="SOJOURN_WEBHOOK_SECRET"):
        Http(tuple(settings.webhook_secret.get_secret_value().split()))
    [found] = [each for each in providers(settings, {}) if each.subject == "webhook"]
    assert not found.is_well
    assert "no worker starts" in found.words
    assert "SOJOURN_WEBHOOK_SECRET" in found.remedy
    assert "hush" not in str(found)


def test_webhooks_that_are_signed_are_well() -> None:
    settings = Settings(webhook_provider="http", webhook_secret=f"whsec_{'b' * 43}=", allowed_recipients=("@example.com",))
    assert [each.words for each in providers(settings, {}) if each.subject == "webhook"] == ["real requests, signed"]


def test_an_smtp_user_without_password_is_told() -> None:
    settings = Settings(email_provider="smtp", smtp_username="mailer", allowed_recipients=("@example.com",))
    assert "SOJOURN_SMTP_PASSWORD" in " ".join(finding.remedy for finding in providers(settings, {}))


async def test_the_installations_mail_server_is_asked_and_nothing_is_sent() -> None:
    async with scripted(EHLO="250-scripted\r\n250 AUTH PLAIN", AUTH=["235 ok", "535 5.7.8 no"]) as server:
        settings = Settings(
            email_provider="smtp",
            smtp_host="127.0.0.1",
            smtp_port=server.port,
            smtp_tls="none",
            smtp_username="mailer",
            smtp_password="hush",
            allowed_recipients=("@example.com",),
        )
        [well], [refused] = await mail_server(settings), await mail_server(settings)
    assert well.is_well
    assert "log in" in well.words
    assert not refused.is_well
    assert "535" in refused.words
    assert "hush" not in str(refused)
    assert server.bodies == []
    assert await mail_server(Settings()) == []


async def test_something_to_mend_gives_exit_code_one(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("SOJOURN_DATABASE_URL", "postgresql+asyncpg://sojourn@127.0.0.1:1/sojourn")
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
    with ThreadPoolExecutor(1) as pool:
        assert await asyncio.get_running_loop().run_in_executor(pool, run, ["doctor"]) == 1
    assert "mend Postgres" in capsys.readouterr().out


@pytest.fixture
def temporal_address(temporal: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", temporal)


async def test_accounts_of_every_app_are_asked_and_those_in_trouble_named(database: Database, database_url: str) -> None:
    await another_app(database)
    away = "http://127.0.0.1:1"
    await put(database, "demo", "email", "main", "resend", base_url=away, api_key="re_hush")
    await put(database, "demo", "sms", "kept", "sandbox")
    await put(database, "shop", "email", "main", "resend", base_url=away, api_key="re_hush")
    async with database.transaction() as connection:
        main = AccountKey("demo", "email", "main")
        await account_states.say_away(connection, main, timedelta(minutes=1), "HTTP 401: the provider refuses our credentials")
        await account_states.close_for(connection, AccountKey("demo", "sms", "kept"), timedelta(minutes=1))
        await account_states.close_for(connection, AccountKey("shop", "webhook", ""), timedelta(minutes=1))
    found = await accounts(Settings(), await recorded(database_url))
    assert [(each.subject, each.is_well) for each in found] == [
        ("email account main of demo", False),
        ("sms account kept of demo", True),
        ("email account main of shop", False),
        ("email account main of demo", True),
        ("sms account kept of demo", True),
        ("webhook provider of shop", True),
    ]
    assert "refused" in found[0].words
    assert "HTTP 401" in found[3].words
    assert "hush" not in str(found)
