"""People's rows and the lock on them."""

from typing import Any

import pytest
from sqlalchemy import text

from storage import users
from storage.attributes import LOCALE, TIMEZONE, Profile
from storage.database import Contended, Database
from storage.users import Change


async def make(database: Database, *names: str | None) -> list[int]:
    async with database.transaction() as connection:
        statement = text("INSERT INTO users (app, user_id) VALUES ('demo', :name) RETURNING id")
        return [int((await connection.execute(statement, {"name": name})).scalar_one()) for name in names]


async def change(database: Database, statement: str, **values: Any) -> None:
    async with database.transaction() as connection:
        await connection.execute(text(statement), values)


async def test_locking_returns_the_profiles_that_were_asked_for(database: Database) -> None:
    ada, guest = await make(database, "ada", None)
    profile = Profile({"plan": "gold", TIMEZONE: "Europe/Rome", LOCALE: "it"}, {"plan": [1, "e"], TIMEZONE: [1, "e"], LOCALE: [1, "e"]})
    async with database.transaction("demo") as connection:
        await users.lock_users(connection, "demo", {ada: True, guest: False})
        await users.store(connection, "demo", {ada: Change(profile)})
        assert await users.lock_users(connection, "demo", {ada: True, guest: False}, profiles_of=[ada]) == {ada: profile}


async def test_somebody_who_became_known_or_was_joined_meanwhile_is_contended(database: Database) -> None:
    ada, guest = await make(database, "ada", None)
    await change(database, "UPDATE users SET user_id = 'eve' WHERE id = :guest", guest=guest)
    with pytest.raises(Contended):
        async with database.transaction("demo") as connection:
            await users.lock_users(connection, "demo", {guest: False})
    await change(database, "UPDATE users SET merged_into = :ada WHERE id = :guest", ada=ada, guest=guest)
    with pytest.raises(Contended):
        async with database.transaction("demo") as connection:
            await users.lock_users(connection, "demo", {guest: True})


async def test_a_user_id_that_is_there_stays(database: Database) -> None:
    ada, guest = await make(database, "ada", None)
    async with database.transaction("demo") as connection:
        await users.store(connection, "demo", {ada: Change(Profile(), "other"), guest: Change(Profile(), "eve")})
    async with database.transaction() as connection:
        rows = await connection.execute(text("SELECT user_id FROM users ORDER BY id"))
        assert list(rows.scalars()) == ["ada", "eve"]


async def test_another_apps_people_are_neither_locked_nor_changed(database: Database) -> None:
    (ada,) = await make(database, "ada")
    await change(database, "INSERT INTO apps (id, name) VALUES ('other', '')")
    async with database.transaction("other") as connection:
        with pytest.raises(Contended):
            await users.lock_users(connection, "other", {ada: True}, profiles_of=[ada])
        await users.store(connection, "other", {ada: Change(Profile({"plan": "gold"}, {"plan": [1, "e"]}))})
    async with database.transaction("demo") as connection:
        assert (await users.lock_users(connection, "demo", {ada: True}, profiles_of=[ada]))[ada] == Profile()


async def test_a_person_is_found_by_either_id(database: Database) -> None:
    (ada,) = await make(database, "ada")
    await change(
        database, "INSERT INTO identities (app, kind, value, user_id) VALUES ('demo', 'u', 'ada', :ada), ('demo', 'a', 'x', :ada)", ada=ada
    )
    async with database.transaction("demo") as connection:
        assert await users.resolve(connection, "demo", user_id="ada") == ada
        assert await users.resolve(connection, "demo", anonymous_id="x") == ada
        assert await users.resolve(connection, "demo", user_id="x") is None
