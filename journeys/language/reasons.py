"""Every reason code: what it means, and what would have to be different. Codes are stable; sentences may be improved.

docs/reference/reasons.md is made from here. Sentences name {user}, {channel}, {topic}, {journey}, {step} and {template} where they are
known.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Reason:
    """`words` complete a sentence after a colon; `remedy` is what to do, empty where nothing is wrong."""

    words: str
    remedy: str = ""


NOT_SENT: Mapping[str, Reason] = {
    "opted_out": Reason(
        "they opted out of {channel}",
        "only they can take it back: record a consent with POST /v1/users/{user}/consents when they do",
    ),
    "unsubscribed": Reason(
        "they unsubscribed from {topic}",
        "only they can take it back; a message that must arrive all the same is transactional (`message_class`)",
    ),
    "suppressed": Reason(
        "the address is suppressed: it bounced, complained, or somebody blocked it",
        "look with GET /v1/suppressions; once the address works again, DELETE /v1/suppressions/CHANNEL/ID",
    ),
    "no_consent": Reason(
        "{topic} on {channel} needs a consent, and there is none",
        "record it with POST /v1/users/{user}/consents, with how they gave it",
    ),
    "not_confirmed": Reason(
        "they asked for {topic} and have not confirmed it yet",
        "only they can, with the link that was sent to them; POST /v1/subscriptions sends it once more",
    ),
    "no_endpoint": Reason(
        "they have no address on {channel}",
        "add one with POST /v1/users/{user}/endpoints, or give the Send an `otherwise`",
    ),
    "inactive_endpoint": Reason(
        "their address on {channel} is inactive",
        "`sojourn users show {user}` says why; POST /v1/users/{user}/endpoints with the same address makes it active",
    ),
    "quiet_hours": Reason(
        "it was inside the quiet hours",
        'change `quiet_hours` of step, journey or app; with then="wait" it is put off instead of dropped',
    ),
    "outside_window": Reason(
        "it was outside the hours or days in which messages may leave",
        'change `send_window` of step, journey or app; with then="wait" it is put off instead of dropped',
    ),
    "never_permitted": Reason(
        "quiet hours and send window leave no moment of the week",
        "make the hours of step, journey and app meet: GET /v1/settings shows the app's",
    ),
    "capped": Reason(
        "they had reached the limit of messages",
        "raise the Cap of journey or app; their messages of that time are in `sojourn why {user}`",
    ),
    "superseded": Reason("it held a one-time code, and a newer code has taken its place"),
    "expired": Reason("what it said, such as a one-time code, did not hold any more when it could have left, or its campaign was over"),
    "held_out": Reason(
        "held out of the campaign: measured, and written nothing", "`holdout` of the campaign says how many; the same people always"
    ),
    "stopped": Reason("its campaign was stopped before it could leave", "`sojourn campaigns show` says by whom"),
    "no_winner": Reason(
        "they waited for the version that wins, and there was none",
        "`otherwise` of the campaign's winner rule says what they get then; `sojourn campaigns show` tells the run",
    ),
    "window_closed": Reason(
        "they did not write on WhatsApp within the last 24 hours, and a free text only answers",
        "add whatsapp.toml with an approved template to {template}: it is sent instead",
    ),
    "not_allowed_here": Reason(
        "this environment writes only to the addresses on its allow-list",
        "add the address to SOJOURN_ALLOWED_RECIPIENTS; production has no list",
    ),
    "missing_variable": Reason(
        "a variable that {template} requires was missing",
        "give {template} a default for it, or send the value with the event or the user",
    ),
    "template_error": Reason("{template} could not be rendered", "mend it, then `sojourn apply`; `sojourn check` renders it"),
    "template_too_slow": Reason("{template} took too long to render", "look for a loop over a long list in it"),
    "template_too_large": Reason("the rendered message was too large", "look for a loop over a long list in it"),
    "source_failed": Reason(
        "{template} looks something up in a source, and the source did not answer",
        "`sojourn sources look NAME KEY` asks it; `failing` of the source says what becomes of a message then: skip, wait or default",
    ),
    "no_source": Reason("{template} asks a source that does not exist", "add it to journeys/sources/, then `sojourn apply`"),
    "no_template": Reason("{template} does not exist", "add it to journeys/templates/, then `sojourn apply`"),
    "no_content_for_channel": Reason("{template} has nothing for {channel}", "add the file for it, then `sojourn apply`"),
    "rejected": Reason("the provider refused it for good", "the provider's answer stands beside it; the next message is tried as usual"),
    "unconfirmed": Reason(
        "no clear answer came from the provider: it may have gone out",
        "nothing, where the provider tells or is asked; else look there for the message id: marketing is never sent a second time blindly",
    ),
    "gave_up": Reason(
        "it could not be done for 72 hours", "`sojourn doctor` looks at the provider; give the step an `otherwise` for such days"
    ),
    "exited": Reason("the journey had ended for them"),
    "erased": Reason("they were erased"),
    "moved": Reason("they were moved to another step before it left"),
    "no_value_for_url": Reason("a value that the URL of the call needs was missing", "check `fill` of {step}: the entry or user lacked it"),
}
FAILED = frozenset(
    {
        *("missing_variable", "template_error", "template_too_slow", "template_too_large", "source_failed", "no_source", "no_template"),
        *("no_content_for_channel", "window_closed", "rejected", "gave_up", "expired"),
    }
)
"""Those for which a message could not be made, or handed over in time: a campaign sends it again when it is told to."""
NOT_YET: Mapping[str, Reason] = {
    "provider_away": Reason(
        "the provider cannot be reached at present", "nothing is lost: it is tried for 72 hours; `sojourn doctor` looks"
    ),
    "too_many_bounces": Reason(
        "too many of the account's marketing mails bounced, so marketing waits",
        "take dead addresses off your lists; `sojourn doctor` shows the share; `reputation` of the app's settings holds the threshold",
    ),
    "too_many_complaints": Reason(
        "too many readers called the account's marketing mails spam, so marketing waits",
        "write only to who asked for it; `sojourn doctor` shows the share; `reputation` of the app's settings holds the threshold",
    ),
    "rate_limited": Reason("it waits for its slot: the account sends no faster", "raise `per_second` of the account, or share the load"),
    "no_account": Reason(
        "no account of the app serves it", "look at countries and classes: `sojourn providers list`, and at `provider=` of the message"
    ),
    "source_away": Reason(
        "a source that {template} asks does not answer at present",
        "nothing is lost: it is asked again; `wait_at_most` of the source says for how long; `sojourn sources look NAME KEY` asks it now",
    ),
    "slow_provider": Reason("the provider takes long to answer", "nothing is lost: the answer is waited for"),
    "unavailable": Reason("something that is needed cannot be reached at present", "`sojourn doctor` looks; it is tried again"),
    "not_sent": Reason("the provider did not take it", "it is tried again for 72 hours; the provider's words stand beside it"),
    "busy": Reason("it is being sent at this moment"),
    "planned": Reason("it waits for its turn"),
    "not_due": Reason("the time of its version has not come", "`after` of the campaign's version says how long after the run begins"),
    "local_time": Reason("their own clock does not show the campaign's time yet"),
    "no_winner_yet": Reason(
        "they wait for the version that wins", "the campaign's winner rule decides; POST /v1/campaigns/NAME/runs/ID/winner does so earlier"
    ),
    "run_rate": Reason("it waits for its slot: the campaign sends no faster", "raise `per_second` of the campaign for its next launch"),
    "paused": Reason("sending is paused", "`sojourn resume` lets it go; nothing is lost meanwhile"),
}
NOT_ENTERED: Mapping[str, Reason] = {
    "no_key": Reason(
        "the event lacked the property that keys this journey", "send the property with the event, or change `key` of {journey}"
    ),
    "too_late": Reason(
        "the event had happened too long before it arrived",
        "send events soon, or raise `late_after` of {journey}; imports are meant to start nobody",
    ),
    "already_in": Reason("they were inside this journey already", "`sojourn enrollments list --user {user}` shows where"),
    "not_again": Reason("each person enters this journey only once", "set `again_after` of {journey} to let people enter again"),
    "app_holdout": Reason(
        "they are held out of all marketing, to measure what it does",
        "`holdout` of the app's settings says how many; the same people always, and transactional journeys take them",
    ),
    "not_again_yet": Reason("their last time in this journey was too short ago", "`again_after` of {journey} says how long"),
    "no_such_journey": Reason("there is no such journey", "publish it with `sojourn apply`, or mend the name"),
    "retired": Reason("the journey is retired", "put it back into the catalogue, then `sojourn apply`"),
    "entries_closed": Reason("the journey takes no entries at present", "`sojourn apply` without --paused opens it"),
}
ENDED: Mapping[str, Reason] = {
    "completed": Reason("they came to its end"),
    "exited": Reason("an event or condition that ends it"),
    "ends_after": Reason("it had lasted as long as it may", "`ends_after` of {journey} says how long"),
    "holdout": Reason("held out: measured, and written nothing", "`holdout` of {journey} says how many; the same people always"),
    "merged": Reason("they turned out to be somebody who is in this journey already"),
    "exited_by_hand": Reason("somebody took them out"),
    "workflow_gone": Reason(
        "their workflow was gone from Temporal", "Temporal lost or forgot it; they may enter again by the journey's rules"
    ),
    "terminated": Reason("their workflow was terminated in Temporal", "somebody did it there; `sojourn enrollments exit` says why as well"),
    "canceled": Reason("their workflow was cancelled in Temporal", "somebody did it there; `sojourn enrollments exit` says why as well"),
    "failed": Reason("their workflow failed in Temporal", "look at its failure there, and report it: a journey never fails by itself"),
    "timed_out": Reason("their workflow timed out in Temporal", "journeys have no timeout there: look who set one"),
    "row_closed": Reason("their enrollment had ended before", "nothing: the reconciler ended the workflow"),
}
OTHER: Mapping[str, Reason] = {
    "no_moment": Reason(
        "the moment to wait for was missing or was no time", "send it as a time (2026-11-23T09:00:00Z), or give an `otherwise`"
    ),
    "unsigned": Reason("a browser brought this address without a signed user id", "sign it: POST /v1/users/{user}/signature"),
    "gone": Reason("the provider said that the app is gone from this device", "nothing: it is used again once the device confirms it"),
    "replaced": Reason("the provider knows this device by another address", "nothing: the other address is an endpoint of its own"),
    "bounce": Reason("a message to it bounced", "once the address works again, DELETE /v1/suppressions/CHANNEL/ID"),
    "complaint": Reason("its owner called a message spam", "do not write to it again"),
    "manual": Reason("somebody blocked it by hand", "DELETE /v1/suppressions/CHANNEL/ID unblocks it"),
    "provider": Reason(
        "the provider keeps it on a list of its own, after a STOP or a bounce there",
        "take it off there, as GET /v1/suppressions says, then DELETE /v1/suppressions/CHANNEL/ID",
    ),
}
REASONS: Mapping[str, Reason] = {**NOT_SENT, **NOT_YET, **NOT_ENTERED, **OTHER, **ENDED, "exited": NOT_SENT["exited"]}
UNNAMED = {
    "channel": "this channel", "topic": "this topic", "user": "ID", "journey": "the journey", "step": "the step", "template": "the template"
}  # fmt: skip


class _Names(dict[str, str]):
    def __missing__(self, name: str) -> str:
        return UNNAMED[name]


def words(reason: str | None, **names: str | None) -> str:
    """A reason in words, with what is known of its case; what follows its colon (a name) is kept in brackets. Own words stay."""
    if not reason:
        return ""
    code, _, rest = reason.partition(":")
    known = REASONS.get(code)
    said = _filled(known.words, names) if known else code.replace("_", " ")
    return f"{said} ({rest.strip()})" if rest.strip() else said


def remedy(reason: str | None, **names: str | None) -> str:
    """What would have to be different, or nothing."""
    known = REASONS.get((reason or "").partition(":")[0])
    return _filled(known.remedy, names) if known else ""


def _filled(words: str, names: Mapping[str, str | None]) -> str:
    return words.format_map(_Names({name: value for name, value in names.items() if value}))
