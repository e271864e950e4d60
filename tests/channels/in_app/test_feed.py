"""The adapter of in-app messages: put into a feed, and nothing unknown about it."""

from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import ClassVar

import pytest

from channels.base import Outgoing, Rejected
from channels.in_app.feed import Feed, Shown
from journeys.language.errors import Unavailable
from tests.channels.contract import AdapterContract, Case
from tests.channels.messages import outgoing

BODY = "Größe 日本語"


async def fail(_shown: Shown) -> bool:
    raise Unavailable("the database does not answer")


@dataclass
class FeedRig:
    shown: list[Shown] = field(default_factory=list)
    is_somebody: bool = True

    def __post_init__(self) -> None:
        self.adapter = Feed(self.show)
        self.away = Feed(fail)

    async def show(self, shown: Shown) -> bool:
        self.shown.append(shown)
        return self.is_somebody

    def message(self, **changes: object) -> Outgoing:
        return outgoing("in_app", {"body": BODY}, **changes)

    def big(self) -> Outgoing:
        return outgoing("in_app", {"body": "ü" * 100_000})

    async def arrived(self) -> list[str]:
        return [str(shown.message_id) for shown in self.shown]


@pytest.fixture
def rig() -> FeedRig:
    return FeedRig()


class TestFeed(AdapterContract):
    kinds = (("in_app", "feed"),)
    has_word_for_dead = False
    cannot: ClassVar = {"unclear": "putting it there again under its id changes nothing, so whoever does not know puts it there again"}

    def refusals(self, rig: FeedRig) -> list[Case]:
        return [Case("there is nobody any more", partial(setattr, rig, "is_somebody", False))]

    def busy(self, rig: FeedRig) -> list[Case]:
        return [Case("the database does not answer", partial(setattr, rig, "adapter", rig.away))]

    def see(self, rig: FeedRig) -> None:
        assert rig.shown[-1].content["body"] == BODY


async def test_whoever_is_gone_gets_nothing(rig: FeedRig) -> None:
    rig.is_somebody = False
    with pytest.raises(Rejected):
        await rig.adapter.send(rig.message())


async def test_what_was_filled_in_wrongly_is_refused_without_its_value(rig: FeedRig) -> None:
    message = rig.message()
    for parts in ({"body": "x", "url": "javascript:ann"}, {"body": "ann" * 2000}, {"title": "ann"}):
        with pytest.raises(Rejected) as failed:
            await rig.adapter.send(replace(message, content=replace(message.content, parts=parts)))
        assert "ann" not in failed.value.answer
    assert rig.shown == []


async def test_defaults_are_filled_in_and_the_inbox_follows_the_placement(rig: FeedRig) -> None:
    message = rig.message()
    for parts in ({"body": "x"}, {"body": "x", "placement": "inbox", "caps": {"total": 2}, "expires": "1h"}):
        await rig.adapter.send(replace(message, content=replace(message.content, parts=parts)))
    first, second = rig.shown
    assert (first.placement, first.in_inbox, first.priority, first.most_shown, first.expires_in) == (
        "modal",
        False,
        50,
        None,
        timedelta(30),
    )
    assert (second.placement, second.in_inbox, second.most_shown, second.expires_in) == ("inbox", True, 2, timedelta(hours=1))
