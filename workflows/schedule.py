"""The workflow of a schedule: started each time it strikes, it lets workers ask people until nobody is left."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from activities.schedule_order import ScheduleOrder

SCHEDULE = "schedule"
# A killed worker is noticed after this; another then goes on.
SILENT_FOR = timedelta(seconds=15)
# A slice ends after twenty seconds, but for a segment that takes long.
ONE_SLICE = timedelta(minutes=5)
UNTIL_IT_ANSWERS = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=1))


@workflow.defn(name=SCHEDULE)
class ScheduleWorkflow:
    @workflow.run
    async def run(self, order: ScheduleOrder) -> None:
        while await self._let_in(order):
            if workflow.info().is_continue_as_new_suggested():
                workflow.continue_as_new(order)

    async def _let_in(self, order: ScheduleOrder) -> bool:
        has_more: bool = await workflow.execute_activity(
            "let in by schedule",
            order,
            result_type=bool,
            start_to_close_timeout=ONE_SLICE,
            heartbeat_timeout=SILENT_FOR,
            retry_policy=UNTIL_IT_ANSWERS,
        )
        return has_more
