"""WhatsApp's window of 24 hours: read under the claim's lock, and what it lets out."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from activities.direct import DirectLane
from activities.orders import SendVerdict
from channels.base import Content
from storage.direct_sends import DirectSend, plan_direct
from tests.activities.provider import PlainRenderer
from tests.activities.town import APP, Town, enroll, order_of

TEXT = {"text": "Hello"}
APPROVED = {"template": {"name": "hello", "language": "en"}}
NUMBER = "+4915112345678"
HOUR = timedelta(hours=1)


@dataclass
class Chat(PlainRenderer):
    """Renders what the published files would."""

    parts: Mapping[str, Any] = field(default_factory=dict)

    async def render(
        self, template_name: str, version: int, _files: Mapping[str, str], channel: str, variables: Mapping[str, Any]
    ) -> Content:
        made = await super().render(template_name, version, _files, channel, variables)
        return replace(made, parts=dict(self.parts))


async def says(town: Town, *files: str) -> None:
    """Publish a template with these files, and let it be rendered as they say."""
    parts = {**(TEXT if "whatsapp.txt" in files else {}), **(APPROVED if "whatsapp.toml" in files else {})}
    town.renderer = Chat(parts=parts)
    await town.run("UPDATE template_versions SET files = :files", files=dict.fromkeys(files, "x"))
    await town.say("granted", channel="whatsapp")
    await town.endpoint("whatsapp", NUMBER)


async def wrote(town: Town, ago: timedelta) -> None:
    await town.run("UPDATE endpoints SET replied_at = clock_timestamp() - CAST(:ago AS interval)", ago=ago)


async def deliver(town: Town) -> SendVerdict:
    return await town.hands().deliver(order_of(await enroll(town), channel="whatsapp"))


@pytest.mark.parametrize(
    ("files", "ago", "sent"),
    [
        (("whatsapp.txt",), HOUR, TEXT),
        (("whatsapp.txt",), 25 * HOUR, None),
        (("whatsapp.txt",), None, None),
        (("whatsapp.toml",), HOUR, APPROVED),
        (("whatsapp.toml",), None, APPROVED),
        (("whatsapp.txt", "whatsapp.toml"), HOUR, TEXT),
        (("whatsapp.txt", "whatsapp.toml"), 25 * HOUR, APPROVED),
        (("whatsapp.txt", "whatsapp.toml"), None, APPROVED),
    ],
)
async def test_a_text_only_answers_and_a_template_may_begin(
    town: Town, files: tuple[str, ...], ago: timedelta | None, sent: dict[str, Any] | None
) -> None:
    await says(town, *files)
    if ago is not None:
        await wrote(town, ago)
    verdict = await deliver(town)
    assert [outgoing.content.parts for outgoing in town.provider.seen] == ([] if sent is None else [sent])
    assert verdict.reasons == (() if sent else ("window_closed",))


async def test_a_transactional_text_needs_the_window_too(town: Town) -> None:
    await says(town, "whatsapp.txt")
    order = order_of(await enroll(town), channel="whatsapp", message_class="transactional")
    assert (await town.hands().deliver(order)).reasons == ("window_closed",)


async def test_what_a_person_wrote_by_another_channel_opens_nothing(town: Town) -> None:
    await says(town, "whatsapp.txt")
    await town.endpoint("sms", NUMBER)
    await town.run("UPDATE endpoints SET replied_at = clock_timestamp() WHERE channel = 'sms'")
    assert (await deliver(town)).reasons == ("window_closed",)


@pytest.mark.parametrize("ago", [HOUR, 25 * HOUR])
@pytest.mark.parametrize("by_address", [True, False])
@pytest.mark.parametrize("parts", [TEXT, {**TEXT, **APPROVED}, APPROVED])
async def test_a_direct_send_keeps_to_the_window(town: Town, ago: timedelta, parts: dict[str, Any], *, by_address: bool) -> None:
    await town.endpoint("whatsapp", NUMBER)
    await wrote(town, ago)
    to = {"address": NUMBER} if by_address else {"user_id": town.user_id}
    async with town.database.transaction(APP) as connection:
        await plan_direct(connection, DirectSend(APP, "r-1", "whatsapp", "transactional", {"parts": parts}, **to))
    await DirectLane(town.database, town.delivery(), asyncio.Event()).pass_once()
    answers = TEXT if ago < 24 * HOUR and "text" in parts else APPROVED if "template" in parts else None
    assert [outgoing.content.parts for outgoing in town.provider.seen] == ([] if answers is None else [answers])
    assert await town.states() == [("sent", None) if answers else ("skipped", "window_closed")]


async def test_no_other_channel_is_asked_for_a_window(town: Town) -> None:
    await says(town, "whatsapp.txt")
    await town.say("granted", channel="sms")
    await town.endpoint("sms", NUMBER)
    assert (await town.hands().deliver(order_of(await enroll(town), channel="sms"))).sent
