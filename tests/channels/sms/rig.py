"""What the tests of every SMS provider share."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from channels.base import Adapter, Outgoing
from channels.sms.text import Senders
from tests.channels.messages import outgoing
from tests.channels.provider import Accepts, FakeProvider, Request, provider

BODY = "Größe & mehr: 大小 🎈"
NUMBER = "+4915112345678"
SENDERS = Senders(("+15005550006",), {"GB": ("ACME",)}, frozenset({"DE", "GB", "IN", "US"}), dlt_entity_id="1201")


def text(body: str | Mapping[str, Any] = BODY, **changes: object) -> Outgoing:
    """A text of these words, or of these parts."""
    parts = {"text": body, "dlt_template_id": "1007"} if isinstance(body, str) else dict(body)
    return outgoing("sms", parts, **{"address": NUMBER, **changes})


@dataclass
class SmsRig:
    provider: FakeProvider
    adapter: Adapter
    away: Adapter
    id_of: Callable[[Request], str]

    def message(self, **changes: object) -> Outgoing:
        return text(**changes)  # type: ignore[arg-type]

    def big(self) -> Outgoing:
        return text("x" * 2001)

    async def arrived(self) -> list[str]:
        return [self.id_of(request) for request in self.provider.requests]


@asynccontextmanager
async def sms_rig(make: Callable[[str], Adapter], accepts: Accepts, id_of: Callable[[Request], str]) -> AsyncIterator[SmsRig]:
    """`make` builds the adapter for a base URL."""
    async with provider(accepts) as found:
        rig = SmsRig(found, make(found.base_url), make("http://127.0.0.1:1"), id_of)
        yield rig
        await rig.adapter.close()
        await rig.away.close()
