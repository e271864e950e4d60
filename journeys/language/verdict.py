"""The answers to a Send and to a Call, whoever gives them: Temporal's activities or a rehearsal."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal


@dataclass(frozen=True)
class SendVerdict:
    """What a try came to. `settled` and `exited` are final; the others say not to come back before `until`."""

    status: Literal["settled", "deferred", "held", "again", "exited"]
    sent: bool = False
    """Some message is sent, or may have gone out: `otherwise` does not run."""
    reasons: tuple[str, ...] = ()
    """Why messages were skipped or rejected (for `again`: what is in the way), sorted."""
    until: datetime | None = None
    claimed_at: datetime | None = None
    """When the first of its messages was taken for sending, by the database's clock."""


@dataclass(frozen=True)
class CallVerdict:
    """What a try of a Call came to. `done`, `failed` and `exited` are final; `held` says not to come back before `until`."""

    status: Literal["done", "failed", "held", "again", "exited"]
    result: Mapping[str, Any] = field(default_factory=dict)
    """The JSON object that came back; a result that is no object is its `value`."""
    reason: str = ""
    """Why it failed, is held or has to be tried again, in words or as a code."""
    until: datetime | None = None
