"""A message that may have gone out is asked for by our id, where its provider can be asked, and the list of them shrinks."""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID, uuid4

import pytest

from activities.asking import Asking
from activities.sending import Timing
from activities.unknowns import Sweeper
from channels.accounts import Surroundings
from settings import Settings
from storage import providers
from storage.sealing import Seal
from tests.activities.town import APP, Town, enroll, order_of
from tests.channels.provider import Request, Response
from tests.channels.provider import provider as far_end

ADDRESS = "ann@example.com"
SEAL = Seal(Settings().plain_credential_keys)
NUMBER = "+4915112345678"
PLAN: dict[str, Any] = {"service_plan_id": "plan", "api_token": "k", "senders": {"default": ["+15005550006"]}}
SETTINGS: dict[str, dict[str, Any]] = {
    "mailgun": {"api_key": "k", "domain": "mg.example"},
    "postmark": {"server_token": "k"},
    "sinch": PLAN,
}


async def unconfirmed(town: Town, provider: str, url: str) -> UUID:
    channel = "sms" if provider == "sinch" else "email"
    await town.endpoint(channel, NUMBER if channel == "sms" else ADDRESS)
    await town.say("granted", channel=channel)
    town.provider.script[:] = ["ambiguous"]
    await town.hands().deliver(order_of(await enroll(town), channel=channel))
    await town.run("UPDATE messages SET provider = :p, settled_at = settled_at - interval '2 minutes'", p=provider)
    async with town.database.transaction() as connection:
        settings = {**SETTINGS[provider], "base_url": url}
        account = {"channel": channel, "name": "main", "provider": provider}
        await providers.put(connection, APP, SEAL, **account, traffic=providers.Traffic(), settings=settings, secrets={})
    [row] = await town.rows()
    assert row.state == "unknown"
    return UUID(str(row.id))


def mailgun(message_id: UUID) -> Any:
    def answer(request: Request) -> Response:
        parts = urlsplit(request.path)
        asked = parse_qs(parts.query)
        assert (request.method, parts.path, asked["recipient"]) == ("GET", "/v3/mg.example/events", [ADDRESS])
        assert float(asked["begin"][0]) > 0
        other = {"event": "accepted", "user-variables": {"sojourn_message": "x"}}
        ours = {"event": "accepted", "user-variables": {"sojourn_message": str(message_id)}, "message": {"headers": {"message-id": "a@b"}}}
        return Response(200, json.dumps({"items": [other, ours]}).encode())

    return answer


def postmark(message_id: UUID) -> Any:
    """Marketing went through the stream for it, and a search that names no stream is one in `outbound`."""

    def answer(request: Request) -> Response:
        parts = urlsplit(request.path)
        asked = parse_qs(parts.query)
        assert (request.method, parts.path, asked["metadata_sojourn_message"]) == ("GET", "/messages/outbound", [str(message_id)])
        assert request.headers["x-postmark-server-token"] == "k"
        found = {"MessageID": "pm-1", "Status": "Sent", "Metadata": {"sojourn_message": str(message_id)}}
        has_it = asked.get("messagestream", ["outbound"]) == ["broadcast"]
        return Response(200, json.dumps({"TotalCount": int(has_it), "Messages": [found] if has_it else []}).encode())

    return answer


def sinch(message_id: UUID) -> Any:
    """It lists the last day unless it is told since when."""

    def answer(request: Request) -> Response:
        parts = urlsplit(request.path)
        asked = parse_qs(parts.query)
        assert (request.method, parts.path, asked["client_reference"]) == ("GET", "/xms/v1/plan/batches", [str(message_id)])
        assert request.headers["authorization"] == "Bearer k"
        assert datetime.strptime(asked["start_date"][0], "%Y-%m-%dT%H:%M:%S.%f%z") < datetime.now(UTC)
        batch = {"id": "01FC", "client_reference": str(message_id), "to": [NUMBER]}
        return Response(200, json.dumps({"count": 1, "page": 0, "batches": [batch], "page_size": 1}).encode())

    return answer


EVERYBODYS = {
    "items": [{"event": "accepted", "user-variables": {"sojourn_message": str(uuid4())}}],
    "Messages": [{"MessageID": "pm-9", "Metadata": {"sojourn_message": str(uuid4())}}],
    "batches": [{"id": "01FD", "client_reference": str(uuid4())}],
}


def asking(town: Town, clock: Callable[[], float] = time.monotonic) -> Asking:
    return Asking(town.database, SEAL, Surroundings("https://sojourn.example", may_use_stand_ins=True), clock)


@pytest.mark.parametrize(
    ("provider", "answers", "ref"), [("mailgun", mailgun, "<a@b>"), ("postmark", postmark, "pm-1"), ("sinch", sinch, "01FC")]
)
async def test_a_message_that_its_provider_has_is_sent(town: Town, provider: str, answers: Any, ref: str) -> None:
    async with far_end(lambda _request: Response(500)) as far:
        message_id = await unconfirmed(town, provider, far.base_url)
        far.accepts = answers(message_id)
        swept = await Sweeper(town.database, Timing(), asking(town)).sweep()
    assert swept.found == 1
    assert (await town.states(), await town.listed()) == ([("sent", None)], [])
    assert [row.ref for row in await town.run("SELECT ref FROM provider_refs")] == [ref]


async def test_a_message_whose_worker_died_before_it_wrote_down_the_provider_is_asked_for_everywhere(town: Town) -> None:
    async with far_end(lambda _request: Response(500)) as far:
        message_id = await unconfirmed(town, "postmark", far.base_url)
        await town.run("UPDATE messages SET provider = NULL")
        far.accepts = postmark(message_id)
        assert await asking(town).ask() == 1
    assert [(row.state, row.provider) for row in await town.rows()] == [("sent", "postmark")]


@pytest.mark.parametrize("provider", ["mailgun", "postmark", "sinch"])
@pytest.mark.parametrize(
    "answer",
    [
        Response(200, b'{"items": [], "Messages": [], "batches": []}'),
        Response(200, json.dumps(EVERYBODYS).encode()),  # a filter that is not heeded finds somebody else's
        Response(500),
        Response(200, b"no"),
    ],
)
async def test_what_is_not_found_or_cannot_be_asked_stays_unconfirmed_and_is_not_asked_again_at_once(
    town: Town, provider: str, answer: Response
) -> None:
    async with far_end(lambda _request: answer) as far:
        await unconfirmed(town, provider, far.base_url)
        sweeper = Sweeper(town.database, Timing(), asking(town))
        assert (await sweeper.sweep()).found == 0
        asked_once = len(far.requests)
        for _ in range(3):
            assert (await sweeper.sweep()).found == 0
    assert (len(far.requests), asked_once > 0) == (asked_once, True)
    assert await town.states() == [("unknown", "unconfirmed")]


async def test_what_was_not_found_while_it_was_new_is_found_a_minute_later(town: Town) -> None:
    now = [0.0]
    async with far_end(lambda _request: Response(200, b'{"Messages": []}')) as far:
        message_id = await unconfirmed(town, "postmark", far.base_url)
        mine = asking(town, lambda: now[0])
        assert await mine.ask() == 0
        far.accepts = postmark(message_id)
        assert await mine.ask() == 0
        now[0] = 60.0
        assert await mine.ask() == 1
    assert await town.states() == [("sent", None)]


async def test_hundreds_that_nobody_finds_keep_nobody_from_being_asked_about(town: Town) -> None:
    async with far_end(lambda _request: Response(500)) as far:
        message_id = await unconfirmed(town, "postmark", far.base_url)
        await town.run(
            "WITH m AS (INSERT INTO messages (id, app, address, source, step, visit, target, channel, message_class, state, claimed_at,"
            " settled_at) SELECT id, 'demo', '+49151', id, 's', 1, 't', 'whatsapp', 'marketing', 'unknown', now(),"
            " now() - interval '2 minutes' FROM unnest(CAST(:ids AS uuid[])) AS g (id) RETURNING id)"
            " INSERT INTO open_messages (app, message_id, kind, due_at) SELECT 'demo', id, 'unknown', now() FROM m",
            ids=[str(UUID(int=message_id.int + step)) for step in range(-150, 150) if step],
        )
        far.accepts = postmark(message_id)
        mine = asking(town)
        assert sum([await mine.ask() for _ in range(3)]) == 1


async def test_a_message_is_not_asked_for_before_its_provider_may_have_indexed_it(town: Town) -> None:
    async with far_end(lambda _request: Response(500)) as far:
        await unconfirmed(town, "postmark", far.base_url)
        await town.run("UPDATE messages SET settled_at = now()")
        assert await asking(town).ask() == 0
    assert far.requests == []
