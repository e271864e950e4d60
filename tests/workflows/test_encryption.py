"""With a key, Temporal stores nothing of a person that can be read; without it, or with another, nothing is made up."""

import base64
import os

import pytest
from temporalio.api.common.v1 import Payload

from journeys.language.errors import ConfigurationError
from workflows.encryption import ENCODING, data_converter


def key() -> str:
    return base64.b64encode(os.urandom(32)).decode()


async def test_what_is_encrypted_comes_back_and_shows_nothing_meanwhile() -> None:
    converter = data_converter([key()])
    stored = await converter.encode([{"email": "ann@example.com"}])
    assert stored[0].metadata["encoding"] == ENCODING
    assert b"ann" not in stored[0].SerializeToString()
    assert await converter.decode(stored, [dict]) == [{"email": "ann@example.com"}]


async def test_after_a_rotation_old_payloads_are_read_and_new_ones_use_the_new_key() -> None:
    old, new = key(), key()
    stored = await data_converter([old]).encode(["before"])
    rotated = data_converter([new, old])
    assert await rotated.decode(stored, [str]) == ["before"]
    assert (await rotated.encode(["after"]))[0].metadata["key"] != stored[0].metadata["key"]


async def test_payloads_from_before_the_first_key_are_read_as_they_are() -> None:
    plain = await data_converter([]).encode(["plain"])
    assert await data_converter([key()]).decode(plain, [str]) == ["plain"]


async def test_a_missing_key_and_a_changed_payload_are_named() -> None:
    mine = key()
    stored = await data_converter([mine]).encode(["secret"])
    with pytest.raises(ConfigurationError, match="lacks a key"):
        await data_converter([key()]).decode(stored, [str])
    changed = Payload(metadata=stored[0].metadata, data=stored[0].data[:-1] + bytes([stored[0].data[-1] ^ 1]))
    with pytest.raises(ConfigurationError, match="was changed"):
        await data_converter([mine]).decode([changed], [str])


@pytest.mark.parametrize("text", ["", "no base64!", base64.b64encode(b"short").decode()])
def test_a_bad_key_is_refused_with_its_remedy(text: str) -> None:
    with pytest.raises(ConfigurationError, match="openssl rand"):
        data_converter([text])
