"""The answer to a Send, whoever gives it: Temporal's activities or a rehearsal."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal


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
