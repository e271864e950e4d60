"""The bare workflow that journeys are measured beside, and its worker."""

import asyncio
from datetime import timedelta

import uvloop
from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.envconfig import ClientConfig
from temporalio.worker import PollerBehaviorSimpleMaximum, Worker

QUEUE = "bare"
ONE_TRY = timedelta(seconds=30)


@activity.defn
async def send(message: str) -> str:
    return message


@workflow.defn
class Bare:
    def __init__(self) -> None:
        self._came = False

    @workflow.run
    async def run(self, message: str) -> str:
        await workflow.execute_activity(send, message, start_to_close_timeout=ONE_TRY)
        await workflow.sleep(1)
        await workflow.execute_activity(send, message, start_to_close_timeout=ONE_TRY)
        await workflow.wait_condition(lambda: self._came, timeout=timedelta(minutes=10))
        await workflow.execute_activity(send, message, start_to_close_timeout=ONE_TRY)
        return message

    @workflow.signal
    def event(self, _event: dict[str, str]) -> None:
        self._came = True


async def work() -> None:
    client = await Client.connect(**ClientConfig.load_client_connect_config(), data_converter=pydantic_data_converter)
    worker = Worker(
        client,
        task_queue=QUEUE,
        workflows=[Bare],
        activities=[send],
        max_concurrent_workflow_tasks=200,
        max_concurrent_activities=200,
        workflow_task_poller_behavior=PollerBehaviorSimpleMaximum(40),
        activity_task_poller_behavior=PollerBehaviorSimpleMaximum(40),
    )
    await worker.run()


if __name__ == "__main__":
    uvloop.install()
    asyncio.run(work())
