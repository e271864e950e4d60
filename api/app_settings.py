"""The app's own settings: who its mails are from, and when and how often its messages may leave."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, StringConstraints

from activities.app_settings import Limits, limits_of
from activities.zones import known_zone
from api.strict import App, Body, Db, Word, management
from channels.base import Rejected
from channels.email.headers import mailbox
from journeys.language.durations import Weekday
from journeys.language.errors import Invalid, Problem
from journeys.language.permitted import Hours, leave_none, length_of
from storage import apps

router = management("App")

Clock = Annotated[str, StringConstraints(pattern="^([01][0-9]|2[0-3]):[0-5][0-9]$")]
ChannelName = Literal["email", "sms", "whatsapp", "voice", "push", "in_app", "webhook", "custom"]
Country = Annotated[str, StringConstraints(pattern="^[A-Z]{2}$")]
_LONGEST_QUIET_S = 22 * 3600
_LISTS = ("quiet_hours", "send_windows", "caps")
_OF_CHANNEL = "only for this channel; null: for every one"
_OF_COUNTRY = (
    "only for people of this country (ISO 3166), as their number, or else their attribute country or location.country, tells;"
    " null: for everybody"
)


class QuietHoursSetting(Body):
    """On the person's wall, over midnight when start is later than end. What is due then waits for the end, or is dropped."""

    start: Clock = Field(examples=["21:00"])
    end: Clock = Field(examples=["08:00"])
    then: Literal["wait", "skip"] = Field("wait", examples=["wait"])
    channel: ChannelName | None = Field(None, description=_OF_CHANNEL, examples=["sms"])
    country: Country | None = Field(None, description=_OF_COUNTRY, examples=["US"])


class SendWindowSetting(Body):
    """Only then may messages leave, on the person's wall. What is due outside waits for the next opening, or is dropped."""

    start: Clock = Field(examples=["09:00"])
    end: Clock = Field(examples=["18:00"])
    days: Annotated[list[Weekday], Field(min_length=1)] | None = Field(None, description="null: every day", examples=[["monday", "friday"]])
    then: Literal["wait", "skip"] = Field("wait", examples=["wait"])
    channel: ChannelName | None = Field(None, description=_OF_CHANNEL, examples=["sms"])
    country: Country | None = Field(None, description=_OF_COUNTRY, examples=["US"])


class RollingTime(Body):
    """So long before each message."""

    seconds: int = Field(gt=0, le=10_000_000_000, examples=[604800])


class CapSetting(Body):
    """At most so many messages to a person, in a rolling time or in a day, week or month of their calendar."""

    at_most: int = Field(ge=0, examples=[3])
    per: RollingTime | Literal["day", "week", "month"] = Field(examples=["week"])
    channel: ChannelName | None = Field(None, description="count and hold back only this channel; null: all together", examples=["email"])
    topic: Word | None = Field(None, description="count and hold back only this topic; null: all together", examples=["news"])
    counts: Literal["marketing", "everything"] = Field("marketing", description="everything: transactional messages use it up too")


class CodesSetting(Body):
    """How many one-time codes may leave, and whose numbers may get them. What is left out is as docs/how-to/one-time-codes.md says."""

    countries: Annotated[list[Annotated[str, Field(pattern="^[A-Z]{2}$")]], Field(max_length=300)] = Field(
        default_factory=list, description="ISO 3166; without one no number gets a code", examples=[["DE", "AT"]]
    )
    seconds_between: Annotated[int, Field(ge=0, le=3600)] = 30
    per_hour: Annotated[int, Field(ge=1, le=1000)] = 5
    per_day: Annotated[int, Field(ge=1, le=1000)] = 10
    neighbours_per_hour: Annotated[int, Field(ge=1, le=10_000)] = 20
    per_minute_in_all: Annotated[int, Field(ge=1, le=1_000_000)] = 600


class SoftBouncesSetting(Body):
    """So many messages that bounce softly within so many days suppress the address."""

    messages: Annotated[int, Field(ge=1, le=100)] = 5
    days: Annotated[int, Field(ge=1, le=30)] = 7


class ReputationSetting(Body):
    """From which shares of hard bounces and complaints on marketing waits; `stop` false: `sojourn doctor` only warns."""

    bounces: Annotated[float, Field(gt=0, le=1)] = Field(0.04, description="of the marketing mails that a provider told of in three days")
    complaints: Annotated[float, Field(gt=0, le=1)] = 0.0008
    at_least: Annotated[int, Field(ge=1, le=1_000_000)] = Field(200, description="fewer mails say nothing")
    stop: bool = True


class HoldoutSetting(Body):
    """Always the same so many percent of all people enter no marketing journey and get no campaign. A greater percentage adds people."""

    percent: Annotated[float, Field(gt=0, lt=100)] = Field(examples=[5])
    salt: Annotated[str, Field(max_length=100)] = Field("", description="another one draws other people", examples=["2027"])


class AppSettings(BaseModel):
    """What is set; null or empty where nothing is."""

    topic: str | None = Field(None, description="of marketing messages that name none", examples=["general"])
    sender: str | None = Field(None, alias="from", description="who mails are from", examples=["Acme <hello@example.com>"])
    reply_to: str | None = Field(None, examples=["support@example.com"])
    postal_address: str | None = Field(None, examples=["Acme, 1 High Street, London"])
    timezone: str | None = Field(None, description="of people whose own zone is not known", examples=["Europe/Berlin"])
    quiet_hours: list[dict[str, Any]] = Field(
        description="where neither step nor journey says any, as they are set", examples=[[{"start": "21:00", "end": "08:00"}]]
    )
    send_windows: list[dict[str, Any]] = Field(
        description="where neither step nor journey says any, as they are set", examples=[[{"start": "09:00", "end": "18:00"}]]
    )
    otp: dict[str, Any] | None = Field(None, description="limits of one-time codes", examples=[{"countries": ["DE"]}])
    soft_bounces: dict[str, Any] | None = Field(None, description="when they suppress", examples=[{"messages": 5, "days": 7}])
    reputation: dict[str, Any] | None = Field(
        None, description="when marketing stops by itself", examples=[{"bounces": 0.04, "stop": True}]
    )
    holdout: dict[str, Any] | None = Field(None, description="who is held out of all marketing", examples=[{"percent": 5, "salt": "2027"}])
    campaigns_need_approval: bool | None = Field(None, description="true: a campaign is launched only once another key has approved it")
    sms_help: str | None = Field(None, description="what HELP is answered with", examples=["Acme: call +49 30 1234"])
    sms_stopped: str | None = Field(None, description="what STOP is answered with", examples=["Acme: you get no more texts"])
    caps: list[dict[str, Any]] = Field(
        description="over all journeys and direct sends, beside the journeys' own", examples=[[{"at_most": 3, "per": "week"}]]
    )


class SettingsChange(Body):
    """What to set. What is not named stays; null removes it."""

    topic: Word | None = Field(None, examples=["general"])
    sender: Word | None = Field(None, alias="from", examples=["Acme <hello@example.com>"])
    reply_to: Word | None = Field(None, examples=["support@example.com"])
    postal_address: Word | None = Field(None, examples=["Acme, 1 High Street, London"])
    timezone: Word | None = Field(None, examples=["Europe/Berlin"])
    quiet_hours: Annotated[list[QuietHoursSetting], Field(max_length=50)] | None = None
    send_windows: Annotated[list[SendWindowSetting], Field(max_length=50)] | None = None
    caps: Annotated[list[CapSetting], Field(max_length=50)] | None = None
    otp: CodesSetting | None = None
    soft_bounces: SoftBouncesSetting | None = None
    reputation: ReputationSetting | None = None
    holdout: HoldoutSetting | None = None
    campaigns_need_approval: bool | None = Field(None, description="only what another key has approved is launched", examples=[True])
    sms_help: Annotated[str, Field(min_length=1, max_length=320)] | None = Field(None, examples=["Acme: call +49 30 1234"])
    sms_stopped: Annotated[str, Field(min_length=1, max_length=320)] | None = Field(None, examples=["Acme: you get no more texts"])


@router.get("/settings", summary="Show the app's settings")
async def get_settings(app: App, database: Db) -> AppSettings:
    """Who mails are from, in which zone people are who have none, and when and how often messages may leave."""
    async with database.transaction(app) as connection:
        return _view(await apps.settings(connection, app))


@router.patch("/settings", summary="Change the app's settings")
async def change_settings(app: App, database: Db, body: SettingsChange) -> AppSettings:
    """Set what is named, remove what is null, leave the rest. It holds from the next message on, for people inside journeys too.

    Hours hold where neither step nor journey says any; caps hold beside those of journeys, and the strictest wins. The holdout counts for
    who enters from now on.
    """
    changes = body.model_dump(by_alias=True, exclude_unset=True)
    changes |= {name: [_without_none(each) for each in changes[name]] for name in _LISTS if changes.get(name)}
    problems = list(_problems(changes))
    if problems:
        raise Invalid(problems)
    async with database.transaction(app) as connection:
        return _view(await apps.change_settings(connection, app, changes))


def _view(settings: dict[str, Any]) -> AppSettings:
    limits = {name: _as_list(settings.get(name)) for name in _LISTS}
    return AppSettings.model_validate(settings | limits)


def _as_list(value: Any) -> list[dict[str, Any]]:
    each = value if isinstance(value, list) else [value] if value else []
    return [{name: _bare(inner) for name, inner in one.items() if name != "kind"} for one in each]


def _without_none(rule: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in rule.items() if value is not None}


def _bare(value: Any) -> Any:
    return {name: inner for name, inner in value.items() if name != "kind"} if isinstance(value, dict) else value


def _problems(changes: dict[str, Any]) -> Iterator[Problem]:
    """What the types do not say."""
    if changes.get("timezone") and known_zone(changes["timezone"]) is None:
        yield Problem("/timezone", "invalid_timezone", "an IANA zone such as Europe/Berlin")
    for name in ("from", "reply_to"):
        if changes.get(name) and not _is_mailbox(changes[name]):
            yield Problem(f"/{name}", "invalid_mailbox", "one address, with a name or without: Acme <hello@example.com>")
    if changes.get("holdout") and Decimal(str(changes["holdout"]["percent"])) * 100 % 1:
        yield Problem("/holdout/percent", "holdout_percent", "two decimals at most: write 5 for every twentieth person")
    limits = limits_of(changes)
    for place, quiet in enumerate(limits.quiet_hours):
        if length_of(quiet).total_seconds() > _LONGEST_QUIET_S:
            yield Problem(f"/quiet_hours/{place}", "quiet_too_long", "22 hours at most: leave two hours of the day in which to send")
    if limits.send_windows and _leave_none(limits):
        yield Problem("/send_windows", "never_permitted", "together these hours permit no moment of the week: let them meet")


def _is_mailbox(text: str) -> bool:
    try:
        mailbox(text)
    except Rejected:
        return False
    return True


def _leave_none(limits: Limits) -> bool:
    """For whom everything holds that is said of nobody in particular."""
    quiet: Sequence[Any] = [each for each in limits.quiet_hours if not each.channel and not each.country]
    windows: Sequence[Any] = [each for each in limits.send_windows if not each.channel and not each.country]
    return leave_none(Hours(quiet, windows))
