import httpx
import pytest
from sqlalchemy import text

from storage import templates
from storage.database import Database

PHONE = {"channel": "sms", "address": "+49 151 12345678"}
MAIL = {"channel": "email", "address": "eve@example.com"}


@pytest.fixture
async def shop(manager: httpx.AsyncClient, database: Database) -> httpx.AsyncClient:
    """An app that may send codes to Germany, and who its mails are from."""
    async with database.transaction() as connection:
        settings = {"from": "us@example.com", "otp": {"countries": ["DE"], "seconds_between": 0}}
        await connection.execute(text("UPDATE apps SET settings = :settings WHERE id = 'demo'"), {"settings": settings})
    return manager


async def contents(database: Database) -> list[dict[str, object]]:
    async with database.transaction() as connection:
        return list((await connection.execute(text("SELECT content FROM direct_sends ORDER BY created_at"))).scalars())


async def test_a_code_goes_out_and_what_is_typed_in_is_verified(shop: httpx.AsyncClient, database: Database) -> None:
    asked = await shop.post("/v1/otp", json={"to": [PHONE, MAIL]})
    assert asked.status_code == 202
    [content] = await contents(database)
    assert isinstance(content["parts"], dict)
    words = content["parts"]["text"]
    assert words.endswith("is your code for Demo. It is valid for 10 minutes.")
    assert content["tracking"] is False
    wrong = await shop.post("/v1/otp/verify", json={"id": asked.json()["id"], "code": f"{(int(words[:6]) + 1) % 1_000_000:06}"})
    right = await shop.post("/v1/otp/verify", json={"id": asked.json()["id"], "code": words[:6]})
    assert (wrong.status_code, wrong.json()) == (200, {"verified": False})
    assert (right.status_code, right.json()) == (200, {"verified": True})


async def test_a_repeat_with_the_same_key_sends_no_second_code(shop: httpx.AsyncClient, database: Database) -> None:
    answers = [await shop.post("/v1/otp", json={"to": [MAIL]}, headers={"idempotency-key": "login-1"}) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert len(await contents(database)) == 1


async def test_the_answer_is_the_same_for_somebody_nobody_knows(shop: httpx.AsyncClient, database: Database) -> None:
    await shop.put("/v1/users/ann", json={})
    await shop.post("/v1/users/ann/endpoints", json={"channel": "email", "address": "ann@example.com"})
    known, unknown = [await shop.post("/v1/otp", json={"user_id": who, "channels": ["sms", "email"]}) for who in ("ann", "nobody")]
    assert (known.status_code, known.json().keys()) == (unknown.status_code, unknown.json().keys())
    assert len(await contents(database)) == 1


async def test_a_template_gets_the_code_and_its_minutes(shop: httpx.AsyncClient, database: Database) -> None:
    async with database.transaction() as connection:
        await templates.publish(connection, "demo", "sign-in", {"sms.txt": "{{ entry.code }} for {{ entry.what | default('x') }}"}, "h")
    asked = {"to": [PHONE], "template": "sign-in", "data": {"what": "the shop"}, "expires_in_s": 300, "length": 8}
    assert (await shop.post("/v1/otp", json=asked)).status_code == 202
    [content] = await contents(database)
    assert content["template"] == "sign-in"
    data = content["data"]
    assert isinstance(data, dict)
    assert (data["what"], data["minutes"], len(data["code"])) == ("the shop", 5, 8)


async def test_asking_too_often_is_told_with_the_time_to_come_back(manager: httpx.AsyncClient, database: Database) -> None:
    async with database.transaction() as connection:
        await connection.execute(text("UPDATE apps SET settings = :settings"), {"settings": {"from": "us@example.com"}})
    await manager.post("/v1/otp", json={"to": [MAIL]})
    again = await manager.post("/v1/otp", json={"to": [MAIL]})
    assert (again.status_code, again.json()["code"]) == (429, "asked_too_often")
    assert 1 <= int(again.headers["retry-after"]) <= 60


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({"to": [{"channel": "sms", "address": "+1 212 555 0100"}]}, "/to", "country_not_allowed"),
        ({"to": [MAIL, PHONE, {"channel": "voice", "address": "+1 212 555 0100"}]}, "/to", "country_not_allowed"),  # as the last way too
        ({"to": [{"channel": "sms", "address": "12"}]}, "/to/0/address", "invalid_phone"),
        ({"to": [{"channel": "whatsapp", "address": "+4915112345678"}]}, "/template", "no_template"),
        ({"to": [MAIL], "template": "nowhere"}, "/template", "no_template"),
        ({"to": [MAIL], "user_id": "ann"}, "", "one_recipient"),
        ({"user_id": "ann"}, "", "no_channels"),
        ({"to": [MAIL], "length": 4}, "/length", "greater_than_equal"),
    ],
)
async def test_what_cannot_be_sent_is_refused_with_its_field(shop: httpx.AsyncClient, body: object, pointer: str, code: str) -> None:
    answer = await shop.post("/v1/otp", json=body)
    assert answer.status_code == 422
    assert [(each["pointer"], each["code"]) for each in answer.json()["errors"]] == [(pointer, code)]


async def test_a_users_number_of_another_country_is_no_way_where_it_comes_second(shop: httpx.AsyncClient, database: Database) -> None:
    await shop.put("/v1/users/ann", json={})
    for channel, address in (("email", "ann@example.com"), ("sms", "+12125550100"), ("voice", "+4915112345678")):
        await shop.post("/v1/users/ann/endpoints", json={"channel": channel, "address": address})
    assert (await shop.post("/v1/otp", json={"user_id": "ann", "channels": ["email", "sms", "voice"]})).status_code == 202
    async with database.transaction() as connection:
        ways = (await connection.execute(text("SELECT ways FROM one_time_codes"))).scalar_one()
    assert ways == [["email", "ann@example.com"], ["voice", "+4915112345678"]]


async def test_whoever_changes_only_the_first_address_is_refused(shop: httpx.AsyncClient) -> None:
    await shop.patch("/v1/settings", json={"otp": {"countries": ["DE"], "seconds_between": 0, "per_hour": 2}})
    asked = [{"to": [{"channel": "email", "address": f"{n}@example.com"}, PHONE]} for n in range(3)]
    answers = [await shop.post("/v1/otp", json=body) for body in asked]
    assert [answer.status_code for answer in answers] == [202, 202, 429]
    assert int(answers[2].headers["retry-after"]) > 3000


async def test_without_a_list_of_countries_no_phone_gets_a_code(manager: httpx.AsyncClient) -> None:
    answer = await manager.post("/v1/otp", json={"to": [PHONE]})
    assert answer.json()["errors"][0]["code"] == "no_countries"
    assert "otp.countries" in answer.json()["errors"][0]["message"]
    set_now = await manager.patch("/v1/settings", json={"otp": {"countries": ["DE"]}})
    assert set_now.json()["otp"] == {"countries": ["DE"]}
    assert (await manager.post("/v1/otp", json={"to": [PHONE]})).status_code == 202
