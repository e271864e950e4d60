"""Amazon Device Messaging, against a stand-in that checks the exchange for an access token and every member of a message."""

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import parse_qsl

import pytest

from channels.base import Ambiguous, NotSent, Receipt, Rejected
from channels.push.adm import Adm, AdmAccount
from tests.channels.contract import HttpAdapterContract, Told
from tests.channels.provider import Request, Response, provider
from tests.channels.push.rig import BODY, PARTS, TITLE, PushRig

REGISTRATION = "amzn1.adm-registration.v3.Y29tLmFtYXpvbi5EZXZpY2VNZXNzYWdpbmc"
NEW = "amzn1.adm-registration.v3.bmV3"
TAKEN = Response(200, b'{"registrationID": "%s"}' % REGISTRATION.encode(), {"x-amzn-requestid": "e8bef3ce"})


def exchange(request: Request) -> Response:
    assert request.method == "POST"
    assert request.headers["content-type"].startswith("application/x-www-form-urlencoded")
    assert dict(parse_qsl(request.body.decode("ascii"), strict_parsing=True)) == {
        "grant_type": "client_credentials",
        "scope": "messaging:push",
        "client_id": "amzn1.application-oa2-client.1",
        "client_secret": "größe&",
    }
    return Response(200, b'{"access_token": "Atc|1", "expires_in": 3600, "scope": "messaging:push", "token_type": "Bearer"}')


def accepts(request: Request) -> Response:
    assert (request.method, request.path) == ("POST", f"/messaging/registrations/{REGISTRATION}/messages")
    assert request.headers["authorization"] == "Bearer Atc|1"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["x-amzn-type-version"] == "com.amazon.device.messaging.ADMMessage@1.0"
    assert request.headers["x-amzn-accept-type"] == "com.amazon.device.messaging.ADMSendResult@1.0"
    asked = request.json()
    assert set(asked) <= {"data", "notification", "consolidationKey", "expiresAfter"}
    assert all(isinstance(value, str) for value in asked["data"].values())
    assert len(asked["consolidationKey"]) <= 64
    assert 60 <= asked.get("expiresAfter", 60) <= 2_678_400
    return TAKEN


def error(status: int, reason: str, **headers: str) -> Response:
    return Response(status, b'{"reason": "%s"}' % reason.encode(), dict(headers))


class TestAdm(HttpAdapterContract):
    kinds = (("push", "adm"),)
    has_word_for_dead = True
    page = (
        Told(error(400, "InvalidRegistrationId"), Rejected, suppress=True),
        Told(error(400, "Unregistered"), Rejected, suppress=True),
        Told(error(400, "InvalidData"), Rejected),
        Told(error(400, "InvalidConsolidationKey"), Rejected),
        Told(error(400, "InvalidExpiration"), Rejected),
        Told(error(400, "InvalidChecksum"), Rejected),
        Told(error(400, "InvalidType"), Rejected),
        Told(error(401, "AccessTokenExpired"), NotSent),
        Told(error(413, "MessageTooLarge"), Rejected),
        Told(Response(429, b'{"reason": "MaxRateExceeded"}', {"retry-after": "30"}), NotSent, retry_after_s=30),
        Told(Response(503, b"", {"retry-after": "Wed, 21 Oct 2099 07:28:00 GMT"}), NotSent, retry_after_s=86_400),
        Told(Response(500, b"", {"retry-after": "30"}), Ambiguous),
    )

    @pytest.fixture
    async def rig(self) -> AsyncIterator[PushRig]:
        async with provider(accepts) as found:
            found.beside["/auth/O2/token"] = exchange
            account = AdmAccount("amzn1.application-oa2-client.1", "größe&", found.base_url)
            here, away = Adm(account), Adm(AdmAccount("a", "b", "http://127.0.0.1:1"))
            yield PushRig(found, here, away, REGISTRATION, lambda request: request.json()["data"]["sojourn_message"])
            for adapter in (here, away):
                await adapter.close()

    async def test_one_access_token_serves_many_sends_at_once(self, rig: PushRig) -> None:
        await asyncio.gather(*(rig.adapter.send(rig.message()) for _ in range(20)))
        assert len(rig.provider.requests_beside) == 1

    async def test_a_device_that_amazon_knows_by_a_new_id_is_told(self, rig: PushRig) -> None:
        assert await rig.adapter.send(rig.message()) == Receipt("e8bef3ce")
        rig.provider.answer = Response(200, b'{"registrationID": "%s"}' % NEW.encode())
        assert (await rig.adapter.send(rig.message())).moved_to == NEW

    async def test_an_access_token_that_has_expired_is_renewed_once(self, rig: PushRig) -> None:
        rig.provider.answer = error(401, "AccessTokenExpired")
        with pytest.raises(NotSent):
            await rig.adapter.send(rig.message())
        assert (len(rig.provider.requests_beside), len(rig.provider.requests)) == (2, 2)

    async def test_every_field_that_it_has_is_in_its_place(self, rig: PushRig) -> None:
        asked = (await rig.sent({**PARTS, "collapse": "order-17"})).json()
        assert asked["notification"] == {"title": TITLE, "body": BODY}
        assert (asked["consolidationKey"], asked["expiresAfter"]) == ("order-17", 3600)
        assert asked["data"].pop("sojourn_message")
        assert asked["data"] == {**PARTS["data"], "url": PARTS["url"]}

    async def test_a_silent_push_is_data_alone(self, rig: PushRig) -> None:
        asked = (await rig.sent({"silent": True, "data": {"sync": "orders"}})).json()
        assert "notification" not in asked
        assert asked["data"]["sync"] == "orders"

    @pytest.mark.parametrize(
        "more", [{"image": "https://acme.example/a.png"}, {"badge": 1}, {"sound": "ping"}, {"priority": "high"}, {"ttl": 59}]
    )
    async def test_what_it_cannot_say_is_refused_or_left_out_where_that_is_allowed(self, rig: PushRig, more: dict[str, object]) -> None:
        [name] = more
        with pytest.raises(Rejected, match=rf"adm cannot say {name} \("):
            await rig.adapter.send(rig.message(parts={**PARTS, **more}))
        assert rig.provider.requests == []
        asked = (await rig.sent({**PARTS, **more, "optional": [name]})).json()
        assert name not in asked["notification"]

    async def test_an_account_is_verified_by_its_access_token(self, rig: PushRig) -> None:
        await rig.verify()
        rig.provider.beside["/auth/O2/token"] = lambda _: error(400, "invalid_client")
        stranger = Adm(AdmAccount("a", "b", rig.provider.base_url))
        with pytest.raises(NotSent, match="HTTP 400"):
            await stranger.verify()
        await stranger.close()
