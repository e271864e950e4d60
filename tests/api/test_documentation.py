"""Every operation is documented, opens only to its keys, and shows nothing of another app. A new operation without a row fails here."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI

from api.app import ROUTERS, create_app
from api.documentation import TAGS, scopes_of
from settings import Settings
from storage import keys
from storage.database import Database

SCHEMA = create_app(Settings()).openapi()
OPERATIONS = [(method.upper(), path, operation) for path, methods in SCHEMA["paths"].items() for method, operation in methods.items()]
NAMES = [f"{method} {path}" for method, path, _ in OPERATIONS]
REFERENCE = Path("docs/reference/http.md").read_text()

EVERYBODY = frozenset({"nobody", "write", "public", "secret"})
SENDERS = frozenset({"write", "public", "secret"})
MANAGER = frozenset({"secret"})
# What a client token opens, no key does (tests/api/test_in_app.py sweeps two users).
CLIENTS: frozenset[str] = frozenset()
# Who gets past the key of an operation, where it is not only those who manage.
OPENS_TO: dict[str, frozenset[str]] = {
    "GET /livez": EVERYBODY,
    "GET /readyz": EVERYBODY,
    "GET /startupz": EVERYBODY,
    "GET /metrics": EVERYBODY,
    "POST /v1/identify": SENDERS,
    "POST /v1/track": SENDERS,
    "POST /v1/page": SENDERS,
    "POST /v1/screen": SENDERS,
    "POST /v1/group": SENDERS,
    "POST /v1/alias": SENDERS,
    "POST /v1/batch": SENDERS,
    "POST /v1/import": SENDERS,
    "POST /v1/history": MANAGER,
    "GET /v1/in-app": CLIENTS,
    "GET /v1/in-app/stream": CLIENTS,
    "POST /v1/in-app/{message_id}/events": CLIENTS,
    "GET /v1/inbox": CLIENTS,
    "POST /v1/inbox/read-all": CLIENTS,
    "POST /v1/inbox/{message_id}/read": CLIENTS,
    "POST /v1/inbox/{message_id}/archive": CLIENTS,
    "GET /unsubscribe/{token}": EVERYBODY,
    "POST /unsubscribe/{token}": EVERYBODY,
    "GET /c/{token}": EVERYBODY,
    "GET /o/{token}.gif": EVERYBODY,
    "GET /tls-allowed": EVERYBODY,
    # Only to providers, which prove who they are.
    "GET /v1/webhooks/{provider}/{key}": frozenset(),
    "POST /v1/webhooks/{provider}/{key}": frozenset(),
    "POST /unsubscribe/{token}/undo": EVERYBODY,
    "GET /preferences/{token}": EVERYBODY,
    "POST /preferences/{token}": EVERYBODY,
    "GET /confirm/{token}": EVERYBODY,
    "POST /confirm/{token}": EVERYBODY,
}


def test_every_operation_opens_to_somebody_named_or_declares_its_scope() -> None:
    declared = {f"{method} {path}" for method, path in scopes_of(ROUTERS)}
    assert set(NAMES) - set(OPENS_TO) - declared == set()
    assert set(OPENS_TO) & declared == set()
    assert set(OPENS_TO) <= set(NAMES)


@pytest.mark.parametrize(("method", "path", "operation"), OPERATIONS, ids=NAMES)
def test_an_operation_is_documented(method: str, path: str, operation: dict[str, Any]) -> None:
    assert operation["summary"]
    assert operation["description"].strip()
    assert operation["tags"][0] in TAGS
    assert path in REFERENCE, f"{method} {path} is missing in docs/reference/http.md"
    assert _has_examples(operation), "a body without an example"


async def test_the_page_shows_every_operation_without_a_script(anybody: httpx.AsyncClient) -> None:
    assert (await anybody.get("/")).headers["location"] == "/docs"
    page = await anybody.get("/docs")
    assert page.status_code == 200
    assert [path for _, path, _ in OPERATIONS if f"<code>{path}</code>" not in page.text] == []
    assert "<script" not in page.text
    assert "//cdn" not in page.text


def _has_examples(operation: dict[str, Any]) -> bool:
    body = operation.get("requestBody")
    if body is None:
        return True
    [media] = body["content"].values()
    if "example" in media:
        return True
    shape = SCHEMA["components"]["schemas"][media["schema"]["$ref"].rsplit("/", 1)[1]]
    return any("examples" in member for member in shape["properties"].values())


def test_every_shape_says_what_it_is() -> None:
    shapes = SCHEMA["components"]["schemas"].items()
    assert [name for name, shape in shapes if shape["type"] == "object" and not shape.get("description")] == []


@dataclass(frozen=True)
class Keys:
    secret: str
    write: str
    public: str


@pytest.fixture
async def two_apps(database: Database) -> Keys:
    """Keys of `other`; everything else stands in `demo`."""
    async with database.transaction() as connection:
        await connection.exec_driver_sql("INSERT INTO apps (id, name) VALUES ('other', 'Other')")
        return Keys(*[await keys.create(connection, "other", kind) for kind in ("secret", "write", "public")])


@pytest.fixture
async def anybody(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://sojourn") as client:
        yield client


async def test_each_operation_opens_only_to_its_keys(anybody: httpx.AsyncClient, two_apps: Keys) -> None:
    """One database for the whole matrix: nothing here changes anything, because every id is unknown and every body empty."""
    wrong: list[str] = []
    for method, path, _ in OPERATIONS:
        for who in sorted(EVERYBODY):
            key = getattr(two_apps, who, None)
            headers = {"authorization": f"Bearer {key}"} if key else {}
            answer = await anybody.request(method, _filled(path), json={} if method in {"POST", "PUT", "PATCH"} else None, headers=headers)
            is_open = answer.status_code not in {401, 403}
            # No Temporal runs here: what needs one says so, and when to come back.
            is_fault = answer.status_code >= 500 and "retry-after" not in answer.headers
            if is_open != (who in OPENS_TO.get(f"{method} {path}", MANAGER)) or is_fault:
                wrong.append(f"{method} {path} as {who}: {answer.status_code}")
    assert wrong == []


async def test_a_key_without_the_scope_is_refused_with_a_word_that_names_it(anybody: httpx.AsyncClient, database: Database) -> None:
    async with database.transaction() as connection:
        lacking = {
            scope: await keys.create(connection, "demo", "secret", scopes=[other for other in keys.SCOPES if other != scope])
            for scope in keys.SCOPES
        }
    wrong = []
    for (method, path), scope in {**scopes_of(ROUTERS), ("POST", "/v1/history"): "ingest"}.items():
        headers = {"authorization": f"Bearer {lacking[scope]}"}
        body: dict[str, Any] | None = {} if method in {"POST", "PUT", "PATCH"} else None
        answer = await anybody.request(method, _filled(path), json=body, headers=headers)
        if answer.status_code != 403 or answer.json()["detail"] != f"this needs a key with the scope {scope}":
            wrong.append(f"{method} {path}: {answer.status_code} {answer.text}")
    assert wrong == []


def test_the_page_of_operations_names_the_scope_of_each() -> None:
    declared = {(method, path): scope for (method, path), scope in scopes_of(ROUTERS).items() if path.startswith("/v1")}
    told = {(method, path): operation["security"] for method, path, operation in OPERATIONS}
    assert [each for each, scope in declared.items() if told[each] != [{"secret key": [scope]}]] == []


def _filled(path: str) -> str:
    """The path with ids of nothing."""
    known = {"user_id": "nobody", "endpoint_id": "1", "channel": "email", "suppression_id": "00", "version": "1"}
    return re.sub(r"\{(\w+)\}", lambda name: known.get(name[1], str(UUID(int=1))), path)


EVERYTHING = """
INSERT INTO unclear_replies (app, user_id, channel, body) VALUES ('demo', 1, 'sms', 'stop by later');
INSERT INTO users (app, id, user_id) OVERRIDING SYSTEM VALUE VALUES ('demo', 1, 'ann');
INSERT INTO identities (app, kind, value, user_id) VALUES ('demo', 'u', 'ann', 1);
INSERT INTO endpoints (app, id, user_id, channel, address, address_hash, confirmed_at) OVERRIDING SYSTEM VALUE
    VALUES ('demo', 1, 1, 'email', 'ann@example.com', 'x', now());
INSERT INTO suppressions (app, channel, address_hash, reason) VALUES ('demo', 'email', '\\xab', 'manual');
INSERT INTO provider_accounts (app, channel, name, provider) VALUES ('demo', 'email', 'main', 'resend');
INSERT INTO journeys (app, name, live_version) VALUES ('demo', 'onboarding', 1);
INSERT INTO journey_versions (app, journey, version, hash, definition, entry_names, listen_names)
    VALUES ('demo', 'onboarding', 1, 'h', '{}', '{}', '{}');
INSERT INTO schedules (app, journey, entry) VALUES
    ('demo', 'onboarding', '{"kind": "schedule", "segment": "vip", "when": {"kind": "at", "time": "09:00"}}');
INSERT INTO enrollments (app, id, user_id, subject, journey, version, n, workflow_id, entry_event_id, entry_name, entered_at, state)
    VALUES ('demo', '00000000-0000-8000-8000-0000000000aa', 1, 'ann', 'onboarding', 1, 1, 'w', 'e', 'signed_up', now(), 'open');
INSERT INTO messages (id, app, user_id, source, step, visit, target, channel, message_class, state)
    VALUES ('00000000-0000-8000-8000-0000000000bb', 'demo', 1, 's', 'a', 1, 't', 'email', 'marketing', 'sent');
INSERT INTO templates (app, name, live_version) VALUES ('demo', 'welcome', 1);
INSERT INTO template_versions (app, template, version, hash, files) VALUES ('demo', 'welcome', 1, 'h', '{"body.txt": "x"}');
INSERT INTO segments (app, name, kind) VALUES ('demo', 'friends', 'static');
INSERT INTO listed_people (app, segment, user_id) VALUES ('demo', 'friends', 1);
INSERT INTO sources (app, name, live_version) VALUES ('demo', 'product', 1);
INSERT INTO source_versions (app, source, version, hash, definition) VALUES ('demo', 'product', 1, 'h',
    '{"kind":"source","name":"product","origin":{"kind":"rows","key":"sku"}}');
INSERT INTO campaigns (app, name, live_version) VALUES ('demo', 'sale', 1);
INSERT INTO campaign_versions (app, campaign, version, hash, definition, published_by)
    VALUES ('demo', 'sale', 1, 'h', '{"name": "sale", "segment": "friends", "message": {"channel": "email", "template": "welcome"}}', 'x');
INSERT INTO campaign_runs (app, id, campaign, version, definition, state, began_at)
    VALUES ('demo', '00000000-0000-8000-8000-0000000000dd', 'sale', 1, '{}', 'running', now());
INSERT INTO keys (app, id, kind, secret_hash) VALUES ('demo', 'demokey1', 'secret', 'x');
INSERT INTO erasures (app, id, asked_by) VALUES ('demo', '00000000-0000-8000-8000-0000000000ee', 'demokey1');
INSERT INTO jobs (app, id, kind, state) VALUES ('demo', '00000000-0000-8000-8000-0000000000cc', 'counting', 'running');
INSERT INTO jobs (app, id, kind, state) VALUES ('demo', '00000000-0000-8000-8000-0000000000dd', 'import', 'done');
INSERT INTO files (app, id, name, is_whole) VALUES ('demo', '00000000-0000-8000-8000-0000000000ff', 'people.csv', true);
INSERT INTO sandbox_messages (app, id, channel, recipient, content)
    VALUES ('demo', '00000000-0000-8000-8000-0000000000bb', 'email', 'a', '{}')
"""
RUN = "00000000-0000-8000-8000-0000000000dd"
# What stands in `demo`, asked for with a key of `other`, and the same request for what stands nowhere.
FOREIGN: list[tuple[str, str, str, dict[str, Any] | None]] = [
    ("GET", "/v1/users/ann", "/v1/users/nobody", None),
    ("DELETE", "/v1/users/ann", "/v1/users/nobody", None),
    ("POST", "/v1/users/ann/merge", "/v1/users/nobody/merge", {"from_user_id": "somebody"}),
    ("GET", "/v1/users/ann/export", "/v1/users/nobody/export", None),
    ("GET", "/v1/erasures/00000000-0000-8000-8000-0000000000ee", f"/v1/erasures/{UUID(int=1)}", None),
    ("DELETE", "/v1/keys/demokey1", "/v1/keys/nokey111", None),
    ("POST", "/v1/keys/demokey1/rotate", "/v1/keys/nokey111/rotate", {}),
    ("GET", "/v1/users/ann/timeline", "/v1/users/nobody/timeline", None),
    ("GET", "/v1/users/ann/endpoints", "/v1/users/nobody/endpoints", None),
    ("POST", "/v1/users/ann/endpoints", "/v1/users/nobody/endpoints", {"channel": "email", "address": "a@example.com"}),
    ("GET", "/v1/journeys/onboarding/report", "/v1/journeys/nothing/report", None),
    ("POST", "/v1/journeys/onboarding/report/rebuild", "/v1/journeys/nothing/report/rebuild", None),
    ("GET", "/v1/journeys/onboarding/schedule", "/v1/journeys/nothing/schedule", None),
    ("GET", "/v1/journeys/onboarding/schedule/runs", "/v1/journeys/nothing/schedule/runs", None),
    ("GET", "/v1/journeys/onboarding/requests/x", "/v1/journeys/nothing/requests/x", None),
    ("POST", "/v1/journeys/onboarding/enrollments", "/v1/journeys/nothing/enrollments", {"user_id": "ann"}),
    ("GET", "/v1/endpoints/1", "/v1/endpoints/2", None),
    ("PUT", "/v1/endpoints/1", "/v1/endpoints/2", {"device": {}}),
    ("DELETE", "/v1/endpoints/1", "/v1/endpoints/2", None),
    ("POST", "/v1/endpoints/1/deactivate", "/v1/endpoints/2/deactivate", {}),
    ("POST", "/v1/endpoints/1/activate", "/v1/endpoints/2/activate", None),
    ("GET", "/v1/endpoints?user_id=ann", "/v1/endpoints?user_id=nobody", None),
    ("DELETE", "/v1/providers/email/main", "/v1/providers/email/nothing", None),
    ("GET", "/v1/templates/welcome", "/v1/templates/nothing", None),
    ("GET", "/v1/templates/welcome/versions", "/v1/templates/nothing/versions", None),
    ("GET", "/v1/templates/welcome/versions/1", "/v1/templates/nothing/versions/1", None),
    ("POST", "/v1/templates/welcome/activate", "/v1/templates/nothing/activate", {"version": 1}),
    ("POST", "/v1/templates/welcome/preview", "/v1/templates/nothing/preview", {"channel": "email"}),
    ("GET", "/v1/segments/friends", "/v1/segments/nothing", None),
    ("GET", "/v1/segments/friends/versions", "/v1/segments/nothing/versions", None),
    ("GET", "/v1/segments/friends/size", "/v1/segments/nothing/size", None),
    ("GET", "/v1/segments/friends/query", "/v1/segments/nothing/query", None),
    ("GET", "/v1/segments/friends/members", "/v1/segments/nothing/members", None),
    ("GET", "/v1/segments/friends/members/ann", "/v1/segments/nothing/members/nobody", None),
    ("POST", "/v1/segments/friends/members", "/v1/segments/nothing/members", {"add": ["ann"]}),
    ("POST", "/v1/segments/friends/activate", "/v1/segments/nothing/activate", {"version": 1}),
    ("POST", "/v1/segments/friends/freeze", "/v1/segments/nothing/freeze", {"name": "mine"}),
    ("DELETE", "/v1/segments/friends", "/v1/segments/nothing", None),
    ("GET", "/v1/sources/product", "/v1/sources/nothing", None),
    ("GET", "/v1/sources/product/versions", "/v1/sources/nothing/versions", None),
    ("PUT", "/v1/sources/product/rows", "/v1/sources/nothing/rows", {"csv": "sku"}),
    ("PUT", "/v1/sources/product/headers", "/v1/sources/nothing/headers", {"headers": {}}),
    ("POST", "/v1/sources/product/look", "/v1/sources/nothing/look", {"key": "A"}),
    ("DELETE", "/v1/sources/product", "/v1/sources/nothing", None),
    ("GET", "/v1/campaigns/sale", "/v1/campaigns/nothing", None),
    ("DELETE", "/v1/campaigns/sale", "/v1/campaigns/nothing", None),
    ("GET", "/v1/campaigns/sale/versions", "/v1/campaigns/nothing/versions", None),
    ("GET", "/v1/campaigns/sale/history", "/v1/campaigns/nothing/history", None),
    ("GET", "/v1/campaigns/sale/missing-variables", "/v1/campaigns/nothing/missing-variables", None),
    *(
        ("POST", f"/v1/campaigns/sale/{act}", f"/v1/campaigns/nothing/{act}", body)
        for act, body in {
            **dict.fromkeys(("submit", "approve", "send-back", "pause", "resume", "stop")),
            "launch": {},
            "dry-run": {},
            "test-send": {"addresses": ["a@example.com"]},
        }.items()
    ),
    ("GET", "/v1/campaigns/sale/runs", "/v1/campaigns/nothing/runs", None),
    *(
        (method, f"/v1/campaigns/sale/runs/{RUN}{rest}", f"/v1/campaigns/sale/runs/{UUID(int=1)}{rest}", body)
        for method, rest, body in (
            ("GET", "", None),
            ("GET", "/results", None),
            ("POST", "/winner", {"version": None}),
            ("POST", "/resend", None),
        )
    ),
    ("GET", "/v1/users/ann/consents", "/v1/users/nobody/consents", None),
    ("POST", "/v1/users/ann/consents", "/v1/users/nobody/consents", {"channel": "email", "state": "withdrawn"}),
    ("POST", "/v1/providers/email/main/verify", "/v1/providers/email/nothing/verify", None),
    ("DELETE", "/v1/suppressions/email/ab", "/v1/suppressions/email/cd", None),
    ("GET", "/v1/journeys/onboarding", "/v1/journeys/nothing", None),
    ("POST", "/v1/journeys/onboarding/pause", "/v1/journeys/nothing/pause", None),
    ("POST", "/v1/journeys/onboarding/resume", "/v1/journeys/nothing/resume", None),
    ("GET", "/v1/enrollments/00000000-0000-8000-8000-0000000000aa", f"/v1/enrollments/{UUID(int=1)}", None),
    ("POST", "/v1/enrollments/00000000-0000-8000-8000-0000000000aa/advance", f"/v1/enrollments/{UUID(int=1)}/advance", None),
    ("POST", "/v1/enrollments/00000000-0000-8000-8000-0000000000aa/exit", f"/v1/enrollments/{UUID(int=1)}/exit", {}),
    ("POST", "/v1/enrollments/00000000-0000-8000-8000-0000000000aa/move", f"/v1/enrollments/{UUID(int=1)}/move", {"to": 1}),
    ("POST", "/v1/journeys/onboarding/moves", "/v1/journeys/nothing/moves", {"to": 1}),
    ("GET", "/v1/jobs/00000000-0000-8000-8000-0000000000cc", f"/v1/jobs/{UUID(int=1)}", None),
    ("POST", "/v1/jobs/00000000-0000-8000-8000-0000000000cc/stop", f"/v1/jobs/{UUID(int=1)}/stop", {}),
    ("POST", "/v1/jobs/00000000-0000-8000-8000-0000000000cc/resume", f"/v1/jobs/{UUID(int=1)}/resume", {}),
    ("GET", "/v1/files/00000000-0000-8000-8000-0000000000ff", f"/v1/files/{UUID(int=1)}", None),
    ("GET", "/v1/imports/00000000-0000-8000-8000-0000000000dd/bad-rows", f"/v1/imports/{UUID(int=1)}/bad-rows", None),
    ("GET", "/v1/messages/00000000-0000-8000-8000-0000000000bb", f"/v1/messages/{UUID(int=1)}", None),
    ("POST", "/v1/messages/00000000-0000-8000-8000-0000000000bb/resolve", f"/v1/messages/{UUID(int=1)}/resolve", {"went_out": True}),
    ("POST", "/v1/unclear-replies/1/decide", "/v1/unclear-replies/2/decide", {"decision": "stays"}),
    ("GET", "/v1/enrollments?user_id=ann", "/v1/enrollments?user_id=nobody", None),
    ("GET", "/v1/messages?user_id=ann", "/v1/messages?user_id=nobody", None),
    ("GET", "/v1/sandbox/messages?user_id=ann", "/v1/sandbox/messages?user_id=nobody", None),
]
LISTS = (
    "users",
    "endpoints",
    "templates",
    "segments",
    "sources",
    "campaigns",
    "providers",
    "erasures",
    "suppressions",
    "journeys",
    "enrollments",
    "jobs",
    "quarantine",
    "unclear-replies",
    "messages",
    "sandbox/messages",
)


@pytest.fixture
async def stranger(anybody: httpx.AsyncClient, two_apps: Keys, database: Database, app: FastAPI) -> httpx.AsyncClient:
    """A client with a secret key of `other`, beside a full `demo`; Temporal is never reached."""
    async with database.transaction() as connection:
        for statement in EVERYTHING.split(";\n"):
            await connection.exec_driver_sql(statement)
    app.state.temporal = object()
    anybody.headers["authorization"] = f"Bearer {two_apps.secret}"
    return anybody


async def test_another_apps_id_and_an_unknown_one_get_the_same_404(stranger: httpx.AsyncClient) -> None:
    for method, foreign, unknown, body in FOREIGN:
        answers = [await stranger.request(method, path, json=body, headers={"x-request-id": "the-same-one"}) for path in (foreign, unknown)]
        assert [answer.status_code for answer in answers] == [404, 404], foreign
        assert answers[0].content == answers[1].content, foreign


async def test_another_apps_rows_are_in_no_list(stranger: httpx.AsyncClient) -> None:
    assert [(await stranger.get(f"/v1/{name}")).json()["items"] for name in LISTS] == [[] for _ in LISTS]


def test_every_operation_with_an_id_in_its_path_is_in_the_sweep() -> None:
    swept = {(method, path.split("?")[0]) for method, path, _, _ in FOREIGN}
    shapes = {(method, path) for method, path, _ in OPERATIONS if "{" in path and path.startswith("/v1")}
    # What is made belongs to the app that makes it, and a signature says nothing about anybody who is stored.
    own = {
        ("POST", "/v1/templates/{name}/versions"),
        ("PUT", "/v1/users/{user_id}"),
        ("PUT", "/v1/segments/{name}"),
        ("PUT", "/v1/sources/{name}"),
        ("PUT", "/v1/campaigns/{name}"),
        ("PUT", "/v1/providers/{channel}/{name}"),
        ("PATCH", "/v1/users/{user_id}"),
        ("POST", "/v1/users/{user_id}/signature"),
        ("POST", "/v1/users/{user_id}/client-token"),
        # A key opens none of these.
        *(tuple(name.split(" ")) for name, who in OPENS_TO.items() if who is CLIENTS),
        # The key in the address names the app.
        ("GET", "/v1/webhooks/{provider}/{key}"),
        ("POST", "/v1/webhooks/{provider}/{key}"),
    }
    assert {shape for shape in shapes - own if not any(_matches(shape, one) for one in swept)} == set()


def _matches(shape: tuple[str, str], one: tuple[str, str]) -> bool:
    wanted, given = shape[1].split("/"), one[1].split("/")
    return shape[0] == one[0] and len(wanted) == len(given) and all(w.startswith("{") or w == g for w, g in zip(wanted, given, strict=True))
