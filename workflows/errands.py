"""The hands of a worker process for Update, Enter and Call, made from its settings."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from activities.calling import Calls
from activities.changing import Changes
from activities.functions.call import Function
from activities.functions.loading import functions_of
from channels.calls import Caller
from channels.egress import Egress
from settings import Environment, Settings
from storage.database import Database
from workflows.hands import exit_conditions_hold


@dataclass(frozen=True)
class Errands:
    """What one process changes and calls with. `close` frees connections."""

    changes: Changes
    calls: Calls
    caller: Caller
    functions: Mapping[str, Function]

    def activities(self) -> list[Callable[..., Any]]:
        return [*self.changes.activities(), *self.calls.activities()]

    async def close(self) -> None:
        await self.caller.close()


def errands(settings: Settings, database: Database) -> Errands:
    """Make them. Outside production only loopback and the allowed recipients' hosts are called. Raises ConfigurationError."""
    caller = Caller(
        egress=Egress(may_reach_loopback=settings.environment is Environment.DEVELOPMENT),
        allowed=None if settings.environment is Environment.PRODUCTION else frozenset(settings.allowed_recipients),
        headers_by_origin=settings.plain_call_headers,
    )
    functions = functions_of(settings.house)
    return Errands(Changes(database), Calls(database, caller, functions, exit_conditions_hold), caller, functions)
