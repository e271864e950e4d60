"""Which adapters exist: one line per provider. Nothing is looked for; what is not in these tables is not there."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from channels.accounts import Kind
from channels.base import Adapter
from channels.custom.function import Deliver, FunctionChannel
from channels.email.connection import SmtpServer
from channels.email.mailgun import Mailgun, MailgunAccount
from channels.email.postmark import Postmark, PostmarkAccount
from channels.email.resend import Resend, ResendAccount
from channels.email.sendgrid import Sendgrid, SendgridAccount
from channels.email.ses import Ses, SesAccount
from channels.email.smtp import Smtp, SmtpAccount
from channels.in_app.feed import Feed, Show, Shown
from channels.push.adm import Adm, AdmAccount
from channels.push.apns import Apns, ApnsAccount
from channels.push.fcm import Fcm, FcmAccount
from channels.push.web_push import WebPush, WebPushAccount
from channels.sandbox import Keep, Sandbox, SandboxAccount
from channels.sms.aws import AwsAccount, AwsSms
from channels.sms.sinch import Sinch, SinchAccount
from channels.sms.twilio import TwilioAccount, TwilioSms
from channels.sms.vonage import Vonage, VonageAccount
from channels.tariff import Tariff, TextTariff
from channels.voice.aws import AwsVoice, AwsVoiceAccount
from channels.voice.twilio import TwilioVoice, TwilioVoiceAccount
from channels.webhook.http import Http, WebhookAccount
from channels.whatsapp.meta import MetaAccount, MetaWhatsApp
from channels.whatsapp.twilio import TwilioWhatsApp
from journeys.language.errors import ConfigurationError

CHANNELS = ("email", "sms", "whatsapp", "voice", "push", "in_app", "webhook", "custom")
# The accounts that an app can have of its own, set by API and CLI.
KINDS: dict[tuple[str, str], Kind] = {
    ("email", "mailgun"): Kind(MailgunAccount, Mailgun, ("api_key", "webhook_signing_key")),
    ("email", "postmark"): Kind(PostmarkAccount, Postmark, ("server_token", "webhook_secret")),
    ("email", "resend"): Kind(ResendAccount, Resend, ("api_key", "webhook_secret")),
    ("email", "sendgrid"): Kind(SendgridAccount, Sendgrid, ("api_key",)),
    ("email", "ses"): Kind(SesAccount, Ses, ("secret_access_key", "session_token")),
    ("email", "smtp"): Kind(SmtpAccount, Smtp.of, ("password",), names_host=True),
    ("push", "adm"): Kind(AdmAccount, Adm, ("client_secret",)),
    ("push", "apns"): Kind(ApnsAccount, Apns, ("private_key",)),
    ("push", "fcm"): Kind(FcmAccount, Fcm, ("service_account",)),
    ("push", "web_push"): Kind(WebPushAccount, WebPush, ("private_key",)),
    ("sms", "aws"): Kind(AwsAccount, AwsSms, ("secret_access_key", "session_token"), has_senders=True, tariff=TextTariff),
    ("sms", "sinch"): Kind(SinchAccount, Sinch, ("api_token", "webhook_secret"), has_senders=True, tariff=TextTariff),
    ("sms", "twilio"): Kind(TwilioAccount, TwilioSms, ("secret", "webhook_auth_token"), has_senders=True, tariff=TextTariff),
    ("sms", "vonage"): Kind(VonageAccount, Vonage, ("api_secret", "webhook_signature_secret"), has_senders=True, tariff=TextTariff),
    ("voice", "aws"): Kind(AwsVoiceAccount, AwsVoice, ("secret_access_key", "session_token"), has_senders=True, tariff=Tariff),
    ("voice", "twilio"): Kind(TwilioVoiceAccount, TwilioVoice, ("secret", "webhook_auth_token"), has_senders=True, tariff=Tariff),
    ("webhook", "http"): Kind(WebhookAccount, Http.of, ("secrets",)),
    ("whatsapp", "meta"): Kind(MetaAccount, MetaWhatsApp, ("access_token", "app_secret", "verify_token"), tariff=Tariff),
    ("whatsapp", "twilio"): Kind(TwilioAccount, TwilioWhatsApp, ("secret", "webhook_auth_token"), has_senders=True, tariff=Tariff),
    **{(channel, "sandbox"): Kind(SandboxAccount, partial(Sandbox, channel), (), keeps=True) for channel in CHANNELS},
}


async def _show_nobody(_shown: Shown) -> bool:
    """There are no feeds where none were given."""
    return False


@dataclass(frozen=True)
class Providers:
    """The provider chosen for each channel (`chosen`, absent: sandbox), and what the providers need to be told."""

    chosen: dict[str, str]
    smtp: SmtpServer
    webhook_secrets: tuple[str, ...] = ()
    webhooks_may_reach_loopback: bool = False
    show: Show = field(default=_show_nobody)
    """Puts an in-app message where its reader fetches it."""
    functions: Mapping[str, Deliver] = field(default_factory=dict)
    """The house's own, by name."""


_Make = Callable[[str, Providers, Keep], Adapter]

_PROVIDERS: dict[tuple[str, str], _Make] = {
    ("email", "smtp"): lambda _channel, providers, _keep: Smtp(providers.smtp),
    ("webhook", "http"): lambda _channel, providers, _keep: Http(
        providers.webhook_secrets, may_reach_loopback=providers.webhooks_may_reach_loopback
    ),
    ("in_app", "feed"): lambda _channel, providers, _keep: Feed(providers.show),
    ("custom", "function"): lambda _channel, providers, _keep: FunctionChannel(providers.functions),
    **{(channel, "sandbox"): lambda channel, _providers, keep: Sandbox(channel, keep) for channel in CHANNELS},
}


def adapters(providers: Providers, keep: Keep) -> dict[str, Adapter]:
    """Make one adapter per channel. Raises ConfigurationError for a provider that does not exist, naming setting and choices."""
    return {channel: _make(channel, providers, keep) for channel in CHANNELS}


def choices(channel: str) -> list[str]:
    """The providers that a channel can have, sorted."""
    return sorted(provider for known, provider in _PROVIDERS if known == channel)


def _make(channel: str, providers: Providers, keep: Keep) -> Adapter:
    provider = providers.chosen.get(channel, "sandbox")
    make = _PROVIDERS.get((channel, provider))
    if make is None:
        raise ConfigurationError(f"SOJOURN_{channel.upper()}_PROVIDER: no such provider; choose one of {', '.join(choices(channel))}")
    return make(channel, providers, keep)
