"""Before a campaign goes out: dry runs, tests to one's own addresses, and people who lack what a template requires."""

from collections import Counter
from typing import Any
from uuid import UUID

import httpx
import pytest

from activities.campaigns.order import RunOrder
from activities.campaigns.planning import CampaignRuns
from journeys.language import days, email, event, hours, push
from journeys.language.campaigns import Campaign, Version, WinnerRule
from journeys.language.codec import campaign_to_json
from storage import campaign_runs
from storage.database import Database
from tests.api.campaigning import FILES, MAIL, SALE, act, put, settle


@pytest.fixture(autouse=True)
async def _town(database: Database) -> None:
    await settle(database)


async def test_a_dry_run_shows_what_people_of_the_segment_would_get(manager: httpx.AsyncClient, database: Database) -> None:
    await put(manager, SALE)
    told = (await act(manager, "dry-run")).json()
    assert (told["people_in_segment"], told["is_exact"]) == (2, True)
    shown = {each["user_id"]: each for each in told["messages"]}
    assert shown["ann"]["parts"]["subject"] == "Spring, Ann"
    assert (shown["bob"]["parts"], shown["bob"]["problem"]) == (None, "missing_variable:user.first_name")
    async with database.transaction() as connection:
        assert (await connection.exec_driver_sql("SELECT count(*) FROM messages")).scalar_one() == 0


async def test_a_dry_run_knows_the_address_that_the_message_would_go_to(manager: httpx.AsyncClient) -> None:
    files = FILES | {"subject.txt": "{{ device.attributes.kind | default('no kind') }}"}
    assert (await manager.post("/v1/templates/spring-sale/versions", json={"files": files})).status_code == 201
    mail = {"channel": "email", "address": "ann@example.com", "device": {"attributes": {"kind": "work"}}}
    assert (await manager.post("/v1/users/ann/endpoints", json=mail)).status_code == 201
    await manager.patch("/v1/users/bob", json={"attributes": {"first_name": "Bob"}})
    await put(manager, SALE)
    shown = {each["user_id"]: each["parts"]["subject"] for each in (await act(manager, "dry-run")).json()["messages"]}
    assert shown == {"ann": "work", "bob": "no kind"}


async def golden(manager: httpx.AsyncClient, many: int) -> list[str]:
    """So many more people of the segment, with a first name."""
    names = [f"user-{number}" for number in range(many)]
    for name in names:
        await manager.put(f"/v1/users/{name}", json={"attributes": {"plan": "gold", "first_name": name}})
    return names


async def test_a_dry_run_gives_each_person_their_own_version_and_nothing_to_who_is_held_out(manager: httpx.AsyncClient) -> None:
    versions = [Version("plain", 50, MAIL), Version("bold", 50, MAIL)]
    assert (await put(manager, Campaign("spring-sale", "golden", versions=versions, holdout=40))).status_code == 200
    names = await golden(manager, 20)
    shown = (await act(manager, "dry-run", user_ids=names)).json()["messages"]
    assert {(each["version"], each["left_out"]) for each in shown} == {("plain", None), ("bold", None), (None, "held_out")}
    assert all((each["parts"] is None) == (each["version"] is None) for each in shown)
    assert shown == (await act(manager, "dry-run", user_ids=names)).json()["messages"]


async def test_a_dry_run_says_how_long_after_the_run_begins_each_person_gets_theirs(manager: httpx.AsyncClient) -> None:
    versions = [Version("morning", 50, MAIL), Version("evening", 50, MAIL, after=hours(9))]
    assert (await put(manager, Campaign("spring-sale", "golden", versions=versions))).status_code == 200
    names = await golden(manager, 20)
    shown = (await act(manager, "dry-run", user_ids=names)).json()["messages"]
    assert {(each["version"], each["after_s"]) for each in shown} == {("morning", 0), ("evening", 9 * 3600)}


async def test_a_dry_run_says_of_named_people_why_a_run_would_leave_them_out(manager: httpx.AsyncClient) -> None:
    names = [*await golden(manager, 20), "ann", "cid"]
    assert (await put(manager, Campaign("spring-sale", "golden", MAIL, most_people=5))).status_code == 200
    shown = {each["user_id"]: each for each in (await act(manager, "dry-run", user_ids=names[2:])).json()["messages"]}
    assert shown["cid"]["left_out"] == "not_in_segment"
    assert Counter(each["left_out"] for each in shown.values())["beyond_most_people"] >= 14
    assert all((each["left_out"] is None) == (each["parts"] is not None) for each in shown.values())
    some = (await act(manager, "dry-run", people=20)).json()
    assert (some["people_in_segment"], len(some["messages"])) == (22, 5), "and shows those alone who are among them"
    assert {each["left_out"] for each in some["messages"]} == {None}
    reached = {each["user_id"] for each in some["messages"]}
    assert {user_id for user_id, each in shown.items() if each["left_out"] is None} == reached & set(shown)


async def test_a_dry_run_says_who_is_held_out_of_all_marketing(manager: httpx.AsyncClient) -> None:
    assert (await manager.patch("/v1/settings", json={"holdout": {"percent": 50}})).status_code == 200
    await put(manager, SALE)
    shown = (await act(manager, "dry-run", user_ids=await golden(manager, 20))).json()["messages"]
    assert {each["left_out"] for each in shown} == {None, "app_holdout"}


THANKS = {
    "template.toml": 'from = "a@example.com"\nrequired = ["entry.total"]\n[sample.entry]\ntotal = 1\nplace = "Rome"\n',
    "subject.txt": "Thanks for {{ entry.total }} in {{ entry.place | default('town') }}",
    "body.txt": "{{ links.unsubscribe }}",
}


async def put_on_an_event(manager: httpx.AsyncClient) -> None:
    assert (await manager.post("/v1/templates/thanks/versions", json={"files": THANKS})).json().get("errors") is None
    assert (await put(manager, Campaign("thanks", "golden", email("thanks"), when=event("order_placed")))).status_code == 200


async def test_a_dry_run_of_a_triggered_campaign_takes_the_event_that_is_given(manager: httpx.AsyncClient) -> None:
    await put_on_an_event(manager)
    told = (await act(manager, "dry-run", "thanks", user_ids=["ann"], data={"total": 20})).json()
    assert told["messages"][0]["parts"]["subject"] == "Thanks for 20 in town"
    refused = await put(manager, Campaign("thanks-to-all", "golden", email("thanks")))
    assert [each["code"] for each in refused.json()["errors"]] == ["not_in_a_campaign"]


async def test_a_test_of_a_triggered_campaign_takes_the_event_that_is_given(manager: httpx.AsyncClient, database: Database) -> None:
    await put_on_an_event(manager)
    answer = await act(manager, "test-send", "thanks", addresses=["me@example.com"], data={"total": 20})
    assert answer.status_code == 202
    async with database.transaction() as connection:
        subjects = (await connection.exec_driver_sql("SELECT content #>> '{parts,subject}' FROM direct_sends")).scalars().all()
    assert subjects == ["[Test] Thanks for 20 in Rome"], "the rest is the sample's"


@pytest.mark.parametrize(("verb", "order"), [("dry-run", {}), ("test-send", {"addresses": ["me@example.com"]})])
async def test_a_campaign_without_an_event_takes_none(manager: httpx.AsyncClient, verb: str, order: dict[str, Any]) -> None:
    await put(manager, SALE)
    answer = await act(manager, verb, data={"total": 20}, **order)
    assert (answer.status_code, [(each["pointer"], each["code"]) for each in answer.json()["errors"]]) == (422, [("/data", "no_event")])


async def test_a_test_goes_to_addresses_of_ones_own_and_says_that_it_is_one(manager: httpx.AsyncClient, database: Database) -> None:
    await put(manager, SALE)
    addresses = ["me@example.com", "you@example.com"]
    answer = await act(manager, "test-send", addresses=addresses, user_id="ann")
    assert (answer.status_code, len(answer.json()["messages"])) == (202, 2)
    async with database.transaction() as connection:
        rows = (await connection.exec_driver_sql("SELECT content #>> '{parts,subject}' FROM direct_sends")).scalars().all()
        sent_to = (await connection.exec_driver_sql("SELECT address FROM messages ORDER BY address")).scalars().all()
    assert (rows, sent_to) == (["[Test] Spring, Ann"] * 2, addresses)


async def test_a_test_is_sent_once_with_its_key_and_takes_the_sample_without_a_user(manager: httpx.AsyncClient, database: Database) -> None:
    await put(manager, SALE)
    order = {"addresses": ["me@example.com"]}
    for _ in range(2):
        await manager.post("/v1/campaigns/spring-sale/test-send", json=order, headers={"idempotency-key": "one"})
    async with database.transaction() as connection:
        subjects = (await connection.exec_driver_sql("SELECT content #>> '{parts,subject}' FROM direct_sends")).scalars().all()
    assert subjects == ["[Test] Spring, Sam"]


@pytest.mark.parametrize(
    ("order", "pointer", "code"),
    [
        ({"addresses": ["no address"]}, "/addresses/0", "invalid_email"),
        ({"addresses": ["me@example.com"], "version": "loud"}, "/version", "no_such_version"),
        ({"addresses": ["me@example.com"], "user_id": "bob"}, "/user_id", "missing_variable"),
        ({"addresses": []}, "/addresses", "too_short"),
    ],
)
async def test_a_test_that_cannot_be_sent_says_why(manager: httpx.AsyncClient, order: dict[str, object], pointer: str, code: str) -> None:
    await put(manager, SALE)
    answer = await manager.post("/v1/campaigns/spring-sale/test-send", json=order)
    assert (answer.status_code, [(each["pointer"], each["code"]) for each in answer.json()["errors"]]) == (422, [(pointer, code)])


async def test_who_lacks_a_required_variable_is_named_before_anything_leaves(manager: httpx.AsyncClient) -> None:
    await put(manager, SALE)
    told = (await manager.get("/v1/campaigns/spring-sale/missing-variables")).json()
    assert told["missing"] == [
        {
            "version": "message",
            "channel": "email",
            "template": "spring-sale",
            "variable": "user.first_name",
            "people": 1,
            "is_exact": True,
            "sample": ["bob"],
        }
    ]
    await manager.patch("/v1/users/bob", json={"attributes": {"first_name": ""}})
    assert (await manager.get("/v1/campaigns/spring-sale/missing-variables")).json()["missing"] == told["missing"]
    await manager.patch("/v1/users/bob", json={"attributes": {"first_name": "Bob"}})
    assert (await manager.get("/v1/campaigns/spring-sale/missing-variables")).json()["missing"] == []


async def missing(manager: httpx.AsyncClient, campaign: Campaign, **files: str) -> list[tuple[str, str, str, list[str]]]:
    """Of a campaign whose template says this: version, channel, variable, and who lacks it."""
    assert (await manager.post("/v1/templates/spring-sale/versions", json={"files": FILES | files})).json().get("errors") is None
    assert (await put(manager, campaign)).status_code == 200
    found = (await manager.get(f"/v1/campaigns/{campaign.name}/missing-variables")).json()["missing"]
    return [(each["version"], each["channel"], each["variable"], sorted(each["sample"])) for each in found]


async def test_only_what_the_channel_of_a_version_requires_is_asked(manager: httpx.AsyncClient) -> None:
    sold = {"push.toml": 'title = "Spring"\nbody = "It is spring"\n'}
    assert await missing(manager, Campaign("spring-sale", "golden", push("spring-sale")), **sold) == []
    versions = [Version("mail", 50, MAIL), Version("push", 50, push("spring-sale"))]
    rule = {"goal": event("bought").within(days(1)), "winner": WinnerRule(1, after=hours(1), until=hours(2))}
    tested = Campaign("spring-sale", "golden", versions=versions, **rule)  # type: ignore[arg-type]
    assert await missing(manager, tested, **sold) == [("rest", "email", "user.first_name", ["bob"])], "who waits may get the mail"


async def test_it_is_asked_in_the_language_that_somebody_reads(manager: httpx.AsyncClient) -> None:
    await manager.patch("/v1/users/ann", json={"locale": "de-AT"})
    files = {
        "template.toml": FILES["template.toml"].replace('"user.first_name"', '"user.first_name", "user.title"') + 'title = "Dr"\n',
        "subject.de.txt": "Hallo, {{ user.title }}",
        "body.de.txt": "{{ links.unsubscribe }}",
    }
    english, german = ("message", "email", "user.first_name", ["bob"]), ("message", "email", "user.title", ["ann"])
    assert await missing(manager, SALE, **files) == [english, german]
    await manager.patch("/v1/users/bob", json={"locale": "de"})
    assert await missing(manager, SALE, **files) == [("message", "email", "user.title", ["ann", "bob"])]


async def test_who_has_an_address_of_which_too_little_is_known_is_named(manager: httpx.AsyncClient) -> None:
    files = {
        "template.toml": 'from = "a@example.com"\nrequired = ["device.attributes.kind"]\n[sample.device.attributes]\nkind = "work"\n',
        "subject.txt": "At {{ device.attributes.kind }}",
        "body.txt": "{{ links.unsubscribe }}",
    }
    for user_id, device in (("ann", {"attributes": {"kind": "work"}}), ("bob", {})):
        mail = {"channel": "email", "address": f"{user_id}@example.com", "device": device}
        assert (await manager.post(f"/v1/users/{user_id}/endpoints", json=mail)).status_code == 201
    assert await missing(manager, SALE, **files) == [("message", "email", "device.attributes.kind", ["bob"])]


async def lacking(manager: httpx.AsyncClient, **query: int) -> list[tuple[str, str, int, list[str]]]:
    told = (await manager.get("/v1/campaigns/spring-sale/missing-variables", params=query)).json()["missing"]
    return [(each["version"], each["template"], each["people"], sorted(each["sample"])) for each in told]


async def nameless(manager: httpx.AsyncClient, many: int) -> list[str]:
    """So many more golden people whose first name is not known."""
    names = [f"user-{number}" for number in range(many)]
    for name in names:
        await manager.put(f"/v1/users/{name}", json={"attributes": {"plan": "gold"}})
    return names


@pytest.mark.parametrize("most_people", [None, 25])
async def test_of_each_version_those_are_counted_who_would_get_it_as_a_run_plans_it(
    manager: httpx.AsyncClient, database: Database, most_people: int | None
) -> None:
    assert (await manager.post("/v1/templates/bold/versions", json={"files": FILES})).status_code == 201
    names = await nameless(manager, 40)
    assert (await manager.patch("/v1/settings", json={"holdout": {"percent": 20}})).status_code == 200
    versions = [Version("plain", 30, MAIL), Version("bold", 70, email("bold"))]
    goal, rule = event("bought").within(days(1)), WinnerRule(50, after=hours(1), until=hours(2))
    campaign = Campaign("spring-sale", "golden", versions=versions, goal=goal, winner=rule, holdout=20, most_people=most_people)
    assert (await put(manager, campaign)).status_code == 200
    found = await lacking(manager, limit=1000)
    run_id = UUID(int=7)
    async with database.transaction() as connection:
        await campaign_runs.begin(
            connection, "demo", run_id, campaign="spring-sale", version=1, definition=campaign_to_json(campaign).decode()
        )
    await CampaignRuns(database).plan(RunOrder("demo", str(run_id)))
    planned: dict[str, list[str]] = {}
    async with database.transaction() as connection:
        rows = await connection.exec_driver_sql(
            "SELECT m.step, u.user_id FROM messages m JOIN users u ON u.id = m.user_id"
            " WHERE u.user_id <> 'ann' AND coalesce(m.reason, '') NOT IN ('held_out', 'app_holdout') ORDER BY u.user_id"
        )
        for row in rows:
            planned.setdefault(row.step, []).append(row.user_id)
    assert set(planned) == {"plain", "bold", "rest"}
    of = {"plain": ("spring-sale",), "bold": ("bold",), "rest": ("spring-sale", "bold")}
    assert found == [
        (step, template, len(planned[step]), sorted(planned[step])) for step, templates in of.items() for template in templates
    ]
    assert sum(map(len, planned.values())) < len([*names, "bob"])


async def test_so_many_are_named_as_are_asked_for_and_all_are_counted(manager: httpx.AsyncClient) -> None:
    await put(manager, SALE)
    await nameless(manager, 14)
    [(_, _, people, few)], [(_, _, _, everybody)] = await lacking(manager), await lacking(manager, limit=100)
    assert (people, len(few), len(everybody)) == (15, 10, 15)
    assert set(few) < set(everybody)
