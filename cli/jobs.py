"""`sojourn jobs`: long work as it goes on; watching it, stopping it, letting it go on."""

import json
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from cli.amounts import second
from cli.client import client
from cli.console import out
from cli.options import Most
from cli.progress import watch as watch_job

app = typer.Typer(help="Long work: list, show, watch, stop, resume.", no_args_is_help=True)
Which = Annotated[str, typer.Argument(help="the job's id")]


@app.command("list")
def list_jobs(
    state: Annotated[str | None, typer.Option(help="running, stopped, done or failed")] = None,
    kind: Annotated[str | None, typer.Option(help="only those of this kind")] = None,
    most: Most = 20,
) -> None:
    """List jobs, the newest first."""
    table = Table("job", "kind", "state", "done", "begun", "why", box=None)
    with client() as sojourn:
        for job in sojourn.pages("/v1/jobs", most, state=state, kind=kind):
            table.add_row(job["id"], job["kind"], job["state"], _count(job), second(job["created_at"]), escape(job["error"] or ""))
    out.print(table)


@app.command()
def show(which: Which) -> None:
    """Show one job, with what came out so far as JSON."""
    with client() as sojourn:
        job = sojourn.get(f"/v1/jobs/{which}")
    out.print(
        f"{job['kind']} is {job['state']}: {_count(job)}; begun {second(job['created_at'])} UTC, last moved {second(job['updated_at'])} UTC"
    )
    if job["error"]:
        out.print(escape(f"because: {job['error']}"))
    if job["result"] is not None:
        out.print_json(json.dumps(job["result"]))


@app.command()
def watch(which: Which) -> None:
    """Watch a job to its end; then print what came out, as JSON."""
    with client() as sojourn:
        result = watch_job(sojourn, which)
    out.print("Done." if result is None else escape(json.dumps(result, indent=2)))


@app.command()
def stop(which: Which) -> None:
    """Let no further piece of a job begin."""
    with client() as sojourn:
        job = sojourn.post(f"/v1/jobs/{which}/stop")
    out.print(f"Stopped at {_count(job)}. Go on with `sojourn jobs resume {which}`.")


@app.command()
def resume(which: Which) -> None:
    """Let a stopped or failed job go on where it was."""
    with client() as sojourn:
        job = sojourn.post(f"/v1/jobs/{which}/resume")
    out.print(f"It goes on from {_count(job)}. Watch it with `sojourn jobs watch {which}`.")


def _count(job: Any) -> str:
    return f"{job['done']} of {job['total']}" if job["total"] is not None else str(job["done"])
