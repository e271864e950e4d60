"""The hands of a worker process, made from its settings: adapters, renderer, ledger, and the lanes beside them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from activities.accounts import Accounts
from activities.asking import Asking
from activities.exits import LeavingOrder
from activities.functions.call import Function
from activities.functions.delivering import deliveries_by
from activities.messages import Delivery, Messages
from activities.sources import Sources
from activities.tracking import Tracker
from activities.traffic import Traffic
from channels.accounts import Surroundings
from channels.egress import Egress
from channels.email.connection import SmtpServer
from channels.in_app.feed import Show, Shown
from channels.links import preferences_url, unsubscribe_url
from channels.lookups import Lookups
from channels.registry import CHANNELS, Providers, adapters
from channels.render import Renderer
from channels.sandbox import Keep, Kept
from journeys.language.conditions import AnyCondition
from settings import Environment, Settings
from storage import conditions, in_app, sandbox
from storage.database import Connection, Database
from storage.notify import IN_APP, Notifier
from storage.sealing import Seal

# Connections of one process to the database of sources, which is somebody else's.
SOURCE_POOL = 4


@dataclass(frozen=True)
class Hands:
    """What one process delivers with. `close` frees connections and child processes."""

    messages: Messages
    delivery: Delivery
    renderer: Renderer
    notify: Notifier

    async def close(self) -> None:
        await self.messages.drain()
        if self.delivery.accounts is not None:
            await self.delivery.accounts.close()
        if self.delivery.sources is not None:
            await self.delivery.sources.close()
        for channel in CHANNELS:
            await self.delivery.adapters[channel].close()
        await self.renderer.close()
        await self.notify.close()


def hands(settings: Settings, database: Database, functions: Mapping[str, Function] | None = None) -> Hands:
    """Make the hands of this process; `functions` are those that the house registers.

    Raises ConfigurationError for a provider that does not exist.
    """
    renderer, notify, keep = Renderer(), Notifier(settings.database_url), _keeper(database)
    show = _shower(database, notify, keeps_copies=settings.environment is Environment.DEVELOPMENT)
    providers = _providers(settings, show, functions or {})
    delivery = Delivery(
        adapters=adapters(providers, keep),
        renderer=renderer,
        unsubscribe_url=partial(unsubscribe_url, settings.public_url, settings.secret.get_secret_value()),
        accounts=Accounts(database, Seal(settings.plain_credential_keys), replace(surroundings(settings), keep=keep)),
        sources=outside(settings, database),
        traffic=Traffic(database),
        preferences_url=partial(preferences_url, settings.public_url, settings.secret.get_secret_value()),
        tracker=Tracker(database, settings.public_url, settings.secret.get_secret_value()),
        allowed_recipients=None if settings.environment is Environment.PRODUCTION else frozenset(settings.allowed_recipients),
    )
    return Hands(Messages(database, delivery, exit_conditions_hold), delivery, renderer, notify)


def asking(settings: Settings, database: Database) -> Asking:
    """Make what asks providers about messages that may have gone out."""
    return Asking(database, Seal(settings.plain_credential_keys), surroundings(settings))


def outside(settings: Settings, database: Database) -> Sources:
    """Make what asks the sources of templates. Only public addresses are asked, on a developer's machine loopback too."""
    url = settings.source_database_url.get_secret_value()
    return Sources(
        database,
        Seal(settings.plain_credential_keys),
        Lookups(Egress(may_reach_loopback=settings.environment is Environment.DEVELOPMENT)),
        Database(url, pool_size=SOURCE_POOL) if url else None,
    )


def surroundings(settings: Settings) -> Surroundings:
    """What accounts at providers take from where this process runs."""
    return Surroundings(settings.public_url, may_use_stand_ins=settings.environment is not Environment.PRODUCTION)


async def exit_conditions_hold(
    connection: Connection, order: LeavingOrder, user_id: int, exits: Sequence[AnyCondition], moment: datetime
) -> bool:
    """Read the conditions of `exits_on` inside the transaction that claims."""
    for condition in exits:
        if await conditions.holds(
            connection,
            order.app,
            condition,
            user_id=user_id,
            entry=order.entry,
            captured=order.captured,
            source=order.enrollment_id,
            at=moment,
        ):
            return True
    return False


def _providers(settings: Settings, show: Show, functions: Mapping[str, Function]) -> Providers:
    return Providers(
        chosen={
            "email": settings.email_provider,
            "webhook": settings.webhook_provider,
            "in_app": settings.in_app_provider,
            "custom": settings.custom_provider,
        },
        smtp=smtp_server(settings),
        webhook_secrets=tuple(settings.webhook_secret.get_secret_value().split()),
        webhooks_may_reach_loopback=settings.environment is Environment.DEVELOPMENT,
        show=show,
        functions=deliveries_by(functions),
    )


def smtp_server(settings: Settings) -> SmtpServer:
    """The installation's own, for apps without an account of email."""
    return SmtpServer(
        host=settings.smtp_host,
        port=settings.smtp_port,
        username=settings.smtp_username,
        password=settings.smtp_password.get_secret_value(),
        tls=settings.smtp_tls,
        connections=settings.smtp_connections,
    )


def _shower(database: Database, notify: Notifier, *, keeps_copies: bool) -> Show:
    """Put in-app messages into feeds, and wake who streams them; with copies the sandbox shows them too, as of every channel."""

    async def show(shown: Shown) -> bool:
        async def put(connection: Connection) -> bool:
            is_there = await in_app.put(connection, shown.app, _given(shown))
            if is_there and keeps_copies:
                copy = Kept(shown.app, shown.message_id, "in_app", shown.recipient, shown.content)
                await sandbox.keep(connection, **vars(copy))
            return is_there

        is_there = await database.run(put)
        if is_there:
            notify(IN_APP)
        return is_there

    return show


def _given(shown: Shown) -> in_app.Given:
    return in_app.Given(
        id=shown.message_id,
        content=shown.content,
        placement=shown.placement,
        in_inbox=shown.in_inbox,
        priority=shown.priority,
        most_shown=shown.most_shown,
        expires_in=shown.expires_in,
    )


def _keeper(database: Database) -> Keep:
    async def keep(kept: Kept) -> None:
        async with database.transaction() as connection:
            await sandbox.keep(connection, **vars(kept))

    return keep
