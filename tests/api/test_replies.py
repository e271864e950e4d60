"""What people write back: keywords act at once for everybody with that number, words reach journeys, doubts wait for a person."""

import asyncio
import base64
import json
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Any, Literal
from urllib.parse import urlencode
from uuid import uuid4
from zoneinfo import ZoneInfo

import httpx
import pytest

from activities.breaker import Bounds, Gates
from activities.direct import DirectLane
from activities.messages import Delivery
from activities.rules import Defer, Known, Skip, Target, Terms, ruling
from activities.sending import Timing
from activities.unknowns import Sweeper
from storage.direct_sends import DirectSend, plan_direct
from storage.ids import address_hash
from storage.standing import Consent
from tests.activities.provider import PlainRenderer, Provider
from tests.api.callbacks import PHONE, Callbacks
from tests.channels.callers import (
    BY_NAME,
    FORM,
    META,
    SECRET,
    Caller,
    Sent,
    envelope,
    mailgun_signature,
    meta_body,
    sns_headers,
)

VONAGE, TWILIO, SES = BY_NAME["sms", "vonage"], BY_NAME["sms", "twilio"], BY_NAME["email", "ses"]


async def write(world: Callbacks, text: str, *, sender: str = PHONE, caller: Caller = VONAGE, **more: str) -> None:
    """Somebody writes a text to us."""
    if (caller.channel, caller.provider) not in world.urls:
        await world.account(caller)
    url = world.urls[caller.channel, caller.provider]
    said: Any = {"message_uuid": uuid4().hex, "from": sender.removeprefix("+"), "to": "15550100", "text": text, "channel": "sms"}
    if caller is TWILIO:
        said = {"MessageSid": f"SM{uuid4().hex}", "From": sender, "To": "+15550100", "Body": text, **more}
    if caller is META:
        said = meta_body({"messages": [{"id": uuid4().hex, "from": sender.removeprefix("+"), "type": "text", "text": {"body": text}}]})
    answer = await world.post(url, caller.signed(url, caller.body(said), datetime.now(UTC)))
    assert answer.status_code == 200, answer.text


async def answers(world: Callbacks) -> list[str]:
    rows = await world.run("SELECT d.content FROM direct_sends d JOIN messages m ON m.id = d.message_id ORDER BY m.planned_at")
    return [row.content["parts"]["text"] for row in rows]


async def test_stop_ends_texts_for_everybody_who_has_the_number_and_start_begins_them_again(world: Callbacks) -> None:
    await world.endpoint("bea", "sms", PHONE)
    await world.endpoint("cem", "sms", "+4915112345679")
    await write(world, "S\u200btop!")
    for who in ("ann", "bea"):
        assert await world.consents(who) == [("sms", "*", "withdrawn", "stop_word")]
    assert await world.consents("cem") == []
    await write(world, "start")
    for who in ("ann", "bea"):
        assert (await world.consents(who))[1:] == [("sms", "*", "granted", "stop_word")]
    assert await world.events("message_replied") == []


async def test_words_of_one_call_are_heard_in_the_order_in_which_they_were_written(world: Callbacks) -> None:
    url = await world.account(META)
    for texts, states in ((("START", "STOP"), ["granted", "withdrawn"]), (("STOP", "START"), ["withdrawn", "granted"])):
        await world.run("DELETE FROM consents")
        said = [{"id": uuid4().hex, "from": PHONE.removeprefix("+"), "type": "text", "text": {"body": text}} for text in texts]
        await world.post(url, META.signed(url, META.body(meta_body({"messages": said})), datetime.now(UTC)))
        assert [state for _, _, state, _ in await world.consents("ann")] == states


async def test_yes_starts_again_only_for_who_had_stopped(world: Callbacks) -> None:
    await write(world, "YES")
    assert await world.consents("ann") == []
    assert [event["text"] for event in await world.events("message_replied")] == ["YES"]
    await write(world, "STOP")
    await write(world, "yes")
    assert [state for _, _, state, _ in await world.consents("ann")] == ["withdrawn", "granted"]


async def test_stop_is_confirmed_and_help_answered_once_a_day(world: Callbacks) -> None:
    for text in ("HELP", "help", "STOP", "stop", "HELP"):
        await write(world, text)
    help_, stopped = await answers(world)
    assert help_.startswith("Demo:")
    assert "START" in stopped
    rows = await world.run("SELECT message_class, address, channel FROM messages")
    assert {(row.message_class, row.address, row.channel) for row in rows} == {("transactional", PHONE, "sms")}
    await world.run("UPDATE provider_events SET received_at = received_at - interval '25 hours'")
    await write(world, "HELP")
    assert len(await answers(world)) == 3


async def test_the_app_says_stop_and_help_in_its_own_words(world: Callbacks) -> None:
    await world.run("""UPDATE apps SET settings = '{"sms_help": "Demo Ltd, 1 Road.", "sms_stopped": "Bye."}'""")
    await write(world, "INFO")
    await write(world, "TD")
    assert await answers(world) == ["Demo Ltd, 1 Road.", "Bye."]


async def test_a_provider_that_answers_itself_is_left_to_do_so_and_its_own_reading_counts(world: Callbacks) -> None:
    await write(world, "HELP", caller=TWILIO)
    await write(world, "ich will nicht mehr", caller=TWILIO, OptOutType="STOP")
    assert await world.consents("ann") == [("sms", "*", "withdrawn", "stop_word")]
    assert await answers(world) == []


async def test_stop_of_a_number_that_nobody_has_is_a_suppression_and_start_lifts_it(world: Callbacks) -> None:
    stranger = "+4915112345600"
    await write(world, "STOP", sender=stranger)
    plain = address_hash("demo", "sms", stranger)
    [row] = await world.run("SELECT * FROM suppressions WHERE address_hash = ANY(suppression_hashes(:plain))", plain=plain)
    assert (row.reason, row.source) == ("manual", "stop_word")
    await write(world, "START", sender=stranger)
    assert await world.run("SELECT 1 FROM suppressions") == []


async def deliver(world: Callbacks, provider: Provider) -> list[str]:
    """Let the lane send what waits; the texts that were handed over so far."""
    delivery = Delivery({"sms": provider}, PlainRenderer(), lambda *_: "https://u", None, gates=Gates(Bounds()))
    await DirectLane(world.database, delivery, asyncio.Event()).pass_once()
    return [outgoing.content.parts["text"] for outgoing in provider.seen]


async def text_to(world: Callbacks, number: str, request: str) -> None:
    async with world.database.transaction("demo") as connection:
        send = DirectSend("demo", request, "sms", "transactional", {"parts": {"text": "Your order"}}, address=number)
        await plan_direct(connection, send)


@pytest.mark.parametrize(("number", "why"), [("+4915112345600", "suppressed"), (PHONE, "opted_out")])
async def test_who_stopped_is_told_so_once_and_helped_when_they_ask_and_gets_nothing_else(world: Callbacks, number: str, why: str) -> None:
    """Nobody's number and Ann's, which the caller names without saying whose it is."""
    provider = Provider(["ambiguous"], channel="sms")
    await text_to(world, number, "before")
    await write(world, "STOP", sender=number)
    await text_to(world, number, "keyword:sms/main:1")
    await write(world, "stop", sender=number)
    await write(world, "HELP", sender=number)
    told = sorted(await deliver(world, provider))
    assert len(told) == 2
    assert "Reply STOP" in told[0]
    assert "no more of these texts" in told[1]
    # They may have gone out: nothing is said a second time.
    await world.run("UPDATE open_messages SET due_at = clock_timestamp() - interval '1 hour'")
    await Sweeper(world.database, Timing()).sweep()
    assert sorted(await deliver(world, provider)) == told
    states = await world.run("SELECT state, reason, count(*) AS n FROM messages GROUP BY 1, 2 ORDER BY 1")
    assert [(row.state, row.reason, row.n) for row in states] == [("skipped", why, 2), ("unknown", "unconfirmed", 2)]


async def test_a_number_whose_owner_has_come_back_is_written_to_again(world: Callbacks) -> None:
    provider = Provider(channel="sms")
    await write(world, "STOP", caller=TWILIO)
    await write(world, "START", caller=TWILIO)
    await text_to(world, PHONE, "after")
    assert await deliver(world, provider) == ["Your order"]


async def test_a_number_that_bounced_or_was_blocked_is_not_told_that_its_stop_was_heard(world: Callbacks) -> None:
    stranger, provider = "+4915112345600", Provider(channel="sms")
    digest = address_hash("demo", "sms", stranger)
    await world.run(
        "INSERT INTO suppressions (app, channel, address_hash, reason, source) VALUES ('demo','sms',:h,'manual','me')", h=digest
    )
    await write(world, "STOP", sender=stranger)
    assert await deliver(world, provider) == []


async def test_a_stop_is_not_confirmed_when_it_is_long_past(world: Callbacks) -> None:
    provider = Provider(["not_sent", "ok"], channel="sms")
    await write(world, "STOP", sender="+4915112345600")
    await deliver(world, provider)
    await world.run("UPDATE direct_sends SET holds_until = holds_until - interval '5 minutes'")
    await world.run("UPDATE open_messages SET due_at = clock_timestamp()")
    assert len(await deliver(world, provider)) == 1, "the try that was not taken"
    [row] = await world.run("SELECT state, reason FROM messages")
    assert (row.state, row.reason) == ("skipped", "expired")


async def test_start_lifts_what_providers_said_of_the_number_and_nothing_that_people_decided(world: Callbacks) -> None:
    digest = address_hash("demo", "sms", PHONE)
    for reason, left in (("bounce", 0), ("provider", 0), ("manual", 1)):
        await world.run("DELETE FROM suppressions")
        await world.run("INSERT INTO suppressions (app, channel, address_hash, reason) VALUES ('demo', 'sms', :h, :r)", h=digest, r=reason)
        await write(world, "START")
        assert len(await world.run("SELECT 1 FROM suppressions")) == left


async def test_start_does_not_free_a_number_that_was_blocked_after_it_had_bounced(world: Callbacks, manager: httpx.AsyncClient) -> None:
    digest = address_hash("demo", "sms", PHONE)
    await world.run("INSERT INTO suppressions (app, channel, address_hash, reason) VALUES ('demo', 'sms', :h, 'bounce')", h=digest)
    blocked = await manager.post("/v1/suppressions", json={"channel": "sms", "address": PHONE, "source": "support"})
    assert (blocked.status_code, blocked.json()["reason"], blocked.json()["source"]) == (201, "manual", "support")
    await write(world, "START")
    assert [row.reason for row in await world.run("SELECT reason FROM suppressions")] == ["manual"]


async def test_free_text_with_stop_rests_marketing_until_a_person_decides(world: Callbacks, manager: httpx.AsyncClient) -> None:
    ann = world.people["ann"]
    for topic in ("news", "*"):
        await world.run(
            "INSERT INTO consents (app, user_id, channel, topic, state, source) VALUES ('demo', :u, 'sms', :t, :s, 'form')",
            u=ann,
            t=topic,
            s="granted" if topic == "*" else "withdrawn",
        )
    await write(world, "stop by tomorrow at 5")
    await write(world, "or do not stop at all")
    assert (await world.consents("ann"))[2:] == [("sms", "*marketing", "withdrawn", "unclear_reply")], "what is transactional goes on"
    assert [event["text"] for event in await world.events("message_replied")] == ["stop by tomorrow at 5", "or do not stop at all"]
    [open_] = (await manager.get("/v1/unclear-replies")).json()["items"]
    assert (open_["user_id"], open_["text"], open_["decision"]) == ("ann", "stop by tomorrow at 5", None)
    answer = await manager.get("/v1/users/ann/timeline")
    assert answer.status_code == 200, answer.text
    story = answer.json()["items"]
    assert "wrote on sms what may mean that they leave: marketing there rests until somebody decides" in [item["words"] for item in story]
    decide = f"/v1/unclear-replies/{open_['id']}/decide"
    decided = await manager.post(decide, json={"decision": "stays"})
    assert (decided.status_code, decided.json()["decision"]) == (200, "stays")
    # As before, in the order in which it was said: in for all, out of the news.
    again = [("sms", "*marketing", "granted", "unclear_reply"), ("sms", "news", "withdrawn", "unclear_reply")]
    assert (await world.consents("ann"))[3:] == again
    assert (await manager.post(decide, json={"decision": "stays"})).status_code == 200
    assert (await manager.post(decide, json={"decision": "leaves"})).status_code == 409
    assert (await manager.get("/v1/unclear-replies")).json()["items"] == []
    assert len((await manager.get("/v1/unclear-replies", params={"decided": True})).json()["items"]) == 1


async def says(world: Callbacks, topic: str, state: str, channel: str = "sms") -> None:
    await world.run(
        "INSERT INTO consents (app, user_id, channel, topic, state, source) VALUES ('demo', :u, :c, :t, :s, 'form')",
        u=world.people["ann"],
        c=channel,
        t=topic,
        s=state,
    )


async def stands(world: Callbacks, message_class: Literal["marketing", "transactional"], topic: str = "") -> str:
    """What the rules say of a text to ann now: `go`, or why not."""
    rows = await world.run(
        "SELECT DISTINCT ON (channel, topic) channel, topic, state, id FROM consents WHERE app = 'demo' AND user_id = :u"
        " ORDER BY channel, topic, id DESC",
        u=world.people["ann"],
    )
    said = [Consent(row.channel, row.topic, row.state == "granted", row.id, "said") for row in rows]
    verdict = ruling(Terms("sms", message_class, topic, ZoneInfo("UTC")), Target(PHONE), Known(datetime.now(UTC), said))
    return verdict.reason if isinstance(verdict, Skip | Defer) else "go"


async def decide(world: Callbacks, manager: httpx.AsyncClient, decision: str) -> None:
    [open_] = (await manager.get("/v1/unclear-replies")).json()["items"]
    answer = await manager.post(f"/v1/unclear-replies/{open_['id']}/decide", json={"decision": decision})
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    "agreed",
    [
        [],  # nothing: marketing by text needs a consent
        [("sms", "news", "granted")],
        [("sms", "*", "granted")],
        [("*", "*", "granted"), ("sms", "news", "withdrawn")],
        [("sms", "news", "withdrawn"), ("sms", "*marketing", "granted")],
        [("sms", "*", "granted"), ("sms", "*marketing", "withdrawn"), ("sms", "news", "granted")],
    ],
)
async def test_while_it_is_in_doubt_only_marketing_rests_and_who_stays_has_all_as_before(
    world: Callbacks, manager: httpx.AsyncClient, agreed: list[tuple[str, str, str]]
) -> None:
    for channel, topic, state in agreed:
        await says(world, topic, state, channel)
    before = [await stands(world, "marketing", topic) == "go" for topic in ("news", "offers")]
    await write(world, "when does this stop?")
    assert await stands(world, "transactional") == "go"
    assert "go" not in [await stands(world, "marketing", topic) for topic in ("news", "offers")]
    await decide(world, manager, "stays")
    assert [await stands(world, "marketing", topic) == "go" for topic in ("news", "offers")] == before
    await says(world, "*", "granted")
    closed = ("sms", "*marketing", "withdrawn") in agreed
    assert await stands(world, "marketing", "offers") == ("unsubscribed" if closed else "go"), "what they say later counts as it would have"


async def test_who_leaves_gets_no_more_marketing_and_still_hears_of_their_order(world: Callbacks, manager: httpx.AsyncClient) -> None:
    await says(world, "news", "granted")
    await write(world, "when does this stop?")
    await decide(world, manager, "leaves")
    assert await stands(world, "transactional") == "go"
    assert [await stands(world, "marketing", topic) for topic in ("news", "offers")] == ["unsubscribed", "unsubscribed"]


async def test_what_was_said_while_it_was_in_doubt_counts_more_than_the_decision(world: Callbacks, manager: httpx.AsyncClient) -> None:
    await says(world, "*", "granted")
    await write(world, "when does this stop?")
    await says(world, "news", "withdrawn")
    await decide(world, manager, "stays")
    assert [await stands(world, "marketing", topic) for topic in ("news", "offers")] == ["unsubscribed", "go"]
    await write(world, "can you stop by later?")
    await says(world, "*marketing", "withdrawn")
    await decide(world, manager, "stays")
    assert [await stands(world, "marketing", topic) for topic in ("news", "offers")] == ["unsubscribed", "unsubscribed"]


async def test_start_ends_the_doubt(world: Callbacks, manager: httpx.AsyncClient) -> None:
    await says(world, "*", "granted")
    await write(world, "when does this stop?")
    await write(world, "START")
    assert await stands(world, "marketing", "offers") == "go"
    assert (await manager.get("/v1/unclear-replies")).json()["items"] == []


async def test_a_stop_closes_the_channel_to_both_classes(world: Callbacks) -> None:
    await write(world, "STOP")
    assert [await stands(world, "transactional"), await stands(world, "marketing", "news")] == ["opted_out", "opted_out"]


async def test_a_stop_that_came_before_the_decision_counts_more(world: Callbacks, manager: httpx.AsyncClient) -> None:
    await write(world, "when does this stop?")
    await write(world, "STOP")
    [open_] = (await manager.get("/v1/unclear-replies")).json()["items"]
    await manager.post(f"/v1/unclear-replies/{open_['id']}/decide", json={"decision": "stays"})
    assert (await world.consents("ann"))[-1] == ("sms", "*", "withdrawn", "stop_word")


async def test_a_text_answers_the_last_message_to_that_number_and_marks_when_it_came(world: Callbacks) -> None:
    number = await world.message("ann", "whatsapp", "meta")
    await write(world, "Friday is fine", caller=META)
    [event] = await world.events("message_replied")
    assert event == {"message_id": str(number), "channel": "whatsapp", "template": "welcome", "journey": "onboarding", "step": "welcome",
                     "text": "Friday is fine"}  # fmt: skip
    marked = {row.channel: row.replied_at is not None for row in await world.run("SELECT channel, replied_at FROM endpoints")}
    assert marked == {"email": False, "sms": False, "voice": False, "whatsapp": True}


async def test_a_journey_that_waits_for_a_reply_is_told(world: Callbacks) -> None:
    await world.run(
        "WITH j AS (INSERT INTO journeys (app, name, live_version) VALUES ('demo', 'onboarding', 1)),"
        " v AS (INSERT INTO journey_versions (app, journey, version, hash, definition, entry_names, listen_names)"
        " VALUES ('demo', 'onboarding', 1, 'h', '{}', '{}', '{message_replied}')) SELECT 1"
    )
    await world.run(
        "INSERT INTO enrollments (app, id, user_id, subject, journey, version, n, workflow_id, entry_event_id, entry_name,"
        " entered_at, state) VALUES ('demo', gen_random_uuid(), :u, 'ann', 'onboarding', 1, 1, 'w', 'e', 'signed_up', now(), 'open')",
        u=world.people["ann"],
    )
    await write(world, "yes please")
    assert [row.user_id for row in await world.run("SELECT user_id FROM outbox")] == [world.people["ann"]]


# Mails --------------------------------------------------------------------------------------------------------------------------------

QUOTED = "Sounds good.\r\n\r\nOn Mon, 4 May 2026 at 09:00, Demo <demo@example.com> wrote:\r\n> Shall we?\r\n> Or not?\r\n"


def mail(answered: str, *, sender: str = "Ann <ann@example.com>", **headers: str) -> bytes:
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = sender, "demo@example.com", "Re: Hello"
    made["Message-ID"], made["In-Reply-To"] = f"<{uuid4()}@example.com>", f"<{answered}@example.com>"
    for name, value in headers.items():
        made[name.replace("_", "-")] = value
    made.set_content(QUOTED)
    return made.as_bytes()


def ses_mail(raw: bytes) -> Sent:
    received = {"notificationType": "Received", "mail": {"messageId": uuid4().hex}, "receipt": {"action": {"encoding": "BASE64"}},
                "content": base64.b64encode(raw).decode()}  # fmt: skip
    return Sent(json.dumps(envelope(json.dumps(received), datetime.now(UTC), id_=uuid4().hex)).encode(), sns_headers())


def sendgrid_mail(raw: bytes, caller: Caller, url: str) -> Sent:
    head, _, _ = raw.decode().partition("\n\n")
    fields = {"headers": head, "from": "Ann <ann@example.com>", "text": QUOTED, "to": "demo@example.com"}
    parts = "".join(f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in fields.items())
    body = (parts + "--b--\r\n").encode()
    return Sent(body, {**caller.sign(url, body, datetime.now(UTC)), "content-type": "multipart/form-data; boundary=b"})


def mailgun_mail(raw: bytes) -> Sent:
    headers = [line.split(": ", 1) for line in raw.decode().partition("\n\n")[0].split("\n")]
    fields = {"from": "Ann <ann@example.com>", "body-plain": QUOTED, "message-headers": json.dumps(headers),
              **mailgun_signature(uuid4().hex, datetime.now(UTC))}  # fmt: skip
    return Sent(urlencode(fields).encode(), {"content-type": FORM})


def postmark_mail(raw: bytes) -> Sent:
    headers = [dict(zip(("Name", "Value"), line.split(": ", 1), strict=True)) for line in raw.decode().partition("\n\n")[0].split("\n")]
    body = {"FromFull": {"Email": "ann@example.com"}, "MessageID": uuid4().hex, "TextBody": QUOTED, "Headers": headers}
    return Sent(json.dumps(body).encode(), {"content-type": "application/json", "x-sojourn-secret": SECRET})


async def test_a_mail_that_answers_ours_is_an_event_without_what_it_quotes(world: Callbacks) -> None:
    for provider in ("ses", "sendgrid", "mailgun", "postmark"):
        caller = BY_NAME["email", provider]
        url = await world.account(caller)
        number = await world.message("ann", "email", provider)
        raw = mail(str(number))
        sent = {
            "ses": ses_mail(raw),
            "sendgrid": sendgrid_mail(raw, BY_NAME["email", "sendgrid"], url),
            "mailgun": mailgun_mail(raw),
            "postmark": postmark_mail(raw),
        }[provider]
        for _ in range(2):
            assert (await world.post(url, sent)).status_code == 200
        event = (await world.events("message_replied"))[-1]
        assert (event["text"], event["message_id"], event["channel"]) == ("Sounds good.", str(number), "email"), provider
    assert len(await world.events("message_replied")) == 4


async def test_a_mail_is_answered_by_the_id_that_its_provider_gave_it_whoever_takes_the_answer(world: Callbacks) -> None:
    refs = {"ses": f"0102{uuid4()}-000000", "sendgrid": "rEcJb6KXQVaK3RHcUnV0Kw", "postmark": str(uuid4())}
    numbers = {provider: await world.message("ann", "email", provider, ref=ref) for provider, ref in refs.items()}
    await world.message("ann", "email", "ses")
    url = await world.account(SES)
    for provider, ref in refs.items():
        assert (await world.post(url, ses_mail(mail(ref)))).status_code == 200
        assert (await world.events("message_replied"))[-1]["message_id"] == str(numbers[provider]), provider


async def test_an_id_that_another_app_or_channel_knows_answers_nothing_of_theirs(world: Callbacks) -> None:
    await world.message("ann", "sms", "vonage", ref="same-id")
    last = await world.message("ann", "email", "ses")
    await world.post(await world.account(SES), ses_mail(mail("same-id")))
    assert [event["message_id"] for event in await world.events("message_replied")] == [str(last)]


async def test_of_two_that_are_quoted_the_nearest_counts(world: Callbacks) -> None:
    first = await world.message("ann", "email", "resend")
    second = await world.message("ann", "email", "ses", ref="0102-second")
    url = await world.account(SES)
    await world.post(url, ses_mail(mail("nobody-knows", References=f"<{first}@example.com> <0102-second@eu-west-1.amazonses.com>")))
    await world.post(url, ses_mail(mail("nobody-knows", References=f"<{first}@example.com> <other@email.amazonses.com>")))
    assert [event["message_id"] for event in await world.events("message_replied")] == [str(second), str(first)]


async def test_a_mail_through_sendgrid_is_read_in_the_character_set_that_it_was_written_in(world: Callbacks) -> None:
    caller = BY_NAME["email", "sendgrid"]
    url = await world.account(caller)
    for charset in ("iso-8859-1", "utf-8", "none-such", ""):
        number = await world.message("ann", "email", "sendgrid")
        head = mail(str(number)).partition(b"\n\n")[0]
        written = "Schöne Grüße".encode("iso-8859-1" if charset == "iso-8859-1" else "utf-8")
        fields = {"text": written, "headers": head, "charsets": json.dumps({"text": charset}).encode() if charset else b"none"}
        parts = (b'--b\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % (name.encode(), text) for name, text in fields.items())
        body = b"".join(parts) + b"--b--\r\n"
        signed = {**caller.sign(url, body, datetime.now(UTC)), "content-type": "multipart/form-data; boundary=b"}
        assert (await world.post(url, Sent(body, signed))).status_code == 200
    assert [event["text"] for event in await world.events("message_replied")] == ["Schöne Grüße"] * 4


async def test_a_mail_of_another_address_that_answers_ours_is_who_we_wrote_to(world: Callbacks) -> None:
    url = await world.account(SES)
    number = await world.message("ann", "email", "ses")
    await world.post(url, ses_mail(mail(str(number), sender="ann@work.example")))
    assert [event["message_id"] for event in await world.events("message_replied")] == [str(number)]


async def test_an_out_of_office_note_is_no_reply(world: Callbacks) -> None:
    url = await world.account(SES)
    number = await world.message("ann", "email", "ses")
    assert (await world.post(url, ses_mail(mail(str(number), Auto_Submitted="auto-replied")))).status_code == 200
    assert await world.events("message_replied") == []
