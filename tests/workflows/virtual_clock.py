"""One clock for a house under virtual time: what an activity asks the database at, is what its workflow's clock shows.

Without it a condition is read as of the machine's now, at which nothing of what happens later in a rehearsal has happened.
"""

from dataclasses import replace
from datetime import datetime
from typing import Any

import temporalio.client
import temporalio.worker
from temporalio import workflow
from temporalio.client import Client
from temporalio.converter import default as default_converter
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, WorkflowInboundInterceptor, WorkflowOutboundInterceptor

from tests.workflows.logical_time import at

_HEADER = "virtual-now"


def clocked(client: Client) -> Client:
    """A client whose workers tell their activities the virtual time."""
    config = client.config()
    config["interceptors"] = [_VirtualClock()]
    return Client(**config)


class _VirtualClock(temporalio.client.Interceptor, temporalio.worker.Interceptor):
    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002 - Temporal's name
        return _Activity(next)

    def workflow_interceptor_class(self, input: Any) -> type[WorkflowInboundInterceptor]:  # noqa: A002, ARG002 - Temporal's name
        return _Inbound


class _Activity(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002 - Temporal's name
        async with at(datetime.fromisoformat(input.headers[_HEADER].data.decode())):
            return await super().execute_activity(input)


class _Inbound(WorkflowInboundInterceptor):
    def init(self, outbound: WorkflowOutboundInterceptor) -> None:
        super().init(_Outbound(outbound))


class _Outbound(WorkflowOutboundInterceptor):
    def start_activity(self, input: Any) -> Any:  # noqa: A002 - Temporal's name
        return super().start_activity(_told(input))

    def start_local_activity(self, input: Any) -> Any:  # noqa: A002 - Temporal's name
        return super().start_local_activity(_told(input))


def _told(given: Any) -> Any:
    payload = default_converter().payload_converter.to_payloads([None])[0]
    payload.data = workflow.now().isoformat().encode()
    return replace(given, headers={**given.headers, _HEADER: payload})
