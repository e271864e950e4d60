"""`best_time` on real Postgres: what it goes by, that it is written once, and what people are told."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from activities.questions import MomentWanted
from activities.steps import Steps
from api.words import moment_words
from journeys.language import best_time, hours
from journeys.language.facts import EventFact
from journeys.language.zones import utc_to_local
from storage import best_hours
from tests.activities.town import APP, Town, enroll


async def asked(town: Town, enrollment_id: UUID, *, visit: int = 1, captured: dict[str, EventFact] | None = None) -> datetime:
    wanted = MomentWanted(APP, str(enrollment_id), best_time(within=hours(24)), captured or {}, "wait", visit)
    found = await Steps(town.database).instant(wanted)
    assert found is not None
    return found


async def reads(town: Town, hour: int, times: int, *, name: str = "message_opened") -> None:
    """Somebody opens a message on each of so many days at this hour, UTC."""
    at = datetime.now(UTC).replace(hour=hour, minute=20, second=0, microsecond=0)
    for day in range(1, times + 1):
        ago_s = (datetime.now(UTC) - at + timedelta(days=day)).total_seconds()
        await town.event(name, ago_s=ago_s, message_id=f"{hour}-{day}")


async def told(town: Town) -> list[str]:
    rows = await town.run("SELECT step, verdict FROM step_outcomes ORDER BY step, visit")
    return [moment_words("step", {"journey": "onboarding", "step": row.step, "verdict": row.verdict}) for row in rows]


def another_hour() -> int:
    """Some hours from now, so that it is not this one while the test runs."""
    return (datetime.now(UTC).hour + 5) % 24


async def test_it_is_the_hour_at_which_they_read_and_people_are_told_why(town: Town) -> None:
    hour = another_hour()
    await reads(town, hour, 7)
    await reads(town, (hour + 9) % 24, 2, name="message_clicked")
    await town.event("message_opened", ago_s=60, message_id=f"{hour}-1")  # once more: the first counts
    until = await asked(town, await enroll(town))
    assert (utc_to_local(until, UTC).hour, until.minute) == (hour, 0)
    assert until <= datetime.now(UTC) + timedelta(hours=24)
    [words] = await told(town)
    assert words.startswith("onboarding: wait: waits until ")
    assert words.endswith(f"(UTC): 7 of 9 times they opened or clicked between {hour} and {(hour + 1) % 24} o'clock")


async def test_it_is_said_once_whatever_is_learned_meanwhile(town: Town) -> None:
    enrollment_id = await enroll(town)
    first = await asked(town, enrollment_id)
    await reads(town, another_hour(), 9)
    assert await asked(town, enrollment_id) == first
    assert await asked(town, enrollment_id, visit=2) > first
    started_over = {"wait": EventFact("e-2", "cart_updated", datetime.now(UTC))}
    assert await asked(town, enrollment_id, captured=started_over) > first
    assert len(await told(town)) == 2


async def test_it_is_in_their_zone_which_their_number_tells(town: Town) -> None:
    await town.endpoint("sms", "+819012345678")  # Tokyo, nine hours ahead
    await reads(town, another_hour(), 7)
    await asked(town, await enroll(town))
    [row] = await town.run("SELECT verdict FROM step_outcomes")
    assert (row.verdict["zone"], row.verdict["hour"]) == ("Asia/Tokyo", (another_hour() + 9) % 24)


async def test_who_has_read_too_little_gets_everybodys_hour_and_before_any_is_known_it_is_now(town: Town) -> None:
    before = datetime.now(UTC)
    assert await asked(town, await enroll(town)) - before < timedelta(minutes=5)
    assert "goes on at once: nothing is known yet" in (await told(town))[0]
    hour = another_hour()
    await reads(town, hour, 3)
    many = [0.0] * 24
    many[hour] = 300.0
    await town.run(
        "INSERT INTO reading_hours (app, hours, counted_until) VALUES ('demo', :hours, now())",
        hours=many,
    )
    assert (await asked(town, await enroll(town, key="2"))).hour == hour
    assert any("people here read most" in words for words in await told(town))


async def test_everybodys_hours_are_counted_once_an_hour_on_each_wall(town: Town) -> None:
    await town.run("UPDATE users SET timezone = 'Asia/Tokyo'")
    await reads(town, 3, 4)
    await town.event("order_placed")
    soon = datetime.now(UTC) + timedelta(seconds=5)

    async def count() -> list[float]:
        async with town.database.transaction() as connection:
            await best_hours.count_everybody(connection, soon)
            return await best_hours.of_everybody(connection, APP)

    assert [round(each) for each in await count()] == [4 if hour == 12 else 0 for hour in range(24)]
    assert sum(await count()) < 4.01, "the same events are not counted again"
