"""Watches a job to its end with a progress bar. Every command that starts a job ends with this."""

import time
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from cli.client import Client
from cli.console import notes
from journeys.language.errors import Refused

LOOK_EVERY_S = 0.3


def watch(sojourn: Client, job_id: str) -> Any:
    """Show how far the job is until it is done, and give its result.

    Raises Refused when it was stopped or has failed. Ctrl-C only stops watching: the job goes on, and how to stop it is said.
    """
    try:
        job = _watched(sojourn, job_id)
    except KeyboardInterrupt:
        notes.print(f"\nThe job goes on. Watch it again with `sojourn jobs watch {job_id}`, stop it with `sojourn jobs stop {job_id}`.")
        raise
    if job["state"] == "stopped":
        raise Refused(f"stopped after {_counted(job)}: go on with `sojourn jobs resume {job_id}`")
    if job["state"] == "failed":
        raise Refused(f"failed after {_counted(job)}: {job['error']}. When that is mended, go on with `sojourn jobs resume {job_id}`")
    return job["result"]


def _watched(sojourn: Client, job_id: str) -> Any:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=notes, transient=True) as bar:
        shown = bar.add_task("waits for a worker", total=None)
        while True:
            job = sojourn.get(f"/v1/jobs/{job_id}")
            bar.update(shown, description=_words(job), completed=job["done"], total=job["total"])
            if job["state"] != "running":
                return job
            time.sleep(LOOK_EVERY_S)


def _words(job: Any) -> str:
    if job["error"]:
        return f"{job['kind']} (tries again: {job['error'][:60]})"
    return str(job["kind"]) if job["total"] is not None or job["done"] else f"{job['kind']} waits for a worker"


def _counted(job: Any) -> str:
    return f"{job['done']}" + (f" of {job['total']}" if job["total"] is not None else "")
