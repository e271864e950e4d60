"""A channel that is a function of the house: what it returns and raises, and that it is called with one key."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any, ClassVar

import pytest

from activities.functions.call import Failed, FunctionCall, NotNow
from activities.functions.delivering import deliveries_by
from channels.base import Ambiguous, NotSent, Outgoing, Rejected, SendFailed
from channels.custom.function import FunctionChannel
from tests.channels.contract import AdapterContract, Case
from tests.channels.messages import outgoing


@dataclass
class FunctionRig:
    called: list[FunctionCall] = field(default_factory=list)
    raises: Exception | None = None

    def __post_init__(self) -> None:
        async def away(_call: FunctionCall) -> Mapping[str, Any]:
            raise NotNow("the printer is away")

        self.adapter = FunctionChannel(deliveries_by({"print_card": self.print_card}))
        self.away = FunctionChannel(deliveries_by({"print_card": away}))

    async def print_card(self, call: FunctionCall) -> Mapping[str, Any]:
        if self.raises is not None:
            raise self.raises
        self.called.append(call)
        return {"ref": "card-1"}

    def message(self, **changes: object) -> Outgoing:
        parts = {"function": "print_card", "fields": {"points": "größer"}}
        return outgoing("custom", parts, **{"address": "ada", **changes})

    async def arrived(self) -> list[str]:
        return [call.idempotency_key for call in self.called]


@pytest.fixture
def rig() -> FunctionRig:
    return FunctionRig()


class TestFunction(AdapterContract):
    kinds = (("custom", "function"),)
    has_word_for_dead = False
    cannot: ClassVar = {"big": "how much it takes is known to the function alone, which raises Failed"}

    def refusals(self, rig: FunctionRig) -> list[Case]:
        return [Case("Failed", partial(setattr, rig, "raises", Failed("no such card")))]

    def busy(self, rig: FunctionRig) -> list[Case]:
        return [
            Case("NotNow", partial(setattr, rig, "raises", NotNow("later"))),
            Case("NotNow, with its time", partial(setattr, rig, "raises", NotNow("later", timedelta(seconds=90))), retry_after_s=90),
        ]

    def unclear(self, rig: FunctionRig) -> list[Case]:
        raised = (KeyError("ada@example.org"), ConnectionResetError(), TimeoutError(), Ambiguous("cut"))
        return [Case(type(each).__name__, partial(setattr, rig, "raises", each)) for each in raised]

    def see(self, rig: FunctionRig) -> None:
        assert rig.called[-1].arguments == {"points": "größer"}


async def test_the_function_is_told_whom_and_what_and_its_reference_is_kept(rig: FunctionRig) -> None:
    message = rig.message()
    assert (await rig.adapter.send(message)).ref == "card-1"
    [call] = rig.called
    assert (call.app, call.user_id, call.arguments) == ("demo", "ada", {"points": "größer"})
    assert call.idempotency_key == str(message.message_id)


@pytest.mark.parametrize(
    ("raises", "error", "retry_after_s"),
    [
        (NotNow("later", timedelta(seconds=90)), NotSent, 90),
        (NotNow("later"), NotSent, None),
        (Failed("no such card"), Rejected, None),
        (NotSent("the printer refused the connection"), NotSent, None),
        (Ambiguous("cut"), Ambiguous, None),
        (KeyError("ada@example.org"), Ambiguous, None),
        (ConnectionResetError(), Ambiguous, None),
    ],
)
async def test_what_it_raises_has_one_meaning(
    rig: FunctionRig, raises: Exception, error: type[SendFailed], retry_after_s: float | None
) -> None:
    rig.raises = raises
    with pytest.raises(SendFailed) as failed:
        await rig.adapter.send(rig.message())
    assert type(failed.value) is error
    assert getattr(failed.value, "retry_after_s", None) == retry_after_s
    assert "@" not in failed.value.answer


async def test_a_worker_without_the_function_leaves_the_message_to_another(rig: FunctionRig) -> None:
    with pytest.raises(NotSent, match="no function print_card"):
        await FunctionChannel({}).send(rig.message())
