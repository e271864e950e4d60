"""Nobody leaves a topic, and nobody is sent anywhere, by a token that we did not make; and looking changes nothing."""

import random
from typing import Any
from uuid import uuid4

import httpx
import pytest

from channels.links import read_unsubscribe, unsubscribe_url
from channels.tracking import Mark, Signer, link_hash
from settings import DEVELOPMENT_SECRET
from storage import tracked_links
from storage.database import Database
from storage.tracked_links import SentLink

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."
OTHER = "x" * 32


def unsubscribe_token(secret: str = DEVELOPMENT_SECRET, app: str = "demo", user: int = 1, topic: str = "general") -> str:
    return unsubscribe_url("", secret, app, user, None, topic).rsplit("/", 1)[1]


def forged(token: str, rng: random.Random) -> str:
    """One way or another of changing the token of an unsubscribe link."""
    at = rng.randrange(1, len(token))
    signature = token.rpartition(".")[2]
    return rng.choice(
        [
            token[:at] + rng.choice(ALPHABET.replace(token[at], "")) + token[at + 1 :],
            token[:at],
            token + token[:at],
            unsubscribe_token(secret=OTHER),
            token.partition(".")[0] + "." + unsubscribe_token(secret=OTHER).partition(".")[2],  # the id of our key before another's
            unsubscribe_token(app="other").rpartition(".")[0] + "." + signature,
            unsubscribe_token(user=rng.randrange(2, 10**9)).rpartition(".")[0] + "." + signature,
            unsubscribe_token(topic="else").rpartition(".")[0] + "." + signature,
            ".".join(reversed(token.split("."))),
            token[at:] + token[:at],
            rng.choice(["", ".", "..", "A" * 1_000_000, "é" * 20, "\x00", token.replace(".", "")]),
        ]
    )


def test_ten_thousand_forged_tokens_let_nobody_leave() -> None:
    rng = random.Random(5)
    token = unsubscribe_token()
    assert read_unsubscribe(DEVELOPMENT_SECRET, token) is not None
    said = [read_unsubscribe(DEVELOPMENT_SECRET, attempt) for attempt in (forged(token, rng) for _ in range(10_000)) if attempt != token]
    assert len(said) > 9_900
    assert [each for each in said if each is not None] == []


async def everything(database: Database) -> dict[str, Any]:
    """All rows of all tables, but what says when a key was last used."""
    tables = (
        "SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')"
        " AND NOT c.relispartition AND c.relname <> 'api_keys' ORDER BY 1"
    )
    rows = "SELECT md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), '')) FROM {} t"
    async with database.transaction() as connection:
        names = (await connection.exec_driver_sql(tables)).scalars().all()
        return {name: (await connection.exec_driver_sql(rows.format(name))).scalar() for name in names}


@pytest.fixture
async def person(manager: httpx.AsyncClient, database: Database) -> int:
    await manager.put("/v1/users/ann", json={})
    async with database.transaction() as connection:
        return int((await connection.exec_driver_sql("SELECT id FROM users")).scalar_one())


async def test_a_thousand_looks_at_the_page_to_leave_change_not_one_row(client: httpx.AsyncClient, database: Database, person: int) -> None:
    link = unsubscribe_url("http://sojourn", DEVELOPMENT_SECRET, "demo", person, None, "general")
    before = await everything(database)
    assert len(before) > 30
    answers = [(await client.get(link)).status_code for _ in range(1_000)]
    assert set(answers) == {200}
    assert await everything(database) == before
    await client.post(link)
    assert await everything(database) != before


async def test_forged_links_and_pixels_change_not_one_row(client: httpx.AsyncClient, database: Database) -> None:
    url = "https://shop.example/"
    mark = Mark("demo", uuid4(), link_hash("demo", url))
    async with database.transaction() as connection:
        await tracked_links.remember(connection, [SentLink("demo", mark.link, url)])
    before = await everything(database)
    token = Signer("", DEVELOPMENT_SECRET).click_url(mark).rsplit("/", 1)[1]
    for at in range(0, 56, 2):
        changed = token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]
        answers = [await client.get(f"http://sojourn/c/{changed}"), await client.get(f"http://sojourn/o/{changed[:48]}.gif")]
        assert [(answer.status_code, "location" in answer.headers) for answer in answers] == [(404, False)] * 2
    assert await everything(database) == before
