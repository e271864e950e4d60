"""`sojourn doctor`: looks at everything that must be right and says, line by line, what is not and what to do."""

import asyncio
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version

import typer
from rich.markup import escape
from sqlalchemy.exc import ProgrammingError
from temporalio.service import RPCError

import storage.providers
from activities.accounts import verified
from activities.reputation import Thresholds, exceeded, thresholds_of
from channels.base import SendFailed
from channels.email.smtp import Smtp
from channels.webhook.signing import read_secret
from cli.console import out
from cli.local_keys import read_keys, settings_here
from journeys.language.errors import ConfigurationError, Unavailable
from journeys.language.reasons import remedy
from settings import DEVELOPMENT_SECRET, Environment, Settings
from storage import account_states, apps
from storage.account_states import AccountState, is_troubled
from storage.checkup import Checkup, checkup
from storage.database import Database
from storage.migrations.runner import is_enough
from storage.providers import Account
from storage.sealing import Seal
from workflows.client import connect
from workflows.hands import smtp_server, surroundings

OLDEST_POSTGRES = 15


@dataclass(frozen=True)
class Finding:
    """One line: what was looked at, what was found, and the remedy when it is not well; without `must_be_mended` it is advice."""

    subject: str
    words: str
    remedy: str = ""
    must_be_mended: bool = True

    @property
    def is_well(self) -> bool:
        return not (self.remedy and self.must_be_mended)


@dataclass(frozen=True)
class AppAccounts:
    """What is recorded of the accounts of one app."""

    app: str
    rows: Sequence[Account]
    thresholds: Thresholds
    states: Sequence[AccountState]


Accounts = Mapping[str, AppAccounts]


def doctor() -> None:
    """Look at Python, settings, Postgres, its schema and Temporal; exit code 1 when something must be mended."""
    findings = asyncio.run(examine(settings_here()))
    for finding in findings:
        mark = "[green]ok  [/]" if finding.is_well and not finding.remedy else "[yellow]note[/]" if finding.is_well else "[red]mend[/]"
        out.print(f"{mark} {escape(finding.subject)}: {escape(finding.words)}")
        if finding.remedy:
            out.print(f"     {escape(finding.remedy)}")
    raise typer.Exit(int(not all(finding.is_well for finding in findings)))


async def examine(settings: Settings) -> list[Finding]:
    of_apps = await recorded(settings.database_url)
    looked_at = [python(sys.version_info[:3]), *providers(settings, of_apps), *await mail_server(settings)]
    return [*looked_at, *await postgres(settings.database_url), await temporal(), *await accounts(settings, of_apps)]


def python(running: tuple[int, int, int]) -> Finding:
    """Name a Python whose standard library lets an encoded word inject a mail header (fixed in 3.11.10, 3.12.5 and 3.13)."""
    words = ".".join(map(str, running))
    fixed_in = {(3, 11): 10, (3, 12): 5}.get(running[:2], 0)
    if running[2] < fixed_in:
        words += ", which lets an encoded word in a header start a new header line (class of CVE-2024-6923)"
        remedy = f"Sojourn refuses such text itself; still, update to {running[0]}.{running[1]}.{fixed_in} or later."
        return Finding("Python", words, remedy, must_be_mended=False)
    return Finding("Python", words)


def providers(settings: Settings, of_apps: Accounts) -> Iterator[Finding]:
    """Say where messages go that leave through no account of an app, and what is missing before they can."""
    if settings.email_provider == "smtp":
        yield _smtp(settings)
    else:
        yield _sandbox("email", settings, of_apps)
    if settings.webhook_provider == "http":
        yield _webhook(settings)
    if settings.secret.get_secret_value() == DEVELOPMENT_SECRET:
        yield Finding("SOJOURN_SECRET", "the development value, which everybody knows; production refuses it")
    if settings.allowed_recipients:
        yield Finding("recipients", f"addresses and domains that may be written to: {len(settings.allowed_recipients)}")


def _smtp(settings: Settings) -> Finding:
    where = f"SMTP at {settings.smtp_host}:{settings.smtp_port}, {settings.smtp_tls}"
    if settings.smtp_username and not settings.smtp_password.get_secret_value():
        return Finding("email", where, "SOJOURN_SMTP_USERNAME is set and SOJOURN_SMTP_PASSWORD is not: set both or none.")
    return Finding("email", where)


async def mail_server(settings: Settings) -> list[Finding]:
    """Log in to the installation's mail server, where there is one. Nothing is sent."""
    if settings.email_provider != "smtp":
        return []
    smtp = Smtp(smtp_server(settings))
    try:
        await smtp.verify()
    except SendFailed as failed:
        return [Finding("mail server", f"refused: {failed.answer}", "Mend SOJOURN_SMTP_HOST, _PORT, _TLS, _USERNAME or _PASSWORD.")]
    return [Finding("mail server", "answers" + (" and lets us log in" if settings.smtp_username else ""))]


def _webhook(settings: Settings) -> Finding:
    secrets = settings.webhook_secret.get_secret_value().split()
    remedy = "Set SOJOURN_WEBHOOK_SECRET to whsec_ and base64 of 24 to 64 random bytes."
    if not secrets:
        return Finding("webhook", "real requests, and no secret to sign them with: no worker starts", remedy)
    try:
        for secret in secrets:
            read_secret(secret)
    except ConfigurationError:
        return Finding("webhook", "real requests, and a secret that is none: no worker starts", remedy)
    return Finding("webhook", "real requests, signed")


def _sandbox(channel: str, settings: Settings, of_apps: Accounts) -> Finding:
    """In production each app needs an account of the channel: the installation's provider lets nothing leave."""
    kept = "kept in the sandbox: nothing leaves"
    without = [app for app, each in of_apps.items() if not any(row.channel == channel for row in each.rows)]
    if of_apps and not without:
        return Finding(channel, "every app has accounts of its own")
    if len(without) < len(of_apps):
        kept += f" of {', '.join(without)}; the other apps have accounts of their own"
    if settings.environment is not Environment.PRODUCTION:
        return Finding(channel, kept)
    own = f"`sojourn providers set {channel} ...` with a key of the app (`sandbox` where nothing is meant to leave)"
    return Finding(channel, kept, f"Give the app an account, {own}, or set SOJOURN_{channel.upper()}_PROVIDER to a real provider.")


async def postgres(url: str) -> list[Finding]:
    """Look at the server, the schema and the partitions. Without a server there is one finding."""
    database = Database(url, pool_size=1)
    try:
        async with database.transaction() as connection:
            found = await checkup(connection)
    except Unavailable:
        return [Finding("Postgres", "does not answer", "Start it (here: `make dev`), or set SOJOURN_DATABASE_URL to where it is.")]
    finally:
        await database.close()
    return [_server(found), promises(found), _schema(found), *_partitions(found)]


def _server(found: Checkup) -> Finding:
    words = f"{found.server_version // 10000}.{found.server_version % 10000}"
    if found.server_version // 10000 < OLDEST_POSTGRES:
        return Finding("Postgres", words, f"Sojourn needs PostgreSQL {OLDEST_POSTGRES} or later: upgrade the server.")
    return Finding("Postgres", words)


def promises(found: Checkup) -> Finding:
    """Without these a crash of Postgres takes back what was answered: events are lost, and messages that left are sent once more."""
    if not found.forgets:
        return Finding("durability", "what Postgres says it has written stays written")
    named = " and ".join(found.forgets)
    words = f"{named} off: a crash of Postgres loses events that were accepted, and sends again what it forgot was sent"
    return Finding("durability", words, f"Set {named} to on in postgresql.conf, and for Sojourn's role and database.")


def _schema(found: Checkup) -> Finding:
    if found.revision == found.head:
        return Finding("schema", f"at {found.head}")
    if is_enough(found.revision):
        return Finding("schema", f"at {found.revision}, which a newer Sojourn made: this code works on it")
    return Finding("schema", f"at {found.revision or 'nothing'}, this code needs {found.head}", "Run `sojourn migrate`.")


def _partitions(found: Checkup) -> Iterator[Finding]:
    if found.revision is None:
        return
    if found.has_next_month:
        yield Finding("partitions", "there are tables for the next month")
    else:
        yield Finding("partitions", "no tables for the next month", "Start a worker: it makes them every hour.")
    strays = sum(found.strays.values())
    names = ", ".join(f"{table} ({rows})" for table, rows in found.strays.items())
    if strays:
        yield Finding("strays", f"rows outside every month in {names}", "docs/how-to/production.md says how to move them.")
    else:
        yield Finding("strays", "no row outside the monthly tables")


async def recorded(url: str) -> Accounts:
    """What is recorded of the accounts of every app; nothing where Postgres or its schema is not there, which `postgres` says."""
    database = Database(url, pool_size=1)
    try:
        async with database.transaction() as connection:
            return {
                app: AppAccounts(
                    app,
                    await storage.providers.of_app(connection, app),
                    thresholds_of(await apps.settings(connection, app)),
                    await account_states.of_app(connection, app),
                )
                for app in await apps.ids(connection)
            }
    except (Unavailable, ProgrammingError):
        return {}
    finally:
        await database.close()


async def accounts(settings: Settings, of_apps: Accounts) -> list[Finding]:
    """Ask each account's provider whether it works, and say which are away or closed now; of every app."""
    found = await asyncio.gather(*(_account(settings, each.app, row) for each in of_apps.values() for row in each.rows))
    states = [(state, each.thresholds) for each in of_apps.values() for state in each.states]
    troubles = [_trouble(state) for state, _ in states if is_troubled(state)]
    return [*found, *troubles, *(standing for state, thresholds in states if (standing := _standing(state, thresholds)))]


async def _account(settings: Settings, app: str, row: Account) -> Finding:
    found = await verified(app, row, Seal(settings.plain_credential_keys), surroundings(settings))
    words = "cannot be verified: " if found.verdict == "cannot_be_asked" else "refused: " if found.verdict == "refused" else ""
    return Finding(f"{row.channel} account {row.name} of {app}", f"{words}{found.words}", found.remedy)


def _called(state: AccountState) -> str:
    return f"{state.channel} {f'account {state.account}' if state.account else 'provider'} of {state.app}"


def _trouble(state: AccountState) -> Finding:
    subject = _called(state)
    if state.away_since is not None:
        words = f"away since {state.away_since:%Y-%m-%d %H:%M} UTC: {state.trouble or 'it does not answer'}"
        return Finding(subject, words, "Messages wait or take another account; workers ask again by themselves.", must_be_mended=False)
    words = f"told us to wait until {state.closed_until:%H:%M:%S} UTC"
    return Finding(subject, words, "Set or lower `per_second` of the account if this comes often.", must_be_mended=False)


def _standing(state: AccountState, thresholds: Thresholds) -> Finding | None:
    """Whether marketing waits, or should: too many of its mails bounced, or were called spam."""
    reason = exceeded(state.heard, state.bounced, state.complained, thresholds)
    if state.stopped_for is None and reason is None:
        return None
    shares = f"{state.bounced / max(state.heard, 1):.2%} bounced, {state.complained / max(state.heard, 1):.3%} complained"
    now = f"waits since {state.stopped_at:%Y-%m-%d %H:%M} UTC" if state.stopped_at else "leaves, although it should not"
    words = f"{now}: {shares}, of {state.heard:,} in three days"
    return Finding(f"marketing by {_called(state)}", words, remedy(state.stopped_for or reason))


async def temporal() -> Finding:
    """Ask the Temporal that TEMPORAL_ADDRESS (or its configuration file) names, else the one that `sojourn dev` runs in this folder."""
    local = read_keys()
    here = {"otherwise": local.temporal_address} if local and local.temporal_address else {}
    try:
        client = await asyncio.wait_for(connect(**here), 5)
    except (RPCError, RuntimeError, TimeoutError):
        return Finding("Temporal", "does not answer", "Start it, or set TEMPORAL_ADDRESS. Events are accepted meanwhile, journeys wait.")
    where = client.service_client.config.target_host
    return Finding("Temporal", f"answers at {where}, namespace {client.namespace}, SDK {version('temporalio')}")
