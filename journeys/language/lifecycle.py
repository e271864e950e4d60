"""The life of a campaign, from draft to finished, in one table: what may be done in which state. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from journeys.language.errors import Conflict

State = Literal["draft", "in_review", "scheduled", "running", "paused", "stopped", "finished"]
Act = Literal["submit", "send_back", "approve", "launch", "begin", "resend", "pause", "resume", "stop", "end"]

_NOT_LAUNCHED: frozenset[State] = frozenset({"draft", "in_review", "stopped", "finished"})
FROM: Mapping[Act, frozenset[State]] = {
    "submit": frozenset({"draft", "stopped", "finished"}),
    "send_back": frozenset({"in_review"}),
    "approve": frozenset({"in_review"}),
    "launch": _NOT_LAUNCHED,
    # The two that nobody asks for: its time has come, and its last run is over.
    "begin": frozenset({"scheduled"}),
    "end": frozenset({"running"}),
    "resend": frozenset({"scheduled", "running", "stopped", "finished"}),
    "pause": frozenset({"scheduled", "running"}),
    "resume": frozenset({"paused"}),
    "stop": frozenset({"scheduled", "running", "paused"}),
}


@dataclass(frozen=True)
class Ahead:
    """What a campaign still has before it: something that goes on (an open run, events that send it), and beginnings to come."""

    goes_on: bool
    begins_later: bool

    @property
    def state(self) -> State:
        if self.goes_on:
            return "running"
        return "scheduled" if self.begins_later else "finished"


def after(act: Act, state: State, ahead: Ahead) -> State:
    """The state after an act; `ahead` is what lies before the campaign then. Raises Conflict where the state does not allow it."""
    if state not in FROM[act]:
        allowed = ", ".join(sorted(each.replace("_", " ") for each in FROM[act]))
        raise Conflict(f"this campaign is {state.replace('_', ' ')}: {_WORDS[act]} needs one that is {allowed}")
    match act:
        case "submit" | "approve":
            return "in_review"
        case "send_back":
            return "draft"
        case "pause":
            return "paused"
        case "stop":
            return "stopped"
        case "launch" | "begin" | "resend" | "resume" | "end":
            return ahead.state


_WORDS: Mapping[Act, str] = {
    "submit": "asking for a review",
    "send_back": "sending it back",
    "approve": "approving",
    "launch": "launching",
    "begin": "beginning",
    "end": "ending",
    "resend": "sending again",
    "pause": "pausing",
    "resume": "resuming",
    "stop": "stopping",
}
