"""From a published template to the bytes at the provider and back into the ledger: texts, WhatsApp messages and calls."""

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl
from xml.etree import ElementTree as ET

import pytest

from activities.messages import Messages
from channels.base import Adapter
from channels.render import Renderer
from channels.sms.text import Senders
from channels.sms.twilio import TwilioAccount, TwilioSms
from channels.tariff import Tariff, TextTariff
from channels.voice.twilio import TwilioVoice, TwilioVoiceAccount
from channels.whatsapp.meta import MetaAccount, MetaWhatsApp
from tests.activities.town import Town, enroll, no_condition_holds, order_of
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
