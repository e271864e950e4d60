"""Envelopes of SNS: only of the account's topics, only with a certificate of that region's own host, only while they are fresh."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from channels.email import ses_events
from channels.inbound import Call, CertificateNeeded, Forged
from channels.sns import open_envelope
from tests.channels.callers import AWS, CERTIFICATE_URL, TOPIC, envelope, sns_certificate, sns_headers

NOW = datetime.now(UTC)
CONFIRM = "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn=x&Token=t"
BAD_CERTIFICATES = [
    "http://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0a.pem",
    "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-0a.pem",  # another region than the topic's
    "https://sns.eu-west-1.amazonaws.com.evil.example/SimpleNotificationService-0a.pem",
    "https://evil.s3.eu-west-1.amazonaws.com/SimpleNotificationService-0a.pem",
    "https://sns.s3.amazonaws.com/SimpleNotificationService-0a.pem",  # a bucket named sns
    "https://sns.eu-west-1.amazonaws.com@evil.example/SimpleNotificationService-0a.pem",
    "https://sns.eu-west-1.amazonaws.com:8443/SimpleNotificationService-0a.pem",
    "https://sns.eu-west-1.amazonaws.com/evil/SimpleNotificationService-0a.pem",
    "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0a.pem?x=1",
    "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-zz.pem",
    "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0a.pem#x",
    "https://[::1/SimpleNotificationService-0a.pem",
    "",
]


def call(made: dict[str, str], *, at: datetime = NOW, certificate: bytes | None = None, **headers: str) -> Call:
    given = {**sns_headers(made["Type"]), **{name.replace("_", "-"): value for name, value in headers.items()}}
    certificates = {CERTIFICATE_URL: certificate if certificate is not None else sns_certificate()}
    return Call("https://x/", given, json.dumps(made).encode(), at, certificates=certificates)


def settings(**changes: Any) -> dict[str, Any]:
    return {**AWS, **changes}


def test_a_notification_gives_its_message() -> None:
    assert open_envelope(call(envelope("hello", NOW, id_="1")), settings()).message == "hello"
    assert open_envelope(call(envelope("hello", NOW, id_="1", Subject="s")), settings()).message == "hello"


def test_a_subscription_to_a_topic_of_the_account_is_confirmed_and_to_no_other() -> None:
    made = envelope("m", NOW, id_="1", kind="SubscriptionConfirmation", SubscribeURL=CONFIRM, Token="t")
    assert open_envelope(call(made), settings()).confirm == CONFIRM
    with pytest.raises(Forged, match="topics"):
        open_envelope(call(made), settings(topics=[TOPIC + "-2"]))


def test_the_confirmation_of_a_subscription_leads_to_sns_alone() -> None:
    for url in ("https://evil.example/", "https://sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription", "http://169.254.169.254/"):
        with pytest.raises(Forged):
            open_envelope(call(envelope("m", NOW, id_="1", kind="SubscriptionConfirmation", SubscribeURL=url, Token="t")), settings())


@pytest.mark.parametrize("url", BAD_CERTIFICATES)
def test_a_certificate_from_elsewhere_is_not_even_asked_for(url: str) -> None:
    with pytest.raises(Forged):
        open_envelope(call(envelope("m", NOW, id_="1", SigningCertURL=url)), settings())


def test_a_certificate_of_sns_is_asked_for_once_it_is_needed() -> None:
    url = CERTIFICATE_URL.replace("0123", "4567")
    with pytest.raises(CertificateNeeded, match="4567"):
        open_envelope(call(envelope("m", NOW, id_="1", SigningCertURL=url)), settings())


@pytest.mark.parametrize("certificate", [b"", b"no certificate", sns_certificate(-1)])
def test_a_certificate_that_is_none_or_over_proves_nothing(certificate: bytes) -> None:
    with pytest.raises(Forged):
        open_envelope(call(envelope("m", NOW, id_="1"), certificate=certificate), settings())


def test_a_signature_has_one_spelling() -> None:
    """The last letter of base64 before its padding has bits that nobody reads: another letter with the same bits is another text."""
    made = envelope("m", NOW, id_="1")
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    last = made["Signature"][-3]
    alike = letters[letters.index(last) ^ 1]
    with pytest.raises(Forged):
        open_envelope(call({**made, "Signature": f"{made['Signature'][:-3]}{alike}=="}), settings())


@pytest.mark.parametrize("late", [timedelta(hours=1, minutes=1), timedelta(hours=-1, minutes=-1)])
def test_an_envelope_that_is_not_of_this_hour_is_refused(late: timedelta) -> None:
    with pytest.raises(Forged, match="hour"):
        open_envelope(call(envelope("m", NOW - late, id_="1")), settings())


def test_version_1_only_where_the_account_allows_it() -> None:
    made = envelope("m", NOW, id_="1", SignatureVersion="1")
    with pytest.raises(Forged, match="version 1"):
        open_envelope(call(made), settings())
    assert open_envelope(call(made), settings(allow_sns_version_1=True)).message == "m"
    with pytest.raises(Forged):
        open_envelope(call({**made, "SignatureVersion": "3"}), settings(allow_sns_version_1=True))


def test_raw_delivery_is_refused_with_what_to_do() -> None:
    with pytest.raises(Forged, match="raw message delivery"):
        open_envelope(call(envelope("m", NOW, id_="1"), x_amz_sns_rawdelivery="true"), settings())


def test_the_header_must_say_what_the_envelope_is() -> None:
    with pytest.raises(Forged):
        open_envelope(call(envelope("m", NOW, id_="1"), x_amz_sns_message_type="SubscriptionConfirmation"), settings())


def test_the_plain_greeting_of_ses_is_no_event_and_no_error() -> None:
    greeting = "Successfully validated SNS topic for Amazon SES event publishing."
    assert ses_events.read(call(envelope(greeting, NOW, id_="1")), settings()).told == ()


def test_several_recipients_of_one_notification_are_several_events() -> None:
    event = {
        "eventType": "Bounce", "mail": {"messageId": "m", "destination": ["a@example.com", "b@example.com"]},
        "bounce": {"bounceType": "Permanent", "bouncedRecipients": [{"emailAddress": "a@example.com"}, {"emailAddress": "b@example.com"}]},
    }  # fmt: skip
    told = ses_events.read(call(envelope(json.dumps(event), NOW, id_="n")), settings()).told
    assert [(each.event_id, each.address) for each in told] == [("n/0", "a@example.com"), ("n/1", "b@example.com")]
