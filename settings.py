"""All settings, read from SOJOURN_* environment variables at the edge (api, worker, cli, migrations) and passed inward."""

import base64
import hashlib
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, TypeAdapter, ValidationError, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from journeys.language.errors import ConfigurationError
from storage.suppression_keys import DEVELOPMENT_KEY

DEVELOPMENT_SECRET = "development-only-secret-do-not-use-in-production"  # noqa: S105 - refused in production below
_CALL_HEADERS = TypeAdapter(dict[str, dict[str, str]])


class Environment(StrEnum):
    DEVELOPMENT = "development"
    STAGING = "staging"
    PRODUCTION = "production"


class Settings(BaseSettings):
    """Settings of one process. Temporal's own variables (TEMPORAL_ADDRESS, ...) are read by its ClientConfig."""

    model_config = SettingsConfigDict(env_prefix="SOJOURN_", extra="ignore")

    environment: Environment = Field(Environment.DEVELOPMENT, description="development, staging or production")
    app: str = Field("demo", description="the app that a new installation starts with")
    database_url: str = Field("postgresql+asyncpg://sojourn@127.0.0.1:5432/sojourn", description="Postgres 15 or later")
    temporal_task_queue: str = Field("sojourn", description="task queue of the workers")
    public_url: str = Field("http://127.0.0.1:8080", description="where receivers and browsers reach the api: links and unsubscribe pages")
    secret: SecretStr = Field(SecretStr(DEVELOPMENT_SECRET), description="signs links and unsubscribe tokens; at least 32 characters")
    retired_secrets: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        (), description="secrets of before, separated by commas: links in messages that they signed still work"
    )
    house: Path = Field(Path(), description="folder with the team's journeys; empty: Sojourn's own")
    fast: bool = Field(False, description="a day passes in ten seconds; refused in production")
    email_provider: str = Field("sandbox", description="sandbox or smtp")
    webhook_provider: str = Field("sandbox", description="sandbox or http")
    in_app_provider: str = Field("feed", description="feed, where clients fetch in-app messages, or sandbox")
    custom_provider: str = Field("sandbox", description="sandbox, or function: your registered functions deliver")
    smtp_host: str = Field("127.0.0.1", description="SMTP server")
    smtp_port: int = Field(587, ge=1, le=65_535, description="SMTP port")
    smtp_username: str = Field("", description="SMTP user; empty: no authentication")
    smtp_password: SecretStr = Field(SecretStr(""), description="SMTP password")
    smtp_tls: Literal["starttls", "tls", "none"] = Field("starttls", description="starttls, tls or none (none only outside production)")
    smtp_connections: int = Field(10, ge=1, description="SMTP connections kept open per process")
    webhook_secret: SecretStr = Field(
        SecretStr(""),
        description="Standard Webhooks secret (whsec_...) that signs webhook messages; to change it: the new one, a space, the old",
    )
    call_headers: SecretStr = Field(
        SecretStr("{}"),
        description='secret headers of Calls by origin, as JSON: {"https://crm.example.com": {"Authorization": "Bearer ..."}}',
    )
    source_database_url: SecretStr = Field(
        SecretStr(""),
        description="Postgres whose tables sources of templates may read (postgresql+asyncpg://...), as a role that can only read what"
        " every app may see; empty: no source has a table",
    )
    allowed_recipients: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="outside production: addresses, @domains or user ids that real providers may write to, separated by commas"
    )
    payload_keys: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        (), description="keys that encrypt what Temporal stores of people: 32 bytes in base64, the newest first, separated by commas"
    )
    credential_keys: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        (), description="keys that seal providers' credentials in Postgres: 32 bytes in base64, the newest first, separated by commas"
    )
    suppression_keys: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        (),
        description="keys that hide suppressed addresses in Postgres: 32 bytes in base64, the newest first, separated by commas;"
        " needed in production, and never to be lost: with them go the suppressions",
    )
    entries_per_second: int = Field(
        20,
        ge=1,
        le=1000,
        description="how many people a second date(...) lets into journeys, and each schedule(...) that has no per_second= of its own",
    )
    hash_user_ids: bool = Field(False, description="hash user ids in workflow ids and search attributes")
    lane_journals: Path = Field(
        Path("~/.local/state/sojourn/lanes"),
        description="folder where workers note what a campaign has begun to send: on a disk that outlives the process, best the machine",
    )
    worker_metrics_port: int = Field(0, description="Prometheus port of the worker, and of further --processes those after it; 0: none")
    manage_rate: int = Field(100, ge=0, description="requests a second that a key may make to manage, in each api process; 0: no limit")
    send_rate: int = Field(500, ge=0, description="direct messages a second that a key may ask for, in each api process; 0: no limit")
    ingest_rate: int = Field(
        10_000, ge=0, description="requests a second with events that a key may make, in each api process; 0: no limit"
    )
    client_rate: int = Field(
        10, ge=0, description="requests a second that one user's clients may make with their token, in each api process; 0: no limit"
    )
    stream_limit: int = Field(1000, ge=0, description="streams of in-app messages that one api process holds open")
    file_limit: int = Field(2 * 1024**3, description="bytes that a file to import may have, unpacked")
    file_places: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="beginnings of s3:// and gs:// addresses that imports may read and exports may write, separated by commas;"
        " {app} stands for the app; empty: none",
    )
    outbox_limit: int = Field(50_000_000, description="outbox rows above which ingest answers 503")

    @model_validator(mode="before")
    @classmethod
    def _split_keys(cls, values: dict[str, object]) -> dict[str, object]:
        for name in ("payload_keys", "credential_keys", "suppression_keys", "retired_secrets", "file_places"):
            raw = values.get(name)
            if isinstance(raw, str):
                values[name] = tuple(part.strip() for part in raw.split(",") if part.strip())
        return values

    @model_validator(mode="before")
    @classmethod
    def _split_recipients(cls, values: dict[str, object]) -> dict[str, object]:
        raw = values.get("allowed_recipients")
        if isinstance(raw, str):
            values["allowed_recipients"] = tuple(part.strip().lower() for part in raw.split(",") if part.strip())
        return values

    @model_validator(mode="after")
    def _refuse_what_cannot_be(self) -> Self:
        if self.environment is Environment.PRODUCTION:
            if self.secret.get_secret_value() == DEVELOPMENT_SECRET:
                raise ConfigurationError("SOJOURN_SECRET has its development value: set 32 random characters or more before production")
            if not self.suppression_keys or DEVELOPMENT_KEY in self.plain_suppression_keys:
                raise ConfigurationError(
                    "SOJOURN_SUPPRESSION_KEYS has no key of your own: set 32 random bytes in base64 (openssl rand -base64 32)"
                )
            if self.fast:
                raise ConfigurationError("SOJOURN_FAST shortens every wait: unset it in production")
            if self.smtp_tls == "none" and self.email_provider == "smtp":
                raise ConfigurationError("SOJOURN_SMTP_TLS=none sends mail in clear text: use starttls or tls in production")
        elif {self.email_provider, self.webhook_provider, self.custom_provider} != {"sandbox"} and not self.allowed_recipients:
            raise ConfigurationError(
                "SOJOURN_ALLOWED_RECIPIENTS is empty: outside production, name the addresses or @domains that a real provider may write to"
            )
        if len(self.secret.get_secret_value()) < 32:  # noqa: PLR2004 - as the help says
            raise ConfigurationError("SOJOURN_SECRET is too short: at least 32 characters")
        return self

    @property
    def journals(self) -> Path:
        """The folder of this installation's lanes: others on the same machine have their own."""
        name = hashlib.sha256(self.database_url.rpartition("@")[2].encode()).hexdigest()[:16]
        return self.lane_journals.expanduser() / name

    @property
    def plain_call_headers(self) -> Mapping[str, Mapping[str, str]]:
        """Origin to header name to value. Raises ConfigurationError where the setting is no such JSON."""
        try:
            return _CALL_HEADERS.validate_json(self.call_headers.get_secret_value())
        except ValidationError:
            raise ConfigurationError(
                'SOJOURN_CALL_HEADERS must be like {"https://crm.example.com": {"Authorization": "Bearer ..."}}'
            ) from None

    @property
    def plain_payload_keys(self) -> tuple[str, ...]:
        return tuple(key.get_secret_value() for key in self.payload_keys)

    @property
    def plain_credential_keys(self) -> tuple[str, ...]:
        """In development a key made from the secret serves, so that nothing has to be configured."""
        if not self.credential_keys and self.environment is Environment.DEVELOPMENT:
            return (base64.b64encode(hashlib.sha256(self.secret.get_secret_value().encode()).digest()).decode(),)
        return tuple(key.get_secret_value() for key in self.credential_keys)

    @property
    def link_secrets(self) -> tuple[str, ...]:
        """What may have signed a link in a message, the present secret first."""
        return (self.secret.get_secret_value(), *(each.get_secret_value() for each in self.retired_secrets))

    @property
    def plain_suppression_keys(self) -> tuple[str, ...]:
        """Outside production one that everybody knows serves where none is set."""
        return tuple(key.get_secret_value() for key in self.suppression_keys) or (DEVELOPMENT_KEY,)

    @property
    def wait_scale(self) -> float:
        """By how much waits are shortened: 1, or 8,640 with FAST (a day in ten seconds)."""
        return 8640.0 if self.fast else 1.0
