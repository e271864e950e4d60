"""Envelopes of Amazon SNS: whose topic, signed by whom, and what is in them.

The topic must be one of the account's before anything else of it counts: anybody can point a topic at us, and its signature is then right.
The certificate comes from the host of that topic's region and from no other `amazonaws.com` (a bucket can serve one too).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from channels.inbound import Call, CertificateNeeded, Forged, Heard, Settings, Told, Unfitting, bytes_of, instant
from channels.said import Said, parsed

_OLDEST = timedelta(hours=1)
_TOPIC = re.compile(r"arn:aws(?:-cn|-us-gov)?:sns:([a-z0-9-]+):\d{12}:[A-Za-z0-9_.-]{1,256}")
_CERTIFICATE = re.compile(r"/SimpleNotificationService-[0-9a-f]+\.pem")
_NOTIFICATION = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
_CONFIRMATION = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
_SIGNED = {"Notification": _NOTIFICATION, "SubscriptionConfirmation": _CONFIRMATION, "UnsubscribeConfirmation": _CONFIRMATION}
# What services of AWS say in plain text once the subscription is confirmed.
_GREETING = "Successfully validated SNS topic"
_HASHES: dict[str, type[hashes.HashAlgorithm]] = {"2": hashes.SHA256, "1": hashes.SHA1}


@dataclass(frozen=True)
class Envelope:
    """A verified notification, and when SNS was given it; or with `confirm` the address that confirms a subscription."""

    id: str
    message: str
    at: datetime
    confirm: str | None = None


def read_notification(call: Call, settings: Settings, read: Callable[[Call, Envelope, Said], list[Told]]) -> Heard:
    """Open the envelope, and read what is in it by `read`, which is given the envelope too. Raises as `open_envelope` does."""
    envelope = open_envelope(call, settings)
    if envelope.confirm or not envelope.message or envelope.message.startswith(_GREETING):
        return Heard(confirm=envelope.confirm)
    try:
        [event] = parsed(envelope.message.encode()).each()
    except ValueError:  # not JSON, or not one object
        return Heard([Told(envelope.id, "unknown", "", envelope.at, raw=Said(envelope.message).raw)])
    return Heard(read(call, envelope, event))


def open_envelope(call: Call, settings: Settings) -> Envelope:
    """Verify and open. Raises Forged, Unfitting, or CertificateNeeded with an address that is SNS's own."""
    if call.header("x-amz-sns-rawdelivery").lower() == "true":
        raise Forged("raw message delivery drops the signature: turn it off for this subscription")
    envelope = _envelope(call)
    kind, topic = envelope["Type"], envelope["TopicArn"]
    if topic not in settings.get("topics", ()):
        raise Forged("the topic is none of this account's `topics`")
    named = _TOPIC.fullmatch(topic)
    if named is None or kind not in _SIGNED or call.header("x-amz-sns-message-type") != kind:
        raise Forged("not an envelope of SNS")
    _check_signature(call, envelope, _SIGNED[kind], named[1], settings)
    at = instant(envelope["Timestamp"])
    if at is None or abs(call.at - at) > _OLDEST:
        raise Forged("the envelope is older than an hour")
    confirm = _own_url(envelope["SubscribeURL"], named[1]) if kind == "SubscriptionConfirmation" else None
    return Envelope(envelope["MessageId"], envelope["Message"] if kind == "Notification" else "", min(at, call.at), confirm)


def _envelope(call: Call) -> dict[str, str]:
    try:
        found = call.event()
    except Unfitting:
        raise Forged("not an envelope of SNS") from None
    names = {*_NOTIFICATION, *_CONFIRMATION, "Signature", "SignatureVersion", "SigningCertURL"}
    return {name: found.text(name) for name in names}


def _check_signature(call: Call, envelope: dict[str, str], names: tuple[str, ...], region: str, settings: Settings) -> None:
    version = envelope["SignatureVersion"]
    if version == "1" and not settings.get("allow_sns_version_1"):
        raise Forged("signature version 1: set SignatureVersion of the topic to 2, or allow_sns_version_1 of this account")
    if version not in _HASHES:
        raise Forged("an unknown signature version")
    url = _own_url(envelope["SigningCertURL"], region)
    if not _CERTIFICATE.fullmatch(urlsplit(url).path) or urlsplit(url).query:
        raise Forged("not the address of a certificate of SNS")
    pem = call.certificates.get(url)
    if pem is None:
        raise CertificateNeeded(url)
    signed = "".join(f"{name}\n{envelope[name]}\n" for name in names if name != "Subject" or envelope[name]).encode()
    key = _key(pem, call)
    try:
        key.verify(bytes_of(envelope["Signature"]), signed, padding.PKCS1v15(), _HASHES[version]())
    except InvalidSignature:
        raise Forged("the signature is not right") from None


def _key(pem: bytes, call: Call) -> rsa.RSAPublicKey:
    try:
        certificate = x509.load_pem_x509_certificate(pem)
        key = certificate.public_key()
    except ValueError:
        raise Forged("the certificate cannot be read") from None
    if not isinstance(key, rsa.RSAPublicKey) or not certificate.not_valid_before_utc <= call.at <= certificate.not_valid_after_utc:
        raise Forged("the certificate is not valid now")
    return key


def _own_url(url: str, region: str) -> str:
    """An address of SNS itself, in the region of the topic. Raises Forged."""
    hosts = {f"sns.{region}.amazonaws.com", f"sns.{region}.amazonaws.com.cn"}
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise Forged("not an address of SNS") from None
    if parts.scheme != "https" or parts.netloc not in hosts or port is not None or parts.fragment or not url.isascii():
        raise Forged("not an address of SNS in the region of the topic")
    return url
