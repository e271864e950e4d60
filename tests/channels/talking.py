"""What the tests of every WhatsApp and voice provider share: a rig around one kind of message."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from channels.base import Adapter, NotSent, Outgoing
from tests.channels.messages import outgoing
from tests.channels.provider import Accepts, FakeProvider, Request, Response, provider
from tests.channels.sms.rig import NUMBER


@dataclass
class TalkRig:
    """`parts` is what every message says, `big_parts` what no provider takes."""

    provider: FakeProvider
    adapter: Adapter
    away: Adapter
    id_of: Callable[[Request], str]
    parts: dict[str, Any]
    big_parts: dict[str, Any]

    def message(self, parts: dict[str, Any] | None = None, **changes: object) -> Outgoing:
        return outgoing(self.adapter.channel, parts or self.parts, **{"address": NUMBER, **changes})

    def big(self) -> Outgoing:
        return self.message(self.big_parts)

    async def arrived(self) -> list[str]:
        return [self.id_of(request) for request in self.provider.requests]


class Verified:
    """What `verify` must do, beside the contract: one look that sends nothing. `looks` checks its request, for good credentials."""

    looks: Callable[[Request], None]

    async def test_an_account_is_verified_by_one_look_that_sends_nothing(self, rig: TalkRig) -> None:
        def look(request: Request) -> Response:
            type(self).looks(request)
            return Response(200, b"{}")

        rig.provider.accepts = look
        await rig.adapter.verify()
        assert len(rig.provider.requests) == 1

    @pytest.mark.parametrize("answer", [Response(401, b"{}"), Response(403, b"{}"), Response(503, b"")])
    async def test_an_account_that_does_not_work_says_why(self, rig: TalkRig, answer: Response) -> None:
        rig.provider.accepts = lambda _request: answer
        with pytest.raises(NotSent):
            await rig.adapter.verify()

    async def test_a_provider_that_is_away_verifies_nothing(self, rig: TalkRig) -> None:
        with pytest.raises(NotSent):
            await rig.away.verify()


@asynccontextmanager
async def talk_rig(
    make: Callable[[str], Adapter], accepts: Accepts, id_of: Callable[[Request], str], parts: dict[str, Any], big_parts: dict[str, Any]
) -> AsyncIterator[TalkRig]:
    """`make` builds the adapter for a base URL."""
    async with provider(accepts) as found:
        rig = TalkRig(found, make(found.base_url), make("http://127.0.0.1:1"), id_of, parts, big_parts)
        yield rig
        await rig.adapter.close()
        await rig.away.close()
