import asyncio
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from storage import idempotency, templates
from storage.database import Database
from storage.idempotency import Repeatable

CONTENT = {"subject": "Hi", "text": "There", "from": "us@example.com"}
MAIL = {"channel": "email", "address": "ann@example.com", "content": CONTENT}


@pytest.fixture
async def ann(manager: httpx.AsyncClient, database: Database) -> None:
    await manager.put("/v1/users/ann", json={})
    await manager.post("/v1/users/ann/endpoints", json={"channel": "email", "address": "ann@example.com"})
    async with database.transaction() as connection:
        await templates.publish(connection, "demo", "receipt", {"subject.txt": "Hi", "body.txt": "x"}, "h")


async def count(database: Database, table: str) -> int:
    async with database.transaction() as connection:
        return int((await connection.exec_driver_sql(f"SELECT count(*) FROM {table}")).scalar_one())


async def test_a_send_is_a_ledger_row_before_it_is_answered(manager: httpx.AsyncClient, database: Database) -> None:
    answer = await manager.post("/v1/messages", json=MAIL)
    assert answer.status_code == 202
    [message_id] = answer.json()["messages"]
    shown = (await manager.get(f"/v1/messages/{message_id}")).json()
    assert (shown["state"], shown["address"], shown["words"]) == ("planned", "ann@example.com", "email message: waits to be sent")
    assert await count(database, "open_messages") == 1


APPROVED = {"name": "order_shipped", "language": "en_GB"}


@pytest.mark.parametrize(
    ("channel", "content", "kept"),
    [
        ("whatsapp", {"text": "Hi"}, {"text": "Hi"}),
        (
            "whatsapp",
            {
                "template": {
                    **APPROVED,
                    "body": ["Ann", "A-17"],
                    "header": {"image": "https://a.example/b"},
                    "buttons": {"0": {"url": "A"}},
                }
            },
            {
                "template": {
                    **APPROVED,
                    "body": {"1": "Ann", "2": "A-17"},
                    "header": {"image": "https://a.example/b"},
                    "buttons": {"0": {"url": "A"}},
                }
            },
        ),
        ("voice", {"text": "Tom & Ann", "voice": "Amy", "language": "en-GB"}, {"text": "Tom & Ann", "voice": "Amy", "language": "en-GB"}),
        ("voice", {"ssml": "<speak>Hi</speak>"}, {"ssml": "<speak>Hi</speak>"}),
        ("sms", {"text": "Hi", "dlt_template_id": "1007161234567890123"}, {"text": "Hi", "dlt_template_id": "1007161234567890123"}),
    ],
)
async def test_texts_chats_and_calls_say_what_they_are_given(
    manager: httpx.AsyncClient, database: Database, channel: str, content: dict[str, Any], kept: dict[str, Any]
) -> None:
    answer = await manager.post("/v1/messages", json={"channel": channel, "address": "+4915112345678", "content": content})
    assert answer.status_code == 202
    async with database.transaction() as connection:
        [stored] = (await connection.exec_driver_sql("SELECT content -> 'parts' AS parts FROM direct_sends")).scalars()
    assert {name: value for name, value in stored.items() if name != "template"} == {n: v for n, v in kept.items() if n != "template"}
    assert stored.get("template", {}).items() >= kept.get("template", {}).items()


@pytest.mark.parametrize(
    ("channel", "content", "pointer"),
    [
        ("whatsapp", {}, "/content"),
        ("whatsapp", {"template": {"name": "Order shipped", "language": "en"}}, "/content/template/name"),
        ("whatsapp", {"template": {**APPROVED, "header": {"image": "http://a.example"}}}, "/content/template/header/image"),
        ("whatsapp", {"template": {**APPROVED, "header": {"image": "https://a.example", "text": "b"}}}, "/content/template/header"),
        ("whatsapp", {"template": {**APPROVED, "body": [""]}}, "/content/template/body/1"),
        ("whatsapp", {"template": {**APPROVED, "colour": "red"}}, "/content/template/colour"),
        ("voice", {"text": "a", "ssml": "<speak>a</speak>"}, "/content"),
        ("voice", {"ssml": "<speak>a"}, "/content/ssml"),
        ("voice", {"ssml": "<speak><audio src='x'/>a</speak>"}, "/content/ssml"),
        ("voice", {"text": "a", "voice": "<Amy>"}, "/content/voice"),
        ("sms", {"text": "a", "dlt_template_id": "T-1"}, "/content/dlt_template_id"),
    ],
)
async def test_what_no_text_chat_or_call_can_say_is_named(
    manager: httpx.AsyncClient, channel: str, content: dict[str, Any], pointer: str
) -> None:
    answer = await manager.post("/v1/messages", json={"channel": channel, "address": "+4915112345678", "content": content})
    assert answer.status_code == 422
    assert [problem["pointer"] for problem in answer.json()["errors"]] == [pointer]


async def test_the_lane_is_woken_after_the_commit(manager: httpx.AsyncClient, app: FastAPI) -> None:
    woken: list[str] = []
    app.state.notify, kept = woken.append, app.state.notify
    await manager.post("/v1/messages", json=MAIL)
    app.state.notify = kept
    assert woken == ["sojourn_direct"]


@pytest.mark.usefixtures("ann")
async def test_a_template_goes_to_a_user(manager: httpx.AsyncClient) -> None:
    await manager.post("/v1/messages", json={"channel": "email", "user_id": "ann", "template": "receipt", "data": {"order": 1}})
    [shown] = (await manager.get("/v1/messages", params={"user_id": "ann"})).json()["items"]
    assert (shown["template"], shown["address"], shown["message_class"]) == ("receipt", "ann@example.com", "transactional")


async def test_the_same_key_sends_once_and_answers_the_same(manager: httpx.AsyncClient, database: Database) -> None:
    first = await manager.post("/v1/messages", json=MAIL, headers={"idempotency-key": "order-1"})
    again = await manager.post("/v1/messages", json=MAIL, headers={"idempotency-key": '"order-1"'})
    assert (again.status_code, again.json(), again.headers["idempotent-replayed"]) == (202, first.json(), "true")
    assert await count(database, "messages") == 1


async def test_without_a_key_each_request_sends(manager: httpx.AsyncClient, database: Database) -> None:
    for _ in range(2):
        await manager.post("/v1/messages", json=MAIL)
    assert await count(database, "messages") == 2


async def test_the_same_key_with_another_body_is_422(manager: httpx.AsyncClient, database: Database) -> None:
    await manager.post("/v1/messages", json=MAIL, headers={"idempotency-key": "order-1"})
    answer = await manager.post("/v1/messages", json=MAIL | {"topic": "other"}, headers={"idempotency-key": "order-1"})
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "idempotency_key_reused")
    assert await count(database, "messages") == 1


async def test_while_the_first_is_being_answered_the_second_is_409(manager: httpx.AsyncClient, database: Database) -> None:
    async with database.transaction("demo") as connection:
        await idempotency.given(connection, "demo", Repeatable("POST /v1/messages", "/v1/messages", "order-1"))
        answer = await manager.post("/v1/messages", json=MAIL, headers={"idempotency-key": "order-1"})
    assert answer.status_code == 409
    assert (await manager.post("/v1/messages", json=MAIL, headers={"idempotency-key": "order-1"})).status_code == 202


async def test_many_at_once_with_one_key_send_once(manager: httpx.AsyncClient, database: Database) -> None:
    answers = await asyncio.gather(*(manager.post("/v1/messages", json=MAIL, headers={"idempotency-key": "k"}) for _ in range(8)))
    assert {answer.status_code for answer in answers} <= {202, 409}
    assert await count(database, "messages") == 1


@pytest.mark.parametrize("key", [b"", b"x" * 256, b"a b", "é".encode()])
async def test_a_key_that_cannot_be_one_is_400(manager: httpx.AsyncClient, key: bytes) -> None:
    assert (await manager.post("/v1/messages", json=MAIL, headers={b"idempotency-key": key})).status_code == 400


async def test_a_refused_request_does_not_use_up_its_key(manager: httpx.AsyncClient) -> None:
    assert (await manager.post("/v1/messages", json=MAIL | {"channel": "sms"}, headers={"idempotency-key": "k"})).status_code == 422
    assert (await manager.post("/v1/messages", json=MAIL, headers={"idempotency-key": "k"})).status_code == 202


WRONG: list[tuple[dict[str, Any], str, str]] = [
    (MAIL | {"user_id": "ann"}, "", "one_recipient"),
    ({"channel": "email", "content": {}}, "", "one_recipient"),
    (MAIL | {"template": "receipt"}, "", "one_content"),
    (MAIL | {"channel": "fax"}, "/channel", "string_pattern_mismatch"),
    (MAIL | {"address": "nobody"}, "/address", "invalid_email"),
    (MAIL | {"content": {"subject": "Hi", "from": "us@example.com"}}, "/content", "no_body"),
    (MAIL | {"content": {"subject": "Hi", "text": "x"}}, "/content/from", "missing"),
    (MAIL | {"content": {"subject": "Hi\r\nBcc: x@y.z", "text": "x", "from": "us@example.com"}}, "/content/subject", "unsafe_header"),
    (MAIL | {"content": {"subject": "=?utf-8?q?a?=", "text": "x", "from": "us@example.com"}}, "/content/subject", "unsafe_header"),
    (MAIL | {"content": {"subject": "Hi", "text": "x", "from": "a@b.c, d@e.f"}}, "/content/from", "unsafe_header"),
    (MAIL | {"content": {"text": "sms"}}, "/content/subject", "missing"),
    ({"channel": "email", "address": "ann@example.com", "template": "nothing"}, "/template", "no_template"),
    ({"channel": "sms", "address": "+4915112345678", "template": "receipt"}, "/template", "no_content"),
]


NEWS = {"channel": "email", "user_id": "ann", "message_class": "marketing"}
NO_WAY_OUT: list[tuple[dict[str, Any], str, str]] = [
    (MAIL | {"message_class": "marketing"}, "", "no_way_out"),  # nobody's consent can be asked, nobody can leave
    ({**NEWS, "template": "receipt"}, "/template", "no_unsubscribe"),
    ({**NEWS, "content": CONTENT}, "/content/text", "no_unsubscribe"),
    (
        {**NEWS, "content": CONTENT | {"html": "<p>x</p>", "text": "{{ links.unsubscribe }}"}},  # one body of two
        "/content/html",
        "no_unsubscribe",
    ),
]


@pytest.mark.usefixtures("ann")
@pytest.mark.parametrize(("body", "pointer", "code"), NO_WAY_OUT)
async def test_marketing_mail_without_a_way_out_is_refused(
    manager: httpx.AsyncClient, body: dict[str, Any], pointer: str, code: str
) -> None:
    answer = await manager.post("/v1/messages", json=body)
    assert answer.status_code == 422
    assert {"pointer": pointer, "code": code}.items() <= answer.json()["errors"][0].items()


@pytest.mark.usefixtures("ann")
async def test_marketing_mail_that_shows_the_way_out_is_taken(manager: httpx.AsyncClient, database: Database) -> None:
    async with database.transaction() as connection:
        await templates.publish(connection, "demo", "news", {"subject.txt": "Hi", "body.txt": "{{ links.unsubscribe }}"}, "h2")
    for what in ({"template": "news"}, {"content": CONTENT | {"text": "Leave: {{links.unsubscribe}}"}}):
        assert (await manager.post("/v1/messages", json=NEWS | what)).status_code == 202


@pytest.mark.usefixtures("ann")
@pytest.mark.parametrize(("body", "pointer", "code"), WRONG)
async def test_a_wrong_message_is_refused_with_its_place(manager: httpx.AsyncClient, body: dict[str, Any], pointer: str, code: str) -> None:
    answer = await manager.post("/v1/messages", json=body)
    assert answer.status_code == 422
    assert {"pointer": pointer, "code": code}.items() <= answer.json()["errors"][0].items()


async def test_an_unknown_user_is_404(manager: httpx.AsyncClient) -> None:
    body = {"channel": "email", "user_id": "nobody", "content": CONTENT}
    assert (await manager.post("/v1/messages", json=body)).status_code == 404


async def test_the_apps_sender_is_taken_where_none_is_named(manager: httpx.AsyncClient, database: Database) -> None:
    async with database.transaction() as connection:
        await connection.exec_driver_sql("""UPDATE apps SET settings = '{"from": "Demo <demo@example.com>"}'""")
    assert (await manager.post("/v1/messages", json=MAIL | {"content": {"subject": "Hi", "text": "x"}})).status_code == 202
    async with database.transaction() as connection:
        parts = (await connection.exec_driver_sql("SELECT content -> 'parts' ->> 'from' FROM direct_sends")).scalar_one()
    assert parts == "Demo <demo@example.com>"


async def test_messages_are_filtered_and_paged(manager: httpx.AsyncClient) -> None:
    for number in range(3):
        await manager.post("/v1/messages", json=MAIL | {"address": f"a{number}@example.com"})
    page = (await manager.get("/v1/messages", params={"limit": 2, "state": "planned", "channel": "email"})).json()
    rest = (await manager.get("/v1/messages", params={"limit": 2, "cursor": page["next"]})).json()
    assert [m["address"] for m in page["items"] + rest["items"]] == ["a2@example.com", "a1@example.com", "a0@example.com"]
    assert (await manager.get("/v1/messages", params={"state": "sent"})).json()["items"] == []


async def test_a_caller_says_whether_a_message_is_counted(manager: httpx.AsyncClient, database: Database) -> None:
    for wish in (False, {"opens": False}, None):
        assert (await manager.post("/v1/messages", json={**MAIL, "tracking": wish})).status_code == 202
    async with database.transaction() as connection:
        kept = (await connection.exec_driver_sql("SELECT content -> 'tracking' FROM direct_sends ORDER BY created_at")).scalars().all()
    assert kept == [False, {"opens": False}, None]
    assert (await manager.post("/v1/messages", json={**MAIL, "tracking": {"open": False}})).status_code == 422


LABELLED = {"headers": {"X-Order": "7 größer"}, "tags": {"campaign": "spring"}}


async def test_mail_takes_headers_and_tags(manager: httpx.AsyncClient, database: Database) -> None:
    given = MAIL | {"content": CONTENT | LABELLED}
    assert (await manager.post("/v1/messages", json=given)).status_code == 202
    async with database.transaction() as connection:
        kept = (await connection.exec_driver_sql("SELECT content -> 'parts' FROM direct_sends")).scalar_one()
    assert LABELLED.items() <= kept.items()


@pytest.mark.parametrize(
    ("labels", "pointer", "code"),
    [
        ({"headers": {"bcc": "eve@example.com"}}, "/content/headers/bcc/[key]", "bad_header_name"),
        ({"headers": {"X-A\r\nBcc": "eve"}}, "/content/headers/X-A\r\nBcc/[key]", "bad_header_name"),
        ({"headers": {"X-A": "hush\r\nBcc: eve@example.com"}}, "/content/headers/X-A", "unsafe_header"),
        ({"headers": {"X-A": "=?utf-8?q?hush=0ABcc:_e@x?="}}, "/content/headers/X-A", "unsafe_header"),
        ({"headers": {"X-A": "a", "x-a": "b"}}, "/content/headers", "written_twice"),
        ({"headers": {f"X-{n}": "a" for n in range(11)}}, "/content/headers", "too_long"),
        ({"tags": {"sojourn_message": "hush"}}, "/content/tags/sojourn_message/[key]", "bad_tag_name"),
        ({"tags": {"campaign": "hush hush"}}, "/content/tags/campaign", "bad_tag"),
        ({"tags": {f"t{n}": "a" for n in range(6)}}, "/content/tags", "too_long"),
    ],
)
async def test_headers_and_tags_that_no_mail_may_have_are_named(
    manager: httpx.AsyncClient, labels: dict[str, Any], pointer: str, code: str
) -> None:
    answer = await manager.post("/v1/messages", json=MAIL | {"content": CONTENT | labels})
    assert answer.status_code == 422
    assert {"pointer": pointer, "code": code}.items() <= answer.json()["errors"][0].items()
    assert answer.json()["errors"][0]["message"]
    assert "hush" not in answer.text


BILL = {"name": "bill.pdf", "type": "application/pdf", "content": "JVBERi0xLjcK"}


@pytest.mark.usefixtures("ann")
async def test_files_go_with_mail_by_template_or_content(manager: httpx.AsyncClient, database: Database) -> None:
    for body in (MAIL, {"channel": "email", "user_id": "ann", "template": "receipt"}):
        assert (await manager.post("/v1/messages", json=body | {"attachments": [BILL]})).status_code == 202
    async with database.transaction() as connection:
        kept = (await connection.exec_driver_sql("SELECT content -> 'attachments' FROM direct_sends")).scalars().all()
    assert kept == [[BILL], [BILL]]


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        (MAIL | {"attachments": [BILL | {"name": "../bill.pdf"}]}, "/attachments/0/name", "bad_file_name"),
        (MAIL | {"attachments": [BILL, BILL | {"type": "multipart/mixed"}]}, "/attachments/1/type", "bad_content_type"),
        (MAIL | {"attachments": [BILL | {"content": "no base64"}]}, "/attachments/0/content", "not_base64"),
        (MAIL | {"attachments": [BILL | {"content": "JVBERi0x\nLjcK"}]}, "/attachments/0/content", "not_base64"),
        (MAIL | {"attachments": [BILL | {"url": "https://a.example"}]}, "/attachments/0/url", "extra_forbidden"),
        (MAIL | {"attachments": [BILL] * 11}, "/attachments", "too_long"),
        (MAIL | {"attachments": [BILL | {"content": "AAAA" * 1_200_000}] * 2}, "/attachments", "too_large"),
        (
            {"channel": "sms", "address": "+4915112345678", "content": {"text": "x"}, "attachments": [BILL]},
            "",
            "no_attachments",
        ),
    ],
)
async def test_files_that_cannot_go_with_a_message_are_named(
    manager: httpx.AsyncClient, body: dict[str, Any], pointer: str, code: str
) -> None:
    answer = await manager.post("/v1/messages", json=body)
    assert answer.status_code == 422
    assert {"pointer": pointer, "code": code}.items() <= answer.json()["errors"][0].items()
