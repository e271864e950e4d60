"""A demonstration: opens no ticket anywhere. It writes into the worker's log what it would do, and returns a made-up number."""

import hashlib
from collections.abc import Mapping
from typing import Any

import structlog

from activities.functions.call import FunctionCall

log = structlog.get_logger()


async def open_support_ticket(call: FunctionCall) -> Mapping[str, Any]:
    """Pretend to open a ticket. A real one would send `call.idempotency_key` along, so that a second try finds the first one's ticket."""
    number = hashlib.sha256(call.idempotency_key.encode()).hexdigest()[:8]
    log.info("demo: would open a support ticket", app=call.app, journey=call.journey, step=call.step, ticket=number)
    return {"ticket": number, "is_demo": True}
