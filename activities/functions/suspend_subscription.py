"""A demonstration: suspends nothing. It writes into the worker's log what it would do."""

from collections.abc import Mapping
from typing import Any

import structlog

from activities.functions.call import FunctionCall

log = structlog.get_logger()


async def suspend_subscription(call: FunctionCall) -> Mapping[str, Any]:
    """Pretend to suspend the subscription that the enrollment is about. Suspending twice is as once, so it needs no key."""
    log.info("demo: would suspend the subscription", app=call.app, journey=call.journey, step=call.step)
    return {"is_suspended": True, "is_demo": True}
