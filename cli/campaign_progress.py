"""Watches a run of a campaign with a progress bar, and says what it came to."""

import time
from collections.abc import Iterator
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from cli.client import Client
from cli.console import notes

LOOK_EVERY_S = 0.5
OVER = ("stopped", "finished")


def watch_run(sojourn: Client, path: str, name: str) -> Any:
    """Show how far the run at this path is until it is over. Ctrl-C only stops watching: it goes on, and how to stop it is said."""
    try:
        return _watched(sojourn, path)
    except KeyboardInterrupt:
        notes.print(f"\nIt goes on. Hold it with `sojourn campaigns pause {name}`, stop it with `sojourn campaigns stop {name}`.")
        raise


def _watched(sojourn: Client, path: str) -> Any:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"))
    with Progress(*columns, console=notes, transient=True) as bar:
        shown = bar.add_task("planning", total=None, rate="")
        while True:
            told = sojourn.get(path)
            total = told["planned"] or None
            bar.update(shown, description=told["state"], completed=told["done"], total=total, rate=_rate(told))
            if told["state"] in OVER:
                return told
            time.sleep(LOOK_EVERY_S)


def counted(told: Any) -> Iterator[str]:
    """What a run came to so far, in words."""
    yield f"{told['state']}: {told['done']:,} of {told['planned']:,} messages done, {told['sent']:,} sent{_rate(told)}"
    yield from _not_sent(told)


def counted_on_events(told: Any) -> Iterator[str]:
    """What the events of a campaign have led to since its launch, in words."""
    waiting = f", {told['left']:,} still to leave" if told["left"] else ""
    yield f"since its launch: {told['planned']:,} messages, {told['sent']:,} sent{waiting}"
    yield from _not_sent(told)
    failed = sum(each["messages"] for each in told["outcomes"] if each["state"] in ("rejected", "given_up"))
    if failed:
        yield f"refused, or given up: {failed:,}"
    versions = sorted({each["version"] for each in told["outcomes"]})
    for version in versions if len(versions) > 1 else ():
        of = [each for each in told["outcomes"] if each["version"] == version]
        sent = sum(each["messages"] for each in of if each["state"] == "sent")
        yield f"    {version}: {sum(each['messages'] for each in of):,} messages, {sent:,} sent"


def _not_sent(told: Any) -> Iterator[str]:
    if told["unknown"]:
        yield f"unconfirmed, and not sent again: {told['unknown']:,} (`sojourn unconfirmed list`)"
    if told["skipped"]:
        most_first = sorted(told["skipped"].items(), key=lambda each: (-each[1], each[0]))
        yield "skipped: " + ", ".join(f"{reason} {count:,}" for reason, count in most_first)


def _rate(told: Any) -> str:
    if told["per_second"] is None:
        return ""
    until = f", until {told['ends_at'][:19].replace('T', ' ')} UTC" if told["ends_at"] else ""
    return f", {told['per_second']:,.0f} a second{until}"
