"""Makes docs/reference/reasons.md from the reason codes themselves: `make docs` writes it, a test holds it."""

import re
from collections.abc import Mapping
from pathlib import Path

from journeys.language import moving, reasons
from journeys.language.reasons import Reason

PAGE = Path(__file__).resolve().parents[1] / "docs" / "reference" / "reasons.md"
_HEAD = """# Reason codes

Why somebody did not get a message, did not enter a journey, left one, or waits. The codes stand in reports, in `sojourn why`, in the API
and in the Temporal Web UI; they never change their meaning. What follows a colon is a name: `exited: order_placed`,
`missing_variable:entry.total`. An `Exit` step and `sojourn enrollments exit --reason` bring words of your own, which are no codes.

This page is made from `journeys/language/reasons.py` by `make docs`.
"""
_PARTS: tuple[tuple[str, str, Mapping[str, Reason]], ...] = (
    ("A message was not sent", "State `skipped`, `rejected`, `given_up` or `unknown`, and why a `Call` failed.", reasons.NOT_SENT),
    ("A message waits", "It is tried again by itself; nobody has to do anything.", reasons.NOT_YET),
    ("Somebody did not enter a journey", "Told in the timeline and counted as `refused` in reports.", reasons.NOT_ENTERED),
    ("Somebody left a journey", "`end_reason` of an enrollment.", reasons.ENDED),
    ("Others", "Of waits, addresses and suppressions.", reasons.OTHER),
)
_NAME = re.compile(r"\{(\w+)\}")


def page() -> str:
    parts = [_part(title, about, _rows(codes)) for title, about, codes in _PARTS]
    moves = "".join(f"| `{code}` | {words} |\n" for code, words in moving.REASONS.items())
    told = "\n## Somebody was not moved\n\nTold for each person by `sojourn enrollments move`.\n\n| code | meaning |\n|---|---|\n"
    return _HEAD + "".join(parts) + told + moves


def _part(title: str, about: str, rows: str) -> str:
    return f"\n## {title}\n\n{about}\n\n| code | meaning | what would have to be different |\n|---|---|---|\n{rows}"


def _rows(codes: Mapping[str, Reason]) -> str:
    return "".join(f"| `{code}` | {_plain(reason.words)} | {_plain(reason.remedy)} |\n" for code, reason in codes.items())


def _plain(words: str) -> str:
    """Names of the case at hand become what they stand for."""
    return _NAME.sub(lambda name: reasons.UNNAMED[name[1]], words)


if __name__ == "__main__":
    PAGE.write_text(page())
