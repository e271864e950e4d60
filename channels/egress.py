"""Where a call of ours may go when somebody else wrote the address: public addresses only, judged by what the name resolves to.

The name is resolved once, every answer is judged, and the connection is made to the judged address, so that a name which changes its mind
in between gains nothing.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import SplitResult, urlsplit

from channels.base import NotSent, Rejected

Address = IPv4Address | IPv6Address
Resolve = Callable[[str, int], Awaitable[list[str]]]

_PORTS = {"http": 80, "https": 443}
_URL_LIMIT = 2_000
_RESOLVE_S = 3.0
_NAT64 = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))
# `is_global` alone is wrong: it is true of these on some of the Pythons that we support (reliability.md, section 5).
_DENIED = tuple(
    ip_network(network)
    for network in (
        *("0.0.0.0/8", "100.64.0.0/10", "168.63.129.16/32", "169.254.0.0/16", "192.0.0.0/24", "192.88.99.0/24", "198.18.0.0/15"),
        *("224.0.0.0/4", "240.0.0.0/4", "::/96", "::ffff:0:0:0/96", "100::/64", "2001::/23", "2001:db8::/32", "3fff::/20", "5f00::/16"),
        *("fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8"),
    )
)


@dataclass(frozen=True)
class Destination:
    """A judged place: connect to `address` and `port`, and speak to it as `host`."""

    url: SplitResult
    host: str
    port: int
    address: Address

    @property
    def url_by_address(self) -> str:
        """The address to connect to, as a URL with the same path and query."""
        shown = f"[{self.address}]" if self.address.version == 6 else str(self.address)  # noqa: PLR2004 - IPv6
        return self.url._replace(netloc=f"{shown}:{self.port}", fragment="").geturl()

    @property
    def host_header(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.url.scheme] else f"{host}:{self.port}"


async def resolve_by_system(host: str, port: int) -> list[str]:
    """All addresses of a name, as the system's resolver gives them. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


class Egress:
    """Judges addresses. `may_reach_loopback` lets a developer's own machine be called, on any port; nothing else becomes open."""

    def __init__(self, *, may_reach_loopback: bool = False, resolve: Resolve = resolve_by_system) -> None:
        self._may_reach_loopback = may_reach_loopback
        self._resolve = resolve

    async def judge(self, url: str) -> Destination:
        """Find where `url` leads. Raises Rejected where it must not be called, NotSent where its name cannot be resolved now."""
        parts, host, port = _parsed(url)
        addresses = await self._judged(host, port)
        if port != _PORTS[parts.scheme] and not all(address.is_loopback for address in addresses):
            raise Rejected("only ports 80 and 443 may be called")
        return Destination(parts, host, port, addresses[0])

    async def judge_host(self, host: str, port: int) -> Address:
        """Find the address to connect to for what is no URL. The port is the caller's to judge. Raises as `judge` does."""
        return (await self._judged(host, port))[0]

    async def _judged(self, host: str, port: int) -> list[Address]:
        addresses = await self._addresses(host, port)
        if not all(self._may_be_called(address) for address in addresses):
            raise Rejected("the address is not a public one")
        return addresses

    async def _addresses(self, host: str, port: int) -> list[Address]:
        try:
            async with asyncio.timeout(_RESOLVE_S):
                found = await self._resolve(host, port)
        except (OSError, UnicodeError, TimeoutError) as error:
            raise NotSent("the name of the address cannot be resolved") from error
        if not found:
            raise NotSent("the name of the address has no answer")
        return [ip_address(text.partition("%")[0]) for text in found]

    def _may_be_called(self, address: Address) -> bool:
        if self._may_reach_loopback and address.is_loopback:
            return True
        return is_public(address) and not _is_own(address)


def is_public(address: Address) -> bool:
    """Tell whether an address is one of the open internet, whatever it is wrapped in."""
    inner = _inner(address)
    return inner.is_global and not any(each in network for each in (address, inner) for network in _DENIED if _same_family(each, network))


def _same_family(address: Address, network: object) -> bool:
    return getattr(network, "version", None) == address.version


def _inner(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for: mapped, 6to4, NAT64, Teredo."""
    if isinstance(address, IPv4Address):
        return address
    if any(address in network for network in _NAT64):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else address)


def _is_own(address: Address) -> bool:
    """Tell whether this machine has the address: then the kernel would use it as the source too. Nothing is sent."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6  # noqa: PLR2004 - IPv4
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((str(address), 9))
            return bool(probe.getsockname()[0] == str(address))
        except OSError:
            return False


def _parsed(url: str) -> tuple[SplitResult, str, int]:
    if len(url) > _URL_LIMIT or not url.isascii() or not url.isprintable() or any(character in url for character in ' \\"<>^`{|}'):
        raise Rejected("the address is not a plain URL")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise Rejected("the address is not a URL") from error
    if parts.scheme not in _PORTS or not host:
        raise Rejected("only http and https addresses with a host may be called")
    if "@" in parts.netloc or "%" in parts.netloc:
        raise Rejected("an address with credentials or escapes in its host may not be called")
    return parts, host, port or _PORTS[parts.scheme]
