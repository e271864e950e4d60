"""What Sojourn asks of a Temporal server: start, tell, end. Every call may be repeated."""

from collections.abc import Sequence
from urllib.parse import unquote

from temporalio.client import Client
from temporalio.common import (
    SearchAttributeKey,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.envconfig import ClientConfig
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from activities.telling import RPC_TIMEOUT as RPC_TIMEOUT
from activities.telling import is_gone as is_gone
from activities.telling import is_namespace_missing, tell
from journeys.language.errors import Conflict
from journeys.language.facts import EventFact
from storage.enrollments import Enrollment
from workflows.encryption import data_converter
from workflows.entry import Start
from workflows.inputs import JOURNEY

APP = SearchAttributeKey.for_keyword("SojournApp")
JOURNEY_NAME = SearchAttributeKey.for_keyword("SojournJourney")
USER = SearchAttributeKey.for_keyword("SojournUser")
MEMO = "enrollment"


async def connect(payload_keys: Sequence[str] = (), *, otherwise: str = "127.0.0.1:7233") -> Client:
    """Connect as TEMPORAL_ADDRESS and its sisters say, else to `otherwise`.

    Raises RuntimeError when no server answers, ConfigurationError for a bad key.
    """
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", otherwise)
    return await Client.connect(**config, data_converter=data_converter(payload_keys))


class Enrollments:
    """The workflows of enrollments on one server."""

    def __init__(self, client: Client, task_queue: str) -> None:
        self._client = client
        self.task_queue = task_queue

    async def start(self, start: Start, event: EventFact | None = None) -> None:
        """Start the workflow, with `event` as its first signal where given; it running already for this enrollment is success.

        Raises Conflict when the id is taken by something else.
        """
        enrollment = start.enrollment
        try:
            await self._client.start_workflow(
                JOURNEY,
                start.input,
                id=enrollment.workflow_id,
                task_queue=self.task_queue,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                id_conflict_policy=WorkflowIDConflictPolicy.FAIL if event is None else WorkflowIDConflictPolicy.USE_EXISTING,
                start_signal="event" if event else None,
                start_signal_args=[event] if event else [],
                memo={MEMO: str(enrollment.id)},
                search_attributes=_search_attributes(enrollment),
                static_summary=_summary(enrollment)[:200],
                static_details=_details(enrollment),
                rpc_timeout=RPC_TIMEOUT,
            )
        except WorkflowAlreadyStartedError:
            if await self.enrollment_of(enrollment.workflow_id) != str(enrollment.id):
                raise Conflict(
                    "another workflow has the id of this enrollment: end that one in Temporal, and the reconciler starts this"
                ) from None

    async def tell(self, workflow_id: str, event: EventFact) -> bool:
        """Signal an event. The event id is the request id, so the server folds repeats within a run. False: no such workflow runs."""
        return await self._signal(workflow_id, "event", event, event.id)

    async def leave(self, workflow_id: str, reason: str, request_id: str) -> bool:
        """Ask a workflow to end. False: no such workflow runs."""
        return await self._signal(workflow_id, "exit", reason, request_id)

    async def enrollment_of(self, workflow_id: str) -> str | None:
        """The enrollment that the newest run under this id belongs to."""
        description = await self._client.get_workflow_handle(workflow_id).describe(rpc_timeout=RPC_TIMEOUT)
        memo = await description.memo()
        found = memo.get(MEMO)
        return str(found) if found is not None else None

    async def _signal(self, workflow_id: str, name: str, argument: EventFact | str, request_id: str) -> bool:
        return await tell(self._client, workflow_id, name, [argument], request_id)


def _search_attributes(enrollment: Enrollment) -> TypedSearchAttributes:
    return TypedSearchAttributes(
        [
            SearchAttributePair(APP, enrollment.app),
            SearchAttributePair(JOURNEY_NAME, enrollment.journey),
            SearchAttributePair(USER, _user_part(enrollment)),
        ]
    )


def _user_part(enrollment: Enrollment) -> str:
    """As in the workflow id, so that a setting that hashes user ids there hashes them here."""
    return enrollment.workflow_id.split("/")[2].rsplit("#", 1)[0]


def _summary(enrollment: Enrollment) -> str:
    return f"{unquote(_user_part(enrollment))} in {enrollment.journey} (version {enrollment.version})"


def _details(enrollment: Enrollment) -> str:
    entered = f"Entered by `{enrollment.entry.name}` at {enrollment.entry.occurred_at:%Y-%m-%d %H:%M} UTC."
    # Where a setting hashes user ids in Temporal, they do not stand here either.
    is_open = unquote(_user_part(enrollment)) == enrollment.subject
    story = f" The whole story: `sojourn why {enrollment.subject}`." if is_open else ""
    return f"{entered}{story} Enrollment `{enrollment.id}`."


def is_transport(error: BaseException) -> bool:
    """Tell a server that is away, overloaded or not open to us (try again later) from a request that it refuses."""
    if not isinstance(error, RPCError):
        return False
    return is_namespace_missing(error) or error.status in {
        RPCStatusCode.UNAVAILABLE,
        RPCStatusCode.DEADLINE_EXCEEDED,
        RPCStatusCode.RESOURCE_EXHAUSTED,
        RPCStatusCode.CANCELLED,
        RPCStatusCode.ABORTED,
        RPCStatusCode.UNAUTHENTICATED,
        RPCStatusCode.PERMISSION_DENIED,
        RPCStatusCode.INTERNAL,
        RPCStatusCode.UNKNOWN,
    }
