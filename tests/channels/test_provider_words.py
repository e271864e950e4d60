"""Every word of every provider that calls us, and what it means here: a hard bounce ends an address, so no row may be wrong.

The meanings are those of the pages of the providers:
SES https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html
SendGrid https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/event
Postmark https://postmarkapp.com/developer/api/bounce-api#bounce-types
Mailgun https://documentation.mailgun.com/docs/mailgun/user-manual/events/event-structure
Resend https://resend.com/docs/dashboard/webhooks/event-types
Twilio https://www.twilio.com/docs/messaging/guides/outbound-message-status-in-status-callbacks
AWS https://docs.aws.amazon.com/sms-voice/latest/userguide/configuration-sets-event-types.html
Vonage https://developer.vonage.com/en/messages/concepts/message-statuses
Sinch https://developers.sinch.com/docs/sms/api-reference/sms/delivery-reports
Meta https://developers.facebook.com/docs/whatsapp/cloud-api/webhooks/reference/messages/status
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from channels.email import mailgun_events, postmark_events, resend_events, sendgrid_events, ses_events
from channels.inbound import Told
from channels.readers import READERS
from channels.sms import aws_events, sinch_events, twilio_events, vonage_events
from channels.whatsapp import meta_events
from tests.channels.callers import BY_NAME, Caller
from tests.channels.test_machines import CHROME, GMAIL_AHEAD, IPHONE
from tests.channels.test_readers import URL, happened, read

APPLE, BARRACUDA = "Mozilla/5.0", "Mozilla/5.0 Barracuda Sentinel (EE)"
GMAIL_PROXY = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
HOME, EXCHANGE = "203.0.113.7", "104.47.13.36"


@dataclass(frozen=True)
class Meaning:
    """Our word; `hard` of a bounce, `reach` of who leaves or comes back."""

    kind: str
    hard: bool | None = None
    reach: str | None = None


ACCEPTED, DELIVERED, DELAYED = Meaning("accepted"), Meaning("delivered"), Meaning("delayed")
HARD, SOFT, REFUSED = Meaning("bounced", hard=True), Meaning("bounced", hard=False), Meaning("refused")
COMPLAINED, OPENED, CLICKED = Meaning("complained"), Meaning("opened"), Meaning("clicked")
LEFT, LEFT_MARKETING = Meaning("unsubscribed", reach="channel"), Meaning("unsubscribed", reach="marketing")
BACK, BACK_TO_MARKETING, UNKNOWN = Meaning("resubscribed", reach="channel"), Meaning("resubscribed", reach="marketing"), Meaning("unknown")


def _ses_bounce(kind: str, sub_kind: str) -> tuple[str, dict[str, Any]]:
    recipient = {"emailAddress": "ann@example.com", "status": "5.1.1", "diagnosticCode": "smtp; 550 5.1.1 for ann@example.com"}
    return "Bounce", {"bounceType": kind, "bounceSubType": sub_kind, "bouncedRecipients": [recipient]}


def _ses_preferences(*, everything: bool) -> tuple[str, dict[str, Any]]:
    topics = [{"topicName": "News", "subscriptionStatus": "OptOut"}]
    now = {"unsubscribeAll": everything, "topicSubscriptionStatus": topics}
    return "Subscription", {"contactList": "People", "source": "UnsubscribeHeader", "newTopicPreferences": now}


# What the provider says -> what it is here.
SES = [
    ("Send", ACCEPTED),
    (("Delivery", {"recipients": ["ann@example.com"], "smtpResponse": "250 ok"}), DELIVERED),
    (_ses_bounce("Permanent", "General"), HARD),
    (_ses_bounce("Permanent", "NoEmail"), HARD),
    (_ses_bounce("Transient", "MailboxFull"), SOFT),
    (_ses_bounce("Undetermined", "Undetermined"), SOFT),
    (("DeliveryDelay", {"delayType": "MailboxFull", "delayedRecipients": [{"emailAddress": "ann@example.com"}]}), DELAYED),
    (("Reject", {"reason": "Bad content"}), REFUSED),
    (("Rendering Failure", {}), REFUSED),
    (("RenderingFailure", {}), REFUSED),
    ("Complaint", COMPLAINED),
    (("Open", {"ipAddress": HOME, "userAgent": CHROME}), OPENED),
    (("Click", {"ipAddress": HOME, "userAgent": CHROME, "link": "https://example.com/a"}), CLICKED),
    (_ses_preferences(everything=True), LEFT_MARKETING),
    (_ses_preferences(everything=False), UNKNOWN),  # of a contact list of SES's own, which is none of our topics
]
SENDGRID = [
    ("processed", ACCEPTED),
    ("delivered", DELIVERED),
    (("bounce", {"type": "bounce", "status": "5.1.1", "bounce_classification": "Invalid Address"}), HARD),
    (("bounce", {"type": "blocked", "status": "5.7.1", "bounce_classification": "Reputation"}), SOFT),
    (("deferred", {"response": "400 try again later", "attempt": "5"}), DELAYED),
    (("dropped", {"reason": "Bounced Address", "status": "5.0.0"}), REFUSED),
    ("spamreport", COMPLAINED),
    (("open", {"useragent": CHROME, "ip": HOME, "sg_machine_open": False}), OPENED),
    (("click", {"useragent": CHROME, "ip": HOME}), CLICKED),
    ("unsubscribe", LEFT),
    (("group_unsubscribe", {"asm_group_id": 1}), LEFT_MARKETING),
    (("group_resubscribe", {"asm_group_id": 1}), BACK_TO_MARKETING),
]


def _postmark_change(stream: str, *, suppressed: str | None) -> tuple[str, str, dict[str, Any]]:
    origin = "Recipient" if suppressed else "Customer"
    told = {"MessageStream": stream, "SuppressSending": suppressed is not None, "SuppressionReason": suppressed, "Origin": origin}
    return "SubscriptionChange", "", told


POSTMARK = [
    (("Delivery", "", {}), DELIVERED),
    (("Bounce", "HardBounce", {"TypeCode": 1, "Inactive": True}), HARD),
    (("Bounce", "BadEmailAddress", {"TypeCode": 100_000}), HARD),
    (("Bounce", "SoftBounce", {"TypeCode": 4096}), SOFT),
    (("Bounce", "Transient", {"TypeCode": 2}), DELAYED),
    (("Bounce", "DnsError", {"TypeCode": 256}), DELAYED),
    (("Bounce", "Blocked", {"TypeCode": 100_006}), REFUSED),
    (("Bounce", "DMARCPolicy", {"TypeCode": 100_009}), REFUSED),
    (("Bounce", "ManuallyDeactivated", {"TypeCode": 100_001}), REFUSED),
    (("Bounce", "SMTPApiError", {"TypeCode": 100_003}), REFUSED),
    (("Bounce", "InboundError", {"TypeCode": 100_008}), UNKNOWN),  # of a mail to us
    (("Bounce", "SpamNotification", {"TypeCode": 512}), COMPLAINED),
    (("Bounce", "SpamComplaint", {"TypeCode": 100_002}), COMPLAINED),
    (("SpamComplaint", "", {"TypeCode": 100_002}), COMPLAINED),
    (("Open", "", {"UserAgent": CHROME, "Geo": {"IP": HOME}, "FirstOpen": True, "Platform": "WebMail"}), OPENED),
    (("Click", "", {"UserAgent": CHROME, "Geo": {"IP": HOME}, "ClickLocation": "HTML", "Platform": "Desktop"}), CLICKED),
    (_postmark_change("broadcast", suppressed="ManualSuppression"), LEFT_MARKETING),
    (_postmark_change("newsletters", suppressed="ManualSuppression"), LEFT_MARKETING),
    (_postmark_change("outbound", suppressed="ManualSuppression"), LEFT),
    (("SubscriptionChange", "", {"SuppressSending": True, "SuppressionReason": "ManualSuppression", "Origin": "Recipient"}), LEFT),
    (("SubscriptionChange", "", {"SuppressSending": True, "SuppressionReason": "HardBounce", "Origin": "Recipient"}), HARD),
    (("SubscriptionChange", "", {"SuppressSending": True, "SuppressionReason": "SpamComplaint", "Origin": "Recipient"}), COMPLAINED),
    (_postmark_change("outbound", suppressed=None), BACK),
    (_postmark_change("broadcast", suppressed=None), BACK_TO_MARKETING),
]


def _mailgun_failure(severity: str, reason: str, code: int) -> tuple[str, dict[str, Any]]:
    return "failed", {"severity": severity, "reason": reason, "delivery-status": {"code": code, "attempt-no": 1, "message": "no"}}


MAILGUN = [
    (("accepted", {}), ACCEPTED),
    (("delivered", {"delivery-status": {"code": 250}}), DELIVERED),
    (_mailgun_failure("permanent", "bounce", 550), HARD),
    (_mailgun_failure("permanent", "generic", 554), HARD),
    (_mailgun_failure("permanent", "suppress-bounce", 605), HARD),
    # It tries again for eight hours, so that this is a delay and no soft bounce: channels/email/mailgun_events.py
    (_mailgun_failure("temporary", "generic", 452), DELAYED),
    (_mailgun_failure("temporary", "greylisted", 451), DELAYED),
    (_mailgun_failure("temporary", "old", 498), SOFT),
    (_mailgun_failure("permanent", "old", 602), SOFT),
    (_mailgun_failure("permanent", "generic-temporary", 452), SOFT),
    (_mailgun_failure("permanent", "suppress-complaint", 607), REFUSED),
    (_mailgun_failure("permanent", "suppress-unsubscribe", 606), REFUSED),
    (("rejected", {"reject": {"reason": "Sandbox subdomains are for test purposes only."}}), REFUSED),
    (("complained", {}), COMPLAINED),
    (("opened", {"ip": HOME, "client-info": {"user-agent": CHROME, "bot": ""}}), OPENED),
    (("clicked", {"ip": HOME, "client-info": {"user-agent": CHROME, "bot": ""}, "url": "https://example.com/a"}), CLICKED),
    (("unsubscribed", {"ip": HOME}), LEFT),
]
RESEND = [
    ("email.sent", ACCEPTED),
    ("email.delivered", DELIVERED),
    (("email.bounced", {"bounce": {"type": "Permanent", "subType": "Suppressed", "message": "m"}}), HARD),
    (("email.bounced", {"bounce": {"type": "Transient", "subType": "MailboxFull", "message": "m"}}), SOFT),
    (("email.bounced", {"bounce": {"type": "Undetermined", "subType": "Undetermined", "message": "m"}}), SOFT),
    ("email.delivery_delayed", DELAYED),
    (("email.failed", {"failed": {"reason": "reached_daily_quota"}}), REFUSED),
    (("email.suppressed", {"suppressed": {"type": "OnAccountSuppressionList"}}), REFUSED),
    ("email.complained", COMPLAINED),
    ("email.opened", OPENED),
    (("email.clicked", {"click": {"ipAddress": HOME, "userAgent": CHROME, "link": "https://example.com/a"}}), CLICKED),
]
TWILIO = [
    # Here "delayed" would say no more than that it has them: accepted.
    *[((word, {}), ACCEPTED) for word in ("accepted", "scheduled", "queued", "sending", "sent")],
    (("delivered", {}), DELIVERED),
    (("read", {}), OPENED),
    (("undelivered", {"ErrorCode": "30005"}), HARD),  # no such number
    (("failed", {"ErrorCode": "30006"}), HARD),  # a landline
    (("failed", {"ErrorCode": "21211"}), HARD),
    (("failed", {"ErrorCode": "21614"}), HARD),
    (("undelivered", {"ErrorCode": "30003"}), SOFT),  # out of reach
    (("undelivered", {"ErrorCode": "30008"}), SOFT),
    (("failed", {}), SOFT),
    # Filters of the carrier say nothing of the number, as AWS's TEXT_CARRIER_BLOCKED and TEXT_SPAM: five of them suppress nobody.
    (("undelivered", {"ErrorCode": "30004"}), REFUSED),
    (("undelivered", {"ErrorCode": "30007"}), REFUSED),
    (("failed", {"ErrorCode": "30034"}), REFUSED),
    (("canceled", {}), REFUSED),
    (("failed", {"ErrorCode": "21610"}), LEFT),
]
TWILIO_CALLS: list[tuple[Any, Meaning]] = [
    *[((word, {}), ACCEPTED) for word in ("queued", "initiated", "ringing")],
    *[((word, {}), DELIVERED) for word in ("in-progress", "completed")],
    *[((word, {}), Meaning("bounced")) for word in ("busy", "no-answer")],  # which counts as no soft bounce
    (("failed", {}), SOFT),
    (("canceled", {}), REFUSED),
]
AWS = [
    *[(word, ACCEPTED) for word in ("TEXT_QUEUED", "TEXT_PENDING", "TEXT_SENT")],
    *[(word, DELIVERED) for word in ("TEXT_DELIVERED", "TEXT_SUCCESSFUL")],
    *[(word, HARD) for word in ("TEXT_INVALID", "TEXT_BLOCKED")],
    *[(word, SOFT) for word in ("TEXT_UNREACHABLE", "TEXT_CARRIER_UNREACHABLE", "TEXT_TTL_EXPIRED", "TEXT_UNKNOWN")],
    *[(word, REFUSED) for word in ("TEXT_CARRIER_BLOCKED", "TEXT_SPAM", "TEXT_INVALID_MESSAGE", "TEXT_PROTECT_BLOCKED")],
]
AWS_CALLS = [
    *[(word, ACCEPTED) for word in ("VOICE_INITIATED", "VOICE_RINGING")],
    *[(word, DELIVERED) for word in ("VOICE_ANSWERED", "VOICE_COMPLETED")],
    *[(word, Meaning("bounced")) for word in ("VOICE_BUSY", "VOICE_NO_ANSWER")],
    *[(word, SOFT) for word in ("VOICE_FAILED", "VOICE_TTL_EXPIRED")],
]
VONAGE = [
    (("submitted", {}), ACCEPTED),
    (("delivered", {}), DELIVERED),
    (("read", {}), OPENED),
    (("rejected", {"error": {"title": "1260", "detail": "Destination unreachable"}}), HARD),
    (("undeliverable", {"error": {"type": "https://developer.vonage.com/api-errors/messages#1290"}}), HARD),
    (("undeliverable", {"error": {"title": "1160", "detail": "Absent subscriber, permanent"}}), HARD),
    (("undeliverable", {"error": {"title": "1250", "detail": "Timeout"}}), SOFT),
    (("rejected", {}), SOFT),
]
SINCH = [
    *[((word, 400), ACCEPTED) for word in ("Queued", "Dispatched")],
    (("Delivered", 0), DELIVERED),
    (("Failed", 402), HARD),  # unknown subscriber
    (("Failed", 407), HARD),
    (("Failed", 403), SOFT),
    (("Expired", 406), SOFT),
    (("Unknown", 0), SOFT),
    *[((word, 405), REFUSED) for word in ("Rejected", "Aborted", "Cancelled", "Deleted")],
]
META = [
    (("sent", {"pricing": {"billable": True}}), ACCEPTED),
    (("delivered", {}), DELIVERED),
    (("read", {}), OPENED),
    (("failed", {"errors": [{"code": 131026, "title": "Message undeliverable"}]}), SOFT),
    (("failed", {"errors": [{"code": 131050, "title": "User has stopped marketing messages"}]}), LEFT_MARKETING),
    (("deleted", {}), UNKNOWN),
    (("warning", {}), UNKNOWN),
]
MEANINGS: dict[tuple[str, str], Sequence[tuple[Any, Meaning]]] = {
    ("email", "ses"): SES,
    ("email", "sendgrid"): SENDGRID,
    ("email", "postmark"): POSTMARK,
    ("email", "mailgun"): MAILGUN,
    ("email", "resend"): RESEND,
    ("sms", "twilio"): TWILIO,
    ("sms", "aws"): AWS,
    ("sms", "vonage"): VONAGE,
    ("sms", "sinch"): SINCH,
    ("voice", "twilio"): TWILIO_CALLS,
    ("voice", "aws"): AWS_CALLS,
    ("whatsapp", "twilio"): TWILIO,
    ("whatsapp", "meta"): META,
}
CHANNELS = {channel for channel, _ in MEANINGS}
TABLES: dict[str, set[str]] = {
    "ses": set(ses_events.WORDS),
    "sendgrid": set(sendgrid_events.WORDS),
    "postmark": set(postmark_events.WORDS) | {f"Bounce {kind}" for kind in postmark_events.BOUNCES},
    "mailgun": set(mailgun_events.WORDS),
    "resend": set(resend_events.WORDS),
    "twilio": set(twilio_events.WORDS),
    "aws": set(aws_events.WORDS),
    "vonage": set(vonage_events.WORDS),
    "sinch": set(sinch_events.WORDS),
    "meta": set(meta_events.WORDS),
}


def name(value: object) -> str:
    return "-".join(value) if isinstance(value, tuple) and str(value[0]) in CHANNELS else str(value)[:60]


def told(account: tuple[str, str], said: Any) -> Told:
    """What the reader makes of one call in which the provider says this."""
    caller = replace(BY_NAME[account], words={"it": said})
    [sent] = caller.calls(URL, [happened(caller, "it")])
    [found] = read(caller, sent).told
    return found


ROWS = [(account, said, meaning) for account, meanings in MEANINGS.items() for said, meaning in meanings]


@pytest.mark.parametrize(("account", "said", "meaning"), ROWS, ids=name)
def test_each_word_of_each_provider_means_what_the_table_says(account: tuple[str, str], said: Any, meaning: Meaning) -> None:
    found = told(account, said)
    assert found.kind == meaning.kind
    assert found.detail.get("hard") is meaning.hard
    assert found.detail.get("reach") == meaning.reach
    assert "machine" not in found.detail


@pytest.mark.parametrize(("stream", "reach"), [("receipts", "channel"), ("outbound", "marketing"), ("broadcast", "marketing")])
def test_the_transactional_stream_is_the_one_that_the_account_names(stream: str, reach: str) -> None:
    caller = BY_NAME["email", "postmark"]
    named = replace(caller, settings={**caller.settings, "transactional_stream": "receipts"})
    left = replace(named, words={"it": _postmark_change(stream, suppressed="ManualSuppression")})
    [sent] = left.calls(URL, [happened(left, "it")])
    assert read(left, sent).told[0].detail["reach"] == reach


def test_every_provider_that_calls_us_is_in_the_table() -> None:
    assert set(MEANINGS) == set(READERS)


@pytest.mark.parametrize("provider", TABLES)
def test_no_row_of_a_readers_table_is_untested(provider: str) -> None:
    words = {told(account, said).word for account, said, _ in ROWS if account[1] == provider}
    assert TABLES[provider] - words == set()


def test_every_reason_of_mailgun_is_in_the_table() -> None:
    assert set(mailgun_events.REASONS) <= {said[1].get("reason") for said, _ in MAILGUN}


Hit = tuple[str, str]
"""Its agent and address."""


def hits(caller: Caller, hit: Hit) -> list[Any]:
    """An open and a click by this agent from this address, as the provider tells of them."""
    agent, address = hit
    by = {"ipAddress": address, "userAgent": agent}
    postmark = {"UserAgent": agent, "Geo": {"IP": address}}
    mailgun = {"ip": address, "client-info": {"user-agent": agent, "bot": ""}}
    told_by: dict[str, list[Any]] = {
        "ses": [("Open", by), ("Click", by)],
        "sendgrid": [("open", {"useragent": agent, "ip": address}), ("click", {"useragent": agent, "ip": address})],
        "postmark": [("Open", "", postmark), ("Click", "", postmark)],
        "mailgun": [("opened", mailgun), ("clicked", mailgun)],
        "resend": [("email.opened", {"open": by}), ("email.clicked", {"click": by})],
    }
    return told_by[caller.provider]


MAILS = [account for account in MEANINGS if account[0] == "email"]


@pytest.mark.parametrize("account", MAILS, ids=name)
@pytest.mark.parametrize(
    ("hit", "is_machine"),
    [
        ((IPHONE, HOME), False),
        ((CHROME, HOME), False),
        ((GMAIL_PROXY, "66.249.84.1"), False),
        (("", ""), False),  # what the provider leaves out says nothing
        ((APPLE, "17.58.1.1"), True),
        ((BARRACUDA, HOME), True),
        (("python-requests/2.32", HOME), True),
        ((GMAIL_AHEAD, "66.249.84.1"), True),
        ((CHROME, EXCHANGE), True),  # a scanner that calls itself a browser
    ],
)
def test_an_open_or_click_of_a_program_is_told_from_a_persons(account: tuple[str, str], hit: Hit, is_machine: bool) -> None:
    for said in hits(BY_NAME[account], hit):
        found = told(account, said)
        assert found.kind in {"opened", "clicked"}
        assert found.detail.get("machine", False) is is_machine


@pytest.mark.parametrize(
    ("account", "said", "is_machine"),
    [
        (("email", "sendgrid"), ("open", {"useragent": CHROME, "ip": HOME, "sg_machine_open": True}), True),
        (("email", "sendgrid"), ("delivered", {"ip": EXCHANGE}), False),  # its own address, and nobody's open
        (("email", "mailgun"), ("opened", {"client-info": {"user-agent": CHROME, "bot": "apple"}}), True),
        (("email", "mailgun"), ("clicked", {"client-info": {"user-agent": CHROME, "bot": "generic"}}), True),
        (("email", "mailgun"), ("opened", {"client-info": {"user-agent": GMAIL_PROXY, "bot": "gmail"}}), False),
        (("email", "mailgun"), ("opened", {"client-info": {"user-agent": GMAIL_AHEAD, "bot": "gmail"}}), True),
        (("email", "ses"), ("Complaint", {"userAgent": "python-requests/2.32", "complainedRecipients": []}), False),  # of who forwarded it
        (("email", "mailgun"), ("unsubscribed", {"client-info": {"user-agent": APPLE, "bot": "generic"}}), False),
        (("email", "postmark"), ("Open", "", {"Client": {"Name": "Googlebot 2.1", "Family": "Googlebot"}, "Platform": "Unknown"}), True),
        (("email", "postmark"), ("Open", "", {"Client": {"Name": "Chrome 35.0.1916.153"}, "Platform": "WebMail"}), False),
    ],
    ids=str,
)
def test_a_provider_that_marks_programs_itself_is_believed(account: tuple[str, str], said: Any, is_machine: bool) -> None:
    assert told(account, said).detail.get("machine", False) is is_machine


@pytest.mark.parametrize(
    ("account", "said", "code"),
    [
        (("email", "ses"), _ses_bounce("Transient", "MailboxFull"), "MailboxFull"),
        (("email", "ses"), "Complaint", "abuse"),
        (("email", "ses"), ("Reject", {"reason": "Bad content"}), "Bad content"),
        (("email", "ses"), ("DeliveryDelay", {"delayType": "InternalFailure"}), "InternalFailure"),
        (("email", "sendgrid"), ("bounce", {"bounce_classification": "Invalid Address"}), "Invalid Address"),
        (("email", "sendgrid"), ("dropped", {"reason": "Bounced Address"}), "Bounced Address"),
        (("email", "postmark"), ("Bounce", "HardBounce", {}), "HardBounce"),
        (("email", "mailgun"), _mailgun_failure("permanent", "bounce", 550), "bounce"),
        (("email", "resend"), ("email.bounced", {"bounce": {"subType": "Suppressed"}}), "Suppressed"),
        (("email", "resend"), ("email.failed", {"failed": {"reason": "reached_daily_quota"}}), "reached_daily_quota"),
        (("sms", "twilio"), ("failed", {"ErrorCode": "30006"}), "30006"),
        (("sms", "aws"), ("TEXT_INVALID", {"messageStatus": "INVALID"}), "INVALID"),
        (("sms", "vonage"), ("rejected", {"error": {"type": "https://developer.vonage.com/api-errors/messages#1290"}}), "1290"),
        (("sms", "sinch"), ("Failed", 402), "402"),
        (("whatsapp", "meta"), ("failed", {"errors": [{"code": 131026}]}), "131026"),
    ],
    ids=str,
)
def test_why_it_failed_is_kept_in_the_providers_words(account: tuple[str, str], said: Any, code: str) -> None:
    assert told(account, said).detail["code"] == code
