"""Secrets at rest."""

import base64

import pytest

from journeys.language.errors import ConfigurationError
from storage.sealing import Seal

OLD = base64.b64encode(b"o" * 32).decode()
NEW = base64.b64encode(b"n" * 32).decode()


def test_what_is_sealed_opens_at_its_place_and_says_nothing_by_itself() -> None:
    sealed = Seal([OLD]).seal({"api_key": "hush"}, "provider/demo/email/main")
    assert Seal([OLD]).open(sealed, "provider/demo/email/main") == {"api_key": "hush"}
    assert b"hush" not in sealed
    assert sealed != Seal([OLD]).seal({"api_key": "hush"}, "provider/demo/email/main")


def test_a_secret_that_was_carried_to_another_place_does_not_open() -> None:
    sealed = Seal([OLD]).seal({"api_key": "hush"}, "provider/demo/email/main")
    with pytest.raises(ConfigurationError):
        Seal([OLD]).open(sealed, "provider/other/email/main")


def test_a_changed_byte_does_not_open() -> None:
    sealed = bytearray(Seal([OLD]).seal({"api_key": "hush"}, "here"))
    sealed[-1] ^= 1
    with pytest.raises(ConfigurationError):
        Seal([OLD]).open(bytes(sealed), "here")


def test_a_new_key_seals_and_the_old_one_still_opens_until_it_is_gone() -> None:
    sealed = Seal([OLD]).seal({"api_key": "hush"}, "here")
    both = Seal([NEW, OLD])
    assert both.open(sealed, "here") == {"api_key": "hush"}
    assert (both.is_current(sealed), both.is_current(both.seal({}, "here"))) == (False, True)
    with pytest.raises(ConfigurationError, match="SOJOURN_CREDENTIAL_KEYS lacks a key"):
        Seal([NEW]).open(sealed, "here")


@pytest.mark.parametrize("key", ["", "short", base64.b64encode(b"x" * 31).decode(), "ä" * 44])
def test_a_key_that_is_none_is_refused(key: str) -> None:
    with pytest.raises(ConfigurationError):
        Seal([key])


def test_without_a_key_nothing_is_sealed() -> None:
    with pytest.raises(ConfigurationError, match="openssl rand"):
        Seal([]).seal({"api_key": "hush"}, "here")
