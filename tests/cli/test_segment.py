"""`sojourn segment` against a served API, and segments in files through plan and apply."""

from pathlib import Path

import pytest
from fastapi import FastAPI

from storage.database import Database
from storage.segment_people import Size, SomePerson
from tests.cli.conftest import Command

GOLDEN = """
from journeys.language import Segment, has, trait
segment = Segment("golden", (trait("plan") == "gold") & ~has("push"))
"""


@pytest.fixture
async def room(served: FastAPI, sojourn: Command) -> Path:
    room = Path("journeys")
    (room / "segments").mkdir(parents=True)
    (room / "segments" / "golden.py").write_text(GOLDEN)
    return room


async def with_people(sojourn: Command) -> None:
    await sojourn("users", "set", "ann", '{"plan": "gold"}')
    await sojourn("users", "set", "bob", '{"plan": "free"}')


async def test_a_segment_in_a_file_is_planned_published_and_changed(sojourn: Command, room: Path) -> None:
    told = await sojourn("plan", "--no-history")
    assert "+ segment golden: new\n    + the user's plan is gold and not (has push)" in told
    assert await sojourn("apply") != ""
    assert await sojourn("plan", "--no-history") == "Nothing differs from what is live."
    (room / "segments" / "golden.py").write_text(GOLDEN.replace('gold"', 'free"'))
    told = await sojourn("plan", "--no-history")
    assert "~ segment golden: changed (now live: version 1)\n    - the user's plan is gold and" in told


async def test_a_plan_holds_only_while_the_segment_is_as_it_was(sojourn: Command, room: Path) -> None:
    await sojourn("plan", "--no-history", "--out", "kept")
    (room / "segments" / "golden.py").write_text(GOLDEN.replace("push", "email"))
    await sojourn("apply")
    assert "segment golden was published (version 1)" in await sojourn("apply", "kept", code=1)


async def test_a_journey_that_asks_for_a_segment_which_is_nowhere_is_not_published(sojourn: Command, room: Path) -> None:
    (room / "asks.py").write_text(
        "from journeys.language import *\n"
        'journey = Journey("asks", starts_on=event("x"), steps=[If("rich", in_segment("gone"), then=[Exit("out", "rich")])])\n'
    )
    assert "asks: there is no segment gone" in await sojourn("plan", "--no-history", code=1)
    (room / "asks.py").write_text((room / "asks.py").read_text().replace('"gone"', '"golden"'))
    assert "+ asks: a new journey" in await sojourn("plan", "--no-history")


async def test_segments_are_listed_shown_counted_and_explained(sojourn: Command, room: Path) -> None:
    assert await sojourn("segment", "list") == "None: no segment is published."
    await with_people(sojourn)
    await sojourn("apply")
    assert "golden   dynamic  1        the user's plan is gold and not (has push)" in await sojourn("segment", "list")
    shown = await sojourn("segment", "show", "golden")
    assert "    attributes: plan" in shown
    assert '"kind": "and"' in await sojourn("segment", "show", "golden", "--json")
    assert await sojourn("segment", "size", "golden") == "1 person"
    assert await sojourn("segment", "who", "golden") == "ann"
    assert (await sojourn("segment", "who", "golden", "bob")).splitlines() == [
        "bob is not in golden",
        "    no  in segment golden",
        "        no  golden means: the user's plan is gold and not (has push)",
        "            no  the user's plan is gold",
        "            yes not (has push)",
        "                no  has push",
    ]
    assert "there is no segment gone in this app" in await sojourn("segment", "size", "gone", code=1)


async def test_a_segment_of_this_folder_is_previewed_without_being_published(sojourn: Command, room: Path) -> None:
    await with_people(sojourn)
    assert (await sojourn("segment", "preview", "golden")).splitlines() == [
        "the user's plan is gold and not (has push): 1 person",
        "    ann",
    ]
    given = '{"kind": "did", "event": "ordered"}'
    told = await sojourn("segment", "preview", "--condition", given)
    assert "0 people" in told
    assert "slow: did('ordered') looks at all of these events" in told
    assert "one of the two" in await sojourn("segment", "preview", code=1)
    assert "no file here writes a segment gone; there are golden" in await sojourn("segment", "preview", "gone", code=1)


async def test_an_older_version_is_made_live_again(sojourn: Command, room: Path) -> None:
    await with_people(sojourn)
    await sojourn("apply")
    (room / "segments" / "golden.py").write_text(GOLDEN.replace('gold"', 'free"'))
    await sojourn("apply")
    newest, oldest = (await sojourn("segment", "versions", "golden")).splitlines()[1:]
    assert newest.strip().startswith("2 live ")
    assert "the user's plan is gold" in oldest
    told = await sojourn("segment", "activate", "golden", "1")
    assert told == "golden is version 1 now: the user's plan is gold and not (has push)"
    assert await sojourn("segment", "who", "golden") == "ann"


async def test_a_segment_is_frozen_into_a_list(sojourn: Command, room: Path) -> None:
    await with_people(sojourn)
    await sojourn("apply")
    assert await sojourn("segment", "freeze", "golden", "golden-then") == "golden-then: 1 person"
    assert "those who were in golden version 1" in await sojourn("segment", "show", "golden-then")


async def test_people_are_put_on_a_list_and_taken_off_it(sojourn: Command, room: Path) -> None:
    await with_people(sojourn)
    assert "there is no segment friends in this app" in await sojourn("segment", "add", "friends", "ann", code=1)
    assert await sojourn("segment", "add", "friends", "ann", "--new") == "1 person put on friends."
    assert await sojourn("segment", "add", "friends", "ann", "bob", "bob") == "1 person put on friends, 1 was on it."
    refused = await sojourn("segment", "remove", "friends", "ann", "zoe", code=1)
    assert "/remove/1: nobody has this id" in refused
    assert await sojourn("segment", "who", "friends") == "ann\nbob"
    assert await sojourn("segment", "remove", "friends", "ann") == "1 person taken off friends."
    assert await sojourn("segment", "remove", "friends", "ann", "bob") == "1 person taken off friends, 1 was not on it."
    assert await sojourn("segment", "who", "friends") == "Nobody is in it."
    await sojourn("apply")
    assert "only a static one has a list" in await sojourn("segment", "add", "golden", "ann", code=1)


async def test_the_plan_of_postgres_is_shown(sojourn: Command, room: Path) -> None:
    await sojourn("apply")
    assert "users" in await sojourn("segment", "explain", "golden")


async def test_an_estimate_comes_first_and_the_exact_number_after_it(
    sojourn: Command, room: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await with_people(sojourn)
    await sojourn("apply")
    monkeypatch.setattr("storage.segment_people.QUICK_S", 0.001)
    monkeypatch.setattr("storage.segment_people.LOOKED_AT", 100)
    async with database.transaction() as connection:
        await connection.exec_driver_sql(
            "INSERT INTO users (app, attributes) SELECT 'demo', jsonb_build_object('plan', 'gold') FROM generate_series(1, 30000)"
        )
    told = (await sojourn("segment", "size", "golden")).splitlines()
    assert told[0].startswith("about ")
    assert told[-1] == "30,001 people"
    told = (await sojourn("segment", "preview", "golden", "--sample", "2")).splitlines()
    assert ": about " in told[0]
    assert (len(told), told[-1]) == (4, "30,001 people")
    monkeypatch.setattr("storage.segment_people.LONGEST_S", 0.001)
    monkeypatch.setattr("storage.segment_people._estimated", estimated_at_leisure)
    told = (await sojourn("segment", "size", "golden")).splitlines()
    assert told[0].startswith("about ")
    assert "Not counted exactly: this took longer than 0.001 seconds" in " ".join(told)


async def estimated_at_leisure(*_: object, **__: object) -> tuple[Size, list[SomePerson]]:
    return Size(30_000, is_exact=False, margin=500), []
