"""The sandbox keeps what would have left."""

from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar

import pytest

from channels.base import Ambiguous, Outgoing
from channels.registry import CHANNELS
from channels.sandbox import Kept, Sandbox
from journeys.language.errors import Unavailable
from tests.channels.contract import AdapterContract, Case
from tests.channels.messages import outgoing

GREETING = "Grüße, 大小 🎈"


async def fail(_kept: Kept) -> None:
    raise Unavailable("the database does not answer")


@dataclass
class SandboxRig:
    kept: list[Kept] = field(default_factory=list)
    channel: str = "sms"

    def __post_init__(self) -> None:
        self.adapter = Sandbox(self.channel, self.keep)
        self.away = Sandbox(self.channel, fail)

    async def keep(self, kept: Kept) -> None:
        self.kept.append(kept)

    def message(self, **changes: object) -> Outgoing:
        return outgoing(self.channel, {"text": GREETING}, **changes)

    async def arrived(self) -> list[str]:
        return [str(kept.message_id) for kept in self.kept]


class TestSandbox(AdapterContract):
    kinds = tuple((channel, "sandbox") for channel in CHANNELS)
    has_word_for_dead = False
    away_means = Ambiguous  # it keeps by a commit, whose answer is lost as a provider's is
    cannot: ClassVar = dict.fromkeys(("refusals", "busy", "big"), "it keeps whatever it is given, and at once")

    def unclear(self, rig: SandboxRig) -> list[Case]:
        return [Case("the answer to its commit is lost", partial(setattr, rig, "adapter", rig.away))]

    def see(self, rig: SandboxRig) -> None:
        assert rig.kept[-1].content["text"] == GREETING

    @pytest.fixture(params=CHANNELS)
    def rig(self, request: pytest.FixtureRequest) -> SandboxRig:
        return SandboxRig(channel=request.param)


@pytest.mark.parametrize("channel", CHANNELS)
async def test_every_channel_is_kept_as_its_receiver_would_see_it(channel: str) -> None:
    rig = SandboxRig(channel=channel)
    await rig.adapter.send(rig.message(unsubscribe_url="https://example.org/u"))
    [kept] = rig.kept
    assert (kept.app, kept.channel, kept.recipient) == ("demo", channel, "ann@example.org")
    assert kept.content == {"text": GREETING, "unsubscribe_url": "https://example.org/u"}
