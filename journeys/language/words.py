"""What an enrollment has been through and waits for, in words: for the Temporal UI and for inspection."""

from journeys.language.world import Progress, Record


def in_words(progress: Progress, now: str) -> str:
    """Markdown: what goes on now, then each step so far, oldest first."""
    steps = [f"- {_line(record)}" for record in progress.records if not record.step.startswith("$")]
    captured = [f"- {step}: {event.name} at {event.occurred_at:%Y-%m-%d %H:%M} UTC" for step, event in progress.captured.items()]
    return "\n".join([f"**Now:** {now}", *_headed("So far", steps), *_headed("Captured", captured)])


def _headed(heading: str, lines: list[str]) -> list[str]:
    return ["", f"**{heading}**", *lines] if lines else []


def _line(record: Record) -> str:
    visit = f" (visit {record.visit})" if record.visit > 1 else ""
    ended = record.outcome or ("until " + f"{record.until:%Y-%m-%d %H:%M} UTC" if record.until else "going on")
    return f"{record.began_at:%Y-%m-%d %H:%M} {record.step}{visit}: {ended}"
