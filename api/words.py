"""Sentences for people: what a line of a timeline means, and each reason code. Codes are stable; sentences may be improved."""

from collections.abc import Callable, Mapping
from typing import Any

from journeys.language.moving import REASONS as MOVE_REASONS

REASONS: dict[str, str] = {
    "opted_out": "they opted out of this channel",
    "unsubscribed": "they unsubscribed from this topic",
    "suppressed": "the address is suppressed: it bounced, complained, or somebody blocked it",
    "no_consent": "this channel needs a consent for marketing, and there is none",
    "no_endpoint": "they have no address on this channel",
    "inactive_endpoint": "their address on this channel is inactive",
    "quiet_hours": "it was inside the quiet hours",
    "capped": "they had reached the limit of messages",
    "holdout": "they are in the holdout: measured, but not written to",
    "exited": "the journey had ended for them",
    "not_allowed_here": "this environment writes only to the addresses on its allow-list",
    "missing_variable": "a variable that the template requires was missing",
    "template_error": "the template could not be rendered",
    "template_too_slow": "the template took too long to render",
    "template_too_large": "the rendered message was too large",
    "no_template": "there is no such template",
    "no_content": "the template has nothing for this channel",
    "no_content_for_channel": "the template has nothing for this channel",
    "rejected": "the provider refused it for good",
    "unconfirmed": "no clear answer came from the provider: it may have gone out",
    "gave_up": "it could not be sent for 72 hours",
    "gave_up_after_72h": "it could not be sent for 72 hours",
    "paused": "sending is paused",
    "no_moment": "the moment to wait for was missing or was no time",
    "no_key": "the event lacked the property that keys this journey",
    "too_late": "the event had happened too long before it arrived",
    "late": "the event had happened too long before it arrived",
    "already_in": "they were inside this journey already",
    "not_again_yet": "they may not enter this journey again, or not yet",
    "merged": "they turned out to be somebody who is in this journey already",
    "completed": "they came to its end",
    "ends_after": "it had lasted as long as it may",
    "goal": "they reached the goal",
    "provider_away": "the provider cannot be reached at present",
    "slow_provider": "the provider is slow at present",
    "unavailable": "something that is needed cannot be reached at present",
    "unsigned": "a browser brought this address without a signed user id",
    "manual": "somebody did it by hand",
    "exited_by_hand": "somebody took them out",
    "workflow_gone": "their workflow was gone",
    "terminated": "their workflow was terminated in Temporal",
    "canceled": "their workflow was cancelled in Temporal",
}
STATES: dict[str, str] = {
    "planned": "planned",
    "deferred": "put off",
    "claimed": "being sent",
    "sent": "sent",
    "rejected": "refused by the provider",
    "unknown": "unconfirmed: it may have gone out",
    "skipped": "not sent",
    "given_up": "given up",
}
_LATER = ("unsubscribed", "complained", "bounced", "clicked", "opened", "delivered")
_Fact = Mapping[str, Any]


def reason_words(reason: str | None) -> str:
    """Say a reason code in words; what follows a colon (an event's or variable's name) is kept."""
    if not reason:
        return ""
    code, _, rest = reason.partition(":")
    words = REASONS.get(code, code.replace("_", " "))
    return f"{words} ({rest.strip()})" if rest.strip() else words


def left_words(reason: str | None) -> str:
    """Say why somebody left a journey, as the end of a sentence."""
    code, _, event = (reason or "").partition(": ")
    if code == "exited" and event:
        return f" because of {event}"
    return f": {reason_words(reason)}" if reason else ""


def message_words(fact: _Fact) -> str:
    """Say what became of a message: its state, why, and what the receiver's side told later."""
    what = f'{fact["channel"]} "{fact["template"]}"' if fact["template"] else f"{fact['channel']} message"
    later = [word for word in _LATER if fact.get(f"{word}_at")]
    words = f"{what}: {STATES.get(fact['state'], fact['state'])}"
    if later:
        words += f", {later[0]}"
    if fact["reason"]:
        words += f", because {reason_words(fact['reason'])}"
    if fact["state"] == "deferred" and fact["deferred_until"]:
        words += f", until {fact['deferred_until']}"
    return words + (" (it may have come twice)" if fact["maybe_doubled"] else "")


def moment_words(kind: str, fact: _Fact) -> str:
    """Say one line of a timeline."""
    return _WORDS[kind](fact)


def _event_words(fact: _Fact) -> str:
    return f"did {fact['name']}" + (" (imported history: it starts nothing)" if fact["is_history"] else "")


def _step_words(fact: _Fact) -> str:
    verdict = fact["verdict"]
    step = f"{fact['journey']}: {fact['step']}"
    if verdict.get("kind") == "decided":
        branch = verdict.get("branch")
        return f"{step} took {'the otherwise branch' if branch is None else f'branch {branch + 1}'}"
    return f"{step} {verdict.get('status') or verdict.get('kind') or 'done'}"


def intervention_words(fact: _Fact) -> str:
    """Say what was done by hand, and what became of it."""
    detail, kind = fact["detail"], fact["kind"]
    if kind == "move" and fact["outcome"] == "refused":
        return f"could not be moved to version {detail['to']}: {MOVE_REASONS.get(detail['reason'], detail['reason'])}"
    if kind == "move":
        where = detail["step"] if detail["step"] == detail["to_step"] else f"{detail['step']}, to {detail['to_step']}"
        return f"moved from version {detail['from']} to version {detail['to']}, at {where}"
    if kind == "exit":
        return f"taken out: {reason_words(detail.get('reason'))}"
    if kind == "closed":
        return f"closed: {reason_words(detail.get('reason'))}"
    return {"advance": "let go on before its time", "release": "let go on after a pause"}.get(kind, kind)


_WORDS: dict[str, Callable[[_Fact], str]] = {
    "event": _event_words,
    "entered": lambda fact: f"entered {fact['journey']} (version {fact['version']}) by {fact['event']}",
    "ended": lambda fact: f"left {fact['journey']}{left_words(fact['reason'])}",
    "not_entered": lambda fact: f"did not enter {fact['journey']}: {reason_words(fact['reason'])}",
    "step": _step_words,
    "message": lambda fact: message_words(fact) + (f" ({fact['journey']}: {fact['step']})" if fact["journey"] else ""),
    "by_hand": lambda fact: f"{fact['journey']}: {intervention_words(fact)} (by {fact['done_by']})",
    "consent": lambda fact: f"consent {fact['state']} for {_channel(fact['channel'])}, {_topic(fact['topic'])}, by {fact['source']}",
}


def _channel(name: str) -> str:
    return "every channel" if name == "*" else name


def _topic(name: str) -> str:
    return "every topic" if name == "*" else f"topic {name}"
