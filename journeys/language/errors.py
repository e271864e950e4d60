"""The errors that every floor knows.

SojournError
├── Refused                   the caller asked for something that cannot be; do not retry
│   ├── Invalid               a value breaks a rule; carries [(pointer, code)]
│   ├── NotFound              unknown, or another app's: the same for the caller
│   ├── OutsideSegment        sql(...) was asked where no segment is counted
│   └── Conflict              it exists already, or is in another state
├── Unavailable               we cannot answer now; retry after `retry_after`
└── SendFailed                what an adapter may raise, and nothing else (channels/base.py)
ConfigurationError            outside the tree: no "ignore send failures" may swallow it
"""

from dataclasses import dataclass


class SojournError(Exception):
    """Anything that Sojourn itself reports."""


class Refused(SojournError):
    """The request can never succeed as it is: change it before trying again."""


@dataclass(frozen=True)
class Problem:
    """One broken rule: where (an RFC 6901 pointer, or journey/step), a stable code, and words with the remedy."""

    pointer: str
    code: str
    message: str = ""


class Invalid(Refused):
    """One or several values break a rule; `problems` names all of them. Never carries the offending values."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(f"{p.pointer}: {p.message or p.code}" for p in problems))


class NotFound(Refused):
    """There is no such thing in this app."""


class OutsideSegment(Refused):
    """Only who counts a segment runs its SQL: a condition that is read of one person, or in memory, cannot ask it."""

    def __init__(self) -> None:
        super().__init__("sql(...) is answered only where a segment is counted: ask in_segment(...) here")


class Conflict(Refused):
    """It exists already, or is in a state that does not allow this."""


class Unavailable(SojournError):
    """We cannot answer now. Nothing was changed, or the change is safe to repeat; try again after `retry_after_s` seconds."""

    def __init__(self, message: str, retry_after_s: float = 1.0) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(message)


class ConfigurationError(Exception):
    """A setting is missing or contradicts another; the message names the setting and the remedy."""
