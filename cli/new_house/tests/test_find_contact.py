"""A function is ordinary Python: it is tested by calling it."""

import asyncio

from activities.functions.call import FunctionCall
from functions.find_contact import find_contact


def test_a_customer_of_the_pro_plan_is_looked_after_by_grace() -> None:
    call = FunctionCall(
        app="demo",
        user_id="ada",
        attributes={"plan": "pro"},
        entry={},
        captured={},
        arguments={},
        idempotency_key="sj_1_contact_1",
    )
    assert asyncio.run(find_contact(call)) == {"name": "Grace"}
