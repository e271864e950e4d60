"""`sojourn worker`, but an unconfirmed transactional message goes out once more after seconds instead of two minutes."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from activities.functions.call import Function
from activities.messages import Messages
from cli.worker import worker
from settings import Settings
from storage.database import Database
from workflows import worker as production
from workflows.hands import Hands, exit_conditions_hold, hands

UNKNOWN_WAIT = timedelta(seconds=5)


def impatient(settings: Settings, database: Database, functions: Mapping[str, Function] | None = None) -> Hands:
    made = hands(settings, database, functions)
    delivery = replace(made.delivery, timing=replace(made.delivery.timing, unknown_wait=UNKNOWN_WAIT))
    return replace(made, messages=Messages(database, delivery, exit_conditions_hold), delivery=delivery)


if __name__ == "__main__":
    production.hands = impatient  # type: ignore[attr-defined]  # it is imported there, and looked up when a worker starts
    worker()
