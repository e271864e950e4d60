"""Who of us writes to somebody. An example: ask your own system here."""

from collections.abc import Mapping

from activities.functions.call import FunctionCall

CONTACTS = {"pro": "Grace"}
EVERYBODY_ELSE = "Sam"


async def find_contact(call: FunctionCall) -> Mapping[str, str]:
    """Find the person who looks after this plan. What is returned is `captured.contact` in templates and conditions.

    It may be called again after a crash: where something must happen once, give `call.idempotency_key` to the system that
    does it. Raise NotNow("...") to be called again later, Failed("...") to let the journey go on with the Call's `otherwise`.
    """
    return {"name": CONTACTS.get(str(call.attributes.get("plan")), EVERYBODY_ELSE)}
