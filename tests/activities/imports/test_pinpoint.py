"""Files of Amazon Pinpoint: what its imports read and its exports wrote, row by row of the table in activities/imports/pinpoint.py."""

from datetime import UTC, datetime
from typing import Any

import orjson

from storage import endpoints, people
from storage.database import Database
from storage.endpoints import Confirmed
from tests.activities.imports.runs import bad_rows, imported
from tests.activities.imports.test_importing import addresses, ask, attributes

CSV = (
    "ChannelType,Address,Id,OptOut,Location.Country,Demographic.Timezone,Attributes.Interests,Metrics.Miles,User.UserId,"
    "User.UserAttributes.FirstName,User.UserAttributes.Tags,User.UserAttributes.Tags\n"
    "EMAIL,Ann@Example.com,e1,NONE,DE,Europe/Berlin,music,12.5,ann,Ann,a,b\n"
    "SMS,+4915112345678,e2,ALL,,,,,ann,,,\n"
    "EMAIL,bob@example.com,e3,,,UTC+01,,many,bob,Bob,,\n"
    "EMAIL,cid@example.com,,,,UTC+01,,,,Cid,,\n"
    "CUSTOM,https://example.com/hook,e5,,,,,,dan,,,\n"
)


def line(**endpoint: Any) -> bytes:
    return orjson.dumps(endpoint) + b"\n"


async def test_csv_with_dotted_headers_is_read(database: Database) -> None:
    job = await imported(database, CSV)
    assert job.result["is_pinpoint"]
    assert await attributes(database, "ann") == {"FirstName": ["Ann"], "Tags": ["a", "b"], "location": {"country": "DE"}}
    assert await ask(database, "SELECT timezone FROM users WHERE user_id = 'ann'") == [("Europe/Berlin",)]
    found = await addresses(database)
    assert found[:2] == [("ann", "email", "ann@example.com", "active"), ("ann", "sms", "+4915112345678", "active")]
    [(device,)] = await ask(database, "SELECT device FROM endpoints WHERE channel = 'email' AND address = 'ann@example.com'")
    assert device == {"attributes": {"Interests": ["music"]}, "metrics": {"Miles": 12.5}}
    assert await ask(database, "SELECT channel, topic, state, source FROM consents") == [("sms", "*", "withdrawn", "import")]
    # An endpoint that names nobody makes a user of its own.
    assert found[2][0].startswith("pinpoint-")


async def test_what_has_no_place_is_named_and_a_bad_row_costs_itself(database: Database) -> None:
    job = await imported(database, CSV)
    assert job.result["not_mapped"] == {"Address of ChannelType CUSTOM": 1, "Demographic.Timezone that is no IANA zone": 1}
    assert [(each.line, each.field, each.code) for each in await bad_rows(database, job)] == [(4, "Metrics.Miles", "no_number")]
    assert await ask(database, "SELECT user_id FROM users WHERE user_id IN ('bob', 'dan')") == [("dan",)]


async def test_json_lines_of_an_export_are_read(database: Database) -> None:
    token = "a" * 64
    lines = line(
        Id="e1", ApplicationId="x", ChannelType="APNS", Address=token, EndpointStatus="INACTIVE", OptOut="NONE", CohortId="7",
        EffectiveDate="2026-01-31T10:00:00.000Z", Demographic={"Platform": "ios", "Model": "iPhone", "Locale": "de_DE"},
        User={"UserId": "ann", "UserAttributes": {"Plan": ["pro"], "Tags": ["a", "b"]}}, Extra=1,
    ) + line(ChannelType="EMAIL", Address="bob@example.com", User={"UserId": "bob"})  # fmt: skip
    job = await imported(database, lines, unwrap=True)
    assert (job.result["users_created"], job.result["not_mapped"]) == (2, {"Extra": 1})
    assert await attributes(database, "ann") == {"Plan": "pro", "Tags": ["a", "b"]}
    assert await addresses(database) == [("ann", "push", token, "inactive"), ("bob", "email", "bob@example.com", "active")]
    assert await ask(database, "SELECT device, reason FROM endpoints WHERE channel = 'push'") == [
        ({"os": "ios", "model": "iPhone", "type": "apns"}, "imported")
    ]
    [(clock,)] = await ask(database, "SELECT attribute_clock -> 'Plan' ->> 0 FROM users WHERE user_id = 'ann'")
    assert clock == "1769853600000000"


async def test_what_a_later_file_says_of_an_address_counts_and_an_older_one_changes_nothing(database: Database) -> None:
    async def said(interest: str, as_of: str) -> Any:
        found = line(ChannelType="EMAIL", Address="ann@example.com", User={"UserId": "ann"}, Attributes={"Interests": [interest]})
        await imported(database, found, as_of=as_of)
        return await ask(database, "SELECT device FROM endpoints")

    assert await said("tea", "2026-03-01T00:00:00Z") == [({"attributes": {"Interests": ["tea"]}},)]
    assert await said("cake", "2026-04-01T00:00:00Z") == [({"attributes": {"Interests": ["cake"]}},)]
    assert await said("tea", "2026-02-01T00:00:00Z") == [({"attributes": {"Interests": ["cake"]}},)]
    async with database.transaction() as connection:
        known = Confirmed(await people.internal_id(connection, "demo", "ann"), "email", "ann@example.com", datetime.now(UTC))
        await endpoints.confirm(connection, "demo", [known])
    assert await ask(database, "SELECT device FROM endpoints") == [({"attributes": {"Interests": ["cake"]}},)]


async def test_what_is_said_of_no_address_is_named(database: Database) -> None:
    job = await imported(database, line(User={"UserId": "ann"}, Attributes={"Interests": ["tea"]}, Metrics={"Miles": 2}))
    assert job.result["not_mapped"] == {"Attributes of an endpoint without Address": 1, "Metrics of an endpoint without Address": 1}


async def test_a_file_of_user_ids_alone_makes_users_and_puts_them_on_a_list(database: Database) -> None:
    async with database.transaction() as connection:
        await connection.exec_driver_sql("INSERT INTO segments (app, name, kind) VALUES ('demo', 'friends', 'static')")
    job = await imported(database, "User.UserId\nann bob\ncid\n", segment="friends")
    assert (job.result["users_created"], job.result["put_on_list"]) == (3, 3)


async def test_the_same_endpoints_twice_change_nothing(database: Database) -> None:
    await imported(database, CSV)
    second = await imported(database, CSV)
    assert (second.result["users_created"], second.result["users_changed"]) == (0, 0)
    assert await ask(database, "SELECT count(*) FROM consents") == [(1,)]


async def test_who_came_back_since_the_moment_of_the_file_is_not_taken_out_again(database: Database) -> None:
    await imported(database, CSV)
    async with database.transaction() as connection:
        await connection.exec_driver_sql(
            "INSERT INTO consents (app, user_id, channel, topic, state, source)"
            " SELECT app, user_id, channel, topic, 'granted', 'page' FROM consents"
        )
    await imported(database, CSV, as_of="2026-01-01T00:00:00Z")
    assert await ask(database, "SELECT state FROM consents ORDER BY id") == [("withdrawn",), ("granted",)]
