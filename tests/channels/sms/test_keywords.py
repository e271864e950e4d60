"""However people spell STOP, it is understood; and what only holds the word is left to a person."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.sms.keywords import HELP, START, STOP, YES, meaning

CORPUS = json.loads((Path(__file__).parents[2] / "corpus" / "stop_words.json").read_text())
NOT_STOP = [(row["text"], row["meaning"]) for row in CORPUS["not_stop"]]


def test_the_corpus_is_as_large_as_was_promised() -> None:
    assert len(set(CORPUS["stop"])) >= 200
    assert len({text for text, _ in NOT_STOP}) >= 60


@pytest.mark.parametrize("text", CORPUS["stop"], ids=ascii)
def test_every_spelling_of_stop_is_understood(text: str) -> None:
    assert meaning(text) == "stop"


@pytest.mark.parametrize(("text", "meant"), NOT_STOP, ids=ascii)
def test_what_is_no_stop_is_not_taken_for_one(text: str, meant: str) -> None:
    assert meaning(text) == meant


@given(st.text(max_size=200))
def test_any_text_has_a_meaning(text: str) -> None:
    assert meaning(text) in {"stop", "start", "yes", "help", "unclear", "nothing"}


@given(st.sampled_from(sorted(STOP)), st.sampled_from(["", " ", ".", "!", "\u200b", "\n", " please", "\ufeff"]), st.booleans())
def test_any_word_of_leaving_is_one_in_any_case_and_with_anything_around_it(word: str, around: str, is_small: bool) -> None:
    assert meaning((word.lower() if is_small else word) + around) == "stop"


def test_no_word_has_two_meanings() -> None:
    lists = (STOP, START, YES, HELP)
    assert sum(map(len, lists)) == len(frozenset().union(*lists))
