"""Segments over HTTP: publishing, who is in them and why, lists, and what is refused."""

from typing import Any

import httpx
import orjson
import pytest

from journeys.language import If, Journey, Send, Wait, ago, days, did, email, event, has, in_segment, last_did, segment, sql, trait
from journeys.language.codec import condition_to_json, to_json
from journeys.language.conditions import AnyCondition
from journeys.language.segments import segments_of
from storage.database import Database
from tests.activities.crowd_of_segments import Crowd

GOLD = trait("plan") == "gold"


def plain(condition: AnyCondition) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(condition_to_json(condition))
    return found


async def put(manager: httpx.AsyncClient, name: str, condition: AnyCondition) -> httpx.Response:
    return await manager.put(f"/v1/segments/{name}", json={"condition": plain(condition)})


@pytest.fixture(autouse=True)
async def people(manager: httpx.AsyncClient) -> None:
    for user_id, plan in (("ann", "gold"), ("bob", "free"), ("cid", "gold")):
        await manager.put(f"/v1/users/{user_id}", json={"attributes": {"plan": plan}})


async def test_a_segment_is_published_counted_and_listed(manager: httpx.AsyncClient) -> None:
    answer = await put(manager, "golden", GOLD)
    assert (answer.status_code, answer.json()["version"], answer.json()["words"]) == (200, 1, "the user's plan is gold")
    size = (await manager.get("/v1/segments/golden/size")).json()
    assert (size["people"], size["is_exact"], size["margin"]) == (2, True, 0)
    first = (await manager.get("/v1/segments/golden/members?limit=1")).json()
    second = (await manager.get("/v1/segments/golden/members", params={"cursor": first["next"]})).json()
    assert [each["user_id"] for each in (*first["items"], *second["items"])] == ["ann", "cid"]
    assert [each["name"] for each in (await manager.get("/v1/segments")).json()["items"]] == ["golden"]


async def test_the_answer_warns_of_what_is_slow_to_count(manager: httpx.AsyncClient) -> None:
    words = "did('x') looks at all of these events that there are: bound it with last= or between= where you can"
    assert (await put(manager, "ever", did("x"))).json()["warnings"] == [words]
    assert (await manager.get("/v1/segments/ever")).json()["warnings"] == [words]
    assert (await put(manager, "lately", did("x", last=days(1)) & in_segment("ever"))).json()["warnings"] == []
    assert (await manager.put("/v1/segments/friends", json={"kind": "static"})).json()["warnings"] == []
    planned = await manager.post(
        "/v1/journeys/plan", json={"journeys": [], "segments": {"ever": plain(did("x") & GOLD), "golden": plain(GOLD)}}
    )
    assert [each["warnings"] for each in planned.json()["segments"]] == [[words], []]


async def test_the_same_condition_is_the_same_version(manager: httpx.AsyncClient) -> None:
    for condition in (GOLD, GOLD, ~GOLD):
        answer = await put(manager, "golden", condition)
    assert answer.json()["version"] == 2
    versions = (await manager.get("/v1/segments/golden/versions")).json()["items"]
    assert [(each["version"], each["is_live"]) for each in versions] == [(2, True), (1, False)]


@pytest.mark.parametrize(
    ("condition", "pointer", "code"),
    [
        ({"kind": "nothing"}, "/condition", "union_tag_invalid"),
        ({"kind": "and", "parts": [{"kind": "has"}]}, "/condition/and/parts/0/has/channel", "missing"),
        (plain(in_segment("gone")), "/condition", "no_such_segment"),
        (plain(in_segment("golden")), "/condition", "segment_circle"),
        (plain(did("x", since="entry")), "/condition", "of_an_enrollment"),
    ],
)
async def test_what_check_refuses_is_refused(manager: httpx.AsyncClient, condition: dict[str, Any], pointer: str, code: str) -> None:
    answer = await manager.put("/v1/segments/golden", json={"condition": condition})
    assert answer.status_code == 422
    assert [(each["pointer"], each["code"]) for each in answer.json()["errors"]] == [(pointer, code)]
    assert (await manager.get("/v1/segments/golden")).status_code == 404


@pytest.mark.parametrize(
    ("body", "code"),
    [({}, "missing"), ({"kind": "static", "condition": plain(GOLD)}, "static_has_none")],
)
async def test_only_a_dynamic_segment_has_a_condition(manager: httpx.AsyncClient, body: dict[str, Any], code: str) -> None:
    answer = await manager.put("/v1/segments/golden", json=body)
    assert answer.json()["errors"][0]["code"] == code


async def test_a_bad_name_is_refused(manager: httpx.AsyncClient) -> None:
    assert (await put(manager, "Not kebab", GOLD)).json()["errors"][0]["code"] == "name_not_kebab"
    assert (await manager.put("/v1/segments/Not kebab", json={"kind": "static"})).json()["errors"][0]["code"] == "name_not_kebab"


async def test_a_segment_that_is_used_is_not_deleted(manager: httpx.AsyncClient) -> None:
    await put(manager, "golden", GOLD)
    await put(manager, "reachable", in_segment("golden") & has("email"))
    journey = Journey("asks", starts_on=event("x"), steps=[If("rich", in_segment("golden"), then=[])])
    assert (await manager.post("/v1/journeys/apply", json={"journeys": [orjson.loads(to_json(journey))]})).status_code == 200
    refused = await manager.delete("/v1/segments/golden")
    assert refused.status_code == 409
    assert "journey asks, segment reachable" in refused.json()["detail"]
    assert (await manager.delete("/v1/segments/reachable")).status_code == 204
    await manager.post("/v1/journeys/apply", json={"journeys": []})
    assert (await manager.delete("/v1/segments/golden")).status_code == 204
    assert (await manager.get("/v1/segments/golden")).status_code == 404


async def test_who_is_in_is_explained_part_by_part_through_other_segments(manager: httpx.AsyncClient) -> None:
    await put(manager, "golden", GOLD)
    await put(manager, "reachable", in_segment("golden") & (has("email") | ~has("push")))
    told = (await manager.get("/v1/segments/reachable/members/ann")).json()
    assert told["is_in"] is True

    def tree(part: dict[str, Any]) -> Any:
        return (part["words"], part["holds"], [tree(each) for each in part["parts"]])

    [meaning] = told["explanation"]["parts"]
    assert meaning["segment"] == "reachable"
    golden, reached = meaning["parts"]
    assert tree(golden) == ("in segment golden", True, [("the user's plan is gold", True, [])])
    assert tree(reached["parts"][0]) == ("has email", False, [])
    assert tree(reached["parts"][1]) == ("not (has push)", True, [("has push", False, [])])
    assert (await manager.get("/v1/segments/reachable/members/bob")).json()["is_in"] is False
    assert (await manager.get("/v1/segments/reachable/members/nobody")).status_code == 404


async def test_a_preview_stores_nothing_and_tells_how_many_who_and_why(manager: httpx.AsyncClient) -> None:
    told = (await manager.post("/v1/segments/preview", json={"condition": plain(GOLD), "user_id": "bob", "sample": 1})).json()
    assert (told["people"], told["is_exact"], len(told["sample"])) == (2, True, 1)
    assert told["explanation"]["holds"] is False
    assert (await manager.get("/v1/segments")).json()["items"] == []
    missing = await manager.post("/v1/segments/preview", json={"condition": plain(in_segment("gone"))})
    assert missing.json()["errors"][0]["code"] == "no_such_segment"


async def test_a_moment_in_the_past_sees_only_what_had_happened(manager: httpx.AsyncClient, database: Database) -> None:
    async with database.transaction() as connection:
        await connection.exec_driver_sql(
            "INSERT INTO events (app, received_at, user_id, event_id, name, occurred_at)"
            " SELECT 'demo', now(), user_id, 'e', 'ordered', '2026-03-01T00:00:00Z' FROM identities WHERE value = 'ann'"
        )
    await put(manager, "buyers", did("ordered"))
    counted = [
        (await manager.get("/v1/segments/buyers/size", params={"at": at})).json()["people"]
        for at in ("2026-02-01T00:00:00Z", "2026-04-01T00:00:00Z")
    ]
    assert counted == [0, 1]


async def test_an_estimate_says_that_it_is_one(manager: httpx.AsyncClient, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.segment_people.LOOKED_AT", 400)
    async with database.transaction() as connection:
        await connection.exec_driver_sql(
            "INSERT INTO users (app, attributes) SELECT 'demo', jsonb_build_object('plan', CASE WHEN i % 4 = 0 THEN 'gold' ELSE 'free' END)"
            " FROM generate_series(1, 4000) i"
        )
    await put(manager, "golden", GOLD)
    told = (await manager.get("/v1/segments/golden/size?exact=false")).json()
    assert told["is_exact"] is False
    assert 0 < told["margin"] < 400
    assert abs(told["people"] - 1002) < 2 * told["margin"]
    assert (await manager.get("/v1/segments/golden/size?exact=true")).json()["people"] == 1002


async def test_what_takes_too_long_to_count_is_estimated_or_refused_in_words(
    manager: httpx.AsyncClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with database.transaction() as connection:
        await connection.exec_driver_sql("INSERT INTO users (app) SELECT 'demo' FROM generate_series(1, 30000)")
    await put(manager, "golden", GOLD)
    monkeypatch.setattr("storage.segment_people.QUICK_S", 0.001)
    told = (await manager.get("/v1/segments/golden/size")).json()
    assert told["is_exact"] is False
    monkeypatch.setattr("storage.segment_people.LONGEST_S", 0.001)
    refused = await manager.get("/v1/segments/golden/size?exact=true")
    assert (refused.status_code, refused.json()["code"]) == (422, "too_slow")
    assert "sojourn segment explain" in refused.json()["detail"]


async def test_a_list_takes_and_loses_people(manager: httpx.AsyncClient) -> None:
    assert (await manager.put("/v1/segments/friends", json={"kind": "static"})).json()["kind"] == "static"
    changed = await manager.post("/v1/segments/friends/members", json={"add": ["ann", "bob"]})
    assert changed.json() == {"added": 2, "removed": 0}
    changed = await manager.post("/v1/segments/friends/members", json={"add": ["ann"], "remove": ["bob"]})
    assert changed.json() == {"added": 0, "removed": 1}
    unknown = await manager.post("/v1/segments/friends/members", json={"add": ["cid", "nobody"]})
    assert [(each["pointer"], each["code"]) for each in unknown.json()["errors"]] == [("/add/1", "no_such_user")]
    members = (await manager.get("/v1/segments/friends/members")).json()["items"]
    assert [each["user_id"] for each in members] == ["ann"]
    assert (await put(manager, "friends", GOLD)).json()["errors"][0]["code"] == "is_static"
    await put(manager, "golden", GOLD & in_segment("friends"))
    assert (await manager.get("/v1/segments/golden/size")).json()["people"] == 1
    assert (await manager.post("/v1/segments/golden/members", json={"add": ["bob"]})).status_code == 409


async def test_a_frozen_segment_keeps_its_people_and_remembers_where_they_are_from(manager: httpx.AsyncClient) -> None:
    await put(manager, "golden", GOLD)
    frozen = await manager.post("/v1/segments/golden/freeze", json={"name": "golden-then"})
    assert (frozen.status_code, frozen.json()["frozen_from"], frozen.json()["frozen_version"]) == (201, "golden", 1)
    await manager.patch("/v1/users/ann", json={"attributes": {"plan": "free"}})
    sizes = [(await manager.get(f"/v1/segments/{name}/size")).json()["people"] for name in ("golden", "golden-then")]
    assert sizes == [1, 2]
    assert (await manager.post("/v1/segments/golden/freeze", json={"name": "golden-then"})).status_code == 409


async def test_an_older_version_is_made_live_again_and_the_newer_one_too(manager: httpx.AsyncClient) -> None:
    await put(manager, "golden", GOLD)
    await put(manager, "golden", ~GOLD)
    for version, people in ((1, 2), (2, 1)):
        answer = await manager.post("/v1/segments/golden/activate", json={"version": version})
        assert (answer.status_code, answer.json()["version"]) == (200, version)
        assert (await manager.get("/v1/segments/golden/size")).json()["people"] == people
    missing = await manager.post("/v1/segments/golden/activate", json={"version": 3})
    assert [(each["pointer"], each["code"]) for each in missing.json()["errors"]] == [("/version", "no_such_version")]
    await manager.put("/v1/segments/friends", json={"kind": "static"})
    assert (await manager.post("/v1/segments/friends/activate", json={"version": 1})).status_code == 409


async def test_an_older_version_that_names_what_is_gone_is_not_made_live(manager: httpx.AsyncClient) -> None:
    await put(manager, "inner", GOLD)
    await put(manager, "outer", in_segment("inner"))
    await put(manager, "outer", GOLD)
    assert (await manager.delete("/v1/segments/inner")).status_code == 204
    refused = await manager.post("/v1/segments/outer/activate", json={"version": 1})
    assert [(each["pointer"], each["code"]) for each in refused.json()["errors"]] == [("/version", "no_such_segment")]
    assert (await manager.get("/v1/segments/outer")).json()["version"] == 2


async def test_what_takes_long_to_freeze_becomes_a_job(
    manager: httpx.AsyncClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with database.transaction() as connection:
        await connection.exec_driver_sql("INSERT INTO users (app) SELECT 'demo' FROM generate_series(1, 30000)")
    await put(manager, "golden", GOLD)
    monkeypatch.setattr("storage.segment_people.QUICK_S", 0.001)
    order = {"json": {"name": "golden-then"}, "headers": {"idempotency-key": "once"}}
    answers = [await manager.post("/v1/segments/golden/freeze", **order) for _ in range(2)]  # type: ignore[arg-type]
    assert [(each.status_code, each.json()["kind"], each.json()["state"]) for each in answers] == [(202, "freeze", "running")] * 2
    assert answers[0].json()["id"] == answers[1].json()["id"]
    told = (await manager.get("/v1/segments/golden-then")).json()
    assert (told["frozen_from"], told["frozen_version"], told["frozen_at"]) == ("golden", 1, None)


async def test_a_condition_that_reads_many_events_says_how_many(
    manager: httpx.AsyncClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with database.transaction() as connection:
        await connection.exec_driver_sql(
            "INSERT INTO events (app, received_at, user_id, event_id, name, occurred_at)"
            " SELECT 'demo', now(), u.id, 'e' || i, 'ordered', now() FROM users u, generate_series(1, 3000) i WHERE u.user_id = 'ann'"
        )
    async with database.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        await connection.exec_driver_sql("ANALYZE events")
    monkeypatch.setattr("api.segment_people.MANY_EVENTS", 1000)
    await put(manager, "buyers", did("ordered", last=days(90)))
    told = (await manager.get("/v1/segments/buyers/query")).json()
    [warning] = told["warnings"]
    assert warning.startswith("it reads some ")
    assert "events: counting them may take more than a second a million" in warning
    assert (told["longest_s"], told["memory"]) == (25, "64MB")


async def test_the_plan_of_postgres_is_shown_with_what_makes_it_slow(manager: httpx.AsyncClient) -> None:
    await put(manager, "buyers", did("ordered") & GOLD)
    told = (await manager.get("/v1/segments/buyers/query")).json()
    assert any("users" in line for line in told["lines"])
    assert [each.partition(" ")[0] for each in told["warnings"]] == ["did('ordered')"]


@pytest.mark.parametrize(
    "condition",
    [last_did("bought").before(ago(days(60))), did("bought", then="returned", within=days(3), last=days(90))],
    ids=["a time", "a sequence"],
)
async def test_no_text_is_read_as_a_time_or_a_span_for_each_row(manager: httpx.AsyncClient, condition: AnyCondition) -> None:
    """Of a million people that takes longer than all the rest."""
    await put(manager, "asked", condition)
    told = (await manager.get("/v1/segments/asked/query")).json()
    assert "::cstring" not in "\n".join(told["lines"])


async def test_segments_of_another_app_are_not_there(manager: httpx.AsyncClient, database: Database) -> None:
    async with database.transaction() as connection:
        await connection.exec_driver_sql("INSERT INTO apps (id, name) VALUES ('other', 'Other')")
        await connection.exec_driver_sql("INSERT INTO segments (app, name, kind) VALUES ('other', 'theirs', 'static')")
    assert (await manager.get("/v1/segments/theirs/size")).status_code == 404
    assert (await put(manager, "mine", in_segment("theirs"))).json()["errors"][0]["code"] == "no_such_segment"


def test_a_journey_names_the_segments_that_let_people_in() -> None:
    journey = Journey("back", starts_on=segment("lapsed"), exits_on=in_segment("gone"), steps=[Send("hello", email("hello"))])
    assert segments_of(journey) == ("gone", "lapsed")


async def test_a_journey_cannot_start_on_a_segment_of_which_nobody_notices_who_comes_in(manager: httpx.AsyncClient) -> None:
    journey = Journey("back", starts_on=segment("outer"), steps=[Wait("rest", days(1))])
    house = {"journeys": [orjson.loads(to_json(journey))], "templates": {}}
    asked: AnyCondition = sql("SELECT user_id FROM users")
    await put(manager, "inner", asked)
    refused = await manager.post("/v1/journeys/plan", json={**house, "segments": {"outer": plain(in_segment("inner") & GOLD)}})
    assert [each["code"] for each in refused.json()["errors"]] == ["segment_of_sql"]
    await put(manager, "inner", GOLD)
    plan = await manager.post("/v1/journeys/plan", json={**house, "segments": {"outer": plain(in_segment("inner") & GOLD)}})
    assert plan.status_code == 200
    applied = await manager.post("/v1/journeys/apply", json={**house, "segments": {"outer": plain(in_segment("inner") & GOLD)}})
    assert applied.status_code == 200
    late = await put(manager, "inner", asked)
    assert [each["code"] for each in late.json()["errors"]] == ["segment_of_sql"]


async def test_a_segment_says_since_when_it_is_followed(manager: httpx.AsyncClient, database: Database) -> None:
    crowd = Crowd(database)
    await put(manager, "golden", GOLD)
    assert (await manager.get("/v1/segments/golden")).json()["followed_at"] is None
    await crowd.listen("golden")
    assert (await manager.get("/v1/segments/golden")).json()["followed_at"] is not None
    await manager.put("/v1/users/bob", json={"attributes": {"plan": "gold"}})
    await crowd.settle()
    assert await crowd.told() == [("bob", "entered", "golden")]
