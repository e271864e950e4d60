"""Unsubscribe tokens: whoever holds one may leave one topic; nobody can make one."""

import random

from channels.links import Unsubscribe, read_unsubscribe, unsubscribe_url

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
        assert changed == good or read_unsubscribe(SECRET, changed) in (None, Unsubscribe("demo", 7, 12, "news"))
        if changed.rstrip("=") != good and read_unsubscribe(SECRET, changed) is not None:
            # Base64 ignores the unused bits of its last character: the same bytes, so the same signature.
            assert at == len(good) - 1


def test_another_secret_signs_nothing_for_us() -> None:
    assert read_unsubscribe(SECRET, token("b" * 32)) is None


def test_a_retired_secret_still_lets_people_leave() -> None:
    assert read_unsubscribe("b" * 32, token(), retired=(SECRET,)) == Unsubscribe("demo", 7, 12, "news")


def test_garbage_is_no_token() -> None:
    for garbage in ("", ".", "a.b.c", "é", "x" * 5_000, "00000000." + "A" * 50, "../../etc/passwd"):
        assert read_unsubscribe(SECRET, garbage) is None
