"""Campaigns as values: their JSON, and every problem that check can give of one."""

import json
import re
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from journeys.campaigns import whats_new
from journeys.language import Cap, QuietHours, captured, days, email, entry, event, hours, minutes, prop, push, segment
from journeys.language.campaigns import ONLY, Campaign, Version, WinnerRule, cron, daily, monthly, once, weekly
from journeys.language.check_campaigns import campaign_problems
from journeys.language.codec import campaign_from_json, campaign_hash, campaign_of_run, campaign_schema, campaign_to_json
from journeys.language.durations import Duration
from journeys.language.errors import Invalid

DOCS = Path(__file__).resolve().parents[3] / "docs"
MAIL = email("spring-sale")
TWO = (Version("plain", 50, MAIL), Version("bold", 50, push("spring")))
GOAL = event("order_placed").where(prop("total") > 20).within(days(3))
RULE = WinnerRule(20, hours(2), hours(24))


@pytest.mark.parametrize(
    "campaign",
    [
        Campaign("spring-sale", "lapsed", MAIL),
        Campaign(
            "spring-sale", "lapsed", MAIL, when=once("2026-12-01T09:00", zone="Europe/Berlin"), per_second=50, caps=[Cap(1, per="day")]
        ),
        Campaign("spring-sale", "lapsed", MAIL, when=weekly("monday", "09:00", local=True), quiet_hours=QuietHours("21:00", "08:00")),
        Campaign("spring-sale", "lapsed", MAIL, when=monthly("last", "09:00", first=date(2027, 1, 1), last=date(2027, 6, 30))),
        Campaign("thanks", "buyers", MAIL, when=event("order_placed").where(prop("total") > 20), holdout=5),
        Campaign("welcome", "buyers", MAIL, when=segment("vip")),
        Campaign(
            "spring-sale", "lapsed", versions=TWO, goal=GOAL, winner=RULE, holdout=10, topic="offers", most_people=1000, lasts=days(2)
        ),
        Campaign("spring-sale", "lapsed", versions=[Version("morning", 50, MAIL), Version("evening", 50, MAIL, after=hours(9))]),
    ],
)
def test_a_campaign_is_one_json_and_back(campaign: Campaign) -> None:
    written = campaign_to_json(campaign)
    assert campaign_from_json(written) == campaign
    assert campaign_to_json(campaign_from_json(written)) == written
    assert len(campaign_hash(campaign)) == 64
    _SCHEMA.validate(json.loads(written))


def test_the_published_schema_of_a_campaign_is_the_one_of_the_code() -> None:
    remedy = "write it anew: python -m journeys.language.codec campaign > docs/reference/campaign.schema.json"
    assert json.loads((DOCS / "reference" / "campaign.schema.json").read_text()) == campaign_schema(), remedy


@pytest.mark.parametrize(
    "wrong",
    [
        {"segment": None},
        {"surprise": 1},
        {"local_at": "2026-12-01T09:00"},  # of a run
        {"message": {"channel": "email", "template": "a"}},  # says no kind
    ],
)
def test_the_schema_refuses_what_is_no_campaign(wrong: dict[str, Any]) -> None:
    assert not _SCHEMA.is_valid(json.loads(campaign_to_json(Campaign("spring-sale", "lapsed", MAIL))) | wrong)


def test_the_json_in_the_documentation_is_the_campaign_that_it_shows_in_python() -> None:
    [shown] = re.findall(r"```json\n(.*?)```", (DOCS / "how-to" / "campaigns.md").read_text(), re.DOTALL)
    assert campaign_from_json(shown) == whats_new.campaign
    _SCHEMA.validate(json.loads(shown))


def test_the_definition_of_a_run_says_what_everybodys_clock_shows() -> None:
    written = campaign_to_json(Campaign("spring-sale", "lapsed", MAIL)).decode()
    assert campaign_of_run(written, None) == written
    assert campaign_from_json(campaign_of_run(written, "2026-12-01T09:00")).local_at == "2026-12-01T09:00"


def test_without_versions_there_is_one_message_and_nothing_to_compare() -> None:
    plain = Campaign("spring-sale", "lapsed", MAIL, goal=GOAL)
    assert (dict(plain.messages), plain.experiment, plain.trigger) == ({ONLY: MAIL}, None, None)
    tested = Campaign("spring-sale", "lapsed", versions=TWO, goal=GOAL)
    assert tested.experiment is not None
    assert [each.name for each in tested.experiment.variants] == list(tested.messages) == ["plain", "bold"]


def test_coming_into_a_segment_is_an_event() -> None:
    welcome = Campaign("welcome", "vip", MAIL, when=segment("vip"))
    assert welcome.trigger == event("segment_entered").where(prop("segment") == "vip")
    assert (welcome.segments, Campaign("welcome", "buyers", MAIL, when=segment("vip")).segments) == (("vip",), ("buyers", "vip"))


def versions(*names: str) -> dict[str, Any]:
    return {"message": None, "versions": [Version(name, 100 / len(names), MAIL) for name in names]}


def sent_after(after: Duration) -> dict[str, Any]:
    return {"message": None, "versions": [Version("a", 50, MAIL), Version("b", 50, MAIL, after=after)]}


def test_a_version_without_a_time_of_its_own_is_stored_as_before_there_was_one() -> None:
    written = campaign_to_json(Campaign("spring-sale", "lapsed", versions=TWO))
    assert b"after" not in written
    assert dict(campaign_from_json(written).delays) == {"plain": timedelta(), "bold": timedelta()}


def test_with_so_much_time_as_its_last_version_needs_a_campaign_is_in_order() -> None:
    Campaign("a", "b", **{**sent_after(hours(9)), "when": daily("09:00", local=True), "lasts": hours(37)})
    Campaign("a", "b", **{**sent_after(hours(3)), "goal": GOAL, "winner": RULE, "lasts": hours(28)})


@pytest.mark.parametrize(
    ("fields", "place", "code"),
    [
        ({"name": "Spring Sale"}, "", "name_not_kebab"),
        ({"segment": ""}, "", "no_segment"),
        ({"message": None}, "", "one_message_or_versions"),
        ({"versions": TWO}, "", "one_message_or_versions"),
        ({"message": email("No/Folder")}, "", "template_not_plain"),
        (versions("a"), "versions", "too_few_variants"),
        (versions("a", "a"), "versions", "version_not_unique"),
        (versions("1st", "b"), "1st", "version_not_plain"),
        (versions("rest", "b"), "rest", "version_reserved"),
        (versions("message", "b"), "message", "version_reserved"),
        ({"message": None, "versions": [Version("a", 50, MAIL), Version("b", 40, MAIL)]}, "versions", "weights_not_100"),
        (sent_after(hours(-1)), "b", "after_too_long"),
        ({**sent_after(days(31)), "lasts": days(90)}, "b", "after_too_long"),
        ({**sent_after(hours(24)), "lasts": hours(24)}, "versions", "after_the_end"),
        ({**sent_after(hours(3)), "goal": GOAL, "winner": RULE, "lasts": hours(27)}, "winner", "winner_after_end"),
        ({**sent_after(hours(9)), "when": daily("09:00", local=True), "lasts": hours(36)}, "", "lasts_too_short"),
        ({**sent_after(hours(3)), "when": event("x")}, "when", "not_on_events"),
        ({"winner": RULE}, "winner", "winner_of_nothing"),
        ({**versions("a", "b"), "winner": RULE}, "winner", "winner_of_nothing"),
        ({**versions("a", "b"), "goal": GOAL, "winner": WinnerRule(20, hours(2), minutes(1))}, "winner", "until_before_after"),
        ({**versions("a", "b"), "goal": GOAL, "winner": RULE, "lasts": hours(24)}, "winner", "winner_after_end"),
        ({"when": daily("09:00", local=True), "lasts": hours(27)}, "", "lasts_too_short"),
        ({"holdout": 100}, "", "holdout_percent"),
        ({"goal": event("x").where(prop("a") == entry("b")).within(days(1))}, "goal", "of_an_enrollment"),
        ({"per_second": 0}, "", "no_rate"),
        ({"most_people": 0}, "", "no_people"),
        ({"lasts": days(0)}, "", "no_duration"),
        ({"caps": [Cap(1, per=days(0))]}, "", "no_duration"),
        ({"quiet_hours": QuietHours("00:00", "23:59")}, "", "quiet_too_long"),
        ({"when": event("x").where(prop("a") == captured("s", "b"))}, "when", "of_an_enrollment"),
        ({"when": event("x"), "per_second": 5}, "when", "not_on_events"),
        ({"when": event("x"), "goal": GOAL}, "when", "not_on_events"),
        ({"when": event("x"), "lasts": hours(73)}, "when", "not_on_events"),
        ({"when": event("x"), "message": email("x", provider="second")}, "when", "not_on_events"),
        ({"when": segment("vip"), "most_people": 5}, "when", "not_on_events"),
        ({"when": segment("vip"), "quiet_hours": QuietHours("21:00", "08:00")}, "when", "not_on_events"),
        ({"when": event("x") | event("segment_left").where(prop("segment") == "lapsed")}, "when", "left_its_segment"),
        ({"when": daily("09:00", zone="Europe/Atlantis")}, "when", "no_such_zone"),
        ({"when": daily("09:00", zone="Europe/Berlin", local=True)}, "when", "local_and_zone"),
        ({"when": cron("0 9 * *")}, "when", "bad_cron"),
        ({"when": cron("0 9 30 2 *")}, "when", "cron_never"),
        ({"when": daily("09:00", first=date(2027, 2, 1), last=date(2027, 1, 31))}, "when", "last_before_first"),
        ({"when": once("2026-02-30T09:00")}, "when", "no_such_day"),
        ({"local_at": "2026-12-01T09:00"}, "when", "local_at_of_a_run"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(fields: dict[str, Any], place: str, code: str) -> None:
    given: dict[str, Any] = {"name": "spring-sale", "segment": "lapsed", "message": MAIL} | fields
    with pytest.raises(Invalid) as refused:
        Campaign(**given)
    name = given["name"]
    assert (f"{name}/{place}" if place else name, code) in [(each.pointer, each.code) for each in refused.value.problems]
    assert all(each.message for each in refused.value.problems)


def test_stored_campaigns_are_read_without_the_rules_for_authors() -> None:
    written = campaign_to_json(Campaign("spring-sale", "lapsed", MAIL)).replace(b'"holdout":0', b'"holdout":100')
    assert [each.code for each in campaign_problems(campaign_from_json(written))] == ["holdout_percent"]


_SCHEMA = Draft202012Validator(campaign_schema())
