"""What an enrollment has been through, waits for and comes to next, in words: for the Temporal UI and for inspection."""

from collections.abc import Iterator, Sequence

from journeys.language import reasons
from journeys.language.describe import condition_words, step_words
from journeys.language.journey import Journey
from journeys.language.steps import AnyStep, Exit, If, Repeat, Send, Split, Switch, Wait, WaitFor
from journeys.language.verdict import SendVerdict
from journeys.language.walk import all_steps
from journeys.language.whereabouts import UNTIL, ways_on
from journeys.language.world import Progress, Record


def in_words(progress: Progress, now: str, journey: Journey) -> str:
    """Markdown: what goes on now, what comes next, each step so far, the oldest first, and what was captured. Times are UTC."""
    steps = {step.id: step for step in all_steps(journey.steps)}
    records = [record for record in progress.records if not record.step.startswith("$")]
    captured = [f"- {step}: {event.name} at {event.occurred_at:%Y-%m-%d %H:%M}" for step, event in progress.captured.items()]
    so_far = [f"- {_line(record, steps.get(record.step.removesuffix(UNTIL)), progress)}" for record in records]
    standing = records[-1] if records and records[-1].outcome is None else None
    following = list(_next(journey.steps, standing.step)) if standing and not now.startswith("ended") else []
    return "\n".join(
        [f"**Now:** {now}", *_headed("Next", following), *_headed("So far (UTC)", so_far), *_headed("Captured (UTC)", captured)]
    )


def put_off_words(step: Send, verdict: SendVerdict) -> str:
    """Why a message does not leave yet, for the timer that waits."""
    why = ", ".join(reasons.words(reason, channel=step.message.channel) for reason in verdict.reasons)
    until = f" (until {verdict.until:%Y-%m-%d %H:%M} UTC)" if verdict.until and verdict.status == "deferred" else ""
    return f"{'held' if verdict.status == 'held' else 'put off'}: {step.id}{f', because {why}' if why else ''}{until}"


def _headed(heading: str, lines: list[str]) -> list[str]:
    return ["", f"**{heading}**", *lines] if lines else []


def _next(steps: Sequence[AnyStep], standing: str) -> Iterator[str]:
    """Where each way on from the present step leads."""
    for way, step in ways_on(steps, standing):
        what = f"{step.id} ({step_words(step)})" if step else "the end"
        yield f"- {f'{way}: ' if way else ''}{what}"


def _line(record: Record, step: AnyStep | None, progress: Progress) -> str:
    visit = f" (visit {record.visit})" if record.visit > 1 else ""
    what = f": {step_words(step)}" if step and not record.step.endswith(UNTIL) else ""
    return f"{record.began_at:%Y-%m-%d %H:%M} **{record.step}**{visit}{what}{_outcome(record, step, progress)}"


def _outcome(record: Record, step: AnyStep | None, progress: Progress) -> str:
    if isinstance(step, Exit):
        return ""
    if record.outcome is None and isinstance(step, Send):
        return " → not yet"
    if record.outcome is None:
        return f" → until {record.until:%Y-%m-%d %H:%M}" if record.until else " → going on"
    return f" → {_way(record, step, progress)}"


def _way(record: Record, step: AnyStep | None, progress: Progress) -> str:
    """The outcome as people say it."""
    outcome = str(record.outcome)
    match step:
        case If():
            return "yes" if outcome == "0" else "no"
        case Switch() if outcome.isdigit() and int(outcome) < len(step.cases):
            return condition_words(step.cases[int(outcome)].condition)
        case Repeat() if record.step.endswith(UNTIL) and step.until is not None:
            return f"{condition_words(step.until)}? {'yes' if outcome == '0' else 'no'}"
        case WaitFor() if outcome.isdigit():
            captured = progress.captured.get(step.id)
            return f"{captured.name} came" if captured else "came"
        case WaitFor() if outcome == "timeout":
            return "did not come in time"
        case Split():
            return f"arm {outcome}"
        case Wait() if outcome == "past":
            return "had passed already"
        case _:
            return reasons.words(outcome) if outcome in reasons.OTHER else outcome.replace("_", " ")
