"""From a published template to the bytes at the provider and back into the ledger: texts, WhatsApp messages and calls."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl
from xml.etree import ElementTree as ET

import pytest

from activities.direct import DirectLane
from activities.messages import Messages
from activities.one_time_codes import Asking, CodeLane, Issued, Pepper, Way, is_right, issue
from channels.base import Adapter
from channels.render import Renderer
from channels.sms.text import Senders
from channels.sms.twilio import TwilioAccount, TwilioSms
from channels.tariff import Tariff, TextTariff
from channels.voice.twilio import TwilioVoice, TwilioVoiceAccount
from channels.whatsapp.meta import MetaAccount, MetaWhatsApp
from tests.activities.town import APP, Town, enroll, no_condition_holds, order_of
from tests.channels.provider import FakeProvider, Request, Response, provider

NUMBER = "+4915112345678"
NAME = "Tom & <break/> </speak>"
SENDERS = Senders(("+15005550006",))
CALLBACK = "https://sojourn.example/v1/webhooks/twilio"
FILES = {
    "sms.txt": "{{ user.name }} " + "x" * 150,
    "voice.txt": "<speak>Hello {{ user.name }}</speak>",
    "whatsapp.toml": 'name = "hello"\nlanguage = "en"\nbody = ["{{ user.name }}"]',
}


def takes(request: Request) -> Response:
    return Response(200, b'{"messages": [{"id": "wamid.1"}]}' if "/messages" in request.path else b'{"sid": "SM1"}')


@pytest.fixture
async def far() -> AsyncIterator[FakeProvider]:
    async with provider(takes) as found:
        yield found


def adapters(url: str, longest: int | None = None) -> dict[str, Adapter]:
    account: dict[str, Any] = {"account_sid": "AC1", "key": "SK1", "secret": "secret", "callback_url": CALLBACK, "base_url": url}
    return {
        "sms": TwilioSms(TwilioAccount(**account), SENDERS, TextTariff({"DE": Decimal("0.0725")}, "EUR", longest)),
        "voice": TwilioVoice(TwilioVoiceAccount(**account), SENDERS, Tariff({"*": Decimal("0.04")}, "USD")),
        "whatsapp": MetaWhatsApp(MetaAccount("106540352242922", "token", base_url=url), Tariff({"DE": Decimal("0.1131")}, "EUR")),
    }


async def deliver(town: Town, far: FakeProvider, channel: str, longest: int | None = None) -> Request | None:
    """What arrived at the provider when the template was sent to the town's person."""
    await town.run("UPDATE users SET attributes = :attributes", attributes={"name": NAME})
    await town.run("UPDATE template_versions SET files = :files", files=FILES)
    await town.endpoint(channel, NUMBER)
    await town.say("granted", channel=channel)
    made, renderer = adapters(far.base_url, longest), Renderer(children=1, wall_s=20)
    delivery = town.delivery()
    hands = Messages(town.database, type(delivery)(**{**vars(delivery), "adapters": made, "renderer": renderer}), no_condition_holds)
    await hands.deliver(order_of(await enroll(town), channel=channel, may_wait=True))
    for adapter in made.values():
        await adapter.close()
    await renderer.close()
    return far.requests[0] if far.requests else None


def form(request: Request | None) -> dict[str, str]:
    assert request is not None
    return dict(parse_qsl(request.body.decode("ascii"), strict_parsing=True))


async def row(town: Town) -> tuple[str, int | None, Decimal | None, str | None]:
    [found] = await town.rows()
    return found.state, found.units, found.price, found.currency


async def test_a_text_is_counted_and_priced_in_its_row(town: Town, far: FakeProvider) -> None:
    assert form(await deliver(town, far, "sms"))["Body"] == f"{NAME} {'x' * 150}"
    assert await row(town) == ("sent", 2, Decimal("0.1450"), "EUR")


async def test_a_text_that_is_longer_than_the_account_pays_for_never_leaves_and_says_why(town: Town, far: FakeProvider) -> None:
    assert await deliver(town, far, "sms", longest=1) is None
    [found] = await town.rows()
    assert (found.state, found.reason, found.units) == ("rejected", "rejected", None)
    assert "2 segments (gsm7)" in found.answer


async def test_a_name_with_tags_in_it_is_spoken_as_a_name(town: Town, far: FakeProvider) -> None:
    twiml = ET.fromstring(form(await deliver(town, far, "voice"))["Twiml"])  # noqa: S314
    assert [each.tag for each in twiml.iter()] == ["Response", "Say"]
    assert twiml[0].text == f"Hello {NAME}"
    assert await row(town) == ("sent", 1, Decimal("0.04"), "USD")


async def test_an_approved_template_goes_out_filled_in(town: Town, far: FakeProvider) -> None:
    request = await deliver(town, far, "whatsapp")
    assert request is not None
    assert request.json()["template"]["components"] == [{"type": "body", "parameters": [{"type": "text", "text": NAME}]}]
    assert await row(town) == ("sent", 1, Decimal("0.1131"), "EUR")


# One-time codes ------------------------------------------------------------------------------------------------------------------------

PEPPER = Pepper("a secret of at least 32 characters!")
VOICE, WHATSAPP = ("voice", NUMBER), ("whatsapp", NUMBER)
CODE_FILES = {
    "voice.txt": '<speak>Your code is <say-as interpret-as="digits">{{ entry.code }}</say-as></speak>',
    "whatsapp.toml": 'name = "sign_in"\nlanguage = "en"\nbody = ["{{ entry.code }}"]\n[buttons]\n0 = {url = "{{ entry.code }}"}',
}


@asynccontextmanager
async def lane(town: Town, far: FakeProvider) -> AsyncIterator[DirectLane]:
    made, renderer = adapters(far.base_url), Renderer(children=1, wall_s=20)
    yield DirectLane(town.database, replace(town.delivery(), adapters=made, renderer=renderer), asyncio.Event())
    for adapter in made.values():
        await adapter.close()
    await renderer.close()


async def ask(town: Town, *ways: Way, template: str | None = None) -> Issued:
    await town.run("UPDATE template_versions SET files = :files", files=CODE_FILES)
    async with town.database.transaction(APP) as connection:
        return await issue(connection, APP, PEPPER, Asking("user:eve", ways, template=template))


async def is_the_code(town: Town, issued: Issued, code: str) -> bool:
    async with town.database.transaction(APP) as connection:
        return await is_right(connection, APP, PEPPER, issued.id, code)


def spoken(request: Request) -> str:
    """The digits of a call, in the order in which they are said."""
    text = " ".join(ET.fromstring(form(request)["Twiml"]).itertext())  # noqa: S314
    return "".join(re.findall(r"\d", text))


async def test_a_code_is_read_out_twice_in_a_call_and_is_right(town: Town, far: FakeProvider) -> None:
    issued = await ask(town, VOICE)
    async with lane(town, far) as sends:
        await sends.pass_once()
    [call] = far.requests
    assert (form(call)["To"], len(spoken(call))) == (NUMBER, 12)
    first, again = spoken(call)[:6], spoken(call)[6:]
    assert first == again
    assert await is_the_code(town, issued, first)
    assert await row(town) == ("sent", 1, Decimal("0.04"), "USD")


async def test_a_code_fills_in_the_template_that_meta_has_approved_and_is_right(town: Town, far: FakeProvider) -> None:
    issued = await ask(town, WHATSAPP, template="welcome")
    async with lane(town, far) as sends:
        await sends.pass_once()
    [request] = far.requests
    sent = request.json()["template"]
    [body, button] = sent["components"]
    [code] = [each["text"] for each in body["parameters"]]
    assert (sent["name"], request.json()["to"], len(code)) == ("sign_in", NUMBER.removeprefix("+"), 6)
    assert [each["text"] for each in button["parameters"]] == [code]
    assert await is_the_code(town, issued, code)
    assert await row(town) == ("sent", 1, Decimal("0.1131"), "EUR")


async def test_where_whatsapp_refuses_a_call_says_a_new_code(town: Town, far: FakeProvider) -> None:
    issued = await ask(town, WHATSAPP, VOICE, template="welcome")
    far.answer = Response(400, b'{"error": {"code": 131026}}')
    async with lane(town, far) as sends:
        await sends.pass_once()
        far.answer = "as it accepts"
        await town.run("UPDATE one_time_codes SET due_at = clock_timestamp()")
        await CodeLane(town.database, PEPPER, asyncio.Event()).pass_once()
        await sends.pass_once()
    refused, call = far.requests
    [before] = [each["text"] for each in refused.json()["template"]["components"][0]["parameters"]]
    assert not await is_the_code(town, issued, before)
    assert await is_the_code(town, issued, spoken(call))
