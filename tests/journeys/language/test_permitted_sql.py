"""What the SQL of a segment may say."""

import pytest

from journeys.language.permitted_sql import faults

PERMITTED = (
    "SELECT user_id FROM users WHERE attributes ->> 'plan' = 'it''s; gold (--'",
    "select u.user_id from users u join events e on e.user_id = u.id group by 1 having count(*) > 3 and max(e.occurred_at) < now",
    "WITH new AS (SELECT user_id AS id FROM events WHERE name = 'x') SELECT user_id FROM users WHERE id IN (SELECT id FROM new)",
    "SELECT user_id FROM users WHERE (attributes ->> 'lifetime_value')::numeric(12, 2) >= 200.5e0 AND 'ä' <> user_id",
)


@pytest.mark.parametrize("statement", PERMITTED)
def test_a_select_over_tables_of_sojourn_may_be_asked(statement: str) -> None:
    assert list(faults(statement)) == []


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("DELETE FROM users", "SELECT or WITH"),
        ("", "SELECT or WITH"),
        ("SELECT 1; SELECT 2", "semicolon"),
        ("SELECT set_config('sojourn.app', 'other', true)", "set_config"),
        ("SELECT pg_catalog . set_config ('role', 'x', true)", "set_config"),
        ("SELECT query_to_xml ('select 1', true, true, '')", "query_to_xml"),
        ("SELECT pg_sleep(100)", "pg_sleep"),
        ("SELECT usename FROM pg_user", "Postgres itself"),
        ("SELECT 1 FROM information_schema.tables", "Postgres itself"),
        ('SELECT "set_config"(1)', "double quotes"),
        ("SELECT $$x$$", "dollar"),
        ("SELECT E'\\''", "without a letter"),
        ("SELECT U&'x'", "no &"),
        ("SELECT user_id -- all", "no comments"),
        ("SELECT set_config/**/('a', 'b', true)", "no comments"),
        ("SELECT 'open", "not closed"),
        ("SELECT 1) x, (SELECT 2", "bracket"),
        ("SELECT (1", "bracket"),
        ("SELECT \u017fet_config(1)", "ASCII"),
        ("SELECT 1 OPERATOR(public.+) 1", "OPERATOR"),
    ],
)
def test_what_could_do_more_than_read_may_not(statement: str, words: str) -> None:
    assert any(words in fault for fault in faults(statement)), list(faults(statement))
