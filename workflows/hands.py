"""The hands of a worker process, made from its settings: adapters, renderer, ledger, and the lanes beside them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from activities.accounts import Accounts
from activities.exits import LeavingOrder
from activities.messages import Delivery, Messages
from activities.tracking import Tracker
from channels.accounts import Surroundings
from channels.email.connection import SmtpServer
from channels.links import unsubscribe_url
from channels.registry import CHANNELS, Providers, adapters
from channels.render import Renderer
from channels.sandbox import Keep, Kept
from journeys.language.conditions import AnyCondition
from settings import Environment, Settings
from storage import conditions, sandbox
from storage.database import Connection, Database
from storage.sealing import Seal


@dataclass(frozen=True)
class Hands:
    """What one process delivers with. `close` frees connections and child processes."""

    messages: Messages
    delivery: Delivery
    renderer: Renderer

    async def close(self) -> None:
        await self.messages.drain()
        if self.delivery.accounts is not None:
            await self.delivery.accounts.close()
        for channel in CHANNELS:
            await self.delivery.adapters[channel].close()
        await self.renderer.close()


def hands(settings: Settings, database: Database) -> Hands:
    """Make the hands of this process. Raises ConfigurationError for a provider that does not exist."""
    renderer = Renderer()
    delivery = Delivery(
        adapters=adapters(_providers(settings), _keeper(database)),
        renderer=renderer,
        unsubscribe_url=partial(unsubscribe_url, settings.public_url, settings.secret.get_secret_value()),
        accounts=Accounts(database, Seal(settings.plain_credential_keys), surroundings(settings)),
        tracker=Tracker(database, settings.public_url, settings.secret.get_secret_value()),
        allowed_recipients=None if settings.environment is Environment.PRODUCTION else frozenset(settings.allowed_recipients),
    )
    return Hands(Messages(database, delivery, exit_conditions_hold), delivery, renderer)


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


def _providers(settings: Settings) -> Providers:
    secret = settings.webhook_secret.get_secret_value()
    return Providers(
        chosen={"email": settings.email_provider, "webhook": settings.webhook_provider},
        smtp=SmtpServer(
            host=settings.smtp_host,
            port=settings.smtp_port,
            username=settings.smtp_username,
            password=settings.smtp_password.get_secret_value(),
            tls=settings.smtp_tls,
            connections=settings.smtp_connections,
        ),
        webhook_secrets=(secret,) if secret else (),
        webhooks_may_reach_loopback=settings.environment is Environment.DEVELOPMENT,
    )


def _keeper(database: Database) -> Keep:
    async def keep(kept: Kept) -> None:
        async with database.transaction() as connection:
            await sandbox.keep(
                connection,
                app=kept.app,
                message_id=kept.message_id,
                channel=kept.channel,
                recipient=kept.recipient,
                content=kept.content,
            )

    return keep
