"""Signals to the workflows of enrollments: each may be repeated, because the server folds what has the same request id."""

from datetime import timedelta

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import SignalWorkflowExecutionRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

RPC_TIMEOUT = timedelta(seconds=10)


async def tell(client: Client, workflow_id: str, name: str, arguments: list[object], request_id: str) -> bool:
    """Signal a workflow. False: no such workflow runs. Raises RPCError for a server that is away."""
    request = SignalWorkflowExecutionRequest(
        namespace=client.namespace,
        workflow_execution=WorkflowExecution(workflow_id=workflow_id),
        signal_name=name,
        identity=client.identity,
        request_id=request_id,
    )
    request.input.payloads.extend(await client.data_converter.encode(arguments))
    try:
        await client.workflow_service.signal_workflow_execution(request, retry=True, timeout=RPC_TIMEOUT)
    except RPCError as error:
        if is_gone(error):
            return False
        raise
    return True


def is_gone(error: RPCError) -> bool:
    """No such workflow; a namespace that is missing (a server that is being set up) says nothing of workflows."""
    return error.status is RPCStatusCode.NOT_FOUND and not is_namespace_missing(error)


def is_namespace_missing(error: RPCError) -> bool:
    return error.status is RPCStatusCode.NOT_FOUND and error.message.startswith("Namespace ")
