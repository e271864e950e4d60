"""What people text us, by every provider that brings it, through the door with the provider's own proof."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from tests.api.callbacks import PHONE, Callbacks
from tests.channels.callers import BY_NAME, META, SECRET, WHATSAPP_TWILIO, Caller, Sent, envelope, meta_body

NOW = datetime.now(UTC).replace(microsecond=0)
EARLIER, LATER = NOW - timedelta(minutes=20), NOW - timedelta(minutes=10)


@dataclass(frozen=True)
class Text:
    words: str
    at: datetime = NOW
    sender: str = PHONE
    id: str = ""


def _iso(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _vonage(said: Text) -> Any:
    return {"message_uuid": said.id, "from": said.sender[1:], "to": "15550100", "channel": "sms", "message_type": "text",
            "text": said.words, "timestamp": _iso(said.at)}  # fmt: skip


def _sinch(said: Text) -> Any:
    """https://developers.sinch.com/docs/sms/api-reference/sms/inbounds"""
    return {"type": "mo_text", "id": said.id, "from": said.sender[1:], "to": "15550100", "body": said.words, "operator_id": "35000",
            "received_at": _iso(said.at)}  # fmt: skip


def _aws(said: Text) -> Any:
    """https://docs.aws.amazon.com/sms-voice/latest/userguide/two-way-sms-payload.html"""
    written = {"originationNumber": said.sender, "destinationNumber": "+15550100", "messageKeyword": "KEYWORD_1", "messageBody": said.words,
               "inboundMessageId": said.id, "previousPublishedMessageId": ""}  # fmt: skip
    return envelope(json.dumps(written), said.at, id_=f"sns-{said.id}")


def _twilio(said: Text) -> Any:
    return {"MessageSid": said.id, "SmsStatus": "received", "From": said.sender, "To": "+15550100", "Body": said.words, "NumMedia": "0"}


def _whatsapp_twilio(said: Text) -> Any:
    return {**_twilio(said), "From": f"whatsapp:{said.sender}", "To": "whatsapp:+15550100"}


def _meta(said: Text) -> Any:
    at = str(int(said.at.timestamp()))
    return meta_body(
        {"messages": [{"id": said.id, "from": said.sender[1:], "timestamp": at, "type": "text", "text": {"body": said.words}}]}
    )


SINCH, AWS = BY_NAME["sms", "sinch"], BY_NAME["sms", "aws"]
WRITERS: list[tuple[Caller, Callable[[Text], Any]]] = [
    (BY_NAME["sms", "vonage"], _vonage),
    (SINCH, _sinch),
    (AWS, _aws),
    (BY_NAME["sms", "twilio"], _twilio),
    (WHATSAPP_TWILIO, _whatsapp_twilio),
    (META, _meta),
]
# Twilio does not say when a text was written.
DATED = [row for row in WRITERS if row[0].provider != "twilio"]
every_provider = pytest.mark.parametrize(("caller", "write"), WRITERS, ids=lambda part: getattr(part, "provider", ""))
each_that_says_when = pytest.mark.parametrize(("caller", "write"), DATED, ids=lambda part: getattr(part, "provider", ""))


async def post(world: Callbacks, caller: Caller, written: Any, change: Callable[[Sent], Sent] = lambda sent: sent) -> int:
    url = world.urls.get((caller.channel, caller.provider)) or await world.account(caller)
    return (await world.post(url, change(caller.signed(url, caller.body(written), datetime.now(UTC))))).status_code


def new(words: str, at: datetime = NOW, sender: str = PHONE) -> Text:
    return Text(words, at, sender, uuid4().hex)


@every_provider
async def test_stop_and_start_count_once_however_often_they_come(world: Callbacks, caller: Caller, write: Callable[[Text], Any]) -> None:
    for words in ("Stop.", "START"):
        written = write(new(words))
        assert [await post(world, caller, written) for _ in range(3)] == [200] * 3
    assert await world.consents("ann") == [(caller.channel, "*", state, "stop_word") for state in ("withdrawn", "granted")]
    assert await world.events("message_replied") == []


@every_provider
async def test_other_words_are_an_answer_to_the_last_message(world: Callbacks, caller: Caller, write: Callable[[Text], Any]) -> None:
    number = await world.message("ann", caller.channel, caller.provider)
    assert await post(world, caller, write(new("Grüße 👋, am Freitag"))) == 200
    [event] = await world.events("message_replied")
    assert (event["text"], event["message_id"], event["channel"]) == ("Grüße 👋, am Freitag", str(number), caller.channel)


@every_provider
async def test_a_text_that_is_not_the_providers_is_refused_and_nothing_of_it_is_kept(
    world: Callbacks, caller: Caller, write: Callable[[Text], Any]
) -> None:
    changes: list[Callable[[Sent], Sent]] = [
        lambda sent: replace(sent, body=sent.body.replace(b"STOP", b"STOB")),
        lambda sent: replace(sent, body=sent.body.replace(PHONE[1:].encode(), b"4915112345670")),
    ]
    if caller is not AWS:  # whose proof stands in the body
        changes.append(lambda sent: replace(sent, headers={"content-type": caller.content_type}))
    for change in changes:
        assert await post(world, caller, write(new("STOP")), change) == 401
    assert (await world.consents("ann"), await world.run("SELECT 1 FROM provider_events")) == ([], [])


@each_that_says_when
async def test_a_start_that_comes_late_does_not_undo_the_stop_that_was_written_after_it(
    world: Callbacks, caller: Caller, write: Callable[[Text], Any]
) -> None:
    await post(world, caller, write(new("STOP", LATER)))
    await post(world, caller, write(new("START", EARLIER)))
    assert [state for _, _, state, _ in await world.consents("ann")] == ["withdrawn"]
    await post(world, caller, write(new("START", NOW)))
    assert [state for _, _, state, _ in await world.consents("ann")] == ["withdrawn", "granted"]


async def test_texts_of_one_call_count_by_when_they_were_written(world: Callbacks) -> None:
    both = [_meta(each)["entry"][0]["changes"][0]["value"]["messages"][0] for each in (new("STOP", LATER), new("START", EARLIER))]
    assert await post(world, META, meta_body({"messages": both})) == 200
    assert [state for _, _, state, _ in await world.consents("ann")] == ["granted", "withdrawn"]


async def test_a_stop_is_confirmed_where_the_provider_does_not_do_so_itself(world: Callbacks) -> None:
    for caller, write in WRITERS:
        await post(world, caller, write(new("STOP")))
        confirmed = await world.run("SELECT 1 FROM direct_sends")
        assert len(confirmed) == (caller.provider not in {"twilio", "aws"}), caller.provider
        await world.run("DELETE FROM provider_events")
        await world.run("DELETE FROM direct_sends")


async def test_sinch_may_prove_itself_by_a_password(world: Callbacks) -> None:
    def by_password(password: str) -> Callable[[Sent], Sent]:
        written = base64.b64encode(f"sojourn:{password}".encode()).decode()
        return lambda sent: replace(sent, headers={"content-type": "application/json", "authorization": f"Basic {written}"})

    assert await post(world, SINCH, _sinch(new("STOP")), by_password("another")) == 401
    assert await world.consents("ann") == []
    assert await post(world, SINCH, _sinch(new("STOP")), by_password(SECRET)) == 200
    assert [state for _, _, state, _ in await world.consents("ann")] == ["withdrawn"]


async def test_the_words_beside_a_picture_count_and_bytes_that_are_no_text_do_not(world: Callbacks) -> None:
    picture = {"subject": "", "message": "STOP", "media": [{"url": "https://x.example/1", "contentType": "image/png"}]}
    assert await post(world, SINCH, {**_sinch(new("")), "type": "mo_media", "body": picture}) == 200
    assert [state for _, _, state, _ in await world.consents("ann")] == ["withdrawn"]
    assert await post(world, SINCH, {**_sinch(new("U1RBUlQ=")), "type": "mo_binary", "udh": "00"}) == 200
    assert [event["text"] for event in await world.events("message_replied")] == [""]


async def test_a_text_to_aws_answers_the_message_that_it_names(world: Callbacks) -> None:
    answered = await world.message("ann", "sms", "aws", ref="aws-1")
    await world.message("ann", "sms", "aws", ref="aws-2")
    written = _aws(new("yes, that one"))
    message = json.dumps({**json.loads(written["Message"]), "previousPublishedMessageId": "aws-1"})
    assert await post(world, AWS, envelope(message, NOW, id_="n-1")) == 200
    assert [event["message_id"] for event in await world.events("message_replied")] == [str(answered)]
