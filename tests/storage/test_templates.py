"""Published templates: immutable versions, one of them live."""

from storage import templates
from storage.database import Database

FIRST = {"sms.txt": "Hello"}
SECOND = {"sms.txt": "Hello again"}


async def test_the_live_version_is_what_was_published_last(database: Database) -> None:
    async with database.transaction("demo") as connection:
        assert await templates.publish(connection, "demo", "welcome", FIRST, "a") == 1
        assert await templates.publish(connection, "demo", "welcome", SECOND, "b") == 2
        live = await templates.live(connection, "demo", "welcome")
    assert live is not None
    assert (live.version, live.files) == (2, SECOND)


async def test_the_same_content_again_is_the_same_version(database: Database) -> None:
    async with database.transaction("demo") as connection:
        await templates.publish(connection, "demo", "welcome", FIRST, "a")
        assert await templates.publish(connection, "demo", "welcome", FIRST, "a") == 1


async def test_older_content_goes_live_again_under_its_old_number(database: Database) -> None:
    async with database.transaction("demo") as connection:
        await templates.publish(connection, "demo", "welcome", FIRST, "a")
        await templates.publish(connection, "demo", "welcome", SECOND, "b")
        assert await templates.publish(connection, "demo", "welcome", FIRST, "a") == 1
        live = await templates.live(connection, "demo", "welcome")
    assert live is not None
    assert live.version == 1


async def test_a_version_that_is_not_live_can_still_be_read(database: Database) -> None:
    async with database.transaction("demo") as connection:
        await templates.publish(connection, "demo", "welcome", FIRST, "a")
        await templates.publish(connection, "demo", "welcome", SECOND, "b")
        first = await templates.version(connection, "demo", "welcome", 1)
    assert first is not None
    assert first.files == FIRST


async def test_templates_are_listed_by_name_with_their_live_version(database: Database) -> None:
    async with database.transaction("demo") as connection:
        await templates.publish(connection, "demo", "welcome", FIRST, "a")
        await templates.publish(connection, "demo", "app-guide", FIRST, "a")
        await templates.publish(connection, "demo", "welcome", SECOND, "b")
        listed = await templates.page(connection, "demo")
    assert [(template.name, template.version) for template in listed] == [("app-guide", 1), ("welcome", 2)]


async def test_another_app_sees_no_template_of_this_one(database: Database) -> None:
    async with database.transaction() as connection:
        await connection.exec_driver_sql("INSERT INTO apps (id, name) VALUES ('other', 'Other')")
        await templates.publish(connection, "demo", "welcome", FIRST, "a")
    async with database.transaction("other") as connection:
        assert await templates.live(connection, "other", "welcome") is None
        assert await templates.live(connection, "demo", "welcome") is None
        assert await templates.page(connection, "other") == []
