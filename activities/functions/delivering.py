"""Registered functions as a channel: the same functions that a Call may name, given a message to deliver."""

from collections.abc import Mapping

from activities.functions.call import Failed, Function, FunctionCall, NotNow
from channels.base import NotSent, Rejected
from channels.custom.function import Asked, Deliver

_LONGEST_REF = 200


def deliveries_by(functions: Mapping[str, Function]) -> Mapping[str, Deliver]:
    """What the custom channel calls, by the functions' names."""
    return {name: _by(function) for name, function in functions.items()}


def _by(function: Function) -> Deliver:
    async def deliver(asked: Asked) -> str | None:
        call = FunctionCall(
            app=asked.app,
            user_id=asked.recipient or None,
            attributes={},
            entry={},
            captured={},
            arguments=dict(asked.fields),
            idempotency_key=str(asked.message_id),
        )
        try:
            ref = (await function(call)).get("ref")
        except NotNow as error:
            raise NotSent(error.reason, error.retry_after.total_seconds() if error.retry_after else None) from error
        except Failed as error:
            raise Rejected(error.reason) from error
        return str(ref)[:_LONGEST_REF] if ref is not None else None

    return deliver
