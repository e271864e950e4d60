"""Tokens of links and pixels: short, and only ours."""

import random
from dataclasses import replace
from uuid import UUID

import pytest

from channels.tracking import Mark, Signer, link_hash, read_click, read_open

SECRET, OLD, OTHER = "s" * 32, "o" * 32, "x" * 32
APPS = ("demo", "other")
URL = "https://shop.example/sale"
MARK = Mark("demo", UUID("019a0000-0000-8000-8000-000000000001"), link_hash("demo", URL))
OPEN = replace(MARK, link=b"")
SIGNER = Signer("https://c.example", SECRET)
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def click_token(secret: str = SECRET, mark: Mark = MARK) -> str:
    return Signer("", secret).click_url(mark).removeprefix("/c/")


def open_token(secret: str = SECRET, mark: Mark = OPEN) -> str:
    return Signer("", secret).open_url(mark).removeprefix("/o/").removesuffix(".gif")


def test_a_link_in_a_text_message_is_short() -> None:
    path = SIGNER.click_url(MARK).removeprefix("https://c.example")
    assert len(path) <= 60
    assert read_click(path.removeprefix("/c/"), [SECRET], APPS) == MARK


def test_a_pixel_says_its_message() -> None:
    assert read_open(open_token(), [SECRET], APPS) == OPEN


def test_a_secret_of_before_is_still_accepted() -> None:
    assert read_click(click_token(OLD), [SECRET, OLD], APPS) == MARK
    assert read_click(click_token(OLD), [SECRET], APPS) is None


@pytest.mark.parametrize(
    "token", ["", "x", "A" * 56, "A" * 48, "é" * 56, "A" * 1_000_000, click_token() + "=", click_token() + "\n", open_token()]
)
def test_what_is_no_token_of_a_link_is_none(token: str) -> None:
    assert read_click(token, [SECRET], APPS) is None


def test_a_token_of_one_kind_is_none_of_the_other() -> None:
    assert read_open(click_token(), [SECRET], APPS) is None
    assert read_open(click_token()[:48], [SECRET], APPS) is None


def forged(token: str, rng: random.Random) -> str:
    """One way or another of changing a token."""
    make, mark = (click_token, MARK) if len(token) == 56 else (open_token, OPEN)
    at = rng.randrange(1, len(token))
    return rng.choice(
        [
            token[:at] + rng.choice(ALPHABET.replace(token[at], "")) + token[at + 1 :],  # one to six bits
            token[:at],  # cut off
            token + token[:at],
            make(mark=replace(mark, app="other"))[:8] + token[8:],  # another app's name before our signature
            make(secret=rng.choice([OTHER, "y" * 32])),  # another key
            token[:2] + make(secret=OTHER)[2:],  # the id of our key before another's signature
            make(mark=replace(mark, message_id=UUID(int=rng.getrandbits(128))))[:32] + token[32:],  # another message
            token[at:] + token[:at],  # parts swapped
            "".join(rng.choice(ALPHABET) for _ in token),
        ]
    )


def test_ten_thousand_forged_tokens_are_none_of_ours() -> None:
    rng = random.Random(5)
    accepted = 0
    for number in range(10_000):
        token, read = (click_token(), read_click) if number % 2 else (open_token(), read_open)
        attempt = forged(token, rng)
        assert attempt != token
        accepted += read(attempt, [SECRET, OLD], APPS) is not None
    assert accepted == 0


def test_every_single_bit_of_a_token_is_signed() -> None:
    token = click_token()
    flipped = [
        token[:at] + ALPHABET[ALPHABET.index(character) ^ (1 << bit)] + token[at + 1 :]
        for at, character in enumerate(token)
        for bit in range(6)
    ]
    assert len(set(flipped)) == 336
    assert [each for each in flipped if read_click(each, [SECRET], APPS)] == []


def test_two_apps_name_one_address_differently() -> None:
    assert link_hash("demo", URL) != link_hash("other", URL)
