"""What every adapter must do, whoever its provider is. A provider's test class inherits this and gives it a `rig`."""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar, Protocol

import pytest

from channels.base import Adapter, Ambiguous, NotSent, Outgoing, Receipt, Rejected, SendFailed
from tests.channels.provider import FakeProvider, Response


class Rig(Protocol):
    """An adapter and the other end: what arrived there, as message ids in order, read from what was handed over.

    Its messages have letters beyond ASCII. `big()`: one larger than the other end takes.
    """

    adapter: Adapter
    away: Adapter
    """The same adapter for a provider that does not answer at all."""

    def message(self, **changes: object) -> Outgoing: ...

    async def arrived(self) -> list[str]: ...


@dataclass(frozen=True)
class Case:
    """One way in which the other end behaves: `say` makes it so. A message has `within_s`; `retry_after_s` is what it asks us to wait."""

    how: str
    say: Callable[[], None]
    within_s: float = 5.0
    retry_after_s: float | None = None


class AdapterContract(ABC):
    """`kinds`: channel and provider of what is tested here, as the registry has them (test_registry.py asks for each).

    `has_word_for_dead`: the provider can refuse an address as dead when it is asked to send; else it tells later, or never.
    `cannot`: the cases of this suite that cannot be at the other end (refusals, busy, unclear, big), with why not.
    """

    kinds: Sequence[tuple[str, str]]
    has_word_for_dead: bool
    cannot: ClassVar[Mapping[str, str]] = {}
    away_means: type[SendFailed] = NotSent

    def words_for_dead(self, _rig: Any) -> Sequence[Callable[[], None]]:
        """Each makes the other end call every address dead."""
        return ()

    def refusals(self, _rig: Any) -> Sequence[Case]:
        """The other end says no for good, and nothing of the address."""
        return ()

    def busy(self, _rig: Any) -> Sequence[Case]:
        """The other end takes nothing now."""
        return ()

    def unclear(self, _rig: Any) -> Sequence[Case]:
        """Nobody can say whether the other end took it."""
        return ()

    @abstractmethod
    def see(self, _rig: Any) -> None:
        """Assert that what arrived last has every letter as it was."""

    def _cases(self, name: str, rig: Any) -> Sequence[Case]:
        found: Sequence[Case] = getattr(self, name)(rig)
        assert bool(found) != (name in self.cannot), f"give {name}, or say in `cannot` why there are none"
        return found

    async def _fail(self, rig: Any, case: Case) -> SendFailed:
        case.say()
        message = rig.message(deadline=time.monotonic() + case.within_s)
        with pytest.raises(SendFailed) as failed:
            await rig.adapter.send(message)
        assert not message.address or message.address not in failed.value.answer, case.how
        assert "@" not in failed.value.answer, case.how
        return failed.value

    async def test_a_message_arrives_once_and_is_receipted(self, rig: Rig) -> None:
        message = rig.message()
        assert isinstance(await rig.adapter.send(message), Receipt)
        assert await rig.arrived() == [str(message.message_id)]

    async def test_many_at_once_arrive_once_each(self, rig: Rig) -> None:
        messages = [rig.message() for _ in range(30)]
        await asyncio.gather(*(rig.adapter.send(message) for message in messages))
        assert sorted(await rig.arrived()) == sorted(str(message.message_id) for message in messages)

    async def test_nothing_leaves_after_the_deadline(self, rig: Rig) -> None:
        with pytest.raises(NotSent):
            await rig.adapter.send(rig.message(deadline=time.monotonic() - 0.001))
        assert await rig.arrived() == []

    async def test_nothing_is_sent_to_a_provider_that_is_away_and_it_is_told_without_an_address(self, rig: Rig) -> None:
        message = rig.message()
        with pytest.raises(SendFailed) as failed:
            await rig.away.send(message)
        assert type(failed.value) is self.away_means
        assert not message.address or message.address not in failed.value.answer
        assert len(failed.value.answer) <= 500

    async def test_an_address_that_the_provider_calls_dead_is_refused_for_good_and_suppressed(self, rig: Rig) -> None:
        words = self.words_for_dead(rig)
        assert bool(words) == self.has_word_for_dead
        for say in words:
            say()
            message = rig.message()
            with pytest.raises(Rejected) as failed:
                await rig.adapter.send(message)
            assert failed.value.suppress
            assert not message.address or message.address not in failed.value.answer

    async def test_a_plain_refusal_is_for_good_and_suppresses_nobody(self, rig: Rig) -> None:
        for case in self._cases("refusals", rig):
            failed = await self._fail(rig, case)
            assert (type(failed), getattr(failed, "suppress", None)) == (Rejected, False), case.how

    async def test_who_is_busy_is_asked_again_and_not_before_the_wait_that_it_names(self, rig: Rig) -> None:
        for case in self._cases("busy", rig):
            failed = await self._fail(rig, case)
            assert (type(failed), getattr(failed, "retry_after_s", None)) == (NotSent, case.retry_after_s), case.how

    async def test_what_is_not_answered_clearly_is_ambiguous(self, rig: Rig) -> None:
        for case in self._cases("unclear", rig):
            failed = await self._fail(rig, case)
            assert type(failed) is Ambiguous, case.how

    async def test_what_is_larger_than_the_other_end_takes_is_refused_and_never_there(self, rig: Any) -> None:
        assert hasattr(rig, "big") != ("big" in self.cannot), "give the rig `big`, or say in `cannot` why there is none"
        if "big" not in self.cannot:
            with pytest.raises(Rejected) as failed:
                await rig.adapter.send(rig.big())
            assert not failed.value.suppress
            assert await rig.arrived() == []

    async def test_letters_beyond_ascii_arrive_as_they_were(self, rig: Rig) -> None:
        message = rig.message()
        assert not str(message.content.parts).isascii()
        await rig.adapter.send(message)
        self.see(rig)

    async def test_an_adapter_names_its_channel_and_can_be_closed_twice(self, rig: Rig) -> None:
        assert rig.adapter.channel == rig.message().content.channel
        assert (rig.adapter.channel, rig.adapter.name) in self.kinds
        await rig.adapter.close()
        await rig.adapter.close()


@dataclass(frozen=True)
class Told:
    """One row of the provider's page of errors: what it answers, and what that must mean."""

    answer: Response
    error: type[SendFailed]
    suppress: bool = False
    retry_after_s: float | None = None
    is_listed: bool = False


def later(answer: Response, seconds: int = 7) -> Response:
    """The same answer, which says when to come back."""
    return replace(answer, headers={**answer.headers, "retry-after": str(seconds)})


UNCLEAR: dict[str, Response | bytes | None] = {
    "a cut before the answer": b"",
    "a cut within the answer's head": b"HTTP/1.1 20",
    "a cut within the answer's body": b'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"id": "x',
    "no HTTP at all": b"<html>hello</html>\r\n\r\n",
    "silence": None,
    "500": Response(500, b'{"message": "oh"}'),
    "502 of a proxy": Response(502, b"<html>bad gateway</html>"),
    "504 of a proxy": Response(504, b""),
}
REFUSALS = {str(status): Response(status, b'{"message": "for ann@example.org"}') for status in (400, 404, 413, 422)}
LATER = {"429": Response(429, b"{}", {"retry-after": "90"}), "503": Response(503, b"", {"retry-after": "90"})}


class HttpRig(Rig, Protocol):
    """An adapter of an HTTP API and its strict stand-in."""

    provider: FakeProvider

    def big(self) -> Outgoing:
        """A message larger than the provider takes."""


class HttpAdapterContract(AdapterContract):
    """What every adapter of an HTTP API must do. `page` is the provider's page of errors, row by row."""

    page: Sequence[Told] = ()

    def words_for_dead(self, rig: HttpRig) -> Sequence[Callable[[], None]]:
        return [partial(setattr, rig.provider, "answer", told.answer) for told in self.page if told.suppress]

    def refusals(self, rig: HttpRig) -> Sequence[Case]:
        return [Case(how, partial(setattr, rig.provider, "answer", answer)) for how, answer in REFUSALS.items()]

    def busy(self, rig: HttpRig) -> Sequence[Case]:
        return [Case(how, partial(setattr, rig.provider, "answer", answer), retry_after_s=90) for how, answer in LATER.items()]

    def unclear(self, rig: HttpRig) -> Sequence[Case]:
        # To who is silent a message with little time; the others must not depend on how fast this machine is.
        return [
            Case(how, partial(setattr, rig.provider, "answer", answer), within_s=0.4 if answer is None else 5)
            for how, answer in UNCLEAR.items()
        ]

    def see(self, rig: HttpRig) -> None:
        """`accepts` reads each request: a letter that is another is a complaint."""
        assert len(rig.provider.requests) == 1
        assert rig.provider.complaints == []

    async def test_our_id_is_on_the_wire(self, rig: HttpRig) -> None:
        message = rig.message()
        await rig.adapter.send(message)
        [request] = rig.provider.requests
        whole = request.path.encode() + request.body + b"".join(value.encode() for value in request.headers.values())
        assert str(message.message_id).encode() in whole or message.message_id.hex.encode() in whole

    async def test_what_may_have_gone_out_may_have_cost_as_much(self, rig: HttpRig) -> None:
        rig.provider.answer = UNCLEAR["500"]
        with pytest.raises(Ambiguous) as failed:
            await rig.adapter.send(rig.message())
        rig.provider.answer = "as it accepts"
        assert failed.value.cost == (await rig.adapter.send(rig.message())).cost

    async def test_a_throttle_by_the_providers_own_word_waits_as_long_as_its_answer_says(self, rig: HttpRig) -> None:
        for told in (each for each in self.page if each.retry_after_s is None):
            rig.provider.answer = later(told.answer, 90)
            with pytest.raises(SendFailed) as failed:
                await rig.adapter.send(rig.message())
            if isinstance(failed.value, NotSent) and failed.value.is_throttle:
                assert failed.value.retry_after_s == 90, told

    @pytest.mark.parametrize("status", [401, 403])
    async def test_refused_credentials_lose_no_message(self, rig: HttpRig, status: int) -> None:
        rig.provider.answer = Response(status, b'{"message": "no"}')
        with pytest.raises(NotSent):
            await rig.adapter.send(rig.message())

    @pytest.mark.parametrize("status", [301, 307])
    async def test_a_redirect_is_not_followed(self, rig: HttpRig, status: int) -> None:
        rig.provider.answer = Response(status, b"{}", {"location": rig.provider.base_url + "/else"})
        with pytest.raises(Rejected) as failed:
            await rig.adapter.send(rig.message())
        assert not failed.value.suppress
        assert len(rig.provider.requests) == 1

    async def test_each_row_of_the_providers_page_has_its_meaning(self, rig: HttpRig) -> None:
        assert self.page, "a provider has a page of errors"
        for told in self.page:
            rig.provider.answer = told.answer
            with pytest.raises(SendFailed) as failed:
                await rig.adapter.send(rig.message())
            assert type(failed.value) is told.error, told
            assert getattr(failed.value, "suppress", False) == told.suppress, told
            assert getattr(failed.value, "is_listed", False) == told.is_listed, told
            if told.retry_after_s is not None:
                assert getattr(failed.value, "retry_after_s", None) == pytest.approx(told.retry_after_s, abs=2), told

    async def test_a_success_without_an_id_that_can_be_read_is_ambiguous(self, rig: HttpRig) -> None:
        rig.provider.answer = Response(200, b"<html>thank you</html>")
        with pytest.raises(Ambiguous):
            await rig.adapter.send(rig.message())

    async def test_an_answer_of_megabytes_is_not_read_to_its_end(self, rig: HttpRig) -> None:
        rig.provider.answer = Response(200, b" " * 1_200_000)
        with pytest.raises(Ambiguous):
            await rig.adapter.send(rig.message())
