"""Unsubscribe tokens: whoever holds one may leave one topic; nobody can make one."""

import hashlib
import random
from datetime import UTC, datetime

import pytest
from itsdangerous import URLSafeSerializer

from channels.links import (
    Confirm,
    Preferences,
    Unsubscribe,
    confirm_url,
    preferences_url,
    read_confirm,
    read_preferences,
    read_unsubscribe,
    unsubscribe_url,
)

SECRET = "a" * 32


def token(secret: str = SECRET) -> str:
    return unsubscribe_url("https://acme.example/", secret, "demo", 7, 12, "news").rpartition("/")[2]


def test_a_link_says_who_wants_to_leave_what() -> None:
    assert read_unsubscribe(SECRET, token()) == Unsubscribe("demo", 7, 12, "news")


def test_a_link_is_short_enough_for_a_header_and_safe_in_a_path() -> None:
    url = unsubscribe_url("https://acme.example/", SECRET, "demo", 2**53, 2**53, "t" * 60)
    assert url.startswith("https://acme.example/unsubscribe/")
    assert len(url) < 400
    assert all(character.isalnum() or character in "-_." for character in url.rpartition("/")[2])


def test_a_changed_token_is_none_of_ours() -> None:
    rng = random.Random(1)
    good = token()
    for _ in range(2_000):
        at = rng.randrange(len(good))
        changed = good[:at] + chr((ord(good[at]) + rng.randrange(1, 60)) % 95 + 32) + good[at + 1 :]
        assert changed == good or read_unsubscribe(SECRET, changed) is None


@pytest.mark.parametrize("topic", ["news", "t" * 200])  # the second is long enough to be compressed
def test_links_in_mails_that_people_have_kept_are_read(topic: str) -> None:
    """Links were written by itsdangerous alone; ours are the same to the letter where it compresses nothing."""
    writer = URLSafeSerializer(
        SECRET, salt="sojourn.unsubscribe", signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256}
    )
    kept = f"{token().partition('.')[0]}.{writer.dumps(['demo', 7, 12, topic])}"
    assert read_unsubscribe(SECRET, kept) == Unsubscribe("demo", 7, 12, topic)
    assert (kept == token()) is (topic == "news")


def test_another_secret_signs_nothing_for_us() -> None:
    assert read_unsubscribe(SECRET, token("b" * 32)) is None


def test_a_retired_secret_still_lets_people_leave() -> None:
    assert read_unsubscribe("b" * 32, token(), retired=(SECRET,)) == Unsubscribe("demo", 7, 12, "news")


def test_garbage_is_no_token() -> None:
    for garbage in ("", ".", "a.b.c", "é", "x" * 5_000, "00000000." + "A" * 50, "../../etc/passwd"):
        assert read_unsubscribe(SECRET, garbage) is None


SOON = datetime(2026, 12, 1, tzinfo=UTC)
READERS = (read_unsubscribe, read_preferences, read_confirm)
TOKENS = (
    token(),
    preferences_url("https://acme.example", SECRET, "demo", 7, 12).rpartition("/")[2],
    confirm_url("https://acme.example", SECRET, Confirm("demo", 7, 3, SOON)).rpartition("/")[2],
)


def test_each_link_says_what_it_was_made_for_and_opens_no_other_page() -> None:
    read = [[reader(SECRET, each) for reader in READERS] for each in TOKENS]
    assert [found[at] for at, found in enumerate(read)] == [
        Unsubscribe("demo", 7, 12, "news"),
        Preferences("demo", 7, 12),
        Confirm("demo", 7, 3, SOON),
    ]
    assert sum(each is None for found in read for each in found) == 6


def test_of_ten_thousand_forged_tokens_none_is_accepted() -> None:
    """Another secret, another payload under an old signature, another signature under the payload, a piece of two, garbage."""
    rng = random.Random(4711)
    accepted = 0
    for _ in range(10_000):
        head, payload, signature = rng.choice(TOKENS).split(".")
        other_payload, other_signature = unsubscribe_url("https://acme.example", "b" * 32, "demo", rng.randrange(99), 1, "x").split(".")[
            -2:
        ]
        forged = rng.choice(
            [
                f"{head}.{other_payload}.{other_signature}",
                f"{head}.{other_payload}.{signature}",
                f"{head}.{payload}.{other_signature}",
                f"{head}.{payload[:-1]}.{signature}",
                f"{head}.{payload}.{signature[:-2]}",
                f"{head}.{payload}",
                f"{head[::-1]}.{payload}.{signature}",
                "".join(rng.choices("abcdefghijklmnopqrstuvwxyz0123456789-_.", k=rng.randrange(1, 200))),
            ]
        )
        accepted += sum(reader(SECRET, forged) is not None for reader in READERS)
    assert accepted == 0
