"""A message that may have gone out is asked for by our id, where its provider can be asked, and the list of them shrinks."""

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

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
SETTINGS: dict[str, dict[str, Any]] = {"mailgun": {"api_key": "k", "domain": "mg.example"}, "postmark": {"server_token": "k"}}


async def unconfirmed(town: Town, provider: str, url: str) -> UUID:
    await town.endpoint(address=ADDRESS)
    town.provider.script[:] = ["ambiguous"]
    await town.hands().deliver(order_of(await enroll(town)))
    await town.run("UPDATE messages SET provider = :p, settled_at = settled_at - interval '2 minutes'", p=provider)
    async with town.database.transaction() as connection:
        settings = {**SETTINGS[provider], "base_url": url}
        account = {"channel": "email", "name": "main", "provider": provider}
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
    def answer(request: Request) -> Response:
        parts = urlsplit(request.path)
        asked = parse_qs(parts.query)
        assert (request.method, parts.path, asked["metadata_sojourn_message"]) == ("GET", "/messages/outbound", [str(message_id)])
        assert request.headers["x-postmark-server-token"] == "k"
        return Response(200, json.dumps({"TotalCount": 1, "Messages": [{"MessageID": "pm-1", "Status": "Sent"}]}).encode())

    return answer


def asking(town: Town) -> Asking:
    return Asking(town.database, SEAL, Surroundings("https://sojourn.example", may_use_stand_ins=True))


@pytest.mark.parametrize(("provider", "answers", "ref"), [("mailgun", mailgun, "<a@b>"), ("postmark", postmark, "pm-1")])
async def test_a_message_that_its_provider_has_is_sent(town: Town, provider: str, answers: Any, ref: str) -> None:
    async with far_end(lambda _request: Response(500)) as far:
        message_id = await unconfirmed(town, provider, far.base_url)
        far.accepts = answers(message_id)
        swept = await Sweeper(town.database, Timing(), asking(town)).sweep()
    assert swept.found == 1
    assert (await town.states(), await town.listed()) == ([("sent", None)], [])
    assert [row.ref for row in await town.run("SELECT ref FROM provider_refs")] == [ref]


@pytest.mark.parametrize("answer", [Response(200, b'{"items": [], "Messages": []}'), Response(500), Response(200, b"no")])
async def test_what_is_not_found_or_cannot_be_asked_stays_unconfirmed_and_is_not_asked_again_at_once(town: Town, answer: Response) -> None:
    async with far_end(lambda _request: answer) as far:
        await unconfirmed(town, "postmark", far.base_url)
        sweeper = Sweeper(town.database, Timing(), asking(town))
        for _ in range(3):
            assert (await sweeper.sweep()).found == 0
    assert len(far.requests) == 1
    assert await town.states() == [("unknown", "unconfirmed")]


async def test_a_message_is_not_asked_for_before_its_provider_may_have_indexed_it(town: Town) -> None:
    async with far_end(lambda _request: Response(500)) as far:
        await unconfirmed(town, "postmark", far.base_url)
        await town.run("UPDATE messages SET settled_at = now()")
        assert await asking(town).ask() == 0
    assert far.requests == []
