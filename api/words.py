"""Sentences for people: what a line of a timeline means. What a reason code means stands in journeys/language/reasons.py."""

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from journeys.language import reasons
from journeys.language.describe import condition_words
from journeys.language.moving import REASONS as MOVE_REASONS
from journeys.language.steps import AnyStep, Call, If, Repeat, Switch
from journeys.language.zones import zone_of

STATES: dict[str, str] = {
    "planned": "waits to be sent",
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


def reason_words(reason: str | None, **names: str | None) -> str:
    """Say a reason code in words; what follows a colon (an event's or variable's name) is kept."""
    return reasons.words(reason, **names)


def left_words(reason: str | None) -> str:
    """Say why somebody left a journey, as the end of a sentence."""
    code, _, event = (reason or "").partition(": ")
    if code == "exited" and event == "condition":
        return ": a condition that ends it came to hold"
    if code == "exited" and event:
        return f" because of {event}"
    return f": {reason_words(reason)}" if reason else ""


def message_words(fact: _Fact, timezone: str | None = None) -> str:
    """Say what became of a message: its state, why, and what the receiver's side told later. Times are told in `timezone`."""
    what = f'{fact["channel"]} "{fact["template"]}"' if fact["template"] else f"{fact['channel']} message"
    later = [word for word in _LATER if fact.get(f"{word}_at")]
    words = f"{what}: {_state_words(fact)}"
    if fact.get("account") and fact["state"] in {"sent", "rejected", "unknown"}:
        words += f" through {fact['account']}"
    if later:
        words += f", {later[0]}"
    if fact["reason"] and fact["state"] not in {"unknown", "rejected"}:
        words += f", because {reason_words(fact['reason'], **_names(fact))}"
    if fact["state"] == "deferred" and fact["deferred_until"]:
        words += f", until {_local(fact['deferred_until'], timezone)} ({timezone or 'UTC'})"
    if fact.get("answer") and fact["state"] != "sent":
        words += f"; {fact.get('provider') or 'the provider'} said: {fact['answer']}"
    return words + _cost_words(fact) + (" (it may have come twice)" if fact["maybe_doubled"] else "")


def _cost_words(fact: _Fact) -> str:
    """How many segments a text took, and what was paid, where either says something; nothing of what may not have gone out."""
    if fact["state"] != "sent":
        return ""
    units = fact.get("units") or 0
    counted = f"{units} segments" if units > 1 and fact["channel"] == "sms" else ""
    paid = f"{Decimal(fact['price']).normalize():f} {fact['currency']}" if fact.get("price") is not None else ""
    return f" ({', '.join(part for part in (counted, paid) if part)})" if counted or paid else ""


def _state_words(fact: _Fact) -> str:
    tries = fact.get("tries") or 0
    if fact["state"] == "planned" and tries:
        return f"tried {tries} time{'s' if tries > 1 else ''}, and will be again"
    return STATES[fact["state"]]


def moment_words(kind: str, fact: _Fact, *, step: AnyStep | None = None, holdout: float = 0, timezone: str | None = None) -> str:
    """Say one line of a timeline. `step` is the one that the fact is about, where it is known; times are told in `timezone`."""
    match kind:
        case "step" if fact["verdict"].get("kind") == "best_time":
            return f"{fact['journey']}: {fact['step'].partition(':')[2]}: {_best_time_words(fact['verdict'])}"
        case "step":
            return _step_words(fact, step)
        case "message":
            return message_words(fact, timezone) + (f" ({fact['journey']}: {fact['step']})" if fact["journey"] else "")
        case "entered" if fact.get("end_reason") == "holdout":
            share = f"{holdout:g} % get nothing and are measured" if holdout else "some get nothing and are measured"
            return f"held out of {fact['journey']} (entry by {fact['event']}): {share}, and this is one of them"
        case _:
            return _WORDS[kind](fact)


def remedy_words(kind: str, fact: _Fact, user: str) -> str:
    """What would have to be different for it to come out another way; empty where nothing is wrong."""
    match kind:
        case "not_entered":
            return reasons.remedy(fact["reason"], user=user, journey=fact["journey"])
        case "message" if fact["state"] not in ("sent", "deferred"):
            return reasons.remedy(fact["reason"], user=user, **_names(fact))
        case "ended" if fact["reason"] not in ("completed", "exited_by_hand"):
            return reasons.remedy(fact["reason"], user=user, journey=fact["journey"])
        case "entered" if fact.get("end_reason") == "holdout":
            return reasons.remedy("holdout", journey=fact["journey"])
        case "step" if fact["verdict"].get("status") == "failed":
            return reasons.remedy(fact["verdict"].get("reason"), user=user, step=fact["step"])
        case _:
            return f"sojourn replies decide {fact['id']} --stays, or --leaves" if kind == "unclear" and not fact["decision"] else ""


def intervention_words(fact: _Fact) -> str:
    """Say what was done by hand, and what became of it."""
    detail, kind = fact["detail"], fact["kind"]
    if kind == "move" and fact["outcome"] == "refused":
        return f"could not be moved to version {detail['to']}: {MOVE_REASONS.get(detail['reason'], detail['reason'])}"
    if kind == "move":
        where = f"at {detail['step']}" if detail["step"] == detail["to_step"] else f"from {detail['step']} to {detail['to_step']}"
        return f"moved from version {detail['from']} to version {detail['to']}, {where}"
    if kind == "exit":
        return f"taken out: {reason_words(detail.get('reason'))}"
    if kind == "closed":
        return f"closed: {reason_words(detail.get('reason'))}"
    return {"advance": "let go on before its time", "release": "let go on after a pause"}.get(kind, str(kind))


def _step_words(fact: _Fact, step: AnyStep | None) -> str:
    verdict, where = fact["verdict"], f"{fact['journey']}: {fact['step']}"
    match verdict.get("kind"):
        case "decided":
            return f"{where}: {_decided_words(fact['step'], verdict.get('branch'), step)}"
        case "called":
            called = f" {step.action.name}" if isinstance(step, Call) and step.action.kind == "function" else ""
            why = f": {reason_words(verdict.get('reason'))}" if verdict.get("reason") else ""
            return f"{where}: called{called}, {verdict.get('status')}{why}"
        case "updated":
            return f"{where}: set {', '.join(verdict.get('attributes') or ['nothing'])}"
        case "asked_to_enter":
            return f"{where}: asked that they enter {verdict.get('journey')}"
        case "send":
            return f"{where}: {_send_words(verdict)}"
        case _:
            return f"{where}: {verdict.get('status') or verdict.get('kind') or 'done'}"


def _send_words(verdict: _Fact) -> str:
    if verdict.get("status") == "exited":
        return "not sent, because the journey had ended for them"
    why = ", ".join(map(reason_words, verdict.get("reasons") or ()))
    return "sent" if verdict.get("sent") else f"not sent{f', because {why}' if why else ''}"


def _best_time_words(verdict: _Fact) -> str:
    """Until when it waits and why then: `waits until Tue 24 Nov 18:00: opened or clicked 7 of 9 times between 18 and 19`."""
    hour = verdict["hour"]
    between = f"between {hour} and {(hour + 1) % 24} o'clock"
    match verdict["known_by"]:
        case "person":
            why = f"{verdict['seen']} of {verdict['of']} times they opened or clicked {between}"
        case "everybody":
            why = f"their own hours are not known yet, and people here read most {between}"
        case _:
            return "goes on at once: nothing is known yet of the hours at which they, or people here, read"
    when = "goes on at once" if verdict["is_now"] else f"waits until {_local(verdict['until'], verdict['zone'])} ({verdict['zone']})"
    return f"{when}: {why}"


def _decided_words(name: str, branch: int | None, step: AnyStep | None) -> str:
    """The question in words where its step is known, and the answer."""
    match step:
        case _ if name.startswith("$exit:"):
            return "the condition that ends the journey holds"
        case If():
            return f"{condition_words(step.condition)}? {'no' if branch is None else 'yes'}"
        case Switch() if branch is not None:
            return f"{condition_words(step.cases[branch].condition)}: yes, the {_ORDINALS.get(branch, f'{branch + 1}th')} of its cases"
        case Switch():
            return "none of its cases holds: otherwise"
        case Repeat() if step.until is not None:
            return f"{condition_words(step.until)}? {'no, once more' if branch is None else 'yes, so it ends'}"
        case _:
            return f"took {'the otherwise branch' if branch is None else f'branch {branch + 1}'}"


def _event_words(fact: _Fact) -> str:
    done = _DONE.get(fact["name"], f"did {fact['name']}")
    if fact["name"] in _MOVES:
        done = f"{_MOVES[fact['name']]} {fact['properties']['segment']}"
    return done + (_HISTORY if fact["is_history"] else "")


_HISTORY = " (imported history: it starts nothing)"
_MOVES = {"segment_entered": "came into the segment", "segment_left": "went out of the segment"}
# What the Segment calls and the providers tell, which nobody "did" under that name.
_DONE = {
    "identified": "was identified",
    "grouped": "was put into a group",
    "page_viewed": "viewed a page",
    "screen_viewed": "viewed a screen",
    "message_opened": "opened a message",
    "message_clicked": "clicked in a message",
    "message_replied": "replied to a message",
}
_TOLD = {
    "bounced": "it bounced",
    "complained": "they complained about it",
    "refused": "not delivered, refused after it was accepted",
    "delayed": "held up, and tried again there",
    "unsubscribed": "they unsubscribed",
    "resubscribed": "they subscribed again",
}
_ORDINALS = {0: "first", 1: "second", 2: "third"}
_WORDS: dict[str, Callable[[_Fact], str]] = {
    "event": _event_words,
    "entered": lambda fact: f"entered {fact['journey']} (version {fact['version']}) by {fact['event']}",
    "ended": lambda fact: f"left {fact['journey']}{left_words(fact['reason'])}",
    "not_entered": lambda fact: f"did not enter {fact['journey']}: {reason_words(fact['reason'], journey=fact['journey'])}",
    "by_hand": lambda fact: f"{fact['journey']}: {intervention_words(fact)} (by {fact['done_by']})",
    "told": lambda fact: f"{fact['provider']} told of their {fact['channel']}: {_told_words(fact)}",
    "unclear": lambda fact: f"wrote on {fact['channel']} what may mean that they leave: {_decision_words(fact)}",
    "consent": lambda fact: f"consent {fact['state']} for {_channel(fact['channel'])}, {_topic(fact['topic'])}, by {fact['source']}",
}


def _told_words(fact: _Fact) -> str:
    """Our word, whether the address is dead, and the provider's own word or code."""
    detail = fact["detail"]
    how = {True: " for good", False: " for now"}.get(detail.get("hard"), "")
    return f"{_TOLD.get(fact['told'], fact['told'])}{how} ({detail.get('code') or fact['word']})"


def _decision_words(fact: _Fact) -> str:
    if fact["decision"] is None:
        return "marketing there rests until somebody decides"
    return f"{fact['decided_by']} decided that they {'leave' if fact['decision'] == 'leaves' else 'stay'}"


def _names(fact: _Fact) -> dict[str, str | None]:
    names = {name: fact.get(name) for name in ("channel", "journey", "step")}
    return names | {name: f"{name} {fact[name]}" for name in ("topic", "template") if fact.get(name)}


def _local(moment: Any, timezone: str | None) -> str:
    """A moment as the person's clock shows it."""
    read = moment if isinstance(moment, datetime) else datetime.fromisoformat(moment)
    return f"{read.astimezone(zone_of(timezone)):%a %d %b %H:%M}"


def _channel(name: str) -> str:
    return "every channel" if name == "*" else name


def _topic(name: str) -> str:
    return {"*": "every topic", "*marketing": "all marketing"}.get(name, f"topic {name}")
