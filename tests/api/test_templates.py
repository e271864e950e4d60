"""Templates over HTTP: versions, publishing under the same checks as apply, going back, and previews."""

from typing import Any

import httpx
import orjson
import pytest

from journeys.language import Journey, Send, email, event
from journeys.language.codec import to_json

FILES = {
    "template.toml": 'from = "Acme <hello@acme.example>"\n[sample.user]\nfirst_name = "Sam"\n',
    "subject.txt": "Welcome, {{ user.first_name | default('you') }}",
    "body.txt": "Order {{ entry.order_id | default('none') }} {{ links.unsubscribe }}",
}
NEWER = FILES | {"subject.txt": "Hello"}
WELCOME = Journey("onboarding", starts_on=event("signed_up"), steps=[Send("welcome", email("welcome"))])


@pytest.fixture
async def versions(manager: httpx.AsyncClient) -> list[dict[str, Any]]:
    """Two versions of one template; the newer is live."""
    return [(await manager.post("/v1/templates/welcome/versions", json={"files": files})).json() for files in (FILES, NEWER)]


async def test_a_published_version_is_live_and_the_one_before_stays(manager: httpx.AsyncClient, versions: list[dict[str, Any]]) -> None:
    assert [(made["version"], made["is_live"], made["channels"]) for made in versions] == [(1, True, ["email"]), (2, True, ["email"])]
    live = (await manager.get("/v1/templates/welcome")).json()
    assert live == versions[1]
    listed = (await manager.get("/v1/templates/welcome/versions")).json()["items"]
    assert [(row["version"], row["is_live"]) for row in listed] == [(2, True), (1, False)]
    assert (await manager.get("/v1/templates/welcome/versions/1")).json()["files"] == FILES
    assert [row["version"] for row in (await manager.get("/v1/templates")).json()["items"]] == [2]


async def test_the_same_files_again_are_the_same_version(manager: httpx.AsyncClient, versions: list[dict[str, Any]]) -> None:
    again = await manager.post("/v1/templates/welcome/versions", json={"files": NEWER})
    assert (again.status_code, again.json()["version"]) == (201, 2)


async def test_an_older_version_is_made_live_again(manager: httpx.AsyncClient, versions: list[dict[str, Any]]) -> None:
    back = (await manager.post("/v1/templates/welcome/activate", json={"version": 1})).json()
    assert (back["version"], back["is_live"], back["files"]) == (1, True, FILES)
    assert (await manager.get("/v1/templates/welcome")).json() == back
    missing = await manager.post("/v1/templates/welcome/activate", json={"version": 3})
    assert (missing.status_code, missing.json()["errors"][0]["pointer"]) == (422, "/version")


@pytest.mark.parametrize(
    ("name", "files", "pointer"),
    [
        ("welcome", {"subject.txt": "{{ user.first_name"}, "/files/"),  # does not parse
        ("welcome", {"subject.txt": "Hi", "body.txt": "{{ user.plan }}"}, "/files/body.txt"),  # neither a default nor required
        ("welcome", {"../secret": "x"}, "/templates/welcome"),
        ("Wel come", FILES, "/templates"),
    ],
)
async def test_what_check_would_refuse_is_not_published(manager: httpx.AsyncClient, name: str, files: dict[str, str], pointer: str) -> None:
    answer = await manager.post(f"/v1/templates/{name}/versions", json={"files": files})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"].startswith(pointer)
    assert (await manager.get("/v1/templates")).json()["items"] == []


async def test_a_version_that_would_leave_a_live_journey_without_its_mail_is_refused(
    manager: httpx.AsyncClient, versions: list[dict[str, Any]]
) -> None:
    texts = {"template.toml": FILES["template.toml"], "sms.txt": "Hi"}
    assert (await manager.post("/v1/templates/welcome/versions", json={"files": texts})).json()["version"] == 3
    await manager.post("/v1/templates/welcome/activate", json={"version": 2})
    applied = await manager.post("/v1/journeys/apply", json={"journeys": [orjson.loads(to_json(WELCOME))]})
    assert applied.status_code == 200, applied.text
    for path, body in (("versions", {"files": texts | {"sms.txt": "Hello"}}), ("activate", {"version": 3})):
        refused = await manager.post(f"/v1/templates/welcome/{path}", json=body)
        assert (refused.status_code, refused.json()["errors"][0]["code"]) == (422, "no_content")
    assert (await manager.get("/v1/templates/welcome")).json()["version"] == 2


@pytest.mark.parametrize(
    ("body", "subject", "text"),
    [
        ({}, "Welcome, Sam", "Order none https://example.com/unsubscribe"),
        ({"user_id": "ann"}, "Welcome, Ann", "Order none https://example.com/unsubscribe"),
        (
            {"data": {"entry": {"order_id": "A-17"}, "user": {"first_name": "Zoe"}}},
            "Welcome, Zoe",
            "Order A-17 https://example.com/unsubscribe",
        ),
        ({"version": 2}, "Hello", "Order none https://example.com/unsubscribe"),
    ],
)
async def test_a_preview_shows_what_would_leave(
    manager: httpx.AsyncClient, versions: list[dict[str, Any]], body: dict[str, Any], subject: str, text: str
) -> None:
    await manager.post("/v1/templates/welcome/activate", json={"version": 1})
    await manager.put("/v1/users/ann", json={"attributes": {"first_name": "Ann"}})
    shown = (await manager.post("/v1/templates/welcome/preview", json={"channel": "email", **body})).json()
    assert (shown["parts"]["subject"], shown["parts"]["text"]) == (subject, text)
    assert (await manager.get("/v1/messages")).json()["items"] == []


async def test_a_preview_knows_the_device_that_the_message_would_go_to(manager: httpx.AsyncClient) -> None:
    said = "{{ device.os | default('none') }} {{ device.attributes.plan | default('-') | one }}"
    files = {"template.toml": '[sample.device]\nos = "ios"\n', "push.toml": f'title = "Hi"\nbody = "{said}"\n', "sms.txt": said}
    assert (await manager.post("/v1/templates/news/versions", json={"files": files})).status_code == 201
    phone = {"channel": "push", "address": "a" * 64, "device": {"os": "android", "attributes": {"plan": ["gold", "trial"]}}}
    await manager.put("/v1/users/ann", json={"attributes": {}})
    assert (await manager.post("/v1/users/ann/endpoints", json=phone)).status_code == 201

    async def shown(channel: str, **body: str) -> Any:
        parts = (await manager.post("/v1/templates/news/preview", json={"channel": channel, **body})).json()["parts"]
        return parts["body" if channel == "push" else "text"]

    assert await shown("push") == "ios -"
    assert await shown("push", user_id="ann") == "android gold"
    assert await shown("sms", user_id="ann") == "none -"


async def test_a_version_carries_its_layout_and_is_shown_in_the_language_and_zone_of_its_reader(manager: httpx.AsyncClient) -> None:
    files = {
        "template.toml": 'from = "Acme <hello@acme.example>"\n[sample.entry]\nat = "2026-11-24T22:30:00Z"\n',
        "subject.txt": "Hello",
        "subject.de.txt": "Hallo",
        "body.txt": "{% extends '_layouts/text.txt' %}",
        "body.de.txt": "{% extends '_layouts/text.txt' %}",
        "_layouts/text.txt": "{% block a %}{{ entry.at | default('2026-01-01') | local | date }}{% endblock %}",
    }
    made = await manager.post("/v1/templates/welcome/versions", json={"files": files})
    assert (made.status_code, made.json()["files"]) == (201, files)
    await manager.put("/v1/users/ann", json={"attributes": {}, "locale": "de-AT", "timezone": "Europe/Vienna"})

    async def shown(**body: str) -> tuple[str, str]:
        parts = (await manager.post("/v1/templates/welcome/preview", json={"channel": "email", **body})).json()["parts"]
        return parts["subject"], parts["text"]

    assert await shown() == ("Hello", "24 November 2026")
    assert await shown(user_id="ann") == ("Hallo", "24. November 2026")
    assert await shown(user_id="ann", locale="en-US") == ("Hello", "November 24, 2026")
    await manager.patch("/v1/users/ann", json={"timezone": "Asia/Tokyo"})
    assert await shown(user_id="ann") == ("Hallo", "25. November 2026")


async def test_a_preview_has_a_text_sizes_and_what_mail_programs_stumble_over(manager: httpx.AsyncClient) -> None:
    html = '<p>Grüße</p><a href="/orders">Orders</a> <a href="{{ links.unsubscribe }}">Leave</a>'
    files = {"template.toml": 'from = "a@acme.example"', "subject.txt": "BUY NOW OR NEVER", "body.html": html, "sms.txt": "a" * 161}
    await manager.post("/v1/templates/welcome/versions", json={"files": files})
    shown = (await manager.post("/v1/templates/welcome/preview", json={"channel": "email"})).json()
    assert shown["parts"]["text"] == "Grüße\n\nOrders (/orders) Leave (https://example.com/unsubscribe)"
    assert shown["sizes"]["text"] == len(shown["parts"]["text"].encode())
    assert [(each["part"], each["code"]) for each in shown["remarks"]] == [("subject", "shouted_subject"), ("html", "bad_link")]
    text = (await manager.post("/v1/templates/welcome/preview", json={"channel": "sms"})).json()
    assert [each["code"] for each in text["remarks"]] == ["several_segments"]


async def test_a_preview_of_a_channel_without_content_says_so(manager: httpx.AsyncClient, versions: list[dict[str, Any]]) -> None:
    answer = await manager.post("/v1/templates/welcome/preview", json={"channel": "sms"})
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "no_content_for_channel")
