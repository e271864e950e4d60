"""What the tests of every push provider share: one push with every field that it can say, and the keys of both sides."""

import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, cast

from channels.base import Adapter, Outgoing
from tests.channels.messages import outgoing
from tests.channels.provider import FakeProvider, Request

TITLE, BODY = "Größe, 大小, 🎈", "Ihre Bestellung ist unterwegs: 大小 🎈"
PARTS: Mapping[str, Any] = {
    "title": TITLE,
    "body": BODY,
    "url": "https://acme.example/orders/17?a=1&b=ü",
    "data": {"order_id": "A-17", "words": "größe 🎈"},
    "ttl": 3600,
}


def push(address: str, parts: Mapping[str, Any] = PARTS, **changes: Any) -> Outgoing:
    return outgoing("push", dict(parts), **{"address": address, **changes})


class _Verifiable(Protocol):
    async def verify(self) -> None: ...


@dataclass
class PushRig:
    provider: FakeProvider
    adapter: Adapter
    away: Adapter
    address: str
    id_of: Callable[[Request], str]

    def message(self, **changes: object) -> Outgoing:
        return push(**{"address": self.address, **changes})  # type: ignore[arg-type]

    def big(self) -> Outgoing:
        return self.message(parts={**PARTS, "data": {"order_id": "x" * 6200}})

    async def arrived(self) -> list[str]:
        return [self.id_of(request) for request in self.provider.requests]

    async def verify(self) -> None:
        await cast("_Verifiable", self.adapter).verify()

    async def sent(self, parts: Mapping[str, Any], **changes: object) -> Request:
        """Send one push and return the request that it made."""
        self.provider.requests.clear()
        await self.adapter.send(self.message(parts=parts, deadline=time.monotonic() + 10, **changes))
        [request] = self.provider.requests
        return request


def base64url(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()
