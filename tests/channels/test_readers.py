"""Every provider's calls are read by its table once they are proved, and forged ones are not read at all."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
import pytest

from channels.inbound import Call, CertificateNeeded, Forged, Heard, Told, Unfitting
from channels.readers import READERS
from tests.channels.callers import BY_NAME, CERTIFICATE_URL, EVERY, FORM, Caller, Happened, Sent, envelope, sns_certificate

NOW = datetime.now(UTC).replace(microsecond=0)
URL = "https://sojourn.example/v1/webhooks/x/0123456789abcdef"
MESSAGE = UUID("019a0000-0000-8000-8000-000000000001")
ROWS = [(caller, kind) for caller in EVERY for kind in caller.words]


def name(value: object) -> str:
    return f"{value.channel}-{value.provider}" if isinstance(value, Caller) else str(value)


def happened(caller: Caller, kind: str, **changes: str) -> Happened:
    address = "ann@example.com" if caller.channel == "email" else "+4915112345678"
    return replace(Happened("e-1", kind, MESSAGE, address, NOW - timedelta(minutes=3)), **changes)  # type: ignore[arg-type]


def read(caller: Caller, sent: Sent, *, url: str = URL, at: datetime | None = None) -> Heard:
    certificates = {CERTIFICATE_URL: sns_certificate()}
    headers = {header.lower(): value for header, value in sent.headers.items()}
    call = Call(url + sent.query, headers, sent.body, at or datetime.now(UTC), certificates=certificates)
    return READERS[caller.channel, caller.provider](call, caller.settings)


def test_every_reader_has_a_caller_here() -> None:
    assert {(caller.channel, caller.provider) for caller in EVERY} == set(READERS)


@pytest.mark.parametrize(("caller", "kind"), ROWS, ids=name)
def test_each_word_is_read_as_ours_with_our_id_and_its_own(caller: Caller, kind: str) -> None:
    [sent] = caller.calls(URL, [happened(caller, kind)])
    [told] = read(caller, sent).told
    assert (told.kind, told.message_id, told.address) == (kind, MESSAGE, happened(caller, kind).address)
    assert told.ref
    assert told.event_id
    assert told.occurred_at in {NOW - timedelta(minutes=3), told.occurred_at if caller.provider == "twilio" else None}
    assert json.loads(told.raw)
    if kind == "bounced" and caller.channel in {"email", "sms"}:
        assert told.detail["hard"] is True


@pytest.mark.parametrize("caller", EVERY, ids=name)
def test_a_repeat_has_the_same_event_id_and_another_event_another(caller: Caller) -> None:
    kinds = [kind for kind in ("accepted", "delivered", "bounced") if kind in caller.words]
    ids = [
        [told.event_id for sent in caller.calls(URL, [happened(caller, kind, id=f"e-{kind}")]) for told in read(caller, sent).told]
        for kind in (*kinds, *kinds)
    ]
    assert ids[: len(kinds)] == ids[len(kinds) :]
    assert len({id_ for [id_] in ids}) == len(kinds)


# Among them half of a character, which a text that was cut in two begins or ends with.
ODD: tuple[Any, ...] = (None, "", 0, -1.5, 10**400, True, [], {}, ["x"], [[]], "\x00", "\ud83d")


def shaken(value: Any) -> Iterator[Any]:
    """The same with all of it, or one of its parts, of another kind; or with one part left out."""
    yield from ODD
    parts: list[Any] = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    for part in parts:
        whole = dict(value) if isinstance(value, dict) else dict(enumerate(value))
        changed = [{**whole, part: other} for other in shaken(whole[part])] + [{name: whole[name] for name in whole if name != part}]
        yield from changed if isinstance(value, dict) else [list(each.values()) for each in changed]


def oddities(caller: Caller, kind: str) -> Iterator[Sent]:
    """Calls that are proved and not what their provider sends. Of Mailgun and Resend only what is not part of the proof."""
    written = caller.write(caller, happened(caller, kind))
    part = {"mailgun": "event-data", "resend": "data"}.get(caller.provider)
    if caller.provider in {"ses", "aws"}:
        others = [envelope(json.dumps(each), datetime.now(UTC), id_="e-1") for each in shaken(json.loads(written["Message"]))]
    elif caller.content_type == FORM:
        others = [{**written, name: other} for name in written for other in ("", "\x00", "x" * 5_000)]
    elif part:
        others = [{**written, part: other} for other in shaken(written[part])]
    else:
        others = list(shaken([written] if caller.takes_many else written))
    for other in others:
        yield caller.signed(URL, caller.body(other), datetime.now(UTC))


def is_writable(told: Told) -> bool:
    texts = [told.event_id, told.word, told.ref, told.address, told.raw, orjson.dumps(dict(told.detail)).decode()]
    return all(text.encode() and "\x00" not in text and "\\u0000" not in text for text in texts if text and text is not told.raw)


@pytest.mark.parametrize(("caller", "kind"), [row for row in ROWS if row[1] in {"accepted", "bounced", "clicked"}], ids=name)
def test_a_proved_call_of_any_shape_is_read_or_refused_for_its_form(caller: Caller, kind: str) -> None:
    tried = 0
    for sent in oddities(caller, kind):
        try:
            assert all(is_writable(told) for told in read(caller, sent).told)
        except Unfitting:
            assert not isinstance(json.loads(sent.body), dict | list)
        tried += 1
    assert tried > 10


PROOFS = {
    "x-twilio-email-event-webhook-signature", "x-twilio-email-event-webhook-timestamp", "authorization", "svix-id", "svix-timestamp",
    "svix-signature", "x-twilio-signature", "x-sinch-webhook-signature", "x-sinch-webhook-signature-nonce",
    "x-sinch-webhook-signature-timestamp", "x-hub-signature-256", "x-amz-sns-message-type",
}  # fmt: skip


def without_proof(sent: Sent) -> list[Sent]:
    """The same call with its proof left out, emptied, turned around, or made of other letters."""
    proofs = [header for header in sent.headers if header in PROOFS]
    bare = [replace(sent, headers={name: value for name, value in sent.headers.items() if name != proof}) for proof in proofs]
    others = [(proof, value) for proof in proofs for value in ("", sent.headers[proof][::-1], sent.headers[proof] + "0", "\xe4" * 10)]
    return bare + [replace(sent, headers={**sent.headers, proof: value}) for proof, value in others]


def with_another_body(sent: Sent) -> list[Sent]:
    body = sent.body
    places = range(len(body) // 40, len(body), max(1, len(body) // 40))
    changed = [body[:place] + (b"0" if body[place : place + 1] != b"0" else b"1") + body[place + 1 :] for place in places]
    others = [b"", b"{}", b"[]", body + b"x", body.replace(b"019a", b"019b")]
    return [replace(sent, body=other) for other in (*others, *changed)]


def signature_inside(sent: Sent) -> list[Sent]:
    """Mailgun signs a token, in the body, and nothing else."""
    body = json.loads(sent.body)
    changed = [{"token": "other"}, {"timestamp": "1"}, {"signature": ""}, {"signature": body["signature"]["signature"][::-1]}, {"token": 7}]
    bodies = [{**body, "signature": {**body["signature"], **change}} for change in changed] + [{**body, "signature": None}, {}, []]
    return [replace(sent, body=json.dumps(each).encode()) for each in bodies] + [replace(sent, body=b""), replace(sent, body=b"{")]


def forgeries(caller: Caller) -> list[Sent]:
    [sent] = caller.calls(URL, [happened(caller, "delivered")])
    if caller.provider == "mailgun":
        return signature_inside(sent)
    # Postmark signs nothing of the body: who knows the secret may say anything.
    return without_proof(sent) + ([] if caller.provider == "postmark" else with_another_body(sent))


@pytest.mark.parametrize("caller", EVERY, ids=name)
def test_a_call_without_its_proof_or_with_another_body_is_not_read(caller: Caller) -> None:
    forged = forgeries(caller)
    assert len(forged) >= 5
    for sent in forged:
        with pytest.raises((Forged, CertificateNeeded)):
            read(caller, sent)


# How old a call may be, by what its provider signs. Twilio, Postmark and Meta sign no time: a repeat of theirs changes nothing.
TOLERANCES = {
    "sendgrid": timedelta(minutes=5),
    "resend": timedelta(minutes=5),  # Standard Webhooks
    "vonage": timedelta(minutes=5),
    "ses": timedelta(hours=1),
    "aws": timedelta(hours=1),  # SNS
    "mailgun": timedelta(hours=9),  # it repeats for eight hours, with the signature of the first
    "sinch": timedelta(hours=24),  # as the above, for nearly a day
}
TIMED = [each for each in EVERY if each.provider not in {"twilio", "postmark", "meta"}]


@pytest.mark.parametrize("caller", TIMED, ids=name)
def test_a_call_is_read_within_its_tolerance_and_an_old_or_a_future_one_is_not(caller: Caller) -> None:
    [sent] = caller.calls(URL, [happened(caller, "delivered")])
    tolerance, now = TOLERANCES[caller.provider], datetime.now(UTC)
    for nearly in (tolerance - timedelta(minutes=1), timedelta(minutes=1) - tolerance):
        assert len(read(caller, sent, at=now + nearly).told) == 1
    for beyond in (tolerance + timedelta(minutes=1), -tolerance - timedelta(minutes=1)):
        with pytest.raises(Forged):
            read(caller, sent, at=now + beyond)


@pytest.mark.parametrize("caller", EVERY, ids=name)
def test_an_account_without_its_secret_hears_nobody(caller: Caller) -> None:
    [sent] = caller.calls(URL, [happened(caller, "delivered")])
    bare = {key: value for key, value in caller.settings.items() if not key.startswith("webhook_") and key not in {"app_secret", "topics"}}
    bare.pop("secret", None)
    with pytest.raises(Forged):
        read(replace(caller, settings=bare), sent)


@pytest.mark.parametrize("caller", [each for each in EVERY if each.provider == "twilio"], ids=name)
def test_a_call_of_twilio_to_another_address_is_not_read(caller: Caller) -> None:
    [sent] = caller.calls(URL, [happened(caller, "delivered")])
    for url in (URL.replace("https", "http"), URL + "x", URL.replace("sojourn.example", "other.example")):
        with pytest.raises(Forged):
            read(caller, sent, url=url)


def test_a_report_of_many_recipients_is_an_event_of_each_that_holds_no_other_number() -> None:
    caller = BY_NAME["sms", "sinch"]
    numbers = [f"49151123456{n}" for n in range(10, 30)]
    statuses = [
        {"code": 0, "status": "Delivered", "recipients": numbers[:19]},
        {"code": 402, "status": "Failed", "recipients": numbers[19:]},
    ]
    written = {"type": "delivery_report_sms", "batch_id": "b-1", "total_message_count": 20, "statuses": statuses}
    told = read(caller, caller.signed(URL, caller.body(written), datetime.now(UTC))).told
    assert [each.address for each in told] == [f"+{number}" for number in numbers]
    assert [each.kind for each in told] == ["delivered"] * 19 + ["bounced"]
    assert len({each.event_id for each in told}) == 20
    assert not any(number in each.raw for each in told for number in numbers)
