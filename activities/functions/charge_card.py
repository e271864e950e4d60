"""A demonstration: charges nothing. It writes into the worker's log what it would do, and says that the charge was asked for."""

from collections.abc import Mapping
from typing import Any

import structlog

from activities.functions.call import FunctionCall

log = structlog.get_logger()


async def charge_card(call: FunctionCall) -> Mapping[str, Any]:
    """Pretend to ask a payment provider for a charge; whether it is paid comes later, as an event.

    A real one must give `call.idempotency_key` to the provider: a Call is made at least once, and a card charged once.
    """
    log.info("demo: would charge the card", app=call.app, journey=call.journey, step=call.step, charge=call.idempotency_key)
    return {"charge": call.idempotency_key, "status": "requested", "is_demo": True}
