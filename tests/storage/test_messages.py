"""The ledger's ids are the same in Python and in SQL, for ever."""

from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from storage.database import Database
from storage.ids import message_id
from storage.messages import id_bounds

# Golden: a change of any of these would send everything that is on its way once more.
VECTORS = [
    (datetime(2026, 1, 1, tzinfo=UTC), ("demo", "s", "welcome", 1, "1"), "019b76da-a800-86e3-92e9-1cbb9baacfae"),
    (datetime(2026, 11, 23, 18, 47, 59, 999999, tzinfo=UTC), ("demo", "s", "welcome", 1, "none"), "01a209bc-86ff-829e-ac2f-ccbe002171ab"),
    (datetime(1970, 1, 1, tzinfo=UTC), ("a", "", "", 0, ""), "00000000-0000-8d0c-b4cd-52c5a83ddf6b"),
    (datetime(2038, 1, 19, 3, 14, 8, 1, tzinfo=UTC), ("äpp", "direct:ключ", "paso-ñ", 12, "4"), "01f40000-0000-8440-8658-6ec35f06ff35"),
]  # fmt: skip
IN_SQL = text("SELECT message_id(:began_at, :app, :source, :step, :visit, :target)")


@pytest.mark.parametrize(("began_at", "parts", "golden"), VECTORS)
async def test_a_message_id_is_what_it_always_was(
    database: Database, began_at: datetime, parts: tuple[str, str, str, int, str], golden: str
) -> None:
    app, source, step, visit, target = parts
    assert str(message_id(began_at, app, source, step, visit, target)) == golden
    named = {"began_at": began_at, "app": app, "source": source, "step": step, "visit": visit, "target": target}
    async with database.transaction() as connection:
        assert str((await connection.execute(IN_SQL, named)).scalar_one()) == golden


words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
moments = st.datetimes(datetime(1970, 1, 1), datetime(2400, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - the zone is given apart


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(moments, words, words, words, st.integers(0, 2**31 - 1), words), min_size=1, max_size=20))
async def test_python_and_sql_agree_on_any_message_id(database: Database, asked: list[tuple[datetime, str, str, str, int, str]]) -> None:
    async with database.transaction() as connection:
        for began_at, app, source, step, visit, target in asked:
            named = {"began_at": began_at, "app": app, "source": source, "step": step, "visit": visit, "target": target}
            found = (await connection.execute(IN_SQL, named)).scalar_one()
            assert found == message_id(began_at, app, source, step, visit, target)


@given(moments, words)
def test_the_bounds_of_a_moment_hold_every_id_of_it(began_at: datetime, target: str) -> None:
    first, last = id_bounds(began_at)
    assert first <= message_id(began_at, "demo", "s", "step", 1, target) <= last


def test_parts_that_run_together_alike_have_other_ids() -> None:
    began_at = datetime(2026, 1, 1, tzinfo=UTC)
    assert message_id(began_at, "demo", "ab", "c", 1, "1") != message_id(began_at, "demo", "a", "bc", 1, "1")
