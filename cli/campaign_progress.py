"""Watches a run of a campaign with a progress bar, and says what it came to."""

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from cli.amounts import minute, second
from cli.client import Client
from cli.console import notes
from journeys.language.reasons import words

LOOK_EVERY_S = 0.5
OVER = ("stopped", "finished")
_MOVING = ("planned", "busy")
_WAITS_FOR = {
    "not_due": "for the time of version {version}",
    "local_time": "for their own clocks to show the campaign's time",
    "no_winner_yet": "for a winner",
    "quiet_hours": "for quiet hours to end",
    "outside_window": "for the send window to open",
    "paused": "because sending is paused",
    "provider_away": "for the provider, which is away",
    "rate_limited": "for the account's rate",
    "run_rate": "for the campaign's rate",
}
"""What has better words here than where it is told of one message."""


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
            bar.update(shown, description=told["state"], completed=told["done"], total=total, rate=moves(told))
            if told["state"] in OVER:
                return told
            time.sleep(LOOK_EVERY_S)


def moves(told: Any) -> str:
    """How fast a run goes, or what it waits for while nothing leaves."""
    return "; ".join(waiting(told)) if _is_still(told) else _rate(told)


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


def waiting(told: Any) -> Iterator[str]:
    """What a run that is not over waits for, in words, the most first; what only waits for its turn is not told."""
    kinds: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for each in told["waits"] if told["state"] not in OVER else ():
        if each["reason"] not in _MOVING:
            # Each version has a time of its own.
            kinds[each["reason"], each["version"] if each["reason"] == "not_due" else ""].append(each)
    for (reason, version), waits in sorted(kinds.items(), key=lambda kind: (-_messages(kind[1]), kind[0])):
        next_at = min((each["next_at"] for each in waits if each["next_at"]), default=None)
        when = f", the next at {minute(next_at)} UTC" if next_at else ""
        number = _messages(waits)
        yield f"{number:,} {'waits' if number == 1 else 'wait'} {_for(reason, version)}{when}"


def _messages(waits: Sequence[Any]) -> int:
    return sum(each["messages"] for each in waits)


def _for(reason: str, version: str) -> str:
    said = _WAITS_FOR.get(reason)
    return said.format(version=version) if said else f"because {words(reason)}"


def _is_still(told: Any) -> bool:
    """Nothing leaves, and something waits."""
    return bool(told["waits"]) and all(each["reason"] not in _MOVING for each in told["waits"])


def _rate(told: Any) -> str:
    if told["per_second"] is None:
        return ""
    until = f", until {second(told['ends_at'])} UTC" if told["ends_at"] else ""
    return f", {told['per_second']:,.0f} a second{until}"
