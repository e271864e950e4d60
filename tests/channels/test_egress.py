"""Calls to addresses that somebody else wrote reach public places only; a canary on loopback must never be hit."""

import asyncio
from collections.abc import AsyncIterator
from ipaddress import ip_address

import pytest

from channels.base import NotSent, Rejected
from channels.egress import Egress, is_public
from tests.channels.places import PLACES

# Judging an address asks the system for the way there: a UDP socket is connected, and nothing is sent.
pytestmark = pytest.mark.allow_hosts(["127.0.0.1", "::1", "localhost", "93.184.215.14", "2606:2800:220:1::1"])


class Canary:
    def __init__(self) -> None:
        self.hits = 0
        self.port = 0

    async def hit(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.hits += 1
        writer.close()


@pytest.fixture
async def canary() -> AsyncIterator[Canary]:
    found = Canary()
    server = await asyncio.start_server(found.hit, "127.0.0.1", 0)
    found.port = server.sockets[0].getsockname()[1]
    yield found
    server.close()


def answering(*addresses: str) -> Egress:
    async def resolve(_host: str, _port: int) -> list[str]:
        return list(addresses)

    return Egress(resolve=resolve)


@pytest.mark.parametrize("place", PLACES)
async def test_no_spelling_of_an_inner_place_is_called(place: str, canary: Canary) -> None:
    with pytest.raises((Rejected, NotSent)):
        await Egress().judge(place.format(port=canary.port))
    assert canary.hits == 0


async def test_one_inner_address_among_public_ones_spoils_the_name() -> None:
    with pytest.raises(Rejected):
        await answering("93.184.215.14", "127.0.0.1").judge("https://example.org/")


async def test_a_public_name_is_called_at_the_address_that_was_judged() -> None:
    found = await answering("93.184.215.14").judge("https://example.org/hook?a=1#part")
    assert found.url_by_address == "https://93.184.215.14:443/hook?a=1"
    assert found.host_header == "example.org"


async def test_an_address_of_version_6_is_written_in_brackets() -> None:
    found = await answering("2606:2800:220:1::1").judge("http://example.org/")
    assert found.url_by_address == "http://[2606:2800:220:1::1]:80/"


async def test_other_ports_than_those_of_the_web_are_refused() -> None:
    for port in (22, 25, 5432, 6379, 8080):
        with pytest.raises(Rejected):
            await answering("93.184.215.14").judge(f"https://example.org:{port}/")


async def test_a_name_that_cannot_be_resolved_may_be_tried_again() -> None:
    async def fail(_host: str, _port: int) -> list[str]:
        raise OSError

    with pytest.raises(NotSent):
        await Egress(resolve=fail).judge("https://example.org/")
    with pytest.raises(NotSent):
        await answering().judge("https://example.org/")


async def test_loopback_is_open_only_when_it_is_said_so_and_nothing_else_with_it(canary: Canary) -> None:
    open_egress = Egress(may_reach_loopback=True)
    assert str((await open_egress.judge(f"http://127.0.0.1:{canary.port}/")).address) == "127.0.0.1"
    for inner in ("http://10.0.0.1/", "http://169.254.169.254/", "http://[fe80::1]/"):
        with pytest.raises(Rejected):
            await open_egress.judge(inner)


@pytest.mark.parametrize("text", ["93.184.215.14", "1.1.1.1", "2606:2800:220:1::1", "64:ff9b::5db8:d70e", "2002:5db8:d70e::1"])
def test_public_addresses_are_public_whatever_they_are_wrapped_in(text: str) -> None:
    assert is_public(ip_address(text))
