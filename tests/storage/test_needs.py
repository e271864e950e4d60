"""Who lacks what a template requires, as rendering finds it when the message is made."""

import pytest
from sqlalchemy import select, text

from channels.template_locales import best, normal
from storage.database import Database
from storage.needs import Need, lacks
from storage.tables import users

VARIANTS = ["", "de", "de-at", "pt-br", "zh-hant"]
LOCALES = [
    *(None, "", "de", "DE", "de_AT.UTF-8", "de-AT-1996", "de-ATX", "de-CH", "dex", " de-at ", "de@euro", "pt", "pt_BR", "pt-BRA"),
    *("zh-Hant-TW", "zh-Hans", "de-", "de--at", "german", "C", "12", "dé", "fr-FR", "de-at-a"),
]
_PERSON = text("INSERT INTO users (app, user_id, locale, attributes) VALUES ('demo', :user_id, :locale, CAST(:attributes AS jsonb))")
_ADDRESS = text("""
    INSERT INTO endpoints (app, user_id, channel, address, address_hash, state, device, confirmed_at)
    SELECT 'demo', id, :channel, CAST(:address AS text), sha256(convert_to(:address, 'UTF8')), :state, CAST(:device AS jsonb),
        now() - make_interval(days => :age)
    FROM users WHERE user_id = :user_id
""")


async def lacking(database: Database, need: Need) -> set[str]:
    async with database.transaction() as connection:
        found = await connection.execute(select(users.c.user_id).where(users.c.app == "demo", lacks(need)), {"app": "demo"})
        return set(found.scalars())


@pytest.mark.parametrize("place", ["of the person", "in an attribute"])
async def test_everybody_reads_the_variant_that_rendering_gives_them(database: Database, place: str) -> None:
    async with database.transaction() as connection:
        for number, locale in enumerate(LOCALES):
            is_own = place == "of the person"
            person = {"user_id": f"p{number}", "locale": locale if is_own else None, "attributes": {} if is_own else {"locale": locale}}
            await connection.execute(_PERSON, person)
    theirs = {f"p{number}": best(normal(locale or ""), VARIANTS[1:]) for number, locale in enumerate(LOCALES)}
    assert set(theirs.values()) == set(VARIANTS)
    for variant in VARIANTS:
        readers = {user_id for user_id, read in theirs.items() if read == variant}
        assert await lacking(database, Need("user.name", "email", [variant], VARIANTS)) == readers, variant


async def test_null_and_an_empty_text_are_as_good_as_nothing(database: Database) -> None:
    values = {"none": {}, "null": {"name": None}, "empty": {"name": ""}, "ann": {"name": "Ann"}, "zero": {"name": 0}, "no": {"name": False}}
    async with database.transaction() as connection:
        for user_id, attributes in values.items():
            await connection.execute(_PERSON, {"user_id": user_id, "locale": None, "attributes": attributes})
    assert await lacking(database, Need("user.name", "email")) == {"none", "null", "empty"}
    assert await lacking(database, Need("user.name.first", "email")) == set(values)
    assert await lacking(database, Need("user.user_id", "email")) == set()


async def test_a_device_is_that_of_the_addresses_to_which_the_message_goes(database: Database) -> None:
    known, unknown = {"model": "M1"}, {"model": ""}
    addresses = [
        *(("both", "push", unknown, 2, "active"), ("both", "push", known, 1, "active")),
        *(("newest", "email", unknown, 2, "active"), ("newest", "email", known, 1, "active")),
        *(("older", "email", known, 2, "active"), ("older", "email", unknown, 1, "active")),
        *(("left", "email", known, 2, "active"), ("left", "email", unknown, 1, "inactive")),
    ]
    async with database.transaction() as connection:
        for user_id in ("both", "newest", "older", "left", "nowhere"):
            await connection.execute(_PERSON, {"user_id": user_id, "locale": None, "attributes": {}})
        for number, (user_id, channel, device, age, state) in enumerate(addresses):
            row = {"user_id": user_id, "channel": channel, "device": device, "age": age, "state": state}
            await connection.execute(_ADDRESS, {**row, "address": f"a{number}@example.com"})
    assert await lacking(database, Need("device.model", "push")) == {"both"}
    assert await lacking(database, Need("device.model", "email")) == {"older"}
    everybody = {"both", "newest", "older", "left", "nowhere"}
    assert await lacking(database, Need("device.model", "in_app")) == everybody, "there is no address, and no device"
