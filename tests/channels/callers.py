"""Providers that call us, as strict as they are: each writes its own form and signs it by its own scheme, written here a second time."""

import base64
import functools
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode
from uuid import UUID

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID

TOPIC = "arn:aws:sns:eu-west-1:123456789012:sojourn-events"
CERTIFICATE_URL = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123456789abcdef.pem"
SECRET = "a-secret-of-the-account"
SVIX_SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
NUMBER = "10001234567"
AWS = {"region": "eu-west-1", "access_key_id": "AKIDEXAMPLE", "secret_access_key": "s", "topics": [TOPIC]}
SENDERS = {"default": ["+15550100"]}
FORM = "application/x-www-form-urlencoded"
JSON = "application/json"


@dataclass(frozen=True)
class Happened:
    """Something that the provider has to tell; `kind` is our word for it."""

    id: str
    kind: str
    message_id: UUID | None
    address: str
    at: datetime
    ref: str = ""


@dataclass(frozen=True)
class Sent:
    """A call: what is appended to the address, its headers and its bytes."""

    body: bytes
    headers: Mapping[str, str]
    query: str = ""


@dataclass(frozen=True)
class Caller:
    """One provider of one channel. `words`: our word -> its word, or its word and what else it says with it."""

    channel: str
    provider: str
    settings: Mapping[str, Any]
    words: Mapping[str, Any]
    write: Callable[["Caller", Happened], Any]
    sign: Callable[[str, bytes, datetime], Mapping[str, str]]
    content_type: str = JSON
    takes_many: bool = False
    query: Callable[[Happened], str] = field(default=lambda _happened: "")

    def calls(self, url: str, happened: Sequence[Happened], now: datetime | None = None) -> list[Sent]:
        """The calls that tell of all this: one of many events where the provider sends them so, else one each."""
        at = now or datetime.now(UTC)
        if self.takes_many:
            return [self.signed(url, self.body([self.write(self, each) for each in happened]), at)]
        return [self.signed(url + self.query(each), self.body(self.write(self, each)), at, self.query(each)) for each in happened]

    def signed(self, url: str, body: bytes, at: datetime, query: str = "") -> Sent:
        return Sent(body, {"content-type": self.content_type, **self.sign(url, body, at)}, query)

    def body(self, written: Any) -> bytes:
        return urlencode(written).encode() if self.content_type == FORM else json.dumps(written).encode()


def _said(found: Any) -> tuple[str, dict[str, Any]]:
    """A word, and what else is said with it."""
    return found if isinstance(found, tuple) else (found, {})


def _unix(at: datetime) -> int:
    return int(at.timestamp())


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


# SNS ----------------------------------------------------------------------------------------------------------------------


@functools.cache
def sns_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@functools.cache
def sns_certificate(valid_days: int = 30) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(sns_key().public_key()).serial_number(7)
        .not_valid_before(now - timedelta(days=60)).not_valid_after(now + timedelta(days=valid_days))
    )  # fmt: skip
    return built.sign(sns_key(), hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def envelope(message: str, at: datetime, *, id_: str, kind: str = "Notification", **changes: str) -> dict[str, str]:
    """An envelope of SNS, signed after `changes` were made to it."""
    made = {
        "Type": kind, "MessageId": id_, "TopicArn": TOPIC, "Message": message, "Timestamp": _iso(at), "SignatureVersion": "2",
        "SigningCertURL": CERTIFICATE_URL, **changes,
    }  # fmt: skip
    names = ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"]
    if kind != "Notification":
        names = ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]
    signed = "".join(f"{name}\n{made[name]}\n" for name in names if name in made)
    digest: hashes.HashAlgorithm = hashes.SHA256() if made["SignatureVersion"] == "2" else hashes.SHA1()  # noqa: S303 - SNS version 1
    signature = sns_key().sign(signed.encode(), padding.PKCS1v15(), digest)
    return {**made, "Signature": base64.b64encode(signature).decode()}


def sns_headers(kind: str = "Notification") -> dict[str, str]:
    return {"x-amz-sns-message-type": kind, "content-type": "text/plain; charset=UTF-8"}


def _sns_sign(_url: str, _body: bytes, _at: datetime) -> Mapping[str, str]:
    return sns_headers()


def _ses(caller: Caller, happened: Happened) -> dict[str, str]:
    kind, more = _said(caller.words[happened.kind])
    parts: dict[str, dict[str, Any]] = {
        "Bounce": {"bounceType": "Permanent", "bounceSubType": "General", "bouncedRecipients": [{"emailAddress": happened.address}]},
        "Complaint": {"complainedRecipients": [{"emailAddress": happened.address}], "complaintFeedbackType": "abuse"},
        "Click": {"link": "https://example.com/a", "ipAddress": "192.0.2.1", "userAgent": "x"},
    }
    event = {
        "eventType": kind,
        "mail": {
            "timestamp": _iso(happened.at), "messageId": happened.ref or f"ses-{happened.message_id}", "destination": [happened.address],
            "tags": {"sojourn_message": [str(happened.message_id)]} if happened.message_id else {},
        },
        kind[:1].lower() + kind[1:]: {"timestamp": _iso(happened.at), **parts.get(kind, {}), **more},
    }  # fmt: skip
    return envelope(json.dumps(event), datetime.now(UTC), id_=happened.id)


def _aws_sms(caller: Caller, happened: Happened) -> dict[str, str]:
    word, more = _said(caller.words[happened.kind])
    event = {
        "eventType": word, "eventVersion": "1.0", "eventTimestamp": int(happened.at.timestamp() * 1000),
        "isFinal": True, "destinationPhoneNumber": happened.address, "messageId": happened.ref or f"aws-{happened.message_id}",
        "messageStatus": "X", "context": {"sojourn_message": str(happened.message_id)} if happened.message_id else {}, **more,
    }  # fmt: skip
    return envelope(json.dumps(event), datetime.now(UTC), id_=happened.id)


# SendGrid -----------------------------------------------------------------------------------------------------------------


@functools.cache
def sendgrid_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def sendgrid_public() -> str:
    shown = sendgrid_key().public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(shown).decode()


def sendgrid_sign(_url: str, body: bytes, at: datetime) -> Mapping[str, str]:
    timestamp = str(_unix(at))
    signature = sendgrid_key().sign(timestamp.encode() + body, ec.ECDSA(hashes.SHA256()))
    return {
        "x-twilio-email-event-webhook-signature": base64.b64encode(signature).decode(),
        "x-twilio-email-event-webhook-timestamp": timestamp,
    }


def _sendgrid(caller: Caller, happened: Happened) -> dict[str, Any]:
    kind, more = _said(caller.words[happened.kind])
    event = {
        "email": happened.address, "timestamp": _unix(happened.at), "event": kind, "sg_event_id": happened.id,
        "sg_message_id": f"{happened.ref or happened.message_id}.recvd-5f-1", "url": "https://example.com/a", **more,
    }  # fmt: skip
    return event | ({"sojourn_message": str(happened.message_id)} if happened.message_id else {})


# The others ----------------------------------------------------------------------------------------------------------------


def _postmark(caller: Caller, happened: Happened) -> dict[str, Any]:
    record, kind, number = caller.words[happened.kind]
    times = {"Delivery": "DeliveredAt", "Bounce": "BouncedAt", "SubscriptionChange": "ChangedAt"}
    return {
        "RecordType": record, "Type": kind, "MessageID": happened.ref or str(happened.message_id), "Recipient": happened.address,
        "Metadata": {"sojourn_message": str(happened.message_id)} if happened.message_id else {}, "OriginalLink": happened.id,
        times.get(record, "ReceivedAt"): _iso(happened.at), **number,
        **({"ID": int(hashlib.sha256(happened.id.encode()).hexdigest()[:8], 16)} if record == "Bounce" else {}),
    }  # fmt: skip


def _basic(_url: str, _body: bytes, _at: datetime) -> Mapping[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"sojourn:{SECRET}".encode()).decode()}


def mailgun_signature(token: str, at: datetime) -> dict[str, str]:
    timestamp = str(_unix(at))
    signed = hmac.new(SECRET.encode(), f"{timestamp}{token}".encode(), "sha256").hexdigest()
    return {"timestamp": timestamp, "token": token, "signature": signed}


def _mailgun(caller: Caller, happened: Happened) -> dict[str, Any]:
    event, more = caller.words[happened.kind]
    reference = happened.ref or f"<{happened.message_id}@example.com>"
    return {
        "signature": mailgun_signature(happened.id, datetime.now(UTC)),
        "event-data": {
            "event": event, "timestamp": happened.at.timestamp(), "recipient": happened.address, "id": happened.id,
            "message": {"headers": {"message-id": reference.strip("<>")}},
            "user-variables": {"sojourn_message": str(happened.message_id)} if happened.message_id else {}, **more,
        },
    }  # fmt: skip


def _resend(caller: Caller, happened: Happened) -> dict[str, Any]:
    word, more = _said(caller.words[happened.kind])
    return {
        "type": word, "created_at": _iso(happened.at), "id": happened.id,
        "data": {
            "email_id": happened.ref or str(happened.message_id), "to": [happened.address], "click": {"link": "https://example.com/a"},
            "tags": {"sojourn_message": str(happened.message_id)} if happened.message_id else {}, **more,
        },
    }  # fmt: skip


def _svix(_url: str, body: bytes, at: datetime) -> Mapping[str, str]:
    id_, timestamp = json.loads(body)["id"], str(_unix(at))
    key = base64.b64decode(SVIX_SECRET.removeprefix("whsec_"))
    signature = base64.b64encode(hmac.new(key, f"{id_}.{timestamp}.".encode() + body, "sha256").digest()).decode()
    return {"svix-id": id_, "svix-timestamp": timestamp, "svix-signature": f"v1,{base64.b64encode(b'0' * 32).decode()} v1,{signature}"}


def _twilio(caller: Caller, happened: Happened) -> dict[str, str]:
    prefix = "whatsapp:" if caller.channel == "whatsapp" else ""
    status, more = caller.words[happened.kind]
    sid = happened.ref or f"SM{happened.message_id}"
    named = {"CallSid": sid, "CallStatus": status} if caller.channel == "voice" else {"MessageSid": sid, "MessageStatus": status}
    return {"AccountSid": "AC1", "From": f"{prefix}+15550100", "To": f"{prefix}{happened.address}", **named, **more}


def _twilio_query(happened: Happened) -> str:
    return f"?message={happened.message_id}" if happened.message_id else ""


def twilio_sign(url: str, body: bytes, _at: datetime) -> Mapping[str, str]:
    signed = url + "".join(f"{name}{value}" for name, value in sorted(parse_qsl(body.decode(), keep_blank_values=True)))
    return {"x-twilio-signature": base64.b64encode(hmac.new(SECRET.encode(), signed.encode(), "sha1").digest()).decode()}


def _vonage(caller: Caller, happened: Happened) -> dict[str, Any]:
    status, more = caller.words[happened.kind]
    return {
        "message_uuid": happened.ref or str(happened.message_id), "to": happened.address.removeprefix("+"), "from": "15550100",
        "timestamp": _iso(happened.at), "status": status, "channel": "sms",
        **({"client_ref": str(happened.message_id)} if happened.message_id else {}), **more,
    }  # fmt: skip


def vonage_sign(_url: str, body: bytes, at: datetime) -> Mapping[str, str]:
    claims = {"iss": "Vonage", "iat": _unix(at), "jti": "j", "api_key": "key", "payload_hash": hashlib.sha256(body).hexdigest()}
    return {"authorization": f"Bearer {jwt.encode(claims, SECRET * 2, algorithm='HS256')}"}


def _sinch(caller: Caller, happened: Happened) -> dict[str, Any]:
    status, code = caller.words[happened.kind]
    return {
        "type": "recipient_delivery_report_sms", "batch_id": happened.ref or str(happened.message_id), "status": status, "code": code,
        "recipient": happened.address.removeprefix("+"), "at": _iso(happened.at),
        **({"client_reference": str(happened.message_id)} if happened.message_id else {}),
    }  # fmt: skip


def sinch_sign(_url: str, body: bytes, at: datetime) -> Mapping[str, str]:
    nonce, timestamp = "01H", str(_unix(at))
    signature = hmac.new(SECRET.encode(), body + f".{nonce}.{timestamp}".encode(), "sha256").digest()
    return {
        "x-sinch-webhook-signature": base64.b64encode(signature).decode(), "x-sinch-webhook-signature-nonce": nonce,
        "x-sinch-webhook-signature-timestamp": timestamp, "x-sinch-webhook-signature-algorithm": "HmacSHA256",
    }  # fmt: skip


def _meta(caller: Caller, happened: Happened) -> dict[str, Any]:
    status, more = caller.words[happened.kind]
    told = {
        "id": happened.ref or f"wamid.{happened.message_id}", "status": status, "timestamp": str(_unix(happened.at)),
        "recipient_id": happened.address.removeprefix("+"),
        **({"biz_opaque_callback_data": str(happened.message_id)} if happened.message_id else {}), **more,
    }  # fmt: skip
    return meta_body({"statuses": [told]})


def meta_body(value: Mapping[str, Any]) -> dict[str, Any]:
    change = {"field": "messages", "value": {"messaging_product": "whatsapp", "metadata": {"phone_number_id": NUMBER}, **value}}
    return {"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [change]}]}


def meta_sign(_url: str, body: bytes, _at: datetime) -> Mapping[str, str]:
    return {"x-hub-signature-256": "sha256=" + hmac.new(SECRET.encode(), body, "sha256").hexdigest()}


_TWILIO_SETTINGS = {"account_sid": "AC1", "key": "AC1", "secret": SECRET, "senders": SENDERS}
_TWILIO_WORDS = {
    "accepted": ("sent", {}), "delivered": ("delivered", {}), "bounced": ("undelivered", {"ErrorCode": "30005"}),
    "refused": ("undelivered", {"ErrorCode": "30007"}), "unknown": ("levitating", {}),
}  # fmt: skip

CALLERS = (
    Caller("email", "ses", AWS, {
        "accepted": "Send", "delivered": "Delivery", "bounced": "Bounce", "complained": "Complaint", "opened": "Open", "clicked": "Click",
        "delayed": "DeliveryDelay", "refused": "Reject", "unknown": "Levitation",
    }, _ses, _sns_sign),
    Caller("email", "sendgrid", {"api_key": "k", "webhook_public_key": sendgrid_public()}, {
        "accepted": "processed", "delivered": "delivered", "bounced": "bounce", "complained": "spamreport", "opened": "open",
        "clicked": "click", "unsubscribed": "unsubscribe", "delayed": "deferred", "refused": "dropped", "unknown": "levitated",
    }, _sendgrid, sendgrid_sign, takes_many=True),
    Caller("email", "postmark", {"server_token": "k", "webhook_secret": SECRET}, {
        "delivered": ("Delivery", "", {}), "bounced": ("Bounce", "HardBounce", {}), "complained": ("SpamComplaint", "", {}),
        "opened": ("Open", "", {}), "clicked": ("Click", "", {}), "delayed": ("Bounce", "Transient", {}),
        "refused": ("Bounce", "Blocked", {}), "unknown": ("Levitation", "", {}),
        "unsubscribed": ("SubscriptionChange", "", {
            "SuppressSending": True, "SuppressionReason": "ManualSuppression", "MessageStream": "broadcast",
        }),
    }, _postmark, _basic),
    Caller("email", "mailgun", {"api_key": "k", "domain": "example.com", "webhook_signing_key": SECRET}, {
        "accepted": ("accepted", {}), "delivered": ("delivered", {}), "bounced": ("failed", {"severity": "permanent", "reason": "bounce"}),
        "complained": ("complained", {}), "opened": ("opened", {}), "clicked": ("clicked", {"url": "https://example.com/a"}),
        "unsubscribed": ("unsubscribed", {}), "delayed": ("failed", {"severity": "temporary"}), "refused": ("rejected", {}),
        "unknown": ("levitated", {}),
    }, _mailgun, lambda _url, _body, _at: {}),
    Caller("email", "resend", {"api_key": "k", "webhook_secret": SVIX_SECRET}, {
        "accepted": "email.sent", "delivered": "email.delivered", "bounced": "email.bounced", "complained": "email.complained",
        "opened": "email.opened", "clicked": "email.clicked", "delayed": "email.delivery_delayed", "refused": "email.failed",
        "unknown": "email.levitated",
    }, _resend, _svix),
    Caller("sms", "twilio", _TWILIO_SETTINGS, _TWILIO_WORDS | {"unsubscribed": ("failed", {"ErrorCode": "21610"})}, _twilio, twilio_sign,
           FORM, query=_twilio_query),
    Caller("sms", "aws", {**AWS, "senders": SENDERS}, {
        "accepted": "TEXT_QUEUED", "delivered": "TEXT_DELIVERED", "bounced": "TEXT_INVALID", "refused": "TEXT_SPAM",
        "unknown": "TEXT_LEVITATED",
    }, _aws_sms, _sns_sign),
    Caller("sms", "vonage", {"api_key": "key", "api_secret": "s", "webhook_signature_secret": SECRET * 2, "senders": SENDERS}, {
        "accepted": ("submitted", {}), "delivered": ("delivered", {}), "bounced": ("rejected", {"error": {"title": "1260"}}),
        "unknown": ("levitated", {}),
    }, _vonage, vonage_sign),
    Caller("sms", "sinch", {"service_plan_id": "p", "api_token": "k", "webhook_secret": SECRET, "senders": SENDERS}, {
        "accepted": ("Dispatched", 401), "delivered": ("Delivered", 0), "bounced": ("Failed", 402), "refused": ("Rejected", 405),
        "unknown": ("Levitated", 0),
    }, _sinch, sinch_sign),
)  # fmt: skip
META = Caller("whatsapp", "meta", {"phone_number_id": NUMBER, "access_token": "k", "app_secret": SECRET, "verify_token": "v-" + SECRET}, {
    "accepted": ("sent", {}), "delivered": ("delivered", {}), "opened": ("read", {}), "unknown": ("levitated", {}),
    "unsubscribed": ("failed", {"errors": [{"code": 131050}]}),
}, _meta, meta_sign)  # fmt: skip
WHATSAPP_TWILIO = Caller("whatsapp", "twilio", _TWILIO_SETTINGS, _TWILIO_WORDS | {"opened": ("read", {})}, _twilio, twilio_sign, FORM,
                         query=_twilio_query)  # fmt: skip
VOICE = (
    Caller("voice", "twilio", _TWILIO_SETTINGS, {
        "accepted": ("ringing", {}), "delivered": ("completed", {}), "bounced": ("no-answer", {}), "unknown": ("levitating", {}),
    }, _twilio, twilio_sign, FORM, query=_twilio_query),
    Caller("voice", "aws", AWS, {
        "accepted": "VOICE_RINGING", "delivered": "VOICE_ANSWERED", "bounced": "VOICE_BUSY", "unknown": "VOICE_LEVITATED",
    }, _aws_sms, _sns_sign),
)  # fmt: skip
EVERY = (*CALLERS, META, WHATSAPP_TWILIO, *VOICE)
BY_NAME = {(caller.channel, caller.provider): caller for caller in EVERY}
