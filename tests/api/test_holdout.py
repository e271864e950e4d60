"""What being held out of the whole app came to, beside a count by hand."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest
from sqlalchemy import text

from cli.holdout import lines
from journeys.language.assign import AppHoldout, in_app_holdout
from journeys.language.rates import difference_at_once, share
from storage.database import Database

NOW = datetime.now(UTC).replace(microsecond=0)
SINCE, UNTIL = NOW - timedelta(days=10), NOW - timedelta(days=1)
SPAN = {"event": "bought", "since": SINCE.isoformat(), "until": UNTIL.isoformat()}
HOLDOUT = AppHoldout(20, "2027")
PEOPLE = 400
_PEOPLE = text("""
    INSERT INTO users (app, user_id, created_at) SELECT 'demo', 'p' || n, CAST(:at AS timestamptz) FROM generate_series(1, :people) n
""")
_EVENT = text("""
    INSERT INTO events (app, received_at, user_id, event_id, name, occurred_at)
    SELECT 'demo', now(), id, :id || user_id, :name, CAST(:at AS timestamptz) FROM users WHERE user_id = ANY(CAST(:who AS text[]))
""")


@pytest.fixture
async def people(manager: httpx.AsyncClient, database: Database) -> list[str]:
    """Who bought: every tenth of those held out, every fourth of the others, who are told apart by Python."""
    await manager.patch("/v1/settings", json={"holdout": {"percent": 20, "salt": "2027"}})
    held = [name for name in (f"p{n}" for n in range(1, PEOPLE + 1)) if in_app_holdout(HOLDOUT, "demo", name)]
    others = [name for name in (f"p{n}" for n in range(1, PEOPLE + 1)) if name not in held]
    bought = [*held[::10], *others[::4]]
    async with database.transaction() as connection:
        await connection.execute(_PEOPLE, {"at": SINCE - timedelta(days=1), "people": PEOPLE})
        await connection.execute(text("INSERT INTO users (app, user_id) VALUES ('demo', 'late')"))
        # Somebody whom nobody knows by an id yet is in neither.
        await connection.execute(text("INSERT INTO users (app, created_at) VALUES ('demo', '2026-01-01Z')"))
        for number, (who, name, at) in enumerate(
            [
                (bought, "bought", SINCE),
                (bought[:9], "bought", SINCE + timedelta(days=2)),  # twice is once
                (["late"], "bought", SINCE + timedelta(days=2)),  # was not known before
                (held, "bought", SINCE - timedelta(seconds=1)),
                (held, "bought", UNTIL),
                (held, "looked", SINCE + timedelta(days=1)),
            ]
        ):
            await connection.execute(_EVENT, {"id": f"e{number}", "who": who, "name": name, "at": at})
    return held


async def test_who_is_held_out_is_compared_with_all_others(manager: httpx.AsyncClient, people: list[str]) -> None:
    told = (await manager.get("/v1/holdout/results", params=SPAN)).json()
    held, others = len(people), PEOPLE - len(people)
    assert (told["held_out"]["n"], told["held_out"]["of"]) == (-(-held // 10), held)
    assert (told["others"]["n"], told["others"]["of"]) == (-(-others // 4), others)
    difference = difference_at_once(share(-(-others // 4), others), share(-(-held // 10), held))
    assert difference is not None
    assert (told["difference"]["low"], told["difference"]["high"]) == (difference.low, difference.high)
    assert (told["percent"], told["salt"], told["is_mismatched"]) == (20, "2027", False)


async def test_who_was_found_to_be_somebody_counts_as_that_person(
    manager: httpx.AsyncClient, people: list[str], database: Database
) -> None:
    before = (await manager.get("/v1/holdout/results", params=SPAN)).json()
    async with database.transaction() as connection:
        lazy = (await connection.execute(text("SELECT id FROM users u WHERE user_id = :name"), {"name": people[1]})).scalar_one()
        await connection.execute(
            text("INSERT INTO users (app, merged_into, created_at) VALUES ('demo', :lazy, CAST(:at AS timestamptz))"),
            {"lazy": lazy, "at": SINCE - timedelta(days=3)},
        )
        await connection.execute(
            text(
                "INSERT INTO events (app, received_at, user_id, event_id, name, occurred_at)"
                " SELECT 'demo', now(), id, 'joined', 'bought', CAST(:at AS timestamptz) FROM users WHERE merged_into = :lazy"
            ),
            {"lazy": lazy, "at": SINCE + timedelta(days=1)},
        )
    after = (await manager.get("/v1/holdout/results", params=SPAN)).json()
    assert (after["held_out"]["n"], after["held_out"]["of"]) == (before["held_out"]["n"] + 1, before["held_out"]["of"])


async def test_another_share_of_people_than_the_setting_says_is_warned_of(
    manager: httpx.AsyncClient, people: list[str], database: Database
) -> None:
    async with database.transaction() as connection:
        await connection.execute(text("DELETE FROM users WHERE user_id = ANY(:who)"), {"who": people})
    told = (await manager.get("/v1/holdout/results", params=SPAN)).json()
    assert (told["held_out"], told["difference"], told["is_mismatched"]) == (None, None, True)
    assert any("trust no result" in line for line in lines(told, "bought"))


async def test_an_app_that_holds_nobody_out_has_no_results(manager: httpx.AsyncClient) -> None:
    refused = await manager.get("/v1/holdout/results", params=SPAN)
    assert (refused.status_code, "PATCH /v1/settings" in refused.json()["detail"]) == (409, True)


@pytest.mark.parametrize(
    ("changed", "pointer"),
    [({"since": "2027-01-01T00:00:00"}, "/since"), ({"until": SINCE.isoformat()}, "/until")],
)
async def test_a_span_that_is_none_names_what_is_wrong(
    manager: httpx.AsyncClient, people: list[str], changed: dict[str, str], pointer: str
) -> None:
    refused = await manager.get("/v1/holdout/results", params={**SPAN, **changed})
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, pointer)


async def test_the_terminal_shows_both_with_where_the_truth_lies(manager: httpx.AsyncClient, people: list[str]) -> None:
    told = (await manager.get("/v1/holdout/results", params=SPAN)).json()
    shown = "\n".join(lines(told, "bought"))
    assert f"{len(people):>11,}" in shown
    assert "points (" in shown
