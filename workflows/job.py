"""The workflow of a job: it lets workers do piece after piece until the job's row says that it is over or stopped."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from activities.jobs.order import JobOrder

JOB = "job"
# A killed worker is noticed after this; the piece it was at is then done by another.
SILENT_FOR = timedelta(seconds=15)
# A slice ends after twenty seconds, but for a piece that takes long.
ONE_SLICE = timedelta(minutes=15)
# Pieces that fail count themselves and give up; what is retried here without end is a server that is away.
UNTIL_IT_ANSWERS = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=1))


@workflow.defn(name=JOB)
class JobWorkflow:
    def __init__(self) -> None:
        self._is_told = False

    @workflow.signal(name="take up")
    def on_take_up(self) -> None:
        """Somebody resumed the job: look at its row once more, though the last slice found it over."""
        self._is_told = True

    @workflow.run
    async def run(self, order: JobOrder) -> None:
        self._is_told = True
        while self._is_told:
            self._is_told = False
            while await self._work_on(order):
                if workflow.info().is_continue_as_new_suggested():
                    workflow.continue_as_new(order)

    async def _work_on(self, order: JobOrder) -> bool:
        has_more: bool = await workflow.execute_activity(
            "work on job",
            order,
            result_type=bool,
            start_to_close_timeout=ONE_SLICE,
            heartbeat_timeout=SILENT_FOR,
            retry_policy=UNTIL_IT_ANSWERS,
        )
        return has_more
